"""The tally of one reading: the ids in order of first sight, and what was seen beside them."""

from __future__ import annotations

import logging
from collections import Counter
from typing import TYPE_CHECKING

from orstats.api.errors import IdSourceError
from orstats.data.ids.shapes import API_KEY, GENERATION_ID_HINT, foreign_kind

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["Found"]

logger = logging.getLogger("orstats.ids")


class Found:
    """Collects ids from one or several sources, and reports at the end.

    Attributes
    ----------
    ids : dict of str to None
        The distinct ids in order of first sight.
    odd : dict of str to None
        What resembles a generation id, but is too long or too short, and was met inside a text.
    blanks : int
        Missing or empty values that were skipped.
    """

    def __init__(self) -> None:
        self.ids: dict[str, None] = {}
        self.odd: dict[str, None] = {}
        self.blanks = 0
        self._listed: Counter[str] = Counter()
        self._searched: Counter[str] = Counter()

    def add_listed(self, values: Iterable[str]) -> None:
        """Add the values of a list as they are, stripped; only API keys are left out.

        Parameters
        ----------
        values
            One text per id. Their shape is not checked: fetch says which of them cannot be had.
        """
        for value in values:
            token = value.strip()
            if not token:
                self.blanks += 1
            elif token not in self.ids:
                kind = foreign_kind(token)
                if kind is not None:
                    self._listed[kind] += 1
                if kind != API_KEY:
                    self.ids[token] = None

    def count_foreign(self, kind: str, number: int = 1) -> None:
        """Count ids of another kind that were met inside a text.

        Parameters
        ----------
        kind
            What `foreign_kind` says of them.
        number
            How many mentions.
        """
        self._searched[kind] += number

    @property
    def foreign(self) -> bool:
        """Whether ids of another kind were met inside a text."""
        return bool(self._searched)

    def only_foreign(self, name: str, *, path: str | None = None) -> IdSourceError:
        """Make the error for a text that holds ids of other kinds only.

        Parameters
        ----------
        name
            What the source is called in messages.
        path
            The file behind it.

        Returns
        -------
        IdSourceError
            It counts and names the kinds, and says where the generation id is found.
        """
        message = f"{name} holds no generation id, but {_counts(self._searched)}. {GENERATION_ID_HINT}"
        return IdSourceError(message, path=path)

    def conclude(self, name: str, *, path: str | None = None) -> list[str]:
        """Log what the user should know, and return the ids.

        Parameters
        ----------
        name
            What the source is called in messages.
        path
            The file behind it, for the error.

        Returns
        -------
        list of str
            The distinct ids in order of first sight.

        Raises
        ------
        IdSourceError
            A text held ids of other kinds only.
        """
        if self._searched and not self.ids:
            raise self.only_foreign(name, path=path)
        foreign = _counts(self._searched)
        if foreign:
            logger.warning("%s also holds %s. %s", name, foreign, GENERATION_ID_HINT)
        if self._listed:
            listed = _counts(self._listed)
            logger.warning("%s lists what is no generation id: %s. %s", name, listed, GENERATION_ID_HINT)
        if self.odd:
            logger.warning(
                "%s: %d x like a generation id, but of an unknown length, skipped; the first is %r. "
                "If it is whole, give the ids as a list.",
                name,
                len(self.odd),
                next(iter(self.odd)),
            )
        if self.blanks:
            logger.warning("%s: %d missing or empty values skipped", name, self.blanks)
        if self.ids:
            logger.info("%s: %d distinct ids", name, len(self.ids))
        else:
            logger.warning("%s holds no id", name)
        return list(self.ids)


def _counts(kinds: Counter[str]) -> str:
    return "; ".join(f"{count} x {kind}" for kind, count in kinds.items())
