"""The adaptive rate limiter against models of servers, in simulated time: no threads, no sleeping, reproducible."""

import heapq
import itertools
import random
import statistics

import pytest
from manual_clock import ManualClock

from orstats.api.rate_limit import AdaptiveRateLimiter


class Bucket:
    """A token bucket: ``rate`` a second, ``burst`` at most. A refusal costs nothing."""

    def __init__(self, rate, burst):
        self.rate, self.burst, self.tokens, self.at = rate, burst, burst, 0.0

    def admits(self, now):
        self.tokens = min(self.burst, self.tokens + (now - self.at) * self.rate)
        self.at = now
        if self.tokens < 1:
            return False
        self.tokens -= 1
        return True

    def told(self, _now):
        return 1.0

    def ideal(self, number):
        return (number - self.burst) / self.rate


class ResettingBucket(Bucket):
    """A bucket that names the exact moment of the next request, as ``X-RateLimit-Reset`` does."""

    def told(self, _now):
        return max((1 - self.tokens) / self.rate, 0.001)


class Changing:
    """A limit that changes while it is used, as when another program begins or ends using the same account."""

    def __init__(self, before, after, at):
        self.before, self.after, self.at = before, after, at

    def admits(self, now):
        return (self.before if now < self.at else self.after).admits(now)

    def told(self, _now):
        return 1.0


class Window:
    """``number`` in each window of ``seconds``; refusals count too."""

    def __init__(self, number, seconds):
        self.number, self.seconds, self.window, self.count = number, seconds, -1, 0

    def admits(self, now):
        if int(now / self.seconds) != self.window:
            self.window, self.count = int(now / self.seconds), 0
        self.count += 1
        return self.count <= self.number

    def told(self, now):
        return self.seconds - now % self.seconds

    def ideal(self, number):
        return ((number - 1) // self.number) * self.seconds


def simulate(
    limiter, number, *, workers=8, cpu=0.0004, latency=0.001, chance=0.0, told=True, is_sure=True, seed=0, jitter=0.2
):
    """Return (seconds, refusals, requests) of ``number`` ids through ``workers`` that share one interpreter."""
    least, most = 0.5 - jitter, 0.5 + jitter
    rnd, clock = random.Random(seed), ManualClock()
    adaptive = AdaptiveRateLimiter(clock)
    order, events, later = itertools.count(), [], []
    fresh, done, refused, sent, busy_until = number, 0, 0, 0, 0.0

    def at(moment, what, data=None):
        heapq.heappush(events, (moment, next(order), what, data))

    for _ in range(workers):
        at(0.0, "free")
    while done < number:
        moment, _, what, data = heapq.heappop(events)
        clock.now = now = max(moment, clock.now)
        if what == "free":
            due = bool(later) and later[0] <= now
            if not due and not fresh:
                at(later[0] if later else now + 0.01, "free")
            elif (wait := adaptive.reserve(now, fresh + len(later))) > 0:
                at(now + min(wait, 0.05) + rnd.expovariate(5000), "free")
            else:
                if due:
                    heapq.heappop(later)
                else:
                    fresh -= 1
                sent += 1
                busy_until = max(busy_until, now) + cpu
                at(busy_until + latency * rnd.uniform(least, most), "arrives", now)
        elif what == "arrives":
            ok = rnd.random() >= chance and limiter.admits(now)
            at(now + latency * rnd.uniform(least, most), "answered", (data, ok, limiter.told(now) if told else None))
        else:
            sent_at, ok, wait = data
            if ok:
                adaptive.accepted(sent_at)
                done += 1
            else:
                adaptive.refused(sent_at, wait, is_sure=is_sure)
                refused += 1
                heapq.heappush(later, now + (rnd.uniform(0, 0.5) if wait is None else wait) + rnd.uniform(0, 0.1))
            at(now, "free")
    return clock.now, refused, sent


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("told", [True, False])
@pytest.mark.parametrize(
    ("rate", "burst", "number"),
    [(200, 200, 2000), (200, 40, 2000), (200, 20, 2000), (200, 40, 6000), (1000, 100, 6000)],
)
def test_unknown_limit_is_fully_used_with_few_refusals(rate, burst, number, told, seed):
    limiter = Bucket(rate, burst)
    seconds, refused, _ = simulate(limiter, number, told=told, seed=seed)
    assert seconds < 1.06 * limiter.ideal(number)
    assert refused < 0.02 * number


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("latency", [0.005, 0.02, 0.05, 0.1])
def test_slow_responses_cost_more_refusals_but_little_time(latency, seed):
    limiter = Bucket(200, 40)
    seconds, refused, _ = simulate(limiter, 2000, workers=32, latency=latency, seed=seed)
    assert seconds < 1.08 * limiter.ideal(2000)
    assert refused < 0.06 * 2000  # 32 of them are on their way when the limit is met for the first time


@pytest.mark.parametrize("seed", range(5))
def test_refusals_of_a_limit_do_not_count_as_random_permanently(seed):
    # Once the rate is thought too high, refusals just below it look like chance, and chance raises the rate.
    _, first, _ = simulate(Bucket(200, 40), 1000, workers=32, latency=0.02, seed=seed)
    _, all_of_them, _ = simulate(Bucket(200, 40), 6000, workers=32, latency=0.02, seed=seed)
    assert all_of_them - first < 0.01 * 5000


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(("before", "after", "most"), [(200, 50, 1.1), (200, 150, 1.1), (100, 400, 1.6)])
def test_a_limit_that_changes_is_found_again(before, after, most, seed):
    limiter = Changing(Bucket(before, 40), Bucket(after, 40), at=5.0)
    ideal = 5.0 + (2000 - 5 * before) / after
    seconds, refused, _ = simulate(limiter, 2000, workers=16, latency=0.02, seed=seed)
    assert seconds < most * ideal
    assert refused < 0.08 * 2000


@pytest.mark.parametrize("jitter", [0.0, 0.01, 0.2])
@pytest.mark.parametrize("workers", [28, 32, 40])
def test_limit_just_below_the_workers_speed_does_not_count_as_random(workers, jitter):
    limiter = Bucket(200, 40)
    seconds, refused, _ = simulate(limiter, 2000, workers=workers, latency=0.12, jitter=jitter)
    assert seconds < 1.2 * limiter.ideal(2000)
    assert refused < 0.08 * 2000


@pytest.mark.parametrize("told", [True, False])
@pytest.mark.parametrize("limiter", [Window(200, 1.0), Window(600, 10.0)], ids=["a second", "ten seconds"])
def test_limit_per_window_is_kept(limiter, told):
    seconds, refused, _ = simulate(limiter, 2000, told=told)
    assert seconds < 1.2 * limiter.ideal(2000)
    assert refused < 0.05 * 2000


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("told", [True, False])
@pytest.mark.parametrize("latency", [0.02, 0.05])
def test_requests_in_flight_at_the_end_of_a_window_are_refused_in_the_first_window_only(latency, told, seed):
    limiter = Window(200, 1.0)
    seconds, refused, _ = simulate(limiter, 2000, workers=32, latency=latency, told=told, seed=seed)
    assert seconds < 1.3 * limiter.ideal(2000)
    assert refused < 0.06 * 2000


def test_slow_limit_is_not_hammered():
    limiter = Bucket(20, 20)
    seconds, refused, _ = simulate(limiter, 400)
    assert seconds < 1.1 * limiter.ideal(400)
    assert refused < 0.15 * 400


@pytest.mark.parametrize(("chance", "most"), [(0.03, 6.0), (0.10, 12.0), (0.23, 25.0)])
def test_random_refusals_do_not_stop_a_fetch(chance, most):
    seconds, _, _ = simulate(Bucket(1e9, 1e9), 2000, chance=chance)
    assert seconds < most


@pytest.mark.parametrize(("chance", "usual", "most"), [(0.03, 1.15, 1.5), (0.10, 1.35, 2.2)])
def test_limit_is_used_despite_random_refusals(chance, usual, most):
    times = []
    for seed in range(12):
        limiter = Bucket(200, 40)
        seconds, refused, sent = simulate(limiter, 2000, workers=32, chance=chance, seed=seed)
        times.append(seconds / limiter.ideal(2000))
        assert refused < (chance + 0.12) * sent
    assert statistics.median(times) < usual
    assert max(times) < most


def test_without_refusals_no_request_waits():
    seconds, refused, sent = simulate(Bucket(1e9, 1e9), 2000, cpu=0.001)
    assert (refused, sent) == (0, 2000)
    assert seconds == pytest.approx(2.0, rel=0.01)


def test_learnt_state_is_kept_for_the_next_call():
    clock = ManualClock()
    adaptive = AdaptiveRateLimiter(clock)
    assert adaptive.pace is None
    for _ in range(8):
        adaptive.refused(sent_at=0.0, retry_after=1.0)
        clock.now += 0.001
    assert adaptive.pace == 0.0
    clock.now += 0.05
    assert adaptive.reserve(clock.now) == 0.0
    assert adaptive.reserve(clock.now) > 0.0, "one probe at a time"
    adaptive.accepted(clock.now)
    assert adaptive.pace == pytest.approx(20.0, rel=0.1)


def test_a_pause_does_not_raise_the_pace():
    clock = ManualClock()
    adaptive = AdaptiveRateLimiter(clock)
    for _ in range(8):
        adaptive.refused(sent_at=0.0, retry_after=1.0)
    clock.now += 0.05
    assert adaptive.reserve(clock.now) == 0.0
    adaptive.accepted(clock.now)
    assert adaptive.reserve(clock.now) == 0.0
    before = adaptive.pace
    clock.now += 3600.0  # the next call of fetch, on the same client
    assert adaptive.reserve(clock.now) == 0.0
    assert adaptive.pace == pytest.approx(before, rel=0.01)


def test_single_refusals_do_not_close_the_limiter():
    adaptive = AdaptiveRateLimiter()
    for sent_at in range(1000):
        (adaptive.refused if sent_at % 20 == 0 else adaptive.accepted)(float(sent_at))
    assert adaptive.pace is None


def test_waiting_ends_at_a_stop():
    adaptive = AdaptiveRateLimiter(ManualClock())
    for _ in range(8):
        adaptive.refused(sent_at=0.0)
    assert adaptive.admit(lambda: True) is None


def test_idle_hour_is_not_measured_as_a_window():
    clock = ManualClock(1000.0)
    adaptive = AdaptiveRateLimiter(clock)
    for _ in range(200):
        clock.now += 0.005
        adaptive.accepted(clock.now)
    for _ in range(8):
        clock.now += 0.005
        adaptive.refused(clock.now)
    for _ in range(4):  # probes
        while adaptive.reserve(clock.now) > 0:
            clock.now += 0.01
        adaptive.refused(clock.now)
    assert adaptive.pace == 0.0
    clock.now += 3600.0
    assert adaptive.reserve(clock.now) == 0.0
    adaptive.accepted(clock.now)
    assert adaptive.pace > 50


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("rate", "burst"), [(20, 20), (50, 1), (50, 50), (200, 40), (200, 200)])
@pytest.mark.parametrize(("latency", "workers"), [(0.001, 8), (0.02, 32), (0.12, 32)])
def test_limit_that_answers_503_is_found(rate, burst, latency, workers, seed):
    limiter = Bucket(rate, burst)
    seconds, refused, sent = simulate(
        limiter, 2500, workers=workers, latency=latency, told=False, is_sure=False, seed=seed
    )
    if burst > 1 or latency < 0.1:  # answers that jitter by more than the interval do not fit a limit without a burst
        assert seconds < (1.5 if burst == 1 else 1.1) * limiter.ideal(2500)
        assert refused < 0.08 * sent


@pytest.mark.parametrize(("chance", "most"), [(0.03, 1.6), (0.10, 1.8), (0.23, 2.5)])
def test_random_503s_do_not_collapse_the_pace(chance, most):
    # Half of the additional time is the wait of the last ids that were refused.
    usual, _, _ = simulate(Bucket(1e9, 1e9), 2500, workers=16, latency=0.02)
    for seed in range(3):
        seconds, _, _ = simulate(
            Bucket(1e9, 1e9), 2500, workers=16, latency=0.02, chance=chance, told=False, is_sure=False, seed=seed
        )
        assert seconds < most * usual


def test_step_back_does_not_send_the_next_request_at_once():
    clock = ManualClock()
    adaptive = AdaptiveRateLimiter(clock)
    for _ in range(8):
        adaptive.refused(sent_at=0.0)
    clock.now += 0.05
    assert adaptive.reserve(clock.now) == 0.0
    adaptive.accepted(clock.now)
    for outcome in (adaptive.accepted, adaptive.refused):
        while (wait := adaptive.reserve(clock.now)) > 0:
            clock.now += wait
        outcome(clock.now)
    assert adaptive.reserve(clock.now) > 0.0


KINDS = {
    "429 with Retry-After": (Bucket, {}),
    "429 with reset": (ResettingBucket, {}),
    "429": (Bucket, {"told": False}),
    "503": (Bucket, {"told": False, "is_sure": False}),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("rate", "burst"), [(50, 50), (200, 40), (200, 200)])
@pytest.mark.parametrize(("workers", "latency"), [(8, 0.02), (8, 0.1), (32, 0.02), (32, 0.1)])
def test_refusals_and_time_at_limits_of_all_kinds(kind, rate, burst, workers, latency):
    server, options = KINDS[kind]
    shares = []
    for seed in range(2):
        limiter = server(rate, burst)
        seconds, refused, _ = simulate(limiter, 2000, workers=workers, latency=latency, seed=seed, **options)
        assert seconds < 1.3 * max(limiter.ideal(2000), 2000 * latency / workers)
        shares.append(refused / 2000)
    assert max(shares) < 0.08
    assert statistics.mean(shares) < 0.06


@pytest.mark.parametrize("told", [True, False])
@pytest.mark.parametrize("burst", [40, 200])
def test_burst_of_a_full_bucket_is_not_taken_for_the_rate(burst, told):
    # The 32 requests on their way when the bucket is empty are refused: 1.6 %.
    for seed in range(8):
        limiter = Bucket(200, burst)
        seconds, refused, _ = simulate(limiter, 2000, workers=32, latency=0.02, told=told, seed=seed)
        assert seconds < 1.08 * limiter.ideal(2000)
        assert refused < 0.045 * 2000


@pytest.mark.parametrize("is_sure", [True, False])
@pytest.mark.parametrize("limiter", [lambda: Bucket(1e9, 1e9), lambda: Bucket(200, 40)], ids=["unlimited", "limited"])
def test_many_random_refusals_do_not_collapse_the_rate(limiter, is_sure):
    for seed in range(16):
        seconds, _, _ = simulate(
            limiter(), 2000, workers=16, latency=0.02, chance=0.3, told=False, is_sure=is_sure, seed=seed
        )
        assert seconds < 80
