"""Deadlines, cancelled fetches and records that appear late, in simulated time."""

import tempfile
from types import SimpleNamespace

import pytest
from fake_account import HOST, MEMORY, FakeTransport, account
from simulated_time import World

import orstats
from orstats import errors


@pytest.mark.parametrize("age", [90, 135, 240, 3000])
@pytest.mark.parametrize("hours_ahead", [-7, 0, 7])
def test_records_that_appear_after_the_end_of_a_long_call_are_fetched(age, hours_ahead):
    old = [f"gen-1780000000-{number:020d}" for number in range(50)]
    with World() as world:
        recent = [f"gen-{int(world.time()) - age}-{number:020d}" for number in range(3)]
        ids = [*recent, *old, "gen-mistyped"]
        scripts = {one: ([], "404" if one == "gen-mistyped" else "ok", 0.02) for one in ids}
        found_at = dict.fromkeys(recent, world.time() + 8)
        client, wire = account(world, orstats.Retry(), FakeTransport(world, scripts, found_at))
        wire.wall_ahead = world.wall_ahead  # the server's clock is right
        world.wall_ahead += 3600 * hours_ahead
        frame = orstats.fetch(ids, client=client, archive=False, workers=4, progress=False)
        ended = world.now
    assert (frame.loc[[*recent, *old], "fetch_status"] == "ok").all()
    assert frame.loc["gen-mistyped", ["fetch_status", "attempts"]].tolist() == ["not_found", 1]
    assert max(one.at for one in wire.sent if one.id in old) < 1, "recent ids do not delay others"
    assert ended < 15


@pytest.mark.parametrize("how", ["deadline", "cancel"])
def test_deadline_and_cancel_keep_fetched_records(how):
    ids = [f"gen-1780000000-{number:020d}" for number in range(40)]
    with tempfile.TemporaryDirectory(dir=MEMORY) as place, World() as world:
        archive = orstats.Archive(place)
        scripts = {one: ([], "ok", 1.0) for one in ids}
        scripts[ids[0]] = ([("429", 60)] * 9, "ok", 1.0)
        client, wire = account(world, orstats.Retry(), FakeTransport(world, scripts))
        early = {"deadline": 4.9}
        if how == "cancel":
            early = {"cancel": SimpleNamespace(is_set=lambda: world.now >= 4.9)}
        frame = orstats.fetch(ids, client=client, archive=archive, workers=4, progress=False, **early)
        ended = world.now
        requests = len(wire.sent)
        with pytest.raises(errors.IncompleteFetchError):
            orstats.fetch(ids, client=client, archive=archive, progress=False, deadline=0, errors="raise")
        stored = archive.read(HOST)["id"].to_pylist()
    assert ended < 7.5
    status = frame["fetch_status"]
    assert set(status) == {"ok", "not_attempted"}
    assert 10 < (status == "ok").sum() < 25
    assert set(stored) == set(status.index[status == "ok"])
    assert frame.loc[ids[0], "fetch_status"] == "not_attempted"
    assert "HTTP 429" in frame.loc[ids[0], "error"]
    assert ("4.9 s passed" if how == "deadline" else "was cancelled") in frame["error"].iloc[-1]
    assert len(wire.sent) == requests, "deadline=0 sends nothing"


def test_deadline_leaves_recent_ids_pending():
    with World() as world:
        (recent,) = ids = [f"gen-{int(world.time()) - 100}-{1:020d}"]
        client, _ = account(world, orstats.Retry(), FakeTransport(world, {recent: ([], "404", 0.1)}))
        frame = orstats.fetch(ids, client=client, archive=False, progress=False, deadline=5)
        ended = world.now
    assert frame["fetch_status"].tolist() == ["pending"]
    assert ended < 6
