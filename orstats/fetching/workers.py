"""The threads that work a schedule off. They send and decode; what they got goes into one queue."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any, Final, NamedTuple

from orstats.api.client import Client, is_refusal
from orstats.errors import ApiError, NotApiResponseError, NotFoundError
from orstats.fetching.scheduler import Schedule, Task, status_of

log = logging.getLogger("orstats.fetch")

#: Threads to begin with. More of them only contend for the interpreter when the server answers at once.
_FIRST: Final = 8
#: Results are looked for this often. When half of the latest looks found none, with everybody waiting for the network,
#: more threads help. One such look can be chance, and a thread too many is one more refusal when a limit is met.
_LOOK_S: Final = 0.005
_LOOKS: Final = 6
_NAP_S: Final = 0.1
#: Nothing but failures that another try might mend, from whomever is asked: after so long the rest is not asked for.
_HOPELESS_S: Final = 300.0
#: So many responses in a row from something other than the API stop the batch, or fewer where there are fewer workers.
_NOT_API_AT_MOST: Final = 17


#: Sends the request for an id that the governor has admitted, at the moment given; returns the data or raises an
#: ApiError. The function it is given is for one more request: it waits for the governor, and gives None at a stop.
Ask = Callable[[str, float, Callable[[], float | None]], dict[str, Any]]


class Result(NamedTuple):
    """What became of one id for good: a record, or a status with its error."""

    task: Task
    record: dict[str, Any] | None
    at: float  # unix seconds, by the server's clock
    status: str = "ok"
    error: ApiError | None = None


def _status_so_far(error: ApiError) -> str:
    return "pending" if isinstance(error, NotFoundError) else status_of(error)


class Crew:
    """Up to ``size`` daemon threads that ask for the ids of a schedule through one client.

    It begins with few threads and adds more while all of them wait for the network and little comes back.
    """

    def __init__(self, client: Client, schedule: Schedule, size: int, ask: Ask | None = None) -> None:
        self._client = client
        self._other = ask
        self._schedule = schedule
        self._size = size
        self._changed = threading.Condition()
        self._stop = threading.Event()
        self._results: deque[Result | BaseException] = deque()
        self._threads: list[threading.Thread] = []
        self._sending: list[bool] = []  # one slot a thread, written by it alone
        self._quiet: deque[bool] = deque(maxlen=_LOOKS)
        self._good_at = 0.0  # when somebody last got an answer that stands
        self.retries = 0
        self._not_api = 0  # responses in a row that did not come from the API
        self.fatal: ApiError | None = None
        self.hopeless = False

    @property
    def stopped(self) -> bool:
        """Whether nothing more is sent: told so, or for :attr:`fatal` or :attr:`hopeless`."""
        return self._stop.is_set()

    def start(self) -> None:
        """Start the first threads."""
        self._good_at = time.monotonic()
        self._add(min(_FIRST, self._size, self._schedule.left))

    def results(self) -> Iterator[Result]:
        """Wait a moment and give what has come in since, which may be nothing.

        A result is given up only when the next one is asked for: whoever is interrupted before he has put one away
        is given it again by :meth:`drain`.
        """
        time.sleep(_LOOK_S)  # in bulk: waking up for each result would cost the senders their turn
        self._quiet.append(not self._results and all(self._sending))
        if 2 * sum(self._quiet) >= _LOOKS:
            self._grow()
        return self._collected()

    def stop(self) -> None:
        """Send nothing more. Requests that are out are not broken off."""
        self._stop.set()
        with self._changed:
            self._changed.notify_all()

    def drain(self, grace: float) -> Iterator[Result]:
        """Give what still comes in within ``grace`` seconds after a stop; waits only while somebody is sending."""
        deadline = time.monotonic() + grace
        while any(self._sending) and time.monotonic() < deadline:
            time.sleep(0.005)
        return self._collected()

    def join(self) -> None:
        """Wait for the threads to end, which they do when the schedule is worked off."""
        for thread in self._threads:
            thread.join()

    def give_up(self) -> None:
        """Wait for what is on its way, then let :meth:`drain` give what each id that was tried ended with."""
        self.join()
        self._results.extend(self.unfinished())

    def unfinished(self) -> list[Result]:
        """Return what each id that waits for its next try has ended with so far."""
        now = self._client.now()
        with self._changed:
            tasks = self._schedule.put_off_tasks()
        return [Result(task, None, now, _status_so_far(task.error), task.error) for task in tasks if task.error]

    def _collected(self) -> Iterator[Result]:
        for _ in range(len(self._results)):
            result = self._results[0]
            if not isinstance(result, BaseException):
                yield result
            elif not self._stop.is_set():
                self._results.popleft()
                raise result
            self._results.popleft()  # a crash after a stop was logged; the results behind it are wanted

    def _grow(self) -> None:
        self._quiet.clear()
        if len(self._threads) < self._size and self._schedule.left:
            self._add(min(len(self._threads), self._size - len(self._threads)))

    def _add(self, number: int) -> None:
        for _ in range(number):
            self._sending.append(False)
            slot = len(self._sending) - 1
            thread = threading.Thread(target=self._work, args=(slot,), name=f"orstats-worker-{slot}", daemon=True)
            self._threads.append(thread)
            thread.start()

    def _work(self, slot: int) -> None:
        try:
            while (task := self._take()) is not None and self._ask(task, slot):
                pass
        except BaseException as error:
            log.exception("A worker thread crashed")
            self._results.append(error)  # raised again in the thread that waits for results

    def _take(self) -> Task | None:
        with self._changed:
            while not self._stop.is_set():
                task = self._schedule.take(time.monotonic())
                if task is None:
                    self._changed.notify_all()
                    return None
                if isinstance(task, Task):
                    return task
                self._changed.wait(min(task, _NAP_S))
        return None

    def _ask(self, task: Task, slot: int) -> bool:
        admitted = self._admit()
        if admitted is None:
            with self._changed:
                self._schedule.put_off(task, time.monotonic())
            return False
        with self._changed:
            task = self._schedule.rather(task, admitted)
        if not task.attempts:
            task.first_sent = task.failed_at = admitted
        task.attempts += 1
        self._sending[slot] = True
        try:
            if self._other is None:
                record = self._client.ask_generation(task.id, sent_at=admitted)
            else:
                record = self._other(task.id, admitted, self._admit)
        except ApiError as error:
            self._settle(task, error)
        else:
            self._good_at = time.monotonic()
            self._not_api = 0
            self._results.append(Result(task, record, self._client.now()))
            with self._changed:
                self._schedule.done()
        finally:
            self._sending[slot] = False
        return True

    def _admit(self) -> float | None:
        return self._client.rate_limiter.admit(self._stop.is_set, left=self._schedule.left)

    def _settle(self, task: Task, error: ApiError) -> None:
        now, wall = time.monotonic(), self._client.now()
        self._not_api = self._not_api + 1 if isinstance(error, NotApiResponseError) else 0
        # With the requests on their way these are at most two for each worker. A retry may replace some pages.
        concurrent = self._size + 1 if error.retryable else max(2, len(self._threads))
        if error.stops_batch or self._not_api >= min(concurrent, _NOT_API_AT_MOST):
            self.fatal = error
            self.stop()
        elif not error.retryable:
            self._good_at = now
        elif now - self._good_at > max(_HOPELESS_S, self._client.retry.max_elapsed) and not self.stopped:
            log.warning(
                "No successful response for %d s; giving up on the remaining ids. Last error: %s",
                now - self._good_at,
                error,
            )
            self.hopeless = True
            self.stop()
        with self._changed:
            # A rate limit that lets other requests pass refuses this one by chance: that is not a failure of the id.
            excused = is_refusal(error) and self._good_at > task.failed_at and self._client.rate_limiter.is_limiting
            task.failed_at = now
            verdict = self._schedule.verdict(task, error, now, wall, excused=excused)
            if isinstance(verdict, str):
                self._schedule.done()
                self._results.append(Result(task, None, wall, verdict, error))
            else:
                self.retries += 1
                self._schedule.put_off(task, now + verdict)
                self._changed.notify()
