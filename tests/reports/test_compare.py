"""Where a difference in cost comes from: volume, mix, size and price, recomputed here by hand."""

import itertools

import pandas as pd
import pytest

import orstats
from orstats.errors import ConfigError
from orstats.frame.build import FetchOutcome, build_frame
from orstats.frame.record_table import to_table
from orstats.reports.compare import PARTS
from orstats.sim import SimServer

NUMBERS = itertools.count()


def frame(*calls):
    """A DataFrame of calls: model, USD and tokens; a cost of None is unknown, tokens of None are missing."""
    records = [
        {
            "model": model,
            "total_cost": usd,
            "is_byok": False,
            "native_tokens_prompt": tokens,
            "native_tokens_completion": None if tokens is None else 0,
        }
        for model, usd, tokens in calls
    ]
    ids = [f"gen-{next(NUMBERS)}" for _ in calls]
    return build_frame(ids, [to_table(ids, records, [0.0] * len(ids))], {})


@pytest.fixture(scope="module")
def weeks():
    with SimServer(4000, seed=2) as sim:
        df = orstats.fetch(sim.ids, client=sim.client(), archive=False)
    now, week = df["created_at"].max(), pd.Timedelta("7D")
    return df[df["created_at"].between(now - 2 * week, now - week)], df[df["created_at"] > now - week]


def test_each_cause_is_one_part():
    before = frame(("a", 1.0, 100), ("a", 1.0, 100), ("b", 4.0, 100), ("b", 4.0, 100))
    changes = {
        "volume_usd": frame(*[("a", 1.0, 100)] * 3, *[("b", 4.0, 100)] * 3),
        "mix_usd": frame(("a", 1.0, 100), *[("b", 4.0, 100)] * 3),
        "size_usd": frame(*[("a", 1.5, 150)] * 2, *[("b", 6.0, 150)] * 2),
        "price_usd": frame(*[("a", 1.5, 100)] * 2, *[("b", 6.0, 100)] * 2),
    }
    for part, after in changes.items():
        sums = orstats.compare(before, after)[list(PARTS)].sum()
        assert sums[part] == pytest.approx(after["cost_usd"].sum() - 10.0), part
        assert sums.drop(part).abs().max() < 1e-12, part


def test_new_and_gone_groups_are_named():
    compared = orstats.compare(frame(("a", 1.0, 10), ("b", 2.0, 10)), frame(("b", 2.0, 10), ("c", 5.0, 10)))
    assert compared["presence"].to_dict() == {"c": "new", "b": "both", "a": "gone"}
    assert compared.loc["c", ["before_usd", "after_usd", "change_usd", "mix_usd"]].to_list() == [0.0, 5.0, 5.0, 5.0]
    assert compared.loc["a", "change_usd"] == -1.0
    assert "groups in both periods: volume $0, mix $0, size $0, price $0; 1 new group +$5" in compared.attrs["note"]


def test_unknown_costs_are_excluded_and_unknown_tokens_change_the_price():
    compared = orstats.compare(frame(("a", 1.0, None)), frame(("a", 3.0, None), ("a", None, 5)))
    assert compared.loc["a", ["before_generations", "after_generations"]].to_list() == [1, 1]
    assert compared.loc["a", ["size_usd", "price_usd"]].to_list() == [0.0, 2.0]


@pytest.mark.parametrize("by", ["model", ["model", "provider_name"], "external_user", ["streamed", "api_type"]])
def test_parts_add_up_to_the_difference(weeks, by):
    before, after = weeks
    compared = orstats.compare(before, after, by)
    assert (compared[list(PARTS)].sum(axis=1) - compared["change_usd"]).abs().max() < 1e-9
    assert compared["change_usd"].sum() == pytest.approx(after["cost_usd"].sum() - before["cost_usd"].sum(), abs=1e-9)
    assert compared["change_usd"].is_monotonic_decreasing
    known = after[after["cost_usd"].notna() & after["fetch_status"].eq("ok")]
    assert compared["after_generations"].sum() == len(known)


def test_parts_equal_an_independent_computation(weeks):
    before, after = (week[week["cost_usd"].notna()].groupby("model") for week in weeks)
    compared = orstats.compare(*weeks)
    growth = after.size().sum() / before.size().sum()
    for model in itertools.islice(set(before.groups) & set(after.groups), 8):
        (n0, cost0, tokens0), (n1, cost1, tokens1) = (
            (len(rows), rows["cost_usd"].sum(), rows["tokens_total"].sum())
            for rows in (side.get_group(model) for side in (before, after))
        )
        row = compared.loc[model]
        assert row["volume_usd"] == pytest.approx(cost0 * (growth - 1), abs=1e-12)
        assert row["mix_usd"] == pytest.approx(cost0 / n0 * (n1 - n0 * growth), abs=1e-12)
        if tokens0 and tokens1:
            assert row["size_usd"] == pytest.approx((tokens1 / n1 - tokens0 / n0) * n1 * cost0 / tokens0, abs=1e-9)
            assert row["price_usd"] == pytest.approx(tokens1 * (cost1 / tokens1 - cost0 / tokens0), abs=1e-9)


@pytest.mark.parametrize("engine", ["polars", "duckdb"])
def test_other_engines_give_equal_numbers(weeks, engine):
    module = pytest.importorskip(engine)
    before, after = (week.reset_index() for week in weeks)
    convert = module.from_pandas if engine == "polars" else module.from_df
    ours = orstats.compare(*weeks, by=["model", "provider_name"])
    theirs = orstats.compare(convert(before), convert(after), by=["model", "provider_name"])
    pd.testing.assert_frame_equal(
        pd.DataFrame(theirs).reset_index().sort_values(["model", "provider_name"], ignore_index=True),
        pd.DataFrame(ours).reset_index().sort_values(["model", "provider_name"], ignore_index=True),
        check_dtype=False,
    )


def test_empty_sides_are_compared(weeks):
    _, after = weeks
    assert orstats.compare(after.iloc[:0], after)["change_usd"].sum() == pytest.approx(after["cost_usd"].sum())
    assert orstats.compare(after, after.iloc[:0])["presence"].eq("gone").all()
    failed, other = (
        build_frame([one], [], {one: FetchOutcome("not_found", 404, 1, "no")}) for one in ("gen-x", "gen-y")
    )
    assert orstats.compare(failed, other).empty


def test_generations_on_both_sides_are_warned_of(weeks):
    before, after = weeks
    with pytest.warns(UserWarning, match=f"{len(after):,} generations are in both DataFrames") as caught:
        orstats.compare(pd.concat([before, after]), after)
    assert caught[0].filename == __file__


def test_tokens_of_unknown_costs_are_excluded_on_every_engine():
    before, after = frame(("a", 1.0, 10)), frame(("a", 3.0, 10), ("a", None, 1_000))
    compared = orstats.compare(before, after)
    assert compared.loc["a", ["before_tokens", "after_tokens"]].to_list() == [10, 10]
    assert compared.loc["a", ["size_usd", "price_usd"]].to_list() == [0.0, 2.0]
    polars = pytest.importorskip("polars")
    theirs = orstats.compare(*(polars.from_pandas(side.reset_index()) for side in (before, after)))
    assert theirs.loc["a", ["size_usd", "price_usd"]].to_list() == [0.0, 2.0]


def test_only_ids_that_are_shared_are_counted(weeks):
    before, after = weeks
    same_times = after.set_axis(after.index + "-copy").rename_axis("id")
    with pytest.warns(UserWarning, match="^3 generations"):
        orstats.compare(pd.concat([same_times, after.head(3)]), after)
    with pytest.warns(UserWarning, match=f"^{len(after):,} generations"):
        orstats.compare(after, after)
    numbered = after.set_axis(pd.RangeIndex(len(after), name="id"))
    with pytest.warns(UserWarning, match="^5 generations"):
        orstats.compare(numbered.head(5), numbered)
    untimed = [side.assign(created_at=None) for side in (before, after.head(2))]
    orstats.compare(*untimed)  # no time, no shared id, no warning
    orstats.compare(before, same_times)


def test_wrong_arguments_are_named(weeks):
    with pytest.raises(ConfigError, match="at least one column"):
        orstats.compare(*weeks, by=[])
    with pytest.raises(ConfigError, match=r"(?i)did you mean .?model"):
        orstats.compare(*weeks, by="modle")


def test_all_groups_together_are_a_sentence(weeks):
    compared = orstats.compare(*weeks)
    before, after = (week["cost_usd"].sum() for week in weeks)
    assert compared.attrs["note"].startswith(f"${before:,.4f} for ")
    assert f"${after:,.4f} for " in compared.attrs["note"]
    with pd.option_context("display.width", 140):
        text = str(compared)
    assert compared.attrs["note"].split(",")[0] in " ".join(text.split())
    assert all(part in " ".join(text.split()[:12]) for part in PARTS)
