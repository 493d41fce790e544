"""``orstats report`` and ``orstats fields``: tables for people, and files of them."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final

import numpy as np
import pandas as pd

from orstats.account.time_range import span
from orstats.api.client import Client
from orstats.archive.archive import Archive
from orstats.cli.commands.archive import stored
from orstats.cli.commands.fetch import tell
from orstats.cli.commands.ids import ids_between, time_option
from orstats.cli.console import SOME_FAILED, WrongUsage, print_status, show, write_json
from orstats.cli.inputs import UNARCHIVED, collect_ids, fetch_ids, resolve_archive
from orstats.cli.options import dialect_of
from orstats.errors import ConfigError
from orstats.export.csv_cells import named_columns
from orstats.export.html_page import COLUMNS as PAGE_COLUMNS
from orstats.export.html_page import write_html
from orstats.export.write_csv import check_target, json_rows, write_csv
from orstats.export.write_report import ENDINGS as FILE_ENDINGS
from orstats.export.write_report import write_report
from orstats.frame.build import UNREADABLE_FILES, empty_frame
from orstats.frame.summary import SUMMARY_COLUMNS
from orstats.frame.views import field_table
from orstats.reports.cost_tokens_latency import COST_COLUMNS, cost_by
from orstats.reports.periods import PERIOD, freq_of, moments, starts
from orstats.text.format import count, is_present, percents, plural, tokens, usd_amounts
from orstats.text.sanitize import terminal_line
from orstats.text.table import Column
from orstats.text.time_zones import clock, zone_of


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
    is_requested = True
    with Client(base_url=base_url) as client:
        store = resolve_archive(archive, no_archive, client)
        if ids or files:
            frame = fetch_ids(collect_ids(ids, files, column), client, store, refresh=refresh, quiet=quiet)
        elif ends[0] is not None and client.settings.management_key is not None:
            first, last = span(ends[0], ends[1] or datetime.now(UTC))
            listed = ids_between(client, first, last, archive=store, refresh=refresh, quiet=quiet)
            frame = fetch_ids(listed, client, store, refresh=refresh, quiet=quiet) if listed else empty_frame()
        elif no_archive or refresh:
            lacking = ", and no archive to report on" if no_archive else " to fetch again"
            raise WrongUsage(f"no ids{lacking}. Give ids, or --ids-from FILE.")
        else:
            columns = PAGE_COLUMNS if is_page else (*SUMMARY_COLUMNS, *COST_COLUMNS, *keys)
            is_requested = False
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
        said += _give(frame, keys, top, output, dialect, freq=freq, tz=zone)
    if not quiet:
        for words in said:
            print_status(words)
        tell(frame, requested=is_requested)
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
    frame: pd.DataFrame, keys: list[str], top: int | None, output: str | None, dialect: str, **over: Any
) -> list[str]:
    """Print or write a report; return what there is to say about it."""
    report: pd.DataFrame = cost_by(frame, keys or None, **over)
    if top is not None and keys:
        report = _with_rest(report, frame, keys, top, **over)
    if output is None:
        said = show(cost_columns(report))
    else:
        write_report(report, output, dialect=dialect)
        said = [f"Written to {output}: {plural(len(report), 'row')}."]
    if "cost_basis" in keys:
        said.append("cost_basis byok: what providers charged to your own keys, plus the fees for these calls.")
    return said


def _with_rest(report: pd.DataFrame, frame: pd.DataFrame, keys: list[str], top: int, **over: Any) -> pd.DataFrame:
    """Report the groups of the largest cost, and all others as one group, which is the last one in each period."""
    groups = report.index if PERIOD not in report.index.names else cost_by(frame, keys).index
    if len(groups) <= top:
        return report
    rest = f"other ({plural(len(groups) - top, 'group')})"
    is_rest = ~_texts_of(frame[keys]).isin(_texts_of(groups[:top].to_frame()))
    texts = {f"{key} or other": _as_text(frame[key]).mask(is_rest, "") for key in keys}  # flags cannot be text
    first = next(iter(texts))
    report = cost_by(frame.assign(**texts | {first: texts[first].mask(is_rest, rest)}), list(texts), **over)
    report = report.rename_axis(index=dict(zip(texts, keys, strict=True)))
    starts_at = report.index.get_level_values(0)
    period = pd.factorize(starts_at)[0] if PERIOD in report.index.names else np.zeros(len(report))
    last = report.index.get_level_values(keys[0]) == rest
    return report.iloc[np.lexsort((np.arange(len(report)), last, period))]


def _as_text(values: pd.Series[Any]) -> pd.Series[str]:
    text = values.astype("string")
    return text.str.lower() if values.dtype == "boolean" else text


def _texts_of(keys: pd.DataFrame) -> pd.Series[str]:
    """Join the keys of each row to one text; a missing one is told apart from every other."""
    texts = [_as_text(keys[name]).fillna("\0").to_numpy(dtype=object) for name in keys]
    return pd.Series(["\x1f".join(row) for row in zip(*texts, strict=True)], index=keys.index, dtype=object)


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


def cost_columns(report: pd.DataFrame, most: int | None = None) -> list[Column]:
    """Return the columns of a table of a cost report, of the ``most`` first groups; the last line is the total."""
    spent = report["cost_usd"].sum(min_count=1)
    shown = report.head(len(report) if most is None else most)
    columns = [
        Column(
            terminal_line(name),
            list(map(_name, cells)),
            "fixed" if name == PERIOD else "label",
            footer="" if number else "total",
        )
        for number, (name, cells) in enumerate(named_columns(shown)[: report.index.nlevels])
    ]
    *costs, spent_text = usd_amounts([*shown["cost_usd"], spent])
    columns += [
        Column(
            "generations", list(map(count, shown["generations"])), leaves=1, footer=count(report["generations"].sum())
        ),
        Column("cost", costs, footer=spent_text),
        Column("share", percents(shown["share"], ""), leaves=2),
        Column(
            "tokens",
            list(map(tokens, shown["tokens_total"])),
            leaves=4,
            footer=tokens(report["tokens_total"].sum(min_count=1)),
        ),
        Column("$/Mtok", [f"{rate:,.3f}" if is_present(rate) else "" for rate in shown["usd_per_mtok"]], leaves=5),
    ]
    if unknown := int(report["cost_unknown"].sum()):
        cells = [count(number) if number else "" for number in shown["cost_unknown"]]
        columns.append(Column("unknown", cells, leaves=3, footer=count(unknown)))
    return columns


def _name(value: Any) -> str:
    if not is_present(value):
        return "(none)"
    return terminal_line(value.isoformat(" ", "minutes") if isinstance(value, pd.Timestamp) else value, 200)


def dictionary(names: Sequence[str], *, as_json: bool, output: str | None) -> int:
    """Print the field table, or write it."""
    frame = field_table()
    if missing := [name for name in names if name not in frame.index]:
        raise WrongUsage(f"there is no column {missing[0]}; orstats fields lists them.")
    if names:
        frame = frame.loc[list(names)]
    if output is not None:
        write_csv(frame, output)
        print_status(f"Written to {output}: {plural(len(frame), 'row')}.")
    elif as_json:
        write_json(list(json_rows(frame)))
    else:
        units = [unit or _KIND.get(dtype, "") for unit, dtype in zip(frame["unit"], frame["dtype"], strict=True)]
        meanings = [f"{unit}: {words}" if unit else words for unit, words in zip(units, frame["meaning"], strict=True)]
        show(
            [Column("name", list(map(str, frame.index)), "label"), Column("meaning", meanings, "prose")],
            label_style="cyan",
        )
    return 0


_KIND = {"string": "text", "boolean": "true/false"}
