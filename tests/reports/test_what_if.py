"""What the same tokens would have cost: against sums by hand, and prices that are none."""

import math

import pandas as pd
import pytest
from recomputed import cost, frame_of, grouped, simulated

from orstats import what_if
from orstats.errors import ConfigError
from orstats.frame.build import empty_frame

M = 1_000_000


def generation(model="a", *, prompt=M, cached=None, completion=M, charged=10.0, **more):
    return {
        "model": model,
        "is_byok": False,
        "total_cost": charged,
        "native_tokens_prompt": prompt,
        "native_tokens_cached": cached,
        "native_tokens_completion": completion,
    } | more


def row(report, model="a"):
    return report.reset_index().set_index("model").loc[model].to_dict()


def test_each_kind_of_token_has_its_price():
    report = what_if(frame_of({"1": generation(prompt=5 * M, cached=2 * M, completion=3 * M)}), {"a": (1.0, 0.25, 4.0)})
    assert row(report) == {
        "generations": 1,
        "cost_usd": 10.0,
        "priced": 1,
        "priced_cost_usd": 10.0,
        "what_if_usd": 3 * 1.0 + 2 * 0.25 + 3 * 4.0,
        "difference_usd": 5.5,
        "ratio": 1.55,
    }
    assert report.attrs["coverage"]["asked"] == 1


def test_the_simulators_generations_by_hand():
    records = simulated(200)
    prices = {model: (2.0, 0.5, 9.0) for model in grouped(records, "model") if model is not None}
    report = what_if(frame_of(records), prices)
    most = 10**12
    for model, members in grouped(records, "model").items():
        if model is None:
            continue
        parts, did = [], []
        for one in members:
            prompt, cached, completion = (one[f"native_tokens_{name}"] for name in ("prompt", "cached", "completion"))
            if None in (prompt, completion, cost(one)) or max(prompt, completion) > most:
                continue
            cached = cached if cached is not None and 0 <= cached <= prompt else 0
            parts.append(((prompt - cached) * 2.0 + cached * 0.5 + completion * 9.0) / 1e6)
            did.append(cost(one))
        found = row(report, model)
        assert found["priced"] == len(parts)
        assert found["generations"] == len(members)
        if parts:
            assert found["what_if_usd"] == pytest.approx(math.fsum(parts), rel=1e-9)
            assert found["priced_cost_usd"] == pytest.approx(math.fsum(did), rel=1e-9)
        else:
            assert pd.isna(found["what_if_usd"])


def test_what_is_compared_is_only_what_can_be():
    records = {
        "known": generation(),
        "no cost": generation(charged=None),
        "no tokens": generation(prompt=None),
        "too many cached": generation(cached=5 * M),
    }
    found = row(what_if(frame_of(records), {"a": (1.0, 0.0, 2.0)}))
    assert (found["generations"], found["priced"]) == (4, 2)
    assert (found["cost_usd"], found["priced_cost_usd"], found["what_if_usd"]) == (30.0, 20.0, 6.0)


def test_models_without_a_price_are_last_and_missing():
    records = {"1": generation("a"), "2": generation("b"), "3": generation(None), "4": generation("c", charged=50.0)}
    report = what_if(frame_of(records, lost=["gen-lost"]), {"a": (1.0, 1.0, 1.0), "c": (1.0, 1.0, 1.0), "z": (0, 0, 0)})
    assert [None if pd.isna(model) else model for model in report.index] == ["c", "a", "b", None]
    assert report["priced"].to_list() == [1, 1, 0, 0]
    assert report["what_if_usd"].isna().to_list() == [False, False, True, True]
    assert report.attrs["coverage"]["missing"] == 1


def test_free_generations_have_no_ratio():
    found = row(what_if(frame_of({"1": generation(charged=0.0)}), {"a": (1.0, 1.0, 1.0)}))
    assert (found["priced_cost_usd"], found["what_if_usd"]) == (0.0, 2.0)
    assert pd.isna(found["ratio"])


@pytest.mark.parametrize(
    "prices",
    [
        {"a": {"prompt": 1, "completion": 4.0, "cached": 1.0}},
        {"a": {"prompt": 1.0, "completion": 4}},
        {"a": [1.0, 1.0, 4.0]},
        pd.DataFrame({"prompt": [1.0], "completion": [4.0]}, index=["a"]),
        pd.DataFrame({"model": ["a"], "prompt": [1.0], "cached": [None], "completion": [4.0], "note": ["x"]}),
    ],
)
def test_prices_in_every_form(prices):
    assert row(what_if(frame_of({"1": generation(cached=10)}), prices))["what_if_usd"] == pytest.approx(5.0)


@pytest.mark.parametrize(
    ("prices", "message"),
    [
        ({"a": {"prompt": 1.0}}, "'a' for completion"),
        ({"a": {"prompt": -1.0, "completion": 1.0}}, "-1"),
        ({"a": {"prompt": math.nan, "completion": 1.0}}, "nan"),
        ({"a": {"prompt": math.inf, "completion": 1.0}}, "inf"),
        ({"a": {"prompt": "1", "completion": 1.0}}, "'1'"),
        ({"a": {"prompt": True, "completion": 1.0}}, "True"),
        ({"a": {"input": 1.0, "completion": 1.0}}, "'input'"),
        ({"a": (1.0, 2.0)}, "three numbers"),
        ({"a": "123"}, "three numbers"),
        ({"a": 1.0}, "three numbers"),
        ({"b": (1.0, 1.0, 1.0)}, "None of the prices is for a model in the DataFrame. It has: a."),
        ({}, "None of the prices"),
        (pd.DataFrame({"prompt": [1.0]}, index=["a"]), "completion"),
        (pd.DataFrame({"prompt": [1.0, 2.0], "completion": [1.0, 1.0]}, index=["a", "a"]), "Several prices for 'a'"),
    ],
)
def test_prices_that_are_none(prices, message):
    with pytest.raises(ConfigError, match=message):
        what_if(frame_of({"1": generation()}), prices)


def test_misspelled_and_shortened_models_are_suggested():
    models = [f"openai/gpt-{n}-2026" for n in range(9)]
    frame = frame_of({str(n): generation(model=model) for n, model in enumerate(models)})
    for name in ("gpt-4", "openai/gpt-4-202"):
        with pytest.raises(ConfigError, match="Did you mean 'openai/gpt-4-2026'"):
            what_if(frame, {name: (1.0, 1.0, 1.0)})
    with pytest.raises(ConfigError, match=r"It has: openai/gpt-0-2026, .* and 4 more"):
        what_if(frame, {"z": (1.0, 1.0, 1.0)})


def test_an_empty_frame():
    report = what_if(empty_frame(), {"a": (1.0, 1.0, 1.0)})
    assert len(report) == 0
    full = what_if(frame_of({"1": generation()}), {"a": (1.0, 1.0, 1.0)})
    assert report.dtypes.to_dict() == full.dtypes.to_dict()
    assert report.index.dtype == full.index.dtype
