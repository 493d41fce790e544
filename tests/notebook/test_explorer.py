import io
import json
import time

import ipywidgets as widgets
import pandas as pd
import pytest
import traitlets

import orstats
from orstats.content.generation import Generation
from orstats.frame.record_table import to_table
from orstats.notebook.cell import CellRun, running_cell
from orstats.notebook.comparison import ComparisonView
from orstats.notebook.explorer import Explorer, explore
from orstats.notebook.html.explorer import table

EVIL = "<script>alert(1)</script><img src=x onerror=alert(2)>"


@pytest.fixture(scope="module")
def sim():
    with orstats.sim.SimServer(120, seed=3) as server:
        yield server


@pytest.fixture(scope="module")
def df(sim):
    return orstats.fetch([*sim.ids, sim.unknown_ids(1, age=9_000)[0]], client=sim.client(), progress=False)


@pytest.fixture
def one(df, sim):
    return explore(df, client=sim.client())


def shown(explorer):
    return explorer.panel.children[0]


def press(explorer, kind, **message):
    """Send a message as the browser does."""
    explorer.table.receive({"type": kind, **message})


def fill_in(explorer, **inputs):
    """Type into the filters; lists by the text of their option."""
    for name, options in (("model", "models"), ("provider", "providers"), ("status", "statuses")):
        if name in inputs:
            texts = [text.rpartition(" (")[0] for text in explorer.table.options[options]]
            inputs[name] = str(texts.index(inputs[name]))
    press(explorer, "filter", inputs=inputs)


def texts(explorer, column):
    """Return what the cells of a column show."""
    place = [one["name"] for one in explorer.table.page["columns"]].index(column)
    return [row["cells"][place][0] for row in explorer.table.page["rows"]]


def html_of(widget):
    own = widget.value if isinstance(widget, widgets.HTML) else ""
    return own + "".join(html_of(child) for child in getattr(widget, "children", ()))


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


def test_a_message_that_is_not_understood_is_reported(one):
    press(one, "explode", view="v", sequence=3)
    assert one.table.message["kind"] == "error"
    assert one.table.done == {"view": "v", "sequence": 3}
    assert len(one.filtered) == 121


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


def test_widgets_no_longer_shown_are_closed(one, sim, monkeypatch):
    """With their layouts and styles, in the kernel and in the browser."""

    def alive():
        return len(widgets.Widget.get_manager_state()["state"])

    first, second = [i for i in sim.ids if sim.content_reason(i) == "stored"][:2]
    one.selected = first
    at_rest = alive()
    for _ in range(3):
        one.selected = second
        shown(one).load_content()
        one.selected = first
    assert alive() == at_rest
    left, load = shown(one), Generation.content

    def load_slowly(generation):
        one.selected = second
        return load(generation)

    monkeypatch.setattr(Generation, "content", load_slowly)
    left.load_content()  # the content arrives after another row was selected
    assert left.content is not None
    assert alive() == at_rest


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


def test_saves_the_filtered_rows_in_the_working_directory(one, df, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    fill_in(one, text=df.index[4])
    press(one, "save")
    (written,) = tmp_path.glob("*.csv")
    assert str(written) in one.table.message["text"]
    assert pd.read_csv(written)["id"].tolist() == [df.index[4]]


def test_a_failed_save_is_reported(one, tmp_path, monkeypatch):
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    press(one, "save")
    assert one.table.message["kind"] == "error"


@pytest.fixture
def sent(monkeypatch):
    """Collect the messages to the browser, and work in this thread."""
    messages = []
    monkeypatch.setattr("orstats.notebook.table.in_thread", lambda work: work())
    monkeypatch.setattr(
        "orstats.notebook.table.TableView.send", lambda _self, content, buffers: messages.append((content, buffers))
    )
    return messages


@pytest.mark.parametrize(("kind", "read"), [("csv", pd.read_csv), ("xlsx", pd.read_excel)])
def test_downloads_the_filtered_rows(one, sent, monkeypatch, kind, read):
    monkeypatch.setattr("orstats.notebook.downloads._PART_BYTES", 1000)
    fill_in(one, cost_min="0.001")
    press(one, "download", format=kind, view="v")
    heads = [content for content, _ in sent]
    assert {head["view"] for head in heads} == {"v"}
    assert [head["part"] for head in heads] == list(range(heads[0]["parts"]))
    assert heads[0]["name"].endswith(f".{kind}")
    table = read(io.BytesIO(b"".join(buffers[0] for _, buffers in sent)))
    ids = table["id" if "id" in table else table.columns[0]].tolist()
    assert [one for one in ids if str(one).startswith("gen-")] == one.filtered.index.tolist()


def test_a_failed_download_is_reported(one, sent):
    press(one, "download", format="pdf", view="v")
    assert one.table.message["kind"] == "error"
    assert sent == []


def test_stored_texts_are_searched_when_this_is_chosen(sim, df, tmp_path, monkeypatch):
    monkeypatch.setattr("orstats.notebook.explorer.in_thread", lambda work: work())
    client = sim.client()
    stored = next(i for i in sim.ids if sim.content_reason(i) == "stored")
    one = explore(df, client=client, archive=tmp_path)
    fill_in(one, text="gen-", contents=True)
    assert "No prompts or completions" in one.table.message["text"]
    fill_in(one, text="")
    assert one.table.message["text"] == "", "it was about other rows"
    orstats.fetch_contents([stored], client=client, archive=tmp_path, store_content=True)
    text = orstats.get(stored, client=client, archive=tmp_path).content().completion[:40]
    one = explore(df, client=client, archive=tmp_path)
    fill_in(one, text=text)
    assert stored not in one.filtered.index
    fill_in(one, text=text.upper(), contents=True)
    assert one.filtered.index.tolist() == [stored]
    assert "of 1 generation" in one.table.message["text"]


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


def test_opens_from_an_archive(sim, tmp_path, monkeypatch):
    client = sim.client()
    orstats.fetch(sim.ids[:30], client=client, archive=tmp_path / "a", progress=False)
    assert set(explore(client=client, archive=tmp_path / "a").filtered.index) == set(sim.ids[:30])
    monkeypatch.setenv("ORSTATS_ARCHIVE", str(tmp_path / "a"))
    monkeypatch.delenv("OPENROUTER_BASE_URL", raising=False)
    assert len(explore().filtered) == 30


def test_an_archive_without_records_is_an_error(sim, tmp_path):
    with pytest.raises(orstats.errors.ArchiveError, match="empty"):
        explore(archive=tmp_path)
    with pytest.raises(orstats.errors.ConfigError):
        explore(archive=False)
    orstats.fetch(sim.ids[:2], client=sim.client(), archive=tmp_path, progress=False)
    with pytest.raises(orstats.errors.ArchiveError, match=r"has no records of example\.test"):
        explore(client=orstats.Client("k", base_url="https://example.test/api/v1"), archive=tmp_path)


def test_an_account_is_never_explored_as_the_simulator(sim, tmp_path, monkeypatch):
    monkeypatch.delenv("ORSTATS_ARCHIVE", raising=False)
    monkeypatch.setenv("OPENROUTER_BASE_URL", sim.base_url)
    monkeypatch.setattr("platformdirs.user_data_path", lambda *_, **__: tmp_path)
    advice = r"set ORSTATS_ARCHIVE or pass archive=\.$"
    with pytest.raises(orstats.errors.ArchiveError, match=f"is empty.*{advice}"):
        explore()
    table = to_table(sim.ids[:1], [sim.record(sim.ids[0])], [time.time()])
    orstats.Archive(tmp_path).append("openrouter.ai", table)
    with pytest.raises(orstats.errors.ArchiveError, match=f"has no records of 127.*{advice}"):
        explore()


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


def test_closing_leaves_no_widget_and_no_rows(df, sim):
    before = set(widgets.Widget.get_manager_state()["state"])
    one = explore(df, client=sim.client())
    fill_in(one, status="fetched")
    press(one, "next")
    press(one, "keep")
    press(one, "next")
    press(one, "compare")
    assert isinstance(shown(one), ComparisonView)
    one.close()
    one.close()
    assert set(widgets.Widget.get_manager_state()["state"]) == before
    assert len(one.filtered) == 0
    assert repr(one) == f"Explorer(0 of 0 generations, selected {one.selected!r})"


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


def test_running_a_cell_again_closes_its_earlier_explorers(df, monkeypatch):
    cell = ["cell-1", 1]
    monkeypatch.setattr("orstats.notebook.cell.running_cell", lambda: CellRun(*cell))
    first, second = Explorer(df), Explorer(df)  # two in one cell
    cell[0] = "cell-2"
    other = Explorer(df)
    cell[:] = "cell-1", 2
    again = Explorer(df)
    assert [one.comm is None for one in (first, second, other, again)] == [True, True, False, False]


def test_outside_a_notebook_nothing_is_closed(df):
    assert running_cell() is None
    first = Explorer(df)
    Explorer(df)
    assert first.comm is not None


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
