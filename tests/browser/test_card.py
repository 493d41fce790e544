"""The card in each front end: load its content, open its tabs, copy a text."""

import re

import pytest
from playwright.sync_api import expect

VIEW = """
import orstats
card = orstats.view("{id}", client=orstats.Client("{key}", base_url="{url}"), archive=False)
card
"""


def find_conversation(sim):
    """Return a generation with messages, and its completion."""
    for one in reversed(sim.ids):
        content = sim.content(one) if sim.content_reason(one) == "stored" else {}
        completion = content.get("output", {}).get("completion") or ""
        if content.get("input", {}).get("messages") and 100 < len(completion) < 4_000 and "\n" in completion:
            return one, completion
    pytest.fail("the simulator has no such conversation")


def test_content_is_loaded_searched_and_copied(page, anywhere, sim, pictures, request):
    one, completion = find_conversation(sim)
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    anywhere(page, VIEW.format(id=one, key=sim.key, url=sim.base_url))
    card = page.locator(".orstats-card")
    expect(card.locator(".orstats-id")).to_have_text(one)
    before = sim.requests
    card.get_by_role("button", name="Load prompt and completion").click()
    final = card.locator(".orstats-bubble.orstats-final")
    expect(final).to_be_visible()
    assert sim.requests == before + 1
    broken = final.locator("pre").first.evaluate("text => getComputedStyle(text).wordBreak")
    assert broken == "normal", "JupyterLab breaks words of other texts anywhere"
    pictures(page, f"card-{request.node.callspec.id}")

    button = final.locator(".orstats-copy")
    button.click()
    expect(button).to_have_text("copied")
    assert page.evaluate("navigator.clipboard.readText()") == completion

    word = re.search(r"\w{6,}", completion).group()
    card.get_by_placeholder("search in this conversation").fill(word)
    expect(card.locator("mark").first).to_have_text(re.compile(word, re.IGNORECASE))
    card.get_by_text("Raw JSON", exact=True).click()
    expect(card.get_by_text('"fetch_status"').first).to_be_visible()
