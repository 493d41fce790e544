"""Generations with their keys, members and applications, recomputed from the simulator's records."""

import gzip
import json
import warnings
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest

import orstats
from orstats.errors import BadRequestError, ConfigError, ForbiddenError
from orstats.frame.schema import COLUMNS
from orstats.sim import SimServer
from orstats.sim.dataset.catalogue import APPS, WORKSPACE_NAMES, keys_of

UNTIL = datetime(2026, 6, 17, 14, 30, tzinfo=UTC)
START = UNTIL - timedelta(days=31)


@pytest.fixture(scope="module")
def sim():
    with SimServer(3000, seed=5, until=UNTIL, analytics_per_minute=None) as server:
        yield server


def records(sim, start=START, end=UNTIL):
    found = {one: sim.record(one) for one in sim.ids}
    return {one: row for one, row in found.items() if start <= datetime.fromisoformat(row["created_at"]) < end}


def owners(sim):
    """The key of each application, by what a record says of the application."""
    return {(app.app_id, app.origin): key for key in keys_of(sim._account.seed).listed for app in key.apps}


def test_every_generation_has_its_key_member_and_application(sim):
    listed = orstats.list_generations(START, UNTIL, labels=["api_key", "user", "app", "workspace"], client=sim.client())
    rows, keys = records(sim), owners(sim)
    names = {app.app_id: app.name for app in APPS if app.app_id is not None}
    assert list(listed.index) == orstats.list_ids(START, UNTIL, client=sim.client())
    assert set(listed.index) == set(rows)
    columns = ["api_key", "user", "user_email", "app", "workspace"]
    unknown = 0
    for one, *labels in listed[columns].itertuples():
        row = rows[one]
        key = keys.get((row["app_id"], row["origin"]))  # a call from the chat page has none
        owner = [None] * 3 if key is None else [key.name, key.creator.name, key.creator.email]
        app = names.get(row["app_id"]) or row["origin"] or None
        expected = [*owner, app, WORKSPACE_NAMES[row["workspace_id"]]]
        assert [None if pd.isna(label) else label for label in labels] == expected
        unknown += key is None
    assert unknown > 0


def test_amounts_and_times_are_those_of_the_records(sim):
    listed = orstats.list_generations(START, UNTIL, labels="app", client=sim.client())
    for one, began, usd in listed[["began_at", "account_usd"]].itertuples():
        record = sim.record(one)
        upstream = record["upstream_inference_cost"] if record["is_byok"] else 0
        assert usd == pytest.approx(record["total_cost"] + upstream, abs=1e-9)
        assert began == pd.Timestamp(record["created_at"]).floor("s")


def test_columns_are_typed_and_do_not_clash_with_those_of_fetched_rows(sim):
    listed = orstats.list_generations(START, UNTIL, client=sim.client())
    assert list(listed) == ["api_key", "user", "user_email", "app", "began_at", "account_usd"]
    assert list(listed.dtypes.astype(str)) == ["string"] * 4 + ["datetime64[us, UTC]", "float64"]
    assert not set(listed) & {column.name for column in COLUMNS}
    empty = orstats.list_generations("2020-01-01", "2020-01-02", client=sim.client())
    assert len(empty) == 0
    assert list(empty.dtypes) == list(listed.dtypes)
    assert (empty.index.name, empty.index.dtype) == ("id", listed.index.dtype)


def test_fetched_rows_are_joined(sim):
    listed = orstats.list_generations(START, UNTIL, labels="api_key", client=sim.client())
    rows, keys = records(sim), owners(sim)
    df = orstats.fetch([*listed.index[:300], *sim.unknown_ids(2)], client=sim.client(), archive=False).join(listed)
    assert len(df) == 302
    assert df["api_key"].tail(2).isna().all()
    by_key = orstats.cost_by(df, "api_key")
    expected = {}
    for one in listed.index[:300]:
        key = getattr(keys.get((rows[one]["app_id"], rows[one]["origin"])), "name", None)
        upstream = rows[one]["upstream_inference_cost"] if rows[one]["is_byok"] else 0
        expected[key] = expected.get(key, 0) + rows[one]["total_cost"] + upstream
    known = {None if pd.isna(name) else name: usd for name, usd in by_key["cost_usd"].items()}
    assert known == pytest.approx(expected)
    assert None in known


@pytest.mark.parametrize("labels", [[], ["api_key"], ["api_key", "user", "app"]])
def test_a_label_takes_as_many_requests_as_a_listing(sim, labels, small_client):
    for most in (10_000, 100):
        client = small_client(sim, most)
        sim.reset_stats()
        ids = orstats.list_ids(START, UNTIL, client=client)
        plain, _ = sim.requests, sim.reset_stats()
        listed = orstats.list_generations(START, UNTIL, labels=labels, client=client)
        assert list(listed.index) == ids
        assert listed.attrs["requests"] == sim.requests == plain * max(1, len(labels))
        assert list(listed)[: len(labels)] == (labels if len(labels) < 2 else ["api_key", "user", "user_email"])
        assert listed[list(listed)[: len(labels)]].notna().any().all()


def test_ten_thousand_generations_take_few_more_requests_than_responses(small_client):
    with SimServer(10_000, seed=2, until=UNTIL, analytics_per_minute=None) as server:
        client = small_client(server, 200)
        ids = orstats.list_ids(START, UNTIL, client=client)
        plain, _ = server.requests, server.reset_stats()
        listed = orstats.list_generations(START, UNTIL, labels="api_key", client=client)
        assert set(ids) == set(listed.index)
        assert len(listed) > 5_000
        assert server.requests <= 1.3 * plain
        server.reset_stats()
        used = orstats.usage(["api_key", "model"], freq="day", start=START, end=UNTIL, client=server.client())
        assert used.attrs["requests"] == server.requests <= 3
        assert used["generations"].sum() == len(listed)
        by_key = used.groupby(level="api_key", dropna=False)["generations"].sum()
        expected = listed["api_key"].fillna("(none)").value_counts().to_dict()
        assert dict(zip(by_key.index.fillna("(none)"), by_key, strict=True)) == expected


def test_names_that_the_account_does_not_have_are_missing(sim):
    class Nameless(orstats.Client):
        def ask_analytics(self, query):
            response = super().ask_analytics(query)
            for at, row in enumerate(response["data"]):
                if at % 3 == 0:
                    row["user"] = row["user_email"] = ("", None)[at % 2]
                    row["total_usage"] = None
            return response

    client = Nameless(sim.key, management_key=sim.management_key, base_url=sim.base_url)
    listed = orstats.list_generations(START, UNTIL, labels="user", client=client)
    missing = listed[listed["user"].isna()]
    assert -(-len(listed) // 3) <= len(missing) < len(listed) / 2
    assert missing["user_email"].isna().all()
    assert not listed["user"].eq("").any()
    assert listed["account_usd"].isna().sum() == -(-len(listed) // 3)


def test_hostile_names_survive_the_cache(sim, tmp_path):
    name = 'a\nb\t"c"\u2028 =1+1 <script>\x00'

    class Renamed(orstats.Client):
        def ask_analytics(self, query):
            response = super().ask_analytics(query)
            for row in response["data"]:
                row["app"] = name
            return response

    client = Renamed(sim.key, management_key=sim.management_key, base_url=sim.base_url)
    for _ in range(2):
        listed = orstats.list_generations(START, UNTIL, labels="app", client=client, archive=tmp_path)
        assert listed["app"].unique().tolist() == [name]


def test_windows_are_cached_for_each_label(sim, tmp_path, small_client):
    client = small_client(sim, 100)

    def listed(*labels, **options):
        sim.reset_stats()
        return orstats.list_generations(START, UNTIL, labels=labels, client=client, archive=tmp_path, **options)

    first = listed("api_key")
    assert sim.requests > 10
    pd.testing.assert_frame_equal(listed("api_key"), first)
    assert sim.requests == 1  # compares the counts
    both = listed("api_key", "app")
    assert sim.requests > 10
    pd.testing.assert_frame_equal(both.drop(columns="app"), first)
    listed("api_key", "app")
    assert sim.requests == 2
    listed("api_key", refresh=True)
    assert sim.requests > 10
    assert orstats.list_ids(START, UNTIL, client=client, archive=tmp_path) == list(first.index)


def test_an_interrupted_listing_is_resumed(sim, tmp_path, small_client):
    client = small_client(sim, 100)

    class Interrupted(type(client)):
        complete = 0

        def ask_analytics(self, query):
            response = super().ask_analytics(query)
            self.complete += "granularity" not in query and not response["metadata"]["truncated"]
            if self.complete == 24:
                raise KeyboardInterrupt
            return response

    interrupted = Interrupted(sim, 100)
    interrupted.analytics_limiter = client.analytics_limiter
    options = {"labels": ("api_key", "app"), "archive": tmp_path}
    with pytest.raises(KeyboardInterrupt):
        orstats.list_generations(START, UNTIL, client=interrupted, **options)
    cached = len(list(tmp_path.rglob("*.gz")))
    assert cached == 23
    sim.reset_stats()
    resumed = orstats.list_generations(START, UNTIL, client=client, **options)
    left = sim.requests
    sim.reset_stats()
    whole = orstats.list_generations(START, UNTIL, client=client, labels=("api_key", "app"))
    assert left <= sim.requests - cached + 4
    pd.testing.assert_frame_equal(resumed, whole)


@pytest.mark.parametrize("line", ['["gen-1"]', '["gen-1", 1, 2, 3, 4]', '{"id": 1}', "gen-1", "[1, null, null]"])
def test_a_cached_line_of_another_form_is_damaged(sim, tmp_path, caplog, line):
    options = {"labels": "api_key", "client": sim.client(), "archive": tmp_path}
    first = orstats.list_generations(START, UNTIL, **options)
    (kept,) = tmp_path.rglob("*.gz")
    header, *_ = gzip.decompress(kept.read_bytes()).decode().split("\n")
    header = json.dumps(json.loads(header) | {"ids": 1})
    kept.write_bytes(gzip.compress(f"{header}\n{line}".encode()))
    pd.testing.assert_frame_equal(orstats.list_generations(START, UNTIL, **options), first)
    assert "is damaged and is requested again" in caplog.text


def test_a_generation_that_only_a_later_listing_has_is_a_row_without_the_other_label(sim):
    class Late(orstats.Client):
        def ask_analytics(self, query):
            response = super().ask_analytics(query)
            late = {row["generation_id"] for row in response["data"]} - {sim.ids[-5]}
            if "api_key_id" in query["dimensions"]:
                response["data"] = [row for row in response["data"] if row["generation_id"] in late]
            return response

    client = Late(sim.key, management_key=sim.management_key, base_url=sim.base_url)
    listed = orstats.list_generations(START, UNTIL, labels=("api_key", "app"), client=client)
    assert list(listed.index) == orstats.list_ids(START, UNTIL, client=sim.client())
    whole = orstats.list_generations(START, UNTIL, labels=("api_key", "app"), client=sim.client())
    whole.loc[sim.ids[-5], "api_key"] = None
    pd.testing.assert_frame_equal(listed, whole)
    assert listed["account_usd"].notna().all()


def test_ids_without_a_time_have_none(sim):
    listed = orstats.list_generations(
        UNTIL - timedelta(days=430), UNTIL - timedelta(days=80), labels="app", client=sim.client()
    )
    assert len(listed) > 0
    assert listed["began_at"].isna().all()
    assert listed["account_usd"].notna().all()


def test_filters_and_country(sim):
    options = {"filters": {"provider": ["OpenAI", "Azure"]}, "client": sim.client()}
    listed = orstats.list_generations(START, UNTIL, labels="country", **options)
    assert {sim.record(one)["provider_name"] for one in listed.index} == {"OpenAI", "Azure"}
    countries = orstats.usage("country", start=START, end=UNTIL, **options)["generations"]
    counts = listed["country"].value_counts(dropna=False)
    assert {(None if pd.isna(at) else at): n for at, n in counts.items()} == {
        (None if pd.isna(at) else at): n for at, n in countries.items()
    }


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        ("api_keys", r"Unknown label 'api_keys'\. Did you mean 'api_key'\?"),
        (["api_key", "usr"], r"Unknown label 'usr'\. Did you mean 'user'\?"),
        (["model"], r"Unknown label 'model'\. Use one or more of api_key, user, app, workspace, country\."),
        ([3], "Unknown label '3'"),
    ],
)
def test_unknown_labels_are_named_before_anything_is_sent(sim, labels, words):
    before = sim.requests
    with pytest.raises(ConfigError, match=words):
        orstats.list_generations("7d", "now", labels=labels, client=sim.client())
    assert sim.requests == before


def test_a_plain_key_is_told_which_key_is_needed(sim):
    with pytest.raises(ForbiddenError, match=r"needs a management key: make one at https://openrouter\.ai/settings"):
        orstats.list_generations("7d", client=sim.client(management_key=sim.plain_key))


def test_the_reach_of_single_generations_is_named():
    class ShortReach(orstats.Client):
        def ask_analytics(self, _query):
            raise BadRequestError("HTTP 400: Time range must begin within the last 31 days", status=400)

    now = datetime.now(UTC)
    with ShortReach("k", management_key="m", base_url="http://127.0.0.1:9") as client:
        for list_them in (orstats.list_generations, orstats.list_ids):
            with pytest.raises(BadRequestError, match=r"31 days only: start the range later, or use orstats\.usage"):
                list_them(now - timedelta(days=60), now, client=client)
            with pytest.raises(BadRequestError) as recent:
                list_them(now - timedelta(days=3), now, client=client)
            assert "start the range later" not in str(recent.value)


def test_longer_ranges_are_listed_in_parts(sim):
    listed = orstats.list_generations(UNTIL - timedelta(days=60), UNTIL, labels="api_key", client=sim.client())
    assert listed.attrs["requests"] == 2
    assert set(listed.index) == set(records(sim, UNTIL - timedelta(days=60)))


def test_a_group_without_a_label_is_listed_without_warnings(sim):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        listed = orstats.list_generations(START, UNTIL, labels=(), client=sim.client())
    assert list(listed) == ["began_at", "account_usd"]
    assert np.isfinite(listed["account_usd"]).all()
