from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pytest

import orstats
from orstats.errors import ConfigError
from orstats.frame.build import FetchOutcome, build_frame, empty_frame
from orstats.frame.record_table import to_table
from orstats.notebook.filters import Filters, Inputs
from orstats.notebook.table_model import MISSING, Query, TableModel
from orstats.notebook.table_page import page_columns, page_rows
from orstats.sim import SimServer

RECORDS = [
    {"model": "a/x", "provider_name": "P", "total_cost": 0.5, "is_byok": False, "created_at": "2026-03-01T10:00:00Z"},
    {"model": "a/x", "provider_name": None, "total_cost": 0.1, "is_byok": False, "created_at": "2026-03-02T10:00:00Z"},
    {"model": "b/y", "provider_name": "Q", "total_cost": None, "is_byok": False, "created_at": "2026-03-03T10:00:00Z"},
    {"model": "b/y", "provider_name": "Q", "total_cost": 0.0, "is_byok": False, "cancelled": True},
]
RECORDS[1] |= {"external_user": "Ünal (team) [x]", "session_id": "S-77"}
RECORDS[0] |= {"native_tokens_prompt": 10, "native_tokens_completion": 5, "generation_time": 100.0}
RECORDS[1] |= {"native_tokens_prompt": 1, "native_tokens_completion": 1, "generation_time": 300.0}
IDS = [f"gen-{n}" for n in range(4)]


@pytest.fixture
def table():
    gone = {"gen-lost": FetchOutcome("not_found", 404, 1, "Unknown.")}
    return TableModel(build_frame([*IDS, "gen-lost"], [to_table(IDS, RECORDS, [0.0] * 4)], gone))


def kept(table, **query):
    return table.df.index[table.select(Query(**query))].tolist()


def test_each_word_for_a_bad_end_is_a_filter_for_its_rows_and_is_counted_alike_in_reports():
    with SimServer(1000, seed=0) as sim:
        df = orstats.fetch(sim.ids, client=sim.client(), progress=False, archive=False)
    table = TableModel(df)
    words = pd.Series(table._values("status").to_pylist())
    counted = {word: int(mask.sum()) for word, mask in table.statuses.items()}
    for word in ("failed", "no completion", "cancelled"):
        assert 0 < counted[word] == int((words == word).sum()), word
    assert counted["failed"] == orstats.failures_by(df, "model")["failed"].sum()


def test_no_filter_keeps_every_row(table):
    assert kept(table) == [*IDS, "gen-lost"]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"model": "a/x"}, ["gen-0", "gen-1"]),
        ({"provider": MISSING}, ["gen-1", "gen-lost"]),
        ({"model": "b/y", "provider": "Q", "status": "cancelled"}, ["gen-3"]),
        ({"status": "not fetched"}, ["gen-lost"]),
        ({"status": "not found"}, ["gen-lost"]),
        ({"status": "cost unknown"}, ["gen-2"]),
        ({"status": "cost 0"}, ["gen-3"]),
        ({"status": "no such status"}, []),
        ({"cost_min": 0.1}, ["gen-0", "gen-1"]),
        ({"cost_max": 0.1}, ["gen-1", "gen-3"]),
        ({"cost_min": 0.2, "cost_max": 0.1}, []),
        ({"since": datetime(2026, 3, 2, 10)}, ["gen-1", "gen-2"]),  # noqa: DTZ001 - times of the picker have no zone
        ({"until": datetime(2026, 3, 2, 10, tzinfo=UTC)}, ["gen-0"]),
        ({"text": "GEN-LO"}, ["gen-lost"]),
        ({"text": "  s-77 "}, ["gen-1"]),
        ({"text": "ünal (TEAM) [x"}, ["gen-1"]),
        ({"text": "A/x"}, ["gen-0", "gen-1"]),
    ],
)
def test_a_query_keeps_rows_that_match_all_conditions(table, query, expected):
    assert kept(table, **query) == expected


@pytest.mark.parametrize("descending", [False, True])
def test_sorting_is_stable_with_missing_values_last(table, descending):
    everything = np.ones(5, dtype=bool)
    costs = table.df["cost_usd"].iloc[table.positions(everything, "cost_usd", descending=descending)].tolist()
    assert costs[:3] == sorted([0.5, 0.1, 0.0], reverse=descending)
    assert np.isnan(costs[3:]).all()
    models = table.positions(everything, "model", descending=descending).tolist()
    assert models == ([2, 3, 0, 1, 4] if descending else [0, 1, 2, 3, 4])


@pytest.mark.parametrize("descending", [False, True])
def test_every_column_can_be_sorted_by(table, descending):
    for name in table.columns:
        assert sorted(table.order(name, descending=descending).tolist()) == list(range(5)), name


def test_totals_count_unknown_costs(table):
    figures = table.totals(np.ones(5, dtype=bool))
    assert (figures.rows, figures.not_ok, figures.cost_unknown) == (5, 1, 1)
    assert figures.cost_usd == pytest.approx(0.6)
    assert (figures.tokens, figures.median_ms) == (17, 200.0)
    nothing = table.totals(np.zeros(5, dtype=bool))
    assert (nothing.rows, nothing.cost_usd, nothing.tokens, nothing.median_ms) == (0, None, None, None)


def test_cost_over_time_adds_up(table):
    edges, costs = table.cost_over_time(np.ones(5, dtype=bool), 7)
    assert len(edges) == 8
    assert sum(costs) == pytest.approx(0.6)
    assert table.cost_over_time(np.zeros(5, dtype=bool), 7) is None


def test_choices_are_counted_most_frequent_first(table):
    assert table.choices("model") == [("a/x", 2), ("b/y", 2), (MISSING, 1)]


def test_an_empty_frame_can_be_queried():
    table = TableModel(empty_frame())
    nothing = np.zeros(0, dtype=bool)
    assert kept(table, text="x", model="m", cost_min=1.0, status="ok", since=datetime(2026, 1, 1, tzinfo=UTC)) == []
    assert table.choices("model") == []
    assert table.positions(nothing, "created_at", descending=True).tolist() == []


def test_columns_may_be_missing():
    table = TableModel(
        pd.DataFrame({"id": ["a", "b", "c"], "mixed": [1, "x", None], "kind": pd.Categorical(["q", "p", "q"])})
    )
    assert kept(table, text="b") == ["b"]
    assert kept(table, cost_min=0.0) == []
    everything = np.ones(3, dtype=bool)
    assert table.positions(everything, "kind", descending=False).tolist() == [1, 0, 2]
    assert sorted(table.positions(everything, "mixed", descending=False).tolist()) == [0, 1, 2]


def test_added_columns_of_any_type_can_be_sorted_by():
    added = {"tags": [["b"], ["a"], None], "team": [{"n": 2}, {"n": 1}, None], "wave": 1j, "raw": [b"b", b"a", None]}
    added["month"] = pd.PeriodIndex(["2026-02", "2026-01", None], freq="M")
    table = TableModel(pd.DataFrame(added, index=pd.Index(["x", "y", "z"], name="id")))
    for column in ("tags", "team", "month", "raw"):
        assert table.positions(np.ones(3, dtype=bool), column, descending=False).tolist() == [1, 0, 2], column
    assert len(table.order("wave", descending=True)) == 3


def test_of_columns_of_the_same_name_the_first_is_used(table):
    twice = TableModel(pd.concat([table.df, table.df[["model"]].fillna("z")], axis=1))
    assert twice.columns == table.columns
    assert twice.choices("model") == table.choices("model")


@pytest.mark.parametrize("wrong", [pd.DataFrame({"model": ["a"]}), ["gen-1"], None])
def test_input_without_ids_is_rejected(wrong):
    with pytest.raises(ConfigError):
        TableModel(wrong)


def test_an_unknown_column_is_rejected(table):
    with pytest.raises(ConfigError, match="nonsense"):
        table.order("nonsense", descending=False)


def test_small_costs_have_more_decimals_and_a_wider_column():
    costs = {"large": [1.5, 4e-7, 0.0], "small": [4e-7, 2.5e-5, 0.0], "free": [0.0, 0.0, None]}
    pages = {name: pd.DataFrame({"cost_usd": pd.Series(values, dtype="float64")}) for name, values in costs.items()}
    shown = {name: [cells[0][0] for cells in page_rows(page, ["cost_usd"], "UTC")] for name, page in pages.items()}
    assert shown == {
        "large": ["$1.500000", "<$0.000001", "$0"],
        "small": ["$0.000000400", "$0.000025000", "$0"],
        "free": ["$0", "$0", "-"],
    }
    prices = pd.DataFrame({"usd_per_mtok": [0.0, 1.5, None]})
    assert [cells[0][0] for cells in page_rows(prices, ["usd_per_mtok"], "UTC")] == ["$0", "$1.500", "-"]
    widths = {name: page_columns(page, ["cost_usd"], "UTC")[0]["width"] for name, page in pages.items()}
    assert widths["small"] > widths["large"] == widths["free"]


@pytest.mark.parametrize(
    ("inputs", "problem"),
    [
        (Inputs(cost_min="0.3", cost_max="0.2"), "Minimum cost is greater than maximum cost."),
        (Inputs(since="2026-03-02", until="2026-03-02"), "The time range ends before it begins."),
        (Inputs(since="soon"), "soon"),
        (Inputs(cost_max="much"), "much"),
        (Inputs(cost_max="0.3", since="2026-03-01", until="2026-03-04"), None),
    ],
)
def test_wrong_inputs_are_named_and_the_others_count(table, inputs, problem):
    query, problems = Filters(table, "UTC").query(inputs, datetime(2026, 3, 5, tzinfo=UTC))
    assert len(problems) == (problem is not None)
    assert problem is None or problem in problems[0]
    if problem is None:
        assert table.df.index[table.select(query)].tolist() == ["gen-1"]
