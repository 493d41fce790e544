"""``orstats report`` and ``orstats fields``: tables for people, and files of them."""

from __future__ import annotations

from collections.abc import Sequence

import orjson
import pandas as pd
from rich.table import Table
from rich.text import Text

from orstats.analysis.export import check_target, json_rows, write_csv
from orstats.analysis.report import cost_by
from orstats.api.client import Client
from orstats.cli.archiving import stored
from orstats.cli.asking import ask, gather, place
from orstats.cli.console import SOME_FAILED, WrongUsage, data, say, tables
from orstats.cli.fetching import tell
from orstats.cli.text import count, known, line, plural, tokens, usd, usd_places
from orstats.data.archive import Archive
from orstats.data.views import field_table


def run(
    *,
    ids: Sequence[str],
    files: Sequence[str],
    column: str | None,
    by: str,
    output: str | None,
    base_url: str | None,
    archive: str | None,
    no_archive: bool,
    quiet: bool,
) -> int:
    """Report; the options are those of the command."""
    keys = [key.strip() for key in by.split(",") if key.strip()]
    if not keys:
        raise WrongUsage("--by needs a column, such as model.")
    if unknown := [key for key in keys if key not in field_table().index[1:]]:
        raise WrongUsage(f"--by: there is no column {unknown[0]}; orstats fields lists them.")
    if output is not None:
        check_target(output)
    with Client(base_url=base_url) as client:
        store = place(archive, no_archive, client)
        if ids or files:
            frame = ask(gather(ids, files, column), client, store, quiet=quiet)
        elif no_archive:
            raise WrongUsage("no ids, and no archive to report on. Give ids, or --ids-from FILE.")
        else:
            frame = _archived(store or Archive(archive), client, base_url)
    report = cost_by(frame, keys)
    if output is not None:
        write_csv(report, output)
        say(f"Written to {output}: {plural(len(report), 'row')}.")
    else:
        tables().print(cost_table(report))
    if not quiet:
        tell(frame)
    return SOME_FAILED if bool((frame["fetch_status"] != "ok").any()) else 0


def _archived(store: Archive, client: Client, base_url: str | None) -> pd.DataFrame:
    """Return what is stored of the host in use; when that is nothing and none was named, of the only host there is."""
    named = base_url is not None or client.settings.host in store.hosts()
    return stored(store, client.settings.host if named else None)


def cost_table(report: pd.DataFrame, most: int | None = None) -> Table:
    """Make a table of a cost report that fits 80 columns, of the ``most`` dearest groups; the total is of all."""
    table = Table(box=None, pad_edge=False, header_style="bold", show_footer=True)
    total = report["cost_usd"].sum(min_count=1)
    places = usd_places(total)
    for number, name in enumerate(report.index.names):
        table.add_column(str(name), "total" if number == 0 else "", overflow="fold", footer_style="bold")
    unknown = int(report["cost_unknown"].sum())
    columns = [
        ("count", count(report["generations"].sum())),
        ("cost", usd(total, places)),
        ("share", ""),
        ("tokens", tokens(report["tokens_total"].sum())),
        ("$/Mtok", ""),
        *([("unknown", count(unknown))] if unknown else []),
    ]
    for name, footer in columns:
        table.add_column(name, footer, justify="right", no_wrap=True, footer_style="bold")
    for key, row in report.head(len(report) if most is None else most).iterrows():
        names = key if isinstance(key, tuple) else (key,)
        cells = [
            count(row["generations"]),
            usd(row["cost_usd"], places),
            f"{row['share']:.1%}" if known(row["share"]) else "",
            tokens(row["tokens_total"]),
            f"{row['usd_per_mtok']:,.3f}" if known(row["usd_per_mtok"]) else "",
            *([count(row["cost_unknown"]) if row["cost_unknown"] else ""] if unknown else []),
        ]
        table.add_row(*(Text(line(name) if known(name) else "(none)") for name in names), *cells)
    return table


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
        text = orjson.dumps(list(json_rows(frame)), option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
        data().write(text.decode())
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
