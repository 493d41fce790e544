"""The tally of one reading: the ids in order of first sight, and what was seen beside them."""

from __future__ import annotations

import logging
from bisect import bisect_left
from collections import Counter
from typing import TYPE_CHECKING, Final

from orstats._warn import warn_caller
from orstats.errors import IdSourceError, IdSourceWarning
from orstats.ids.formats import API_KEY, GENERATION_ID_HINT, clean_id, ids_in, invalid_id_kind

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["NULL_MARKS", "IdCollector", "is_null_mark"]

NULL_MARKS: Final = frozenset(
    (
        "\\n",
        "<na>",
        "(null)",
        "null",
        "none",
        "nan",
        "nat",
        "na",
        "n/a",
        "n.a.",
        "#n/a",
        "?",
        "nil",
        "undefined",
        "-",
        "--",
        "\u2013",
        "\u2014",
    )
)
_LONGEST_NULL_MARK: Final = 12

logger = logging.getLogger("orstats.ids")


class IdCollector:
    """Collects ids from one or several sources, and reports at the end.

    Attributes
    ----------
    ids : dict of str to None
        The distinct ids in order of first sight.
    malformed : dict of str to None
        What resembles a generation id, but is too long or too short, and was met inside a text.
    blanks : int
        Missing or empty values that were skipped.
    notes : list of str
        Other sentences that the user should read, such as which files were skipped.
    """

    def __init__(self) -> None:
        self.ids: dict[str, None] = {}
        self.malformed: dict[str, None] = {}
        self.blanks = 0
        self.notes: list[str] = []
        self._listed: Counter[str] = Counter()
        self._searched: Counter[str] = Counter()

    def add_listed(self, values: Iterable[str]) -> None:
        """Add the values of a list as they are, cleaned; only API keys are left out."""
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

    def add_cells(self, values: Iterable[str]) -> None:
        """Add the values of a column like a list, and of longer texts, such as JSON, the ids that they contain."""
        self.add_listed(id_ for value in values for id_ in ids_in(value))

    def count_foreign(self, kind: str, number: int = 1) -> None:
        """Count ids of another kind that were met inside a text."""
        self._searched[kind] += number

    @property
    def foreign(self) -> bool:
        """Whether ids of another kind were met inside a text."""
        return bool(self._searched)

    def only_foreign(self, name: str, *, path: str | None = None) -> IdSourceError:
        """Make the error for a text that holds ids of other kinds only."""
        message = f"{name} holds no generation id, but {_counts(self._searched)}. {GENERATION_ID_HINT}"
        return IdSourceError(message, path=path)

    def finish(self, name: str, *, path: str | None = None) -> list[str]:
        """Warn of what the user should know, and return the ids."""
        if self._searched and not self.ids:
            raise self.only_foreign(name, path=path)
        foreign = _counts(self._searched)
        if foreign:
            _warn(f"{name} also holds {foreign}. {GENERATION_ID_HINT}")
        if self._listed:
            _warn(f"{name} lists values that are not generation ids: {_counts(self._listed)}. {GENERATION_ID_HINT}")
        ids = sorted(self.ids)
        malformed = [text for text in self.malformed if not _begins_one(text, ids)]
        if malformed:
            _warn(
                f"{name}: skipped {len(malformed)} x text like a generation id, but of an unknown length; the first is "
                f"{malformed[0]!r}. If these ids are complete, pass them as a list."
            )
        if self.blanks:
            _warn(f"{name}: {self.blanks} missing or empty values skipped")
        for note in self.notes:
            _warn(note)
        if self.ids:
            logger.info("%s: %d distinct ids", name, len(self.ids))
        else:
            _warn(f"{name} holds no id")
        return list(self.ids)


def is_null_mark(text: str) -> bool:
    """Tell whether a text stands for a missing value, as databases and spreadsheets write it."""
    return len(text) <= _LONGEST_NULL_MARK and clean_id(text).lower() in NULL_MARKS


def _warn(message: str) -> None:
    warn_caller(message, IdSourceWarning)


def _begins_one(text: str, ids: list[str]) -> bool:
    """Tell whether a cut id is the beginning of one of the sorted ids that were found whole."""
    place = bisect_left(ids, text)
    return place < len(ids) and ids[place].startswith(text)


def _counts(kinds: Counter[str]) -> str:
    return "; ".join(f"{count} x {kind}" for kind, count in kinds.items())
