"""Collect ids in order of first sight, with warnings about what was skipped; also ids of response objects."""

from __future__ import annotations

import logging
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import chain
from typing import Any, Final, TypeVar

import orjson

from orstats._warn import warn_caller
from orstats.errors import IdSourceError, IdSourceWarning
from orstats.ids.id_shapes import (
    API_KEY,
    GENERATION_ID_HINT,
    begins_like_id,
    clean_id,
    ids_in,
    invalid_id_kind,
    is_other_value,
    looks_like_id,
)
from orstats.ids.source import Source
from orstats.text.format import plural

T = TypeVar("T")

NULL_MARKS: Final = frozenset(
    (
        *("\\n", "<na>", "(null)", "null", "none", "nan", "nat", "na", "n/a", "n.a.", "#n/a", "?", "nil", "undefined"),
        *("-", "--", "\u2013", "\u2014"),
    )
)
"""How databases and spreadsheets write a missing value."""

_LONGEST_NULL_MARK: Final = 12
_MAX_REASONS: Final = 5
_ID_FIELDS: Final = (
    *("generation_id", "gen_id", "generationId", "X-Generation-Id", "x-generation-id"),
    *("provider_response_id", "id"),
)
_OTHER_VALUE: Final = "a number, time or UUID"

logger = logging.getLogger("orstats.ids")


class IdCollector:
    """Collects ids from one or several sources, and warns at the end."""

    def __init__(self) -> None:
        self.ids: dict[str, None] = {}  # in order of first sight
        self.malformed: dict[str, None] = {}  # id-like tokens in a text that are too long or too short
        self.blanks = 0
        self.sources = self.empty_sources = 0  # files and texts, without archives
        self.notes: list[str] = []  # other warnings, such as which files were skipped
        self._listed: Counter[str] = Counter()
        self._searched: Counter[str] = Counter()

    def add_listed(self, values: Iterable[str]) -> None:
        """Add the entries of a list, cleaned, whatever their shape. API keys are skipped."""
        for value in values:
            token = clean_id(value)
            if not token or is_null_mark(token):
                self.blanks += 1
            elif token not in self.ids:
                kind = invalid_id_kind(token)
                if kind is not None:
                    self._listed[kind] += 1
                if kind != API_KEY:
                    self.ids[token] = None

    def texts(self, values: Iterable[Any]) -> Iterator[str]:
        """Yield texts and the ids of response objects. Count missing values, and refuse other types."""
        for position, value in enumerate(values):
            if isinstance(value, str):
                yield value
            elif _is_missing(value):
                self.blanks += 1
            elif (id_ := id_of(value)) is not None:
                if is_other_value(id_):
                    self._listed[_OTHER_VALUE] += 1
                yield id_
            elif has_empty_id(value):
                self.blanks += 1
            else:
                raise TypeError(f"position {position}: an id must be text, got {type(value).__name__}")

    def count_foreign(self, kind: str, number: int = 1) -> None:
        """Count ids of another kind in a text."""
        self._searched[kind] += number

    @property
    def foreign(self) -> bool:
        """Whether a text contained ids of another kind."""
        return bool(self._searched)

    def only_foreign(self, name: str, *, path: str | None = None) -> IdSourceError:
        """Return the error for a text that contains ids of other kinds only."""
        message = f"{name} contains no generation id, but {_counts(self._searched)}. {GENERATION_ID_HINT}"
        return IdSourceError(message, path=path)

    def read_each(
        self, items: Iterable[T], read: Callable[[T], None], where: str, source: Source | None = None
    ) -> None:
        """Read every item that can be read, and note the others; raise the first error if none could be read."""
        failures: list[IdSourceError] = []
        number = 0
        for item in items:
            number += 1
            try:
                read(item)
            except IdSourceError as error:
                if source is not None:
                    source.check_decompression_ratio(where)
                failures.append(error)
        if failures and len(failures) == number:
            raise failures[0]
        if failures:
            reasons = "; ".join(map(str, failures[:_MAX_REASONS]))
            more = len(failures) - _MAX_REASONS
            reasons += f"; and {more} more" if more > 0 else ""
            self.notes.append(f"{where}: {len(failures)} of {number} files skipped: {reasons}")

    def finish(self, name: str, *, path: str | None = None) -> list[str]:
        """Issue the warnings, and return the ids."""
        if self._searched and not self.ids:
            raise self.only_foreign(name, path=path)
        if foreign := _counts(self._searched):
            _warn(f"{name} also contains {foreign}. {GENERATION_ID_HINT}")
        if self._listed:
            _warn(f"{name} lists values that are not generation ids: {_counts(self._listed)}. {GENERATION_ID_HINT}")
        ids = sorted(self.ids)
        malformed = [text for text in self.malformed if not _begins_one(text, ids)]
        if malformed:
            tokens = plural(len(malformed), "id-like token")
            _warn(
                f"{name}: skipped {tokens} of unexpected length (first: {malformed[0]!r}). "
                "If these ids are complete, pass them as a list."
            )
        if self.blanks:
            _warn(f"{name}: skipped {plural(self.blanks, 'missing or empty value')}")
        for note in self.notes:
            _warn(note)
        if self.ids:
            logger.info("%s: %d distinct ids", name, len(self.ids))
        else:
            is_empty = self.sources and self.sources == self.empty_sources
            _warn(f"{name} is empty" if is_empty else f"{name} contains no id")
        return list(self.ids)


def is_null_mark(text: str) -> bool:
    """Tell whether a text stands for a missing value."""
    return len(text) <= _LONGEST_NULL_MARK and clean_id(text).lower() in NULL_MARKS


def id_of(response: Any) -> str | None:
    """Return the generation id of a response object or mapping of any client; None when it has no id."""
    # LangChain and LlamaIndex keep the id in the first of these parts; HTTP libraries have it as a header.
    names = ("response_metadata", "raw", "response", "data", "headers")
    ids: list[str] = []
    for part in chain([response], (_get(response, name) for name in names)):
        ids += [value for name in _ID_FIELDS if isinstance(value := _get(part, name), str)]
        if found := next(filter(looks_like_id, ids), None):
            return found
    if isinstance(response, Mapping):  # a row of a table, or a log entry, whose own key may be called id
        inside = set(filter(begins_like_id, ids_in(_json_text(response))))
        if len(inside) == 1:
            return inside.pop()
    return next(iter(ids), None)


def has_empty_id(response: Any) -> bool:
    """Tell whether the id of a response is None, as that of a failed call."""
    if isinstance(response, Mapping):
        return any(name in response and response[name] is None for name in _ID_FIELDS)
    return any(getattr(response, name, "") is None for name in _ID_FIELDS)


def _json_text(value: Mapping[Any, Any]) -> str:
    options = orjson.OPT_NON_STR_KEYS | orjson.OPT_SERIALIZE_NUMPY
    try:
        return orjson.dumps(value, default=str, option=options).decode()
    except TypeError:  # integers of more than 64 bits, and texts that are not UTF-8
        return str(value)


def _get(value: Any, name: str) -> Any:
    return value.get(name) if isinstance(value, Mapping) else getattr(value, name, None)


def _is_missing(value: Any) -> bool:
    if value is None:
        return True
    import pandas as pd  # noqa: PLC0415 - only a value that is not text needs it

    return bool(pd.api.types.is_scalar(value) and pd.isna(value))


def _warn(message: str) -> None:
    warn_caller(message, IdSourceWarning)


def _begins_one(text: str, ids: list[str]) -> bool:
    """Tell whether a cut id is the beginning of one of the sorted ids."""
    place = bisect_left(ids, text)
    return place < len(ids) and ids[place].startswith(text)


def _counts(kinds: Counter[str]) -> str:
    return "; ".join(f"{count} x {kind}" for kind, count in kinds.items())
