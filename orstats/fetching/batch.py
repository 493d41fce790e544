"""The run loop of fetch and fetch_contents: start the workers, store their results, and stop in time."""

from __future__ import annotations

import math
import threading
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import pandas as pd

from orstats.api.client import Client
from orstats.api.clock import Clock
from orstats.api.config import is_duration
from orstats.archive.archive import Archive
from orstats.errors import ArchiveError, ConfigError, IncompleteFetchError
from orstats.fetching.arguments import compact_if_needed, invalid_id_reason
from orstats.fetching.progress import Progress
from orstats.fetching.scheduler import Schedule
from orstats.fetching.workers import Loader, Result, WorkerPool
from orstats.frame.build import FetchOutcome

#: Seconds that sent requests get to complete after a stop; fewer at a deadline, which is a promise.
_GRACE_S: Final = 2.0
_DEADLINE_GRACE_S: Final = 0.5


@dataclass(frozen=True, slots=True)
class StopRule:
    """When the caller wants a call to end early: ``deadline`` seconds after its start, or once ``cancel`` is set."""

    deadline: float | None
    cancel: threading.Event | None
    clock: Clock
    started_at: float

    @classmethod
    def start(cls, deadline: float | None, cancel: threading.Event | None, clock: Clock) -> StopRule:
        """Validate both arguments and begin to count."""
        if deadline is not None and not (is_duration(deadline) and deadline < math.inf):
            raise ConfigError(f"deadline must be a non-negative number of seconds or None, got {deadline!r}.")
        if cancel is not None and not callable(getattr(cancel, "is_set", None)):
            raise ConfigError(f"cancel must be a threading.Event or None, got {cancel!r}.")
        return cls(deadline, cancel, clock, clock.monotonic())

    @property
    def reason(self) -> str | None:
        """Why the call has to end now, as the beginning of a sentence; None to continue."""
        if self.cancel is not None and self.cancel.is_set():
            return "The fetch was cancelled"
        if self.deadline is not None and self.clock.monotonic() - self.started_at >= self.deadline:
            return f"The deadline of {self.deadline:g} s passed"
        return None


class Batch(ABC):
    """One call: its ids, what became of each so far, and the loop that requests the rest."""

    #: Results are stored at least this often.
    store_every_s: float

    def __init__(self, ids: Sequence[str], client: Client, archive: Archive | None) -> None:
        self.ids = ids
        self.client = client
        self.archive = archive
        self.host = client.settings.host
        self.outcomes: dict[str, FetchOutcome] = {}
        self._requested: Sequence[str] = ()
        self._ok = self._failed = 0
        self._stored_at = client.clock.monotonic()

    @abstractmethod
    def load(self) -> Loader:
        """Return the function that sends a request."""

    @abstractmethod
    def keep(self, result: Result) -> FetchOutcome:
        """Keep one result in memory. Interrupted anywhere, it can be called again."""

    @property
    @abstractmethod
    def is_full(self) -> bool:
        """Whether so many results are in memory that they are stored at once."""

    @abstractmethod
    def store(self) -> None:
        """Archive the results in memory. Interrupted anywhere, it can be called again."""

    @abstractmethod
    def frame(self) -> pd.DataFrame:
        """Return the DataFrame of all ids."""

    def result(self, errors: str) -> pd.DataFrame:
        """Return the DataFrame; with ``errors="raise"``, raise if some id is not ok."""
        frame = self.frame()
        failed = Counter(one.fetch_status for one in self.outcomes.values() if one.fetch_status != "ok")
        if errors == "raise" and failed:
            counts = ", ".join(f"{count:,} {status}" for status, count in failed.most_common())
            raise IncompleteFetchError(
                f"{failed.total():,} of {len(self.ids):,} ids are not ok ({counts}). The DataFrame is in .frame.",
                frame=frame,
            )
        return frame

    def request(
        self,
        ids: Iterable[str],
        *,
        workers: int,
        pending_wait: float,
        progress: bool | None,
        rule: StopRule,
        ended_at: Mapping[str, float] | None = None,
    ) -> None:
        """Request ids. However this ends, the results received by then are stored first."""
        self._requested = to_request = [one for one in ids if not self._is_rejected(one)]
        if not to_request:
            return
        load = self.load()
        if self.archive is not None:
            self.archive.check_writable(self.host)
        schedule = Schedule(to_request, self.client.retry, pending_wait, ended_at)
        pool = WorkerPool(self.client, schedule, workers, load)
        clock = self.client.clock
        try:
            with Progress(len(self.ids), progress, clock, initial=len(self.ids) - len(to_request), unit="id") as bar:
                reason = self._run(pool, bar, rule)
        except ArchiveError as error:
            self._store()
            error.frame = self._stopped_frame()
            raise
        if pool.fatal is not None:
            pool.fatal.frame = self._stopped_frame()
            raise pool.fatal
        if reason is not None or pool.gave_up:
            self._mark_not_attempted(reason or "The fetch stopped")
        elif self.archive is not None:
            compact_if_needed(self.archive, self.host)

    def _is_rejected(self, generation_id: str) -> bool:
        reason = invalid_id_reason(generation_id)
        if reason is not None:
            self.outcomes[generation_id] = FetchOutcome("invalid_id", None, 0, reason)
        return reason is not None

    def _run(self, pool: WorkerPool, bar: Progress, rule: StopRule) -> str | None:
        reason = None
        try:
            reason = self._work_through(pool, bar, rule)
            if pool.gave_up:
                pool.report_unfinished()
            grace = _GRACE_S if reason is None or rule.deadline is None else _DEADLINE_GRACE_S
            self._drain_and_save(pool, grace, stopped=reason is not None)
        except BaseException:
            pool.stop()
            self._drain_and_save(pool, _GRACE_S, stopped=reason is not None)  # again: an interrupt may have ended it
            raise
        return reason

    def _work_through(self, pool: WorkerPool, bar: Progress, rule: StopRule) -> str | None:
        remaining = len(self._requested)
        if (reason := rule.reason) is None:
            pool.start()
        while remaining and reason is None and not pool.stopped:
            for result in pool.results():
                remaining -= 1
                self._take(result)
            archived = len(self.ids) - len(self._requested)
            done = len(self.ids) - remaining
            bar.show(done, ok=self._ok, failed=self._failed, archived=archived, retries=pool.retries)
            self._save()
            reason = rule.reason if remaining else None
        if reason is not None:
            pool.stop()
        elif not remaining:
            pool.join()
        return reason

    def _drain_and_save(self, pool: WorkerPool, grace: float, *, stopped: bool) -> None:
        for result in pool.drain(grace):
            self._take(result)
        for result in pool.unfinished() if stopped else ():
            self._take(result if result.status == "pending" else result._replace(status="not_attempted"))
        self._store()

    def _take(self, result: Result) -> None:
        outcome = self.outcomes[result.task.id] = self.keep(result)
        is_ok = outcome.fetch_status == "ok"
        self._ok += is_ok
        self._failed += not is_ok

    def _save(self) -> None:
        now = self.client.clock.monotonic()
        if self.is_full or now - self._stored_at > self.store_every_s:
            self._stored_at = now
            self._store()

    def _store(self) -> None:
        try:
            self.store()
        except ArchiveError:
            self.archive = None  # the results stay in memory
            raise

    def _stopped_frame(self) -> pd.DataFrame:
        self._mark_not_attempted("The fetch stopped")
        return self.frame()

    def _mark_not_attempted(self, reason: str) -> None:
        rest = FetchOutcome("not_attempted", None, 0, f"{reason} before this id was requested.")
        self.outcomes.update((one, rest) for one in self._requested if one not in self.outcomes)
