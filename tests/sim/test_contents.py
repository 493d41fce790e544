"""Stored content agrees with its metadata, shows every shape, and is missing for every documented reason."""

import base64
from collections import Counter
from datetime import UTC, datetime
from itertools import pairwise

import pytest

from orstats.sim import SimServer
from orstats.sim.dataset.account import SimulatedAccount
from orstats.sim.dataset.conversations import HOSTILE_ASKS, subjects, tokens_in

MISSING = {"logging_off": 404, "regional": 404, "too_old": 404, "zero_data_retention": 200, "stored": 200}


@pytest.fixture(scope="module")
def stored(sim):
    """All stored contents with their records."""
    return [
        (sim.record(identifier), sim.content(identifier))
        for identifier in sim.ids
        if sim.content_reason(identifier) == "stored"
    ]


@pytest.fixture(scope="module")
def messages(stored):
    return [message for _, content in stored for message in content["input"].get("messages", [])]


@pytest.mark.parametrize("reason", MISSING)
def test_each_content_reason_occurs_and_has_its_status(sim, ask, reason):
    identifiers = [identifier for identifier in sim.ids if sim.content_reason(identifier) == reason]
    assert len(identifiers) >= 10
    for identifier in identifiers[:10]:
        status, body = ask(sim, "/generation/content", id=identifier)
        assert status == MISSING[reason]
        expected = sim.content(identifier)
        assert body == (
            {"error": {"code": 404, "message": "Resource not found"}} if status == 404 else {"data": expected}
        )


def test_zero_data_retention_has_empty_content(sim):
    identifier = next(i for i in sim.ids if sim.content_reason(i) == "zero_data_retention")
    assert sim.content(identifier) == {
        "input": {"messages": []},
        "output": {"completion": None, "reasoning": None},
        "error": None,
    }


def test_reasons_follow_from_the_record(sim):
    for identifier in sim.ids:
        record, reason = sim.record(identifier), sim.content_reason(identifier)
        assert (record["data_region"] != "global") == (reason == "regional")
        assert identifier.count("-") > 1 or reason == "too_old"


def test_account_that_never_logged_has_no_content():
    server = SimServer(200, seed=1, log_content=False)
    assert {server.content_reason(identifier) for identifier in server.ids} <= {"logging_off", "too_old", "regional"}


def test_plain_key_may_not_read_content(sim, ask):
    status, body = ask(sim, "/generation/content", key=sim.plain_key, id=sim.ids[700])
    assert status == 403
    assert body == {"error": {"code": 403, "message": "Only management keys can perform this operation"}}


def test_inputs_are_messages_or_a_prompt(stored):
    shapes = Counter(next(iter(content["input"])) for _, content in stored)
    assert shapes["messages"] > 500
    assert shapes["prompt"] > 20
    roles = Counter(m["role"] for _, content in stored for m in content["input"].get("messages", []))
    assert roles.keys() == {"system", "user", "assistant", "tool"}


def test_conversations_grow_turn_by_turn(stored):
    sessions = {}
    for record, content in stored:
        if record.get("session_id") and "messages" in content["input"] and not record.get("response_cache_source_id"):
            sessions.setdefault(record["session_id"], []).append(content["input"]["messages"])
    longest = max(sessions.values(), key=len)
    assert len(longest) >= 6
    for turns in sessions.values():
        for earlier, later in pairwise(turns):
            assert later[: len(earlier)] == earlier


def test_tool_calls_are_answered_by_tool_messages(messages):
    calls = [m for m in messages if m["role"] == "assistant" and m["content"] is None]
    answers = [m for m in messages if m["role"] == "tool"]
    assert {call["id"] for m in calls for call in m["tool_calls"]} == {m["tool_call_id"] for m in answers}
    assert len(answers) > 20


def test_tool_call_has_no_completion(stored):
    called = [content for record, content in stored if record["finish_reason"] == "tool_calls"]
    assert called
    assert all(content["output"]["completion"] is None for content in called)


def parts_of(messages, kind):
    return [p for m in messages if isinstance(m["content"], list) for p in m["content"] if p["type"] == kind]


def test_parts_carry_text_pictures_sound_and_files(messages):
    assert parts_of(messages, "text")
    url = parts_of(messages, "image_url")[0]["image_url"]["url"]
    assert base64.b64decode(url.removeprefix("data:image/png;base64,")).startswith(b"\x89PNG")
    sound = parts_of(messages, "input_audio")[0]["input_audio"]
    assert sound["format"] == "wav"
    assert base64.b64decode(sound["data"])[:4] == b"RIFF"
    file = parts_of(messages, "file")[0]["file"]
    assert file["filename"] == "invoice.pdf"
    assert base64.b64decode(file["file_data"].partition(",")[2]).startswith(b"%PDF")


def test_media_in_the_content_are_counted_in_the_metadata(stored):
    for record, content in stored:
        parts = [
            part["type"]
            for message in content["input"].get("messages", [])
            if isinstance(message["content"], list)
            for part in message["content"]
        ]
        if record["api_type"] in {"completions", "stt"}:
            assert (record["num_media_prompt"] or 0) == parts.count("image_url") + parts.count("file")
            assert (record["num_input_audio_prompt"] or 0) == parts.count("input_audio")


def test_texts_are_as_long_as_the_token_counts_say(stored):
    checked = 0
    for record, content in stored:
        plain = record["api_type"] == "completions" and not record["cancelled"] and content["error"] is None
        if not plain or not content["output"]["completion"]:
            continue
        visible = record["tokens_completion"] - tokens_in(content["output"]["reasoning"] or "")
        assert tokens_in(content["output"]["completion"]) == pytest.approx(visible, abs=3), record["id"]
        checked += 1
    assert checked > 400


def test_bare_prompts_are_as_long_as_the_token_counts_say(stored):
    bare = [(record, content["input"]["prompt"]) for record, content in stored if "prompt" in content["input"]]
    counted = [(record, prompt) for record, prompt in bare if record["tokens_prompt"] is not None]
    assert {"completions", "embeddings", "image", "tts"} <= {record["api_type"] for record, _ in counted}
    for record, prompt in counted:
        assert tokens_in(prompt) == pytest.approx(record["tokens_prompt"], abs=1), record["id"]


def test_reasoning_of_a_cut_stream_is_cut_too():
    account = SimulatedAccount(6000, seed=0, until=datetime(2026, 6, 17, tzinfo=UTC))
    checked = 0
    for index in range(1000, 6000):
        record = account.record(index) if account.content_reason(index) == "stored" else {"cancelled": False}
        if record["cancelled"] and record["native_tokens_reasoning"]:
            output = account.content(index)["output"]
            assert tokens_in(output["reasoning"]) == record["native_tokens_reasoning"], record["id"]
            checked += 1
    assert checked > 5


def test_reasoning_is_there_when_it_was_counted(stored):
    with_reasoning = [record for record, content in stored if content["output"]["reasoning"]]
    assert len(with_reasoning) > 50
    assert all(record["native_tokens_reasoning"] > 0 for record in with_reasoning)


def test_stored_errors_are_in_order(stored):
    failed = [(record, content["error"]) for record, content in stored if content["error"] is not None]
    chains = [(record, error) for record, error in failed if error["previous_errors"]]
    assert chains
    for record, error in chains:
        codes = [previous["code"] for previous in error["previous_errors"]] + [error["status"]]
        assert codes == [attempt["status"] or 504 for attempt in record["provider_responses"]]
    for record, content in stored:
        assert (content["error"] is None) or (content["output"]["completion"] is None and record["total_cost"] == 0)


def test_some_prompts_and_answers_are_hostile(stored):
    text = str([content["input"] for _, content in stored])
    assert any(repr(ask)[1:-1] in text for ask in HOSTILE_ASKS)
    answers = str([content["output"]["completion"] for _, content in stored])
    assert "evil.example" in answers


def test_every_subject_is_complete():
    for name, subject in subjects().items():
        assert len(subject.asks) == len(subject.says) >= 2, name
        assert subject.document, name
        assert subject.tool, name
