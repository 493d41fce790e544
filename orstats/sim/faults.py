"""Faults on purpose: which request gets which one.

Faults follow from the seed and the identifier, not from the moment, so that a run can be repeated whatever the
order in which a client asks.
"""

from __future__ import annotations

import math
from bisect import bisect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import accumulate

from orstats.sim.dataset.random_streams import number
from orstats.sim.fault_replies import CDN_STATUSES, FOREIGN_JSON, HOLLOW, TITLES, fault_reply
from orstats.sim.http import MESSAGES, Reply

_2_64 = 1 << 64

DEFAULT_KINDS: tuple[str, ...] = (
    "408",
    "429",
    "429-date",
    "429-reset",
    "429-bare",
    "429-ms",
    "429-both",
    "429-metadata",
    "500",
    "502",
    "502-metadata",
    "503",
    "503-seconds",
    "504",
    "520",
    "521",
    "522",
    "523",
    "524",
    "525",
    "527",
    "529",
    "530",
    "reset",
    "close",
    "cut",
    "truncated",
    "html-502",
    "html-503",
    "html-524",
    "json-502",
    "text-502",
    "blank-200",
    "error-200",
    "html-200",
)
_WAITS = ("seconds", "date", "ms", "both", "reset", "bare")
ALL_KINDS: tuple[str, ...] = tuple(
    dict.fromkeys(
        (
            *DEFAULT_KINDS,
            *map(str, MESSAGES),
            *map(str, CDN_STATUSES),
            *(f"{status}-{wait}" for status in (429, 503) for wait in _WAITS),
            *(f"{status}-metadata" for status in MESSAGES),
            *TITLES,
            *(f"json-{status}" for status in FOREIGN_JSON),
            *HOLLOW,
            "blank-200",
            "wrapped-200",
            "hang",
            "drip",
            "redirect",
        )
    )
)
_CORRUPTING = {"truncated", "cut", "drip", "wrapped-200"}
_SCRIPT_KINDS = {*ALL_KINDS, "ok"}


@dataclass(frozen=True)
class Faults:
    """What goes wrong, how often and for whom.

    Parameters
    ----------
    rate
        Share of the identifiers (0 to 1) whose first requests get a fault and then succeed.
    kinds
        The faults to choose from, all equally likely; or a mapping from each to its own share of the identifiers,
        which takes the place of ``rate``. The default excludes what never heals or takes long, such as "404",
        "html-403" and "hang".

        * ``"502"``: that status with the API's error body; 520 to 530 with the CDN's plain text. ``"403-metadata"``:
          with ``error.metadata``, ``openrouter_metadata`` and ``user_id``, too.
        * ``"429"``: with ``Retry-After`` in seconds. ``"429-date"``, ``"429-ms"`` (``retry-after-ms``), ``"429-both"``,
          ``"429-reset"`` (``X-RateLimit-*``, epoch ms) and ``"429-bare"`` (no such header). ``"503"`` has no header;
          ``"503-seconds"`` and the others do.
        * ``"reset"`` and ``"close"`` end the connection before the answer, ``"cut"`` in the middle of its body.
          ``"truncated"`` is half a JSON body with a matching length, ``"drip"`` sends a byte at a time, ``"hang"``
          nothing. ``"redirect"`` points to another host.
        * Pages of proxies and firewalls: ``"html-403"`` (also 200, 400, 404, 502, 503, 524), ``"captive-200"``,
          ``"text-502"``; and JSON without ``error``: ``"json-403"`` (also 400, 404, 502).
        * A 200 without a record: ``"error-200"`` (an ``error`` body), ``"empty-200"`` (``{"data": {}}``),
          ``"null-200"``, ``"list-200"``, ``"foreign-200"`` (no known field), ``"blank-200"`` (no body);
          ``"wrapped-200"`` is ``{"data": {"data": {...}}}``.
    seed
        Another seed hits other identifiers.
    repeat
        Each of them gets 1 to ``repeat`` faults.
    per_id
        Scripts for chosen identifiers (or paths, such as "/key", of endpoints without one): the faults of the
        first requests in order, "ok" for none; later requests succeed. Metadata and content count apart.
    always
        Faults that never heal, for chosen identifiers or paths.
    retry_after_s
        How long the 429s ask to wait, in seconds.
    drip_s
        Time between two bytes of a dripping answer, in seconds.
    redirect_to
        Where "redirect" points: a client must not take its key there.

    Raises
    ------
    ValueError
        If a kind is unknown or ``rate`` is not a share.

    Examples
    --------
    >>> faults = Faults(rate=0, per_id={"gen-1": ["429", "ok", "reset"]})
    >>> [faults.kind("gen-1", attempt) for attempt in range(4)]
    ['429', None, 'reset', None]
    """

    rate: float = 0.1
    kinds: Sequence[str] | Mapping[str, float] = DEFAULT_KINDS
    seed: int = 0
    repeat: int = 1
    per_id: Mapping[str, Sequence[str]] = field(default_factory=dict)
    always: Mapping[str, str] = field(default_factory=dict)
    retry_after_s: int = 1
    drip_s: float = 0.01
    redirect_to: str = "https://elsewhere.invalid/api/v1/generation"

    def __post_init__(self) -> None:
        named = {*self.kinds, *self.always.values(), *(kind for script in self.per_id.values() for kind in script)}
        unknown = sorted(named - _SCRIPT_KINDS)
        if unknown:
            raise ValueError(f"unknown kinds of fault: {', '.join(unknown)}; known are {', '.join(ALL_KINDS)}")
        if isinstance(self.kinds, Mapping):
            object.__setattr__(self, "rate", math.fsum(self.kinds.values()))
        if not 0 <= self.rate <= 1:
            raise ValueError(f"rate is a share from 0 to 1, not {self.rate}")
        if self.repeat < 1:
            raise ValueError(f"repeat must be 1 or more, not {self.repeat}")
        if self.rate and not self.kinds:
            raise ValueError("a rate needs kinds to choose from")

    def kind(self, key: str, attempt: int) -> str | None:
        """Return the fault that a request is given.

        Parameters
        ----------
        key
            The requested id, or the path of an endpoint without one.
        attempt
            Number of earlier requests for it.

        Returns
        -------
        str or None
            A kind of fault, or None: the request is answered well.
        """
        if key in self.always:
            return self.always[key]
        if key in self.per_id:
            script = self.per_id[key]
            kind = script[attempt] if attempt < len(script) else "ok"
            return None if kind == "ok" else kind
        if not self.rate or key.startswith("/") or number(self.seed, "fault", key) >= self.rate * _2_64:
            return None
        if attempt > number(self.seed, "fault-count", key) % self.repeat:
            return None
        pick = number(self.seed, "fault-kind", key, attempt)
        if not isinstance(self.kinds, Mapping):
            return self.kinds[pick % len(self.kinds)]
        shares = list(accumulate(self.kinds.values()))
        return list(self.kinds)[bisect(shares, pick / _2_64 * shares[-1])]

    def reply(self, kind: str) -> Reply | None:
        """Return the response of a request with a fault.

        Parameters
        ----------
        kind
            One of the kinds above.

        Returns
        -------
        Reply or None
            None for a kind that :meth:`corrupts` a good answer.
        """
        return fault_reply(kind, retry_after_s=self.retry_after_s, redirect_to=self.redirect_to)

    @staticmethod
    def corrupts(kind: str) -> bool:
        """Return whether a fault corrupts a good answer rather than taking its place.

        Parameters
        ----------
        kind
            One of the kinds above.

        Returns
        -------
        bool
            True for "truncated", "cut", "drip" and "wrapped-200".
        """
        return kind in _CORRUPTING

    def corrupt(self, kind: str, good: Reply) -> Reply:
        """Corrupt a good response.

        Parameters
        ----------
        kind
            One of these.
        good
            The response without the fault.

        Returns
        -------
        Reply
            The corrupted response.
        """
        if kind == "truncated":
            return replace(good, body=good.body[: len(good.body) // 2])
        if kind == "wrapped-200":
            return replace(good, body=b'{"data":' + good.body + b"}") if good.status == 200 else good  # noqa: PLR2004 - OK
        if kind == "drip":
            return replace(good, delivery="drip", pause_s=self.drip_s)
        return replace(good, delivery="cut")
