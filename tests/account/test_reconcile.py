import random
from datetime import UTC, datetime, timedelta

import pandas as pd
import pytest

import orstats
from orstats.account.reconcile import share_explained
from orstats.sim import SimServer

MIDNIGHT = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


@pytest.fixture(scope="module")
def sim():
    with SimServer(2000, seed=4, analytics_per_minute=None) as server:
        yield server


@pytest.fixture(scope="module")
def df(sim):
    return orstats.fetch(sim.ids, client=sim.client())


@pytest.mark.parametrize(
    ("start", "end", "sources"),
    [
        ("yesterday", "today", {"activity"}),
        ("12h", "now", {"analytics"}),
        ("45d", "35d", {"analytics"}),
        ("40d", "now", {"activity", "analytics"}),
        (MIDNIGHT - timedelta(days=20, hours=5), MIDNIGHT - timedelta(days=10, hours=-7), {"activity", "analytics"}),
        ("500d", "now", {"activity", "analytics"}),
    ],
)
def test_all_is_explained_when_all_ids_are_fetched(sim, df, start, end, sources):
    compared = orstats.reconcile(df, start=start, end=end, client=sim.client())
    assert compared["agrees"].all()
    assert share_explained(compared) == pytest.approx(1.0)
    assert compared["reason"].isna().all()
    assert compared["missing"].eq(0).all()
    assert set(compared["source"].dropna()) == sources
    assert compared.index.names == ["day", "model"]
    assert compared["usd"].sum() > 0


def test_totals_are_those_of_the_dataframe(sim, df):
    compared = orstats.reconcile(df, start="60d", end="now", client=sim.client())
    assert compared["usd"].sum() == pytest.approx(df.loc[df["created_at"] >= compared.index[0][0], "cost_usd"].sum())
    assert compared["byok_usd"].sum() == pytest.approx(compared["account_byok_usd"].sum())
    assert compared["byok_usd"].sum() > 0


def test_days_and_models_with_missing_ids_are_reported(sim, df):
    gone = set(random.Random(1).sample(list(df.index), 200))
    part = df[~df.index.isin(gone)]
    compared = orstats.reconcile(part, start="30d", end="now", client=sim.client())
    lost = df[df.index.isin(gone) & (df["created_at"] >= pd.Timestamp.now(tz="UTC") - pd.Timedelta(days=30))]
    expected = lost.groupby([lost["created_at"].dt.floor("D"), "model"]).size()
    off = compared[~compared["agrees"]]
    assert set(off.index) == set(expected.index)
    assert off["missing"].to_dict() == expected.to_dict()
    assert off["reason"].str.contains("missing from the ids").all()
    assert off["difference_usd"].sum() == pytest.approx(lost["cost_usd"].sum())
    assert 0.5 < share_explained(compared) < 1.0


def test_rows_that_were_not_fetched_are_reported(sim, df):
    part = df.copy()
    day = df["created_at"].dt.floor("D")
    chosen = df.index[day == pd.Timestamp(MIDNIGHT) - pd.Timedelta(days=4)][0]
    part.loc[chosen, "fetch_status"] = "pending"
    compared = orstats.reconcile(part, start="7d", end="now", client=sim.client())
    (row,) = compared[~compared["agrees"]].to_dict("records")
    assert row["missing"] == 1
    assert row["reason"].endswith("not fetched on this day: 1 pending")


def test_surplus_ids_and_other_charges_are_reported(sim, df):
    paid = df.index[(df["created_at"] >= MIDNIGHT - timedelta(days=5)) & (df["total_cost"] > 0.001) & ~df["is_byok"]]
    byok = df.index[(df["created_at"] >= MIDNIGHT - timedelta(days=20)) & df["is_byok"]]
    doubled = pd.concat([df, df.loc[[paid[0]]].rename(index={paid[0]: "gen-other"})])
    (row,) = off(sim, doubled)
    assert row["missing"] == -1
    assert "more than the account reports" in row["reason"]
    dearer = df.copy()
    dearer.loc[paid[0], ["total_cost", "cost_usd"]] = 1.0
    assert "charged differently" in off(sim, dearer)[0]["reason"]
    unknown = df.copy()
    unknown.loc[paid[0], ["total_cost", "cost_usd"]] = float("nan")
    assert off(sim, unknown)[0]["reason"] == "cost unknown"
    own = df.copy()
    own.loc[byok[0], "upstream_inference_cost"] = 9.0
    assert off(sim, own)[0]["reason"].startswith("BYOK")


def off(sim, frame):
    compared = orstats.reconcile(frame, start="25d", end="now", client=sim.client())
    return compared[~compared["agrees"]].to_dict("records")


def test_tolerance(sim, df):
    frame = df.copy()
    frame["total_cost"] *= 1.005
    strict = orstats.reconcile(frame, start="20d", end="now", client=sim.client())
    loose = orstats.reconcile(frame, start="20d", end="now", client=sim.client(), tolerance=0.01)
    assert not strict["agrees"].all()
    assert loose["agrees"].all()


class Titles:
    """An account whose analytics call the models by their titles, as the vendor's pages say they may."""

    def __init__(self, client):
        self._client = client
        self.retry = client.retry

    def activity(self):
        return self._client.activity()

    def ask_analytics(self, query):
        answer = self._client.ask_analytics(query)
        for row in answer["data"]:
            row["model"] = row["model"].rpartition("/")[2].title()
        return answer


def test_models_called_by_their_titles_are_recognised_by_their_totals(sim, df):
    compared = orstats.reconcile(df, start="45d", end="40d", client=Titles(sim.client()))
    assert compared["agrees"].all()
    assert set(compared.index.get_level_values("model")) <= set(df["model"])


def test_nothing_to_compare(sim, df):
    compared = orstats.reconcile(df, start="2020-01-01", end="2020-01-03", client=sim.client())
    assert compared.empty
    assert share_explained(compared) == 1.0
    assert str(compared["account_requests"].dtype) == "Int64"
    empty = orstats.reconcile(df.iloc[:0], start="3d", client=sim.client())
    assert share_explained(empty) == 0.0
    assert empty["requests"].sum() == 0


def test_invalid_arguments_are_refused(sim, df):
    with pytest.raises(orstats.errors.ConfigError, match="is missing total_cost"):
        orstats.reconcile(df.drop(columns="total_cost"), start="3d", end="now", client=sim.client())
    with pytest.raises(orstats.errors.ConfigError, match="reconcile needs start=, such as start='7d', or activity="):
        orstats.reconcile(df, client=sim.client())
    with pytest.raises(orstats.errors.ConfigError, match="tolerance"):
        orstats.reconcile(df, start="3d", end="now", client=sim.client(), tolerance=-1)
    with pytest.raises(orstats.errors.ForbiddenError, match="management key"):
        orstats.reconcile(df, start="3d", end="now", client=sim.client(management_key=sim.plain_key))


# An account whose books are awkward


@pytest.fixture(scope="module")
def awkward():
    with SimServer(1500, seed=4, account="awkward", analytics_per_minute=None) as server:
        yield server


@pytest.fixture(scope="module")
def awkward_df(awkward):
    return orstats.fetch(awkward.ids, client=awkward.client())


@pytest.mark.parametrize(
    ("start", "end"), [("20d", "now"), ("yesterday", "today"), ("60d", "10d"), ("7d", "yesterday"), ("400d", "now")]
)
def test_awkward_account_agrees_and_reports_calls_past_midnight(awkward, awkward_df, start, end):
    compared = orstats.reconcile(awkward_df, start=start, end=end, client=awkward.client())
    late = compared["agrees"].eq(other=False)
    assert not late.any() or end == "now"
    assert compared.loc[late, "reason"].str.contains("not yet counted").all()
    assert compared.loc[~late, "reason"].dropna().str.contains("next day|previous day").all()
    assert share_explained(compared[~late]) == pytest.approx(1.0)


def test_model_that_activity_omits_comes_from_the_analytics(awkward, awkward_df):
    compared = orstats.reconcile(awkward_df, start=MIDNIGHT - timedelta(days=25), end=MIDNIGHT, client=awkward.client())
    omitted = compared.xs("google/gemini-2.5-flash", level="model")
    assert set(omitted["source"]) == {"analytics"}
    assert omitted["account_requests"].gt(0).all()
    assert "activity" in set(compared["source"])


def test_missing_ids_of_an_awkward_account_are_still_found(awkward, awkward_df):
    rows = awkward_df[awkward_df["created_at"].between(MIDNIGHT - timedelta(days=20), MIDNIGHT - timedelta(days=3))]
    # Totals cannot place a missing id that cost nothing, nor one that may have run past midnight.
    placeable = rows["created_at"].dt.hour.lt(20) & rows["cost_usd"].gt(0) & rows["provider_name"].notna()
    lost = set(random.Random(1).sample(list(rows.index[placeable]), 20))
    compared = orstats.reconcile(
        awkward_df[~awkward_df.index.isin(lost)], start="25d", end="yesterday", client=awkward.client()
    )
    expected = rows[rows.index.isin(lost)].groupby([rows["created_at"].dt.floor("D"), "model"]).size()
    assert compared.loc[~compared["agrees"], "missing"].to_dict() == expected.to_dict()


class Account:
    """An account of which activity and analytics say what a test wants."""

    retry = orstats.Retry()

    def __init__(self, activity=(), analytics=()):
        self._activity, self._analytics = activity, analytics

    def activity(self):
        return [
            {
                "date": f"{day:%Y-%m-%d}",
                "model": model,
                "model_permaslug": model.partition(":")[0],
                "requests": requests,
                "usage": usd,
                "byok_usage_inference": 0,
            }
            for day, model, requests, usd in self._activity
        ]

    def ask_analytics(self, query):
        start, end = (pd.Timestamp(query["time_range"][name]) for name in ("start", "end"))
        rows = [
            {
                "date__day": f"{at:%Y-%m-%dT%H:%M:%SZ}",
                "model": model,
                "request_count": str(requests),
                "credits_usage": usd,
                "byok_usage": None,
                **more,
            }
            for at, model, requests, usd, *rest in self._analytics
            if start <= at < end
            for more in [dict(rest)]
        ]
        return {"data": rows, "metadata": {"truncated": False}}


def made(*calls):
    """A DataFrame of calls: when, model, USD and seconds."""
    rows = [
        {
            "fetch_status": "ok",
            "created_at": pd.Timestamp(at),
            "model": model,
            "provider_name": "P",
            "total_cost": usd,
            "upstream_inference_cost": None,
            "is_byok": False,
            "cost_usd": usd,
            "latency": None,
            "generation_time": seconds and seconds * 1000.0,
        }
        for at, model, usd, seconds in calls
    ]
    df = pd.DataFrame(rows, index=[f"gen-{n}" for n in range(len(rows))])
    types = {"created_at": "datetime64[us, UTC]", "model": "string", "fetch_status": "string", "is_byok": "boolean"}
    types |= dict.fromkeys(["upstream_inference_cost", "latency", "generation_time"], "float64")
    return df.astype(types)


MONDAY, TUESDAY, WEDNESDAY = (pd.Timestamp(MIDNIGHT) - timedelta(days=days) for days in (9, 8, 7))
NOON = timedelta(hours=12)
LATE = timedelta(hours=23, minutes=59)


def reasons(df, account, start=MONDAY, end=WEDNESDAY):
    compared = orstats.reconcile(df, start=start, end=end, client=account)
    names = {MONDAY: "Monday", TUESDAY: "Tuesday"}
    return {(names.get(day), model): row["reason"] for (day, model), row in compared.T.items()}, compared


def both(*rows):
    return Account(activity=rows, analytics=rows)


def test_call_past_midnight_has_one_true_reason_and_the_lost_one_another():
    df = made((MONDAY + NOON, "a/b", 0.5, 1), (MONDAY + LATE, "a/b", 0.25, 90), (TUESDAY + NOON, "a/b", 0.125, 1))
    by_day, compared = reasons(df, both((MONDAY, "a/b", 1, 0.5), (TUESDAY, "a/b", 2, 0.375)))
    assert compared["agrees"].all()
    assert by_day == {
        ("Monday", "a/b"): "1 counted on the next day (ran past midnight)",
        ("Tuesday", "a/b"): "1 from the previous day (ran past midnight)",
    }
    by_day, compared = reasons(df.iloc[:2], both((MONDAY, "a/b", 1, 0.5), (TUESDAY, "a/b", 2, 0.375)))
    assert compared["missing"].to_list() == [0, 1]
    assert by_day["Tuesday", "a/b"].startswith("1 from the previous day (ran past midnight); missing from the ids")


def test_id_missing_on_the_day_of_a_call_past_midnight_is_found_on_that_day():
    df = made((MONDAY + LATE, "a/b", 0.25, 90), (MONDAY + NOON, "a/b", 1.0, 1), (TUESDAY + NOON, "a/b", 0.125, 1))
    _, compared = reasons(df, both((MONDAY, "a/b", 2, 1.5), (TUESDAY, "a/b", 2, 0.375)))
    assert compared["missing"].to_list() == [1, 0]
    assert compared["agrees"].to_list() == [False, True]


def test_missing_id_is_not_hidden_by_an_unserved_request():
    df = made((MONDAY + NOON, "a/b", 0.0, 1), (MONDAY + NOON, "a/b", 1.0, 1))
    df.loc["gen-0", "provider_name"] = None
    _, compared = reasons(df, both((MONDAY, "a/b", 2, 1.5)))
    assert compared["missing"].to_list() == [1]


def test_calls_past_each_midnight_are_moved_in_turn():
    df = made((MONDAY + LATE, "a/b", 0.5, 90), (TUESDAY + LATE, "a/b", 0.25, 90), (WEDNESDAY + LATE, "a/b", 0.125, 90))
    account = both((TUESDAY, "a/b", 1, 0.5), (WEDNESDAY, "a/b", 1, 0.25))
    _, compared = reasons(df, account, end=WEDNESDAY + timedelta(days=1))
    assert compared["agrees"].all()
    assert compared["requests"].to_list() == [1, 1]


def test_call_past_midnight_that_is_counted_on_its_first_day_stays():
    df = made((MONDAY + LATE, "a/b", 0.5, 90), (TUESDAY + NOON, "a/b", 0.25, 1))
    by_day, _ = reasons(df, both((MONDAY, "a/b", 1, 0.5), (TUESDAY, "a/b", 1, 0.25)))
    assert set(by_day.values()) == {pd.NA}


def test_of_several_late_calls_the_one_that_explains_the_difference_is_moved():
    calls = [(MONDAY + LATE, "a/b", usd, 90) for usd in (0.5, 0.25, 0.125)]
    _, compared = reasons(made(*calls), both((MONDAY, "a/b", 2, 0.625), (TUESDAY, "a/b", 1, 0.25)))
    assert compared["agrees"].all()


@pytest.mark.parametrize(("at", "word"), [(LATE, "counted on the next day"), (NOON, "more than the account reports")])
def test_days_that_cancel_need_a_call_near_midnight(at, word):
    df = made((MONDAY + at, "a/b", 0.5, None))
    by_day, compared = reasons(df, both((TUESDAY, "a/b", 1, 0.5)))
    assert word in by_day["Monday", "a/b"]
    assert compared["agrees"].all() == ("next" in word)


def test_call_of_the_day_before_the_range_is_not_missing():
    df = made((MONDAY - timedelta(seconds=30), "a/b", 0.5, 90), (MONDAY + NOON, "a/b", 0.25, 1))
    _, compared = reasons(df, both((MONDAY, "a/b", 2, 0.75)))
    assert compared["agrees"].all()
    assert compared["requests"].to_list() == [2]
    _, compared = reasons(df, both((MONDAY, "a/b", 1, 0.25)))
    assert compared["requests"].to_list() == [1]


def test_calls_past_both_midnights_of_a_range_are_distinguished():
    before, within = (MONDAY - timedelta(seconds=30), "a/b", 0.5, 90), (MONDAY + LATE, "a/b", 0.25, 90)
    by_day, compared = reasons(made(before, within, (MONDAY + NOON, "a/b", 1.0, 1)), both((MONDAY, "a/b", 2, 1.5)))
    assert compared["agrees"].all()
    assert "previous day" in by_day["Monday", "a/b"]
    assert "next day" in by_day["Monday", "a/b"]


def test_calls_past_both_midnights_are_not_exchanged_for_a_small_difference_in_cost():
    before, within = (MONDAY - timedelta(seconds=30), "a/b", 0.5, 90), (MONDAY + LATE, "a/b", 0.25, 90)
    by_day, _ = reasons(made(before, within, (MONDAY + NOON, "a/b", 1.0, 1)), both((MONDAY, "a/b", 2, 1.252)))
    assert "charged differently" in by_day["Monday", "a/b"]
    assert "previous day" not in by_day["Monday", "a/b"]


def test_call_that_both_sources_count_is_counted_once():
    today = pd.Timestamp(MIDNIGHT)
    first = today - timedelta(days=30)  # of activity
    df = made((first - timedelta(seconds=30), "a/b", 0.5, 90), (first + NOON, "a/b", 0.25, 1))
    rows = [(first - timedelta(seconds=30), "a/b", 1, 0.5), (first + NOON, "a/b", 1, 0.25)]
    account = Account(activity=[(first, "a/b", 2, 0.75)], analytics=rows)
    _, compared = reasons(df, account, start=first - timedelta(days=1), end=first + timedelta(days=1))
    assert compared["agrees"].all()
    assert compared["account_requests"].to_list() == [1, 1]
    assert compared["reason"].to_list()[1].startswith("1 from the previous day, on which they are counted")


def test_larger_of_both_sources_is_used():
    df = made((MONDAY + NOON, "a/b", 0.5, 1), (MONDAY + NOON, "c/d", 0.25, 1), (MONDAY + NOON, "e/f", 0.125, 1))
    account = Account(
        activity=[(MONDAY, "a/b", 1, 0.5), (MONDAY, "e/f", 1, 0.1)],
        analytics=[(MONDAY, "c/d", 1, 0.25), (MONDAY, "e/f", 1, 0.125)],
    )
    _, compared = reasons(df, account)
    assert compared["agrees"].all()
    assert compared["source"].to_list() == ["activity", "analytics", "analytics"]


def test_title_and_name_of_a_model_are_not_both_counted():
    df = made((MONDAY + NOON, "a/b", 0.5, 1))
    account = Account(activity=[(MONDAY, "a/b", 1, 0.5)], analytics=[(MONDAY, "Model B", 1, 0.5)])
    _, compared = reasons(df, account)
    assert list(compared.index.get_level_values("model")) == ["a/b"]
    assert compared["agrees"].all()


@pytest.mark.parametrize("suffix", ["free", "nitro", "thinking", "online", "extended"])
def test_variants_are_distinguished(suffix):
    name = f"a/b:{suffix}"
    df = made((MONDAY + NOON, "a/b", 0.5, 1), (MONDAY + NOON, name, 0.25, 1), (MONDAY + NOON, name, 0.25, 1))
    days_ago = MONDAY - timedelta(days=40)  # analytics only
    account = Account(
        activity=[(MONDAY, "a/b", 1, 0.5), (MONDAY, name, 2, 0.5)],
        analytics=[
            (day, "a/b", count, 0.5, ("variant", variant))
            for day in (MONDAY, days_ago)
            for count, variant in ((1, "standard"), (2, suffix))
        ],
    )
    for frame, start in ((df, MONDAY), (df.assign(created_at=days_ago + NOON), days_ago)):
        _, compared = reasons(frame, account, start=start, end=start + timedelta(days=1))
        assert compared["requests"].droplevel("day").to_dict() == {"a/b": 1, name: 2}
        assert compared["agrees"].all()


def test_variants_that_the_account_does_not_distinguish_are_compared_together():
    df = made((MONDAY + NOON, "a/b", 0.5, 1), (MONDAY + NOON, "a/b:nitro", 0.25, 1), (MONDAY + NOON, "c/d", 1.0, 1))
    _, compared = reasons(df, both((MONDAY, "a/b", 2, 0.75), (MONDAY, "c/d", 1, 1.0)))
    assert compared["requests"].droplevel("day").to_dict() == {"a/b (all variants)": 2, "c/d": 1}
    assert compared["agrees"].all()


def test_variant_without_any_known_id_is_missing_by_name():
    df = made((MONDAY + NOON, "a/b", 0.5, 1))
    by_day, _ = reasons(df, both((MONDAY, "a/b", 1, 0.5), (MONDAY, "a/b:free", 2, 0.0)))
    assert by_day["Monday", "a/b:free"].startswith("missing from the ids")


def test_recent_calls_are_not_yet_counted():
    now = pd.Timestamp.now(tz="UTC")
    df = made((now - timedelta(minutes=5), "a/b", 0.5, 1), (MONDAY + NOON, "a/b", 0.25, 1))
    compared = orstats.reconcile(df, start="20d", end="now", client=Account())
    assert compared["reason"].to_list() == [
        "more than the account reports (ids from another account)",
        "not yet counted by the account (compare again tomorrow)",
    ]
    assert not compared["agrees"].any()


def test_range_may_begin_and_end_in_any_zone():
    df = made((MONDAY + timedelta(hours=2), "a/b", 0.5, 1), (MONDAY + timedelta(hours=4), "a/b", 0.25, 1))
    account = Account(analytics=[(MONDAY + timedelta(hours=n), "a/b", 1, usd) for n, usd in ((2, 0.5), (4, 0.25))])
    start = (MONDAY + timedelta(hours=3)).tz_convert("Asia/Tokyo")
    compared = orstats.reconcile(df, start=start, end=start + timedelta(hours=5), client=account)
    assert compared["usd"].to_list() == [0.25]
    assert compared["agrees"].all()


@pytest.mark.parametrize(("start", "is_named"), [(MONDAY, False), (MONDAY + timedelta(hours=5), True)])
def test_incomplete_first_day_is_named(start, is_named):
    df = made((MONDAY + NOON, "a/b", 0.5, 1))
    _, compared = reasons(df, both((MONDAY + NOON, "a/b", 1, 0.5)), start=start)
    assert ("The first day is incomplete: the range starts at" in compared.attrs["note"]) == is_named
