"""The pace that all requests of one account share.

The vendor publishes no limit for ``/generation``, so it is found out once, for everybody, and probed again:

``free``
    Nothing is known: send as fast as the workers can. A single refusal may be chance; only when many of the
    latest answers are refusals is there a limit.
``closed``
    One request at a time asks whether the gate is open again: after 50 ms, then half as long again each time, but
    not beyond what the server told. Holding everyone for all of ``Retry-After`` would waste the limit's refill.
    If it stays closed for long, the server counts in windows, and what one window admits is its rate.
``search``
    Open, but the limit is unknown: the pace doubles from 20/s until refusals cluster.
``paced``
    Between two refusals the server was drained twice, so *accepted / elapsed* is its rate, without a model of
    how it counts. Send a little below that rate, grow past it as TCP's CUBIC does (soon near, long around, then
    faster and faster), step back at the next refusal.

Not every refusal is about pace: some answer 429 by chance, however slowly they are asked. A refusal that comes soon
after a step back may be that, or the rate is thought too high; the next step is deeper, and what is refused so far
below the rate measures chance. Only what exceeds it counts as a sign.
"""

from __future__ import annotations

import logging
import math
from collections import deque
from collections.abc import Callable
from typing import Literal, Protocol

from orstats.api.clock import SYSTEM_CLOCK, Clock
from orstats.api.rate_evidence import QuotaWindowDetector, RejectionBaseline

log = logging.getLogger("orstats.rate_limit")

State = Literal["free", "closed", "search", "paced"]

_FIRST_PROBE_S, _PROBE_GROWS, _LONGEST_PROBE_S = 0.05, 1.5, 5.0
_SEARCH_FROM, _SEARCH_DOUBLES_S, _SEARCH_DOUBLINGS = 20.0, 0.05, 12.0
#: Of the rate: where a step back leads to; a deeper one; and below which every refusal is chance.
_BACK, _DEEP, _SURELY_BELOW = 0.98, 0.9, 0.95
#: So many refusals of so many latest answers are a limit.
_CLUSTER = (5, 8)
#: A limit just below the workers' speed refuses few, evenly: so many of a longer look back.
_FEW, _LOOK_BACK = 5, 64
#: So many of the latest answers are remembered: a first window that admits more is thought to admit these.
_REMEMBERED = 4096
#: No request is held back longer than this for each one that is left: a few that are refused again and again, because
#: of what they ask for, must not be taken for a limit of some requests an hour.
_HELD_PER_LEFT_S = 0.02
#: A refusal that may be a fault (a 503) needs more evidence while no limit is known: faults by chance must not slow a
#: fetch down, and a limit that is met at full speed refuses most requests.
_UNSURE_CLUSTER, _UNSURE_MANY, _UNSURE_FEW = (7, 8), 28, 16
#: While searching, so many of the latest answers are compared with those before them.
_SEARCHED = 32
#: Such a part of them refused is more than a known limit refuses.
_REFUSING = 0.25
#: An estimate of the rate rests on at least so many accepted requests, and on so many seconds.
_ENOUGH, _ENOUGH_S = 10, 0.05
#: An estimate counts half when it rests on so many; a lower one needs more, for it may come from refusals by chance.
_HALF, _HALF_DOWN = 20, 100
#: The pace's growth is counted in the time of so many requests, within these bounds: a slow limit must not be probed
#: at every other request. While the estimates still differ it doubles in half of that.
_UNIT_REQUESTS, _SHORTEST_UNIT_S, _LONGEST_UNIT_S, _FEWEST_UNIT_REQUESTS = 200.0, 0.2, 1.0, 20.0
#: CUBIC's constant, in units.
_GROWTH = 0.02
#: The rate is not thought to be less than this (per second): growing again would take minutes, and the closed gate's
#: probes hold back for a limit that is really so low.
_SLOWEST = 1.0
#: So many steps back in a row before the rate was reached: measure chance before the pace is raised as fast.
_EARLY_IN_A_ROW = 3
#: Estimates agree within this ratio; so many that agree make a rate sure.
_AGREE, _SURE_AFTER = 1.2, 3
#: Work for so many seconds is the end of the work.
_LAST_S = 1.5
#: A late wake-up may be made up for by this many seconds' worth of requests; by less at paces below the one beside it,
#: where waking up late costs little and servers often admit nothing early.
_CATCH_UP_S, _CATCH_UP_FROM = 0.02, 200.0
#: Waiters look up this often, so that a stop or a new pace reaches them.
_LOOK_UP_S = 0.05


class AdaptiveRateLimiter:
    """Admits requests at a pace learnt from the answers. Shared by threads."""

    def __init__(self, clock: Clock = SYSTEM_CLOCK) -> None:
        self._clock = clock
        self._lock = clock.lock()
        self._turn = clock.lock()
        self._state: State = "free"
        self._since = 0.0  # when the state or the pace last changed: growth counts from here
        self._next_slot = self._used_at = 0.0
        self._latest: deque[tuple[float, bool]] = deque(maxlen=_REMEMBERED)  # (sent at, refused)
        self._chance = RejectionBaseline()
        self._window = QuotaWindowDetector()
        self._answers = self._refusals = 0  # since then
        self._low_answers = self._low_refusals = 0  # of these, while the pace was surely below the limit
        self._cut_at = float("-inf")  # answers to what was sent before this are about an old pace
        self._rate: float | None = None  # what the server was seen to accept, per second
        self._estimates = 0  # how many the rate rests on
        self._in_windows = False  # the rate is what a whole window admits, or less
        self._depth = _BACK  # of the last step back, as a part of the rate
        self._early = 0  # how many of the last step backs in a row came before the rate was reached
        self._drained_at = 0.0  # the last refusal that counted
        self._accepted = 0  # since then
        self._probe_gap, self._probing = _FIRST_PROBE_S, False
        self._doubling_s = _SEARCH_DOUBLES_S
        self._left = math.inf  # requests still to come, as far as the callers know

    @property
    def pace(self) -> float | None:
        """Requests per second at this moment; None while no limit is known, 0 while the gate is closed."""
        with self._lock:
            return self._pace(self._clock.monotonic())

    @property
    def is_limiting(self) -> bool:
        """Whether a limit refuses so many requests that a refusal says nothing about its id."""
        with self._lock:
            latest = [refused for _, refused in self._latest][-_SEARCHED:]
            is_refusing = sum(latest) >= _REFUSING * len(latest)
            return self._state in ("closed", "search") or (self._state == "paced" and is_refusing)

    def admit(self, stop: Callable[[], bool] = lambda: False, *, left: int | None = None) -> float | None:
        """Block until a request may be sent; return the moment, to be handed back with its answer."""
        if self._state == "free":  # the fast path: nothing to wait for
            return self._clock.monotonic()
        with self._turn:  # one waiter watches the pace, the others queue behind it
            while not stop():
                with self._lock:
                    now = self._clock.monotonic()
                    wait = self.reserve(now, left)
                if wait <= 0:
                    return now
                self._clock.sleep(min(wait, _LOOK_UP_S))
        return None

    def reserve(self, now: float, left: int | None = None) -> float:
        """Take a place at once (returns 0), or return the seconds after which to ask again. Takes no lock."""
        if self._state == "free":
            return 0.0
        self._left = math.inf if left is None else left
        if self._state == "closed" and self._probing:
            return _LOOK_UP_S
        if now < self._next_slot:
            return self._next_slot - now
        if self._state == "closed":
            self._probing = True
            self._window.skip(max(0.0, now - self._next_slot - _LOOK_UP_S))  # nobody came: that is no closed gate
            return 0.0
        if now - self._next_slot > _CATCH_UP_S:
            self._window.skip(now - self._used_at)
            self._since += now - self._used_at  # nobody waited for his turn: that tells nothing of the limit
        self._used_at = now
        pace = self._pace(now)
        if not pace:  # there turned out to be no limit
            return 0.0
        if left is not None and self._rate is not None and left < _LAST_S * self._rate:
            pace = min(pace, _BACK * self._rate)
        if left is not None:
            pace = max(pace, 1.0 / (_HELD_PER_LEFT_S * max(1, left)))
        catch_up = _CATCH_UP_S * min(1.0, pace / _CATCH_UP_FROM)
        self._next_slot = max(self._next_slot, now - catch_up) + 1.0 / pace
        return 0.0

    def accepted(self, sent_at: float) -> None:
        """Record an answer that was no refusal, whatever else it was (no answer at all included)."""
        self._latest.append((sent_at, False))
        if self._state == "free":  # the fast path takes no lock: append is atomic
            return
        with self._lock:
            now = self._clock.monotonic()
            self._accepted += 1
            self._answers += 1
            self._window.accept()
            if self._state == "closed" and sent_at > self._cut_at:
                # Doubling faster than answers come back would overshoot by all that is on its way.
                self._doubling_s = max(_SEARCH_DOUBLES_S, 2.5 * (now - sent_at))
                self._reopen(now, now - sent_at)
            else:
                self._is_chance(now, refused=False)

    def refused(self, sent_at: float, retry_after: float | None = None, *, is_sure: bool = True) -> None:
        """Record the refusal of a request."""
        with self._lock:
            now = self._clock.monotonic()
            self._latest.append((sent_at, True))
            if sent_at <= self._cut_at:
                return
            self._answers += 1
            self._refusals += 1
            if self._state == "closed":
                self._window.refuse(sent_at)
                longest = min(_LONGEST_PROBE_S, _HELD_PER_LEFT_S * max(1, self._left))
                self._probe_gap = min(self._probe_gap * _PROBE_GROWS, longest)
                self._await_probe(now, retry_after)
            elif self._is_clustered(is_sure) or (self._state == "search" and self._is_more_than_before()):
                self._close(now, retry_after)
            elif self._state == "free":
                if is_sure:
                    self._look_back(now)
                elif self._is_more_than_usual():
                    self._close(now, retry_after)
            elif not self._is_chance(now, refused=True) and self._chance.is_exceeded(self._refusals, self._answers):
                self._step_back(now)

    def _pace(self, now: float) -> float | None:
        since = max(0.0, now - self._since)
        if self._state == "free":
            return None
        if self._state == "closed":
            return 0.0
        if self._state == "search" or self._rate is None:
            doublings = since / self._doubling_s
            if doublings > _SEARCH_DOUBLINGS:  # 80,000/s: there is no limit that we could meet
                self._change("free", now)
                return None
            return float(_SEARCH_FROM * 2.0**doublings)
        shortest = max(_SHORTEST_UNIT_S, _FEWEST_UNIT_REQUESTS / self._rate, 4 * self._doubling_s)
        units = since / max(shortest, min(_LONGEST_UNIT_S, _UNIT_REQUESTS / self._rate))
        if self._estimates < _SURE_AFTER and self._early < _EARLY_IN_A_ROW and not self._in_windows:
            grown = self._depth * 2.0 ** min(2 * units, _SEARCH_DOUBLINGS)
        else:
            grown = 1.0 + _GROWTH * (units - ((1.0 - self._depth) / _GROWTH) ** (1 / 3)) ** 3
        return float(self._rate * grown)

    def _is_chance(self, now: float, *, refused: bool) -> bool:
        """Count an answer for what it says of chance; tell whether its refusal, if it is one, is taken for that.

        Far below the rate it is, unless there are more than ever: then the limit has become lower. While searching,
        answers of a while ago are counted, when the pace was lower: a limit just below the workers' speed refuses a
        share of all requests, as chance does, but only once it is met.
        """
        if self._state == "search":
            if len(self._latest) > _SEARCHED:
                self._chance.note(self._latest[-_SEARCHED - 1][1], 1)
            return True
        if not self._is_below(now, _SURELY_BELOW):
            return False
        self._low_answers += 1
        self._low_refusals += refused
        if not self._chance.is_more(self._low_refusals, self._low_answers):
            return True
        self._low_answers = self._low_refusals = 0
        return False

    def _is_below(self, now: float, part: float) -> bool:
        pace = self._pace(now)
        return pace is not None and self._rate is not None and pace < part * self._rate

    def _is_more_than_before(self) -> bool:
        latest = list(self._latest)[-_SEARCHED:]
        return self._chance.is_more(sum(refused for _, refused in latest), len(latest))

    def _is_clustered(self, is_sure: bool) -> bool:
        many, of = _CLUSTER if is_sure or self._state == "paced" else _UNSURE_CLUSTER
        latest = list(self._latest)[-of:]
        return self._chance.is_cluster(sum(refused for _, refused in latest), many, of)

    def _is_more_than_usual(self) -> bool:
        """Tell whether many are refused now that were not refused before, as when a bucket was drained."""
        answers = [refused for _, refused in self._latest]
        before, refusals = answers[:-_LOOK_BACK], sum(answers[-_LOOK_BACK:])
        usual = RejectionBaseline()
        usual.note(sum(before), len(before))
        many = _UNSURE_FEW if len(before) >= _LOOK_BACK else _UNSURE_MANY
        return len(answers) >= _LOOK_BACK and usual.is_cluster(refusals, many, _LOOK_BACK)

    def _look_back(self, now: float) -> None:
        latest = list(self._latest)[-_LOOK_BACK:]
        refusals = sum(refused for _, refused in latest)
        if len(latest) < _LOOK_BACK or not self._chance.is_cluster(refusals, _FEW, _LOOK_BACK):
            return
        self._rate = (_LOOK_BACK - refusals) / max(now - latest[0][0], 1e-3)
        self._drained_at, self._accepted = now, 0
        self._change("paced", now)

    def _step_back(self, now: float) -> None:
        """Go on from a little below the rate; from further below while refusals may be chance."""
        self._early = self._early + 1 if self._is_below(now, 1.0) else 0
        self._chance.note(self._low_refusals, self._low_answers)
        self._learn(now, is_sure=self._is_below(now, _SURELY_BELOW))
        self._depth = _DEEP if self._early or self._chance.share else _BACK
        self._change("paced", now)

    def _learn(self, now: float, *, is_sure: bool) -> None:
        """Estimate the rate from what was accepted since the server was last drained; if sure, it is so again."""
        elapsed = max(now - self._drained_at, 1e-3)
        seen = self._accepted / (1.0 - self._chance.share) / elapsed
        is_enough = self._accepted >= _ENOUGH or (self._accepted and elapsed >= _LONGEST_UNIT_S)
        if self._rate is None:
            self._rate = max(seen, 1.0 / elapsed)
        elif is_enough and elapsed >= _ENOUGH_S:
            agrees = 1 / _AGREE < seen / self._rate < _AGREE
            self._estimates = self._estimates + 1 if agrees else 0
            self._in_windows = self._in_windows and seen < _AGREE * self._rate
            half = _HALF if is_sure or seen > self._rate else _HALF_DOWN
            weight = 1.0 if is_sure and not self._chance.share else self._accepted / (self._accepted + half)
            self._rate += weight * (seen - self._rate)
        elif elapsed >= _LONGEST_UNIT_S:  # nothing accepted for long
            self._rate /= 2
        else:  # too few to tell: let them add up
            return
        self._rate = max(self._rate, _SLOWEST)
        self._drained_at, self._accepted = now, 0

    def _close(self, now: float, retry_after: float | None) -> None:
        if self._state == "free":
            self._drained_at, self._accepted = now, 0
        else:
            self._learn(now, is_sure=True)
        self._probe_gap = _FIRST_PROBE_S
        self._change("closed", now)
        self._window.close(now)
        self._await_probe(now, retry_after)

    def _reopen(self, now: float, took: float) -> None:
        rate = self._window.reopen(now, took, self._chance.share)
        if rate is not None:
            self._rate = max(_SLOWEST, rate if self._rate is None else min(rate, self._rate))
            self._in_windows, self._depth = True, _BACK
            self._drained_at, self._accepted = now, 1
        self._change("search" if self._rate is None else "paced", now)

    def _await_probe(self, now: float, retry_after: float | None) -> None:
        self._probing = False
        gap = self._probe_gap if retry_after is None else min(self._probe_gap, max(retry_after, _FIRST_PROBE_S))
        self._next_slot = now + gap

    def _change(self, state: State, now: float) -> None:
        if self._state == "free":
            self._window.begin(now, list(self._latest))
        if state != self._state:
            self._latest.clear()
        # A step back does not send the next request at once: many limits admit nothing early. Chance knows no slots.
        if (state, self._state) != ("paced", "paced") or self._chance.share:
            self._next_slot = now
        self._state, self._since, self._cut_at, self._used_at = state, now, now, now
        self._answers = self._refusals = self._low_answers = self._low_refusals = 0
        self._probing = False
        log.debug("%s, rate %s/s", state, None if self._rate is None else round(self._rate, 1))


#: Their clock and ours do not start a minute at the same moment, and requests travel.
_SLACK_S = 0.5


class RateLimiter(Protocol):
    """What the client needs of whoever paces its requests."""

    def admit(self, stop: Callable[[], bool] = ..., *, left: int | None = None) -> float | None:
        """Block until a request may be sent; return the moment, or None when ``stop()`` ended the wait."""

    def accepted(self, sent_at: float) -> None:
        """Record an answer that was no refusal."""

    def refused(self, sent_at: float, retry_after: float | None = None, *, is_sure: bool = ...) -> None:
        """Record a refusal, which is surely about the pace or may be a fault; ``told`` is its wait, if any."""


class FixedQuota:
    """Admits at most ``most`` requests in any ``seconds``. Shared by threads.

    The first ``most`` pass at once, which holds for servers that count in fixed windows and for those that refill
    steadily. Others may use up the same limit: after a refusal everybody waits.

    Examples
    --------
    >>> quota = FixedQuota(2, 60.0)
    >>> quota.reserve(100.0), quota.reserve(100.0), quota.reserve(101.0)
    (0.0, 0.0, 59.5)
    """

    def __init__(self, most: int, seconds: float, clock: Clock = SYSTEM_CLOCK) -> None:
        self._seconds = seconds
        self._clock = clock
        self._lock = clock.lock()
        self._sent: deque[float] = deque(maxlen=most)
        self._closed_until = float("-inf")

    def admit(self, stop: Callable[[], bool] = lambda: False, *, left: int | None = None) -> float | None:  # noqa: ARG002 - how many are left makes no difference to a known limit
        """Block until a request may be sent; return the moment, or None when ``stop()`` ended the wait."""
        while not stop():
            with self._lock:
                now = self._clock.monotonic()
                wait = self.reserve(now)
            if wait <= 0:
                return now
            self._clock.sleep(min(wait, _LOOK_UP_S))
        return None

    def reserve(self, now: float) -> float:
        """Take a place at once (returns 0), or return the seconds after which to ask again. Takes no lock."""
        wait = self._closed_until - now
        if len(self._sent) == self._sent.maxlen:
            wait = max(wait, self._sent[0] + self._seconds + _SLACK_S - now)
        if wait > 0:
            return wait
        self._sent.append(now)
        return 0.0

    def accepted(self, sent_at: float) -> None:
        """Do nothing: the limit is known."""

    def refused(self, sent_at: float, retry_after: float | None = None, *, is_sure: bool = True) -> None:  # noqa: ARG002 - a known limit needs no evidence
        """Hold everybody for as long as retry_after, else for one request's share of the time."""
        with self._lock:
            wait = self._seconds / (self._sent.maxlen or 1) if retry_after is None else min(retry_after, self._seconds)
            self._closed_until = max(self._closed_until, self._clock.monotonic() + wait)
        log.debug("refused although within the limit; %.1f s pause", wait)
