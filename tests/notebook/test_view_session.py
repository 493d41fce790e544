"""The view of a session: its timeline, its list, and the card of one generation."""

import re
import threading
from xml.etree import ElementTree as ET

import numpy as np
import pandas as pd
import pytest

import orstats
from orstats.errors import ConfigError
from orstats.notebook.card import Card
from orstats.notebook.session import PAGE
from orstats.sim import SimServer

HOSTILE = "<script>window.bad=1</script>\"'><img src=x onerror=alert(1)>"


@pytest.fixture(scope="module")
def df():
    with SimServer(900, seed=8) as sim:
        return orstats.fetch(sim.ids, client=sim.client(), archive=False)


@pytest.fixture
def shown(df):
    return orstats.view_session(df, orstats.sessions(df)["generations"].idxmax(), archive=False)


def long_session(df, count=2_000):
    some = df[df["fetch_status"] == "ok"].sample(count, replace=True, random_state=1)
    some.index = pd.Index([f"gen-{number}" for number in range(count)], name="id")
    gaps = np.random.default_rng(1).exponential(3.0, count)
    times = pd.to_datetime(np.cumsum(gaps), unit="s", origin="2026-11-01", utc=True)
    return some.assign(created_at=times.astype("datetime64[us, UTC]"), session_id="long")


def wait_for_threads():
    for thread in [thread for thread in threading.enumerate() if thread.name == "orstats-content"]:
        thread.join()


def press(card, action, value=""):
    card._handle_custom_msg({"action": action, "value": value}, [])


def test_the_first_generation_is_open_and_others_open_by_number(df, shown):
    rows = df[df["session_id"] == shown.generation.session_id].sort_values("created_at")
    assert shown.generation.id == rows.index[0]
    press(shown, "open", "1")
    assert shown.generation.id == rows.index[1]
    assert rows.index[1] in shown.parts["head"]
    assert shown.parts["session list"].count('aria-pressed="true"') == 1
    before = dict(shown.parts)
    for wrong in ("-1", "9999", "x", ""):
        press(shown, "open", wrong)
    assert shown.parts == before


def test_the_list_has_the_complete_model_and_the_status_of_each_generation(df):
    rows = long_session(df, 3).assign(model="vendor/" + "m" * 100, finish_reason="stop", cancelled=False)
    rows = rows.assign(fallbacks=pd.array([0, 1, 0], "Int64"), cost_basis=["credits", "credits", "no_completion"])
    card = orstats.view_session(rows, "long", archive=False)
    listed, picture = card.parts["session list"], card.parts["timeline"]
    assert listed.count(f'title="vendor/{"m" * 100}"') == 3
    assert re.findall(r'<td class="orstats-(\w+)" title="(.*?)">(.*?)<', listed) == [
        ("good", "ok", "ok"),
        ("unusual", "ok, 1 fallback", "1 fallback"),
        ("bad", "no completion", "no completion"),
    ]
    assert re.findall(r"; ([\w, ]+)</title>", picture) == ["ok", "ok, 1 fallback", "no completion"]


def test_figures_are_those_of_sessions(df, shown):
    sums = orstats.sessions(df).loc[shown.generation.session_id]
    head = re.sub("<[^>]+>", " ", shown.parts["session"])
    assert f" {sums['generations']} " in head
    assert f"{sums['wall_s'] - sums['busy_s']:.1f} s" in head or "min" in head


def test_every_generation_has_a_bar_in_well_formed_svg(df, shown):
    count = int((df["session_id"] == shown.generation.session_id).sum())
    picture = re.search(r'<svg class="orstats-timeline".*?</svg>(?=<div)', shown.parts["timeline"], re.DOTALL)[0]
    root = ET.fromstring(picture)
    bars = [one for one in root.iter("g") if one.get("data-action") == "open"]
    assert [one.get("data-value") for one in bars] == [str(number) for number in range(count)]
    for rectangle in root.iter("rect"):
        assert float(rectangle.get("width")) >= 0
        assert -0.01 <= float(rectangle.get("x")) <= 1000.01


def test_hostile_names_are_text(df):
    rows = df[df["session_id"] == orstats.sessions(df)["generations"].idxmax()].copy()
    rows["session_id"] = HOSTILE
    rows["model"] = HOSTILE
    card = orstats.view_session(rows, HOSTILE, archive=False)
    for html in (*card.parts.values(), card._repr_mimebundle_()[0]["text/html"]):
        assert "<script" not in html
        assert "<img" not in html
    with pytest.raises(ConfigError, match="Unknown session"):
        orstats.view_session(rows, "<b>")


def test_a_long_session_is_listed_in_pages(df):
    card = orstats.view_session(long_session(df), "long", archive=False)
    assert card.parts["session list"].count("<tr>") == PAGE + 1
    assert "1 to 100 of 2,000 generations" in card.parts["session page"]
    press(card, "list", "1")
    assert "101 to 200" in card.parts["session page"]
    press(card, "open", "1999")
    assert "1,901 to 2,000" in card.parts["session page"]
    assert "later" not in card.parts["session page"]
    assert card.generation.id == "gen-1999"
    assert card.parts["timeline"].count("<g ") == 2_000
    assert sum(map(len, card.parts.values())) < 1_500_000


def test_one_instant_is_a_session(df):
    one = df[df["session_id"].notna()].iloc[:1].assign(latency=np.nan, generation_time=np.nan, fallback_ms=np.nan)
    card = orstats.view_session(one, one["session_id"].iloc[0], archive=False)
    assert "nan" not in card.parts["timeline"]


def test_a_card_leads_to_its_session(df):
    row = df[df["session_id"].notna()].iloc[3]
    card = Card(orstats.Generation.from_row(row, archive=False), frame=df)
    assert "Show its session" in card.parts["session link"]
    press(card, "session")
    assert "timeline" in card.parts
    assert card.generation.id == row.name
    lonely = Card(orstats.Generation("gen-1"), frame=df)
    assert "session link" not in lonely.parts
    broken = Card(orstats.Generation.from_row(row, archive=False), frame=df.drop(columns="latency"))
    press(broken, "session")
    assert "Could not show the session" in broken.parts["session link"]


def test_a_card_without_a_dataframe_finds_its_session_in_the_archive(tmp_path):
    with SimServer(900, seed=8) as sim:
        client = sim.client()
        df = orstats.fetch(sim.ids, client=client, archive=tmp_path)
        session = orstats.sessions(df)["generations"].idxmax()
        rows = df[df["session_id"] == session].sort_values("created_at")
        before = sim.requests
        card = orstats.view(rows.index[2], client=client, archive=tmp_path, tz="Asia/Tokyo")
        press(card, "session")
        wait_for_threads()
        assert sim.requests == before
        assert f"<b>{len(rows)}</b> generations" in card.parts["session"]
        assert "Only generations in the archive" in card.parts["session"]
        assert "session link" not in card.parts
        press(card, "open", "1")
        assert card.generation.id == rows.index[1]
        assert "Asia/Tokyo" in card.parts["head"]

        lonely = orstats.view(rows.index[2], client=client, archive=False)
        nothing = Card(lonely.generation, client=client, archive=tmp_path / "empty")
        for one, reason in ((lonely, "No archive is in use"), (nothing, "has nothing of this session")):
            press(one, "session")
            wait_for_threads()
            assert reason in one.parts["session link"]
            assert "Show its session" in one.parts["session link"], "it may be fetched meanwhile"


def test_a_generation_of_a_user_leads_to_its_session(df):
    row = df[df["session_id"].notna() & df["external_user"].notna()].iloc[0]
    card = orstats.view_session(df, row["external_user"], by="external_user", archive=False)
    numbers = card._session._rows.index.get_loc(row.name)
    press(card, "open", str(numbers))
    assert "Show its session" in card.parts["session link"]
    press(card, "session")
    assert row["session_id"] in card.parts["session"]
    assert card.generation.id == row.name
    assert "session link" not in card.parts


def test_exported_notebooks_show_the_timeline(shown):
    static = shown._repr_mimebundle_()[0]["text/html"]
    assert "orstats-timeline" in static
    assert "<button" not in static
    assert shown.generation.session_id in static


def test_other_tables_are_refused(df):
    with pytest.raises(ConfigError, match="pandas DataFrame"):
        orstats.view_session([1], "s")
    with pytest.raises(ConfigError, match="Series"):
        orstats.view_session(df["session_id"], "s")
    with pytest.raises(ConfigError, match="no column or index named id"):
        orstats.view_session(df.reset_index(drop=True), "s")


def test_a_session_says_what_it_is(df):
    name = orstats.sessions(df).index[0]
    assert repr(orstats.view_session(df, name)).startswith(f"Card(session {name!r} with ")
