"""The card against the simulator: it always shows something readable and sends no unnecessary request."""

import copy
import pickle
import socket
import sys
import threading

import ipywidgets as widgets
import pytest

import orstats
from orstats.content.generation import Generation
from orstats.notebook.card import Card, view
from orstats.notebook.cell import CellRun
from orstats.notebook.conversation import PAGE, Conversation
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


def text(card):
    return "\n".join(card.parts.values())


def press(card, action, value="", **more):
    card._handle_custom_msg({"action": action, "value": value, **more}, [])


def wait_for_threads():
    for thread in [thread for thread in threading.enumerate() if thread.name == "orstats-content"]:
        thread.join()


class Talk:
    """A conversation and its parts as text."""

    def __init__(self, messages, **output):
        wire = {"input": {"messages": messages}, "output": output, "error": None}
        self.conversation = Conversation(orstats.Content.from_wire("gen-1", wire))

    @property
    def parts(self):
        return self.conversation.completion() | self.conversation.messages()

    @property
    def bubbles(self):
        return [html for name, html in self.parts.items() if name.startswith("message ")]


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
    assert list(made.parts)[:5] == ["head", "session link", "jumps", "status", "completion"]
    assert "Raw JSON" in text(made)


def test_view_shows_the_record_and_loads_content_by_its_button(sim):
    generation_id = first(sim, "stored")
    made = orstats.view(generation_id, client=sim.client())
    assert sim.requests == 1
    assert generation_id in text(made)
    assert made.content is None
    press(made, "load")
    wait_for_threads()
    assert made.content.status == "stored"


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
    assert ">Try again</button>" in text(made)


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
        assert 'data-action="load"' not in text(made)
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
    assert ">Try again</button>" in text(made)


def test_retries_are_shown(sim):
    made = Card(Generation.from_row({"id": first(sim, "stored"), "fetch_status": "ok"}, client=offline_client()))
    shown = []
    made.observe(lambda _change: shown.append(text(made)), "parts")
    made.load_content()
    assert "Loading stored prompt and completion" in shown[0]
    assert 'data-action="cancel"' in shown[0]
    assert any("Attempt 1 failed: " in html and "connection refused" in html for html in shown)
    assert any("Trying again in" in html and "Attempt 2 follows" in html for html in shown)
    assert "connection refused" in text(made)


def offline_client(attempts=2):
    retry = orstats.Retry(attempts=attempts, first_wait=0.01)
    return orstats.Client("k", base_url="http://127.0.0.1:1", retry=retry)


def test_loading_can_be_cancelled():
    made = Card(Generation.from_row({"id": "gen-1"}, client=offline_client(attempts=50)))
    sent = []

    def cancel(_change):
        sent.append(1)
        if "Attempt 1 failed" in text(made):
            press(made, "cancel")

    made.observe(cancel, "parts")
    made.load_content()
    assert "Cancelled." in text(made)
    assert ">Try again</button>" in text(made)
    assert "Attempt 2" not in text(made)
    assert made.content is None
    assert len(sent) < 6  # the retries ended, too


def test_content_that_arrives_after_a_cancel_is_ignored(sim, monkeypatch):
    client = sim.client()
    made = view(first(sim, "stored"), client=client)
    wire = sim.content(made.generation.id)
    monkeypatch.setattr(client, "content", lambda _id: press(made, "cancel") or wire)
    made.load_content()
    assert made.content is None
    assert "Cancelled." in text(made)
    monkeypatch.undo()
    made.load_content()
    assert made.content.status == "stored"


def test_feedback_is_sent_only_by_its_button_and_once(sim):
    made = view(sim.ids[0], client=sim.client())
    assert "Report a problem to OpenRouter" in text(made)
    made.load_content()
    before = sim.requests
    press(made, "feedback", "", comment="no category was chosen")
    press(made, "feedback", "latency", comment="slow")
    press(made, "feedback", "latency", comment="a second click")
    wait_for_threads()
    assert "Feedback sent" in text(made)
    assert "Report a problem" not in text(made)
    assert sim.requests == before + 1
    again = view(sim.ids[0], client=sim.client())
    before = sim.requests
    press(again, "feedback", "other", comment="")
    wait_for_threads()
    assert "given for this generation before" in text(again)
    assert sim.requests == before + 1


def test_feedback_needs_a_management_key(sim, monkeypatch):
    monkeypatch.delenv("OPENROUTER_MANAGEMENT_KEY", raising=False)
    made = view(sim.ids[0], client=sim.client(api_key=sim.plain_key, management_key=None))
    assert made.generation.fetch_status == "ok"
    assert "Report a problem" not in text(made)


def test_unknown_messages_from_the_browser_do_nothing(sim):
    made = view(first(sim, "stored"), client=sim.client())
    made.load_content()
    before = made.parts
    for action, value in (("fold", "x"), ("fold", "99999"), ("format", ""), ("nothing", "1"), ("_refresh", "")):
        press(made, action, value)
    made._handle_custom_msg("no mapping", [])
    made._handle_custom_msg({"action": 7}, [])
    assert made.parts == before


def test_closing_a_card_frees_it(sim):
    def alive():
        return set(widgets.Widget.get_manager_state()["state"])

    before = alive()
    made = view(first(sim, "stored"), client=sim.client())
    made.load_content()
    assert len(alive()) > len(before)
    made.close()
    assert made.parts == {}
    assert alive() == before


def test_an_unexpected_failure_stays_in_the_card(sim, monkeypatch, caplog):
    client = sim.client()
    made = view(first(sim, "stored"), client=client)
    monkeypatch.setattr(client, "content", lambda _id: 1 / 0)
    made.load_content()
    assert "ZeroDivisionError" in text(made)
    assert "division by zero" not in text(made)
    assert any("division by zero" in (one.exc_text or "") for one in caplog.records)
    assert ">Try again</button>" in text(made)


def test_reprs_have_no_content(sim):
    generation_id = first(sim, "stored")
    made = view(generation_id, client=sim.client())
    made.load_content()
    secret = sim.content(generation_id)["output"]["completion"]
    secret = (secret or sim.content(generation_id)["input"]["messages"][0]["content"])[:12]
    assert secret in text(made).replace("&#x27;", "'")
    for one in (made, made.generation, made.content):
        assert secret not in repr(one)
    bundle, _ = made._repr_mimebundle_()
    assert "application/vnd.jupyter.widget-view+json" in bundle
    assert generation_id in bundle["text/html"]
    assert secret not in str(bundle)
    assert secret not in made.generation._repr_html_()


def test_long_conversations_are_paged_and_open_on_the_last_prompt():
    talk = Talk([{"role": "user", "content": f"ask <{n}>"} for n in range(2_000)], completion="the end")
    assert len(talk.bubbles) == PAGE + 1
    assert "1,976 to 2,000 of 2,000 messages" in talk.parts["position"]
    assert "the end" in talk.bubbles[0]
    assert talk.conversation.last_prompt == "message 1999"
    assert "later" not in talk.parts["position"]
    talk.conversation.turn_page(-1)
    assert "1,951 to 1,975" in talk.parts["position"]
    assert "later" in talk.parts["position"]
    assert len(text(talk)) < 50_000


def test_text_is_shown_as_typed_until_formatting_is_switched_on():
    diff = "- old **line**\n+ new line"
    talk = Talk([{"role": "user", "content": diff}])
    assert diff in text(talk)
    talk.conversation.format("0")
    assert "<li" in text(talk)
    assert 'aria-pressed="true"' in text(talk)
    talk.conversation.format("0")
    assert "<li" not in text(talk)


def test_without_the_markdown_extra_there_is_no_switch(monkeypatch):
    monkeypatch.setitem(sys.modules, "nh3", None)
    talk = Talk([{"role": "user", "content": "**bold** <b>"}])
    assert "**bold** &lt;b&gt;" in text(talk)
    assert ">formatted</button>" not in text(talk)


def test_invalid_key_gives_no_advice_about_organisations(sim):
    made = view(sim.ids[0], client=sim.client(api_key="sk-or-revoked", retry=QUICK))
    assert made.generation.http_status == 401
    assert "Check api_key=: the key is wrong" in text(made)
    assert "organisation" not in text(made)


def test_search_covers_all_pages():
    talk = Talk([{"role": "user", "content": f"ask {n} Needle" if n == 7 else "hay"} for n in range(300)])
    talk.conversation.search("needle")
    assert len(talk.bubbles) == 1
    assert "<mark>Needle</mark>" in text(talk)
    talk.conversation.search("<nothing>")
    assert "Nothing found for “&lt;nothing&gt;”" in text(talk)
    talk.conversation.search("")
    assert "No completion is stored" in text(talk)


def test_long_messages_fold_and_open():
    talk = Talk([{"role": "user", "content": "x" * 5_000_000}], completion="done")
    assert len(text(talk)) < 20_000
    assert "show 200,000 of 5,000,000 characters" in text(talk)
    talk.conversation.fold("0")
    assert 200_000 < len(text(talk)) < 250_000
    assert "the first 200,000 of 5,000,000" in text(talk)
    assert ">show less</button>" in text(talk)


def test_messages_of_many_lines_fold_to_twenty():
    talk = Talk([{"role": "user", "content": "\n".join(f"line {n}." for n in range(90))}], completion="a\n" * 60)
    assert "line 19." in text(talk)
    assert "line 20." not in text(talk)
    assert "show all 90 lines" in text(talk)
    assert "show less" in talk.bubbles[0]  # the completion is what one came for
    talk.conversation.fold("0")
    assert "line 89." in text(talk)


def test_a_page_of_images_stays_small():
    gif = "R0lGODlhAgACAAAA" + "AAAA" * 400_000
    part = {"type": "image_url", "image_url": {"url": f"data:image/gif;base64,{gif}"}}
    talk = Talk([{"role": "user", "content": [part] * 10}] * 20)
    assert len(text(talk)) < 20_000_000
    assert "not shown: too many on this page" in text(talk)
    small = part | {"image_url": {"url": f"data:image/gif;base64,{gif[:20]}"}}
    few = text(Talk([{"role": "user", "content": [small] * 12}]))
    assert few.count("<img ") == 12


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


def test_running_a_cell_again_closes_its_earlier_cards(sim, monkeypatch):
    cell = ["cell-1", 1]
    monkeypatch.setattr("orstats.notebook.cell.running_cell", lambda: CellRun(*cell))
    first = [orstats.view(one, client=sim.client(), archive=False) for one in sim.ids[:2]]
    cell[:] = "cell-1", 2
    again = orstats.view(sim.ids[0], client=sim.client(), archive=False)
    assert [card.comm is None for card in (*first, again)] == [True, True, False]
