"""orstats show: one generation for a person or a program; untrusted text is sanitized."""

import json

import pytest
from rich.console import Console

from orstats.cli.conversation import conversation
from orstats.content.content import Content
from orstats.content.generation import Generation
from orstats.errors import NotApiResponseError
from orstats.sim import SimServer
from orstats.text.format import usd
from orstats.text.sanitize import terminal_line, terminal_text


def with_content(sim, reason):
    return next(one for one in sim.ids if sim.content_reason(one) == reason)


def printed(content, finish_reason=None):
    console = Console(width=100, record=True, file=open("/dev/null", "w"))  # noqa: PTH123, SIM115
    with console.file:
        for part in conversation(Content.from_wire("gen-1", content), finish_reason):
            console.print(part)
        return console.export_text()


def test_a_generation_is_shown_with_its_groups(online, orstats):
    one = with_content(online, "stored")
    record = online.record(one)
    done = orstats("show", one)
    assert done.exit_code == 0
    for word in (one, record["model"], "Cost", "Tokens", "Time", f"https://openrouter.ai/logs?transaction={one}"):
        assert word in done.stdout
    assert done.stderr == ""


def test_the_conversation_is_shown_on_demand(online, orstats):
    one = with_content(online, "stored")
    completion = next(
        text for text in [online.content(one)["output"]["completion"], online.content(one)["input"]] if text
    )
    done = orstats("show", one, "--content")
    assert done.exit_code == 0
    assert "── completion" in done.stdout
    assert " ".join(str(completion).split())[:40] in " ".join(done.stdout.split())
    assert "── completion" not in orstats("show", one).stdout


def test_record_is_shown_when_its_content_fails(online, orstats, monkeypatch):
    def fail(_generation):
        raise NotApiResponseError("HTTP 403 is not a response of the API.")

    monkeypatch.setattr(Generation, "content", fail)
    done = orstats("show", online.ids[0], "--content")
    assert done.exit_code == 1
    assert online.record(online.ids[0])["model"] in done.stdout
    assert done.stderr == "No content: HTTP 403 is not a response of the API.\n"
    shown = orstats("show", online.ids[0], "--content", "--json")
    assert shown.exit_code == 1
    assert json.loads(shown.stdout)["content_missing"] == "HTTP 403 is not a response of the API."


def test_json_has_every_column_and_the_content(online, orstats):
    one = with_content(online, "stored")
    shown = json.loads(orstats("show", one, "--json", "--content").stdout)
    record = online.record(one)
    assert shown["total_cost"] == record["total_cost"]
    assert shown["content"] == online.content(one)
    assert shown["content_missing"] is None
    assert "content" not in json.loads(orstats("show", one, "--json").stdout)


def test_a_missing_generation_gives_3_and_advice(online, orstats):
    (lost,) = online.unknown_ids(1, age=86_400)
    done = orstats("show", lost)
    assert (done.exit_code, done.stdout) == (3, "")
    assert "Check that the id is complete" in done.stderr
    done = orstats("show", lost, "--json")
    assert done.exit_code == 3
    assert json.loads(done.stdout)["fetch_status"] == "not_found"


def test_retries_without_a_connection_are_printed(orstats, monkeypatch):
    monkeypatch.setenv("OPENROUTER_API_KEY", "k")
    done = orstats("show", "gen-1700000000-AbCdEfGhIjKlMnOpQr", "--base-url", "http://127.0.0.1:1", "--no-archive")
    assert done.exit_code == 3
    assert "(connection refused). Trying again in 0." in done.stderr
    assert "network_error: No response" in done.stderr


@pytest.mark.parametrize(
    ("reason", "word"),
    [("zero_data_retention", "zero data retention"), ("regional", "regional hosts"), ("too_old", "three months")],
)
def test_missing_content_has_a_reason(orstats, reason, word):
    with SimServer(1000, seed=0) as sim:
        one = with_content(sim, reason)
        environment = {"OPENROUTER_BASE_URL": sim.base_url, "OPENROUTER_API_KEY": sim.key}
        done = orstats("show", one, "--content", env=environment)
        assert done.exit_code == 0
        assert done.stderr.startswith("No content: ")
        assert word in done.stderr
        assert (
            word in json.loads(orstats("show", one, "--content", "--json", env=environment).stdout)["content_missing"]
        )


def test_key_without_permission_for_content_is_explained(online, orstats, monkeypatch):
    monkeypatch.setenv("OPENROUTER_API_KEY", online.plain_key)
    one = with_content(online, "stored")
    done = orstats("show", one, "--content")
    assert done.exit_code == 0
    assert "OPENROUTER_MANAGEMENT_KEY" in done.stderr


def test_a_conversation_with_everything_in_it():
    content = {
        "input": {
            "messages": [
                {"role": "system", "content": "Be [bold]brief[/bold]. \x1b]0;title\x07\x1b[2J"},
                {
                    "role": "user",
                    "name": "eve\u202e",
                    "content": [
                        {"type": "text", "text": "Look:"},
                        {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 4000}},
                        {"type": "image_url", "image_url": {"url": "https://example.org/a.png"}},
                        {"type": "input_audio", "input_audio": {"format": "wav", "data": "AAAA"}},
                        {
                            "type": "file",
                            "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,AAAA"},
                        },
                        {"type": "new", "what": 1},
                        "plain",
                    ],
                },
                {
                    "role": "assistant",
                    "content": None,
                    "tool_calls": [{"id": "call_1", "function": {"name": "find", "arguments": '{"q": 1}'}}, "odd"],
                },
                {"role": "tool", "tool_call_id": "call_1", "content": "found"},
                "odd",
            ]
        },
        "output": {"completion": "Done.", "reasoning": "Think."},
        "error": {
            "status": 502,
            "message": "no",
            "provider_name": "A",
            "raw": {"x": 1},
            "previous_errors": [{"code": 429, "message": "slow down"}],
        },
    }
    text = printed(content)
    for word in (
        "── system",
        "Be [bold]brief[/bold]. ",
        "── user · eve",
        "[image: image/png, 3.0 kB]",
        "[image: https://example.org/a.png]",
        "[audio: wav, 3 B]",
        "[file: a.pdf, application/pdf, 3 B]",
        '{"type":"new","what":1}',
        "plain",
        '→ find({"q": 1})  call_1',
        "── tool · answers call_1",
        "── reasoning",
        "── completion\nDone.",
        "502 · A · no",
        "before: 429 · slow down",
        'raw: {"x":1}',
    ):
        assert word in text
    assert not {"\x1b", "\x07", "\u202e"} & set(text)


@pytest.mark.parametrize("content", [{}, {"input": None, "output": []}, {"input": {"prompt": ""}, "output": {}}])
def test_empty_content_shows_no_turns(content):
    assert printed(content).strip() == "── completion\n(No completion is stored.)"


def test_reasoning_stands_before_the_turn_it_belongs_to():
    thought = {"role": "assistant", "content": None, "reasoning_details": [{"type": "reasoning.text", "text": "Hm."}]}
    text = printed({"input": {"messages": [thought]}, "output": {"completion": "Yes."}})
    assert "── assistant reasoning\nHm." in text
    assert "(empty)" not in text


def test_missing_completion_is_explained_by_the_finish_reason():
    assert "the model called tools" in printed({"input": "Go.", "output": {"completion": None}}, "tool_calls")


def test_a_prompt_without_messages():
    assert "── prompt\nOnce" in printed({"input": {"prompt": "Once"}, "output": {"completion": None}})


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("a\x1b[1;31mb\x1b[0m", "ab"),
        ("\x1b]8;;https://evil.example\x1b\\link\x1b]8;;\x07", "link"),
        ("\x9b31mx\x9d0;t\x07y", "xy"),
        ("a\x1bPq;data\x1b\\b", "ab"),
        ("tail\x1b", "tail"),
        ("\x1b(0line", "line"),
        ("a\u202eb\u2066c\u200b\ufeffd", "abcd"),
        ("one\r\ntwo\rthree\tfour\x00", "one\ntwo\nthree four"),
        ("\ud800", "�"),
        ("ünïcode 日本 🙂", "ünïcode 日本 🙂"),
    ],
)
def test_terminal_text_has_nothing_that_a_terminal_obeys(text, plain):
    assert terminal_text(text) == plain
    assert "\n" not in terminal_line(text)


def test_amounts_never_lose_what_is_there():
    assert [usd(value) for value in (4.2e-07, 0.1 + 0.2, 99.99999, -0.5, float("nan"))] == [
        "$0.00000042",
        "$0.3",
        "$100.0000",
        "-$0.5",
        "unknown",
    ]
