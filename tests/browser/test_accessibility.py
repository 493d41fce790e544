"""Table, card, timeline and comparison for everyone: assistive technology, keyboard, 200 % zoom, 420 pixels."""

import pytest
from axe import AXE, needs_axe, serious
from playwright.sync_api import expect
from widget_host import WidgetHost

import orstats
from orstats.content.content import Content
from orstats.content.generation import Generation
from orstats.notebook.comparison import ComparisonView
from orstats.notebook.explorer import Explorer

CONTROLS = "button, input, select, summary, textarea, a[href], [tabindex='0']"
#: What can be reached with Tab: visible, enabled, and not only for the mouse.
REACHABLE = """(selector) => [...document.querySelectorAll(`#host :is(${selector})`)].filter((one) =>
  one.checkVisibility({ visibilityProperty: true }) && one.tabIndex >= 0 && !one.disabled)"""
MISSED = f"""(selector) => ({REACHABLE})(selector)
  .filter((one) => !one.dataset.visited).map((one) => one.outerHTML.slice(0, 120))"""
FOCUSED = """() => {
  const one = document.activeElement;
  if (!one || one === document.body || one.dataset.visited) return null;
  one.dataset.visited = "yes";
  const { outlineStyle, outlineWidth } = getComputedStyle(one);
  const { left, right, top, bottom } = one.getBoundingClientRect();
  const seen = outlineStyle !== "none" && parseFloat(outlineWidth) >= 1;
  // A heading of the table may be in the part that the table scrolls to.
  const inside = left >= -1 && right <= innerWidth + 1 && bottom > 0 && top < innerHeight;
  return { about: one.outerHTML.slice(0, 120), seen, inside };
}"""
#: Boxes that scroll sideways or stick out of an element, apart from the table, which may scroll by itself.
TOO_WIDE = """(selector) => [...document.querySelectorAll(`${selector} *`)].filter((one) => {
  // Table and list may scroll.
  if (!one.checkVisibility() || one.closest(".orstats-grid, .orstats-scroll, .orstats-list, svg")) return false;
  const { overflowX } = getComputedStyle(one);
  const scrolls = ["auto", "scroll"].includes(overflowX) && one.scrollWidth > one.clientWidth + 1;
  const { right, width } = one.getBoundingClientRect();
  return width > 1 && (scrolls || right > one.closest(selector).getBoundingClientRect().right + 1);
}).map((one) => one.outerHTML.slice(0, 160))"""

#: Sizes in CSS pixels, as a window of 1280 by 900 has them at 200 %, and a narrow one.
VIEWS = {"zoomed to 200 %": ((640, 450), 2), "420 pixels wide": ((420, 900), 1)}


@pytest.fixture(scope="module")
def df(sim):
    ids = [*sim.ids, sim.unknown_ids(1, age=9_000)[0]]
    return orstats.fetch(ids, client=sim.client(), progress=False, archive=False)


@pytest.fixture(params=VIEWS)
def view(request, chromium):
    """A page of that size."""
    (width, height), scale = VIEWS[request.param]
    context = chromium.new_context(viewport={"width": width, "height": height}, device_scale_factor=scale)
    yield context.new_page()
    context.close()


def show_table(page, df, **options):
    """Show the table with a selected row and its facts."""
    explorer = Explorer(df)
    explorer._display_()
    explorer.selected = explorer.filtered.index[2]
    explorer.table.receive({"type": "keep"})
    host = WidgetHost(page, explorer.table, **options)
    page.locator(".orstats-detail h2").wait_for()
    return host


def show_session(page, df, sim, **options):
    """Show a timeline with the card of one generation, its content loaded and everything unfolded."""
    card = orstats.view_session(df, orstats.sessions(df)["generations"].idxmax(), client=sim.client(), archive=False)
    host = WidgetHost(page, card, **options)
    page.get_by_role("button", name="Load prompt and completion").click()
    expect(page.get_by_text("Raw JSON")).to_be_visible()
    for title in page.locator("summary").all():
        title.click()
    return host


def show_comparison(page, monkeypatch, **options):
    """Show two prompts with folded lines, changed words, and lines without a counterpart."""
    rules = "\n".join(f"rule {n}" for n in range(30))
    prompts = {"a": f"{rules}\nsay one word\nplease", "b": f"{rules}\nsay two words\nnow, and nothing else"}
    wires = {name: {"input": {"prompt": text}, "output": {"completion": name}} for name, text in prompts.items()}
    monkeypatch.setattr(Generation, "content", lambda self: Content.from_wire(self.id, wires[self.id]))
    figures = {"cost_usd": 0.5, "generation_time": 900.0, "throughput_tok_s": 20.0}
    first = Generation("a", model="m/x", **figures)
    second = Generation("b", model="m/y", **{name: 2 * figure for name, figure in figures.items()})
    host = WidgetHost(page, ComparisonView(first, second, lambda: None), **options)
    page.get_by_role("button", name="Load and compare prompts and completions").click()
    expect(page.locator(".orstats-lines ins").first).to_be_visible()
    return host


def walk(page):
    """Press Tab from the start to the end of the page, and return the stops."""
    page.evaluate("const top = document.querySelector('h1'); top.tabIndex = -1; top.focus()")
    stops = []
    while True:
        page.keyboard.press("Tab")
        stop = page.evaluate(FOCUSED)
        if stop is None:
            return stops
        stops.append(stop)


def check_use(page):
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), page.evaluate(TOO_WIDE, "#host")
    assert page.evaluate(TOO_WIDE, "#host") == []
    stops = walk(page)
    assert page.evaluate(MISSED, CONTROLS) == []
    assert [one["about"] for one in stops if not one["seen"]] == []
    assert [one["about"] for one in stops if not one["inside"]] == []


@needs_axe
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_axe_finds_nothing_serious_in_the_table(page, df, dark):
    page.set_viewport_size({"width": 420 if dark else 1000, "height": 900})
    host = show_table(page, df, dark=dark, height="640px")
    page.get_by_role("grid").focus()
    page.keyboard.press("?")
    page.get_by_text("Columns", exact=False).first.click()
    assert serious(page) == []
    page.get_by_role("searchbox").fill("nothing has this")
    expect(page.get_by_text("No generations match")).to_be_visible()
    assert serious(page) == []
    assert host.errors == []


@needs_axe
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_axe_finds_nothing_serious_in_timeline_and_card(page, df, sim, dark):
    host = show_session(page, df, sim, dark=dark)
    assert serious(page) == []
    assert host.errors == []


def test_the_table_can_be_used_when_zoomed_or_narrow(view, df, pictures, request):
    show_table(view, df)
    pictures(view, f"table-{request.node.callspec.id}")
    check_use(view)


def test_timeline_and_card_can_be_used_when_zoomed_or_narrow(view, df, sim, pictures, request):
    show_session(view, df, sim)
    pictures(view, f"session-{request.node.callspec.id}")
    check_use(view)


def test_the_comparison_can_be_used_when_zoomed_or_narrow(view, monkeypatch, pictures, request):
    is_narrow = "wide" in request.node.callspec.id
    host = show_comparison(view, monkeypatch, dark=is_narrow)
    pictures(view, f"comparison-{request.node.callspec.id}")
    check_use(view)
    if AXE.exists():
        assert serious(view) == []
    assert host.errors == []
