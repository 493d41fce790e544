"""How many refusals are mere chance, and which are too many to be."""

from __future__ import annotations

import math
from collections.abc import Sequence

#: Fewer observations say nothing about the share.
_FEWEST = 30
#: Beyond this many the old ones are given half the weight.
_MEMORY = 400.0
#: A count is a surprise above its mean by this many standard deviations.
_SIGMAS = 2.0
_SURE_SIGMAS = 3.0
_SUREST_SIGMAS = 4.0  # where every answer is looked at


class RejectionBaseline:
    """The share of requests that is refused however slowly the server is asked. Starts at 0."""

    def __init__(self) -> None:
        self._answers = 0.0
        self._refusals = 0.0

    @property
    def share(self) -> float:
        """Between 0 and 0.9; 0 while too little was seen."""
        return min(0.9, self._refusals / self._answers) if self._answers >= _FEWEST else 0.0

    def note(self, refusals: int, answers: int) -> None:
        """Record answers to requests that were surely sent below the limit."""
        self._answers += answers
        self._refusals += refusals
        while self._answers > _MEMORY:
            self._answers /= 2
            self._refusals /= 2

    def is_exceeded(self, refusals: int, answers: int) -> bool:
        """Whether ``refusals`` of ``answers`` are more than chance explains."""
        mean = self.share * answers
        return refusals > mean + _SIGMAS * math.sqrt(mean * (1 + answers / max(self._answers, 1.0)))

    def is_more(self, refusals: int, answers: int) -> bool:
        """Whether ``refusals`` of ``answers`` are surely more than chance explains, seen as little of it as was."""
        if self._answers < _FEWEST:
            return False
        share = (self._refusals + 1.0) / (self._answers + 2.0)
        spread = math.sqrt(share * (1.0 - share) * answers * (1.0 + answers / self._answers))
        return refusals > share * answers + _SURE_SIGMAS * spread

    def is_cluster(self, refusals: int, many: int, of: int) -> bool:
        """Whether ``refusals`` of the latest ``of`` answers are a cluster: ``many``, or more if chance is high."""
        mean = self.share * of
        return refusals >= min(of, max(many, math.ceil(mean + _SUREST_SIGMAS * math.sqrt(mean * (1 - self.share)))))


#: While no limit is known, requests further apart than this belong to different work.
_IDLE_S = 1.0
#: A gate is closed for long beyond so many seconds, so many requests' time, and such a part of the whole.
_LONG_S, _LONG_REQUESTS, _LONG_PART = 0.04, 2.0, 0.15
#: That all probes were refused by chance, of which there is thought to be some, must be less likely than this.
_SURELY, _LEAST_CHANCE = 0.01, 0.05
#: Fewer accepted requests say nothing of a window: a few ids that are always refused look the same.
_FEWEST_ACCEPTED = 10


class QuotaWindowDetector:
    """What the server accepted from one opening of the gate to the next.

    A bucket is open again as soon as it has one request's worth. A server that counts in windows stays closed until
    the next begins, and what it accepted in between, over the whole time, is its rate: a pace at which a window lasts.
    """

    def __init__(self) -> None:
        self._opened_at = self._closed_at = self._shut_at = 0.0
        self._accepted = 0
        self._refused = 0  # probes of the closed gate

    def begin(self, now: float, latest: Sequence[tuple[float, bool]]) -> None:
        """Count from the beginning of the work that met the limit; ``latest`` are (sent at, refused), oldest first."""
        self._opened_at, self._accepted = now, 0
        for sent_at, refused in reversed(latest):
            if self._opened_at - sent_at > _IDLE_S:
                break
            self._opened_at = min(self._opened_at, sent_at)
            self._accepted += not refused

    def accept(self) -> None:
        """Count one answer that was no refusal."""
        self._accepted += 1

    def skip(self, seconds: float) -> None:
        """Leave out a time in which nothing was to be sent, be the gate open or closed."""
        self._opened_at += seconds
        self._closed_at += seconds
        self._shut_at += seconds

    def close(self, now: float) -> None:
        """Note that the gate was closed."""
        self._closed_at = self._shut_at = now
        self._refused = 0

    def refuse(self, sent_at: float) -> None:
        """Note that a probe sent at ``sent_at`` found it closed still."""
        self._shut_at = sent_at
        self._refused += 1

    def reopen(self, now: float, took: float, chance: float) -> float | None:
        """Begin anew, the gate being open again."""
        begun = (now + self._shut_at) / 2
        rate = (self._accepted - 1) / max(begun - self._opened_at, 1e-3)
        # What was on its way when the gate was closed may use up a bucket until about half an answer's time later.
        shortest = max(_LONG_S, took / 2 + _LONG_REQUESTS / rate) if rate > 0 else float("inf")
        is_long = (
            self._accepted > _FEWEST_ACCEPTED
            and self._shut_at - self._closed_at > shortest
            and now - self._closed_at > _LONG_PART * (now - self._opened_at)
            and max(chance, _LEAST_CHANCE) ** self._refused < _SURELY
        )
        self._opened_at, self._accepted = now, 1
        return rate if is_long else None
