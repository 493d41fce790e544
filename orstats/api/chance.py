"""How many refusals are mere chance, and which are too many to be."""

from __future__ import annotations

import math

#: Fewer observations say nothing about the share.
_FEWEST = 30
#: Beyond this many the old ones are given half the weight.
_MEMORY = 400.0
#: A count is a surprise above its mean by this many standard deviations.
_SIGMAS = 2.0
_SURE_SIGMAS = 3.0
_SUREST_SIGMAS = 4.0  # where every answer is looked at


class Chance:
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
