"""``orstats ids``: the account's own list of generations, and the same for the commands that need one."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from orstats._atomic_write import atomic_write
from orstats.account.analytics import AnalyticsQuery
from orstats.account.list_ids import list_ids
from orstats.account.time_range import moment, span
from orstats.account.time_windows import Window
from orstats.api.client import Client
from orstats.archive.archive import Archive
from orstats.cli.console import Interrupted, WrongUsage, data, print_status
from orstats.cli.inputs import resolve_archive
from orstats.errors import ConfigError
from orstats.text.format import plural
from orstats.text.sanitize import terminal_line
from orstats.text.time_zones import clock, zone_of

_LONGEST: Final = timedelta(days=31)
_NAMES_SHOWN: Final = 5
#: How late the account's analytics may be.
_LATE: Final = timedelta(days=1)
_NOT_YET: Final = "Recent ones may not be available yet: try again later."


def run(
    *,
    since: str,
    until: str,
    tz: str,
    filters: Mapping[str, Sequence[str]],
    output: str | None,
    base_url: str | None,
    archive: str | None,
    no_archive: bool,
    refresh: bool,
    quiet: bool,
) -> int:
    """List and write; the options are those of the command."""
    wanted = {name: list(values) for name, values in filters.items() if values}
    first, last = between(since, until, tz)
    with Client(base_url=base_url) as client:
        store = resolve_archive(archive, no_archive, client)
        ids = ids_between(client, first, last, archive=store, filters=wanted, refresh=refresh, quiet=quiet)
        hint = _why_empty(client, first, last, wanted) if not ids and not quiet else None
    _write(ids, output)
    if not quiet:
        print_status(
            f"{plural(len(ids), 'id')} from {on_clock(first, last, tz)}.", "bold green" if ids else "bold yellow"
        )
        if hint is not None:
            print_status(hint)
        if output is not None:
            print_status(f"Written to {output}: {plural(len(ids), 'line')}.")
    return 0


def time_option(option: str, text: str, *, now: datetime, tz: str) -> datetime:
    """Read the time that an option gives, in the zone of ``--tz``."""
    try:
        zone = zone_of(tz)
    except ConfigError as error:
        raise WrongUsage(f"--{error}") from None
    try:
        return moment(text, now=now, tz=zone)
    except ConfigError as error:
        raise WrongUsage(f"{option}: {error}") from None


def on_clock(first: datetime, last: datetime, tz: str) -> str:
    """Write a time range as the clock of a zone shows it."""
    ends = [f"{end.astimezone(clock(tz)):%Y-%m-%d %H:%M}" for end in (first, last)]
    return f"{ends[0]} to {ends[1]} ({tz})"


def between(since: str, until: str, tz: str) -> tuple[datetime, datetime]:
    """Read the two ends of a time range, as ``--since`` and ``--until`` give them."""
    now = datetime.now(UTC)
    ends = time_option("--since", since, now=now, tz=tz), time_option("--until", until, now=now, tz=tz)
    try:
        return span(*ends, now=now)
    except ConfigError as error:
        raise WrongUsage(f"--since {since} --until {until}: {error}") from None


def ids_between(
    client: Client,
    since: datetime,
    until: datetime,
    *,
    archive: Archive | None = None,
    filters: Mapping[str, Any] | None = None,
    refresh: bool = False,
    quiet: bool = False,
) -> list[str]:
    """List the ids of a time range; warnings become lines on standard error, Ctrl-C a sentence on what is kept."""
    try:
        return list_ids(
            since,
            until,
            filters=filters,
            client=client,
            archive=False if archive is None else archive,
            refresh=refresh,
            progress=False if quiet else None,
        )
    except KeyboardInterrupt:
        if archive is None:
            raise
        kept = "Completed windows (older than one day) are cached"
        raise Interrupted(f"{kept}; run the same command again to resume.") from None


def _write(ids: Sequence[str], output: str | None) -> None:
    if output is None:
        data().writelines(f"{one}\n" for one in ids)
        return
    with atomic_write(Path(output)) as file:  # a scheduled job may read it at any time
        file.writelines(f"{one}\n".encode() for one in ids)


def _why_empty(client: Client, since: datetime, until: datetime, filters: Mapping[str, Sequence[str]]) -> str:
    """Say which filter excludes everything, or that the account has nothing, or not yet."""
    window = Window(max(since, until - _LONGEST), until)
    for field, wanted in (filters or {"model": []}).items():
        answer = AnalyticsQuery(client, []).run(window, ["request_count"], dimensions=[field])
        if answer is None:  # too much to add up in time
            continue
        used = sorted(str(row[field]) for row in answer[0] if row.get(field))
        if not used:
            break
        unknown = [name for name in wanted if name not in used]
        if unknown and field != "api_key_id":
            near = difflib.get_close_matches(unknown[0], used, n=_NAMES_SHOWN, cutoff=0.4) or used[:_NAMES_SHOWN]
            examples = terminal_line(", ".join(near))
            return f"No usage of {terminal_line(unknown[0])} in this range. Used, for example: {examples}."
    else:
        return "No generation matches the filters. An API key is given by its number or hash." if filters else _NOT_YET
    if until > datetime.now(UTC) - _LATE:
        return f"The account has no generations in this range. {_NOT_YET}"
    return "The account has no generations in this range."
