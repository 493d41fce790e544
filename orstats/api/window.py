"""Servers that count in windows of time: a gate that stays closed for long tells how many a whole window admits."""

from __future__ import annotations

from collections.abc import Sequence

#: While no limit is known, requests further apart than this belong to different work.
_IDLE_S = 1.0
#: A gate is closed for long beyond so many seconds, so many requests' time, and such a part of the whole.
_LONG_S, _LONG_REQUESTS, _LONG_PART = 0.04, 2.0, 0.15
#: That all probes were refused by chance, of which there is thought to be some, must be less likely than this.
_SURELY, _LEAST_CHANCE = 0.01, 0.05
#: Fewer accepted requests say nothing of a window: a few ids that are always refused look the same.
_FEWEST_ACCEPTED = 10


class Window:
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
