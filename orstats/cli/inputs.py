"""The ids, files of ids and tables that commands are given."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from orstats.cli.console import print_status
from orstats.cli.errors import Failure, WrongUsage
from orstats.cli.shell import END_OF_INPUT, quoted

if TYPE_CHECKING:
    import pandas as pd

    from orstats.export.row_ids import RowIds


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
