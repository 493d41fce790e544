"""The steps from a cost before to the cost after: what they are, that they meet, and where their axis begins."""

import itertools

import pandas as pd
import pytest
from recomputed import cost

import orstats
from orstats.errors import ConfigError
from orstats.reports.compare import PARTS
from orstats.reports.waterfall import waterfall


def compared(**groups):
    """A comparison of groups: presence, cost before, and the four parts."""
    rows = {
        name: {"before_usd": before, "after_usd": before + sum(parts), "change_usd": sum(parts)}
        | dict(zip(PARTS, parts, strict=True))
        | {"presence": presence}
        for name, (presence, before, *parts) in groups.items()
    }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("model")


MIXED = compared(
    a=("both", 4.0, 1.0, -0.5, 0.25, 2.0),
    b=("both", 6.0, 1.5, 0.5, -1.0, 0.0),
    c=("new", 0.0, 0.0, 3.0, 0.0, 0.0),
    d=("gone", 2.0, 0.5, -2.5, 0.0, 0.0),
)


def test_causes_are_the_parts_of_groups_that_stay_and_the_change_of_others():
    found = waterfall(MIXED, "cause", 12, explain=False)
    assert [(step.name, step.change) for step in found.steps] == [
        ("before", 12.0),
        ("volume", 2.5),
        ("mix", 0.0),
        ("size", -0.75),
        ("price", 2.0),
        ("1 new group", 3.0),
        ("1 gone group", -2.0),
        ("after", 16.75),
    ]
    assert found.title == "Cost change by cause: $12.0000 to $16.7500, +$4.7500, +39.6%"
    assert found.texts()[1] == "+$2.5000 · +20.8%"
    assert found.texts(shares=False)[-1] == "$16.7500"


def test_groups_are_ranked_by_change_and_the_smallest_changes_folded():
    found = waterfall(MIXED, "group", 3)
    assert [(step.name, step.change) for step in found.steps[1:-1]] == [
        ("c (new)", 3.0),
        ("a", 2.75),
        ("other (2 more)", -1.0),
    ]
    every = waterfall(MIXED, "group", 4)
    assert [step.name for step in every.steps[1:-1]] == ["c (new)", "a", "b", "d (gone)"]


@pytest.fixture(scope="module")
def halves():
    """A comparison of both halves of an account, and the cost of each."""
    with orstats.sim.SimServer(1500, seed=6) as sim:
        df = orstats.fetch(sim.ids, client=sim.client(), archive=False)
        ids = sorted(sim.ids, key=lambda one: sim.record(one)["created_at"])
        known = set(df.index[df["cost_usd"].notna()])
        costs = [sum(cost(sim.record(one)) for one in side if one in known) for side in (ids[:700], ids[700:])]
    return orstats.compare(df.loc[ids[:700]], df.loc[ids[700:]], ["model", "provider_name"]), costs


@pytest.mark.parametrize("by", ["cause", "group"])
@pytest.mark.parametrize("most", [1, 5, 100])
def test_steps_meet_from_the_cost_before_to_the_cost_after(halves, by, most):
    comparison, costs = halves
    found = waterfall(comparison, by, most)
    inner = found.steps[1:-1]
    assert all(one.end == next_.start for one, next_ in itertools.pairwise(found.steps[:-1]))
    assert sum(step.change for step in inner) == pytest.approx(costs[1] - costs[0], abs=1e-9)
    assert inner[-1].end == pytest.approx(found.after, abs=1e-9)
    assert [found.before, found.after] == pytest.approx(costs, abs=1e-9)


def test_axis_begins_at_0_unless_the_steps_would_be_too_small_to_see():
    assert waterfall(MIXED, "cause", 12).axis == (0.0, 18.75)
    flat = compared(a=("both", 1000.0, 3.0, -1.0, 2.0, 0.0))
    lowest, highest = waterfall(flat, "cause", 12).axis
    assert (lowest, highest) == (999.0, 1004.0)
    same = compared(a=("both", 1000.0, 0.0, 0.0, 0.0, 0.0))
    assert waterfall(same, "cause", 12).axis == (0.0, 1000.0)
    below = compared(a=("both", 10.0, -8.0, -5.0, 9.0, 0.0))
    assert waterfall(below, "cause", 12).axis == (-3.0, 10.0)


def test_a_cost_from_nothing_has_no_share():
    found = waterfall(compared(a=("new", 0.0, 0.0, 2.0, 0.0, 0.0)), "cause", 12)
    assert found.title == "Cost change by cause: $0 to $2.0000, +$2.0000"
    gone = waterfall(compared(a=("gone", 2.0, 0.0, -2.0, 0.0, 0.0)), "cause", 12)
    assert gone.title == "Cost change by cause: $2.0000 to $0, -$2.0000, -100.0%"


def test_without_cost_there_is_no_waterfall():
    assert waterfall(MIXED.iloc[:0], "cause", 12) is None
    assert waterfall(compared(a=("both", 0.0, 0.0, 0.0, 0.0, 0.0)), "group", 12) is None


def test_other_tables_and_steps_are_refused():
    with pytest.raises(ConfigError, match=r"must be the result of orstats\.compare.*without volume_usd"):
        waterfall(MIXED.drop(columns="volume_usd"), "cause", 12)
    with pytest.raises(ConfigError, match="by must be 'cause' or 'group', got 'model'"):
        waterfall(MIXED, "model", 12)
    with pytest.raises(ConfigError, match="pandas DataFrame"):
        waterfall([1], "cause", 12)
