"""Faults on purpose: which request meets which one, and what it looks like on the wire.

Faults follow from the seed and the identifier, not from the moment, so that a run can be repeated whatever the
order in which a client asks.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from email.utils import formatdate

from orstats.sim.messages import HTML, TEXT, Reply, error_reply
from orstats.sim.seeds import number

_2_64 = 1 << 64

# What the API says with each status: its own words where the specification has them.
MESSAGES: dict[int, str] = {
    400: "Invalid request parameters",
    401: "Missing Authentication header",
    402: "Insufficient credits. Add more using https://openrouter.ai/credits",
    403: "Only management keys can perform this operation",
    404: "Resource not found",
    405: "Method Not Allowed",
    408: "Operation timed out. Please try again later.",
    429: "Rate limit exceeded",
    500: "Internal Server Error",
    502: "Provider returned error",
    503: "Service temporarily unavailable",
    504: "Gateway timed out. Please try again later.",
    524: "Request timed out. Please try again later.",
    529: "Provider returned error",
}
# A fault has no limit behind it, but no server says that it admits nothing.
_LIMIT_TOLD = 20
# These come from the CDN when it cannot reach the API: a short text, no JSON.
_FROM_THE_CDN = (520, 521, 522, 523)

_PAGE = (
    "<!DOCTYPE html>\n<html>\n<head><title>openrouter.ai | {status}: {title}</title></head>\n"
    "<body>\n<h1>{title}</h1>\n<p>Error code {status}</p>\n</body>\n</html>\n"
)

DEFAULT_KINDS: tuple[str, ...] = (
    "408",
    "429",
    "429-date",
    "429-reset",
    "429-bare",
    "500",
    "502",
    "503",
    "504",
    "520",
    "521",
    "522",
    "523",
    "524",
    "529",
    "reset",
    "close",
    "cut",
    "truncated",
    "html-502",
    "html-524",
    "text-502",
    "error-200",
    "html-200",
)
ALL_KINDS: tuple[str, ...] = (*DEFAULT_KINDS, "400", "401", "402", "403", "404", "hang", "drip", "redirect")
_SPOILERS = {"truncated", "cut", "drip"}
_SCRIPT_KINDS = {*ALL_KINDS, "ok"}


@dataclass(frozen=True)
class Faults:
    """What goes wrong, how often and for whom.

    Parameters
    ----------
    rate
        Share of the identifiers (0 to 1) whose first requests meet a fault and then succeed.
    kinds
        The faults to choose from for these. The default leaves out what never heals by itself or takes long:
        "400" to "404", "hang" (no answer ever), "drip" (a byte at a time) and "redirect".

        A number is that status with the API's body; "429" has ``Retry-After`` in seconds, "429-date" as a date,
        "429-reset" has ``X-RateLimit-*`` (epoch ms) instead, "429-bare" neither. "reset" and "close" end the
        connection before the answer, "cut" in the middle of its body. "truncated" is half a JSON body with a
        length that fits, "html-*" and "text-502" are pages of a proxy, "error-200" is a 200 with an ``error``.
    seed
        Another seed hits other identifiers.
    repeat
        Each of them meets 1 to ``repeat`` faults.
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
        If a kind is unknown or ``rate`` is no share.

    Examples
    --------
    >>> faults = Faults(rate=0, per_id={"gen-1": ["429", "ok", "reset"]})
    >>> [faults.kind("gen-1", attempt) for attempt in range(4)]
    ['429', None, 'reset', None]
    """

    rate: float = 0.1
    kinds: Sequence[str] = DEFAULT_KINDS
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
        if not 0 <= self.rate <= 1:
            raise ValueError(f"rate is a share from 0 to 1, not {self.rate}")
        if self.repeat < 1:
            raise ValueError(f"repeat must be 1 or more, not {self.repeat}")
        if self.rate and not self.kinds:
            raise ValueError("a rate needs kinds to choose from")

    def kind(self, key: str, attempt: int) -> str | None:
        """Tell which fault a request meets.

        Parameters
        ----------
        key
            The identifier asked for, or the path when the endpoint has none.
        attempt
            How often it was asked for before, counted from 0.

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
        return self.kinds[number(self.seed, "fault-kind", key, attempt) % len(self.kinds)]

    def reply(self, kind: str) -> Reply | None:
        """Write the answer of a request that meets a fault.

        Parameters
        ----------
        kind
            One of the kinds above.

        Returns
        -------
        Reply or None
            None for a kind that :meth:`spoils` a good answer.
        """
        if kind in _PAGES:
            return _PAGES[kind]
        if kind.isdigit():
            return self._status(int(kind))
        if kind.startswith("429-"):
            return error_reply(429, MESSAGES[429], self._wait(kind.removeprefix("429-")))
        if kind == "redirect":
            return Reply(302, b"", HTML, (("location", self.redirect_to),))
        return _NO_ANSWERS.get(kind)

    @staticmethod
    def spoils(kind: str) -> bool:
        """Tell whether a fault spoils a good answer rather than taking its place.

        Parameters
        ----------
        kind
            One of the kinds above.

        Returns
        -------
        bool
            True for "truncated", "cut" and "drip".
        """
        return kind in _SPOILERS

    def spoil(self, kind: str, good: Reply) -> Reply:
        """Spoil a good answer.

        Parameters
        ----------
        kind
            "truncated", "cut" or "drip".
        good
            What would have been answered.

        Returns
        -------
        Reply
            What is answered.
        """
        if kind == "truncated":
            return replace(good, body=good.body[: len(good.body) // 2])
        if kind == "drip":
            return replace(good, manner="drip", pause_s=self.drip_s)
        return replace(good, manner="cut")

    def _status(self, status: int) -> Reply:
        if status in _FROM_THE_CDN:
            return Reply(status, f"error code: {status}".encode(), TEXT)
        return error_reply(status, MESSAGES[status], self._wait("seconds") if status == 429 else ())  # noqa: PLR2004

    def _wait(self, style: str) -> tuple[tuple[str, str], ...]:
        return wait_headers(style, self.retry_after_s, self.retry_after_s, limit=_LIMIT_TOLD)


def wait_headers(style: str, wait_s: float, retry_after_s: int, *, limit: int) -> tuple[tuple[str, str], ...]:
    """Write the headers that ask a client to wait.

    Parameters
    ----------
    style
        "seconds" or "date" for ``Retry-After``, "reset" for ``X-RateLimit-*``; anything else for no header.
    wait_s
        When the next request will be served, in seconds from now; told by "reset".
    retry_after_s
        What ``Retry-After`` says, in seconds.
    limit
        Requests a second, told by "reset".

    Examples
    --------
    >>> wait_headers("seconds", 0.2, 1, limit=10)
    (('retry-after', '1'),)
    """
    if style == "seconds":
        return (("retry-after", str(retry_after_s)),)
    if style == "date":
        return (("retry-after", formatdate(time.time() + retry_after_s, usegmt=True)),)
    if style == "reset":
        return (
            ("x-ratelimit-limit", str(limit)),
            ("x-ratelimit-remaining", "0"),
            ("x-ratelimit-reset", str(int((time.time() + wait_s) * 1000) + 1)),
        )
    return ()


_NO_ANSWERS: dict[str, Reply] = {
    "reset": Reply(0, manner="reset"),
    "close": Reply(0, manner="close"),
    "hang": Reply(0, manner="hang"),
}
_PAGES: dict[str, Reply] = {
    "html-502": Reply(502, _PAGE.format(status=502, title="Bad gateway").encode(), HTML),
    "html-524": Reply(524, _PAGE.format(status=524, title="A timeout occurred").encode(), HTML),
    "html-200": Reply(200, _PAGE.format(status=200, title="One moment, please").encode(), HTML),
    "text-502": Reply(502, b"502 Bad Gateway\n", TEXT),
    "error-200": replace(error_reply(502, MESSAGES[502]), status=200),
}
