"""The records that a report is about, of given ids, a time range of the account or the archive, and its outcome."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal

from orstats.cli.console import print_status
from orstats.cli.errors import SOME_FAILED, WrongUsage

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from orstats.cli.report_range import Range

Source = Literal["ids", "account", "archive"]


@dataclass(frozen=True, slots=True)
class Selection:
    """What the options of a command select, and where it is kept."""

    ids: list[str]
    ids_from: list[str]
    column: str | None
    base_url: str | None
    archive: str | None
    no_archive: bool
    refresh: bool
    quiet: bool


def read_records(
    selected: Selection, span: Range, columns: Sequence[str], labels: Sequence[str] = ()
) -> tuple[Source, pd.DataFrame]:
    """Return the records to report on, and where they come from. The archive is read in the given columns only."""
    from orstats.api.config import Settings
    from orstats.cli.archive_records import FETCH_OR_LIST, RUN_FETCH, read_archive_of_host, resolve_archive
    from orstats.cli.inputs import collect_ids
    from orstats.cli.resumable import fetch_ids, list_labels, list_range

    settings = Settings.resolve(base_url=selected.base_url)
    store = resolve_archive(selected.archive, selected.no_archive, settings)
    is_given = bool(selected.ids or selected.ids_from)
    quiet, refresh = selected.quiet, selected.refresh
    if not is_given and (span.start is None or (settings.management_key is None and not labels)):
        if selected.no_archive or refresh:
            lacking = ", and no archive to report on" if selected.no_archive else " to fetch again"
            raise WrongUsage(f"no ids{lacking}. Pass ids, or --ids-from FILE.")
        advice = RUN_FETCH if span.start is None else FETCH_OR_LIST
        return "archive", read_archive_of_host(settings, store, selected.base_url, columns, advice=advice, quiet=quiet)
    from orstats.api.client import Client  # reports on the archive load no HTTP library

    collected = collect_ids(selected.ids, selected.ids_from, selected.column) if is_given else []
    with Client(base_url=selected.base_url) as client:
        listed = None
        end = span.end or datetime.now(UTC)
        if span.start is not None and labels:
            listed = list_labels(client, span.start, end, store, labels, refresh=refresh, quiet=quiet)
        if listed is not None and not is_given:
            collected = list(listed.index)
        elif span.start is not None and not is_given:
            collected = list_range(client, span.start, end, store, refresh=refresh, quiet=quiet)
        frame = fetch_ids(collected, client, store, refresh=refresh, quiet=quiet)
        if listed is not None:
            from orstats.cli.report_labels import add_labels

            add_labels(frame, listed, labels)
    return "ids" if is_given else "account", frame


def print_outcome(
    frame: pd.DataFrame, source: Source, remarks: Sequence[str], *, costs: bool = True, quiet: bool
) -> int:
    """Print the remarks and the summary of a report, and return its exit code."""
    from orstats.cli.summary import print_summary
    from orstats.frame.build import UNREADABLE_FILES

    if not quiet:
        for remark in remarks:
            print_status(remark)
        print_summary(frame, requested=source != "archive", costs=costs)
    is_complete = (frame["fetch_status"] == "ok").all() and not frame.attrs.get(UNREADABLE_FILES)
    return 0 if is_complete else SOME_FAILED
