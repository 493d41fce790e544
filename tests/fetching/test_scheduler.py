import pytest

from orstats import errors
from orstats.api.retry import Retry
from orstats.fetching.scheduler import FailureRules, Schedule
from orstats.frame.status import status_of

BORN = 1_790_000_000
ID = f"gen-{BORN}-AbCdEfGhIjKlMnOpQrSt"
LEGACY = "gen-" + "a" * 28
ABSENT = errors.NotFoundError("HTTP 404", status=404)
FAULT = errors.ServerError("HTTP 502", status=502, retryable=True, retry_after=0.0)


def sent(schedule, now):
    task = schedule.take(now)
    task.attempts += 1
    task.first_sent = task.first_sent or now
    return task


def test_schedule_hands_out_every_id_once_in_order():
    schedule = Schedule(["a", "b", "c"])
    tasks = [schedule.take(0.0) for _ in range(3)]
    assert [task.id for task in tasks] == ["a", "b", "c"]
    assert schedule.take(0.0) == float("inf"), "they may be rescheduled"
    for _ in tasks:
        schedule.done()
    assert schedule.take(0.0) is None


def test_untried_ids_go_before_waiting_ones_until_these_are_due():
    schedule = Schedule(["a", "b", "c"])
    first = schedule.take(0.0)
    schedule.reschedule(first, until=5.0)
    assert schedule.left == 3
    assert schedule.take(1.0).id == "b"
    assert schedule.take(5.0) is first
    assert schedule.take(5.0).id == "c"
    assert schedule.left == 0


def test_due_task_replaces_an_untried_one_that_waits_for_its_turn():
    schedule = Schedule(["a", "b", "c"])
    first, second = sent(schedule, 0.0), schedule.take(0.0)
    schedule.reschedule(first, until=5.0)
    assert schedule.prefer_due_task(second, 4.0) is second
    assert schedule.prefer_due_task(second, 6.0) is first
    assert schedule.prefer_due_task(first, 6.0) is first, "a task that was tried keeps its turn"
    assert schedule.take(6.0) is second
    assert schedule.left == 1


def test_wait_is_until_the_next_due_task():
    schedule = Schedule(["a"])
    schedule.reschedule(schedule.take(0.0), until=5.0)
    assert schedule.take(2.0) == pytest.approx(3.0)


def test_missing_old_id_is_not_found_at_once():
    schedule, rules = Schedule([ID]), FailureRules(Retry(), 30)
    assert rules.classify(sent(schedule, 10.0), ABSENT, 10.0, BORN + 3601) == "not_found"


@pytest.mark.parametrize("age", [90, 135, 240, 1800, 3500, -5, -600])
def test_id_whose_call_may_still_run_is_retried(age):
    schedule, rules = Schedule([ID]), FailureRules(Retry(), 30)
    task = sent(schedule, 10.0)
    assert isinstance(rules.classify(task, ABSENT, 10.0, BORN + age), float)
    assert rules.classify(task, ABSENT, 40.0, BORN + age + 30) == "pending"


def test_missing_recent_id_is_retried_and_then_pending():
    schedule, rules = Schedule([ID]), FailureRules(Retry(attempts=1), 30)
    now, tries = 100.0, 0
    task = sent(schedule, now)
    while not isinstance(verdict := rules.classify(task, ABSENT, now, BORN + now - 100), str):
        assert 0 < verdict <= 5
        now += verdict
        tries += 1
    assert verdict == "pending"
    assert now == pytest.approx(130.0), "the last request is sent when the time is over"
    assert 7 < tries < 14


def test_id_that_is_no_longer_recent_while_waiting_is_not_found():
    schedule, rules = Schedule([ID]), FailureRules(Retry(), 3600)
    task = sent(schedule, 0.0)
    assert isinstance(rules.classify(task, ABSENT, 0.0, BORN + 3590.0), float)
    assert rules.classify(task, ABSENT, 11.0, BORN + 3601.0) == "not_found"


@pytest.mark.parametrize(
    "mistyped",
    [
        LEGACY,
        "gen-1790000",
        f"gen-{BORN}",
        f"gen-{BORN}0-AbCdEfGhIjKlMnOpQrSt",
        f"gen-{BORN + 90_000}-AbCdEfGhIjKlMnOpQrSt",  # a day ahead
        "gen_0123456789",
        "gen-vid-",
        "nonsense",
    ],
)
def test_id_without_a_plausible_time_is_not_retried(mistyped):
    schedule, rules = Schedule([mistyped]), FailureRules(Retry(), 30)
    assert rules.classify(sent(schedule, 5.0), ABSENT, 5.0, BORN) == "not_found"


def test_known_end_of_the_call_decides_what_may_still_appear():
    schedule = Schedule([ID, "gen-old"])
    rules = FailureRules(Retry(), 30, ended_at={ID: BORN + 200.0, "gen-old": BORN + 0.0})
    assert isinstance(rules.classify(sent(schedule, 5.0), ABSENT, 5.0, BORN + 210.0), float)
    assert rules.classify(sent(schedule, 5.0), ABSENT, 5.0, BORN + 210.0) == "not_found"


def test_pending_wait_of_zero_does_not_retry():
    schedule, rules = Schedule([ID]), FailureRules(Retry(), 0.0)
    assert rules.classify(sent(schedule, 5.0), ABSENT, 5.0, BORN + 1) == "pending"


def test_missing_records_do_not_count_as_failed_attempts():
    schedule, rules = Schedule([ID]), FailureRules(Retry(attempts=2), 30)
    task = sent(schedule, 1.0)
    for _ in range(5):
        assert isinstance(rules.classify(task, ABSENT, 1.0, BORN), float)
    assert isinstance(rules.classify(task, FAULT, 1.0, BORN), float)
    assert rules.classify(task, FAULT, 1.0, BORN) == "server_error"


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        (errors.BadRequestError, "invalid_id"),
        (errors.AuthenticationError, "forbidden"),
        (errors.PaymentRequiredError, "forbidden"),
        (errors.ForbiddenError, "forbidden"),
        (errors.NotFoundError, "not_found"),
        (errors.RateLimitError, "rate_limited"),
        (errors.ServerError, "server_error"),
        (errors.NetworkError, "network_error"),
        (errors.BadResponseError, "bad_response"),
    ],
)
def test_each_error_has_its_status(kind, status):
    assert status_of(kind("said")) == status


def test_excused_refusals_do_not_use_up_attempts_but_time_bounds_them():
    schedule, rules = Schedule([ID]), FailureRules(Retry(attempts=2, max_elapsed=60), 30)
    task, now = sent(schedule, 1.0), 1.0
    while not isinstance(wait := rules.classify(task, FAULT, now, BORN, excused=True), str):
        now += max(wait, 1.0)
        task.attempts += 1
    assert wait == "server_error"
    assert 50 < now <= 62
    schedule, rules = Schedule([ID]), FailureRules(Retry(attempts=1), 30)
    assert rules.classify(sent(schedule, 1.0), FAULT, 1.0, BORN, excused=True) == "server_error"
