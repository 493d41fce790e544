"""Random faults by seed over every endpoint: what comes back is right, or a typed error; nothing else."""

import random
from datetime import UTC, datetime, timedelta

import pandas as pd
import pytest
from manual_clock import SkippingClock

import orstats
from orstats import errors
from orstats.sim import Faults, SimServer
from orstats.sim.faults import ALL_KINDS, DEFAULT_KINDS

QUICK = orstats.Retry(attempts=6, first_wait=0.005, max_wait=0.02)
#: A 200 without a record; elsewhere than /generation, an empty object or list may be the true answer.
HOLLOW = {"empty-200", "list-200", "foreign-200", "wrapped-200"}
#: What does not heal is let in as well, except what takes long, what stops a whole fetch (a refused account, and
#: answers that are not the API's), and refusals for the request rate: no server refuses one id for ever because of it.
LASTING = [
    kind
    for kind in ALL_KINDS
    if kind not in HOLLOW | {"hang", "drip"}
    and not kind.startswith(
        ("401", "402", "html-4", "json-4", "captive", "null", "blank", "429", "503", "529", "html-503")
    )
]
PATHS = ["/analytics/query", "/analytics/meta", "/activity", "/key", "/credits"]
SEEDS = [1, 2, 3]


def chaotic(seed, **options):
    """An account where every third id meets faults, some ids for ever, and each other endpoint a few."""
    rng = random.Random(seed)
    ids = SimServer(240, seed=seed, until=options.get("until")).ids
    lasting = {one: rng.choice(LASTING) for one in rng.sample(ids, 24)}
    healing = {path: [rng.choice(DEFAULT_KINDS) for _ in range(rng.randrange(4))] for path in PATHS}
    faults = Faults(rate=0.35, seed=seed, repeat=3, retry_after_s=0, always=lasting, per_id=healing)
    return SimServer(240, seed=seed, faults=faults, analytics_per_minute=None, **options), lasting, rng


def shuffled(ids, rng):
    """All ids, some of them twice, and some that are none."""
    asked = [*ids, *rng.sample(ids, 30), "chatcmpl-1", "gen-1700000000-NeverSeenNeverSeenNe"]
    rng.shuffle(asked)
    return asked


@pytest.mark.parametrize("seed", SEEDS)
def test_fetch(seed, tmp_path):
    server, lasting, rng = chaotic(seed)
    archive = orstats.Archive(tmp_path)
    with server as sim:
        asked = shuffled(sim.ids, rng)
        client = sim.client(retry=QUICK, timeout=2)
        for _ in range(2):
            df = orstats.fetch(asked, client=client, archive=archive, pending_wait=0)
            assert list(df.index) == list(dict.fromkeys(asked))
            failed = set(df.index[df["fetch_status"] != "ok"])
            assert failed <= {*lasting, "chatcmpl-1", "gen-1700000000-NeverSeenNeverSeenNe"}
            for one in set(df.index) - failed:
                record = sim.record(one)
                got = df.loc[one]
                for name in ("total_cost", "model", "native_tokens_completion", "latency", "created_at"):
                    same = pd.Timestamp(record[name]) if name == "created_at" else record[name]
                    assert pd.isna(got[name]) if same is None else got[name] == same, (one, name)
            assert df.loc[list(failed), "total_cost"].isna().all()
            assert df.loc[list(failed), "error"].notna().all()
        stored = archive.read(client.settings.host, settled_only=False)["id"].to_pylist()
        assert sorted(stored) == sorted(set(df.index) - failed)
        assert archive.info()["rows"].sum() == archive.info()["ids"].sum(), "nothing settled is stored twice"


@pytest.mark.parametrize("seed", SEEDS)
def test_contents(seed, tmp_path):
    server, lasting, rng = chaotic(seed)
    with server as sim:
        asked = shuffled(sim.ids, rng)
        client = sim.client(retry=QUICK, timeout=2)
        df = orstats.fetch_contents(asked, client=client, archive=tmp_path, store_content=True)
        assert list(df.index) == list(dict.fromkeys(asked))
        failed = set(df.index[df["fetch_status"] != "ok"])
        assert failed <= {*lasting, "chatcmpl-1"}
        for one in set(df.index) - failed - set(lasting):
            row = df.loc[one]
            content = sim.content(one) if one in sim.ids else None
            if row["content_status"] == "stored":
                completion = content["output"]["completion"]
                assert pd.isna(row["completion"]) if completion is None else row["completion"] == completion
            else:
                assert content is None or sim.content_reason(one) != "stored"
        stored = list(df.index[df["content_status"] == "stored"])
        assert set(orstats.Archive(tmp_path).read_contents(client.settings.host, asked)) == set(stored)


@pytest.mark.parametrize("seed", SEEDS)
def test_account(seed):
    now = datetime.now(UTC)
    # Of today, also in its first minutes: which days are completed follows from it.
    until = max(now - timedelta(minutes=5), now.replace(hour=0, minute=0, second=0, microsecond=0))
    server, _, _ = chaotic(seed, until=until)
    with server as sim, SimServer(240, seed=seed, until=until) as calm:
        client, quiet = sim.client(retry=QUICK, timeout=2), calm.client()
        assert client.credits() == quiet.credits()
        assert client.key().keys() == quiet.key().keys()
        assert client.activity() == quiet.activity()
        assert client.analytics_meta() == quiet.analytics_meta()
        start, end = now - timedelta(days=20), now - timedelta(minutes=1)
        listed = orstats.list_ids(start, end, client=client, progress=False)
        assert listed == orstats.list_ids(start, end, client=quiet, progress=False)
        df = orstats.fetch(listed, client=quiet)
        told = orstats.reconcile(df, start=start, end=end, client=client)
        pd.testing.assert_frame_equal(told, orstats.reconcile(df, start=start, end=end, client=quiet))
        assert told["agrees"].all()


@pytest.mark.parametrize("kind", [kind for kind in ALL_KINDS if kind not in HOLLOW | {"drip", "404"}])
def test_faults_that_never_heal_are_typed_errors(kind):
    calls = {
        "/analytics/query": lambda client: client.analytics({"metrics": ["request_count"]}),
        "/analytics/meta": lambda client: client.analytics_meta(),
        "/activity": lambda client: client.activity(),
        "/key": lambda client: client.key(),
        "/credits": lambda client: client.credits(),
    }
    faults = Faults(rate=0, always=dict.fromkeys(PATHS, kind), retry_after_s=0)
    retry = orstats.Retry(attempts=2, first_wait=0)
    # Short only where nothing else ends the wait: a client that gives up before the server has read is not counted.
    timeout = 0.3 if kind == "hang" else 10
    with SimServer(3, faults=faults) as sim, sim.client(retry=retry, timeout=timeout, _clock=SkippingClock()) as client:
        for call in calls.values():
            before = sim.requests
            with pytest.raises(errors.ApiError) as caught:
                call(client)
            assert caught.value.status == (int(kind[:3]) if kind[:3].isdigit() else caught.value.status)
            assert sim.requests - before == (2 if caught.value.retryable else 1)
