"""The pace that all requests of one account share.

The vendor publishes no limit for ``/generation``, so it is found out once, for everybody, and probed again:

``free``
    Nothing is known: send as fast as the workers can. A single refusal may be chance; only when many of the
    latest answers are refusals is there a limit.
``closed``
    One request at a time asks whether the gate is open again: after 50 ms, then twice as long each time, but
    not beyond what the server told. Holding everyone for all of ``Retry-After`` would waste the limit's refill.
``search``
    Open, but the limit is unknown: the pace doubles from 20/s until refusals cluster.
``paced``
    Between two refusals the server was drained twice, so *accepted / elapsed* is its rate, without a model of
    how it counts. Send a little below that rate, grow slowly past it, step back at the next refusal.

Not every refusal is about pace: some answer 429 by chance, however slowly they are asked. The share of refusals
while the pace is surely below the limit measures that, and only what exceeds it counts as a sign.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Literal

from orstats.api.chance import Chance

log = logging.getLogger("orstats.governor")

State = Literal["free", "closed", "search", "paced"]

_FIRST_PROBE_S, _LONGEST_PROBE_S = 0.05, 30.0
_SEARCH_FROM, _SEARCH_DOUBLES_S, _SEARCH_DOUBLINGS = 20.0, 0.05, 12.0
_BACK_OFF = 0.98
#: So many refusals of so many latest answers are a limit: before one is known, and after.
_CLUSTER_UNKNOWN, _CLUSTER_KNOWN = (5, 8), (3, 5)
#: A limit just below the workers' speed refuses few, evenly: this share of a longer look back.
_SHARE, _LOOK_BACK = 0.125, 64
#: While searching, so many of the latest answers are compared with those before them.
_SEARCHED = 32
#: An estimate of the rate rests on at least so many accepted requests.
_ENOUGH = 10
#: The pace grows within a second to what it was, but never in less time than so many requests take, or a slow
#: limit would be probed at every other one. While the estimates still differ it doubles in half of that.
_UNIT_S, _UNIT_REQUESTS, _DOUBLING_S, _DOUBLING_REQUESTS = 1.0, 20.0, 0.5, 10.0
#: Estimates agree within this ratio; so many that agree make a rate sure.
_AGREE, _SURE_AFTER = 1.2, 3
#: Work for so many seconds is the end of the work.
_LAST_S = 1.5
#: A late wake-up may be made up for by this many seconds' worth of requests.
_CATCH_UP_S = 0.02
#: Waiters look up this often, so that a stop or a new pace reaches them.
_LOOK_UP_S = 0.05


class Governor:
    """Admits requests at a pace learnt from the answers. Shared by threads.

    Parameters
    ----------
    clock
        Monotonic seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._turn = threading.Lock()
        self._state: State = "free"
        self._since = 0.0  # when the state or the pace last changed: growth counts from here
        self._next_slot = 0.0
        self._latest: deque[tuple[float, bool]] = deque(maxlen=_LOOK_BACK)  # (sent at, refused)
        self._chance = Chance()
        self._answers = self._refusals = 0  # since then
        self._cut_at = float("-inf")  # answers to what was sent before this are about an old pace
        self._rate: float | None = None  # what the server was seen to accept, per second
        self._estimates = 0  # how many the rate rests on
        self._drained_at = 0.0  # the last refusal that counted
        self._accepted = 0  # since then
        self._probe_gap, self._probing = _FIRST_PROBE_S, False
        self._doubling_s = _SEARCH_DOUBLES_S

    @property
    def pace(self) -> float | None:
        """Requests per second at this moment; None while no limit is known, 0 while the gate is closed."""
        with self._lock:
            return self._pace(self._clock())

    def admit(self, stop: Callable[[], bool] = lambda: False, *, left: int | None = None) -> float | None:
        """Block until a request may be sent; return the moment, to be handed back with its answer.

        Parameters
        ----------
        stop
            Asked while waiting; when true the wait ends.
        left
            How many requests are still to come, if known. Near the end the limit is no longer probed, because
            one refused then would be waited for alone.

        Returns
        -------
        float or None
            Monotonic seconds; None when ``stop()`` ended the wait.
        """
        if self._state == "free":  # the fast path: nothing to wait for
            return self._clock()
        with self._turn:  # one waiter watches the pace, the others queue behind it
            while not stop():
                with self._lock:
                    now = self._clock()
                    wait = self.reserve(now, left)
                if wait <= 0:
                    return now
                time.sleep(min(wait, _LOOK_UP_S))
        return None

    def reserve(self, now: float, left: int | None = None) -> float:
        """Take a place at once (returns 0), or return the seconds after which to ask again. Takes no lock."""
        if self._state == "free":
            return 0.0
        if self._state == "closed" and self._probing:
            return _LOOK_UP_S
        if now < self._next_slot:
            return self._next_slot - now
        if self._state == "closed":
            self._probing = True
            return 0.0
        pace = self._pace(now)
        if not pace:  # the search came to its end without meeting a limit
            return 0.0
        if left is not None and self._rate is not None and left < _LAST_S * self._rate:
            pace = min(pace, _BACK_OFF * self._rate)
        self._next_slot = max(self._next_slot, now - _CATCH_UP_S) + 1.0 / pace
        return 0.0

    def accepted(self, sent_at: float) -> None:
        """Record an answer that was no refusal, whatever else it was (no answer at all included)."""
        self._latest.append((sent_at, False))
        if self._state == "free":  # the fast path takes no lock: append is atomic
            return
        with self._lock:
            now = self._clock()
            self._accepted += 1
            self._answers += 1
            if self._state == "closed" and sent_at > self._cut_at:
                # Doubling faster than answers come back would overshoot by all that is on its way.
                self._doubling_s = max(_SEARCH_DOUBLES_S, 2.5 * (now - sent_at))
                self._change("search" if self._rate is None else "paced", now)
            else:
                self._note(now, refused=False)

    def refused(self, sent_at: float, told: float | None = None) -> None:
        """Record a refusal (429) of a request sent at ``sent_at``; ``told`` is its wait in seconds, if any."""
        with self._lock:
            now = self._clock()
            self._latest.append((sent_at, True))
            if sent_at <= self._cut_at:
                return
            self._answers += 1
            self._refusals += 1
            if self._state == "closed":
                self._probe_gap = min(self._probe_gap * 2, _LONGEST_PROBE_S)
                self._await_probe(now, told)
            elif self._is_clustered() or (self._state == "search" and self._is_more_than_before()):
                self._close(now, told)
            elif self._state == "free":
                self._look_back(now)
            elif self._note(now, refused=True):
                pass
            elif self._state == "paced" and self._chance.is_exceeded(self._refusals, self._answers):
                self._learn(now)
                self._change("paced", now)

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
        if self._estimates < _SURE_AFTER:
            doublings = since / max(_DOUBLING_S, _DOUBLING_REQUESTS / self._rate)
            return float(self._rate * _BACK_OFF * 2.0 ** min(doublings, _SEARCH_DOUBLINGS))
        # Slow around the known rate, fast when it has long been no limit (as TCP's CUBIC grows).
        units = since / max(_UNIT_S, _UNIT_REQUESTS / self._rate)
        return self._rate * (_BACK_OFF + 0.03 * units + 0.01 * units**3)

    def _note(self, now: float, *, refused: bool) -> bool:
        """Count an answer as chance, if it must be; tell whether it is.

        Just stepped back below the rate, every refusal is. While searching those of a while ago are, when the pace
        was lower: a limit just below the workers' speed refuses a share of all requests, as chance does, but only
        once it is met.
        """
        if self._state == "search":
            if len(self._latest) > _SEARCHED:
                self._chance.note(refused=self._latest[-_SEARCHED - 1][1])
            return True
        below = self._state == "paced" and self._rate is not None and (self._pace(now) or 0.0) < self._rate
        if below:
            self._chance.note(refused=refused)
        return below

    def _is_more_than_before(self) -> bool:
        latest = list(self._latest)[-_SEARCHED:]
        return self._chance.is_more(sum(refused for _, refused in latest), len(latest))

    def _is_clustered(self) -> bool:
        many, of = _CLUSTER_KNOWN if self._state == "paced" else _CLUSTER_UNKNOWN
        latest = list(self._latest)[-of:]
        return self._chance.is_cluster(sum(refused for _, refused in latest), many, of)

    def _look_back(self, now: float) -> None:
        latest = list(self._latest)
        refusals = sum(refused for _, refused in latest)
        if len(latest) < _LOOK_BACK or refusals < (_SHARE + 2 * self._chance.share) * _LOOK_BACK:
            return
        self._rate = (_LOOK_BACK - refusals) / max(now - latest[0][0], 1e-3)
        self._drained_at, self._accepted = now, 0
        self._change("paced", now)

    def _learn(self, now: float, *, forced: bool = False) -> None:
        """Estimate the rate from what was accepted since the server was last drained."""
        elapsed = max(now - self._drained_at, _FIRST_PROBE_S)
        seen = self._accepted / (1.0 - self._chance.share) / elapsed
        if self._rate is None:
            self._rate = max(seen, 1.0 / elapsed)
        elif self._accepted >= _ENOUGH or (self._accepted and elapsed >= _UNIT_S):
            agrees = 1 / _AGREE < seen / self._rate < _AGREE
            self._estimates = self._estimates + 1 if agrees else 0
            self._rate = seen if forced or seen > self._rate else (self._rate + seen) / 2
        elif elapsed >= _UNIT_S:  # nothing accepted for long
            self._rate /= 2
        else:  # too few to tell: let them add up
            return
        self._drained_at, self._accepted = now, 0

    def _close(self, now: float, told: float | None) -> None:
        if self._state == "free":
            self._drained_at, self._accepted = now, 0
        else:
            self._learn(now, forced=True)
        self._probe_gap = _FIRST_PROBE_S
        self._change("closed", now)
        self._await_probe(now, told)

    def _await_probe(self, now: float, told: float | None) -> None:
        self._probing = False
        gap = self._probe_gap if told is None else min(self._probe_gap, max(told, _FIRST_PROBE_S))
        self._next_slot = now + gap

    def _change(self, state: State, now: float) -> None:
        if state != self._state:
            self._latest.clear()
        self._state, self._since, self._cut_at, self._next_slot = state, now, now, now
        self._answers = self._refusals = 0
        self._probing = False
        log.debug("%s, rate %s/s", state, None if self._rate is None else round(self._rate, 1))
