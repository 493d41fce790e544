"""Choose the column of a table that holds the generation ids."""

from __future__ import annotations

import difflib
import re
from typing import TYPE_CHECKING, Any, Final

from orstats.errors import IdSourceError
from orstats.ids.collector import IdCollector, is_null_mark
from orstats.ids.formats import ID_NAMES, looks_like_id, plain_name, redact
from orstats.ids.text import search_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

__all__ = ["SAMPLE_ROWS", "ColumnSearch", "name_columns", "no_such_column", "pick_column", "plausible"]

SAMPLE_ROWS: Final = 200
"""Rows that are looked at before a column is chosen."""

_MOST_NAMES: Final = 40
# Numbers, times and UUIDs: keys and measures of other tables, never generation ids.
_NOT_AN_ID = re.compile(
    r"[-+$€£]?[0-9][0-9.,:/ T%+eE-]*Z?|[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}|[0-9a-fA-F]{32}|true|false",
    re.IGNORECASE,
)


def find_header(rows: Sequence[Sequence[object]], *, column: str | None) -> int | None:
    """Find the row with the names of the columns, below titles; None when the first row already holds an id."""
    end = next((place for place, row in enumerate(rows) if any(map(looks_like_id, row))), len(rows))
    for place, row in enumerate(rows[:end]):
        if any(cell == column or plain_name(cell) in ID_NAMES for cell in map(_text, row) if cell):
            return place
    if end == 0:
        return None
    filled = [place for place, row in enumerate(rows[:end]) if sum(bool(_text(cell)) for cell in row) > 1]
    as_wide = [place for place in filled if end < len(rows) and len(rows[place]) == len(rows[end])]
    return next(iter(as_wide + filled), 0 if end == len(rows) else end - 1)


def name_columns(
    rows: Sequence[Sequence[object]], *, column: str | None
) -> tuple[list[str], Sequence[Sequence[object]], int | None]:
    """Give the names of the columns (numbers without a header), the rows below, and the place of the header."""
    header = find_header(rows, column=column) if rows else None
    if header is None:
        return [str(number) for number in range(1, max(map(len, rows), default=0) + 1)], rows, None
    names, below = [_text(cell) for cell in rows[header]], rows[header + 1 :]
    if below and {len(row) for row in below if len(row) > 1} == {len(names) + 1}:
        names.insert(0, "")  # as R writes row names
    return names, below, header


def pick_column(
    names: Sequence[str], rows: Iterable[Sequence[object]], *, column: str | None, where: str
) -> int | None:
    """Choose the column that holds the ids.

    Examples
    --------
    >>> pick_column(["id", "generation_id"], [["1", "gen-1790000000-AbCdEfGhIjKlMnOpQrSt"]],
    ...             column=None, where="x.csv")
    1
    """
    alike = sorted({place for row in rows for place, value in enumerate(row) if looks_like_id(value)})
    alike = [place for place in alike if place < len(names)]
    if column is not None:
        places = [place for place, name in enumerate(names) if name == column]
        if not places:
            raise no_such_column(column, names, where=where)
        return next((place for place in places if place in alike), places[0])
    return _choose(names, alike, where)


def _choose(names: Sequence[str], candidates: Sequence[int], where: str) -> int | None:
    """Take the candidate with the most certain name, else the only one."""
    plain = [plain_name(name) for name in names]
    certain = [place for name in ID_NAMES for place in candidates if plain[place] == name]
    if certain or len(candidates) == 1:
        return (certain or candidates)[0]
    if candidates:
        several = _listing([names[place] for place in candidates])
        raise SeveralColumnsError(f"{where}: several columns hold generation ids ({several}); name one with column=")
    return None


class SeveralColumnsError(IdSourceError):
    """More than one column would do, and the caller must choose."""


class ColumnSearch:
    """Search all cells of a table, when its first rows do not tell which column holds the ids."""

    def __init__(self, names: Sequence[str], where: str) -> None:
        self._names = names
        self._where = where
        self._named = [place for place, name in enumerate(names) if plain_name(name) in ID_NAMES]
        self._named.sort(key=lambda place: ID_NAMES.index(plain_name(names[place])))
        self._values: list[str] = []  # of the column with the most certain name
        self._whole: dict[int, dict[str, None]] = {}
        self._inside: dict[int, IdCollector] = {}
        self._others: dict[int, int] = {}
        self._blanks: dict[int, int] = {}

    def add(self, place: int, values: Iterable[Any]) -> None:
        """Search some values of one column."""
        texts = list(map(_text, values))
        cells = [text for text in texts if text and not is_null_mark(text)]
        self._blanks[place] = self._blanks.get(place, 0) + len(texts) - len(cells)
        if self._named and place == self._named[0]:
            self._values += cells
        whole = dict.fromkeys(filter(looks_like_id, cells))
        inside = self._inside.setdefault(place, IdCollector())
        search_text(["\n".join(cells).encode("utf-8", "replace")], inside)
        self._others[place] = self._others.get(place, 0) + len(cells) - sum(map(looks_like_id, cells))
        if whole:
            self._whole.setdefault(place, {}).update(whole)

    def finish(self, found: IdCollector, types: Sequence[object] = ()) -> None:
        """Hand the ids to `found`, or raise `IdSourceError` when no column, or more than one, holds them."""
        inside = [place for place, searched in self._inside.items() if searched.ids]
        place = _choose(self._names, sorted(self._whole), self._where)
        if place is not None:
            found.add_listed(self._whole[place])
        else:
            place = _choose(self._names, sorted(inside), self._where)
        if place is not None:
            found.ids.update(self._inside[place].ids)
            found.blanks += self._blanks[place]
            if others := self._others[place] if place in self._whole else 0:
                found.notes.append(
                    f"{self._where}: {others} other values in column {redact(self._names[place])} skipped"
                )
            return
        if not self._named:
            raise IdSourceError(
                f"{self._where}: no column is named like or holds generation ids; name one with column=. "
                f"Columns: {_listing(self._names)}"
            )
        name = redact(self._names[self._named[0]])
        kind = types[self._named[0]] if types else None
        if kind is not None:
            raise IdSourceError(f"{self._where}: column {name} holds {kind}, not text")
        if any(map(_NOT_AN_ID.fullmatch, self._values)):
            first = next(filter(_NOT_AN_ID.fullmatch, self._values))
            raise IdSourceError(
                f"{self._where}: column {name} holds no generation ids (but {redact(first)}), and no other column "
                f"does; name one with column=. Columns: {_listing(self._names)}"
            )
        if self._values and not any(value.startswith(("gen-", "gen_")) for value in self._values):
            found.notes.append(
                f"{self._where}: no value of column {name} has the shape of a generation id; they are kept as they are"
            )
        found.add_listed(self._values)


def plausible(values: Iterable[str], name: str, found: IdCollector, *, where: str) -> Iterator[str]:
    """Leave out what stands in a column that nobody named: repeated headers, numbers, times and UUIDs."""
    skipped = 0
    plain = plain_name(name)
    for value in values:
        if value and plain_name(value) == plain:
            continue
        if _NOT_AN_ID.fullmatch(value.strip()):
            skipped += 1
        else:
            yield value
    if skipped:
        found.notes.append(f"{where}: {skipped} numbers, times or UUIDs in column {redact(name)} skipped")


def no_such_column(column: str, names: Sequence[str], *, where: str) -> IdSourceError:
    """Make the error for a column that is not there.

    Examples
    --------
    >>> print(no_such_column("generationid", ["generation_id", "cost"], where="x.csv"))
    x.csv: no column 'generationid'. Did you mean 'generation_id'? Columns: 'generation_id', 'cost'
    """
    wanted = plain_name(column)
    near = [name for name in names if plain_name(name) == wanted]
    near = near or difflib.get_close_matches(column, names, n=3)
    question = f" Did you mean {_listing(near, joint=' or ')}?" if near else ""
    return IdSourceError(f"{where}: no column {redact(column)}.{question} Columns: {_listing(names)}")


def _listing(names: Sequence[str], joint: str = ", ") -> str:
    listed = [redact(name) for name in names[:_MOST_NAMES]]
    if len(names) > _MOST_NAMES:
        listed.append(f"and {len(names) - _MOST_NAMES} more")
    return joint.join(listed) or "none"


def _text(cell: object) -> str:
    """Return a cell as text; missing values are empty."""
    if isinstance(cell, str):
        return cell.strip()
    if isinstance(cell, bytes):
        return cell.decode("utf-8", "replace")
    return "" if cell is None or cell != cell else str(cell)  # noqa: PLR0124 - NaN
