"""Decide whether refusals indicate a rate limit, chance, or a quota that resets every time window."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

#: Responses. Fewer say nothing about the share; beyond the memory, old ones lose half their weight.
_FEWEST, _MEMORY = 30, 400.0
#: Standard deviations above the mean that count as more than random. The more often it is tested, the more are needed:
#: once for each step back, at each refusal, over a few latest answers.
_SIGMAS, _SURE_SIGMAS, _CLUSTER_SIGMAS = 2.0, 3.0, 4.0

#: Seconds between two requests that separate one piece of work from the next.
_IDLE_S: Final = 1.0
#: A pause of a quota is longer than this: seconds; the time of so many requests; a share of the window.
_PAUSE_S, _PAUSE_REQUESTS, _PAUSE_SHARE = 0.04, 2.0, 0.15
#: Largest probability that all probes of a pause were refused at random; smallest assumed share of such refusals.
_MAX_PROBABILITY, _MIN_SHARE = 0.01, 0.05
#: Accepted requests. Fewer may belong to a few ids that are always refused.
_FEWEST_ACCEPTED: Final = 10


class RejectionBaseline:
    """The share of requests that is refused however slowly they are sent. Starts at 0."""

    def __init__(self) -> None:
        self._answers = self._refusals = 0.0

    @property
    def share(self) -> float:
        """Between 0 and 0.9; 0 until there are enough answers."""
        return min(0.9, self._refusals / self._answers) if self._answers >= _FEWEST else 0.0

    def add(self, refusals: int, answers: int) -> None:
        """Add answers to requests that were certainly sent below the limit."""
        self._answers += answers
        self._refusals += refusals
        while self._answers > _MEMORY:
            self._answers /= 2
            self._refusals /= 2

    def is_exceeded(self, refusals: int, answers: int) -> bool:
        """Whether so many refusals are more than usual."""
        mean = self.share * answers
        return refusals > mean + _SIGMAS * math.sqrt(mean * (1 + answers / max(self._answers, 1.0)))

    def is_more(self, refusals: int, answers: int) -> bool:
        """Whether so many refusals are certainly more than usual, even if the baseline rests on few answers."""
        if self._answers < _FEWEST:
            return False
        share = (self._refusals + 1.0) / (self._answers + 2.0)
        deviation = math.sqrt(share * (1.0 - share) * answers * (1.0 + answers / self._answers))
        return refusals > share * answers + _SURE_SIGMAS * deviation

    def is_cluster(self, latest: Sequence[bool], many: int, of: int) -> bool:
        """Whether ``many`` of the latest ``of`` answers are refusals, or more if the baseline is high."""
        mean = self.share * of
        usual = mean + _CLUSTER_SIGMAS * math.sqrt(mean * (1 - self.share))
        return sum(latest) >= min(of, max(many, math.ceil(usual)))


class QuotaWindowDetector:
    """Measures what the server accepts from one reopening to the next.

    A bucket is open again as soon as it holds one request. A server that counts in windows stays closed until the next
    one begins; what it accepted before, over the time until then, is the pace at which a window lasts.
    """

    def __init__(self) -> None:
        self._opened_at = self._closed_at = self._last_refused_at = 0.0
        self._accepted = self._refused_probes = 0
        self.found = False  # whether any window was recognised

    def begin(self, now: float, latest: Sequence[tuple[float, bool]]) -> None:
        """Start with the work that met the limit; ``latest`` are (sent at, refused), oldest first."""
        self._opened_at, self._accepted = now, 0
        for sent_at, refused in reversed(latest):
            if self._opened_at - sent_at > _IDLE_S:
                break
            self._opened_at = min(self._opened_at, sent_at)
            self._accepted += not refused

    def accept(self) -> None:
        """Count an accepted request."""
        self._accepted += 1

    def skip(self, seconds: float) -> None:
        """Exclude a time in which there was nothing to send."""
        self._opened_at += seconds
        self._closed_at += seconds
        self._last_refused_at += seconds

    def close(self, now: float) -> None:
        """Record that the limit was met."""
        self._closed_at = self._last_refused_at = now
        self._refused_probes = 0

    def refuse(self, sent_at: float) -> None:
        """Record a probe that was refused."""
        self._last_refused_at = sent_at
        self._refused_probes += 1

    def reopen(self, now: float, answer_s: float, random_share: float) -> float | None:
        """Start the next window; return the rate of the last one if it was a window."""
        begun_at = (now + self._last_refused_at) / 2
        rate = (self._accepted - 1) / max(begun_at - self._opened_at, 1e-3)
        # Requests on their way when the limit was met may drain a bucket until about half an answer's time later.
        shortest_s = max(_PAUSE_S, answer_s / 2 + _PAUSE_REQUESTS / rate) if rate > 0 else math.inf
        is_window = (
            self._accepted > _FEWEST_ACCEPTED
            and self._last_refused_at - self._closed_at > shortest_s
            and now - self._closed_at > _PAUSE_SHARE * (now - self._opened_at)
            and max(random_share, _MIN_SHARE) ** self._refused_probes < _MAX_PROBABILITY
        )
        self._opened_at, self._accepted = now, 1
        self.found = self.found or is_window
        return rate if is_window else None
