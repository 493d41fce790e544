"""Filters by the names of API keys, compared with the simulator's records."""

from datetime import UTC, datetime, timedelta
from itertools import chain

import pytest

import orstats
from orstats.errors import ConfigError, ForbiddenError
from orstats.sim import SimServer

UNTIL = datetime(2026, 6, 17, 14, 30, tzinfo=UTC)
START = UNTIL - timedelta(days=31)


@pytest.fixture(scope="module")
def sim():
    with SimServer(1000, seed=5, until=UNTIL, analytics_per_minute=None) as server:
        yield server


def made_with(sim, *names):
    """The ids of the calls that the applications of some keys made."""
    keys = [key for key in sim._service.state.keys.listed if key.name in names]
    apps = {(app.app_id, app.origin) for key in keys for app in key.apps}
    found = set()
    for one in sim.ids:
        record = sim.record(one)
        if datetime.fromisoformat(record["created_at"]) >= START and (record["app_id"], record["origin"]) in apps:
            found.add(one)
    return found


def test_names_hashes_and_labels_are_accepted(sim):
    client = sim.client()
    batch = next(filter(lambda key: key["name"] == "Batch jobs", client.keys()))
    for given in (batch["name"], batch["hash"], batch["label"], [batch["name"], batch["hash"]]):
        ids = orstats.list_ids(START, UNTIL, filters={"api_key": given}, client=client)
        assert set(ids) == made_with(sim, "Batch jobs")
    both = orstats.list_ids(START, UNTIL, filters={"api_key": ["CI", "Legal"]}, client=client)
    assert set(both) == made_with(sim, "CI", "Legal")
    others = [{"field": "api_key", "operator": "neq", "value": "CI"}]
    listed = orstats.list_generations(START, UNTIL, labels="api_key", filters=others, client=client)
    assert set(listed["api_key"]) == {"Notebooks", "Campaign studio", "Production", "Batch jobs", "Legal"}


def test_usage_and_generations_are_filtered_alike(sim):
    options = {"filters": {"api_key": "Legal"}, "client": sim.client()}
    listed = orstats.list_generations(START, UNTIL, labels="api_key", **options)
    used = orstats.usage("api_key", start=START, end=UNTIL, **options)
    assert used["generations"].to_dict() == {"Legal": len(listed)}
    assert used["cost_usd"].item() == pytest.approx(listed["account_usd"].sum())


def test_all_keys_of_one_name_are_included():
    with SimServer(1000, seed=5, account="awkward", until=UNTIL, analytics_per_minute=None) as awkward:
        client = awkward.client()
        ids = orstats.list_ids(START, UNTIL, filters={"api_key": "Production"}, client=client)
        assert set(ids) == made_with(awkward, "Production")
        hashes = [key["hash"] for key in filter(lambda key: key["name"] == "Production", client.keys())]
        each = [orstats.list_ids(START, UNTIL, filters={"api_key": one}, client=client) for one in hashes]
        assert all(each)
        assert sorted(chain(*each)) == sorted(ids)


def test_a_deleted_key_is_filtered_by_its_number_or_hash(sim):
    for gone in ("123456", "f" * 64):
        assert orstats.list_ids(START, UNTIL, filters={"api_key": gone}, client=sim.client()) == []


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"api_key": "Batch job"}, r"Unknown API key 'Batch job'\. Did you mean 'Batch jobs'\?"),
        ({"api_key": "xyz"}, r"Unknown API key 'xyz'\. The account's keys: Batch jobs, CI, Campaign studio, Legal, "),
        ([{"field": "api_key", "operator": "gt", "value": "C"}], r"operator of api_key must be one of eq, in, neq"),
    ],
)
def test_unknown_names_and_operators_are_named(sim, given, words):
    with pytest.raises(ConfigError, match=words):
        orstats.list_ids(START, UNTIL, filters=given, client=sim.client())


def test_an_account_without_keys():
    class Keyless(orstats.Client):
        def keys(self, **_):
            return [{"hash": "x", "name": None}, {"name": "no hash"}]

    with (
        Keyless("k", management_key="m", base_url="http://127.0.0.1:9") as client,
        pytest.raises(ConfigError, match=r"Unknown API key 'None'\. The account's keys: no hash\."),
    ):
        orstats.list_ids("7d", "now", filters={"api_key": "None"}, client=client)


def test_names_need_a_management_key(sim):
    with pytest.raises(ForbiddenError, match="management key"):
        orstats.usage(
            "model",
            start=START,
            end=UNTIL,
            filters={"api_key": "CI"},
            client=sim.client(management_key=sim.plain_key),
        )
