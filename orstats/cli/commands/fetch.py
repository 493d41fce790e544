"""``orstats fetch``: ids in, one line each out, and what happened in a few words."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import pandas as pd
from rich.text import Text

from orstats.api.client import Client
from orstats.cli.console import SOME_FAILED, WrongUsage, data, print_status, stderr_console
from orstats.cli.inputs import NoIdsFound, collect_ids, fetch_ids, mention_unarchived, resolve_archive
from orstats.cli.options import dialect_of
from orstats.errors import ApiError, ArchiveError
from orstats.export.write_csv import check_target, write_csv
from orstats.frame.build import empty_frame
from orstats.frame.summary import summary
from orstats.frame.views import failures
from orstats.text.format import cost_parts, count, is_present, plural, usd, usd_places
from orstats.text.sanitize import terminal_line

_EXAMPLES = 5
_ID_WIDTH = 100


def run(
    *,
    ids: Sequence[str],
    files: Sequence[str],
    column: str | None,
    output: str | None,
    excel: str | None,
    workers: int,
    base_url: str | None,
    archive: str | None,
    no_archive: bool,
    refresh: bool,
    pending_wait: float,
    deadline: float | None,
    raw_text: bool,
    quiet: bool,
) -> int:
    """Fetch and write; the options are those of the command."""
    if not ids and not files:
        raise WrongUsage("no ids. Give them as arguments, as --ids-from FILE (a log will do), or piped: --ids-from -")
    dialect = dialect_of(excel, output)
    if output is not None:
        check_target(output)
    try:
        wanted = collect_ids(ids, files, column)
    except NoIdsFound as error:
        write(empty_frame(), output, dialect, raw_text=raw_text)
        raise NoIdsFound(f"{error} Only the header row was written.") from None
    if output is not None:
        check_target(output, rows=len(wanted))
    started = time.monotonic()
    with Client(base_url=base_url) as client:
        store = resolve_archive(archive, no_archive, client)
        try:
            frame = fetch_ids(
                wanted,
                client,
                store,
                workers=workers,
                refresh=refresh,
                pending_wait=pending_wait,
                deadline=deadline,
                quiet=quiet,
            )
        except (ApiError, ArchiveError) as error:
            _save_rest(error, output, dialect, raw_text=raw_text)
            raise
    write(frame, output, dialect, raw_text=raw_text)
    if not quiet:
        tell(frame, time.monotonic() - started)
        if output is not None:
            print_status(f"Written to {output}: {plural(len(frame), 'row')}.")
        mention_unarchived(store, no_archive)
    return SOME_FAILED if bool((frame["fetch_status"] != "ok").any()) else 0


def write(frame: pd.DataFrame, output: str | None, dialect: str, *, raw_text: bool) -> None:
    """Write to a file, or CSV to standard output."""
    write_csv(frame, data() if output is None else output, spreadsheet_safe=not raw_text, dialect=dialect)


def _save_rest(error: ApiError | ArchiveError, output: str | None, dialect: str, *, raw_text: bool) -> None:
    """Write what a stopped fetch has. Not when it has nothing: that would overwrite a good file with empty lines."""
    frame: pd.DataFrame | None = error.frame
    if frame is None:
        return
    had = int((frame["fetch_status"] == "ok").sum())
    if not had or (output is None and isinstance(error, ApiError)):
        return
    write(frame, output, dialect, raw_text=raw_text)
    where = "standard output" if output is None else output
    print_status(f"What was fetched before it stopped is in {where}: {had:,} of {plural(len(frame), 'id')}.", "yellow")


def tell(frame: pd.DataFrame, seconds: float | None = None, *, requested: bool = True) -> None:
    """Say on standard error what came of a fetch: counts, cost, and what failed, why, and what to do.

    Of an archive, from which nothing in particular was requested, only the cost and the counts.
    """
    figures = summary(frame)["value"]
    of = f"{plural(len(frame), 'id')} requested" if requested else f"{plural(len(frame), 'generation')} in the archive"
    parts = [of, f"{count(figures['ok'])} ok"]
    if figures["from_archive"] and requested:
        parts[1] += f" ({count(figures['from_archive'])} from the archive)"
    not_ok = len(frame) - int(figures["ok"])
    if not_ok:
        parts.append(f"{not_ok:,} not ok")
    took = "" if seconds is None else f" in {seconds:.1f} s"
    stderr_console().print(Text(" · ".join(parts) + took, style="bold green" if not not_ok else "bold yellow"))
    if figures["ok"]:
        print_status(cost_line(figures))
    _tell_failures(frame)


def cost_line(figures: pd.Series[Any]) -> str:
    """Say the cost of a summary in a terminal_line, its parts and what is not known."""
    unknown = f"; unknown for {count(figures['cost_unknown'])}, which are not in it" if figures["cost_unknown"] else ""
    if not figures["byok_share"]:
        return f"Cost {usd(figures['cost_usd'])}{unknown}."
    cost = figures["cost_usd"]
    places = usd_places(cost if is_present(cost) else figures["charged_usd"])
    parts = cost_parts(figures.to_dict(), places)
    # What is known of a cost that is unknown is in the parts, and they are more than the whole then.
    return f"Cost {usd(cost, places)}{unknown}" + (f". Charged, with these: {parts}." if unknown else f": {parts}.")


def _tell_failures(frame: pd.DataFrame) -> None:
    failed = failures(frame)
    for status, rows in failed.groupby("fetch_status", sort=False):
        examples = ", ".join(terminal_line(one, _ID_WIDTH) for one in rows.index[:_EXAMPLES])
        more = f" and {len(rows) - _EXAMPLES:,} more" if len(rows) > _EXAMPLES else ""
        stderr_console().print(
            Text(f"  {status} {len(rows):,}: ", style="yellow").append(terminal_line(rows["advice"].iloc[0]), style="")
        )
        if (error := _most_frequent_error(rows["error"])) is not None:
            stderr_console().print(Text(f"    {terminal_line(error)}"))
        stderr_console().print(Text(f"    {examples}{more}", style="dim"))


def _most_frequent_error(errors: pd.Series[str]) -> str | None:
    """Return an example of the error that most of the rows have, apart from the id that each of them names."""
    kinds = pd.Series([str(error).replace(str(name), "") for name, error in errors.items()], errors.index)
    return None if errors.isna().all() else str(errors[kinds == kinds[errors.notna()].mode()[0]].iloc[0])
