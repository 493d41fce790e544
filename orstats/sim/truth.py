"""The truth about the account that a simulator serves: what answers can be compared with."""

from __future__ import annotations

import functools
from datetime import timedelta
from typing import Any

from orstats.sim.corpus import ContentReason, Corpus
from orstats.sim.service import Service


class Truth:
    """The part of :class:`orstats.sim.SimServer` that tells what there is, without a request."""

    _corpus: Corpus
    _service: Service
    _unknown = 0

    @functools.cached_property
    def ids(self) -> list[str]:
        """All identifiers of the account in time order (some 7 s and 90 MB for a million)."""
        return list(self._corpus.identifiers())

    def record(self, generation_id: str) -> dict[str, Any]:
        """Tell the true metadata of a generation, even before it can be found.

        Parameters
        ----------
        generation_id
            One of ``ids``.

        Returns
        -------
        dict
            As ``data`` of the answer has it.

        Raises
        ------
        KeyError
            If the account has no such generation.
        """
        return self._corpus.record(self._index(generation_id))

    def content(self, generation_id: str) -> dict[str, Any] | None:
        """Tell the stored content of a generation.

        Parameters
        ----------
        generation_id
            One of ``ids``.

        Returns
        -------
        dict or None
            As ``data`` of the answer has it; None if there is none (see :meth:`content_reason`).

        Raises
        ------
        KeyError
            If the account has no such generation.
        """
        return self._corpus.content(self._index(generation_id))

    def content_format(self, generation_id: str) -> str:
        """Tell in which API's format the content of a generation is stored.

        Parameters
        ----------
        generation_id
            One of ``ids``.

        Returns
        -------
        str
            "chat", or in an awkward account one of :data:`orstats.sim.content_formats.FORMATS`.
        """
        return self._corpus.content_format(self._index(generation_id))

    def content_reason(self, generation_id: str) -> ContentReason:
        """Tell why a generation has content or not.

        Parameters
        ----------
        generation_id
            One of ``ids``.

        Returns
        -------
        str
            "stored"; or, with 404: "logging_off" (not logged at that time), "regional" (served by a regional host),
            "too_old"; or "zero_data_retention" (200, but empty). A key that may not read gets 403 for any.

        Raises
        ------
        KeyError
            If the account has no such generation.
        """
        return self._corpus.content_reason(self._index(generation_id))

    def _index(self, generation_id: str) -> int:
        index = self._corpus.find(generation_id)
        if index is None:
            raise KeyError(generation_id)
        return index

    def young_ids(
        self,
        count: int,
        *,
        found_after: float,
        ran_for: float = 0.0,
        content_after: float | None = None,
        kind: str = "chat",
    ) -> list[str]:
        """Add generations whose calls have just ended, and whose records are not yet available.

        Parameters
        ----------
        count
            How many.
        found_after
            Seconds from now during which their records answer 404.
        ran_for
            Seconds that the calls ran. The second in the ids, and ``created_at``, is when they began;
            ``generation_time`` is this long.
        content_after
            Seconds from now during which their content answers 404; None for as long as the records.
        kind
            "chat"; "video" for ``gen-vid-`` ids; "cancelled", "tools", "embeddings" and so on.

        Returns
        -------
        list of str
            Their ids.
        """
        wait = found_after if content_after is None else content_after
        add = self._service.world.add_young
        return [add(found_after=found_after, content_after=wait, ran_for=ran_for, kind=kind) for _ in range(count)]

    def foreign_ids(self, count: int, *, age: float = 3600.0) -> list[str]:
        """Make ids of generations that belong to another user: the API answers 403.

        Parameters
        ----------
        count
            How many; each call makes the same ones first.
        age
            How many seconds ago the second in them lies.

        Returns
        -------
        list of str
            The ids.
        """
        moment = self._service.world.now - timedelta(seconds=age)
        return [self._corpus.foreign(number, moment) for number in range(count)]

    def unknown_ids(self, count: int, *, age: float | None = None) -> list[str]:
        """Make identifiers that are never found.

        Parameters
        ----------
        count
            How many; each call makes new ones.
        age
            How many seconds ago the second in them lies; None for legacy ones, which have no second.

        Returns
        -------
        list of str
            The identifiers.
        """
        first, self._unknown = self._unknown, self._unknown + count
        moment = None if age is None else self._service.world.now - timedelta(seconds=age)
        return [self._corpus.unknown(number, moment) for number in range(first, self._unknown)]
