"""Where commands get their data: ids, time ranges, the archive, and the fetch itself."""

from __future__ import annotations

import os
import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from orstats.cli.console import print_status
from orstats.cli.errors import Failure, Interrupted, WrongUsage
from orstats.cli.shell import END_OF_INPUT, quoted
from orstats.errors import ArchiveError, ConfigError
from orstats.fetching.arguments import UNARCHIVED, choose_archive

if TYPE_CHECKING:
    import pandas as pd

    from orstats.api.client import Client
    from orstats.api.config import Settings
    from orstats.archive.archive import Archive
    from orstats.export.row_ids import RowIds

RUN_FETCH: Final = "Run `orstats fetch` to add records."
FETCH_OR_LIST: Final = (
    f"{RUN_FETCH} With a management key in OPENROUTER_MANAGEMENT_KEY, --since lists and fetches the account's."
)
NAME_AN_ARCHIVE: Final = f"{UNARCHIVED} --archive DIR."


class NoIdsFound(Failure):
    """The sources of ids were read and contain none."""


def collect_ids(ids: Sequence[str], files: Sequence[str], column: str | None = None) -> list[str]:
    """Return the ids given one by one, then those in files; ``-`` is standard input."""
    from orstats.cli.report_labels import names_columns
    from orstats.ids.id_shapes import joined_ids
    from orstats.ids.read import read_ids

    if column is not None and not files:
        raise WrongUsage("--column chooses a column of a table: pass its file with --ids-from.")
    for one in ids:
        if (kind := _source_kind(one)) is not None:
            raise WrongUsage(f"{one!r} is {kind}, not an id. Use --ids-from {quoted(one)}.")
        if names_columns(one):
            raise WrongUsage(f"{one!r} is a column, not an id.")
    found = dict.fromkeys(part for one in ids for part in joined_ids(one) or [one])
    if "-" in files and sys.stdin.isatty():
        print_status(f"Reading ids from the terminal. End with {END_OF_INPUT}.")
    for name in files:
        found |= dict.fromkeys(read_ids(sys.stdin.buffer if name == "-" else Path(name), column=column))
    if not found:
        raise NoIdsFound(f"no ids found in {', '.join('standard input' if name == '-' else name for name in files)}.")
    return list(found)


def check_single_id(one: str) -> None:
    """Refuse a file, or several ids, where a command takes one id."""
    from orstats.ids.id_shapes import joined_ids

    if joined_ids(one):
        raise WrongUsage("This command takes one id. Run it once for each.")
    if (kind := _source_kind(one)) is not None:
        advice = f"`orstats fetch --ids-from {quoted(one)}` lists its ids and their costs."
        raise WrongUsage(f"{one!r} is {kind}, not an id. {advice}")


def is_unlike_an_id(text: str) -> bool:
    """Tell whether a text is neither a generation id nor anything that is refused in other words."""
    from orstats.cli.report_labels import names_columns
    from orstats.ids.id_shapes import begins_like_id, clean_id, invalid_id_kind

    is_refused = names_columns(text) or _source_kind(text) is not None or invalid_id_kind(text) is not None
    return not (is_refused or begins_like_id(clean_id(text)))


def _source_kind(text: str) -> str | None:
    """Say which source of ids was given in the place of an id; None for an id."""
    from orstats.ids.id_shapes import FILE_NAME, begins_like_id, invalid_id_kind

    if begins_like_id(text):
        return None
    if text == "-":
        return "standard input"
    # os.path: an id may be too long for a file's name
    if os.path.exists(text):  # noqa: PTH110
        return "a folder" if os.path.isdir(text) else "a file"  # noqa: PTH112
    return FILE_NAME if (invalid_id_kind(text) or "").startswith(FILE_NAME) else None


class UserTable(NamedTuple):
    """The user's own table, to which the results of a fetch are added."""

    where: str
    rows: pd.DataFrame
    found: RowIds

    def distinct_ids(self) -> list[str]:
        """Return the ids to fetch."""
        if not any(self.found.ids):
            raise Failure(f"{self.where}: no row has a generation id.")
        return list(dict.fromkeys(one for one in self.found.ids if one is not None))

    def joined(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Add the cost, tokens, latency and status of each row's generation."""
        from orstats.export.join import join_ids

        return join_ids(self.rows, self.found, frame, self.where)


def user_table(ids: Sequence[str] | None, files: Sequence[str] | None, column: str | None) -> UserTable:
    """Read the table of ``--ids-from`` for ``--join``."""
    from orstats.export.row_ids import row_ids
    from orstats.export.user_table import read_user_stream, read_user_table

    if ids or files is None or len(files) != 1:
        raise WrongUsage("--join needs one table: pass its file with --ids-from, and no other ids.")
    name = files[0]
    if name == "-":
        where = "standard input"
        rows = read_user_stream(sys.stdin.buffer, where, column=column)
    else:
        where, rows = name, read_user_table(name, column=column)
    return UserTable(where, rows, row_ids(rows, where, column=column))


def fetch_ids(
    ids: Sequence[str],
    client: Client,
    archive: Archive | None,
    *,
    quiet: bool = False,
    **options: Any,
) -> pd.DataFrame:
    """Fetch; Ctrl-C becomes a message about what is saved."""
    from orstats.fetching.fetch import fetch

    try:
        return fetch(
            ids,
            client=client,
            archive=False if archive is None else archive,
            progress=False if quiet else None,
            **options,
        )
    except KeyboardInterrupt as interrupt:
        if archive is None:
            message = "No archive in use, so nothing was saved; re-running starts from scratch."
        else:
            message = f"Fetched records are in the archive ({archive.path}); run the same command again to resume."
        raise Interrupted(message) from interrupt


def list_range(
    client: Client,
    since: datetime,
    until: datetime,
    archive: Archive | None,
    *,
    filters: Mapping[str, Any] | None = None,
    refresh: bool,
    quiet: bool,
) -> list[str]:
    """List the account's ids of a time range; Ctrl-C becomes a message about what is saved."""
    from orstats.account.list_ids import list_ids

    with _resumable(archive):
        return list_ids(
            since,
            until,
            filters=filters,
            client=client,
            archive=False if archive is None else archive,
            refresh=refresh,
            progress=False if quiet else None,
        )


def list_labels(
    client: Client,
    since: datetime,
    until: datetime,
    archive: Archive | None,
    labels: Sequence[str],
    *,
    filters: Mapping[str, Any] | None = None,
    refresh: bool,
    quiet: bool,
) -> pd.DataFrame:
    """List the account's generations of a time range with labels, as :func:`list_range` lists their ids."""
    from orstats.account.list_generations import list_generations

    with _resumable(archive):
        return list_generations(
            since,
            until,
            labels=labels,
            filters=filters,
            client=client,
            archive=False if archive is None else archive,
            refresh=refresh,
            progress=False if quiet else None,
        )


@contextmanager
def _resumable(archive: Archive | None) -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt as interrupt:
        if archive is None:
            raise
        saved = "Completed windows (older than one day) are cached"
        raise Interrupted(f"{saved}; run the same command again to resume.") from interrupt


def time_option(option: str, text: str, *, now: datetime, tz: str = "UTC") -> datetime:
    """Read the time that an option gives, in the zone of ``--tz``."""
    from orstats.account.time_range import moment

    try:
        return moment(text, now=now, tz=zone_option(tz))
    except ConfigError as error:
        raise WrongUsage(f"{option}: {error}") from None


def zone_option(tz: str) -> str:
    """Return the time zone of ``--tz``."""
    from orstats.text.time_zones import zone_of

    try:
        return zone_of(tz)
    except ConfigError as error:
        raise WrongUsage(f"--{error}") from None


def time_range(since: str, until: str, tz: str) -> tuple[datetime, datetime]:
    """Read the time range of ``--since`` and ``--until``."""
    from orstats.account.time_range import span

    now = datetime.now(UTC)
    ends = time_option("--since", since, now=now, tz=tz), time_option("--until", until, now=now, tz=tz)
    try:
        return span(*ends, now=now)
    except ConfigError as error:
        raise WrongUsage(f"--since {since} --until {until}: {error}") from None


def local_time(time: datetime, tz: str) -> str:
    """Write a time as the clock of a zone shows it."""
    from orstats.text.time_zones import clock

    return f"{time.astimezone(clock(tz)):%Y-%m-%d %H:%M}"


def resolve_archive(archive: str | None, no_archive: bool, settings: Settings) -> Archive | None:
    """Return the archive that the options name, or the default one; None for none."""
    if archive is not None and no_archive:
        raise WrongUsage("--archive and --no-archive are mutually exclusive.")
    return choose_archive(False if no_archive else archive, settings)


def read_archive(
    archive: Archive, host: str | None, columns: Collection[str] | None = None, *, advice: str = RUN_FETCH
) -> pd.DataFrame:
    """Return every record of a host as a DataFrame, oldest first; without a host, of the only one there is.

    ``.attrs["unreadable_files"]`` names the files whose records are missing. The error for an empty archive ends with
    the advice.
    """
    import json

    from orstats.archive.dataset import UNREADABLE
    from orstats.archive.location import without_records
    from orstats.frame.build import SOURCE, UNREADABLE_FILES, stored_frame

    hosts = archive.hosts()
    if not hosts:
        raise ArchiveError(f"{without_records(archive.path)} {advice}", path=archive.path)
    if host is None and len(hosts) > 1:
        choice = f"{', '.join(hosts)}. Choose one with --host, or --base-url for a report."
        raise ArchiveError(f"The archive {archive.path} has several hosts: {choice}", path=archive.path)
    host = hosts[0] if host is None else host
    table = archive.read(host, settled_only=False, columns=columns)  # a few columns take a third of the memory
    unreadable = (table.schema.metadata or {}).get(UNREADABLE)
    if not table.num_rows and unreadable is not None:
        raise ArchiveError(f"Cannot read any file of {host} in the archive {archive.path}.", path=archive.path)
    if not table.num_rows:
        available = f"Available hosts: {', '.join(hosts)}. {advice}"
        raise ArchiveError(f"No records for {host} in {archive.path}. {available}", path=archive.path)
    frame = stored_frame(table.sort_by([("created_at", "ascending"), ("id", "ascending")]))
    frame.attrs[SOURCE] = f"{host}, archive {archive.path}"
    if unreadable is not None:
        frame.attrs[UNREADABLE_FILES] = json.loads(unreadable)
    return frame


def read_archive_of_host(
    settings: Settings,
    archive: Archive | None,
    base_url: str | None,
    columns: Collection[str] | None = None,
    *,
    advice: str = RUN_FETCH,
    quiet: bool,
) -> pd.DataFrame:
    """Return the archived records of the host in use, or of the only host there is."""
    from orstats.archive.archive import Archive

    host = settings.host
    if archive is None:  # a server on this machine, and no archive named
        return read_archive(Archive(), host, columns, advice=NAME_AN_ARCHIVE)
    if base_url is not None or host in (hosts := archive.hosts()):
        return read_archive(archive, host, columns, advice=advice)
    frame = read_archive(archive, None, columns, advice=advice)
    if not quiet:
        print_status(f"These are records of {hosts[0]}, the only host in the archive.")
    return frame
