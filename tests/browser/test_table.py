"""The explorer's browser module by itself: a strict Content-Security-Policy, untrusted text, keys, accessibility."""

import re
from pathlib import Path

import pandas as pd
import pytest
from playwright.sync_api import expect
from test_hostile import MARKUP
from widget_host import WidgetHost

import orstats
from orstats.content.content import Content
from orstats.content.generation import Generation
from orstats.notebook.explorer import Explorer

STATIC = Path(orstats.__file__).parent / "notebook" / "static"


@pytest.fixture(scope="module")
def df(sim):
    return orstats.fetch([*sim.ids[:60], sim.unknown_ids(1, age=9_000)[0]], client=sim.client(), progress=False)


@pytest.fixture
def explorer(df):
    one = Explorer(df)
    yield one
    one.close()


@pytest.fixture
def host(page, explorer):
    return WidgetHost(page, explorer.table, height="640px")


def rows(host):
    return host.page.locator(".orstats-grid tbody tr")


#: Faster than any pause on a slow machine.
TYPE_AT_ONCE = """(box, text) => {
  for (const end of Array(text.length).keys()) {
    box.value = text.slice(0, end + 1);
    box.dispatchEvent(new Event("input", { bubbles: true }));
  }
}"""


def test_everything_works_under_a_strict_policy(host, explorer):
    page = host.page
    expect(rows(host)).to_have_count(25)
    rows(host).nth(2).click()
    expect(rows(host).nth(2)).to_have_attribute("aria-selected", "true")
    assert host.until(lambda: explorer.selected == explorer.filtered.index[2])
    page.get_by_role("searchbox").evaluate(TYPE_AT_ONCE, explorer.filtered.index[4][-8:])
    expect(rows(host)).to_have_count(1)
    assert sum(one["type"] == "filter" for one in host.received) == 1, "typing is sent once, after a pause"
    page.get_by_role("button", name="Clear", exact=True).click()
    page.get_by_role("button", name="7 d", exact=True).click()
    expect(page.get_by_placeholder("YYYY-MM-DD HH:MM").first).to_have_value(explorer.table.options["ranges"][1][1])
    assert host.until(lambda: 0 < len(explorer.filtered) < 61)
    page.get_by_text("Columns", exact=False).first.click()
    page.get_by_role("checkbox", name="latency", exact=True).check()
    expect(page.locator("th[data-column=latency]")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("checkbox", name="latency", exact=True)).to_be_hidden()
    assert host.errors == []


def test_chosen_columns_are_remembered_for_the_notebook(page, df, monkeypatch):
    monkeypatch.setenv("JPY_SESSION_NAME", "work/costs.ipynb")
    first = WidgetHost(page, Explorer(df).table, height="640px")
    page.get_by_text("Columns", exact=False).first.click()
    page.get_by_role("checkbox", name="app_id", exact=True).check()
    expect(page.locator("th[data-column=app_id]")).to_be_visible()
    first.widget.receive({"type": "columns", "names": []})  # as an explorer that was made again
    page.reload()
    expect(page.locator("th[data-column=app_id]")).to_be_visible()
    first.widget.receive({"type": "columns", "names": []})
    first.widget.options = first.widget.options | {"notebook": "work/other.ipynb"}
    page.reload()
    expect(page.locator("th[data-column=model]")).to_be_visible()
    expect(page.locator("th[data-column=app_id]")).to_have_count(0)


#: The texts whose end is hidden, and the number of texts that are cut.
CUT = """() => {
  const ends = [...document.querySelectorAll(".orstats-end")].filter((end) => end.offsetWidth);
  const hides = (end) => end.getBoundingClientRect().right > end.closest("td").getBoundingClientRect().right - 5;
  const starts = ends.map((end) => end.previousSibling);
  return [ends.filter(hides).map((end) => end.closest("td").textContent),
    starts.filter((start) => start.scrollWidth > start.clientWidth).length];
}"""


@pytest.mark.parametrize("columns", [[], ["id", "model", "session_id", "external_user", "upstream_id", "cost_usd"]])
def test_the_end_of_a_cut_text_is_shown_and_copied(page, df, columns):
    wide = df.head(20).assign(
        model=[f"{'a-vendor' * (n % 3)}/model-{'M' * 40}{n:06}" for n in range(20)],
        external_user=[f"WWWWWWWWWW-{n:03}" for n in range(20)],
    )
    wide.index = pd.Index([f"gen-1790000000-aaaaaaaaaaaaaaWWWWW{n % 10}{n}" for n in range(20)], name="id")
    host = WidgetHost(page, Explorer(wide).table, height="640px")
    host.widget.receive({"type": "columns", "names": columns})
    page.get_by_role("grid").focus()
    for key in ("ArrowDown", "c"):  # the mark takes room
        page.keyboard.press(key)
    for width in (420, 1000, 1600):
        page.set_viewport_size({"width": width, "height": 640})
        expect(rows(host).first).to_have_class(re.compile("orstats-kept"))
        # together, since the columns are fitted some time after the window is resized
        page.wait_for_function(f"() => {{ const [hidden, cut] = ({CUT})(); return !hidden.length && cut >= 20; }}")
    cell = rows(host).first.locator("td", has_text="gen-")
    copied = cell.evaluate("(cell) => { getSelection().selectAllChildren(cell); return String(getSelection()); }")
    assert copied == cell.text_content(), "an id is copied as one line"


def test_keys_select_rows_faster_than_python_answers(host, explorer):
    host.page.keyboard.press("?")  # it belongs to the notebook until the table has the focus
    expect(host.page.locator(".orstats-help")).to_be_hidden()
    host.page.get_by_role("grid").focus()
    for key in ("ArrowDown", "ArrowDown", "c", "ArrowDown", "ArrowDown", "Enter"):
        host.page.keyboard.press(key)
    expect(rows(host).nth(3)).to_have_attribute("aria-selected", "true")
    expect(rows(host).nth(1)).to_have_class(re.compile("orstats-kept"))
    assert host.until(lambda: explorer.selected == explorer.filtered.index[3])
    assert host.until(lambda: host.received[-1]["type"] == "load")


def test_a_kernel_that_does_not_answer_is_reported(page, df):
    page.clock.install()
    WidgetHost(page, Explorer(df).table, height="640px")
    page.evaluate("window.silent = true")
    page.get_by_role("button", name="Next page").click()
    page.clock.fast_forward(400)
    expect(page.locator(".orstats-master")).to_have_attribute("aria-busy", "true")
    page.clock.fast_forward(16_000)
    expect(page.get_by_text("The kernel does not respond")).to_be_visible()


def test_untrusted_text_stays_text(page, df, beacon):
    beacon.requested.clear()
    evil = df.head(3).copy()
    for name in evil.columns:
        if str(evil[name].dtype) == "string" and name != "fetch_status":
            evil[name] = pd.array([MARKUP] * 3, dtype="string[pyarrow]")
    evil.index = pd.Index([f"{MARKUP}{n}" for n in range(3)], name="id")
    evil = evil.rename(columns={"router": MARKUP})
    explorer = Explorer(evil)
    explorer._display_()  # so that the module shows the facts, too
    host = WidgetHost(page, explorer.table, height="640px")
    explorer.table.receive({"type": "columns", "names": explorer.table.options["columns"]})
    rows(host).nth(1).click()
    expect(page.locator(".orstats-detail h2")).to_contain_text("<script>")
    page.get_by_role("searchbox").fill(MARKUP[:40] + "nothing")
    expect(page.get_by_text("No generations match")).to_be_visible()
    assert page.evaluate("window.pwned") is None
    inside = page.locator(".orstats-master")
    assert inside.locator("script, img, iframe, link, style, a, object, [style*=url]").count() == 0
    assert page.locator("#escaped").count() == 0
    assert beacon.requested == []


def test_comparison_shows_untrusted_text_as_text_at_every_width(page, df, monkeypatch):
    """In the table's module, as in marimo; other hosts show the same module as a widget."""
    same = "\n".join(f"rule {n}" for n in range(60))
    prompts = {name: f"{MARKUP}\n{same}\nin {number}\n{MARKUP}{name}" for number, name in enumerate(df.index[:2])}
    monkeypatch.setattr(
        Generation,
        "content",
        lambda self: Content.from_wire(self.id, {"input": {"prompt": prompts[self.id]}, "output": {"completion": ""}}),
    )
    monkeypatch.setattr("orstats.notebook.comparison.in_thread", lambda work: work())
    explorer = Explorer(df)
    explorer._display_()
    for name, action in zip(df.index, ("keep", "compare"), strict=False):
        explorer.selected = name
        explorer.table.receive({"type": action})
    host = WidgetHost(page, explorer.table, height="640px")
    page.get_by_role("button", name="Load and compare prompts and completions").click()
    lines = page.get_by_role("group", name="Differences: Prompt")
    expect(lines.locator("del b")).to_have_count(2)
    expect(lines.locator("del").last).to_contain_text(MARKUP[:60])
    fold = page.get_by_role("button", name="Show 59 unchanged lines")
    fold.focus()
    page.keyboard.press("Enter")
    expect(lines.locator(".orstats-line").nth(1)).to_contain_text("<script>")
    expect(fold).to_have_count(0)
    for width, sides in ((1200, 2), (420, 1)):
        page.set_viewport_size({"width": width, "height": 900})
        columns = lines.locator(".orstats-line").last.evaluate(
            "e => getComputedStyle(e).gridTemplateColumns.split(' ')"
        )
        assert len(columns) == sides
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    inside = page.locator(".orstats-comparison")
    assert inside.locator("script, img, iframe, link, style, a, object, [style]").count() == 0
    assert page.evaluate("window.pwned") is None
    page.keyboard.press("Escape")
    expect(page.locator(".orstats-detail h2")).to_have_text(df.index[1])
    assert host.errors == []


def test_leaving_the_page_stops_listening(host):
    host.page.evaluate("window.dispose()")
    assert host.page.evaluate("window.handlerCount()") == 0


@pytest.mark.parametrize("width", [1200, 840, 620, 420])
def test_it_fits_its_place(page, explorer, width):
    page.set_viewport_size({"width": width, "height": 900})
    WidgetHost(page, explorer.table, height="640px")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    for column in ("created_at", "model", "status", "cost_usd", *(("provider_name",) if width > 600 else ())):
        expect(page.locator(f"th[data-column={column}]")).to_be_in_viewport(ratio=0.9)
    assert page.locator("th[data-column=model]").evaluate("e => e.clientWidth") >= 100
    assert page.get_by_role("grid").evaluate("e => e.scrollWidth <= e.clientWidth")
    explorer.table.receive({"type": "filter", "inputs": {"cost_max": "0.0001"}})  # which needs more decimals
    expect(page.locator("td.orstats-num:visible", has_text=re.compile(r"^\$0\.0000\d{3,}$")).first).to_be_visible()
    cut = "all => all.filter(e => e.scrollWidth > e.clientWidth).map(e => e.textContent)"
    statuses = ", ".join(f"td.orstats-{kind}:visible" for kind in ("good", "unusual", "bad"))
    assert page.locator(f"td.orstats-num:visible, {statuses}").evaluate_all(cut) == []


@pytest.mark.parametrize("path", sorted(STATIC.glob("*/*.js")), ids=lambda path: path.name)
def test_no_module_makes_markup_of_text(path):
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b", path.read_text("utf-8"))
