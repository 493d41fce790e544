"""An awkward account stores conversations in the formats of other APIs, with the same texts."""

from datetime import UTC, datetime

import pytest

from orstats.sim import SimServer
from orstats.sim.dataset.content_formats import FORMATS

UNTIL = datetime(2026, 6, 17, 14, 30, tzinfo=UTC)


@pytest.fixture(scope="module")
def accounts():
    """The plain and the awkward account of one seed; neither is running."""
    return SimServer(1000, seed=11, until=UNTIL), SimServer(1000, seed=11, until=UNTIL, account="awkward")


@pytest.fixture(scope="module")
def contents(accounts):
    """Pairs of the same content by format: as chat completions, and reformatted."""
    plain, awkward = accounts
    pairs = {}
    for index in range(1000):
        if awkward._account.content_reason(index) == "stored":
            pair = plain._account.content(index), awkward._account.content(index)
            pairs.setdefault(awkward._account.content_format(index), []).append(pair)
    return pairs


def texts(value):
    """All strings anywhere in a JSON value."""
    if isinstance(value, dict):
        return [text for item in value.values() for text in texts(item)]
    if isinstance(value, list):
        return [text for item in value for text in texts(item)]
    return [value] if isinstance(value, str) else []


def test_every_format_occurs_and_half_of_the_content_is_plain(contents):
    counts = {name: len(pairs) for name, pairs in contents.items()}
    assert counts.keys() == {*FORMATS, "chat"}
    assert min(counts.values()) >= 10
    assert all(plain == awkward for plain, awkward in contents["chat"])


@pytest.mark.parametrize("name", [name for name in FORMATS if not name.endswith("_string")])
def test_reformatted_content_keeps_every_prompt_and_answer(contents, name):
    for plain, awkward in contents[name]:
        stored = set(texts(awkward))
        for message in plain["input"].get("messages", []):
            assert isinstance(message["content"], list) or message["content"] in {*stored, None}
        assert plain["output"]["completion"] in {*stored, None}


@pytest.mark.parametrize("name", ["bare_string", "input_string"])
def test_string_inputs_are_the_last_text(contents, name):
    for plain, awkward in contents[name]:
        stored = awkward["input"] if name == "bare_string" else awkward["input"]["input"]
        assert stored in texts(plain["input"])


def test_output_strings_are_the_completion(contents):
    for plain, awkward in contents["output_string"]:
        assert awkward["output"] == (plain["output"]["completion"] or "")


def keys_of(contents, name):
    return {key for _, content in contents[name] for turn in turns_of(content) for key in turn}


def turns_of(content):
    stored = content["input"]
    return stored if isinstance(stored, list) else next(iter(stored.values()))


@pytest.mark.parametrize(
    ("name", "keys"),
    [
        ("reasoning_details", {"reasoning_details"}),
        ("reasoning_content", {"reasoning_content"}),
        ("audio_transcript", {"audio"}),
        ("function_call", {"function_call", "name"}),
        ("responses", {"type", "call_id", "output", "summary"}),
        ("responses_messages", {"type", "call_id", "output", "summary"}),
        ("gemini", {"parts"}),
        ("bare_list", {"role", "content"}),
    ],
)
def test_turns_have_the_fields_of_their_format(contents, name, keys):
    assert keys <= keys_of(contents, name)


def test_anthropic_turns_have_its_kinds_of_parts(contents):
    kinds = {
        part["type"] for _, content in contents["anthropic"] for turn in turns_of(content) for part in turn["content"]
    }
    assert {"text", "thinking", "tool_use", "tool_result"} <= kinds


def test_output_holds_tool_calls_where_the_turn_ended_with_them(accounts):
    _, awkward = accounts
    called = 0
    for identifier in awkward.ids:
        content, record = awkward.content(identifier), awkward.record(identifier)
        if content is None or awkward.content_format(identifier) == "chat":
            continue
        output = content["output"]
        if isinstance(output, dict) and "tool_calls" in output:
            assert record["finish_reason"] == "tool_calls"
            assert output["completion"] is None
            called += 1
    assert called > 5


def test_turns_of_a_conversation_keep_their_format(accounts):
    _, awkward = accounts
    formats = {}
    for identifier in awkward.ids:
        record = awkward.record(identifier)
        if record.get("session_id") and not record.get("response_cache_source_id"):
            formats.setdefault(record["session_id"], set()).add(awkward.content_format(identifier))
    assert {len(names) for names in formats.values()} == {1}


def test_unknown_account_is_named():
    with pytest.raises(ValueError, match="account must be 'plain' or 'awkward', got 'odd'"):
        SimServer(1, account="odd")
