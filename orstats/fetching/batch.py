"""The run loop of fetch and fetch_contents: start the workers, store their results, and stop in time."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, Final

import pandas as pd

from orstats.api.client import Client
from orstats.archive.archive import Archive
from orstats.errors import ArchiveError, IncompleteFetchError
from orstats.fetching.arguments import FetchOptions, compact_if_needed, invalid_id_reason
from orstats.fetching.normalize_ids import normalize_ids
from orstats.fetching.progress import Progress
from orstats.fetching.scheduler import FailureRules, Schedule
from orstats.fetching.workers import Loader, Result, WorkerPool
from orstats.frame.build import FetchOutcome

#: Seconds that sent requests get to complete after a stop; fewer at a deadline, which is a promise.
_GRACE_S: Final = 2.0
_DEADLINE_GRACE_S: Final = 0.5


class Batch(ABC):
    """One call: its ids, what became of each so far, and the loop that requests the rest."""

    #: Seconds after which new results are stored.
    store_every_s: float

    def __init__(self, ids: Any, client: Client, archive: Archive | None, options: FetchOptions) -> None:
        self._clock = client.clock
        self._started_at = self._stored_at = client.clock.monotonic()
        self.ids = normalize_ids(ids)
        self.client = client
        self.archive = archive
        self.host = client.settings.host
        self.options = options
        self.outcomes: dict[str, FetchOutcome] = {}
        #: When calls ended, in Unix seconds, for ids where this is known.
        self.ended_at: dict[str, float] = {}
        self._requested: Sequence[str] = ()
        self._ok = self._failed = 0

    @abstractmethod
    def load(self) -> Loader:
        """Return the function that sends a request."""

    @abstractmethod
    def keep(self, result: Result) -> FetchOutcome:
        """Keep one result in memory. Interrupted anywhere, it can be called again."""

    @property
    @abstractmethod
    def is_full(self) -> bool:
        """Whether so many results are in memory that they must be stored now."""

    @abstractmethod
    def store(self) -> None:
        """Archive the results in memory. Interrupted anywhere, it can be called again."""

    @abstractmethod
    def frame(self) -> pd.DataFrame:
        """Return the DataFrame of all ids."""

    def run(self, ids: Iterable[str]) -> pd.DataFrame:
        """Request some of the ids; return the DataFrame of all, or raise if one is not ok and the caller wants that."""
        self._request([one for one in ids if not self._is_rejected(one)])
        frame = self.frame()
        failed = Counter(one.fetch_status for one in self.outcomes.values() if one.fetch_status != "ok")
        if self.options.errors == "raise" and failed:
            counts = ", ".join(f"{count:,} {status}" for status, count in failed.most_common())
            raise IncompleteFetchError(
                f"{failed.total():,} of {len(self.ids):,} ids are not ok ({counts}). The DataFrame is in .frame.",
                frame=frame,
            )
        return frame

    def _request(self, ids: Sequence[str]) -> None:
        """Request ids. However this ends, the results received by then are stored first."""
        if not ids:
            return
        self._requested = ids
        if (reason := self._stop_reason()) is not None:
            self._mark_not_attempted(reason)
            return
        load = self.load()
        if self.archive is not None:
            self.archive.check_writable(self.host)
        rules = FailureRules(self.client.retry, self.options.pending_wait, self.ended_at)
        pool = WorkerPool(self.client, Schedule(ids), rules, self.options.workers, load)
        archived = len(self.ids) - len(ids)
        try:
            with Progress(len(self.ids), self.options.progress, self._clock, initial=archived, unit="id") as bar:
                reason = self._run(pool, bar)
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

    def _run(self, pool: WorkerPool, bar: Progress) -> str | None:
        reason = None
        try:
            reason = self._work_through(pool, bar)
            if pool.gave_up:
                pool.report_unfinished()
            grace = _GRACE_S if reason is None or self.options.deadline is None else _DEADLINE_GRACE_S
            self._drain_and_save(pool, grace, stopped=reason is not None)
        except BaseException:
            pool.stop()
            self._drain_and_save(pool, _GRACE_S, stopped=reason is not None)  # again: an interrupt may have ended it
            raise
        return reason

    def _work_through(self, pool: WorkerPool, bar: Progress) -> str | None:
        remaining = len(self._requested)
        if (reason := self._stop_reason()) is None:
            pool.start()
        while remaining and reason is None and not pool.stopped:
            for result in pool.results():
                remaining -= 1
                self._take(result)
            archived = len(self.ids) - len(self._requested)
            done = len(self.ids) - remaining
            counts = {"ok": self._ok, "failed": self._failed, "archived": archived, "retries": pool.retries}
            bar.show(done, waiting_for=pool.latest_error, **counts)
            self.save()
            reason = self._stop_reason() if remaining else None
        if reason is not None:
            pool.stop()
        elif not remaining:
            pool.join()
        return reason

    def _stop_reason(self) -> str | None:
        """Why the caller wants the call to end now, as the beginning of a sentence; None to continue."""
        cancel, deadline = self.options.cancel, self.options.deadline
        if cancel is not None and cancel.is_set():
            return "The fetch was cancelled"
        if deadline is not None and self._clock.monotonic() - self._started_at >= deadline:
            return f"The deadline of {deadline:g} s passed"
        return None

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

    def save(self) -> None:
        """Store the results in memory if they are many or old."""
        now = self._clock.monotonic()
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
