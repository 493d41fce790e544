"""``orstats archive``: where it is, what is in it, tidying it, and taking it elsewhere."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Collection, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Final

import pandas as pd
import typer

from orstats.account.time_range import moment
from orstats.archive.archive import Archive
from orstats.archive.forget import Forgotten
from orstats.archive.newest import UNREADABLE
from orstats.cli.console import FAILED, SOME_FAILED, WrongUsage, data, print_status, show, write_json
from orstats.cli.inputs import collect_ids
from orstats.errors import ArchiveError, ConfigError
from orstats.export.write_csv import check_target, json_rows, write_csv
from orstats.frame.build import SOURCE, UNREADABLE_FILES, stored_frame
from orstats.text.format import byte_size, count, plural
from orstats.text.sanitize import terminal_line
from orstats.text.table import Column

_FILL: Final = "Run orstats fetch to add records."


def path(archive: str | None) -> int:
    """Print the archive's place."""
    out = data()
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="surrogateescape")  # a path need not be UTF-8
    out.write(f"{Archive(archive).path}\n")
    return 0


def info(archive: str | None, *, as_json: bool) -> int:
    """Print what is stored for each host."""
    store = Archive(archive)
    frame = store.info()
    if as_json:
        write_json(list(json_rows(frame)))
        return 0
    print_status(f"Archive: {store.path}")
    if frame.empty:
        print_status(f"It is empty. {_FILL}")
        return 0
    days = {name: [f"{at:%Y-%m-%d}" if pd.notna(at) else "?" for at in frame[name]] for name in ("oldest", "newest")}
    sizes = [byte_size(float(number)) for number in frame["bytes"] + frame["contents_bytes"]]
    columns = [
        Column("host", [terminal_line(host) for host in frame.index], "label"),
        Column("generations", list(map(count, frame["ids"]))),
        Column("from", days["oldest"], leaves=2),
        Column("to", days["newest"], leaves=1),
        Column("files", list(map(count, frame["parts"])), leaves=4),
        Column("size", sizes, leaves=3),
        Column("contents", list(map(count, frame["contents"])), leaves=5),
    ]
    for words in show(columns):
        print_status(words)
    damaged = int(frame["damaged"].sum())
    if damaged:
        print_status(
            f"{plural(damaged, 'damaged file')} cannot be read; the ids in it are fetched again when asked for.",
            "yellow",
        )
    return SOME_FAILED if damaged else 0


def compact(archive: str | None, host: str | None) -> int:
    """Merge small files."""
    store = Archive(archive)
    unreadable: list[str] = []
    ignored: list[str] = []
    for one in store.compact(host):
        print_status(
            f"{terminal_line(one.host)} {one.dataset}: {plural(one.parts_before, 'file')} → {one.parts_after:,}, "
            f"{one.rows_before:,} → {plural(one.rows_after, 'row')}, "
            f"{byte_size(one.bytes_before)} → {byte_size(one.bytes_after)}"
        )
        unreadable += one.unreadable
        ignored += one.ignored
    for name in unreadable:
        print_status(f"Skipped unreadable file: {terminal_line(name)}", "yellow")
    for name in ignored:
        print_status(f"Ignored, because it does not belong to the archive: {terminal_line(name)}")
    return FAILED if unreadable else 0


def forget(
    archive: str | None,
    *,
    ids: Sequence[str],
    files: Sequence[str],
    user: Sequence[str] | None,
    model: Sequence[str] | None,
    before: str | None,
    after: str | None,
    contents: bool,
    host: str | None,
    dry_run: bool,
    yes: bool,
) -> int:
    """Show what would be deleted, ask, and delete it."""
    given = [one is not None for one in (user, model, before, after)]
    if not (ids or files or contents or any(given)):
        raise WrongUsage("pass what to forget: ids, --ids-from, --user, --model, --before, --after or --contents.")
    chosen = collect_ids(ids, files, None) if ids or files else None
    now = datetime.now(UTC)
    try:
        ends = [None if text is None else moment(text, now=now) for text in (before, after)]
    except ConfigError as error:
        raise WrongUsage(str(error)) from error
    store = Archive(archive)
    run = partial(
        store.forget,
        ids=chosen,
        user=user,
        model=model,
        before=ends[0],
        after=ends[1],
        host=host,
        contents_only=contents,
    )
    found = run(dry_run=True)
    print_status(f"Archive: {store.path}")
    print_status(f"{'Found' if dry_run else 'To be deleted'}: {_counted(found)}.")
    if found.unattributed:
        print_status(
            f"The contents of {plural(found.unattributed, 'generation')} are kept: no record in this archive tells "
            "their user or model. Pass their ids to delete them.",
            "yellow",
        )
    for name in found.unsearched:
        print_status(f"Cannot be searched: {terminal_line(name)}", "yellow")
    if dry_run:
        return FAILED if found.unsearched else 0
    if found.records or found.contents:
        if not yes and not sys.stdin.isatty():
            raise WrongUsage("nothing was deleted: pass --yes to delete without being asked.")
        if not yes and not typer.confirm("Delete them? This cannot be undone.", err=True):
            print_status("Nothing was deleted.")
            return FAILED
    print_status(f"Deleted: {_counted(run())}.")
    return 0


def _counted(found: Forgotten) -> str:
    return (
        f"{plural(found.records, 'record')} and {plural(found.contents, 'content')} "
        f"of {plural(found.generations, 'generation')} in {plural(found.files, 'file')}"
    )


def export(output: str, archive: str | None, host: str | None, *, raw_text: bool) -> int:
    """Write all records of one host to a file."""
    check_target(output)
    frame = stored(Archive(archive), host)
    write_csv(frame, output, spreadsheet_safe=not raw_text)
    print_status(f"Written to {output}: {plural(len(frame), 'row')}.")
    return SOME_FAILED if frame.attrs.get(UNREADABLE_FILES) else 0


def stored(
    store: Archive, host: str | None, columns: Collection[str] | None = None, *, advice: str = _FILL
) -> pd.DataFrame:
    """Return every record of a host in the frame's form, oldest first; without a host, of the only one there is.

    With only some of the columns a million records take a third of the memory. ``.attrs["unreadable_files"]`` names
    the files whose records are not in it, if there are any. The error when nothing is stored ends with the advice.
    """
    hosts = store.hosts()
    if not hosts:
        raise ArchiveError(f"The archive {store.path} is empty. {advice}", path=store.path)
    if host is None and len(hosts) > 1:
        choice = f"{', '.join(hosts)}. Choose one with --host, or --base-url for a report."
        raise ArchiveError(f"The archive {store.path} has several hosts: {choice}", path=store.path)
    host = hosts[0] if host is None else host
    table = store.read(host, settled_only=False, columns=columns)
    unreadable = (table.schema.metadata or {}).get(UNREADABLE)
    if not table.num_rows and unreadable is not None:
        raise ArchiveError(f"No file of {host} in the archive {store.path} can be read.", path=store.path)
    if not table.num_rows:
        available = f"Available hosts: {', '.join(hosts)}. {advice}"
        raise ArchiveError(f"The archive {store.path} has no records of {host}. {available}", path=store.path)
    frame = stored_frame(table.sort_by([("created_at", "ascending"), ("id", "ascending")]))
    frame.attrs[SOURCE] = f"{host}, archive {store.path}"
    if unreadable is not None:
        frame.attrs[UNREADABLE_FILES] = json.loads(unreadable)
    return frame
