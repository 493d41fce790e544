"""``orstats ids``: the account's own list of generations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from orstats.cli.console import data_stream, print_status
from orstats.cli.errors import WrongUsage, handle_errors
from orstats.cli.options import (
    MANAGEMENT_KEY,
    ArchiveDir,
    BaseUrl,
    NoArchive,
    Quiet,
    Since,
    TimeZone,
    Until,
    epilog,
    output_option,
)
from orstats.cli.result_file import written

if TYPE_CHECKING:
    import pandas as pd

    from orstats.api.client import Client

app = typer.Typer(rich_markup_mode="rich")


def _filter(what: str, metavar: str) -> Any:
    return typer.Option(
        metavar=metavar, help=f"Only ids of this {what}. May be given several times.", show_default=False
    )


@app.command(
    help="List the ids of all generations of the account in a time range, one per line.\n\n"
    "Safe to interrupt: run the same command again to resume.",
    epilog=epilog(
        "orstats ids --since yesterday --until today -o ids.txt",
        "orstats ids --since 7d --model openai/gpt-4.1-mini-2025-04-14 | orstats fetch --ids-from - -o costs.csv",
        "orstats ids --since 7d --key 'Batch jobs' -o batch.txt",
        "orstats ids --since 7d --labels api_key,user -o keys.csv",
        more=MANAGEMENT_KEY,
    ),
)
@handle_errors
def ids(
    since: Since,
    until: Until = "now",
    tz: TimeZone = "UTC",
    model: Annotated[list[str] | None, _filter("model", "MODEL")] = None,
    user: Annotated[list[str] | None, _filter("end user, as named by your application (external_user)", "USER")] = None,
    key: Annotated[list[str] | None, _filter("API key, given by its name or hash; see `orstats keys`", "NAME")] = None,
    labels: Annotated[
        str | None,
        typer.Option(
            metavar="NAMES",
            help="Write a table of the ids with their api_key, user, app, workspace or country (comma-separated) and "
            "cost: CSV, or by the ending of the file also .xlsx, .parquet, .jsonl.",
            show_default=False,
        ),
    ] = None,
    output: Annotated[
        str | None,
        output_option(
            "Write the ids to a file: one per line, or by its ending a table: .csv, .csv.gz, .xlsx, .parquet, .jsonl."
        ),
    ] = None,
    base_url: BaseUrl = None,
    archive: ArchiveDir = None,
    no_archive: NoArchive = False,
    refresh: Annotated[
        bool, typer.Option("--refresh", metavar="", help="Ignore cached listings and query again.")
    ] = False,
    quiet: Quiet = False,
) -> int:
    from orstats.api.client import Client
    from orstats.cli.archive_records import resolve_archive
    from orstats.cli.resumable import list_labels, list_range
    from orstats.cli.times import local_time, time_range
    from orstats.export.write_csv import ENDINGS, check_target
    from orstats.text.format import plural

    options = {"model": model, "external_user": user, "api_key": key}
    filters = {name: values for name, values in options.items() if values}
    first, last = time_range(since, until, tz)
    names = None if labels is None else _read_labels(labels)
    is_table = labels is not None or (output is not None and output.lower().endswith(ENDINGS))
    if output is not None:
        check_target(output, endings=ENDINGS if is_table else _LINES)
    with Client(base_url=base_url) as client:
        store = resolve_archive(archive, no_archive, client.settings)
        found: list[str] | pd.DataFrame
        if names is None:
            found = list_range(client, first, last, store, filters=filters, refresh=refresh, quiet=quiet)
        else:
            found = list_labels(client, first, last, store, names, filters=filters, refresh=refresh, quiet=quiet)
        hint = _why_empty(client, first, last, filters) if not len(found) and not quiet else None
    _write(_as_table(found) if is_table and isinstance(found, list) else found, output)
    if not quiet:
        ends = f"{local_time(first, tz)} to {local_time(last, tz)} ({tz})"
        print_status(f"{plural(len(found), 'id')} from {ends}.", "bold green" if len(found) else "bold yellow")
        if hint is not None:
            print_status(hint)
        if output is not None:
            print_status(written(output, len(found), "row" if is_table else "line"))
    return 0


def _read_labels(labels: str) -> list[str]:
    from orstats.account.list_generations import labels_of
    from orstats.cli.report_labels import read_keys
    from orstats.errors import ConfigError

    try:
        return labels_of(read_keys(labels))
    except ConfigError as error:
        raise WrongUsage(f"--labels: {error}") from None


def _as_table(ids: list[str]) -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame(index=pd.Index(ids, dtype="string", name="id"))


def _write(found: list[str] | pd.DataFrame, output: str | None) -> None:
    """Write a line for each id, or a table."""
    from orstats.export.output_file import Target
    from orstats.export.write_csv import write_csv

    if not isinstance(found, list):
        write_csv(found, data_stream() if output is None else output)
    elif output is None:
        data_stream().writelines(f"{one}\n" for one in found)
    else:
        lines = (f"{one}\n".encode() for one in found)
        Target(output, _LINES).replace(lambda file: file.writelines(lines))


#: A list of ids may have any name.
_LINES: Final = ("",)
_MAX_RANGE: Final = timedelta(days=31)
_NAMES_SHOWN: Final = 5
_PLURALS: Final = {"model": "Models", "external_user": "Users", "api_key": "API keys"}
_ANALYTICS_DELAY: Final = timedelta(days=1)
_NOT_YET: Final = "Recent ones may not be available yet: try again later."


def _why_empty(client: Client, since: datetime, until: datetime, filters: Mapping[str, Sequence[str]]) -> str:
    """Name the filter that excludes everything, or say that there are no generations, or none yet."""
    from orstats.account.analytics import AnalyticsQuery
    from orstats.account.key_filter import FIELD, is_key_id
    from orstats.account.time_windows import Window
    from orstats.text.suggest import similar

    window = Window(max(since, until - _MAX_RANGE), until)
    for field, values in (filters or {"model": []}).items():
        dimension = "api_key_id" if field == FIELD else field
        answer = AnalyticsQuery(client, []).run(window, ["request_count"], dimensions=[dimension])
        if answer is None:  # too many rows to be added up in time
            continue
        used = sorted(str(row[dimension]) for row in answer[0] if row.get(dimension))
        if not used:
            break
        unknown = [name for name in values if name not in used and not (field == FIELD and is_key_id(name))]
        if unknown:
            near = similar(unknown[0], used, most=_NAMES_SHOWN, cutoff=0.4) or used[:_NAMES_SHOWN]
            return f"No usage of {unknown[0]} in this range. {_PLURALS[field]} found include: {', '.join(near)}."
    else:
        return "No generation matches all the filters." if filters else _NOT_YET
    if until > datetime.now(UTC) - _ANALYTICS_DELAY:
        return f"The account has no generations in this range. {_NOT_YET}"
    return "The account has no generations in this range."
