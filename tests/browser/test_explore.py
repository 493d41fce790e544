"""The explorer as it is used: open, filter, sort, page, select, load, compare, export."""

import re

import pandas as pd
import pytest
from playwright.sync_api import expect

import orstats
from orstats.notebook.html.base import style
from orstats.notebook.html.explorer import Sorting, table

EXPLORE = """
import orstats
client = orstats.Client("{key}", base_url="{url}")
df = orstats.fetch({ids!r}, client=client, progress=False)
explorer = orstats.explore(df, client=client)
explorer
"""


@pytest.fixture
def explorer(page, anywhere, sim):
    """An explorer of 60 generations on the screen."""
    ids = [*sim.ids[:59], sim.unknown_ids(1, age=9_000)[0]]
    anywhere(page, EXPLORE.format(key=sim.key, url=sim.base_url, ids=ids))
    shown = page.locator(".orstats-explorer")
    shown.locator("tbody tr").first.wait_for()
    shown.ids = ids
    shown.folder = anywhere.folder
    return shown


def rows(explorer):
    return explorer.locator("table.orstats-rows tbody tr")


def cells(explorer, column):
    return explorer.locator(f"table.orstats-rows tbody tr td:nth-child({column})").all_inner_texts()


def test_a_complete_session(page, explorer, sim, pictures):
    before = sim.requests
    expect(rows(explorer)).to_have_count(25)
    expect(explorer.locator(".orstats-totals")).to_contain_text("of 60 generations")
    expect(explorer.locator("svg.orstats-chart rect").first).to_be_attached()

    # pages
    explorer.locator(".orstats-page-next").click()
    expect(explorer.get_by_text("26 to 50 of 60")).to_be_visible()
    explorer.locator(".orstats-page-back").click()
    expect(explorer.get_by_text("1 to 25 of 60")).to_be_visible()

    # sort by a click on a heading, and again for the other direction
    explorer.locator("th", has_text="USD").click()
    expect(explorer.locator("th", has_text="USD")).to_contain_text(re.compile("[▾▴]"))
    costs = [float(text.replace(",", "")) for text in cells(explorer, 5)]
    assert costs == sorted(costs, reverse=True)
    explorer.locator("th", has_text="USD").click()
    expect(explorer.locator("th", has_text="USD")).to_contain_text("▴")
    costs = [float(text.replace(",", "")) for text in cells(explorer, 5)]
    assert costs == sorted(costs)

    # select with the mouse, then with the keys
    rows(explorer).nth(2).click()
    card = explorer.locator(".orstats-card")
    third = rows(explorer).nth(2).locator("td").last.get_attribute("title")
    expect(card.locator(".orstats-id")).to_have_text(third)
    page.keyboard.press("ArrowDown")
    fourth = rows(explorer).nth(3).locator("td").last.get_attribute("title")
    expect(card.locator(".orstats-id")).to_have_text(fourth)
    marked = rows(explorer).nth(3).evaluate("row => getComputedStyle(row).boxShadow")
    assert "inset" in marked
    page.keyboard.press("ArrowUp")
    expect(card.locator(".orstats-id")).to_have_text(third)
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
    explorer.get_by_role("button", name="Next").click()
    expect(card.locator(".orstats-id")).to_have_text(fourth)
    explorer.get_by_role("button", name=re.compile("Compare$")).click()
    table = explorer.locator("table.orstats-compare")
    expect(table).to_contain_text(third)
    expect(table).to_contain_text(fourth)
    explorer.get_by_role("button", name="Load and compare contents").click()
    expect(explorer.locator("pre.orstats-diff, .orstats-right .orstats-notice").first).to_be_visible()
    pictures(page, "explore-compare")
    explorer.get_by_role("button", name="Back to the card").click()
    expect(card.locator(".orstats-id")).to_have_text(fourth)

    # filter
    explorer.get_by_placeholder("id, user or session").fill(third[-12:].lower())
    page.keyboard.press("Enter")
    expect(rows(explorer)).to_have_count(1)
    expect(rows(explorer).locator("td").last).to_have_attribute("title", third)
    explorer.get_by_role("button", name="Clear").click()
    expect(rows(explorer)).to_have_count(25)
    explorer.get_by_placeholder("USD from").fill("much")
    page.keyboard.press("Enter")
    expect(explorer.get_by_text("is not a number of dollars")).to_be_visible()
    expect(rows(explorer)).to_have_count(25)
    explorer.get_by_role("button", name="Clear").click()
    # JupyterLab handles clicks and typed values in two threads of the kernel: wait for the first.
    expect(explorer.get_by_placeholder("USD from")).to_have_value("")
    explorer.get_by_placeholder("id, user or session").fill("nothing has this")
    page.keyboard.press("Enter")
    expect(explorer.get_by_text("No generations match the filters.")).to_be_visible()
    explorer.get_by_role("button", name="Clear").click()
    expect(rows(explorer)).to_have_count(25)

    # a row without a record says why
    status = explorer.locator("select").nth(2)
    status.select_option("not ok (1)")  # by its value: ipywidgets puts no-break spaces into what it shows
    expect(rows(explorer)).to_have_count(1)
    rows(explorer).first.click()
    expect(card.locator(".orstats-notice")).to_be_visible()
    expect(card.locator(".orstats-id")).to_have_text(explorer.ids[-1])

    # export the filtered rows
    explorer.get_by_role("button", name="Export CSV").click()
    expect(explorer.get_by_text("1 rows written to")).to_be_visible()
    written = list(explorer.folder.glob("orstats-filtered-*.csv"))
    assert [pd.read_csv(path)["id"].tolist() for path in written][-1] == [explorer.ids[-1]]


def test_pages_can_be_turned_with_the_keyboard_alone(page, explorer):
    """A new page is a new table: it must have the focus, or the next key goes to the notebook."""
    table = explorer.locator(".orstats-scroll")
    table.focus()
    for key, shown in (("PageDown", "26 to 50 of 60"), ("PageDown", "51 to 60 of 60"), ("PageUp", "26 to 50 of 60")):
        page.keyboard.press(key)
        expect(explorer.get_by_text(shown)).to_be_visible()
        expect(table).to_be_focused()
    page.keyboard.press("ArrowDown")
    first = rows(explorer).first.locator("td").last.get_attribute("title")
    expect(explorer.locator(".orstats-card .orstats-id")).to_have_text(first)
    explorer.locator("th", has_text="USD").click()
    expect(explorer.locator("th", has_text="USD")).to_contain_text(re.compile("[▾▴]"))
    expect(table).to_be_focused()


def test_nothing_is_cut_off_in_a_narrow_window(page, explorer):
    """As wide as a window of 700 pixels leaves it in JupyterLab, beside the list of files."""
    beside = page.evaluate("innerWidth - document.querySelector('.orstats-explorer').clientWidth")
    page.set_viewport_size({"width": beside + 332, "height": 900})
    edge = "e => [e.getBoundingClientRect().right, e.closest('.orstats-explorer').getBoundingClientRect().right]"
    for control in explorer.locator("input:visible, select:visible, button:visible").all():
        right, limit = control.evaluate(edge)
        assert right <= limit + 1, control.evaluate("e => e.outerHTML")
    for label in ("UTC from", "Sort by"):
        expect(explorer.get_by_text(label, exact=True)).to_be_visible()


@pytest.fixture(scope="module")
def df(sim):
    return orstats.fetch(sim.ids[:25], client=sim.client(), progress=False)


@pytest.mark.parametrize("by", ["created_at", "generation_time", "fetch_status", "user_agent"])
def test_a_table_fits_its_place_and_keeps_the_model_and_the_sorted_column(page, df, by):
    sorting = Sorting(by, True, {name: number for number, name in enumerate(["id", *df.columns])})
    page.set_content(f'{style("explorer")}<div class="orstats-explorer">{table(df, sorting)}</div>')
    place = page.locator(".orstats-scroll")
    for width, least in ((362, 64), (500, 140), (620, 140), (700, 140), (770, 140), (1000, 140)):
        page.locator(".orstats-explorer").evaluate(f"e => e.style.width = '{width}px'")
        assert place.evaluate("e => e.scrollWidth <= e.clientWidth"), width
        assert page.locator("th", has_text="Model").bounding_box()["width"] >= least, width
        expect(page.locator("th", has_text="▾")).to_be_visible()
        cut = "all => all.filter(e => e.scrollWidth > e.clientWidth).map(e => e.textContent)"
        assert page.locator("td.orstats-num").evaluate_all(cut) == [], width


def test_a_model_is_cut_before_its_ending_once_the_vendor_is_gone(page, df):
    df = df.head(1).assign(model="meta-llama/llama-3.3-70b-instruct:free")
    page.set_content(f'{style("explorer")}<div class="orstats-explorer">{table(df, Sorting("id", False, {}))}</div>')
    name = page.locator("td .orstats-cut")
    cell = name.locator("xpath=ancestor::td")
    for width, has_vendor, is_cut in ((1000, True, False), (770, False, False), (362, False, True)):
        page.locator(".orstats-explorer").evaluate(f"e => e.style.width = '{width}px'")
        assert name.locator("span").is_visible() == has_vendor
        assert name.evaluate("e => e.scrollWidth > e.clientWidth") == is_cut
        assert cell.evaluate("e => e.scrollWidth == e.clientWidth"), "the ending is complete"
    assert cell.inner_text() == "llama-3.3-70b-instruct:free", "no line break in what is copied"
    expect(page.locator(f'td[title="{df["model"].iloc[0]}"]')).to_be_visible()
