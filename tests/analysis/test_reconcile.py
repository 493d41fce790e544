import random
from datetime import UTC, datetime, timedelta

import pandas as pd
import pytest

import orstats
from orstats.analysis.reconcile import share_explained
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


def test_the_sums_are_those_of_the_frame(sim, df):
    compared = orstats.reconcile(df, start="60d", end="now", client=sim.client())
    assert compared["usd"].sum() == pytest.approx(df.loc[df["created_at"] >= compared.index[0][0], "cost_usd"].sum())
    assert compared["byok_usd"].sum() == pytest.approx(compared["account_byok_usd"].sum())
    assert compared["byok_usd"].sum() > 0


def test_days_and_models_that_miss_ids_are_named(sim, df):
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


def test_rows_that_could_not_be_fetched_are_named(sim, df):
    part = df.copy()
    day = df["created_at"].dt.floor("D")
    chosen = df.index[day == pd.Timestamp(MIDNIGHT) - pd.Timedelta(days=4)][0]
    part.loc[chosen, "fetch_status"] = "pending"
    compared = orstats.reconcile(part, start="7d", end="now", client=sim.client())
    (row,) = compared[~compared["agrees"]].to_dict("records")
    assert row["missing"] == 1
    assert row["reason"].endswith("of this day were not fetched: 1 pending")


def test_more_than_the_account_knows_and_other_charges(sim, df):
    paid = df.index[(df["created_at"] >= MIDNIGHT - timedelta(days=5)) & (df["total_cost"] > 0.001) & ~df["is_byok"]]
    byok = df.index[(df["created_at"] >= MIDNIGHT - timedelta(days=20)) & df["is_byok"]]
    doubled = pd.concat([df, df.loc[[paid[0]]].rename(index={paid[0]: "gen-other"})])
    (row,) = off(sim, doubled)
    assert row["missing"] == -1
    assert "1 more than the account counts" in row["reason"]
    dearer = df.copy()
    dearer.loc[paid[0], ["total_cost", "cost_usd"]] = 1.0
    assert "charged differently" in off(sim, dearer)[0]["reason"]
    unknown = df.copy()
    unknown.loc[paid[0], ["total_cost", "cost_usd"]] = float("nan")
    assert off(sim, unknown)[0]["reason"] == "cost unknown for 1"
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


def test_models_called_by_their_titles_are_recognised_by_their_figures(sim, df):
    compared = orstats.reconcile(df, start="45d", end="40d", client=Titles(sim.client()))
    assert compared["agrees"].all()
    assert set(compared.index.get_level_values("model")) <= set(df["model"])


def test_nothing_to_compare(sim, df):
    compared = orstats.reconcile(df, start="2020-01-01", end="2020-01-03", client=sim.client())
    assert compared.empty
    assert share_explained(compared) == 1.0
    assert str(compared["account_requests"].dtype) == "Int64"
    empty = orstats.reconcile(df.iloc[:0], start="3d", end="now", client=sim.client())
    assert share_explained(empty) == 0.0
    assert empty["requests"].sum() == 0


def test_what_cannot_be_compared(sim, df):
    with pytest.raises(orstats.errors.ConfigError, match="no column total_cost"):
        orstats.reconcile(df.drop(columns="total_cost"), start="3d", end="now", client=sim.client())
    with pytest.raises(orstats.errors.ConfigError, match="tolerance"):
        orstats.reconcile(df, start="3d", end="now", client=sim.client(), tolerance=-1)
    with pytest.raises(orstats.errors.ForbiddenError, match="management key"):
        orstats.reconcile(df, start="3d", end="now", client=sim.client(management_key=sim.plain_key))
