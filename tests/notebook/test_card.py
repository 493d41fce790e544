"""The card against the simulator: it always shows something readable and sends no unnecessary request."""

import copy
import pickle
import socket
import sys
import threading

import pytest

import orstats
from orstats.content.generation import Generation
from orstats.notebook.card import Card, view
from orstats.notebook.conversation import PAGE, Conversation
from orstats.notebook.widgets import HtmlView
from orstats.sim import Faults, SimServer

QUICK = orstats.Retry(attempts=1)
UNKNOWN = "gen-1700000000-AbCdEfGhIjKlMnOpQr"


@pytest.fixture(scope="module")
def account():
    with SimServer(400, seed=3) as sim:
        yield sim


@pytest.fixture
def sim(account):
    account.reset_stats()
    return account


def first(sim, reason):
    return next(i for i in sim.ids if sim.content_reason(i) == reason)


def texts(widget):
    found = [widget.value] if isinstance(widget, HtmlView) else []
    for child in getattr(widget, "children", ()):
        found += texts(child)
    return found


def text(widget):
    return "\n".join(texts(widget))


def conversation(messages, **output):
    return Conversation(
        orstats.Content.from_wire("gen-1", {"input": {"messages": messages}, "output": output, "error": None})
    )


def test_card_of_a_row_sends_no_request_and_one_for_its_content(sim):
    client = sim.client()
    generation_id = first(sim, "stored")
    df = orstats.fetch([generation_id], client=client)
    sim.reset_stats()
    made = Card(Generation.from_row(df.loc[generation_id], client=client))
    assert repr(made), text(made)
    assert sim.requests == 0
    made.load_content()
    made.load_content()
    assert sim.requests == 1
    assert made.content.status == "stored"
    assert "Conversation" in made.tabs.titles
    assert "Raw JSON" in made.tabs.titles


def test_view_shows_the_record_and_loads_content_by_its_button(sim):
    generation_id = first(sim, "stored")
    made = orstats.view(generation_id, client=sim.client())
    assert sim.requests == 1
    assert generation_id in text(made)
    assert made.content is None
    made.load_button.click()
    for thread in loading_threads():
        thread.join()
    assert made.content.status == "stored"


def loading_threads():
    return [thread for thread in threading.enumerate() if thread.name == "orstats-content"]


@pytest.mark.parametrize(
    ("reason", "shown"),
    [
        ("logging_off", "not logged"),
        ("zero_data_retention", "zero data retention"),
        ("regional", "regional host"),
    ],
)
def test_missing_content_is_explained(sim, reason, shown):
    made = view(first(sim, reason), client=sim.client())
    made.load_content()
    assert shown in text(made)
    assert "Traceback" not in text(made)


def test_forbidden_content_names_the_key_and_can_be_retried(sim):
    made = view(first(sim, "stored"), client=sim.client(api_key=sim.plain_key, management_key=None))
    made.load_content()
    assert "OPENROUTER_MANAGEMENT_KEY" in text(made)
    assert made.load_button.description == "Try again"


def test_failures_are_shown_as_a_card(sim, monkeypatch):
    monkeypatch.delenv("OPENROUTER_API_KEY", raising=False)
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        down = orstats.Client("sk-or-x", base_url=f"http://127.0.0.1:{unused.getsockname()[1]}", retry=QUICK)
        cards = {
            "not_found": view(UNKNOWN, client=sim.client()),
            "invalid_id": view("chatcmpl-abc", client=sim.client()),
            "network_error": view(UNKNOWN, client=down),
            "forbidden": view(UNKNOWN, client=sim.client(api_key="sk-or-revoked", retry=QUICK)),
            "not_attempted": view(UNKNOWN, archive=False),
        }
    for status, made in cards.items():
        assert made.generation.fetch_status == status
        assert made.generation.error
        assert not hasattr(made, "load_button")
        assert "orstats-error" in text(made)


def test_api_going_down_and_key_being_revoked_are_shown():
    with SimServer(60, seed=3) as sim:
        client = sim.client(retry=QUICK)
        generation_id = first(sim, "stored")
        made = view(generation_id, client=client)
        revoked = Card(
            Generation.from_row(
                sim.record(generation_id) | {"id": generation_id}, client=sim.client(api_key="sk-or-gone")
            )
        )
        revoked.load_content()
        assert "401" in text(revoked)
    made.load_content()
    assert made.content is None
    assert "Could not load the content" in text(made)
    assert generation_id in text(made)
    assert made.load_button.description == "Try again"


def test_retries_are_shown(sim):
    made = Card(Generation.from_row({"id": first(sim, "stored"), "fetch_status": "ok"}, client=offline_client()))
    shown = []
    made.tabs.children[0].observe(lambda _change: shown.append(text(made.tabs.children[0])), "children")
    made.load_content()
    assert any("connection refused" in html and "Trying again in" in html for html in shown)
    assert "connection refused" in text(made)


def offline_client():
    retry = orstats.Retry(attempts=2, first_wait=0.01)
    return orstats.Client("k", base_url="http://127.0.0.1:1", retry=retry)


def test_an_unexpected_failure_stays_in_the_card(sim, monkeypatch, caplog):
    client = sim.client()
    made = view(first(sim, "stored"), client=client)
    monkeypatch.setattr(client, "content", lambda _id: 1 / 0)
    made.load_content()
    assert "ZeroDivisionError" in text(made)
    assert "division by zero" not in text(made)
    assert any("division by zero" in (one.exc_text or "") for one in caplog.records)
    assert made.load_button.description == "Try again"


def test_reprs_have_no_content(sim):
    generation_id = first(sim, "stored")
    made = view(generation_id, client=sim.client())
    made.load_content()
    secret = sim.content(generation_id)["output"]["completion"]
    secret = (secret or sim.content(generation_id)["input"]["messages"][0]["content"])[:12]
    assert secret in text(made).replace("&#x27;", "'")
    for one in (made, made.generation, made.content, *made.children, made.tabs):
        assert secret not in repr(one)
    bundle = made._repr_mimebundle_()
    assert "application/vnd.jupyter.widget-view+json" in bundle
    assert generation_id in bundle["text/html"]
    assert secret not in str(bundle)
    assert secret not in made.generation._repr_html_()


def test_long_conversations_are_paged_and_open_on_the_completion():
    shown = conversation([{"role": "user", "content": f"ask <{n}>"} for n in range(2_000)], completion="the end")
    assert len(shown.bubbles.children) == PAGE
    assert shown.position.value == "1,977 to 2,001 of 2,001 messages"
    assert "the end" in text(shown)
    assert shown.later.disabled
    shown.earlier.click()
    assert "the end" not in text(shown)
    assert not shown.later.disabled
    assert len(text(shown)) < 50_000


def test_without_the_markdown_extra_text_is_preformatted(monkeypatch):
    monkeypatch.setitem(sys.modules, "nh3", None)
    shown = conversation([{"role": "user", "content": "**bold** <b>"}])
    assert "**bold** &lt;b&gt;" in text(shown)
    assert "<strong>" not in text(shown)
    assert shown.formatted.disabled
    assert "orstats[markdown]" in shown.formatted.tooltip


def test_invalid_key_gives_no_advice_about_organisations(sim):
    made = view(sim.ids[0], client=sim.client(api_key="sk-or-revoked", retry=QUICK))
    assert made.generation.http_status == 401
    assert "OPENROUTER_API_KEY" in text(made)
    assert "organisation" not in text(made)


def test_search_covers_all_pages():
    shown = conversation([{"role": "user", "content": f"ask {n} Needle" if n == 7 else "hay"} for n in range(300)])
    shown.search.value = "needle"
    assert len(shown.bubbles.children) == 1
    assert "<mark>Needle</mark>" in text(shown)
    shown.search.value = "<nothing>"
    assert "Nothing found for “&lt;nothing&gt;”" in text(shown)
    shown.search.value = ""
    assert "No completion is stored" in text(shown)


def test_long_messages_fold_and_open():
    shown = conversation([{"role": "user", "content": "x" * 5_000_000}], completion="done")
    assert len(text(shown)) < 20_000
    opener = shown.bubbles.children[1]
    assert opener.description == "show 200,000 of 5,000,000 characters"
    opener.click()
    assert 200_000 < len(text(shown)) < 250_000
    assert "the first 200,000 of 5,000,000" in text(shown)


def test_a_page_of_images_stays_small():
    gif = "R0lGODlhAgACAAAA" + "AAAA" * 400_000
    part = {"type": "image_url", "image_url": {"url": f"data:image/gif;base64,{gif}"}}
    shown = conversation([{"role": "user", "content": [part] * 10}] * 20)
    assert len(text(shown)) < 20_000_000
    assert "not shown: too many on this page" in text(shown)


@pytest.mark.parametrize(
    "odd",
    [
        {"input": None, "output": None, "error": None},
        {"input": 7, "output": [], "error": "boom"},
        {"input": {"messages": [None, 7, [], {}, {"role": None, "content": None}, {"role": 5, "content": {"a": 1}}]}},
        {"input": {"messages": [{"role": "\u202eevil", "content": [None, {}, {"type": None}, {"type": ["x"]}]}]}},
        {
            "input": {
                "messages": [{"role": "assistant", "tool_calls": [None, {}, {"function": {"arguments": {"a": 1}}}]}]
            }
        },
        {"input": {"prompt": {"no": "text"}}, "output": {"completion": 4.5, "reasoning": ["a"]}},
        {"error": {"status": "x", "message": None, "previous_errors": [None, {"code": None}]}, "output": {}},
    ],
)
def test_malformed_content_is_shown(sim, odd, monkeypatch):
    generation_id = first(sim, "stored")
    client = sim.client()
    made = view(generation_id, client=client)
    monkeypatch.setattr(client, "content", lambda _id: odd)
    made.load_content()
    assert "cannot be shown" not in text(made)
    assert text(made).encode()


def test_a_record_of_nulls_is_shown():
    made = Card(Generation.from_row({"id": "gen-1"}))
    assert "unknown" in text(made)
    assert made.generation._repr_html_()


def test_generations_can_be_pickled_and_copied(sim):
    generation = orstats.get(sim.ids[0], client=sim.client())
    assert pickle.loads(pickle.dumps(generation)) == generation
    assert copy.copy(generation) == generation


def test_faults_are_retried():
    with SimServer(20, faults=Faults(rate=1.0, kinds=["500"], retry_after_s=0)) as sim:
        made = view(sim.ids[0], client=sim.client(retry=orstats.Retry(first_wait=0.01)))
        assert made.generation.fetch_status == "ok"
