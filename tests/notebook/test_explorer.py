"""The explorer opens and filters its table, and shows untrusted and unusual rows."""

import json

import ipywidgets as widgets
import pandas as pd
import pytest
from explorer_actions import fill_in, html_of, press, shown, texts

import orstats
from orstats.notebook.explorer import Explorer, explore
from orstats.notebook.html.explorer import table

EVIL = "<script>alert(1)</script><img src=x onerror=alert(2)>"


def test_opens_with_the_newest_first_and_nothing_selected(one, df):
    assert one.selected is None
    assert len(one.filtered) == 121
    assert one.filtered["created_at"].dropna().is_monotonic_decreasing
    assert list(one.filtered.columns) == list(df.columns)
    assert texts(one, "id") == one.filtered.index[:25].tolist()


def test_filtered_has_the_matching_rows_in_the_order_shown(one):
    fill_in(one, status="not fetched")
    assert one.filtered["fetch_status"].tolist() == ["not_found"]
    press(one, "clear")
    assert len(one.filtered) == 121
    fill_in(one, cost_min="$0.001")
    press(one, "sort", column="cost_usd")
    assert one.filtered["cost_usd"].is_monotonic_decreasing
    assert one.filtered["cost_usd"].min() >= 0.001
    press(one, "sort", column="cost_usd")
    assert one.filtered["cost_usd"].is_monotonic_increasing


@pytest.mark.parametrize("typed", ["cheap", "nan", "inf", "1e999", "1,000"])
def test_an_invalid_cost_is_reported_and_ignored(one, typed):
    fill_in(one, cost_min=typed)
    assert one.table.message["kind"] == "warn"
    assert typed in one.table.message["text"]
    assert len(one.filtered) == 121
    fill_in(one, cost_min="0,000001")
    assert one.table.message["text"] == ""


def test_no_match_names_the_conditions(one):
    fill_in(one, text="nothing has this", cost_max="0,5", since="2026-01-31 09:00")
    assert one.table.page["rows"] == []
    assert one.table.page["empty"] == [
        "No generations match the filters:",
        "text “nothing has this”",
        "cost to $0.5",
        "created from 2026-01-31 09:00 (UTC)",
    ]


def test_pages_stop_at_both_ends(one):
    press(one, "page", to=-1)
    assert one.table.page["range"] == "1 to 25 of 121"
    press(one, "page", to=9)
    assert one.table.page["range"] == "101 to 121 of 121"
    assert one.table.page["last"]
    press(one, "size", rows=100)
    assert one.table.page["range"] == "101 to 121 of 121"
    press(one, "size", rows=25)
    press(one, "page", to=1)
    press(one, "size", rows=50)
    assert one.table.page["range"] == "1 to 50 of 121"


def test_times_are_shown_and_typed_in_the_chosen_zone(df, sim):
    here, there = explore(df, client=sim.client()), explore(df, client=sim.client(), tz="Asia/Tokyo")
    newest = here.filtered["created_at"].iloc[0]
    assert texts(here, "created_at")[0] == f"{newest:%Y-%m-%d %H:%M}"
    local = newest + pd.Timedelta(hours=9)
    assert texts(there, "created_at")[0] == f"{local:%Y-%m-%d %H:%M}"
    assert there.table.page["columns"][0]["label"] == "Time (Tokyo)"
    assert "Asia/Tokyo" in there.table.page["columns"][0]["title"]
    fill_in(there, since=f"{local:%Y-%m-%d %H:%M}")
    assert there.filtered.index[0] == here.filtered.index[0]
    assert there.filtered["created_at"].min() >= newest.floor("min")
    starts = dict(there.table.options["ranges"])
    assert starts["7 d"] == f"{local - pd.Timedelta(days=7):%Y-%m-%d %H:%M}"


@pytest.mark.parametrize("wrong", [{"tz": "Mars/Base"}, {"height": 10}, {"height": 9.5}, {"height": True}])
def test_an_unknown_zone_or_height_is_rejected(df, wrong):
    with pytest.raises(orstats.errors.ConfigError):
        explore(df, **wrong)


def test_numbers_of_a_column_have_one_unit_and_as_many_decimals(one):
    press(one, "sort", column="cost_usd")
    costs = texts(one, "cost_usd")
    assert len({cost.partition(".")[2].__len__() for cost in costs if cost != "-"}) == 1
    assert all(took == "-" or took.endswith(" s") for took in texts(one, "generation_time"))
    press(one, "sort", column="status")
    assert one.table.page["descending"]
    assert one.filtered["fetch_status"].tolist() != []


@pytest.mark.slow
def test_columns_can_be_chosen(one, df):
    press(one, "columns", names=["id", "latency", "is_byok", "latency", "no such column"])
    assert [column["name"] for column in one.table.page["columns"]] == ["id", "latency", "is_byok"]
    assert one.table.page["chosen"]
    first = df.loc[one.filtered.index[0]]
    assert texts(one, "is_byok")[0] == ("yes" if first["is_byok"] else "no")
    press(one, "columns", names=list(one.table.options["columns"]))
    for column in one.table.options["columns"]:
        press(one, "sort", column=column)
        assert one.table.message["text"] == "", column
        assert len(one.filtered) == 121
    sent = json.dumps([one.table.page, one.table.summary, one.table.options])
    assert len(sent) < 250_000
    press(one, "columns", names=[])
    assert not one.table.page["chosen"]


def test_a_message_that_is_not_understood_is_reported(one):
    press(one, "explode", view="v", sequence=3)
    assert one.table.message["kind"] == "error"
    assert one.table.done == {"view": "v", "sequence": 3}
    assert len(one.filtered) == 121


def test_untrusted_text_is_escaped_everywhere(df):
    evil = df.head(3).copy()
    text = [name for name in evil.columns if str(evil[name].dtype) == "string"]
    for name in text:
        evil[name] = pd.array([EVIL] * 3, dtype="string[pyarrow]")
    evil.index = pd.Index([f"{EVIL}{n}" for n in range(3)], name="id")
    evil = evil.rename(columns={"router": EVIL})
    one = explore(evil)
    press(one, "columns", names=["id", EVIL, "model"])
    press(one, "sort", column=EVIL)
    assert EVIL in texts(one, "model")
    press(one, "next")
    press(one, "keep")
    press(one, "next")
    press(one, "compare")
    assert EVIL in json.dumps(shown(one).shown), "as plain text"
    html = html_of(one) + table(evil)
    assert "&lt;script&gt;" in html
    assert "<script" not in html
    assert "<img" not in html


def test_repr_is_short_and_has_no_content(one, df):
    one.selected = df.index[0]
    shown(one).load_content()
    assert repr(one) == f"Explorer(121 of 121 generations, selected {df.index[0]!r})"


def test_an_exported_notebook_shows_a_table(one, monkeypatch):
    monkeypatch.setattr(widgets.VBox, "_repr_mimebundle_", lambda _self, **_options: {"text/plain": "VBox(…)"})
    bundle = one._repr_mimebundle_()
    assert bundle["text/plain"] == repr(one)
    assert bundle["text/html"].count("<tr>") == 11
    assert f"<bdi>{one.filtered.index[0]}</bdi>" in bundle["text/html"]
    assert "The first 10 rows" in bundle["text/html"]
    assert "onclick" not in bundle["text/html"]


def test_totals_omit_missing_figures(one, df):
    fill_in(one, text="nothing has this")
    assert one.table.summary["figures"] == [("0", "of 121 generations")]
    assert one.table.summary["chart"] is None
    assert Explorer(df.iloc[:0]).table.page["empty"] == ["The DataFrame has no generations."]
    some = df.head(4).copy()
    some.loc[some.index[0], "cost_usd"] = pd.NA
    assert ("1", "with unknown cost (excluded)") in Explorer(some).table.summary["figures"]


def test_duplicate_and_malformed_ids_can_be_browsed():
    one = Explorer(pd.DataFrame({"id": ["a", "b", "a"], "x": [1, 2, 3]}))
    for _ in range(3):
        press(one, "next")
    assert one.table.selected == 2
    one = Explorer(pd.DataFrame({"x": [1]}, index=pd.Index([7], name="id")))
    press(one, "next")
    assert "orstats-error" in html_of(shown(one))
