"""Feedback is sent once, with a management key, and every documented answer becomes a typed error."""

import pytest

import orstats
from orstats import errors
from orstats.api.feedback import CATEGORIES
from orstats.sim import Faults, SimServer

QUICK = orstats.Retry(attempts=4, first_wait=0)
PATH = "/generation/feedback"


@pytest.fixture(scope="module")
def sim():
    with SimServer(40, seed=5) as server:
        yield server


def test_every_category_is_accepted_once(sim):
    client = sim.client()
    for one, category in zip(sim.ids, CATEGORIES, strict=False):
        assert client.feedback(one, category, "A comment, “quoted”.") is None
        with pytest.raises(errors.ConflictError, match=f"{one}: Feedback was already submitted") as conflict:
            client.feedback(one, "other")
        assert (conflict.value.status, conflict.value.generation_id, conflict.value.retryable) == (409, one, False)


def test_request_holds_what_was_given_and_no_empty_comment(sim):
    client, bodies = sim.client(), []
    send = client._transport.send
    client._transport.send = lambda path, body=None, **options: (
        bodies.append((path, body)),
        send(path, body, **options),
    )[1]
    client.feedback(sim.ids[20], "billing", "  ")
    client.feedback(sim.ids[21], "billing", "twice\n")
    assert bodies == [
        (PATH, f'{{"generation_id":"{sim.ids[20]}","category":"billing"}}'.encode()),
        (PATH, f'{{"generation_id":"{sim.ids[21]}","category":"billing","comment":"twice\\n"}}'.encode()),
    ]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("gen-1", "latncy"), r"Unknown category 'latncy'\. Did you mean 'latency'\?"),
        (("gen-1", "mood"), r"Unknown category 'mood'\. Use one of latency, incoherence, .* other\."),
        (("", "latency"), "generation_id must be the id of one generation, got ''"),
        ((None, "latency"), "generation_id must be"),
        (("gen-1", None), "Unknown category 'None'"),
        (("gen-1", "other", 7), "comment must be text or None, got 7"),
        (("gen-1", "other", "my key is sk-or-v1-0123456789"), "contains an API key"),
        (("gen-1", "other", "cut \ud83d"), "not valid Unicode"),
    ],
)
def test_invalid_arguments_send_nothing(sim, arguments, words):
    before = sim.requests
    with pytest.raises(errors.ConfigError, match=words) as invalid:
        sim.client().feedback(*arguments)
    assert sim.requests == before
    assert "0123456789" not in str(invalid.value)


def test_ordinary_key_unknown_id_and_id_of_another_user(sim, monkeypatch):
    for name in ("OPENROUTER_API_KEY", "OPENROUTER_MANAGEMENT_KEY"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(errors.ForbiddenError, match="a management key of the account that created") as forbidden:
        sim.client(management_key="").feedback(sim.ids[0], "other")
    assert forbidden.value.status == 403
    with pytest.raises(errors.ForbiddenError, match="belongs to another user"):
        sim.client().feedback(sim.foreign_ids(1)[0], "other")
    with pytest.raises(errors.NotFoundError, match="too recent to be available"):
        sim.client().feedback(sim.unknown_ids(1)[0], "other")
    with pytest.raises(errors.MissingKeyError, match="This needs a management key: make one"):
        orstats.Client(base_url=sim.base_url).feedback(sim.ids[0], "other")
    with pytest.raises(errors.AuthenticationError, match=r"the key \(management_key=\) is wrong"):
        sim.client(management_key="sk-or-v1-wrong").feedback(sim.ids[0], "other")


@pytest.mark.parametrize("kind", ["429", "500", "503", "reset"])
def test_faults_before_the_request_is_recorded_are_retried(kind):
    with SimServer(5, faults=Faults(rate=0, per_id={PATH: [kind]}, retry_after_s=0)) as sim:
        client = sim.client(retry=QUICK)
        client.feedback(sim.ids[0], "latency")
        assert sim.requests == 2
        with pytest.raises(errors.ConflictError):
            client.feedback(sim.ids[0], "latency")


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, errors.BadRequestError),
        (401, errors.AuthenticationError),
        (403, errors.ForbiddenError),
        (404, errors.NotFoundError),
        (409, errors.ConflictError),
        (429, errors.RateLimitError),
        (500, errors.InternalServerError),
        (503, errors.ServiceUnavailableError),
    ],
)
def test_documented_statuses_are_typed_errors(status, kind):
    with SimServer(5, faults=Faults(rate=0, always={PATH: str(status)}, retry_after_s=0)) as sim:
        with pytest.raises(kind) as failed:
            sim.client(retry=QUICK).feedback(sim.ids[0], "latency")
        assert (failed.value.status, failed.value.generation_id) == (status, sim.ids[0])
        assert sim.requests == (4 if status in (429, 500, 503) else 1)


def test_lost_response_of_recorded_feedback_is_named():
    """The API recorded the first attempt, whose response was cut: the second one is a conflict with it."""
    with SimServer(5, faults=Faults(rate=0, per_id={PATH: ["cut"]})) as sim:
        with pytest.raises(errors.ConflictError, match=r"earlier attempt of this call.*may be the one"):
            sim.client(retry=QUICK).feedback(sim.ids[0], "latency")
        assert sim.requests == 2


@pytest.mark.parametrize("kind", ["empty-200", "null-200", "foreign-200"])
def test_success_without_its_body_is_an_error(kind):
    with SimServer(5, faults=Faults(rate=0, always={PATH: kind})) as sim, pytest.raises(errors.BadResponseError):
        sim.client(retry=QUICK).feedback(sim.ids[0], "latency")
