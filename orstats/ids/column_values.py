"""The values of the column that holds the ids: those that cannot be ids are never sent to the API."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from orstats.errors import ConfigError, IdSourceError
from orstats.ids.collector import IdCollector, is_null_mark
from orstats.ids.id_shapes import (
    API_KEY,
    CERTAIN_NAMES,
    FOREIGN_KINDS,
    GENERATION_ID_HINT,
    begins_like_id,
    ids_in,
    invalid_id_kind,
    plain_name,
    redact,
)

_MAX_NAMES: Final = 40
_REPORTED: Final = frozenset({API_KEY, *FOREIGN_KINDS.values()})


class ColumnChoiceError(IdSourceError, ConfigError):
    """The column that the caller named does not exist or holds no ids, or the caller must name one."""


class ColumnValues:
    """Passes the ids of a column on to a collector, and counts the other values."""

    def __init__(self, found: IdCollector, name: str, where: str) -> None:
        self._found = found
        self._name = name
        self._where = where
        self._has_ids = False
        self._before: dict[str, None] = {}  # the values above the first id
        self._skipped = 0
        self._example = ""

    def add(self, values: Iterable[str]) -> None:
        """Take the ids from values. What is known to be another kind of id stays as a row that is never requested."""
        self._found.add_listed(self._ids(values))

    def _ids(self, values: Iterable[str]) -> Iterator[str]:
        known = self._found.ids
        for value in values:
            for one in (value,) if value in known else ids_in(value):
                if begins_like_id(one):
                    if not self._has_ids:
                        self._has_ids = True
                        yield from filter(self._is_other_kind, self._before)
                    yield one
                elif not one.strip() or is_null_mark(one):
                    yield one
                elif not self._has_ids:
                    self._before[one] = None
                elif self._is_other_kind(one):
                    yield one

    def _is_other_kind(self, value: str) -> bool:
        if invalid_id_kind(value) in _REPORTED:
            return True
        self._example = self._example or value
        self._skipped += 1
        return False

    def finish(self, columns_with_ids: Sequence[str], *, is_named: bool = True) -> None:
        """Note what was skipped. Refuse a column without ids, unless its name says that they are of a new shape.

        The caller named the column, or it was found by its heading.
        """
        if self._skipped:
            self._found.notes.append(
                f"{self._where}: column {redact(self._name)}: {self._skipped:,} values that do not look like "
                f"generation ids skipped (first: {redact(self._example)})"
            )
        if self._has_ids or not self._before:
            return
        if columns_with_ids or plain_name(self._name) not in CERTAIN_NAMES:
            raise no_ids(self._name, next(iter(self._before)), columns_with_ids, where=self._where, is_named=is_named)
        self._found.add_listed(self._before)
        if not all(map(invalid_id_kind, self._before)):
            self._found.notes.append(
                f"{self._where}: no value of column {redact(self._name)} has the shape of a generation id; all are "
                "kept unchanged"
            )


def no_ids(
    name: str, example: str, columns_with_ids: Sequence[str], *, where: str, is_named: bool = True
) -> IdSourceError:
    """Return the error for a column whose values are not generation ids.

    It is about the caller's choice if the caller named the column, or could name another one.

    Examples
    --------
    >>> error = no_ids("customer", "Anna", ["generation_id"], where="runs.csv")
    >>> print(error)
    runs.csv: column 'customer' contains no generation ids (first value: 'Anna'). Ids are in 'generation_id'.
    >>> isinstance(error, ConfigError), isinstance(no_ids("id", "5", [], where="runs.csv", is_named=False), ConfigError)
    (True, False)
    """
    others = [one for one in columns_with_ids if one != name]
    advice = (
        f"Ids are in {listing(others)}."
        if others
        else f"{GENERATION_ID_HINT} If these are ids of another shape, pass them one by one instead of the file."
    )
    message = f"{where}: column {redact(name)} contains no generation ids (first value: {redact(example)}). {advice}"
    return ColumnChoiceError(message) if is_named or others else IdSourceError(message)


def check_column_name(column: object) -> None:
    """Refuse another kind of name than text, such as the number of a column."""
    if not isinstance(column, str | None):
        raise ConfigError(f"column must be the name of a column as text, such as {str(column)!r}, got {column!r}.")


def listing(names: Sequence[str], joint: str = ", ") -> str:
    """Quote the names of columns for a message."""
    listed = [redact(name) for name in names[:_MAX_NAMES]]
    if len(names) > _MAX_NAMES:
        listed.append(f"and {len(names) - _MAX_NAMES} more")
    return joint.join(listed) or "none"
