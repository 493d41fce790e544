import json
import re
import time

import ipywidgets as widgets
import pandas as pd
import pytest
import traitlets

import orstats
from orstats.content.content import Content
from orstats.content.generation import Generation
from orstats.frame.record_table import to_table
from orstats.notebook.comparison import Comparison
from orstats.notebook.explorer import Explorer, explore
from orstats.notebook.html.comparison import MAX_LINES, difference, records
from orstats.notebook.html.explorer import Sorting, table

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


def html_of(widget):
    own = widget.value if isinstance(widget, widgets.HTML) else ""
    return own + "".join(html_of(child) for child in getattr(widget, "children", ()))


def test_opens_with_the_newest_first_and_nothing_selected(one, df):
    assert one.selected is None
    assert len(one.filtered) == 121
    assert one.filtered["created_at"].dropna().is_monotonic_decreasing
    assert list(one.filtered.columns) == list(df.columns)
    assert one.table.html.value.count("data-row=") == 25


def test_filtered_has_the_matching_rows_in_the_order_shown(one):
    one.controls.status.value = "not ok"
    assert one.filtered["fetch_status"].tolist() == ["not_found"]
    one.controls.clear.click()
    assert len(one.filtered) == 121
    one.controls.cost_min.value = "$0.001"
    one.table.sort_by.value = "cost_usd"
    assert one.filtered["cost_usd"].is_monotonic_decreasing
    assert one.filtered["cost_usd"].min() >= 0.001
    one.table.descending.value = False
    assert one.filtered["cost_usd"].is_monotonic_increasing


@pytest.mark.parametrize("typed", ["cheap", "nan", "inf", "1e999"])
def test_an_invalid_cost_is_reported_and_ignored(one, typed):
    one.controls.cost_min.value = typed
    assert "is not a number of dollars" in one.message.value
    assert len(one.filtered) == 121


def test_pages_stop_at_both_ends(one):
    one.table.back.click()
    assert one.table.range.value == "1 to 25 of 121"
    for _ in range(9):
        one.table.forward.click()
    assert one.table.range.value == "101 to 121 of 121"
    assert one.table.forward.disabled
    one.table.page_size.value = 100
    assert one.table.range.value == "1 to 100 of 121"


def test_cards_send_no_request_and_one_for_their_content(one, df, sim):
    before = sim.requests
    one.selected = df.index[5]
    assert shown(one).generation.id == df.index[5]
    for _ in range(3):
        one.next.click()
    assert sim.requests == before
    shown(one).load_content()
    assert sim.requests == before + 1


def test_next_crosses_pages_and_stops_at_the_end(one):
    order = one.filtered.index.tolist()
    seen = []
    one.observe(lambda change: seen.append(change["new"]), "selected")
    for _ in range(len(order) + 2):
        one.next.click()
    assert seen == order
    assert one.table.range.value == "101 to 121 of 121"
    assert one.next.disabled
    one.previous.click()
    assert one.selected == order[-2]


def test_picking_a_row_selects_it_and_marks_it_without_sending_the_table(one):
    before = one.table.html.value
    one.table.pick.index = 3
    assert one.selected == one.filtered.index[2]
    assert "nth-child(3)" in one.table.mark_style.value
    assert one.table.html.value is before


def test_the_selection_survives_a_filter_that_hides_it(one, df):
    one.selected = df.index[0]
    one.controls.text.value = df.index[1]
    assert one.selected == df.index[0]
    assert one.table.mark_style.value == ""
    one.next.click()
    assert one.selected == df.index[1]


def test_an_unknown_id_cannot_be_selected(one):
    with pytest.raises(traitlets.TraitError, match="gen-nowhere"):
        one.selected = "gen-nowhere"
    assert one.selected is None


def test_compares_the_kept_generation_with_the_selected(one, sim):
    stored = [i for i in sim.ids if sim.content_reason(i) == "stored"][:2]
    assert len(stored) == 2
    one.selected = stored[0]
    assert one.compare.disabled
    one.keep.click()
    assert one.compare.disabled
    one.selected = stored[1]
    before = sim.requests
    one.compare.click()
    comparison = shown(one)
    assert isinstance(comparison, Comparison)
    assert [generation.id for generation in comparison.generations] == stored
    assert sim.requests == before
    comparison.load_contents()
    assert sim.requests == before + 2
    assert "orstats-diff" in html_of(comparison)
    comparison.back_button.click()
    assert shown(one).generation.id == stored[1]


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


def differences(monkeypatch, one, other):
    """Return the comparison of two contents, each as the API sends it."""
    contents = {name: Content.from_wire(name, wire) for name, wire in (("gen-1", one), ("gen-2", other))}
    monkeypatch.setattr(Generation, "content", lambda generation: contents[generation.id])
    comparison = Comparison(*map(Generation, contents), lambda: None)
    comparison.load_contents()
    return comparison.result.value


@pytest.mark.parametrize(
    "part",
    [
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,{}"}},
        {"type": "input_audio", "input_audio": {"format": "wav", "data": "{}"}},
        {"type": "file", "file": {"filename": "a.pdf", "file_data": "{}"}},
        {"type": "hologram", "depth": "{}"},
    ],
)
def test_different_media_are_a_difference(part, monkeypatch):
    def wire(data, place):
        one = json.loads(json.dumps(part).replace("{}", data))
        turn = {"role": "user", "content": [{"type": "text", "text": "look"}, *[one] * (place == "input")]}
        output = {"completion": "so", "images": [one] * (place == "output")}
        return {"input": {"messages": [turn]}, "output": output}

    for place in ("input", "output") if part["type"] == "image_url" else ("input",):
        html = differences(monkeypatch, wire("AAAA", place), wire("BBBB", place))
        assert html.count("<del>") == html.count("<ins>") == 1
        assert differences(monkeypatch, wire("AAAA", place), wire("AAAA", place)).count("no difference") == 2


def test_a_failure_while_browsing_is_shown_and_the_table_stays_usable(df):
    with orstats.sim.SimServer(1) as server:
        client = orstats.Client("k", base_url=server.base_url, retry=orstats.Retry(attempts=1))
    one = explore(df, client=client)
    one.selected = df.index[0]
    one.keep.click()
    one.next.click()
    one.selected = df.index[7]
    one.compare.click()
    shown(one).load_contents()
    assert "Could not load and compare the contents" in html_of(shown(one))
    assert not shown(one).load_button.disabled
    one.controls.text.value = df.index[9]
    assert one.filtered.index.tolist() == [df.index[9]]


def test_exports_the_filtered_rows(one, df, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    one.controls.text.value = df.index[4]
    one.table.export_button.click()
    (written,) = tmp_path.glob("*.csv")
    assert str(written) in one.message.value
    assert pd.read_csv(written)["id"].tolist() == [df.index[4]]


def test_a_failed_export_is_reported(one, tmp_path, monkeypatch):
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    one.table.export_button.click()
    assert "orstats-error" in one.message.value


def test_untrusted_text_is_escaped_everywhere(df):
    evil = df.head(3).copy()
    text = [name for name in evil.columns if str(evil[name].dtype) == "string"]
    for name in text:
        evil[name] = pd.array([EVIL] * 3, dtype="string[pyarrow]")
    evil.index = pd.Index([f"{EVIL}{n}" for n in range(3)], name="id")
    evil = evil.rename(columns={"router": EVIL})
    one = explore(evil)
    one.table.sort_by.value = EVIL
    one.next.click()
    one.keep.click()
    one.next.click()
    one.compare.click()
    html = html_of(one) + table(evil)
    assert "&lt;script&gt;" in html
    assert "<script" not in html
    assert "<img" not in html


@pytest.mark.parametrize(
    ("model", "vendor", "name", "ending"),
    [
        ("openai/gpt-4.1-mini-2025-04-14", "openai/", "gpt-4.1-mini-2025-04-14", ""),
        ("google/gemini-2.5-flash-image", "google/", "gemini-2.5-flash", "-image"),
        ("deepseek/deepseek-chat-v3.1:free", "deepseek/", "deepseek-chat-v3.1", ":free"),
        ("no-vendor", "", "no-vendor", ""),
        ("a/", "", "a/", ""),
        ("<b>/&:<i>", "&lt;b&gt;/", "&amp;", ":&lt;i&gt;"),
    ],
)
def test_a_model_is_split_where_it_may_be_cut(df, model, vendor, name, ending):
    html = table(df.head(1).assign(model=model), Sorting("id", False, {}))
    cell = html.split('<span class="orstats-cut"')[1].split("</bdi>")[0]
    assert re.sub("<[^>]*>", "|", f"<{cell}").replace("||", "|").strip("|") == "|".join(
        part for part in (vendor, name, ending) if part
    )


def test_the_difference_of_two_texts_is_escaped_and_bounded():
    html = difference(EVIL, f"same\n{EVIL}", "same\nother")
    assert "<script" not in html
    assert "<del>- &lt;script" in html
    assert "<ins>+ other</ins>" in html
    assert "no difference" in difference("x", "a\nb", "a\nb")
    long = difference("x", "a\n" * 100_000, "b\n" * 100_000)
    assert "there is more" in long
    assert long.count("<del>") == MAX_LINES


def test_differences_of_records_are_bold():
    html = records(Generation("a", model="m/x", cost_usd=1.0), Generation("b", model="m/x", cost_usd=2.0))
    assert '<tr><th>model</th><td dir="auto">m/x</td><td dir="auto">m/x</td></tr>' in html
    assert '<tr class="orstats-differs"><th>cost</th>' in html


def test_missing_contents_are_explained(monkeypatch):
    none = Content("a", "not logged", "Logging was off.")
    monkeypatch.setattr(Generation, "content", lambda _self: none)
    comparison = Comparison(Generation("a"), Generation("b"), lambda: None)
    comparison.load_contents()
    assert "Logging was off." in html_of(comparison)


def test_repr_is_short_and_has_no_content(one, df):
    one.selected = df.index[0]
    shown(one).load_content()
    assert repr(one) == f"Explorer(121 of 121 generations, selected {df.index[0]!r})"


def test_an_exported_notebook_shows_a_table(one, monkeypatch):
    monkeypatch.setattr(widgets.VBox, "_repr_mimebundle_", lambda _self, **_options: {"text/plain": "VBox(…)"})
    bundle = one._repr_mimebundle_()
    assert bundle["text/plain"] == repr(one)
    assert bundle["text/html"].count("<tr data-row") == 10
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
    one.controls.text.value = "nothing has this"
    assert "of 121 generations" in one.totals.value
    assert "unknown" not in one.totals.value
    assert "?" not in one.totals.value
    assert "No generations match the filters." in one.table.html.value
    assert "No generations." in Explorer(df.iloc[:0]).table.html.value
    some = df.head(4).copy()
    some.loc[some.index[0], "cost_usd"] = pd.NA
    assert "<b>1</b> <span>with unknown cost (excluded)" in Explorer(some).totals.value


def test_duplicate_and_malformed_ids_can_be_browsed():
    one = Explorer(pd.DataFrame({"id": ["a", "b", "a"], "x": [1, 2, 3]}))
    for _ in range(3):
        one.next.click()
    assert one.table.selected == 2
    one = Explorer(pd.DataFrame({"x": [1]}, index=pd.Index([7], name="id")))
    one.next.click()
    assert "orstats-error" in html_of(shown(one))
