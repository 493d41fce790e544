"""A missing or wrong key and exhausted credits stop a fetch, and what was fetched is kept."""

import re
import threading

import pytest
from simulated import UNTIL, wait_for

import orstats
from orstats import errors
from orstats.sim import SimServer

OLD = "gen-1700000000-AbCdEfGhIjKlMnOpQr"


def test_wrong_key_stops_after_one_request_a_worker(sim, tmp_path):
    client = orstats.Client("sk-or-v1-" + "0" * 64, base_url=sim.base_url)
    with pytest.raises(errors.AuthenticationError, match="Check api_key=:") as caught:
        orstats.fetch(sim.ids, client=client, workers=4, archive=tmp_path)
    assert sim.requests <= 4
    frame = caught.value.frame
    assert len(frame) == len(sim.ids)
    assert (frame["fetch_status"] == "not_attempted").sum() >= len(sim.ids) - 4
    assert set(frame["fetch_status"]) == {"forbidden", "not_attempted"}


def spend(sim):
    sim.out_of_credits = True


def test_exhausted_credits_stop_the_batch_and_keep_fetched_records(tmp_path):
    with SimServer(400, latency=0.01, until=UNTIL) as sim:
        spender = threading.Thread(target=lambda: (wait_for(lambda: sim.requests > 80), spend(sim)))
        spender.start()
        with pytest.raises(errors.PaymentRequiredError) as caught:
            orstats.fetch(sim.ids, client=sim.client(), workers=4, archive=tmp_path)
        spender.join()
        done = caught.value.frame["fetch_status"].value_counts()
        assert done["ok"] > 10
        assert done["not_attempted"] > 10
        sim.out_of_credits = False
        sim.reset_stats()
        df = orstats.fetch(sim.ids, client=sim.client(), archive=tmp_path)
        assert (df["fetch_status"] == "ok").all()
        assert sim.requests == len(sim.ids) - done["ok"]


def test_missing_key_error_names_the_variable(monkeypatch):
    monkeypatch.delenv("OPENROUTER_API_KEY", raising=False)
    monkeypatch.delenv("OPENROUTER_MANAGEMENT_KEY", raising=False)
    with pytest.raises(errors.MissingKeyError, match="OPENROUTER_API_KEY"):
        orstats.fetch([OLD], archive=False)


def test_missing_key_error_says_what_the_archive_has(sim, tmp_path, monkeypatch):
    monkeypatch.delenv("OPENROUTER_API_KEY", raising=False)
    monkeypatch.delenv("OPENROUTER_MANAGEMENT_KEY", raising=False)
    orstats.fetch(sim.ids[:3], client=sim.client(), archive=tmp_path)
    ids, options = [*sim.ids[:5], "chatcmpl-1"], {"client": orstats.Client(base_url=sim.base_url), "archive": tmp_path}
    known = rf"3 of the 6 ids are archived for {re.escape(sim.client().settings.host)}: fetch\(ids, deadline=0\)"
    with pytest.raises(errors.MissingKeyError, match=known):
        orstats.fetch(ids, **options)
    df = orstats.fetch(ids, **options, deadline=0)
    assert list(df["fetch_status"]) == ["ok"] * 3 + ["not_attempted"] * 2 + ["invalid_id"]
    elsewhere = (
        rf"The id is not archived for openrouter\.ai\. The archive .* has records of {sim.client().settings.host}:"
    )
    for missing in (lambda: orstats.fetch([OLD], archive=tmp_path), lambda: orstats.get(OLD, archive=tmp_path)):
        with pytest.raises(errors.MissingKeyError, match=elsewhere):
            missing()
    with pytest.raises(errors.MissingKeyError) as caught:
        orstats.fetch(ids, **options, refresh=True)
    assert "archived" not in str(caught.value)
