"""The header of a table of generations: where it is, and the names of its columns."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

from orstats.errors import ReadError
from orstats.export.read_columns import (
    ACTIVITY_COLUMNS,
    GENERATION_COLUMNS,
    KNOWN_FIELDS,
    UNNAMED,
    known_names,
)
from orstats.frame.column_units import NAMES, heading
from orstats.frame.schema import ID

#: Lines in which the header is searched: a spreadsheet may have a title above it.
HEADER_LINES: Final = 20
_MISREAD_MARK: Final = "\xef\xbb\xbf"  # a byte-order mark that a program read as Windows-1252, and saved again


def known_in(header: Iterable[Any]) -> set[str]:
    """Return the known names in a header; none if it is not the header of generations."""
    names = set(_header(header))
    known = names & (KNOWN_FIELDS.keys() | ACTIVITY_COLUMNS.keys())
    return known if names & {ID.name, "generation_id", *UNNAMED} and known & GENERATION_COLUMNS else set()


def clean_cell(cell: Any) -> str:
    """Return the name in a cell of a header."""
    text = str(cell if cell is not None else "").strip().removeprefix(_MISREAD_MARK)
    return text.strip("\ufeff\"'").strip()


def _header(cells: Iterable[Any]) -> list[str]:
    """Return the names in a header; those of an orstats workbook, such as ``Cost (USD)``, as columns are named."""
    names = [clean_cell(one) for one in cells]
    if is_for_people(names):
        names = [one if NAMES.get(one, one) in names else NAMES[one] for one in names]
    return known_names(names)


def is_for_people(names: Sequence[str]) -> bool:
    """Tell whether a header is that of an orstats workbook."""
    return heading(ID.name) in names


def column_names(header: Sequence[Any], name: str) -> list[str]:
    """Return the names of the columns, one each; ReadError if two are equal."""
    names = [one or f"column_{at}" for at, one in enumerate(_header(header), start=1)]
    if twice := next((one for one in names if names.count(one) > 1), None):
        raise ReadError(f"{name}: two columns are named {twice!r}. Rename one.", path=name)
    return names
