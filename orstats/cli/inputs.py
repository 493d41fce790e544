"""What several commands share: which ids, from whom, kept where; and how to ask for them."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import pandas as pd

from orstats.api.client import Client
from orstats.archive.archive import Archive
from orstats.cli.console import Failure, Interrupted, WrongUsage, print_status
from orstats.fetching import arguments as asked
from orstats.fetching.arguments import choose_archive
from orstats.fetching.fetch import fetch
from orstats.ids.read import read_ids

UNARCHIVED: Final = f"{asked.UNARCHIVED} --archive DIR."


class NoIdsFound(Failure):
    """The sources of ids were read, and hold none."""


def collect_ids(ids: Sequence[str], files: Sequence[str], column: str | None) -> list[str]:
    """Collect the ids given one by one, then those in files; ``-`` is standard input."""
    if column is not None and not files:
        raise WrongUsage("--column chooses from a table: name its file with --ids-from.")
    for one in ids:
        # os.path: an id may be too long for a file's name
        if not one.startswith(("gen-", "gen_")) and (one == "-" or os.path.exists(one)):  # noqa: PTH110
            raise WrongUsage(f"{one} is a file, not an id; use --ids-from {one}")
    found = dict.fromkeys(ids)
    if "-" in files and sys.stdin.isatty():
        print_status("Reading ids from the terminal. End with Ctrl-D on an empty line.")
    for name in files:
        found |= dict.fromkeys(read_ids(sys.stdin.buffer if name == "-" else Path(name), column=column))
    if not found:
        raise NoIdsFound(f"no ids found in {', '.join('standard input' if name == '-' else name for name in files)}.")
    return list(found)


def resolve_archive(archive: str | None, no_archive: bool, client: Client) -> Archive | None:
    """Return the archive that the options name, or the default one; None for none."""
    if archive is not None and no_archive:
        raise WrongUsage("--archive and --no-archive exclude each other.")
    return choose_archive(False if no_archive else archive, client)


def mention_unarchived(archive: Archive | None, no_archive: bool) -> None:
    """Say that records were not archived because they come from a server on this machine."""
    if archive is None and not no_archive:
        print_status(f"Not archived. {UNARCHIVED}")


def fetch_ids(
    ids: Sequence[str],
    client: Client,
    archive: Archive | None,
    *,
    workers: int = 16,
    refresh: bool = False,
    pending_wait: float = 30.0,
    deadline: float | None = None,
    quiet: bool = False,
) -> pd.DataFrame:
    """Fetch; Ctrl-C becomes a sentence on what is kept."""
    try:
        return fetch(
            ids,
            client=client,
            archive=False if archive is None else archive,
            workers=workers,
            refresh=refresh,
            pending_wait=pending_wait,
            deadline=deadline,
            progress=False if quiet else None,
        )
    except KeyboardInterrupt as interrupt:
        if archive is None:
            message = "No archive in use, so nothing was saved; re-running starts from scratch."
        else:
            message = f"Fetched records are in the archive ({archive.path}); run the same command again to resume."
        raise Interrupted(message) from interrupt
