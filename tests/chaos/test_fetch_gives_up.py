"""Servers and ids that keep failing are given up in bounded time, and no earlier than they have to be."""

import tempfile

import pandas as pd
import pytest
from fake_account import HOST, MEMORY, FakeTransport, account
from simulated_time import World

import orstats
from orstats import errors
from orstats.api.transport import Answer


@pytest.mark.parametrize("kind", ["429", "503", "reset"])
@pytest.mark.parametrize("told", [None, 1, 3600])
def test_server_that_only_fails_is_given_up_in_bounded_time(kind, told):
    ids = [f"gen-1780000000-{number:020d}" for number in range(1500)]
    with World() as world:
        scripts = {one: ([(kind, told)] * 100 if number >= 50 else [], "ok", 0.05) for number, one in enumerate(ids)}
        client, wire = account(world, orstats.Retry(), FakeTransport(world, scripts))
        frame = orstats.fetch(ids, client=client, archive=False, workers=16, progress=False)
        ended = world.now
    assert ended < 400
    status = frame["fetch_status"]
    assert (status.iloc[:50] == "ok").all()
    assert set(status.iloc[50:]) <= {"rate_limited", "server_error", "network_error", "not_attempted"}
    asked = pd.Series([one.id for one in wire.sent]).value_counts()
    assert (frame["attempts"] == asked.reindex(frame.index, fill_value=0)).all()
    assert ((status == "not_attempted") == (frame["attempts"] == 0)).all()


class Away(FakeTransport):
    """Refuses connections for 20 seconds, from the first or from the fifth on."""

    def __init__(self, world, scripts, accepted):
        super().__init__(world, scripts)
        self.accepted = accepted

    def send(self, path, *rest, **options):
        self.accepted -= 1
        if self.accepted < 0 and self.world.now < 20:
            raise errors.NoConnectionError("no connection (connection refused)", retryable=True)
        return super().send(path, *rest, **options)


@pytest.mark.parametrize(
    ("url", "accepted", "retry", "is_patient"),
    [
        ("http://127.0.0.1:9", 0, orstats.Retry(), False),
        ("http://127.0.0.1:9", 5, orstats.Retry(), True),
        ("http://127.0.0.1:9", 0, orstats.Retry(max_offline=60), True),
        (f"https://{HOST}", 0, orstats.Retry(), True),
    ],
)
@pytest.mark.parametrize("number", [1, 400])
def test_only_a_local_server_that_never_accepts_a_connection_is_given_up_early(
    url, accepted, retry, is_patient, number
):
    ids = [f"gen-1780000000-{number:020d}" for number in range(number)]
    with World() as world:
        client, _ = account(world, retry, Away(world, {one: ([], "ok", 0.02) for one in ids}, accepted), url)
        frame = orstats.fetch(ids, client=client, archive=False, progress=False)
        ended = world.now
    assert set(frame["fetch_status"]) == ({"ok"} if is_patient else {"network_error"})
    assert is_patient or ended < 10


def test_id_that_is_always_refused_is_given_up_as_early_as_before():
    ids = [f"gen-1780000000-{number:020d}" for number in range(3000)]
    with World() as world:
        scripts = {one: ([], "ok", 0.05) for one in ids} | {ids[5]: ([], "503", 0.05)}
        client, _wire = account(world, orstats.Retry(), FakeTransport(world, scripts))
        frame = orstats.fetch(ids, client=client, archive=False, progress=False)
        ended = world.now
    assert frame.loc[ids[5], ["fetch_status", "attempts"]].tolist() == ["server_error", 8]
    assert (frame["fetch_status"] == "ok").sum() == 2999
    assert ended < 70


@pytest.mark.parametrize(("workers", "number"), [(1, 40), (4, 40), (16, 400), (16, 5)])
@pytest.mark.parametrize("status", [403, 404, 200])
def test_responses_from_elsewhere_stop_the_batch(workers, number, status):
    ids = [f"gen-1780000000-{number:020d}" for number in range(number)]
    page = Answer(status, {"Content-Type": "text/html"}, b"<html><title>Blocked</title></html>")
    with World() as world:
        client, wire = account(world, orstats.Retry(), FakeTransport(world, {}))
        sent = []
        wire.send = lambda path, *_, **__: (sent.append(path), world.sleep(0.05), page)[-1]
        with pytest.raises(errors.NotApiResponseError) as caught:
            orstats.fetch(ids, client=client, archive=False, workers=workers, progress=False)
        ended = world.now
    assert len(sent) <= 2 * workers
    assert ended < 10
    status = caught.value.frame["fetch_status"]
    assert len(status) == number
    assert set(status) <= {"bad_response", "not_attempted"}


def test_wrong_setting_stops_the_batch_and_keeps_fetched_records():
    ids = [f"gen-1780000000-{number:020d}" for number in range(100)]
    with tempfile.TemporaryDirectory(dir=MEMORY) as place, World() as world:
        archive = orstats.Archive(place)
        client, wire = account(world, orstats.Retry(), FakeTransport(world, dict.fromkeys(ids, ([], "ok", 0.05))))
        answer = wire.send

        def send(path, *_, **__):
            if len(wire.sent) >= 30:
                raise errors.NetworkSetupError("the proxy asks for a user and password")
            return answer(path)

        wire.send = send
        with pytest.raises(errors.NetworkSetupError, match="user and password") as caught:
            orstats.fetch(ids, client=client, archive=archive, workers=4, progress=False)
        stored = archive.read(HOST).num_rows
    assert caught.value.frame["fetch_status"].value_counts()["ok"] == stored == 30
    assert (caught.value.frame["fetch_status"] == "not_attempted").sum() >= 66
