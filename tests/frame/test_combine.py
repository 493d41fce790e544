import duckdb
import pandas as pd
import polars as pl
import pytest

import orstats
from orstats.errors import ConfigError, DuplicateIdsWarning
from orstats.frame.build import FetchOutcome, build_frame, empty_frame
from orstats.frame.record_table import to_table


def fetched(records, at=0.0, **outcomes):
    table = to_table(
        list(records), [{"model": "m", "is_byok": False, **one} for one in records.values()], [at] * len(records)
    )
    failed = {name: FetchOutcome(status, None, 1, "why") for name, status in outcomes.items()}
    return build_frame([*records, *failed], [table], failed)


def test_each_id_has_its_newest_and_best_row():
    first = fetched({"a": {"total_cost": 1.0}, "b": {"total_cost": 1.0}}, 2.0, c="pending")
    second = fetched({"c": {"total_cost": 2.0}, "b": {"total_cost": 2.0}}, 1.0, a="not_found")
    both = orstats.combine(first, second)
    assert both["cost_usd"].to_dict() == {"a": 1.0, "b": 1.0, "c": 2.0}
    assert set(both["fetch_status"]) == {"ok"}
    assert both.dtypes.to_dict() == first.dtypes.to_dict()
    pd.testing.assert_frame_equal(orstats.combine([second, first]).loc[["a", "b", "c"]], both)
    pd.testing.assert_frame_equal(orstats.combine(pd.concat([first, second])), both)
    padded = second.set_axis(second.index + "  ").rename_axis("id")
    pd.testing.assert_frame_equal(orstats.combine(first, padded), both)


def test_columns_of_other_frames_stay():
    first = fetched({"a": {"total_cost": 1.0}}, 1.0)
    export = pd.DataFrame({"id": ["a", "b"], "cost_usd": [1.0, 2.0], "api_key_name": ["prod", "dev"], "n": [1, 2]})
    both = orstats.combine(first, export)
    assert both["api_key_name"].to_dict() == {"a": "prod", "b": "dev"}
    assert both.loc["a", "model"] == "m"
    assert str(both["cost_usd"].dtype) == "float64"


def test_frames_that_pandas_read_are_combined(tmp_path):
    first = fetched({"a": {"total_cost": 1.0}}, 1.0, b="pending")
    orstats.write_csv(first, tmp_path / "a.csv")
    both = orstats.combine(pd.read_csv(tmp_path / "a.csv"), fetched({"b": {"total_cost": 2.0}}, 2.0))
    assert both["cost_usd"].to_dict() == {"a": 1.0, "b": 2.0}
    assert both.dtypes.to_dict() == first.dtypes.to_dict()


def test_no_frames_one_frame_and_other_things():
    first = fetched({"a": {"total_cost": 1.0}})
    pd.testing.assert_frame_equal(orstats.combine(), empty_frame())
    pd.testing.assert_frame_equal(orstats.combine([]), empty_frame())
    pd.testing.assert_frame_equal(orstats.combine(first), first)
    pd.testing.assert_frame_equal(orstats.combine(empty_frame(), first), first)
    for wrong in (1, "costs.csv", [1], first.reset_index(drop=True)):
        with pytest.raises(ConfigError):
            orstats.combine(wrong)


@pytest.mark.slow
def test_repeated_ids_are_warned_of_once_at_the_callers_line(tmp_path):
    once = fetched({"a": {"total_cost": 1.0, "streamed": True, "latency": 1.0}, "b": {"total_cost": 1.0}})
    doubled = pd.concat([once, once])
    calls = {
        "cost_by": orstats.cost_by,
        "tokens_by": orstats.tokens_by,
        "latency_by": orstats.latency_by,
        "failures_by": orstats.failures_by,
        "coverage": orstats.coverage,
        "summary": orstats.summary,
        "what_if": lambda df: orstats.what_if(df, {"m": (1.0, 1.0, 1.0)}),
        "plot_cost": orstats.plot_cost,
        "plot_tokens": orstats.plot_tokens,
        "plot_latency": orstats.plot_latency,
        "explore": orstats.explore,
        "write_html": lambda df: orstats.write_html(df, tmp_path / "a.html"),
        "write_csv": lambda df: orstats.write_csv(df, tmp_path / "a.csv"),
        "write_report": lambda df: orstats.write_report(df, tmp_path / "a.xlsx"),
        "reset_index": lambda df: orstats.cost_by(df.reset_index()),
        "polars": lambda df: orstats.cost_by(pl.from_pandas(df.reset_index())),
        "polars lazy": lambda df: orstats.cost_by(pl.from_pandas(df.reset_index()).lazy()),
        "duckdb": lambda df: orstats.cost_by(duckdb.from_df(df.reset_index())),
    }
    for name, call in calls.items():
        with pytest.warns(DuplicateIdsWarning, match="2 rows repeat") as warned:
            call(doubled)
        assert [one.filename for one in warned if one.category is DuplicateIdsWarning] == [__file__], name
    orstats.cost_by(once)
    with pytest.warns(DuplicateIdsWarning):
        report = orstats.cost_by(doubled)
    assert report.attrs["coverage"]["duplicates"] == 2
    assert "duplicates" not in orstats.cost_by(once).attrs["coverage"]
    orstats.write_csv(orstats.attempts(doubled), tmp_path / "attempts.csv")
    assert "orstats.duplicates" not in doubled.attrs
