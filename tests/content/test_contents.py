"""fetch_contents against the simulator: rate-limited, resumable, and private by default."""

import threading
import time
from datetime import UTC, datetime
from types import SimpleNamespace

import orjson
import pytest

import orstats
from orstats import errors
from orstats.api.clock import Clock
from orstats.content.contents_frame import COLUMNS
from orstats.frame.record_table import to_table
from orstats.frame.schema import PANDAS_DTYPE
from orstats.sim import Faults, RateLimit, SimServer

QUICK = orstats.Retry(first_wait=0.01, max_wait=0.05)


@pytest.fixture(scope="module")
def account():
    with SimServer(150, seed=9) as sim:
        yield sim


@pytest.fixture
def sim(account):
    account.reset_stats()
    return account


def test_contents_have_one_row_per_generation(sim):
    contents = orstats.fetch_contents(sim.ids, client=sim.client())
    assert list(contents.index) == sim.ids
    assert (contents.fetch_status == "ok").all()
    for generation_id, row in contents.iterrows():
        data = sim.content(generation_id)
        if sim.content_reason(generation_id) == "stored":
            assert row["content_status"] == "stored"
            listed = data["input"].get("messages")
            assert listed is None or orjson.loads(row["messages"]) == listed
            assert row["completion"] == data["output"]["completion"] or data["output"]["completion"] is None
        else:
            assert row["content_status"] != "stored"
            assert row["reason"]


def test_archived_records_explain_missing_content(sim, tmp_path):
    client = sim.client()
    orstats.fetch(sim.ids, client=client, archive=tmp_path)
    contents = orstats.fetch_contents(sim.ids, client=client, archive=tmp_path)
    words = {"regional": "regional host", "zero_data_retention": "zero data retention", "stored": "stored"}
    for generation_id, status in contents["content_status"].items():
        reason = sim.content_reason(generation_id)
        assert status == words[reason] if reason in words else status in ("not logged", "too old")


def test_contents_have_one_row_per_message(sim):
    stored = [i for i in sim.ids if sim.content_reason(i) == "stored"]
    frame = orstats.fetch_contents(stored, client=sim.client(), rows="message")
    for generation_id in stored:
        data = sim.content(generation_id)
        rows = frame.loc[[generation_id]]
        roles = [one["role"] for one in data["input"].get("messages", [])]
        inputs = rows[rows["side"] == "input"]
        assert not roles or list(inputs["role"]) == roles
        outputs = rows[rows["side"] == "output"]
        assert len(outputs) == (data["output"]["completion"] is not None or data["output"]["reasoning"] is not None)
        assert rows["position"].tolist() == list(range(len(rows))) or data["error"]


@pytest.mark.parametrize("rows", ["generation", "message"])
def test_no_contents_have_the_same_typed_columns(rows):
    frame = orstats.fetch_contents([], rows=rows)
    kinds = {name: PANDAS_DTYPE[kind] for name, kind in COLUMNS[rows].items()}
    assert {name: str(dtype) for name, dtype in frame.dtypes.items()} == kinds


def test_contents_are_stored_only_on_request(sim, tmp_path):
    client = sim.client()
    orstats.fetch_contents(sim.ids[-20:], client=client, archive=tmp_path)
    assert not list(tmp_path.rglob("*.parquet"))
    first = orstats.fetch_contents(sim.ids[-20:], client=client, archive=tmp_path, store_content=True)
    sim.reset_stats()
    again = orstats.fetch_contents(sim.ids[-20:], client=client, archive=tmp_path)
    assert sim.requests == (first["content_status"] != "stored").sum()
    assert again["completion"].equals(first["completion"])
    assert (again.loc[first["content_status"] == "stored", "attempts"] == 0).all()
    with pytest.raises(errors.ConfigError, match="needs an archive"):
        orstats.fetch_contents(sim.ids[:1], client=client, store_content=True)


def test_interrupted_fetch_of_contents_resumes(tmp_path, monkeypatch):
    with SimServer(60, seed=2) as sim:
        client = sim.client()
        real, calls = client.ask_content, []

        def interrupted(generation_id, **options):
            calls.append(generation_id)
            if len(calls) > 30:
                raise KeyboardInterrupt
            return real(generation_id, **options)

        monkeypatch.setattr(client, "ask_content", interrupted)
        with pytest.raises(KeyboardInterrupt):
            orstats.fetch_contents(sim.ids, client=client, archive=tmp_path, store_content=True, workers=2)
        kept = orstats.Archive(tmp_path).read_contents(client.settings.host, sim.ids)
        assert kept
        monkeypatch.undo()
        sim.reset_stats()
        contents = orstats.fetch_contents(sim.ids, client=client, archive=tmp_path, store_content=True)
        assert sim.requests == 60 - len(kept)
        assert (contents.fetch_status == "ok").all()


def test_workers_that_wait_for_the_rate_limiter_send_nothing_after_a_stop(tmp_path):
    def workers():
        return [thread for thread in threading.enumerate() if thread.name.startswith("orstats-worker")]

    with SimServer(200, seed=2, rate_limit=RateLimit(20)) as sim:
        client, asked = sim.client(), []
        stored = [one for one in sim.ids if sim.content_reason(one) == "stored"]

        def is_set():
            if client.rate_limiter.pace is not None and sim.requests > 30:  # seven or eight wait for the rate limiter
                asked.append(sim.requests)
                raise KeyboardInterrupt
            return False

        with pytest.raises(KeyboardInterrupt):
            orstats.fetch_contents(
                stored,
                client=client,
                archive=tmp_path,
                store_content=True,
                workers=8,
                cancel=SimpleNamespace(is_set=is_set),
            )
        for thread in workers():
            thread.join(10)
        assert not workers()
        assert sim.requests <= asked[0] + 8, "at most the active request of each worker"
        answered = sim.stats.statuses[200]
        assert 0 < len(orstats.Archive(tmp_path).read_contents(client.settings.host, stored)) == answered


def test_archive_error_midway_carries_the_fetched_contents(sim, tmp_path, monkeypatch):
    def fail(*_):
        raise errors.ArchiveError("No space left on device.", path=str(tmp_path))

    monkeypatch.setattr(orstats.Archive, "append_contents", fail)
    with pytest.raises(errors.ArchiveError) as caught:
        orstats.fetch_contents(sim.ids, client=sim.client(), archive=tmp_path, store_content=True)
    frame = caught.value.frame
    assert list(frame.index) == sim.ids
    assert (frame["content_status"] == "stored").any()


@pytest.mark.slow
def test_many_files_of_contents_are_merged(sim, tmp_path):
    stored = [one for one in sim.ids if sim.content_reason(one) == "stored"][:66]
    archive = orstats.Archive(tmp_path)
    for one in stored:
        orstats.fetch_contents([one], client=sim.client(), archive=archive, store_content=True)
    assert len(list(tmp_path.rglob("part-*.parquet"))) < 64
    assert len(archive.read_contents(sim.client().settings.host, stored)) == len(stored)


def test_faults_and_rate_limits_lose_no_content():
    faults = Faults(rate=0.3, retry_after_s=0)
    with SimServer(120, faults=faults, rate_limit=RateLimit(400)) as sim:
        contents = orstats.fetch_contents(sim.ids, client=sim.client(retry=QUICK))
    assert (contents.fetch_status == "ok").all()


def test_management_key_is_used_when_the_other_is_forbidden():
    with SimServer(40, seed=9, until=datetime(2026, 10, 1, tzinfo=UTC)) as other:
        forbidden = orstats.fetch_contents(
            other.ids, client=other.client(api_key=other.plain_key, management_key=None), workers=2
        )
        assert set(forbidden["content_status"]) == {"forbidden"}
        contents = orstats.fetch_contents(other.ids, client=other.client(api_key=other.plain_key), workers=2)
    assert "forbidden" not in set(contents["content_status"])


def test_refused_key_stops_with_the_frame(sim):
    with pytest.raises(errors.AuthenticationError) as caught:
        orstats.fetch_contents(sim.ids[:30], client=sim.client(api_key="sk-or-revoked", management_key=None))
    assert list(caught.value.frame.index) == sim.ids[:30]
    assert "not_attempted" in set(caught.value.frame["fetch_status"])


def test_errors_raise_only_for_failed_requests(sim):
    unknown = sim.unknown_ids(1, age=3600)
    assert len(orstats.fetch_contents(unknown, client=sim.client(), errors="raise")) == 1
    with pytest.raises(errors.IncompleteFetchError) as caught:
        orstats.fetch_contents(["chatcmpl-1", *unknown], client=sim.client(), errors="raise")
    assert caught.value.frame["fetch_status"].tolist() == ["invalid_id", "ok"]


def test_content_of_a_recent_id_is_retried_and_then_pending(sim):
    found, lost = sim.young_ids(1, found_after=1.0), sim.unknown_ids(1, age=240)
    contents = orstats.fetch_contents([*found, *lost], client=sim.client(), pending_wait=2.5)
    assert contents.loc[found[0], "attempts"] > 1
    assert contents.loc[found[0], "fetch_status"] == "ok"
    assert contents.loc[lost[0], ["fetch_status", "content_status"]].tolist() == ["pending", "not yet"]
    assert orstats.Generation.from_row({"id": lost[0]}, client=sim.client()).content().status == "not yet"


def test_content_of_a_call_that_ended_long_ago_is_not_retried(sim, tmp_path):
    (lost,) = sim.unknown_ids(1, age=240)
    created = datetime.fromtimestamp(int(lost.split("-")[1]), UTC)
    record = {"id": lost, "created_at": created.isoformat(), "generation_time": 20_000, "data_region": "global"}
    archive = orstats.Archive(tmp_path)
    archive.append(sim.client().settings.host, to_table([lost], [record], [time.time()]))
    contents = orstats.fetch_contents([lost], client=sim.client(), archive=archive)
    assert contents.loc[lost, ["attempts", "content_status"]].tolist() == [1, "not logged"]


@pytest.mark.parametrize("bad", [{"workers": 0}, {"rows": "word"}, {"errors": "ignore"}])
def test_invalid_arguments_are_refused(sim, bad):
    with pytest.raises(errors.ConfigError):
        orstats.fetch_contents(sim.ids[:1], client=sim.client(), **bad)


class FastClock(Clock):
    """A million seconds pass in one."""

    def monotonic(self):
        return 1e6 * time.monotonic()


def test_a_server_that_only_fails_is_given_up():
    with SimServer(20, faults=Faults(rate=1.0, kinds=["502"], repeat=10**6)) as sim:
        client = sim.client(retry=orstats.Retry(max_elapsed=0), _clock=FastClock())
        contents = orstats.fetch_contents(sim.ids, client=client, workers=1)
        assert sim.requests == 1
    assert list(contents["fetch_status"]) == ["server_error"] + ["not_attempted"] * 19


@pytest.mark.parametrize("body", [b"", b'{"input": {"mess', b"\xff\xfe\x00", b"[" * 5_000])
def test_an_archived_content_that_is_not_json_is_requested_again(sim, tmp_path, body):
    client = sim.client()
    damaged, whole = [one for one in sim.ids if sim.content_reason(one) == "stored"][:2]
    bodies = [body, b'{"output": {"completion": "\\ud800 x", "reasoning": null, "extra": NaN}}']
    orstats.Archive(tmp_path).append_contents(client.settings.host, [damaged, whole], bodies, [1.8e9] * 2)
    with pytest.warns(UserWarning, match=f"Excluded 1 archived content .*{damaged}"):
        contents = orstats.fetch_contents([damaged, whole], client=client, archive=tmp_path)
    assert contents.fetch_status.tolist() == ["ok", "ok"]
    assert contents.completion[whole] == "\ufffd x"
    assert sim.requests == 1
    with pytest.warns(UserWarning, match=damaged):
        assert orstats.get(damaged, client=client, archive=tmp_path).content().status == "stored"
