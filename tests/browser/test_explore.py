"""The explorer as it is used: open, filter, sort, page, select, load, compare, download."""

import re

import pandas as pd
import pytest
from axe import needs_axe, serious
from playwright.sync_api import expect
from test_accessibility import TOO_WIDE

EXPLORE = """
import orstats
client = orstats.Client("{key}", base_url="{url}")
df = orstats.fetch({ids!r}, client=client, progress=False)
explorer = orstats.explore(df, client=client)
explorer
"""


@pytest.fixture(scope="module", params=["lab", "voila", "notebook7"])
def opened(request, open_page, sim):
    """An explorer of 60 generations on the screen, once for all tests in a front end."""
    ids = [*sim.ids[:59], sim.unknown_ids(1, age=9_000)[0]]
    open_in = request.getfixturevalue(request.param)
    with open_page() as page:
        open_in(page, EXPLORE.format(key=sim.key, url=sim.base_url, ids=ids))
        shown = page.locator(".orstats-explorer")
        shown.locator("tbody tr").first.wait_for()
        shown.ids = ids
        shown.folder = open_in.folder
        yield shown


@pytest.fixture
def explorer(opened):
    """That explorer without filters, in a window of the usual size."""
    opened.page.set_viewport_size({"width": 1500, "height": 1100})
    opened.get_by_role("button", name="Clear", exact=True).click()
    expect(rows(opened)).to_have_count(25)
    return opened


@pytest.fixture
def page(explorer):
    return explorer.page


def rows(explorer):
    return explorer.locator("table.orstats-grid tbody tr")


def id_of(row):
    """Return the id of a row, whose cell may be hidden for want of room."""
    return row.locator("td").last.get_attribute("title")


def costs(explorer):
    return [float(text.strip("<$").replace(",", "")) for text in explorer.locator("td:nth-child(5)").all_inner_texts()]


def test_a_complete_session(page, explorer, sim, pictures):
    before = sim.requests
    expect(rows(explorer)).to_have_count(25)
    expect(explorer.locator(".orstats-totals")).to_contain_text("of 60 generations")
    expect(explorer.locator("svg.orstats-chart rect").first).to_be_attached()

    # pages
    explorer.get_by_role("button", name="Next page").click()
    expect(explorer.get_by_text("26 to 50 of 60")).to_be_visible()
    explorer.get_by_role("button", name="Previous page").click()
    expect(explorer.get_by_text("1 to 25 of 60")).to_be_visible()

    # sort by a click on a heading, and again for the other direction
    explorer.get_by_role("button", name="Cost", exact=True).click()
    expect(explorer.locator("th[data-column=cost_usd]")).to_have_attribute("aria-sort", "descending")
    assert costs(explorer) == sorted(costs(explorer), reverse=True)
    explorer.get_by_role("button", name="Cost ▾").click()
    expect(explorer.locator("th[data-column=cost_usd]")).to_have_attribute("aria-sort", "ascending")
    assert costs(explorer) == sorted(costs(explorer))

    # select with the mouse, then with the keys
    rows(explorer).nth(2).click()
    card = explorer.locator(".orstats-card")
    third = id_of(rows(explorer).nth(2))
    expect(card.locator(".orstats-id")).to_have_text(third)
    page.keyboard.press("ArrowDown")
    fourth = id_of(rows(explorer).nth(3))
    expect(card.locator(".orstats-id")).to_have_text(fourth)
    expect(rows(explorer).nth(3)).to_have_attribute("aria-selected", "true")
    page.keyboard.press("ArrowUp")
    expect(card.locator(".orstats-id")).to_have_text(third)
    expect(card).to_be_in_viewport()
    pictures(page, "explore-card")
    assert sim.requests == before, "a card sends no request: the DataFrame has its record"

    # Enter loads the content, with one request
    page.keyboard.press("Enter")
    expect(card.locator(".orstats-bubble, .orstats-notice").first).to_be_visible()
    assert sim.requests == before + 1
    pictures(page, "explore-content")

    # tabs
    card.get_by_text("Raw JSON", exact=True).click()
    expect(card.get_by_text('"fetch_status"').first).to_be_visible()

    # keep, select another, compare
    explorer.get_by_role("button", name="Keep to compare").click()
    kept = rows(explorer).nth(2)
    expect(kept).to_have_class(re.compile("orstats-kept"))
    explorer.get_by_role("button", name="↓ Next").click()
    expect(card.locator(".orstats-id")).to_have_text(fourth)
    explorer.get_by_role("button", name="Compare", exact=True).click()
    compared = explorer.get_by_role("region", name="Comparison")
    expect(compared).to_contain_text(third)
    expect(compared).to_contain_text(fourth)
    explorer.get_by_role("button", name="Load and compare prompts and completions").click()
    expect(compared.locator(".orstats-lines, .orstats-problem").first).to_be_visible()
    pictures(page, "explore-compare")
    explorer.get_by_role("button", name="Back to the card").press("Escape")
    expect(card.locator(".orstats-id")).to_have_text(fourth)

    # filter while typing
    search = explorer.get_by_role("searchbox")
    search.press_sequentially(third[-12:].lower())
    expect(rows(explorer)).to_have_count(1)
    assert id_of(rows(explorer)) == third
    explorer.get_by_role("button", name="Clear", exact=True).click()
    expect(rows(explorer)).to_have_count(25)
    explorer.get_by_placeholder("$ from").fill("much")
    expect(explorer.get_by_text("much is not an amount in dollars")).to_be_visible()
    expect(rows(explorer)).to_have_count(25)
    explorer.get_by_role("button", name="Clear", exact=True).click()
    expect(explorer.get_by_placeholder("$ from")).to_have_value("")
    search.fill("nothing has this")
    expect(explorer.get_by_text("No generations match the filters")).to_be_visible()
    explorer.get_by_role("button", name="Clear all filters").last.click()
    expect(rows(explorer)).to_have_count(25)
    expect(search).to_have_value("")

    # a row without a record says why
    explorer.get_by_role("combobox", name="Status").select_option("not fetched (1)")
    expect(rows(explorer)).to_have_count(1)
    rows(explorer).first.click()
    expect(card.locator(".orstats-notice")).to_be_visible()
    expect(card.locator(".orstats-id")).to_have_text(explorer.ids[-1])

    # download the filtered rows, and save them where the kernel runs
    for label, read in (("Download CSV", pd.read_csv), ("Download Excel (.xlsx)", pd.read_excel)):
        explorer.get_by_text("Download", exact=True).click()
        with page.expect_download() as download:
            explorer.get_by_role("button", name=label).click()
        assert explorer.ids[-1] in read(download.value.path()).iloc[:, 0].tolist()
    explorer.get_by_text("Download", exact=True).click()
    explorer.get_by_role("button", name="Save CSV in the current folder").click()
    expect(explorer.get_by_text("1 row written to")).to_be_visible()
    written = list(explorer.folder.glob("orstats-filtered-*.csv"))
    assert [pd.read_csv(path)["id"].tolist() for path in written][-1] == [explorer.ids[-1]]


@needs_axe
def test_axe_finds_nothing_serious(page, explorer):
    """In the card and in the comparison, in the colours of each front end."""
    rows(explorer).nth(1).click()
    explorer.locator(".orstats-card .orstats-id").wait_for()
    busy = explorer.locator(".orstats-master[aria-busy]")
    expect(busy).to_have_count(0)  # it is dimmed meanwhile
    assert serious(page, ".orstats-explorer") == []
    page.keyboard.press("c")
    rows(explorer).nth(4).click()
    explorer.get_by_role("button", name="Compare", exact=True).click()
    explorer.get_by_role("button", name="Load and compare prompts and completions").click()
    expect(explorer.locator(".orstats-lines, .orstats-problem").first).to_be_visible()
    expect(busy).to_have_count(0)
    assert serious(page, ".orstats-explorer") == []


def test_the_keyboard_alone_is_enough(page, explorer):
    """The table keeps the focus, or the next key would go to the notebook."""
    table = explorer.get_by_role("grid")
    table.focus()
    for key, shown in (("PageDown", "26 to 50 of 60"), ("PageDown", "51 to 60 of 60"), ("PageUp", "26 to 50 of 60")):
        page.keyboard.press(key)
        expect(explorer.get_by_text(shown)).to_be_visible()
        expect(table).to_be_focused()
    page.keyboard.press("ArrowDown")
    expect(explorer.locator(".orstats-card .orstats-id")).to_have_text(id_of(rows(explorer).first))
    page.keyboard.press("c")
    expect(rows(explorer).first).to_have_class(re.compile("orstats-kept"))
    page.keyboard.press("End")
    expect(explorer.locator(".orstats-card .orstats-id")).to_have_text(id_of(rows(explorer).last))
    page.keyboard.press("ArrowDown")  # over the end of the page
    expect(explorer.get_by_text("51 to 60 of 60")).to_be_visible()
    page.keyboard.press("?")
    expect(explorer.get_by_text("keep the row to compare another with it")).to_be_visible()
    page.keyboard.press("/")
    expect(explorer.get_by_role("searchbox")).to_be_focused()


def test_nothing_is_cut_off_in_a_narrow_window(page, explorer):
    """As wide as a window of 700 pixels leaves it in JupyterLab, next to the list of files."""
    outside = page.evaluate("innerWidth - document.querySelector('.orstats-explorer').clientWidth")
    page.set_viewport_size({"width": outside + 360, "height": 900})
    edge = "e => [e.getBoundingClientRect().right, e.closest('.orstats-explorer').getBoundingClientRect().right]"
    controls = "input:visible, select:visible, summary:visible, button:visible:not(th button)"  # the table may scroll
    for control in explorer.locator(controls).all():
        right, limit = control.evaluate(edge)
        assert right <= limit + 1, control.evaluate("e => e.outerHTML")
    assert page.evaluate(TOO_WIDE, ".orstats-explorer") == []


def test_table_and_card_scroll_by_themselves_where_there_is_room(page, explorer):
    page.set_viewport_size({"width": 1800, "height": 1000})
    rows(explorer).nth(1).click()
    expect(explorer.locator(".orstats-card .orstats-id")).to_have_text(id_of(rows(explorer).nth(1)))
    left, right = (explorer.locator(f".orstats-{side}").bounding_box() for side in ("left", "right"))
    assert left["y"] == right["y"]
    assert left["height"] == right["height"] == 700
    assert left["x"] + left["width"] <= right["x"]
    scroll = "e => [e.scrollHeight > e.clientHeight, getComputedStyle(e).overflowY]"
    assert explorer.get_by_role("grid").evaluate(scroll) == [True, "auto"]
    assert explorer.locator(".orstats-right").evaluate(scroll)[1] == "auto"
