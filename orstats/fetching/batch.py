"""The run loop of every fetch: start the workers, take their results, save them, and stop in time."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from orstats.api.config import is_duration
from orstats.errors import ConfigError
from orstats.fetching.progress import Progress
from orstats.fetching.workers import Crew, Result

#: After a stop, requests that were sent get so many seconds to be answered; less at a deadline, which is a promise.
_GRACE_S: Final = 2.0
_DEADLINE_GRACE_S: Final = 0.5


@dataclass(frozen=True, slots=True)
class StopRule:
    """When the caller wants a fetch to end early: after ``deadline`` seconds, or once ``cancel`` is set."""

    deadline: float | None
    cancel: threading.Event | None
    started_at: float

    @classmethod
    def of(cls, deadline: float | None, cancel: threading.Event | None) -> StopRule:
        """Check the arguments of a fetch and start its clock."""
        if deadline is not None and not (is_duration(deadline) and deadline < math.inf):
            raise ConfigError(f"deadline must be a non-negative number of seconds or None, got {deadline!r}.")
        if cancel is not None and not callable(getattr(cancel, "is_set", None)):
            raise ConfigError(f"cancel must be a threading.Event or None, got {cancel!r}.")
        return cls(deadline, cancel, time.monotonic())

    @property
    def reason(self) -> str | None:
        """Why the fetch has to end now, as the beginning of a sentence; None to go on."""
        if self.cancel is not None and self.cancel.is_set():
            return "The fetch was cancelled"
        if self.deadline is not None and time.monotonic() - self.started_at >= self.deadline:
            return f"The deadline of {self.deadline:g} s passed"
        return None


def run_batch(
    crew: Crew,
    number: int,
    bar: Progress,
    rule: StopRule,
    *,
    take: Callable[[Result], bool],
    save: Callable[[bool], None],
) -> str | None:
    """Work a schedule off. However it ends, the results so far are taken and saved first."""
    reason = None

    def finish(grace: float) -> None:
        for result in crew.drain(grace):
            take(result)
        for result in crew.unfinished() if reason else ():
            take(result if result.status == "pending" else result._replace(status="not_attempted"))
        save(True)

    try:
        reason = _work_off(crew, number, bar, rule, take, save)
        if crew.hopeless:
            crew.give_up()
        finish(_GRACE_S if reason is None or rule.deadline is None else _DEADLINE_GRACE_S)
    except BaseException:
        crew.stop()
        finish(_GRACE_S)  # once more: an interrupt may have ended it
        raise
    return reason


def _work_off(
    crew: Crew,
    number: int,
    bar: Progress,
    rule: StopRule,
    take: Callable[[Result], bool],
    save: Callable[[bool], None],
) -> str | None:
    if (reason := rule.reason) is None:
        crew.start()
    while number and reason is None and not crew.stopped:
        for result in crew.results():
            number -= 1
            bar.add(ok=take(result))
        bar.show(crew.retries)
        save(False)
        reason = rule.reason if number else None
    if reason is not None:
        crew.stop()
    elif not number:
        crew.join()
    return reason
