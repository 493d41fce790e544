"""Loading content in a thread: what is waited for, which attempts failed, and how to stop."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Final, NamedTuple

#: Contents that may become available: in a minute, or with another key.
MAY_CHANGE: Final = ("not yet", "forbidden")


class CancelledError(Exception):
    """The reader cancelled, so no further attempt is made."""


class Waiting(NamedTuple):
    """What is waited for, why the last attempt failed (empty before one did), and for how long already."""

    text: str
    problem: str
    elapsed_s: float


class Attempt(logging.Handler):
    """Reports the retries of this thread's requests, and ends them once it is cancelled."""

    def __init__(self, text: str, report: Callable[[Waiting], None]) -> None:
        super().__init__(logging.INFO)
        self.cancelled = False
        self._text, self._report = text, report
        self._failed = 0
        self._started = time.monotonic()
        self._logger = logging.getLogger("orstats.retry")

    def __enter__(self) -> None:
        self._thread = threading.get_ident()
        self._logger.addHandler(self)
        self._report(Waiting(self._text, "", 0.0))

    def __exit__(self, *_: object) -> None:
        self._logger.removeHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        """Report that an attempt failed; the record says why."""
        if record.thread != self._thread:
            return
        self.check()
        self._failed += 1
        problem = f"Attempt {self._failed} failed: {record.getMessage()}"
        self._report(Waiting(f"Attempt {self._failed + 1} follows…", problem, time.monotonic() - self._started))

    def check(self) -> None:
        """Stop the code that would send another request, if the reader cancelled."""
        if self.cancelled:
            raise CancelledError
