"""When a request may be sent: a limit that is learnt from the responses, and one that is published.

The vendor publishes no limit for ``/generation``, so one limiter learns it for all threads, as TCP learns the capacity
of a path. Requests pass freely until refusals cluster. Then only single probes are sent until one is accepted; a
pace doubles from a low start until refusals cluster again; and from then on it stays just below the measured rate and
grows past it to find out whether more is possible. The growth is that of TCP CUBIC (RFC 9438), which the adaptive retry
mode of botocore also uses. Unlike in AIMD, a refusal does not halve the pace: between two refusals the server ran out
twice, so *accepted / elapsed* is its rate however it counts, and a step of 2 % below that is enough. Two things disturb
this measurement, and :mod:`orstats.api.refusal_patterns` recognises them: servers that refuse some requests at random,
and servers that count in windows of time.

======== ====================================== =========================== ===========================================
state    pace                                   an accepted request         refusals
======== ====================================== =========================== ===========================================
free     unlimited                                                          cluster, or few, but more: closed
closed   one probe, at growing intervals        search, or paced if the     the next probe comes later
                                                rate is known
search   20/s, doubling; free when very fast    (is counted)                cluster, or more than at first: closed
paced    98 % of the rate, growing (CUBIC)      (is counted)                cluster: closed, and a rate that no second
                                                                            estimate confirmed is forgotten; more than
                                                                            random: step back
======== ====================================== =========================== ===========================================
"""

from __future__ import annotations

import logging
import math
from collections import deque
from collections.abc import Callable
from typing import Final, Literal, Protocol

from orstats.api.clock import SYSTEM_CLOCK, Clock
from orstats.api.refusal_patterns import QuotaWindowDetector, RejectionBaseline

log = logging.getLogger("orstats.rate_limit")

State = Literal["free", "closed", "search", "paced"]

#: Seconds. Waiting threads look this often whether the pace has changed or they are to stop.
_POLL_S: Final = 0.05

# Evidence of a limit. Refusals of the latest answers, of how many:
#: a drained limit refuses most requests.
_CLUSTER: Final = (5, 8)
#: A limit just below the workers' speed refuses few, but regularly.
_FEW: Final = (5, 64)
#: A 503 may be a fault, and random faults must not slow a fetch down: more evidence is needed while no limit is known.
_UNSURE_CLUSTER, _UNSURE_FEW = (7, 8), (16, 64)
#: Answers that are compared with those before them while searching; and remembered, for the size of a first window.
_COMPARED, _REMEMBERED = 32, 4096
#: Share of the latest answers. More refusals than a limit that is already known causes.
_REFUSING: Final = 0.25

# closed: waiting for the whole of Retry-After would waste what the limit refills meanwhile.
#: Seconds before the first probe; factor for each next; seconds at most, because limits of a minute do reopen.
_FIRST_PROBE_S, _PROBE_FACTOR, _MAX_PROBE_S = 0.05, 1.5, 5.0
#: Seconds per request that is left, at most: a few ids that are always refused must not look like a limit.
_MAX_WAIT_PER_REQUEST_S: Final = 0.02

# search
#: Requests per second at first; seconds for each doubling, if answers are fast; doublings until it counts as unlimited.
_SEARCH_FROM, _DOUBLING_S, _MAX_DOUBLINGS = 20.0, 0.05, 12.0
#: Share of the workers' speed to start from instead, if it is more, where that speed was refused only a few times.
_SEARCH_SHARE: Final = 0.25
#: Of the time of one answer. Doubling faster than that overshoots by all requests that are on their way.
_DOUBLING_PER_ANSWER: Final = 2.5

# paced
#: Share of the rate after a refusal; after one below the rate, which may be random or mean that the rate is too high;
#: and below which every refusal counts as random.
_BACK, _DEEP_BACK, _SURELY_BELOW = 0.98, 0.9, 0.95
#: CUBIC's constant, and its unit of time: the time of so many requests, at most so many seconds, but never the time of
#: fewer requests than that (a slow limit must not be tested at every other request), nor of so many doublings.
_GROWTH, _UNIT_REQUESTS, _UNIT_S, _MIN_UNIT_REQUESTS, _MIN_UNIT_DOUBLINGS = 0.02, 200.0, 1.0, 20.0, 4.0
#: A rate is certain after so many estimates within this ratio; before that, the pace doubles twice in a unit.
_ESTIMATES, _AGREEMENT = 3, 1.2
#: Accepted requests an estimate needs, or seconds; and with how many it counts half. A lower one needs more: it may be
#: the result of random refusals, and would end in a pace far below the limit.
_ENOUGH, _ENOUGH_S, _HALF_WEIGHT, _HALF_WEIGHT_DOWN = 10, 1.0, 20, 100
#: Requests per second. From a lower rate it would take minutes to grow back; probes cope with limits that low.
_MIN_RATE: Final = 1.0
#: Seconds of work left during which nothing is gained by testing for a higher rate.
_LAST_S: Final = 1.5
#: Seconds. A thread that wakes up late may send as much as was due in this time.
_CATCH_UP_S: Final = 0.02

#: Seconds. The server's minute does not start with ours, and requests travel.
_QUOTA_SLACK_S: Final = 0.5


class RateLimiter(Protocol):
    """What the client needs of a rate limiter."""

    def admit(self, stop: Callable[[], bool] = ..., *, left: int | None = None) -> float | None:
        """Block until a request may be sent; return that moment, or None when ``stop()`` ended the wait."""

    def accepted(self, sent_at: float) -> None:
        """Record a response that was not a refusal."""

    def refused(self, sent_at: float, retry_after: float | None = None, *, is_sure: bool = ...) -> None:
        """Record a refusal; `is_sure` if it cannot be a fault instead."""


class AdaptiveRateLimiter:
    """Admits requests at a pace learnt from the responses. Shared by threads."""

    def __init__(self, clock: Clock = SYSTEM_CLOCK) -> None:
        self._clock = clock
        self._lock = clock.lock()
        self._turn = clock.lock()
        self._latest: deque[tuple[float, bool]] = deque(maxlen=_REMEMBERED)  # (sent at, refused)
        self._baseline = RejectionBaseline()
        self._windows = QuotaWindowDetector()
        self._state: State = "free"
        self._since = self._cut_at = float("-inf")  # growth counts from here; answers to earlier requests are outdated
        self._next_slot = self._used_at = 0.0
        self._left = math.inf  # requests still to come
        self._answers = self._refusals = 0  # since the last change
        self._low_answers = self._low_refusals = 0  # of these, while the pace was surely below the limit
        self._probe_gap, self._is_probing = _FIRST_PROBE_S, False
        self._doubling_s = _DOUBLING_S
        self._search_from = _SEARCH_FROM
        self._rate: float | None = None  # requests per second that the server was seen to accept
        self._is_window_rate = False  # measured over a window
        self._agreeing = 0  # estimates in a row
        self._depth = _BACK
        self._drained_at, self._accepted = 0.0, 0  # the last refusal that counted, and requests accepted since then

    @property
    def pace(self) -> float | None:
        """Requests per second at this moment; None while no limit is known, 0 while only probes are sent."""
        with self._lock:
            return self._pace(self._clock.monotonic())

    @property
    def is_limiting(self) -> bool:
        """Whether a limit refuses so many requests that a refusal says nothing about its id."""
        with self._lock:
            latest = self._last(_COMPARED)
            is_refusing = sum(latest) >= _REFUSING * len(latest)
            return self._state in ("closed", "search") or (self._state == "paced" and is_refusing)

    def admit(self, stop: Callable[[], bool] = lambda: False, *, left: int | None = None) -> float | None:
        """Block until a request may be sent; return that moment, to be passed on with its outcome."""
        if self._state == "free":  # takes no lock
            return self._clock.monotonic()
        with self._turn:  # one thread watches the pace, the others queue behind it
            while not stop():
                with self._lock:
                    now = self._clock.monotonic()
                    wait_s = self.reserve(now, left)
                if wait_s <= 0:
                    return now
                self._clock.sleep(min(wait_s, _POLL_S))
        return None

    def reserve(self, now: float, left: int | None = None) -> float:
        """Take a slot and return 0, or return the seconds after which to try again. Takes no lock."""
        if self._state == "free":
            return 0.0
        self._left = math.inf if left is None else left
        if self._is_probing:
            return _POLL_S
        if now < self._next_slot:
            return self._next_slot - now
        if self._state == "closed":
            self._is_probing = True
            self._windows.skip(max(0.0, now - self._next_slot - _POLL_S))  # time in which no thread wanted to send
            return 0.0
        if now - self._next_slot > _CATCH_UP_S:  # likewise: the pace must not grow in it
            self._windows.skip(now - self._used_at)
            self._since += now - self._used_at
        self._used_at = now
        pace = self._pace(now)
        if pace is None:
            self._change("free", now)
            return 0.0
        if self._rate is not None and self._left < _LAST_S * self._rate:
            pace = min(pace, _BACK * self._rate)
        pace = max(pace, 1.0 / (_MAX_WAIT_PER_REQUEST_S * max(1, self._left)))
        self._next_slot = max(self._next_slot, now - _CATCH_UP_S) + 1.0 / pace
        return 0.0

    def accepted(self, sent_at: float) -> None:
        """Record a response that was not a refusal, or a request without a response."""
        self._latest.append((sent_at, False))
        if self._state == "free":  # takes no lock: append is atomic
            return
        with self._lock:
            now = self._clock.monotonic()
            self._accepted += 1
            self._answers += 1
            self._windows.accept()
            if self._state != "closed":
                self._is_random(now, refused=False)
            elif sent_at > self._cut_at:
                self._reopen(now, now - sent_at)

    def refused(self, sent_at: float, retry_after: float | None = None, *, is_sure: bool = True) -> None:
        """Record a refusal; `is_sure` if it cannot be a fault instead."""
        with self._lock:
            now = self._clock.monotonic()
            self._latest.append((sent_at, True))
            if sent_at <= self._cut_at:
                return
            self._answers += 1
            self._refusals += 1
            cluster = _CLUSTER if is_sure or self._state == "paced" else _UNSURE_CLUSTER
            if self._state == "closed":
                self._windows.refuse(sent_at)
                max_gap = min(_MAX_PROBE_S, _MAX_WAIT_PER_REQUEST_S * max(1, self._left))
                self._probe_gap = min(self._probe_gap * _PROBE_FACTOR, max_gap)
                self._schedule_probe(now, retry_after)
            elif self._baseline.is_cluster(self._last(cluster[1]), *cluster):
                self._close(now, retry_after)
            elif self._state == "free":
                self._notice_few(now, retry_after, is_sure=is_sure)
            elif self._state == "search":
                latest = self._last(_COMPARED)
                if self._baseline.is_more(sum(latest), len(latest)):
                    self._close(now, retry_after)
                else:
                    self._is_random(now, refused=True)
            elif not self._is_random(now, refused=True) and self._baseline.is_exceeded(self._refusals, self._answers):
                self._step_back(now)

    def _last(self, number: int) -> list[bool]:
        """Which of the latest answers were refusals."""
        return [refused for _, refused in list(self._latest)[-number:]]

    def _pace(self, now: float) -> float | None:
        since = max(0.0, now - self._since)
        if self._state == "free":
            return None
        if self._state == "closed":
            return 0.0
        if self._state == "search" or self._rate is None:
            doublings = since / self._doubling_s
            return None if doublings > _MAX_DOUBLINGS else float(self._search_from * 2.0**doublings)
        shortest_s = max(_MIN_UNIT_REQUESTS / self._rate, _MIN_UNIT_DOUBLINGS * self._doubling_s)
        units = since / max(shortest_s, min(_UNIT_S, _UNIT_REQUESTS / self._rate))
        if self._agreeing < _ESTIMATES and not self._is_window_rate:
            growth = self._depth * 2.0 ** min(2 * units, _MAX_DOUBLINGS)
        else:
            growth = 1.0 + _GROWTH * (units - math.cbrt((1.0 - self._depth) / _GROWTH)) ** 3
        return float(self._rate * growth)

    def _is_below(self, now: float, share: float) -> bool:
        pace = self._pace(now)
        return pace is not None and self._rate is not None and pace < share * self._rate

    def _is_random(self, now: float, *, refused: bool) -> bool:
        """Count an answer that may belong to the baseline; return whether its refusal, if it is one, counts as random.

        Far below the rate it does, unless there are more than ever: then the limit has become lower. While searching,
        the answers of a while ago are counted: a limit just below the workers' speed refuses a share of all requests,
        as chance does, but only once it is met.
        """
        if self._state == "search":
            if len(self._latest) > _COMPARED:
                self._baseline.add(self._latest[-_COMPARED - 1][1], 1)
            return True
        if not self._is_below(now, _SURELY_BELOW):
            return False
        self._low_answers += 1
        self._low_refusals += refused
        if not self._baseline.is_more(self._low_refusals, self._low_answers):
            return True
        self._low_answers = self._low_refusals = 0
        return False

    def _notice_few(self, now: float, retry_after: float | None, *, is_sure: bool) -> None:
        """Look for a limit that refuses only some requests, but more than were refused before."""
        many, of = _FEW if is_sure else _UNSURE_FEW
        latest, before = self._last(of), self._last(_REMEMBERED)[:-of]
        usual = RejectionBaseline()
        usual.add(sum(before), len(before))
        if len(latest) < of or (len(before) < of and not is_sure) or not usual.is_cluster(latest, many, of):
            return
        # Not the rate: what the bucket held when it was full is in it.
        reached = latest.count(False) / max(now - self._latest[-of][0], 1e-3)
        self._search_from = max(_SEARCH_FROM, _SEARCH_SHARE * reached)
        self._close(now, retry_after)

    def _close(self, now: float, retry_after: float | None) -> None:
        if self._state == "free":
            self._drained_at, self._accepted = now, 0
        else:
            self._estimate(now, is_sure=True)
            if self._state == "paced" and not (self._agreeing or self._windows.found):
                self._rate = None  # a rate that nothing confirmed: random refusals lower it, a burst raises it
        self._probe_gap = _FIRST_PROBE_S
        self._change("closed", now)
        self._windows.close(now)
        self._schedule_probe(now, retry_after)

    def _schedule_probe(self, now: float, retry_after: float | None) -> None:
        self._is_probing = False
        max_gap = math.inf if retry_after is None else max(retry_after, _FIRST_PROBE_S)
        self._next_slot = now + min(self._probe_gap, max_gap)

    def _reopen(self, now: float, answer_s: float) -> None:
        self._doubling_s = max(_DOUBLING_S, _DOUBLING_PER_ANSWER * answer_s)
        rate = self._windows.reopen(now, answer_s, self._baseline.share)
        if rate is not None:
            self._rate = max(_MIN_RATE, rate if self._rate is None else min(rate, self._rate))
            self._is_window_rate, self._depth = True, _BACK
            self._drained_at, self._accepted = now, 1
        self._change("search" if self._rate is None else "paced", now)

    def _step_back(self, now: float) -> None:
        self._depth = _DEEP_BACK if self._is_below(now, 1.0) or self._baseline.share else _BACK
        self._baseline.add(self._low_refusals, self._low_answers)
        self._estimate(now, is_sure=self._is_below(now, _SURELY_BELOW))
        self._change("paced", now)

    def _estimate(self, now: float, *, is_sure: bool) -> None:
        """Estimate the rate from what was accepted since the server last ran out; if sure, it has run out again."""
        elapsed = max(now - self._drained_at, 1e-3)
        seen = self._accepted / (1.0 - self._baseline.share) / elapsed
        if self._rate is None:
            self._rate = max(seen, 1.0 / elapsed)
        elif self._accepted >= _ENOUGH or (self._accepted and elapsed >= _ENOUGH_S):
            self._agreeing = self._agreeing + 1 if 1 / _AGREEMENT < seen / self._rate < _AGREEMENT else 0
            self._is_window_rate = self._is_window_rate and seen < _AGREEMENT * self._rate
            half = _HALF_WEIGHT if is_sure or seen > self._rate else _HALF_WEIGHT_DOWN
            is_exact = is_sure and not self._baseline.share
            self._rate += (seen - self._rate) * (1.0 if is_exact else self._accepted / (self._accepted + half))
        elif elapsed >= _ENOUGH_S:  # nothing was accepted for long
            self._rate /= 2
        else:  # too few: let them add up
            return
        self._rate = max(self._rate, _MIN_RATE)
        self._drained_at, self._accepted = now, 0

    def _change(self, state: State, now: float) -> None:
        if self._state == "free":
            self._windows.begin(now, list(self._latest))
        if state != self._state:
            self._latest.clear()
        # After a step back, a request at once would often be refused; unless refusals are random.
        if (state, self._state) != ("paced", "paced") or self._baseline.share:
            self._next_slot = now
        self._state, self._since, self._cut_at, self._used_at = state, now, now, now
        self._answers = self._refusals = self._low_answers = self._low_refusals = 0
        self._is_probing = False
        log.debug("%s, rate %s/s", state, None if self._rate is None else round(self._rate, 1))


class FixedQuota:
    """Admits at most ``number`` requests in any ``seconds``: a published limit. Shared by threads.

    The first ``number`` pass immediately, which suits servers that count in windows and those that refill steadily.
    Other programs may use the same quota, so a refusal holds all threads.

    Examples
    --------
    >>> quota = FixedQuota(2, 60.0)
    >>> quota.reserve(100.0), quota.reserve(100.0), quota.reserve(101.0)
    (0.0, 0.0, 59.5)
    """

    def __init__(self, number: int, seconds: float, clock: Clock = SYSTEM_CLOCK) -> None:
        self._number, self._seconds, self._clock = number, seconds, clock
        self._lock = clock.lock()
        self._sent: deque[float] = deque(maxlen=number)
        self._closed_until = float("-inf")

    def admit(self, stop: Callable[[], bool] = lambda: False, *, left: int | None = None) -> float | None:  # noqa: ARG002 - a known limit does not depend on it
        """Block until a request may be sent; return that moment, or None when ``stop()`` ended the wait."""
        while not stop():
            with self._lock:
                now = self._clock.monotonic()
                wait_s = self.reserve(now)
            if wait_s <= 0:
                return now
            self._clock.sleep(min(wait_s, _POLL_S))
        return None

    def reserve(self, now: float) -> float:
        """Take a slot and return 0, or return the seconds after which to try again. Takes no lock."""
        wait_s = self._closed_until - now
        if len(self._sent) == self._number:
            wait_s = max(wait_s, self._sent[0] + self._seconds + _QUOTA_SLACK_S - now)
        if wait_s > 0:
            return wait_s
        self._sent.append(now)
        return 0.0

    def accepted(self, sent_at: float) -> None:
        """Do nothing: the limit is known."""

    def refused(self, sent_at: float, retry_after: float | None = None, *, is_sure: bool = True) -> None:  # noqa: ARG002 - a known limit needs no evidence
        """Hold all threads for ``retry_after``, else for one request's share of the time."""
        with self._lock:
            wait_s = self._seconds / self._number if retry_after is None else min(retry_after, self._seconds)
            self._closed_until = max(self._closed_until, self._clock.monotonic() + wait_s)
        log.debug("refused although within the quota: waiting %.1f s", wait_s)
