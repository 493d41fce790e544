"""Untrusted text in every place that shows some: nothing of it runs, loads anything or breaks the page."""

import json
import re
import textwrap

import pandas as pd
import pytest
from playwright.sync_api import expect
from widget_host import LINKS, Place, WidgetHost

import orstats
from orstats.content.content import Content
from orstats.content.generation import Generation
from orstats.notebook.explorer import Explorer
from orstats.sim import SimServer

MARKUP = (
    "<script>window.pwned=1</script>"
    "<img src=x onerror='window.pwned=2'>"
    "<img src='http://beacon.test/image'>"
    "<svg onload='window.pwned=3'><image href='http://beacon.test/svg'/></svg>"
    "<details open ontoggle='window.pwned=4'>x</details>"
    "<iframe src='http://beacon.test/frame' srcdoc='<img src=http://beacon.test/srcdoc>'></iframe>"
    "<style>body{background:url(http://beacon.test/style)!important} .orstats-explorer{display:none}</style>"
    "<link rel=stylesheet href='http://beacon.test/link'>"
    "<button data-commandlinker-command='notebook:delete-cell' data-commandlinker-args='{}'>press</button>"
    "<a href='javascript:window.pwned=5'>link</a> [md](javascript:window.pwned=6) ![i](http://beacon.test/md) "
    "</pre></div></td></table><h1 id='escaped'>out</h1> $x<img src=y onerror=window.pwned=7>$ \u202etxt\u2066 \x00\x1b"
)

CODE = """
import json, orstats
client = orstats.Client("sk-or-nothing", base_url="http://127.0.0.1:9/api/v1")
evil = json.loads({evil!r})
df = orstats.fetch({ids!r}, client=orstats.Client("{key}", base_url="{url}"), progress=False)
text = [name for name in df.columns if str(df[name].dtype) == "string" and name != "fetch_status"]
for number in range(3):
    df.iloc[number, [df.columns.get_loc(name) for name in text]] = evil
df.loc[df.index[3], ["fetch_status", "error"]] = ["server_error", evil]
df.loc[df.index[0], "extra"] = json.dumps({{evil: evil}})
df.loc[df.index[0], "provider_responses"] = json.dumps([{{"provider_name": evil, "status": 500}}])
df.index = df.index[:0].append(type(df.index)([f"gen-{{n}}{{evil}}" for n in range(4)] + list(df.index[4:]), name="id"))
from orstats.content.content import Content
from orstats.content.generation import Generation
wire = {{"input": {{"messages": [
    {{"role": evil, "content": evil, "name": evil, "refusal": evil, "reasoning": evil}},
    {{"role": "tool", "tool_call_id": evil, "content": evil}},
    {{"role": "user", "content": [{{"type": "image_url", "image_url": {{"url": "http://beacon.test/part"}}}},
                               {{"type": "image_url", "image_url": {{"url": "data:image/svg+xml," + evil}}}},
                               {{"type": "image_url", "image_url": {{"url": "javascript:" + evil}}}},
                               {{"type": "image_url", "image_url": {{"url": "/files/x.png" + evil}}}},
                               {{"type": "image_url", "image_url": {{"url": "data:image/png;base64," + evil}}}},
                               {{"type": "input_audio", "input_audio": {{"format": evil, "data": evil}}}},
                               {{"type": "input_audio", "input_audio": {{"transcript": evil, "data": None}}}},
                               {{"type": "audio", "audio": {{"transcript": evil}}}},
                               {{"type": "file", "file": {{"filename": evil, "file_data": "http://beacon.test/f"}}}},
                               {{"type": "file", "file": {{"filename": evil, "file_data": "data:text/html," + evil}}}},
                               {{"type": evil, "text": evil}}]}},
    {{"role": "assistant", "content": None, "tool_calls": [
        {{"id": evil, "function": {{"name": evil, "arguments": evil}}}}]}}]}},
    "output": {{"completion": evil, "reasoning": evil, "images": [{{"type": "image", "image_url": evil}}]}},
    "error": {{"status": 500, "message": evil, "provider_name": evil, "raw": evil,
              "previous_errors": [{{"code": 500, "message": evil, "provider_name": evil, "raw": evil}}]}}}}
Generation.content = lambda self: Content.from_wire(self.id, wire)
from IPython.display import display
explorer = orstats.explore(df, client=client)
display(explorer)
for row in range(4):  # as exported notebooks show them
    display({{"text/html": Generation.from_row(df.iloc[row])._repr_html_()}}, raw=True)
display({{"text/html": explorer._repr_mimebundle_()["text/html"]}}, raw=True)
display(orstats.view_session(df, df["session_id"].iloc[0], client=client))
"""


@pytest.fixture(scope="module")
def account():
    with SimServer(20, seed=5) as server:
        yield server


def unfold(card):
    """Show everything that a card has of its content, in each form, and copy some."""
    expect(card.locator(".orstats-bubble").first).to_be_visible()
    for opener in card.get_by_role("button", name="show all").all():
        opener.click()
    for switch in card.get_by_role("button", name="formatted").all():
        switch.click()
    for title in card.locator("summary").all():
        title.click()
    card.locator(".orstats-copy:visible").first.click()


def test_untrusted_text_neither_runs_nor_loads_anything(page, anywhere, account, beacon, pictures):
    dialogs = []
    page.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
    beacon.requested.clear()
    code = CODE.format(evil=json.dumps(MARKUP), ids=account.ids, key=account.key, url=account.base_url)
    anywhere(page, code)
    explorer = page.locator(".orstats-explorer")
    rows = explorer.locator("table.orstats-grid tbody tr")
    expect(rows).to_have_count(20)
    explorer.get_by_role("searchbox").fill("<script>")
    expect(rows).to_have_count(4)
    card = explorer.locator(".orstats-card")
    for number in range(4):
        rows.nth(number).click()
        identifier = rows.nth(number).locator("td").last.get_attribute("title")  # longer than the card shows it
        expect(card.locator(".orstats-id")).to_have_text(re.compile(f"^{re.escape(identifier[:100])}"))
        if "server error" in rows.nth(number).inner_text():
            expect(card.locator(".orstats-notice")).to_be_visible()
            continue
        page.keyboard.press("Enter")
        unfold(card)
    pictures(page, "hostile")
    explorer.get_by_role("button", name="Keep to compare").click()
    explorer.get_by_role("button", name="↑ Previous").click()
    explorer.get_by_role("button", name="Compare").last.click()
    explorer.get_by_role("button", name="Load and compare prompts and completions").click()
    expect(explorer.locator(".orstats-lines").first).to_be_visible()

    session = page.locator(".orstats-card:has(.orstats-timeline)").last
    session.get_by_role("button", name="2: open generation", exact=True).click()
    session.get_by_role("button", name="Load prompt and completion").click()
    unfold(session)
    pictures(page, "hostile-session")

    assert page.evaluate("window.pwned") is None
    assert page.locator("#escaped").count() == 0
    expect(page.locator("table.orstats-grid, table.orstats-static")).to_have_count(2)  # the latter is an exported one
    for widget in (explorer, session):
        assert widget.locator("[data-commandlinker-command]").count() == 0
        bad = "iframe, script, link, img:not([src^='data:image/']), a:not([href^=http]):not([href^=mailto])"
        assert widget.locator(bad).count() == 0
        for event in ("error", "load", "toggle", "mouseover", "focus"):
            assert widget.locator(f"[on{event}]").count() == 0
    assert session.is_visible()
    assert explorer.is_visible()
    assert dialogs == []
    assert beacon.requested == []


def test_untrusted_text_in_marimo_neither_runs_nor_loads_anything(
    page, account, beacon, tmp_path, serve, port, pictures
):
    pytest.importorskip("marimo")
    beacon.requested.clear()
    code = CODE.format(evil=json.dumps(MARKUP), ids=account.ids, key=account.key, url=account.base_url)
    cell = code[: code.index("from IPython.display")] + "explorer = orstats.explore(df, client=client)\nexplorer"
    app = f"import marimo\n\napp = marimo.App()\n\n\n@app.cell\ndef _():\n{textwrap.indent(cell, '    ')}\n    return\n"
    (tmp_path / "app.py").write_text(app, "utf-8")
    command = ["marimo", "-q", "run", "app.py", "--headless", "--no-token", "--host", "127.0.0.1", "--port", str(port)]
    with serve(command, tmp_path, port, "/health"):
        page.goto(f"http://127.0.0.1:{port}/")
        rows = page.locator(".orstats-grid tbody tr")
        expect(rows).to_have_count(20)
        page.get_by_role("searchbox").press_sequentially("<script>")
        expect(rows).to_have_count(4)
        rows.first.click()
        page.keyboard.press("Enter")
        expect(page.locator(".orstats-detail pre").last).to_contain_text("window.pwned")
        page.get_by_role("button", name="Keep to compare").click()
        page.get_by_role("button", name="↓ Next").click()
        page.get_by_role("button", name="Compare", exact=True).click()
        page.get_by_role("button", name="Load and compare prompts and completions").click()
        expect(page.locator(".orstats-lines").first).to_be_visible()
        pictures(page, "hostile-marimo")
        assert page.evaluate("window.pwned") is None
        assert page.locator("#escaped").count() == 0
        assert beacon.requested == []


@pytest.mark.parametrize("shown", ["table", "comparison", "session"])
def test_no_pixel_outside_the_widget_changes(open_page, account, beacon, monkeypatch, shown):
    """Without any policy: the page around the widget looks the same with harmless and with untrusted text."""
    beacon.requested.clear()
    df = orstats.fetch(account.ids, client=account.client(), progress=False, archive=False)
    monkeypatch.setattr("orstats.notebook.comparison.in_thread", lambda work: work())
    pictures = []
    for text in ("harmless", MARKUP):
        rows = df.copy()
        for name in rows.columns:
            if str(rows[name].dtype) == "string" and name != "fetch_status":
                rows[name] = pd.array([text] * len(rows), dtype="string[pyarrow]")
        message = {"role": "user", "content": text, "reasoning": text}
        wire = {"input": {"messages": [message]}, "output": {"completion": text, "reasoning": text}}
        monkeypatch.setattr(Generation, "content", lambda one, wire=wire: Content.from_wire(one.id, wire))
        with open_page() as page:
            place = Place(policy=None, head=f"{LINKS}<style>#host{{overflow:auto}}</style>")
            if shown == "table":
                WidgetHost(page, Explorer(rows).table, height="600px", place=place)
                page.locator(".orstats-grid tbody tr").nth(1).click()
            elif shown == "comparison":
                explorer = Explorer(rows)
                explorer._display_()
                for name, action in zip(rows.index, ("keep", "compare"), strict=False):
                    explorer.selected = name
                    explorer.table.receive({"type": action})
                WidgetHost(page, explorer.table, height="600px", place=place)
                page.get_by_role("button", name="Load and compare prompts and completions").click()
                expect(page.locator(".orstats-lines").first).to_be_visible()
            else:
                card = orstats.view_session(rows, text, client=account.client(), archive=False)
                WidgetHost(page, card, height="600px", place=place)
                page.get_by_role("button", name="Load prompt and completion").click()
                unfold(page.locator(".orstats-card"))
            page.get_by_role("heading", name="Notebook").click()  # no control has the focus
            page.mouse.move(0, 0)
            pictures.append(page.screenshot(mask=[page.locator("#host")]))
            assert page.evaluate("window.pwned") is None
    assert pictures[0] == pictures[1]
    assert beacon.requested == []


def test_the_listener_records_requests(page, beacon):
    beacon.requested.clear()
    page.goto("about:blank")
    page.set_content("<img src='http://beacon.test/heard'>")
    page.wait_for_load_state("load")
    assert beacon.requested == ["/heard"]
