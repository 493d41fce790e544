"""Choose the column of a table that contains the generation ids, and take the ids from it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Final, NamedTuple

from orstats.errors import IdSourceError
from orstats.ids.collector import IdCollector, is_null_mark
from orstats.ids.column_values import ColumnChoiceError, ColumnValues, listing
from orstats.ids.id_shapes import (
    ID_NAMES,
    SHAPE,
    begins_like_id,
    ids_in,
    is_generation_id,
    is_other_value,
    looks_like_id,
    plain_name,
    redact,
)
from orstats.ids.text import search_text
from orstats.text.format import is_present
from orstats.text.suggest import similar

SAMPLE_ROWS: Final = 200
"""Rows that are looked at before a column is chosen."""

BATCH_ROWS: Final = 50_000
"""Rows that are read at a time."""

COLUMN_ADVICE: Final = "pass column=."
"""How a caller of `read_ids` chooses the column."""

#: How lines of logs begin, and what is longer than any name.
_NOT_A_NAME: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]|[{\[\x22]|.{100}")

_NUMBERED: Final = re.compile(r"[0-9]{1,4}")


class SeveralColumnsError(ColumnChoiceError):
    """More than one column contains ids, and the caller must choose."""


class Table(NamedTuple):
    """A table of any format."""

    where: str
    names: Sequence[str]
    sample: Iterable[Sequence[object]]
    """The first rows."""
    batches: Callable[[list[int]], Iterator[dict[int, list[Any]]]]
    """Reads the given columns, in batches of values by the place of the column."""
    types: Sequence[object] = ()
    """Types of columns that hold no text, such as int64; None for the others. Empty: all may hold text."""
    advice: str = COLUMN_ADVICE
    """How the caller can choose the column."""


def read_table(table: Table, found: IdCollector, *, column: str | None) -> None:
    """Add the ids of the column that the user named, or of the one that contains ids."""
    place = _pick_column(table, column)
    if place is None:
        _add_searched_column(table, found)
        return
    chosen = ColumnValues(found, table.names[place], table.where)
    for batch in table.batches([place]):
        values = found.texts(batch[place])
        chosen.add(values if column is not None else _plausible(values, table, place, found))
    chosen.finish([table.names[one] for one in columns_with_ids(table)])


def columns_with_ids(table: Table) -> list[int]:
    """Return the places of the columns that contain ids in the sample."""
    alike = {place for row in table.sample for place, value in enumerate(row) if looks_like_id(value)}
    return sorted(place for place in alike if place < len(table.names))


def _pick_column(table: Table, column: str | None) -> int | None:
    """Choose the column by its name and the ids in the sample; None if that decides nothing."""
    candidates = columns_with_ids(table)
    if column is None:
        return _choose(table, candidates)
    places = [place for place, name in enumerate(table.names) if name == column]
    if not places:
        raise no_such_column(column, table.names, where=table.where)
    return next((place for place in places if place in candidates), places[0])


def _choose(table: Table, candidates: Sequence[int]) -> int | None:
    """Return the candidate with the most certain name, else the only one."""
    plain = [plain_name(name) for name in table.names]
    certain = [place for name in ID_NAMES for place in candidates if plain[place] == name]
    if certain or len(candidates) == 1:
        return (certain or candidates)[0]
    if candidates:
        several = listing([table.names[place] for place in candidates])
        raise SeveralColumnsError(f"{table.where}: several columns contain generation ids ({several}); {table.advice}")
    return None


class _SearchedColumn:
    """The ids in all cells of one column."""

    def __init__(self) -> None:
        self.listed: dict[str, None] = {}  # in order: cells that are ids, and ids inside of cells
        self.inside = IdCollector()  # also those in other forms
        self.has_whole = False
        self.others = self.blanks = 0

    def add(self, values: list[Any]) -> list[str]:
        texts = [cell_text(value) for value in values]
        cells = [text for text in texts if text and not is_null_mark(text)]
        self.blanks += len(texts) - len(cells)
        for text in cells:
            is_whole = looks_like_id(text)
            ids = [text] if is_whole else list(filter(begins_like_id, ids_in(text))) if "gen" in text else []
            self.has_whole = self.has_whole or is_whole
            self.others += not ids
            self.listed.update(dict.fromkeys(ids))
        search_text(["\n".join(cells).encode("utf-8", "replace")], self.inside)
        return cells


class _Search(NamedTuple):
    """What a search of all cells found."""

    columns: list[_SearchedColumn]
    place: int | None
    """The column that contains ids."""
    named: int | None
    """A column with the name of an id column, and its values."""
    named_values: list[str]


def _search_columns(table: Table) -> _Search:
    """Search all cells for ids, because the first rows do not tell which column contains them."""
    plain = [plain_name(name) for name in table.names]
    named = next((plain.index(name) for name in ID_NAMES if name in plain), None)
    named_values: list[str] = []
    columns = [_SearchedColumn() for _ in table.names]
    readable = [place for place in range(len(columns)) if not table.types or table.types[place] is None]
    for batch in table.batches(readable):
        for at, values in batch.items():
            cells = columns[at].add(values)
            if at == named:
                named_values += cells
    place = _choose(table, [at for at, one in enumerate(columns) if one.has_whole])
    if place is None:
        place = _choose(table, [at for at, one in enumerate(columns) if one.inside.ids])
    return _Search(columns, place, named, named_values)


def _add_searched_column(table: Table, found: IdCollector) -> None:
    """Add the ids of the column that a search of all cells finds."""
    search = _search_columns(table)
    if search.place is None:
        _add_named_column(table, search.named, search.named_values, found)
        return
    chosen = search.columns[search.place]
    found.add_listed(chosen.listed)
    found.ids.update(chosen.inside.ids)
    found.blanks += chosen.blanks
    if chosen.has_whole and chosen.others:
        name = redact(table.names[search.place])
        found.notes.append(f"{table.where}: {chosen.others} other values in column {name} skipped")


def find_id_column(table: Table, *, column: str | None) -> int:
    """Return the place of the column from which :func:`read_table` takes the ids, or raise its error."""
    place = _pick_column(table, column)
    if place is not None:
        return place
    search = _search_columns(table)
    if search.place is not None:
        return search.place
    _add_named_column(table, search.named, search.named_values, IdCollector())  # raises if they cannot be ids
    assert search.named is not None
    return search.named


def _add_named_column(table: Table, place: int | None, values: list[str], found: IdCollector) -> None:
    """Add a column that is named like ids but contains none of the known shapes, if its values may be ids."""
    columns = f"Columns: {listing(table.names)}"
    if place is None:
        raise IdSourceError(f"{table.where}: no id column found; {table.advice} {columns}")
    name = redact(table.names[place])
    if table.types and table.types[place] is not None:
        raise IdSourceError(f"{table.where}: column {name} contains {table.types[place]}, not text")
    if not_id := next(filter(is_other_value, values), None):
        raise IdSourceError(
            f"{table.where}: column {name} contains no generation ids (but {redact(not_id)}), and no other column "
            f"does; {table.advice} {columns}"
        )
    named = ColumnValues(found, table.names[place], table.where)
    named.add(values)
    named.finish([], is_named=False)


def _plausible(values: Iterable[str], table: Table, place: int, found: IdCollector) -> Iterator[str]:
    """Skip repeated headers, numbers, times and UUIDs in a column that the user did not name."""
    name = table.names[place]
    plain = plain_name(name)
    skipped = 0
    for value in values:
        if value in found.ids or is_generation_id(value):
            yield value
        elif is_other_value(value):
            skipped += 1
        elif not value or plain_name(value) != plain:
            yield value
    if skipped:
        found.notes.append(f"{table.where}: {skipped} numbers, times or UUIDs in column {redact(name)} skipped")


def name_columns(
    rows: Sequence[Sequence[object]], *, column: str | None
) -> tuple[list[str], Sequence[Sequence[object]], int | None]:
    """Return the names of the columns (numbers without a header), the rows below, and the place of the header."""
    header = _find_header(rows, column=column) if rows else None
    if header is None or (column is None and _is_record(list(map(cell_text, rows[header])))):
        return [str(number) for number in range(1, max(map(len, rows), default=0) + 1)], rows, None
    names, below = [cell_text(cell) for cell in rows[header]], rows[header + 1 :]
    if below and {len(row) for row in below if len(row) > 1} == {len(names) + 1}:
        names.insert(0, "")  # as R writes row names
    return names, below, header


def _is_record(cells: Sequence[str]) -> bool:
    """Tell whether a row that would be the header is one of the table: it has an id inside of a cell, or values."""
    if any(map(SHAPE.search, cells)):
        return True
    is_named = any(plain_name(cell) in ID_NAMES for cell in cells)
    # Small numbers are names of columns without names, as pandas writes them.
    return not is_named and any(is_value(cell) and not _NUMBERED.fullmatch(cell) for cell in cells if cell)


def _find_header(rows: Sequence[Sequence[object]], *, column: str | None) -> int | None:
    """Find the row with the names of the columns, below titles; None when the first row already contains an id."""
    end = next((place for place, row in enumerate(rows) if any(map(looks_like_id, row))), len(rows))
    for place, row in enumerate(rows[:end]):
        cells = [text for cell in row if (text := cell_text(cell))]
        has_name = any(plain_name(cell) in ID_NAMES for cell in cells) and not any(map(is_value, cells))
        if has_name or column in cells:
            return place
    if end == 0:
        return None
    filled = [place for place, row in enumerate(rows[:end]) if sum(bool(cell_text(cell)) for cell in row) > 1]
    as_wide = [place for place in filled if end < len(rows) and len(rows[place]) == len(rows[end])]
    return next(iter(as_wide + filled), 0 if end == len(rows) else end - 1)


def is_value(text: str) -> bool:
    """Tell whether a cell is a value, not the name of a column."""
    return is_other_value(text) or is_null_mark(text)


def check_columns(
    names: Sequence[str], below: Sequence[Sequence[object]], *, header: int | None, column: str | None, where: str
) -> None:
    """Refuse a column of text that is not a table, such as a log, instead of quoting its first line as columns."""
    if column is None or column in names or header is None:
        return
    widths = [len(row) for row in below]
    is_even = widths.count(len(names)) * 2 >= len(widths) and (len(names) > 1 or " " not in names[0])
    if not is_even or is_other_value(names[0]) or any(map(_NOT_A_NAME.match, names)):
        raise ColumnChoiceError(
            f"{where}: has no columns: its first line is not a header. Omit column= to search the text for ids."
        )


def no_such_column(column: str, names: Sequence[str], *, where: str) -> ColumnChoiceError:
    """Return the error for a column that does not exist.

    Examples
    --------
    >>> print(no_such_column("generationid", ["generation_id", "cost"], where="x.csv"))
    x.csv: Unknown column 'generationid'. Did you mean 'generation_id'? Columns: 'generation_id', 'cost'
    """
    wanted = plain_name(column)
    near = [name for name in names if plain_name(name) == wanted] or similar(column, names)
    question = f" Did you mean {listing(near, joint=' or ')}?" if near else ""
    return ColumnChoiceError(f"{where}: Unknown column {redact(column)}.{question} Columns: {listing(names)}")


def cell_text(cell: object) -> str:
    """Return a cell as text; missing values are empty."""
    if isinstance(cell, str):
        return cell.strip()
    if isinstance(cell, bytes):
        return cell.decode("utf-8", "replace")
    return str(cell) if is_present(cell) else ""
