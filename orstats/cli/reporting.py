"""``orstats report`` and ``orstats fields``: tables for people, and files of them."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final

import numpy as np
import pandas as pd
from rich.table import Table
from rich.text import Text

from orstats.analysis.buckets import freq_of, moments, starts
from orstats.analysis.cells import PERIOD, named_columns
from orstats.analysis.export import check_target, json_rows, write_csv
from orstats.analysis.page import COLUMNS as PAGE_COLUMNS
from orstats.analysis.page import write_html
from orstats.analysis.report import COST_COLUMNS, cost_by
from orstats.analysis.report_files import ENDINGS as FILE_ENDINGS
from orstats.analysis.report_files import write_report
from orstats.api.client import Client
from orstats.api.errors import ConfigError
from orstats.cli.archiving import stored
from orstats.cli.asking import UNARCHIVED, ask, gather, place
from orstats.cli.console import SOME_FAILED, Name, WrongUsage, say, tables, write_json
from orstats.cli.discovering import ids_between, time_option
from orstats.cli.fetching import tell
from orstats.cli.options import dialect_of
from orstats.cli.text import count, known, plural, short, tokens, usd, usd_places
from orstats.data.account.timespan import span
from orstats.data.archive.archive import Archive
from orstats.data.frame.frame import UNREADABLE_FILES, empty_frame
from orstats.data.frame.totals import SUMMARY_COLUMNS
from orstats.data.frame.views import field_table
from orstats.data.zones import clock, zone_of


def run(
    *,
    ids: Sequence[str],
    files: Sequence[str],
    column: str | None,
    by: str,
    freq: str | None,
    tz: str,
    since: str | None,
    until: str | None,
    top: int | None,
    output: str | None,
    excel: str | None,
    base_url: str | None,
    archive: str | None,
    no_archive: bool,
    refresh: bool,
    quiet: bool,
) -> int:
    """Report; the options are those of the command."""
    keys = [key.strip() for key in by.split(",") if key.strip()]
    if not keys and freq is None:
        raise WrongUsage("--by needs a column, such as model; or --freq a length of time, such as D.")
    _check(keys)
    try:
        zone, _ = zone_of(tz), freq is None or freq_of(freq)
    except ConfigError as error:
        raise WrongUsage(f"--{error}") from error
    ends = _ends(since, until, zone)
    dialect = _check_output(output, excel)
    is_page = output is not None and output.lower().endswith(_PAGES)
    said: list[str] = []
    with Client(base_url=base_url) as client:
        store = place(archive, no_archive, client)
        if ids or files:
            frame = ask(gather(ids, files, column), client, store, refresh=refresh, quiet=quiet)
        elif ends[0] is not None and client.settings.management_key is not None:
            first, last = span(ends[0], ends[1] or datetime.now(UTC))
            listed = ids_between(client, first, last, archive=store, refresh=refresh, quiet=quiet)
            frame = ask(listed, client, store, refresh=refresh, quiet=quiet) if listed else empty_frame()
        elif no_archive or refresh:
            lacking = ", and no archive to report on" if no_archive else " to fetch again"
            raise WrongUsage(f"no ids{lacking}. Give ids, or --ids-from FILE.")
        else:
            columns = PAGE_COLUMNS if is_page else (*SUMMARY_COLUMNS, *COST_COLUMNS, *keys)
            frame, said = _archived(store, client, base_url, columns)
    frame, undated = _between(frame, *ends)
    frame.attrs |= {
        name: end.isoformat() for name, end in zip(("since", "until"), ends, strict=True) if end is not None
    }
    said += undated + _times(*ends, freq, zone)
    if output is not None and is_page:
        write_html(frame, output, tz=zone, freq=freq or "D")
        said.append(f"Written to {output}.")
    else:
        said += _give(cost_by(frame, keys or None, freq=freq, tz=zone), frame, keys, top, output, dialect)
    if not quiet:
        for words in said:
            say(words)
        tell(frame)
    incomplete = bool((frame["fetch_status"] != "ok").any()) or bool(frame.attrs.get(UNREADABLE_FILES))
    return SOME_FAILED if incomplete else 0


def _check_output(output: str | None, excel: str | None) -> str:
    """Find out whether the file can be written, and return the dialect of its CSV."""
    if output is not None:
        check_target(output, endings=_ENDINGS)
    elif excel is not None:
        raise WrongUsage("--excel needs a file: -o FILE.csv")
    return dialect_of(excel, output)


def _check(keys: Sequence[str]) -> None:
    columns = list(field_table().index[1:])
    for key in keys:
        if key not in columns:
            near = difflib.get_close_matches(key, columns, 3)
            hint = f"did you mean {' or '.join(near)}?" if near else "orstats fields lists them."
            raise WrongUsage(f"--by: there is no column {key}; {hint}")


def _give(
    whole: pd.DataFrame, frame: pd.DataFrame, keys: list[str], top: int | None, output: str | None, dialect: str
) -> list[str]:
    """Print or write a report, of some groups only when that is wanted; return what there is to say about it."""
    report = whole if top is None or not keys else _dearest(whole, cost_by(frame, keys).index[:top])
    said = []
    if output is None:
        tables().print(cost_table(report, total=whole))
    else:
        write_report(report, output, dialect=dialect)
        said.append(f"Written to {output}: {plural(len(report), 'row')}.")
    if "cost_basis" in keys:
        said.append("cost_basis byok: what providers charged to your own keys, plus the fees for these calls.")
    if len(report) < len(whole):
        said.append(f"{plural(len(whole) - len(report), 'row')} of less costly groups left out by --top.")
    return said


_PAGES: Final = (".html", ".htm")
_ENDINGS: Final = (*FILE_ENDINGS, *_PAGES)


def _ends(since: str | None, until: str | None, zone: str) -> tuple[datetime | None, datetime | None]:
    now = datetime.now(UTC)
    first = None if since is None else time_option("--since", since, now=now, tz=zone)
    last = None if until is None else time_option("--until", until, now=now, tz=zone)
    if first is not None and last is not None and first >= last:
        raise WrongUsage(f"--since {since} --until {until}: the range must begin before its end.")
    return first, last


def _times(since: datetime | None, until: datetime | None, freq: str | None, zone: str) -> list[str]:
    """Say which times and time zone a report has, and that its first period is not a whole one."""
    ends = [
        f" {word} {end.astimezone(clock(zone)):%Y-%m-%d %H:%M}"
        for word, end in (("from", since), ("to", until))
        if end is not None
    ]
    said = [f"Times in {zone}{''.join(ends)}."] if ends or freq is not None else []
    if since is not None and freq is not None:
        unit = freq_of(freq)
        started = starts(np.array([since.replace(tzinfo=None)], "datetime64[us]"), unit, zone)
        (start,) = pd.DatetimeIndex(moments(started, unit, zone), tz="UTC").tz_convert(clock(zone))
        if start < since:
            whole = start.isoformat(timespec="minutes")
            said.append(f"The first {unit} is incomplete: it begins before --since. For all of it use --since {whole}.")
    return said


def _between(frame: pd.DataFrame, since: datetime | None, until: datetime | None) -> tuple[pd.DataFrame, list[str]]:
    """Leave out what was created at other times, and say of how many rows nobody knows.

    Rows that are not ok stay: they say how much of the answer is missing.
    """
    if since is None and until is None:
        return frame, []
    created, is_ok = frame["created_at"], frame["fetch_status"] == "ok"
    kept = created.notna()
    if since is not None:
        kept &= created >= pd.Timestamp(since)
    if until is not None:
        kept &= created < pd.Timestamp(until)
    undated = int((created.isna() & is_ok).sum())
    words = f"{plural(undated, 'row')} without created_at left out: nobody knows whether they belong to that time."
    return frame.loc[kept | ~is_ok], [words] if undated else []


def _dearest(report: pd.DataFrame, groups: pd.Index[Any]) -> pd.DataFrame:
    """Keep the rows of some groups, in all periods."""
    index = report.index
    if isinstance(index, pd.MultiIndex) and PERIOD in index.names:
        index = index.droplevel(PERIOD)
    return report.loc[index.isin(groups)]


def _archived(
    store: Archive | None, client: Client, base_url: str | None, columns: Sequence[str]
) -> tuple[pd.DataFrame, list[str]]:
    """Return the archived records of the host in use, or of the only host there is, and say so in that case."""
    if store is None:  # a server on this machine, and no archive named
        return stored(Archive(), client.settings.host, columns, advice=UNARCHIVED), []
    host = client.settings.host
    if base_url is not None or host in store.hosts():
        return stored(store, host, columns), []
    frame = stored(store, None, columns)
    return frame, [f"These are records of {', '.join(store.hosts())}, the only host in the archive."]


def cost_table(report: pd.DataFrame, most: int | None = None, *, total: pd.DataFrame | None = None) -> Table:
    """Make a table of a cost report that fits 80 columns, of the ``most`` first groups.

    The last line is the sum of all groups, and of those of another report when it is given.
    """
    whole = report if total is None else total
    table = Table(box=None, pad_edge=False, header_style="bold", show_footer=True)
    spent = whole["cost_usd"].sum(min_count=1)
    places = usd_places(spent)
    for number, name in enumerate(report.index.names):
        table.add_column(Name(str(name)), "total" if number == 0 else "", overflow="fold", footer_style="bold")
    unknown = int(whole["cost_unknown"].sum())
    columns = [
        ("count", count(whole["generations"].sum())),
        ("cost", usd(spent, places)),
        ("share", ""),
        ("tokens", tokens(whole["tokens_total"].sum(min_count=1))),
        ("$/Mtok", ""),
        *([("unknown", count(unknown))] if unknown else []),
    ]
    for name, footer in columns:
        table.add_column(name, footer, justify="right", no_wrap=True, footer_style="bold")
    shown = report.head(len(report) if most is None else most)
    keys = [column.to_list() for _, column in named_columns(shown)[: report.index.nlevels]]
    for names, (_, row) in zip(zip(*keys, strict=True), shown.iterrows(), strict=True):
        cells = [
            count(row["generations"]),
            usd(row["cost_usd"], places),
            f"{row['share']:.1%}" if known(row["share"]) else "",
            tokens(row["tokens_total"]),
            f"{row['usd_per_mtok']:,.3f}" if known(row["usd_per_mtok"]) else "",
            *([count(row["cost_unknown"]) if row["cost_unknown"] else ""] if unknown else []),
        ]
        table.add_row(*(Name(_name(name)) for name in names), *cells)
    return table


def _name(value: Any) -> str:
    if not known(value):
        return "(none)"
    return short(value.isoformat(" ", "minutes") if isinstance(value, pd.Timestamp) else value, 200)


def dictionary(names: Sequence[str], *, as_json: bool, output: str | None) -> int:
    """Print the field table, or write it."""
    frame = field_table()
    if missing := [name for name in names if name not in frame.index]:
        raise WrongUsage(f"there is no column {missing[0]}; orstats fields lists them.")
    if names:
        frame = frame.loc[list(names)]
    if output is not None:
        write_csv(frame, output)
        say(f"Written to {output}: {plural(len(frame), 'row')}.")
    elif as_json:
        write_json(list(json_rows(frame)))
    else:
        table = Table(box=None, pad_edge=False, header_style="bold")
        table.add_column("name", no_wrap=True, style="cyan")
        table.add_column("meaning", overflow="fold")
        for name, row in frame.iterrows():
            unit = row["unit"] or _KIND.get(row["dtype"], "")
            table.add_row(str(name), Text.assemble((f"{unit}: " if unit else "", "green"), row["meaning"]))
        tables().print(table)
    return 0


_KIND = {"string": "text", "boolean": "true/false"}
