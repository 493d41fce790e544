"""``orstats archive``: where it is, what is in it, tidying it, and taking it elsewhere."""

from __future__ import annotations

from collections.abc import Collection

import pandas as pd
from rich.table import Table
from rich.text import Text

from orstats.analysis.export import check_target, json_rows, write_csv
from orstats.api.errors import ArchiveError
from orstats.cli.console import FAILED, data, say, tables, write_json
from orstats.cli.text import count, line, plural, size
from orstats.data.archive.archive import Archive
from orstats.data.frame.frame import stored_frame


def path(archive: str | None) -> int:
    """Print the archive's place."""
    data().write(f"{Archive(archive).path}\n")
    return 0


def info(archive: str | None, *, as_json: bool) -> int:
    """Print what is stored for each host."""
    store = Archive(archive)
    frame = store.info()
    if as_json:
        write_json(list(json_rows(frame)))
        return 0
    say(f"Archive: {store.path}")
    if frame.empty:
        say("It is empty: orstats fetch fills it.")
        return 0
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("host", overflow="fold")
    for name in ("generations", "from", "to", "files", "size", "contents"):
        table.add_column(name, justify="right", no_wrap=True)
    for host, row in frame.iterrows():
        days = [f"{moment:%Y-%m-%d}" if pd.notna(moment) else "?" for moment in (row["oldest"], row["newest"])]
        stored = size(float(row["bytes"]) + float(row["contents_bytes"]))
        cells = [count(row["ids"]), *days, count(row["parts"]), stored, count(row["contents"])]
        table.add_row(Text(line(host)), *cells)
    tables().print(table)
    damaged = int(frame["damaged"].sum())
    if damaged:
        say(
            f"{plural(damaged, 'damaged file')} cannot be read; the ids in it are fetched again when asked for.",
            "yellow",
        )
    return 0


def compact(archive: str | None, host: str | None) -> int:
    """Merge small files."""
    store = Archive(archive)
    unreadable: list[str] = []
    for one in store.compact(host):
        say(
            f"{line(one.host)} {one.dataset}: {plural(one.parts_before, 'file')} → {one.parts_after:,}, "
            f"{one.rows_before:,} → {plural(one.rows_after, 'row')}, {size(one.bytes_before)} → {size(one.bytes_after)}"
        )
        unreadable += one.unreadable
    for name in unreadable:
        say(f"Left alone, because it cannot be read: {line(name)}", "yellow")
    return FAILED if unreadable else 0


def export(output: str, archive: str | None, host: str | None, *, raw_text: bool) -> int:
    """Write all records of one host to a file."""
    check_target(output)
    frame = stored(Archive(archive), host)
    write_csv(frame, output, spreadsheet_safe=not raw_text)
    say(f"Written to {output}: {plural(len(frame), 'row')}.")
    return 0


def stored(store: Archive, host: str | None, columns: Collection[str] | None = None) -> pd.DataFrame:
    """Return every record of a host in the frame's form, oldest first; without a host, of the only one there is.

    With only some of the columns a million records take a third of the memory.

    Raises
    ------
    ArchiveError
        Nothing is stored, or it is not clear of which host.
    """
    hosts = store.hosts()
    if not hosts:
        raise ArchiveError(f"The archive {store.path} is empty: orstats fetch fills it.", path=store.path)
    if host is None and len(hosts) > 1:
        choice = f"{', '.join(hosts)}. Choose one with --host, or --base-url for a report."
        raise ArchiveError(f"The archive {store.path} has several hosts: {choice}", path=store.path)
    table = store.read(hosts[0] if host is None else host, settled_only=False, columns=columns)
    if not table.num_rows:
        raise ArchiveError(
            f"The archive {store.path} has nothing of {host}, but of {', '.join(hosts)}.", path=store.path
        )
    return stored_frame(table.sort_by([("created_at", "ascending"), ("id", "ascending")]))
