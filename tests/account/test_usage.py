"""The account's own figures by key, member and other dimensions, recomputed from the simulator's records."""

import warnings
from datetime import timedelta

import pandas as pd
import pytest

import orstats
from orstats.account.analytics import count_of, usd_of
from orstats.account.usage_metrics import METRICS
from orstats.errors import BadResponseError, ConfigError, ForbiddenError
from orstats.sim import SimServer


@pytest.fixture(scope="module")
def sim():
    with SimServer(3000, seed=6, analytics_per_minute=None) as server:
        yield server


@pytest.fixture(scope="module")
def df(sim):
    return orstats.fetch(sim.ids, client=sim.client(), archive=False)


@pytest.fixture(scope="module")
def last(df):
    return df["created_at"].max() + timedelta(seconds=1)


@pytest.mark.parametrize(("by", "column"), [("model", "model"), ("provider", "provider_name"), ("external_user",) * 2])
def test_sums_are_those_of_the_records(sim, df, last, by, column):
    start = last - timedelta(days=20)
    used = orstats.usage(by, start=start, end=last, client=sim.client())
    rows = df[df["created_at"].ge(start)]
    expected = rows.groupby(column, dropna=False).agg(generations=("cost_usd", "size"), cost_usd=("cost_usd", "sum"))
    assert used["generations"].sum() == len(rows)
    ours = {(None if pd.isna(name) else name): tuple(row) for name, *row in expected.itertuples()}
    theirs = {
        (None if pd.isna(name) else name): tuple(row) for name, *row in used[["generations", "cost_usd"]].itertuples()
    }
    assert theirs == {name: (count, pytest.approx(usd, abs=1e-8)) for name, (count, usd) in ours.items()}
    assert used["cost_usd"].is_monotonic_decreasing
    assert used["native_tokens_prompt"].sum() == rows["native_tokens_prompt"].sum()


@pytest.mark.parametrize("tz", ["UTC", "Europe/Berlin", "Asia/Tokyo", "Asia/Kathmandu"])
@pytest.mark.parametrize("freq", ["hour", "day", "week", "month"])
def test_periods_are_those_of_the_records(sim, df, last, freq, tz):
    start = last - timedelta(days=2 if freq == "hour" else 50)
    used = orstats.usage(None, start=start, end=last, freq=freq, tz=tz, client=sim.client())
    rows = df[df["created_at"].ge(start)]
    expected = orstats.cost_by(rows, None, freq=freq, tz=tz)
    assert used["generations"].to_dict() == expected["generations"].to_dict()
    assert used["cost_usd"].to_list() == pytest.approx(expected["cost_usd"].to_list(), abs=1e-8)
    assert used["cost_usd"].to_list() == [round(amount, 10) for amount in used["cost_usd"]], "no binary noise"


def test_keys_and_members_add_up_to_the_account(sim, last):
    range_ = {"start": last - timedelta(days=59), "end": last, "client": sim.client()}
    total = orstats.usage(None, **range_)["cost_usd"].item()
    for by in ("api_key", "user", "app", "workspace", "variant", ["api_key", "model"], ["user", "app"]):
        used = orstats.usage(by, **range_)
        assert used["cost_usd"].sum() == pytest.approx(total)
        assert list(used.index.names) == ([by] if isinstance(by, str) else by)


def test_dtypes_and_units_of_all_metrics(sim, last):
    used = orstats.usage("model", start=last - timedelta(days=7), end=last, metrics=list(METRICS), client=sim.client())
    for metric in METRICS.values():
        assert used[metric.column].dtype == ("Int64" if metric.kind == "count" else "float64")
    assert used["latency_p50_ms"].gt(0).any()
    assert used["cache_hit_rate"].between(0, 1).all()


def test_long_ranges_are_added_up_and_rates_are_not(sim, last):
    range_ = {"start": last - timedelta(days=59), "end": last, "client": sim.client()}
    used = orstats.usage("provider", **range_)
    assert used.attrs["requests"] == 2
    assert used["generations"].sum() == orstats.usage(None, **range_)["generations"].item()
    with pytest.warns(UserWarning, match="p90_latency cannot be combined from several responses") as caught:
        rates = orstats.usage("provider", metrics=["request_count", "p90_latency"], **range_)
    assert caught[0].filename == __file__
    assert rates["latency_p90_ms"].isna().any()
    assert rates["generations"].sum() == used["generations"].sum()


def test_a_month_by_key_and_model_needs_few_requests(sim, last):
    used = orstats.usage(
        ["api_key", "model"], freq="day", start=last - timedelta(days=30), end=last, client=sim.client()
    )
    assert used.attrs["requests"] <= 3


def test_truncated_responses_are_divided(last):
    class Account:
        """Answers with at most 50 rows."""

        def __init__(self, client):
            self.client, self.retry, self.settings = client, client.retry, client.settings

        def ask_analytics(self, query):
            response = self.client.ask_analytics(query)
            rows = response["data"]
            return response | {"data": rows[:50], "metadata": {"truncated": len(rows) > 50}}

    with SimServer(3000, seed=6, analytics_per_minute=None) as server, server.client() as client:
        range_ = {"freq": "day", "start": last - timedelta(days=20), "end": last}
        used = orstats.usage("model", client=Account(client), **range_)
        whole = orstats.usage("model", client=client, **range_)
    assert used.attrs["requests"] > 10
    pd.testing.assert_frame_equal(pd.DataFrame(used), pd.DataFrame(whole), check_exact=False)


def test_keys_of_one_name_are_added_up_with_a_warning():
    with SimServer(1500, seed=6, account="awkward", analytics_per_minute=None) as server, server.client() as client:
        with pytest.warns(UserWarning, match="api_key values share a name"):
            used = orstats.usage("api_key", start="50d", end="now", client=client)
        assert used.index.is_unique
        assert used["cost_usd"].sum() == pytest.approx(
            orstats.usage(None, start="50d", end="now", client=client)["cost_usd"].item()
        )


def test_filters_select_rows(sim, last):
    used = orstats.usage(
        "model",
        start=last - timedelta(days=30),
        end=last,
        filters={"model": "google/gemini-2.5-flash"},
        client=sim.client(),
    )
    assert used.index.to_list() == ["google/gemini-2.5-flash"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"by": "modle"}, "Unknown dimension 'modle'. Did you mean 'model'"),
        ({"by": ["model", "app", "user"]}, "at most two dimensions, got 3"),
        ({"metrics": ["p95_latency"]}, "Unknown metric 'p95_latency'. Did you mean"),
        ({"metrics": []}, "at least one metric"),
        ({"freq": "fortnight"}, "freq must be hour"),
        ({"tz": "Europe/Berlon"}, "Did you mean 'Europe/Berlin'"),
        ({"by": "7d", "start": None}, "usage needs start=, such as start='7d'."),
    ],
)
def test_wrong_arguments_are_named_before_anything_is_sent(sim, options, words):
    before = sim.requests
    with pytest.raises(ConfigError, match=words):
        orstats.usage(**{"start": "7d", "client": sim.client()} | options)
    assert sim.requests == before


def test_a_plain_key_is_told_which_key_is_needed(sim):
    with pytest.raises(ForbiddenError, match="management key"):
        orstats.usage(start="7d", end="now", client=sim.client(management_key=sim.plain_key))


def test_a_range_without_generations_is_an_empty_table(sim):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        used = orstats.usage(["model", "app"], freq="day", start="300d", end="299d", client=sim.client())
    assert len(used) == 0
    assert used.index.names == ["period", "model", "app"]


@pytest.mark.parametrize(
    ("read", "value", "wanted"),
    [
        (count_of, "3.0", 3),
        (count_of, None, 0),
        (count_of, 3.5, "3.5"),
        (count_of, 10**19, "10000000000000000000"),
        (usd_of, "1.2e-05", 1.2e-05),
        (usd_of, -0.5, -0.5),
        (usd_of, True, "True"),
        (usd_of, float("nan"), "nan"),
        (usd_of, {"value": 1}, "dict"),
    ],
)
def test_numbers_are_exact_or_refused(read, value, wanted):
    if isinstance(wanted, str):
        with pytest.raises(BadResponseError, match=f"The API sent '{wanted}' as total"):
            read({"total": value}, "total")
    else:
        assert read({"total": value}, "total") == wanted
