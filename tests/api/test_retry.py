import pytest

from orstats.api.retry import Retry
from orstats.errors import ConfigError, NoConnectionError, NotFoundError, RateLimitError, ServerError


def transient(retry_after=None):
    return ServerError("HTTP 502", status=502, retryable=True, retry_after=retry_after)


def test_waits_grow_are_drawn_and_are_capped():
    retry = Retry(attempts=50, max_elapsed=1e9, first_wait=0.5, max_wait=8)
    for attempt, most in [(1, 0.5), (2, 1.0), (3, 2.0), (5, 8.0), (20, 8.0)]:
        waits = [retry.next_wait(transient(), attempt=attempt, elapsed=0) for _ in range(300)]
        assert all(most / 2 <= wait <= most for wait in waits)
        assert max(waits) > 0.9 * most
        assert min(waits) < 0.6 * most


def waited(error, retry=None):
    retry = retry or Retry()
    return sum(retry.next_wait(error, attempt=attempt, elapsed=0) for attempt in range(1, retry.attempts))


def test_nothing_is_given_up_while_a_server_is_away_for_half_a_minute():
    assert all(30 <= waited(transient()) <= 64 for _ in range(300))


@pytest.mark.parametrize("told", [0, 0.01, 1])
def test_short_retry_after_does_not_prevent_backoff(told):
    assert all(waited(transient(told)) >= 30 for _ in range(100))


def test_wait_that_the_server_asks_for_is_obeyed_in_full():
    retry = Retry(max_wait=60, max_elapsed=300)
    assert 7 <= retry.next_wait(transient(7), attempt=1, elapsed=0) <= 7.1
    assert 120 <= retry.next_wait(transient(120), attempt=1, elapsed=0) <= 120.1


def test_wait_longer_than_max_elapsed_is_not_started():
    assert Retry(max_elapsed=300).next_wait(transient(3600), attempt=1, elapsed=0) is None
    assert Retry(max_elapsed=300).next_wait(transient(120), attempt=2, elapsed=200) is None


def offline():
    return NoConnectionError("connection refused", retryable=True)


def test_single_request_without_a_connection_gives_up_within_ten_seconds():
    for _ in range(100):
        one, many = (
            [retry.next_wait(offline(), attempt=attempt, elapsed=2.0 ** (attempt - 1) - 1) for attempt in range(1, 7)]
            for retry in (Retry().for_one_request(), Retry())
        )
        assert one[-2:] == [None, None]
        assert sum(wait or 0 for wait in one) <= 7.5
        assert None not in many
    assert Retry().for_one_request().next_wait(transient(), attempt=6, elapsed=60) is not None
    assert Retry(max_offline=60).for_one_request().max_offline == 60


def test_on_retry_is_called_before_each_wait():
    told = []
    retry = Retry(attempts=3, on_retry=lambda error, wait: told.append((str(error), wait)))
    wait = retry.next_wait(transient(), attempt=1, elapsed=0)
    assert told == [("HTTP 502", wait)]
    assert retry.next_wait(transient(), attempt=3, elapsed=0) is None
    assert len(told) == 1
    slept = []

    def request():
        raise offline()

    with pytest.raises(NoConnectionError):
        retry.call(request, sleep=slept.append)
    assert told[1:] == [("connection refused", wait) for wait in slept]


def test_retries_of_a_single_request_are_logged(caplog):
    Retry().for_one_request().next_wait(offline(), attempt=1, elapsed=0)
    assert "connection refused Trying again in 0." in caplog.text
    assert caplog.records[0].levelname == "WARNING"


def test_gives_up_after_the_attempts():
    retry = Retry(attempts=3)
    assert retry.next_wait(transient(), attempt=2, elapsed=0) is not None
    assert retry.next_wait(transient(), attempt=3, elapsed=0) is None
    assert Retry(attempts=1).next_wait(transient(), attempt=1, elapsed=0) is None


def test_gives_up_instead_of_waiting_past_max_elapsed():
    retry = Retry(attempts=100, max_elapsed=10)
    assert retry.next_wait(transient(5), attempt=1, elapsed=4) is not None
    assert retry.next_wait(transient(5), attempt=1, elapsed=5.5) is None


def test_permanent_error_is_not_retried():
    assert Retry().next_wait(NotFoundError("HTTP 404", status=404), attempt=1, elapsed=0) is None


def test_call_sleeps_between_attempts_and_raises_the_last_error():
    slept, calls = [], []

    def request():
        calls.append(1)
        raise RateLimitError("HTTP 429", status=429, retryable=True, retry_after=2)

    with pytest.raises(RateLimitError):
        Retry(attempts=3).call(request, sleep=slept.append)
    assert len(calls) == 3
    assert len(slept) == 2
    assert all(2 <= wait <= 2.1 for wait in slept)


def test_call_returns_the_first_success_and_does_not_catch_other_errors():
    answers = [transient(0), transient(0)]

    def request():
        if answers:
            raise answers.pop()
        return "record"

    assert Retry().call(request, sleep=lambda _: None) == "record"
    with pytest.raises(ZeroDivisionError):
        Retry().call(lambda: 1 // 0, sleep=lambda _: None)


@pytest.mark.parametrize(
    "bad", [{"attempts": 0}, {"max_elapsed": -1}, {"first_wait": float("nan")}, {"max_wait": -1}, {"max_offline": -1}]
)
def test_invalid_limits_are_rejected(bad):
    with pytest.raises(ConfigError):
        Retry(**bad)
