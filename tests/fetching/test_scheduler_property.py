"""Any mix of responses, ages and bounds in simulated time keeps the promises of a fetch."""

import math

from hypothesis import given
from hypothesis import strategies as st

from orstats import errors
from orstats.api.retry import Retry
from orstats.fetching.scheduler import LONGEST_CALL_S, FailureRules, Schedule

WALL = 1_790_000_000.0
FINAL = {
    "not_found",
    "pending",
    "forbidden",
    "rate_limited",
    "server_error",
    "network_error",
    "bad_response",
    "invalid_id",
}


def error(kind, told):
    retryable = {"retryable": True, "retry_after": told}
    return {
        "404": lambda: errors.NotFoundError("", status=404),
        "403": lambda: errors.ForbiddenError("", status=403),
        "400": lambda: errors.BadRequestError("", status=400),
        "429": lambda: errors.RateLimitError("", status=429, **retryable),
        "502": lambda: errors.ServerError("", status=502, **retryable),
        "reset": lambda: errors.NetworkError("", **retryable),
        "html": lambda: errors.BadResponseError("", status=200, **retryable),
        "redirect": lambda: errors.BadResponseError("", status=302),
    }[kind]()


answers = st.lists(
    st.tuples(
        st.sampled_from(["ok", "404", "404", "403", "400", "429", "502", "reset", "html", "redirect"]),
        st.none() | st.floats(0, 100),
    ),
    min_size=1,
    max_size=12,
)


@given(
    scripts=st.lists(st.tuples(answers, st.none() | st.floats(-100, 7200)), min_size=1, max_size=12),
    attempts=st.integers(1, 6),
    max_elapsed=st.floats(0, 400),
    max_wait=st.floats(0, 50),
    pending_wait=st.floats(0, 90),
    latency=st.floats(0.001, 5),
    workers=st.integers(1, 4),
)
def test_every_id_ends_with_one_status_within_its_bounds(
    scripts, attempts, max_elapsed, max_wait, pending_wait, latency, workers
):
    ids, plan = [], {}
    for number, (script, age) in enumerate(scripts):
        second = "" if age is None else f"{int(WALL - age)}-"
        name = f"gen-{second}{number:020d}" if second else f"gen-{number:028d}"
        ids.append(name)
        plan[name] = script
    retry = Retry(attempts=attempts, max_elapsed=max_elapsed, max_wait=max_wait)
    schedule, rules = Schedule(ids), FailureRules(retry, pending_wait)
    now, verdicts, out = 0.0, {}, []
    faults, first_sent, not_before, untried = {}, {}, {}, set(ids)
    while True:
        while len(out) < workers:
            taken = schedule.take(now)
            if taken is None or isinstance(taken, float):
                break
            assert taken.id not in verdicts, "no id is requested after its final status"
            assert now >= not_before.get(taken.id, 0.0) - 1e-9, "no id is requested before its wait is over"
            if not taken.attempts:
                taken.first_sent = first_sent[taken.id] = now
            untried.discard(taken.id)
            taken.attempts += 1
            out.append((now + latency, taken))
        if not out:
            if taken is None:
                break
            assert math.isfinite(taken)
            assert not untried, "no worker waits while there are untried ids"
            now += max(taken, 1e-6)
            continue
        now, task = out.pop(0)
        kind, told = plan[task.id][min(task.attempts, len(plan[task.id])) - 1]
        if kind == "ok":
            verdicts[task.id] = "ok"
            schedule.done()
            continue
        verdict = rules.classify(task, error(kind, told), now, WALL + now)
        faults[task.id] = faults.get(task.id, 0) + (kind != "404")
        elapsed = now - first_sent[task.id]
        if isinstance(verdict, str):
            assert verdict in FINAL
            verdicts[task.id] = verdict
            schedule.done()
            continue
        assert verdict >= 0
        if kind == "404":
            assert elapsed + verdict <= pending_wait + 1e-6
        else:
            assert kind not in ("403", "400", "redirect"), "permanent failures are not retried"
            assert faults[task.id] < attempts
            assert elapsed + verdict <= max_elapsed + 1e-6
            if told is not None:
                assert verdict >= min(told, max_wait)
        not_before[task.id] = now + verdict
        schedule.reschedule(task, now + verdict)
    assert verdicts.keys() == set(ids), "every id has one final status"
    assert schedule.left == 0
    for (script, age), name in zip(scripts, ids, strict=True):
        if verdicts[name] == "not_found" and age is not None and age >= LONGEST_CALL_S + 1:
            assert script[0][0] == "404" or len(script) > 1
