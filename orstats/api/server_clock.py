"""The server's time, which dates the generations: this machine's clock may be wrong, or be set meanwhile."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final

from orstats.api.clock import Clock
from orstats.api.retry_after import server_time

#: This machine's clock was set if it moved by more than this against the monotonic one, seconds.
_CLOCK_STEP_S: Final = 1.0
#: A date header has whole seconds, and was written before the response travelled.
_CLOCK_SLACK_S: Final = 2.0


class ServerClock:
    """Learns the server's time from the responses. Between them, the monotonic clock of this machine counts on."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._clock_offset = math.inf  # of wall time to monotonic time, when the clocks were last compared
        self._server_offset: float | None = None  # of the server's time to monotonic time

    def now(self) -> float:
        """Return unix seconds, accurate to about two; by this machine's clock before the first response."""
        return self._clock.time() if self._server_offset is None else self._clock.monotonic() + self._server_offset

    def compare(self, headers: Mapping[str, str]) -> None:
        """Read the server's time in the first response, and again after this machine's was set: parsing is slow."""
        ours = self._clock.time()
        offset = ours - self._clock.monotonic()
        if abs(offset - self._clock_offset) < _CLOCK_STEP_S:
            return
        theirs = server_time(headers)
        if theirs is not None:  # a proxy may have removed the date: look at the next response
            self._clock_offset = offset
            ahead = theirs - ours
            self._server_offset = offset + (ahead if abs(ahead) > _CLOCK_SLACK_S else 0.0)
        elif self._server_offset is None:
            self._server_offset = offset
