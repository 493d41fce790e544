import itertools
import random
import re

import pandas as pd
import polars as pl
import pytest

import orstats
from orstats.errors import ConfigError
from orstats.frame import schema, views
from orstats.frame import summary as totals
from orstats.frame.build import FetchOutcome, build_frame, empty_frame
from orstats.frame.record_table import to_table
from orstats.frame.status import STATUSES

CHAIN = [
    {
        "provider_name": "DeepInfra",
        "status": 503,
        "latency": 327,
        "is_byok": False,
        "model_permaslug": "openai/gpt-4",
        "endpoint_id": "ep_1",
    },
    {"provider_name": "OpenAI", "status": 200, "latency": 900.5, "id": "chatcmpl-1", "routed_service_tier": "flex"},
]
RECORDS = {
    "gen-paid": {
        "model": "a",
        "provider_name": "A",
        "created_at": "2024-07-15T10:00:00Z",
        "total_cost": 0.1,
        "is_byok": False,
        "upstream_inference_cost": 0.09,
        "native_tokens_prompt": 10,
        "native_tokens_completion": 5,
        "native_tokens_reasoning": 2,
        "native_tokens_cached": 4,
        "provider_responses": CHAIN,
    },
    "gen-byok": {
        "model": "b",
        "provider_name": "A",
        "created_at": "2024-07-16T10:00:00Z",
        "total_cost": 0.005,
        "is_byok": True,
        "upstream_inference_cost": 0.2,
        "native_tokens_prompt": 20,
        "native_tokens_completion": None,
        "provider_responses": [{"status": 500}, 7, {"status": None}],
    },
    "gen-byok-unknown": {"model": "b", "total_cost": 0.005, "is_byok": True},
    "gen-free": {"model": "c:free", "total_cost": 0, "is_byok": False, "provider_responses": []},
}
FAILED = {status: f"gen-{status}" for status in STATUSES if status != "ok"}


def frame(*, asked=None):
    made = to_table(list(RECORDS), list(RECORDS.values()), [0.0] * len(RECORDS))
    outcomes = {name: FetchOutcome(status, 404, 1, f"because {status}") for status, name in FAILED.items()}
    outcomes["gen-paid"] = FetchOutcome("ok", 200, 1, None)
    return build_frame([*RECORDS, *FAILED.values()] if asked is None else asked, [made], outcomes)


def test_attempts_are_one_row_each_in_the_order_tried():
    tried = views.attempts(frame())
    assert tried.index.tolist() == ["gen-paid", "gen-paid", "gen-byok", "gen-byok"]
    assert tried["attempt"].tolist() == [1, 2, 1, 2]
    assert tried["status"].tolist() == [503, 200, 500, pd.NA]
    assert tried["ok"].tolist() == [False, True, False, False]
    assert tried.iloc[0].dropna().to_dict() == CHAIN[0] | {"attempt": 1, "ok": False}
    assert tried["latency"].tolist()[:2] == [327.0, 900.5]
    assert tried["upstream_id"].tolist()[:2] == [pd.NA, "chatcmpl-1"]
    assert tried["routed_service_tier"].tolist()[:2] == [pd.NA, "flex"]


def test_attempts_agree_with_the_fallbacks_column():
    df = frame()
    tried = views.attempts(df)
    first_ok = tried["ok"].groupby(level="id").transform("cummax")
    before = (~first_ok).groupby(level="id").sum()
    for name, count in before.items():
        assert df.loc[name, "fallbacks"] == count


def test_attempts_join_by_id():
    df = frame()
    joined = views.attempts(df).join(df[["model"]])
    assert joined["model"].tolist() == ["a", "a", "b", "b"]


def test_attempts_are_typed_and_tolerate_wrong_types():
    odd = [{"status": "2x", "latency": {}, "is_byok": 1, "provider_name": 5, "id": None}]
    made = to_table(["gen-0"], [{"provider_responses": odd}], [0.0])
    one = views.attempts(build_frame(["gen-0"], [made], {}))
    none = views.attempts(empty_frame())
    for tried in (one, none):
        assert [str(dtype) for dtype in tried.dtypes] == [field.dtype for field in views.ATTEMPT_FIELDS]
        assert list(tried.columns) == [field.name for field in views.ATTEMPT_FIELDS]
        assert tried.index.name == "id"
        assert str(tried.index.dtype) == "string"
    assert one.iloc[0].dropna().to_dict() == {"attempt": 1, "ok": False}


def test_failures_are_the_rows_that_are_not_ok_in_order():
    failed = views.failures(frame())
    assert failed.index.tolist() == list(FAILED.values())
    assert failed["fetch_status"].tolist() == list(FAILED)
    assert failed["error"].tolist() == [f"because {status}" for status in FAILED]
    assert list(failed.columns) == ["fetch_status", "http_status", "attempts", "error", "advice"]


def test_each_failure_has_its_own_advice():
    advice = views.failures(frame())["advice"]
    assert advice.notna().all()
    assert advice.is_unique


def test_failures_of_a_whole_frame_are_none_but_typed():
    none = views.failures(frame(asked=["gen-paid"]))
    assert none.empty
    assert [str(dtype) for dtype in none.dtypes] == ["string", "Int64", "Int64", "string", "string"]


def test_failures_are_no_view_of_the_frame():
    df = frame()
    failed = views.failures(df)
    failed["error"] = "changed"
    assert "changed" not in set(df["error"].dropna())


def test_summary_counts_what_was_asked():
    value = totals.summary(frame())["value"]
    assert value["asked"] == 13
    assert value["ok"] == 4
    assert value["from_archive"] == 3
    assert value["pending"] == 1
    assert value["missing"] == 8
    assert value["asked"] == value["ok"] + value["pending"] + value["missing"]
    others = [status for status in FAILED if status != "pending"]
    assert sum(value[others]) == value["missing"]


def test_summary_adds_up_the_money():
    value = totals.summary(frame())["value"]
    assert value["cost_usd"] == pytest.approx(0.1 + 0.205)
    assert value["charged_usd"] == pytest.approx(0.11)
    assert value["byok_usd"] == 0.2
    assert value["cost_unknown"] == 1
    assert value["cost_zero"] == 1
    assert value["byok_share"] == 0.5
    assert value["mean_cost_usd"] == pytest.approx(0.305 / 3)


def test_summary_adds_up_the_tokens_and_says_how_many_are_silent():
    figures = totals.summary(frame())
    assert figures.loc["native_tokens_prompt", "value"] == 30
    assert figures.loc["native_tokens_completion", "value"] == 5
    assert figures.loc["native_tokens_reasoning", "value"] == 2
    assert figures.loc["native_tokens_cached", "value"] == 4
    assert figures.loc["native_tokens_completion", "note"] == "billed; 3 ids without this count excluded"


def test_summary_gives_the_span():
    value = totals.summary(frame())["value"]
    assert value["models"] == 3
    assert value["providers"] == 1
    assert value["first_created_at"] == pd.Timestamp("2024-07-15T10:00:00Z")
    assert value["last_created_at"] == pd.Timestamp("2024-07-16T10:00:00Z")


def test_a_total_of_which_nothing_is_known_is_missing():
    unknown = totals.summary(frame(asked=["gen-byok-unknown"]))["value"]
    assert unknown["cost_usd"] is unknown["byok_usd"] is unknown["mean_cost_usd"] is pd.NA
    assert unknown["charged_usd"] == 0.005
    lost = totals.summary(frame(asked=["gen-not_found"]))["value"]
    assert lost["cost_usd"] is lost["byok_usd"] is lost["byok_share"] is lost["native_tokens_prompt"] is pd.NA
    no_byok = totals.summary(frame(asked=["gen-paid"]))["value"]
    assert no_byok["byok_usd"] == 0


def test_summary_of_nothing():
    figures = totals.summary(empty_frame())
    assert figures["value"].loc[["asked", "ok", "missing", "cost_usd", "native_tokens_prompt"]].tolist() == [0] * 5
    assert figures.loc["mean_cost_usd", "value"] is pd.NA
    assert figures.loc["first_created_at", "value"] is pd.NaT


def test_summary_has_the_same_figures_and_units_whatever_the_rows():
    always = totals.summary(empty_frame())
    figures = totals.summary(frame())
    assert set(always.index) <= set(figures.index)
    assert set(figures.index) - set(always.index) == set(FAILED) - {"pending"}
    assert list(figures.columns) == ["value", "unit", "note"]
    assert (figures["unit"] != "").all()


def test_the_total_does_not_depend_on_the_order_of_rows():
    costs = [1e6] + [4.2e-07] * 199  # added one after another to the large one, the small ones are rounded off
    made = to_table(
        [f"gen-{at}" for at in range(200)], [{"total_cost": cost, "is_byok": False} for cost in costs], [0.0] * 200
    )
    ids = made["id"].to_pylist()
    shuffled = random.Random(5).sample(ids, len(ids))
    found = {totals.summary(build_frame(order, [made], {})).loc["cost_usd", "value"] for order in (ids, shuffled)}
    assert found == {1000000.0000835800}


@pytest.mark.parametrize(
    ("view", "column"),
    [
        (views.attempts, "provider_responses"),
        (views.failures, "http_status"),
        (totals.summary, "cost_usd"),
        (totals.summary, "native_tokens_cached"),
    ],
)
def test_a_column_that_is_missing_is_named(view, column):
    with pytest.raises(ConfigError, match=column):
        view(frame().drop(columns=[column]))


@pytest.mark.parametrize(
    ("other", "advice"),
    [
        (pl.DataFrame({"id": ["gen-1"]}), "to_pandas()"),
        (pd.Series([1.0]), "to_frame()"),
        ("app.log", "str. Pass the result of orstats.fetch(ids)"),
        (["gen-1"], "list. Pass the result of orstats.fetch(ids)"),
        (None, "NoneType. Pass the result of orstats.fetch(ids)"),
    ],
)
def test_what_is_no_frame_of_pandas_is_said(other, advice, tmp_path):
    takers = (
        *(views.attempts, views.failures, totals.summary, orstats.plot_cost, orstats.plot_latency),
        lambda df: orstats.write_csv(df, tmp_path / "x.csv"),
        lambda df: orstats.write_report(df, tmp_path / "x.csv"),
        lambda df: orstats.write_html(df, tmp_path / "x.html"),
        lambda df: orstats.reconcile(df, start="2d", end="1d"),
    )
    for take in takers:
        with pytest.raises(ConfigError, match=rf"takes a pandas DataFrame, not .*{re.escape(advice)}"):
            take(other)


@pytest.mark.parametrize("view", [views.attempts, views.failures])
def test_a_frame_without_its_index_is_refused(view):
    with pytest.raises(ConfigError, match="set_index"):
        view(frame().reset_index(drop=True))


def test_views_of_a_frame_read_back_from_csv(tmp_path):
    df = frame()
    df.to_csv(tmp_path / "costs.csv")
    back = pd.read_csv(tmp_path / "costs.csv", index_col="id")
    pd.testing.assert_frame_equal(views.attempts(back), views.attempts(df))
    assert views.failures(back)["advice"].tolist() == views.failures(df)["advice"].tolist()
    money = ["asked", "ok", "from_archive", "cost_usd", "byok_usd", "cost_unknown", "native_tokens_prompt"]
    # the default CSV reader of pandas 2 is off by the last bit
    assert totals.summary(back)["value"][money].tolist() == pytest.approx(totals.summary(df)["value"][money].tolist())


def test_the_field_table_is_the_schema():
    table = views.field_table()
    assert table.index.tolist() == ["id", *(field.name for field in schema.COLUMNS)]
    assert table.index.name == "name"
    assert list(table.columns) == ["dtype", "unit", "nullable", "origin", "meaning", "source"]
    for name, column in itertools.product(table.index, table.columns):
        assert table.loc[name, column] == getattr(schema.FIELDS[name], column)
