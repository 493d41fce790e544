"""Card and session by themselves: a strict Content-Security-Policy, keys, accessibility."""

import json
import os
from pathlib import Path

import pytest
from playwright.sync_api import expect

import orstats

AXE = Path(os.environ.get("ORSTATS_AXE") or Path(__file__).parents[2] / "node_modules" / "axe-core" / "axe.min.js")
ADDRESS = "http://pane.test/"
POLICY = "default-src 'self'; script-src 'self'; style-src 'self'; img-src data:"
MAIN = """
import pane from "/pane.js";
const state = {parts: JSON.parse(await parts())}, handlers = [];
const model = {
  get: (name) => state[name], off() {}, on: (_name, handler) => handlers.push(handler),
  async send(message) { state.parts = JSON.parse(await receive(message)); handlers.forEach((one) => one()); },
};
pane.render({model, el: document.querySelector("main")});
"""


@pytest.fixture
def host(page):
    """Return a function that shows a pane in a page without inline code, and the page's complaints."""
    complaints = []
    page.on("console", lambda one: complaints.append(one.text) if one.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))

    def show(pane):
        def receive(message):
            if message["action"] == "load":
                pane.load_content()  # in this thread
            else:
                pane.receive(message["action"], message)
            return json.dumps(pane.parts)

        page.expose_function("parts", lambda: json.dumps(pane.parts))
        page.expose_function("receive", receive)
        links = '<link rel=icon href="data:,"><link rel=stylesheet href="/pane.css">'
        html = f"<!doctype html><html lang=en><title>pane</title>{links}<main></main>"
        html += '<script type=module src="/main.js"></script>'
        files = {
            "": (html, "text/html"),
            "main.js": (MAIN, "text/javascript"),
            "pane.js": (pane._esm, "text/javascript"),
            "pane.css": (pane._css, "text/css"),
        }

        def answer(route):
            body, kind = files[route.request.url.removeprefix(ADDRESS)]
            headers = {"Content-Security-Policy": POLICY} if kind == "text/html" else {}
            route.fulfill(body=body, content_type=f"{kind}; charset=utf-8", headers=headers)

        page.route(f"{ADDRESS}**", answer)
        page.goto(ADDRESS)
        return complaints

    return show


def test_card_works_under_a_strict_policy(page, host, sim, pictures):
    stored = next(
        one
        for one in sim.ids
        if sim.content_reason(one) == "stored" and (sim.content(one).get("output") or {}).get("completion")
    )
    complaints = host(orstats.view(stored, client=sim.client(), archive=False))
    page.get_by_role("button", name="Load prompt and completion").click()
    expect(page.locator(".orstats-final")).to_be_visible()
    page.get_by_role("button", name="completion", exact=True).click()
    assert page.evaluate("document.activeElement.dataset.part") == "completion"
    page.get_by_text("Report a problem to OpenRouter").click()
    expect(page.get_by_role("button", name="Send to OpenRouter")).to_be_visible()
    pictures(page, "card-strict")
    assert complaints == []


def test_session_opens_generations_by_key_and_by_click(page, host, sim):
    df = orstats.fetch(sim.ids, client=sim.client(), progress=False, archive=False)
    session = orstats.sessions(df)["generations"].idxmax()
    card = orstats.view_session(df, session, client=sim.client(), archive=False)
    rows = df[df["session_id"] == session].sort_values("created_at")
    complaints = host(card)
    page.get_by_role("button", name="2: open generation", exact=True).focus()
    page.keyboard.press("Enter")
    expect(page.locator(".orstats-head .orstats-id").last).to_have_text(rows.index[1])
    expect(page.get_by_role("button", name="2: open generation", exact=True)).to_be_focused()
    page.locator(".orstats-timeline g[data-value='0'] rect").last.dispatch_event("click")
    expect(page.locator(".orstats-head .orstats-id").last).to_have_text(rows.index[0])
    page.set_viewport_size({"width": 420, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= 420
    assert complaints == []


@pytest.mark.skipif(not AXE.exists(), reason="axe-core is not installed: npm install --no-save axe-core")
def test_nothing_serious_is_wrong_for_assistive_technology(page, host, sim):
    df = orstats.fetch(sim.ids, client=sim.client(), progress=False, archive=False)
    card = orstats.view_session(df, orstats.sessions(df)["generations"].idxmax(), client=sim.client(), archive=False)
    host(card)
    page.get_by_role("button", name="Load prompt and completion").click()
    expect(page.get_by_text("Raw JSON")).to_be_visible()
    for title in page.locator("summary").all():
        title.click()
    page.evaluate(AXE.read_text("utf-8"))
    found = page.evaluate("axe.run(document)")
    assert [one["id"] for one in found["violations"] if one["impact"] in ("serious", "critical")] == []
