"""The threads that work through a schedule: they send and decode, and put each final result into one queue."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any, Final, NamedTuple

from orstats.api.client import Client
from orstats.api.limit_evidence import is_refusal
from orstats.api.retry import MAX_OFFLINE_S
from orstats.errors import ApiError, NoConnectionError, NotApiResponseError
from orstats.fetching.scheduler import FailureRules, Schedule, Task
from orstats.frame.status import status_of

log = logging.getLogger("orstats.fetch")

#: Seconds between two looks for results, and once nothing is left to send.
_POLL_S, _LAST_POLL_S = 0.005, 0.001
#: The longest wait of a thread without a task, in seconds.
_MAX_WAIT_S: Final = 0.1
#: After so many seconds of nothing but retryable failures, the remaining ids are not requested.
NO_PROGRESS_TIMEOUT_S: Final = 300.0
#: So many consecutive responses from something other than the API stop the batch, or fewer with fewer workers.
_MAX_FOREIGN_RESPONSES: Final = 17

#: Sends the request for an id at the moment at which the rate limiter admitted it; returns the data or raises an
#: ApiError. The function it receives admits one more request: it waits for its turn, and returns None after a stop.
Loader = Callable[[str, float, Callable[[], float | None]], dict[str, Any]]


class Result(NamedTuple):
    """The final result of one id: a record, or a status with its error."""

    task: Task
    record: dict[str, Any] | None
    at: float  # Unix seconds by the server's clock
    status: str = "ok"
    error: ApiError | None = None


class WorkerPool:
    """Up to ``size`` daemon threads that request the ids of a schedule through one client."""

    def __init__(self, client: Client, schedule: Schedule, rules: FailureRules, size: int, load: Loader) -> None:
        self._client = client
        self._clock = client.clock
        self._load = load
        self._schedule = schedule
        self._rules = rules
        self._size = size
        self._changed = self._clock.condition()
        self._stop = threading.Event()
        self._results: deque[Result | BaseException] = deque()
        self._threads: list[threading.Thread] = []
        self._sending: list[bool] = []  # one slot per thread, written by that thread alone
        self._last_success_at = 0.0
        self._foreign_responses = 0  # consecutive ones
        # A server on this machine restarts in seconds: until it accepts a connection, it is more likely not started.
        self._may_be_stopped = client.settings.is_loopback and client.retry.max_offline is None
        self.retries = 0
        self.latest_error: ApiError | None = None  # of a request that is retried
        self.fatal: ApiError | None = None
        self.gave_up = False

    @property
    def stopped(self) -> bool:
        """Whether no more requests are sent, after :meth:`stop`, :attr:`fatal` or :attr:`gave_up`."""
        return self._stop.is_set()

    def start(self) -> None:
        """Start the threads."""
        self._last_success_at = self._clock.monotonic()
        for slot in range(min(self._size, self._schedule.left)):
            self._sending.append(False)
            thread = self._clock.thread(target=self._work, args=(slot,), name=f"orstats-worker-{slot}", daemon=True)
            self._threads.append(thread)
            thread.start()

    def results(self) -> Iterator[Result]:
        """Wait a moment, then yield the results that have arrived, if any.

        A result leaves the queue when the next one is requested: if storing one is interrupted, :meth:`drain` yields it
        again.
        """
        # In bulk: waking up for each result would cost the senders their turn.
        self._clock.sleep(_POLL_S if self._schedule.left else _LAST_POLL_S)
        return self._collected()

    def stop(self) -> None:
        """Send no more requests. Those already sent are not aborted."""
        self._stop.set()
        with self._changed:
            self._changed.notify_all()

    def drain(self, grace: float) -> Iterator[Result]:
        """Yield the results that arrive within ``grace`` seconds after a stop, while a request is being sent."""
        deadline = self._clock.monotonic() + grace
        while any(self._sending) and self._clock.monotonic() < deadline:
            self._clock.sleep(_POLL_S)
        return self._collected()

    def join(self) -> None:
        """Wait for the threads to end, as they do after the last task."""
        for thread in self._threads:
            thread.join()

    def report_unfinished(self) -> None:
        """Wait for active requests, then let :meth:`drain` yield the latest failure of each unfinished task."""
        self.join()
        self._results.extend(self.unfinished())

    def unfinished(self) -> list[Result]:
        """Return the latest failure of each task that waits for its next request."""
        now = self._client.now()
        with self._changed:
            tasks = self._schedule.waiting_tasks()
        return [Result(task, None, now, status_of(task.error), task.error) for task in tasks if task.error]

    def _collected(self) -> Iterator[Result]:
        for _ in range(len(self._results)):
            result = self._results[0]
            if not isinstance(result, BaseException):
                yield result
            elif not self._stop.is_set():
                self._results.popleft()
                raise result
            self._results.popleft()  # a crash after a stop was logged; the results behind it are needed

    def _work(self, slot: int) -> None:
        try:
            while (task := self._next_task()) is not None and self._request(task, slot):
                pass
        except BaseException as error:
            log.exception("A worker thread crashed")
            self._results.append(error)  # raised again in the thread that waits for results

    def _next_task(self) -> Task | None:
        with self._changed:
            while not self._stop.is_set():
                task = self._schedule.take(self._clock.monotonic())
                if task is None:
                    self._changed.notify_all()
                    return None
                if isinstance(task, Task):
                    return task
                self._changed.wait(min(task, _MAX_WAIT_S))
        return None

    def _request(self, task: Task, slot: int) -> bool:
        """Send the request of a task; False after a stop."""
        sent_at = self._admit()
        if sent_at is None:
            with self._changed:
                self._schedule.reschedule(task, self._clock.monotonic())
            return False
        with self._changed:
            task = self._schedule.prefer_due_task(task, sent_at)
        if not task.attempts:
            task.first_sent = task.failed_at = sent_at
        task.attempts += 1
        self._sending[slot] = True
        try:
            record = self._load(task.id, sent_at, self._admit)
        except ApiError as error:
            self._handle_failure(task, error)
        else:
            self._last_success_at = self._clock.monotonic()
            self._foreign_responses = 0
            self._may_be_stopped = False
            self._results.append(Result(task, record, self._client.now()))
            with self._changed:
                self._schedule.done()
        finally:
            self._sending[slot] = False
        return True

    def _admit(self) -> float | None:
        return self._client.rate_limiter.admit(self._stop.is_set, left=self._schedule.left)

    def _handle_failure(self, task: Task, error: ApiError) -> None:
        now, wall = self._clock.monotonic(), self._client.now()
        self._may_be_stopped &= isinstance(error, NoConnectionError)
        self._stop_if_hopeless(error, now)
        with self._changed:
            # A rate limit that admits other requests refuses this one by chance: that is not a failure of the id.
            excused = (
                is_refusal(error) and self._last_success_at > task.failed_at and self._client.rate_limiter.is_limiting
            )
            task.failed_at = now
            verdict = self._rules.classify(task, error, now, wall, excused=excused)
            if isinstance(verdict, str):
                self._schedule.done()
                self._results.append(Result(task, None, wall, verdict, error))
            else:
                self.retries += 1
                self.latest_error = error
                self._schedule.reschedule(task, now + verdict)
                self._changed.notify()
        if self._may_be_stopped and isinstance(verdict, float):
            self._stop_unless_reached_by(now + verdict, error)

    def _stop_if_hopeless(self, error: ApiError, now: float) -> None:
        """Stop where every other request would fail as well, or nothing has succeeded for too long."""
        self._foreign_responses = self._foreign_responses + 1 if isinstance(error, NotApiResponseError) else 0
        # With the active requests these are at most two for each worker. A retry may replace some pages.
        concurrent = self._size + 1 if error.retryable else max(2, len(self._threads))
        if error.stops_batch or self._foreign_responses >= min(concurrent, _MAX_FOREIGN_RESPONSES):
            self.fatal = error
            self.stop()
        elif not error.retryable:
            self._last_success_at = now
        idle = now - self._last_success_at
        if idle > max(NO_PROGRESS_TIMEOUT_S, self._client.retry.max_elapsed) and not self.stopped:
            log.warning("No successful response for %d s; giving up on the remaining ids. Last error: %s", idle, error)
            self.gave_up = True
            self.stop()

    def _stop_unless_reached_by(self, retry_at: float, error: ApiError) -> None:
        """Stop if a local server has not accepted any connection, and the next retry would be too late."""
        if retry_at - self._last_success_at > MAX_OFFLINE_S and not self.stopped:
            log.warning("%s Giving up: is the server running?", error)
            self.gave_up = True
            self.stop()
