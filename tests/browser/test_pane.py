"""Card and session by themselves, under a strict Content-Security-Policy."""

from playwright.sync_api import expect
from widget_host import WidgetHost

import orstats


def test_card_works_under_a_strict_policy(page, sim, pictures):
    stored = next(
        one
        for one in sim.ids
        if sim.content_reason(one) == "stored" and (sim.content(one).get("output") or {}).get("completion")
    )
    host = WidgetHost(page, orstats.view(stored, client=sim.client(), archive=False))
    page.get_by_role("button", name="Load prompt and completion").click()
    expect(page.locator(".orstats-final")).to_be_visible()
    page.get_by_role("button", name="completion", exact=True).click()
    assert page.evaluate("document.activeElement.dataset.part") == "completion"
    page.get_by_text("Report a problem to OpenRouter").click()
    expect(page.get_by_role("button", name="Send to OpenRouter")).to_be_visible()
    pictures(page, "card-strict")
    assert host.errors == []


def test_session_opens_generations_by_key_and_by_click(page, sim):
    df = orstats.fetch(sim.ids, client=sim.client(), progress=False, archive=False)
    session = orstats.sessions(df)["generations"].idxmax()
    card = orstats.view_session(df, session, client=sim.client(), archive=False)
    rows = df[df["session_id"] == session].sort_values("created_at")
    host = WidgetHost(page, card)
    page.get_by_role("button", name="2: open generation", exact=True).focus()
    page.keyboard.press("Enter")
    expect(page.locator(".orstats-head .orstats-id").last).to_have_text(rows.index[1])
    expect(page.get_by_role("button", name="2: open generation", exact=True)).to_be_focused()
    page.locator(".orstats-timeline g[data-value='0'] rect").last.dispatch_event("click")
    expect(page.locator(".orstats-head .orstats-id").last).to_have_text(rows.index[0])
    for width in (1400, 900, 420):
        page.set_viewport_size({"width": width, "height": 800})
        assert page.locator(".orstats-list").evaluate("list => list.scrollWidth <= list.clientWidth"), width
    assert page.evaluate("document.documentElement.scrollWidth") <= 420
    assert host.errors == []
