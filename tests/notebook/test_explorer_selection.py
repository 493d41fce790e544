"""Rows are selected, opened as cards and compared."""

import json

import pandas as pd
import pytest
import traitlets
from explorer_actions import fill_in, press, shown

import orstats
from orstats.notebook.comparison import ComparisonView
from orstats.notebook.explorer import explore


def test_cards_send_no_request_and_one_for_their_content(one, df, sim):
    before = sim.requests
    one.selected = df.index[5]
    assert shown(one).generation.id == df.index[5]
    for _ in range(3):
        press(one, "next")
    assert sim.requests == before
    shown(one).load_content()
    assert sim.requests == before + 1


def test_next_crosses_pages_and_stops_at_the_end(one):
    order = one.filtered.index.tolist()
    seen = []
    one.observe(lambda change: seen.append(change["new"]), "selected")
    for _ in range(len(order) + 2):
        press(one, "next")
    assert seen == order
    assert one.table.page["range"] == "101 to 121 of 121"
    assert not one.table.marks["has_next"]
    press(one, "previous")
    assert one.selected == order[-2]


def test_opening_a_row_selects_it_and_marks_it_without_sending_the_table(one):
    before = one.table.page
    press(one, "open", key=before["rows"][2]["key"])
    assert one.selected == one.filtered.index[2]
    assert one.table.marks["selected"] == before["rows"][2]["key"]
    assert one.table.page is before
    for wrong in (-1, 121, None, "1"):
        press(one, "open", key=wrong)
        assert one.selected == one.filtered.index[2]


def test_the_selection_survives_a_filter_that_hides_it(one, df):
    one.selected = df.index[0]
    fill_in(one, text=df.index[1])
    assert one.selected == df.index[0]
    assert one.table.marks["selected"] not in [row["key"] for row in one.table.page["rows"]]
    press(one, "next")
    assert one.selected == df.index[1]


def test_an_unknown_id_cannot_be_selected(one):
    with pytest.raises(traitlets.TraitError, match="gen-nowhere"):
        one.selected = "gen-nowhere"
    assert one.selected is None


def test_compares_the_kept_generation_with_the_selected(one, sim):
    stored = [i for i in sim.ids if sim.content_reason(i) == "stored"][:2]
    assert len(stored) == 2
    one.selected = stored[0]
    assert not one.table.marks["can_compare"]
    press(one, "keep")
    assert not one.table.marks["can_compare"]
    one.selected = stored[1]
    before = sim.requests
    press(one, "compare")
    comparison = shown(one)
    assert isinstance(comparison, ComparisonView)
    assert [head["id"] for head in comparison.shown["heads"]] == stored
    assert sim.requests == before
    comparison.comparison.load_contents()
    assert sim.requests == before + 2
    assert {"Completion", "Prompt"} <= {text["title"] for text in comparison.shown["texts"]}
    assert "completion" not in repr(comparison)
    comparison._handle_custom_msg({"action": "back"}, [])
    assert shown(one).generation.id == stored[1]
    assert comparison.shown == {}, "its texts are gone from memory"


def test_a_failure_while_browsing_is_shown_and_the_table_stays_usable(df):
    with orstats.sim.SimServer(1) as server:
        client = orstats.Client("k", base_url=server.base_url, retry=orstats.Retry(attempts=1))
    one = explore(df, client=client)
    one.selected = df.index[0]
    press(one, "keep")
    press(one, "next")
    one.selected = df.index[7]
    press(one, "compare")
    shown(one).comparison.load_contents()
    status = shown(one).shown["status"]
    assert "Could not load and compare the contents" in status["problems"][0]
    assert status["button"] == "Try again"
    fill_in(one, text=df.index[9])
    assert one.filtered.index.tolist() == [df.index[9]]


def test_a_host_without_other_widgets_shows_facts_and_messages_in_the_table(df, sim, monkeypatch):
    monkeypatch.setattr("orstats.notebook.explorer.in_thread", lambda work: work())
    one = explore(df, client=sim.client())
    assert one._display_() is one.table
    stored = next(i for i in sim.ids if sim.content_reason(i) == "stored")
    one.selected = stored
    assert one.table.detail["title"] == stored
    assert {"Generation", "Cost"} <= {title for title, _ in one.table.detail["sections"]}
    assert one.table.detail["turns"] == []
    press(one, "load")
    assert one.table.detail["loaded"]
    assert orstats.get(stored, client=sim.client()).content().completion in [t for _, t in one.table.detail["turns"]]
    press(one, "keep")
    press(one, "next")
    press(one, "compare")
    assert one.table.detail["comparison"]["heads"][0]["id"] == stored
    press(one, "comparison", action="back")
    assert one.table.detail["title"] == one.selected != stored


def test_cards_show_times_in_the_chosen_zone(df, sim):
    one = explore(df, client=sim.client(), tz="Asia/Tokyo")
    press(one, "next")
    local = one.filtered["created_at"].iloc[0] + pd.Timedelta(hours=9)
    shown_time = f"{local:%Y-%m-%d %H:%M:%S} +09:00 (Asia/Tokyo)"
    assert shown_time in json.dumps(shown(one).get_state(), default=str)
    card = orstats.view(one.selected, client=sim.client(), archive=False, tz="Asia/Tokyo")
    assert shown_time in json.dumps(card.get_state(), default=str)
    with pytest.raises(orstats.errors.ConfigError):
        orstats.view(one.selected, client=sim.client(), archive=False, tz="Mars/Base")
