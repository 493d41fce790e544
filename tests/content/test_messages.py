"""Stored turns of every dialect become the same messages; a value of an unknown shape is kept as JSON."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orstats.content.content import Content, StoredError, turns
from orstats.content.dialects import read_messages
from orstats.content.messages import AudioPart, FilePart, ImagePart, Message, TextPart, ToolCall, UnknownPart

PNG = "data:image/png;base64,AAAA"
FIND = ToolCall("call_1", "find", '{"q":1}')


def only(messages):
    (message,) = messages
    return message


def text(words, role="assistant", **more):
    return Message(role, (TextPart(words),), **more)


TURNS = {
    "chat": ({"role": "user", "content": "hi"}, text("hi", "user")),
    "reasoning": ({"role": "assistant", "content": "a", "reasoning": "r"}, text("a", reasoning="r")),
    "reasoning_content": (
        {"role": "assistant", "content": None, "reasoning_content": "r"},
        Message("assistant", reasoning="r"),
    ),
    "reasoning_details": (
        {
            "role": "assistant",
            "reasoning_details": [
                {"type": "reasoning.text", "text": "a"},
                {"type": "reasoning.summary", "summary": "b"},
            ],
        },
        Message("assistant", reasoning="a\nb"),
    ),
    "empty reasoning beside details": (
        {"role": "assistant", "reasoning": "", "reasoning_details": [{"type": "reasoning.text", "text": "a"}]},
        Message("assistant", reasoning="a"),
    ),
    "function_call": (
        {"role": "assistant", "content": None, "function_call": {"name": "find", "arguments": '{"q":1}'}},
        Message("assistant", tool_calls=(ToolCall(None, "find", '{"q":1}'),)),
    ),
    "custom tool": (
        {
            "role": "assistant",
            "tool_calls": [{"id": "call_1", "type": "custom", "custom": {"name": "sql", "input": "select 1"}}],
        },
        Message("assistant", tool_calls=(ToolCall("call_1", "sql", "select 1"),)),
    ),
    "function result": ({"role": "function", "name": "find", "content": "1"}, text("1", "function", name="find")),
    "refusal": ({"role": "assistant", "content": None, "refusal": "No."}, text("No.")),
    "audio reply": (
        {"role": "assistant", "content": None, "audio": {"id": "a", "data": "AAAA", "transcript": "hello"}},
        Message("assistant", (AudioPart(None, "AAAA"), TextPart("hello"))),
    ),
    "audio transcript": (
        {"role": "assistant", "audio": {"transcript": "hello"}},
        Message("assistant", (AudioPart(None, None), TextPart("hello"))),
    ),
    "Responses message": (
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "a", "annotations": []}]},
        text("a"),
    ),
    "Responses refusal": (
        {"type": "message", "role": "assistant", "content": [{"type": "refusal", "refusal": "No."}]},
        text("No."),
    ),
    "Responses image": (
        {"role": "user", "content": [{"type": "input_image", "image_url": PNG}]},
        Message("user", (ImagePart(PNG),)),
    ),
    "Responses file": (
        {"role": "user", "content": [{"type": "input_file", "filename": "a.pdf", "file_id": "file-1"}]},
        Message("user", (FilePart("a.pdf", "file-1"),)),
    ),
    "Responses reasoning": (
        {
            "type": "reasoning",
            "id": "rs_1",
            "summary": [{"type": "summary_text", "text": "s"}],
            "encrypted_content": "x",
        },
        Message("assistant", reasoning="s"),
    ),
    "Responses call": (
        {"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "find", "arguments": '{"q":1}'},
        Message("assistant", tool_calls=(FIND,)),
    ),
    "Responses custom call": (
        {"type": "custom_tool_call", "call_id": "call_1", "name": "sql", "input": "select 1"},
        Message("assistant", tool_calls=(ToolCall("call_1", "sql", "select 1"),)),
    ),
    "Responses result": (
        {"type": "function_call_output", "call_id": "call_1", "output": "42"},
        text("42", "tool", tool_call_id="call_1"),
    ),
    "Responses result parts": (
        {"type": "function_call_output", "call_id": "call_1", "output": [{"type": "input_text", "text": "42"}]},
        text("42", "tool", tool_call_id="call_1"),
    ),
    "Responses built-in tool": (
        {"type": "web_search_call", "id": "ws_1", "status": "completed", "action": {"query": "x"}},
        Message("assistant", tool_calls=(ToolCall("ws_1", "web_search", '{"action":{"query":"x"}}'),)),
    ),
    "Responses image generation": (
        {"type": "image_generation_call", "id": "ig_1", "result": "AAAA"},
        Message("assistant", (ImagePart(PNG),)),
    ),
    "images without a type": (
        {
            "role": "assistant",
            "content": "a",
            "images": [PNG, {"image_url": {"url": PNG}}, {"b64_json": "AAAA"}, {"x": 1}],
        },
        Message("assistant", (TextPart("a"), *[ImagePart(PNG)] * 3, UnknownPart("image", '{"x":1}'))),
    ),
    "call of the AI SDK": (
        {
            "role": "assistant",
            "content": [{"type": "tool-call", "toolCallId": "call_1", "toolName": "find", "args": {"q": 1}}],
        },
        Message("assistant", tool_calls=(FIND,)),
    ),
    "Anthropic blocks": (
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "r", "signature": "s"},
                {"type": "text", "text": "a"},
                {"type": "tool_use", "id": "call_1", "name": "find", "input": {"q": 1}},
            ],
        },
        text("a", tool_calls=(FIND,), reasoning="r"),
    ),
    "Anthropic tool result": (
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "call_1", "content": "42"}]},
        text("42", "tool", tool_call_id="call_1"),
    ),
    "Anthropic failed tool": (
        {
            "role": "user",
            "content": [
                {
                    "type": "tool_result",
                    "tool_use_id": "call_1",
                    "is_error": True,
                    "content": [{"type": "text", "text": "42"}],
                }
            ],
        },
        text("42", "tool", tool_call_id="call_1", name="error"),
    ),
    "Anthropic image": (
        {
            "role": "user",
            "content": [{"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}}],
        },
        Message("user", (ImagePart(PNG),)),
    ),
    "Anthropic document": (
        {
            "role": "user",
            "content": [
                {"type": "document", "title": "T", "source": {"type": "url", "url": "https://e.example/a.pdf"}}
            ],
        },
        Message("user", (FilePart("T", "https://e.example/a.pdf"),)),
    ),
    "Anthropic document of texts": (
        {
            "role": "user",
            "content": [
                {
                    "type": "document",
                    "title": "T",
                    "source": {"type": "content", "content": [{"type": "text", "text": "a"}]},
                }
            ],
        },
        Message("user", (TextPart("T"), TextPart("a"))),
    ),
    "Anthropic citations": (
        {"role": "assistant", "content": [{"type": "text", "text": "a", "citations": [{"cited_text": "b"}]}]},
        Message("assistant", (TextPart("a"), UnknownPart("citations", '{"citations":[{"cited_text":"b"}]}'))),
    ),
    "chat annotations": (
        {"role": "assistant", "content": "a", "annotations": [{"type": "url_citation"}]},
        Message("assistant", (TextPart("a"), UnknownPart("annotations", '{"annotations":[{"type":"url_citation"}]}'))),
    ),
    "Cohere plan": ({"role": "assistant", "content": "a", "tool_plan": "r"}, text("a", reasoning="r")),
    "Gemini parts": (
        {"role": "user", "parts": [{"text": "hi"}, {"inline_data": {"mime_type": "image/png", "data": "AAAA"}}]},
        Message("user", (TextPart("hi"), ImagePart(PNG))),
    ),
    "Gemini call": (
        {"role": "model", "parts": [{"functionCall": {"name": "find", "args": {"q": 1}}}]},
        Message("model", tool_calls=(ToolCall(None, "find", '{"q":1}'),)),
    ),
    "bare string": ("hi", text("hi", None)),
}


@pytest.mark.parametrize(("item", "message"), TURNS.values(), ids=TURNS)
def test_turn_of_each_dialect_is_read(item, message):
    assert only(read_messages([item], None)) == message


@pytest.mark.parametrize(("key", "name"), [("output", None), ("error", "error")])
def test_result_or_error_of_an_mcp_call_is_a_turn(key, name):
    item = {"type": "mcp_call", "id": "call_1", "name": "find", "arguments": '{"q":1}', key: "42"}
    assert read_messages([item], None) == (
        Message("assistant", tool_calls=(FIND,)),
        text("42", "tool", tool_call_id="call_1", name=name),
    )


@pytest.mark.parametrize(
    "item",
    [
        {"role": "assistant", "hologram": [1]},
        {"type": "mcp_list_tools", "tools": [{"name": "a"}]},
        {"type": "hologram", "what": 1},
        {"role": "assistant", "content": [{"type": "redacted_thinking", "data": "sealed"}]},
        {"role": "assistant", "reasoning_details": [{"type": "reasoning.encrypted", "data": "sealed"}]},
        {"type": "reasoning", "summary": [], "encrypted_content": "sealed"},
        7,
    ],
    ids=json.dumps,
)
def test_unknown_shape_is_kept_as_json(item):
    (part,) = only(read_messages([item], "assistant")).parts
    assert isinstance(part, UnknownPart)
    assert json.loads(part.json)


def test_tool_results_inside_a_message_are_turns_before_it():
    content = [{"type": "tool_result", "tool_use_id": "call_1", "content": "42"}, {"type": "text", "text": "Go on."}]
    assert read_messages([{"role": "user", "content": content}], None) == (
        text("42", "tool", tool_call_id="call_1"),
        text("Go on.", "user"),
    )


USER = {"role": "user", "content": "hi"}
INPUTS = {
    "documented messages": ({"messages": [USER]}, None, ("hi",)),
    "documented prompt": ({"prompt": "hi"}, "hi", ()),
    "string": ("hi", "hi", ()),
    "list": ([USER], None, ("hi",)),
    "input list": ({"input": [USER]}, None, ("hi",)),
    "input string": ({"input": "hi"}, "hi", ()),
    "input strings": ({"input": ["a", "b"]}, None, ("a", "b")),
    "input object": ({"input": {"messages": [USER]}}, None, ("hi",)),
    "input object with a prompt": ({"input": {"prompt": "hi"}}, None, ("hi",)),
    "one message": ({"messages": USER}, None, ("hi",)),
    "instructions": ({"instructions": "Be brief.", "input": "hi"}, "hi", ("Be brief.",)),
    "Anthropic system": (
        {"system": [{"type": "text", "text": "Be brief."}], "messages": [USER]},
        None,
        ("Be brief.", "hi"),
    ),
    "Gemini system": (
        {"systemInstruction": {"parts": [{"text": "Be brief."}]}, "contents": [{"parts": [{"text": "hi"}]}]},
        None,
        ("Be brief.", "hi"),
    ),
    "prompts": ({"prompt": ["a", "b"]}, None, ("a", "b")),
}


@pytest.mark.parametrize(("stored", "prompt", "texts"), INPUTS.values(), ids=INPUTS)
def test_input_of_each_shape_is_read(stored, prompt, texts):
    content = Content.from_wire("gen-1", {"input": stored, "output": {"completion": "yes"}})
    assert (content.status, content.prompt, tuple(turn.text for turn in content.messages)) == ("stored", prompt, texts)


CALL = {"id": "call_1", "type": "function", "function": {"name": "find", "arguments": '{"q":1}'}}
OUTPUTS = {
    "documented": ({"completion": "yes", "reasoning": "r"}, "yes", "r", ()),
    "string": ("yes", "yes", None, ()),
    "tool calls": ({"completion": None, "tool_calls": [CALL]}, None, None, (FIND,)),
    "text and tool calls": ({"completion": "yes", "reasoning": None, "tool_calls": [CALL]}, "yes", None, (FIND,)),
    "reasoning details": (
        {"completion": None, "reasoning_details": [{"type": "reasoning.text", "text": "r"}]},
        None,
        "r",
        (),
    ),
    "audio": ({"completion": None, "audio": {"transcript": "yes"}}, "yes", None, ()),
    "parts": ({"completion": [{"type": "text", "text": "yes"}]}, "yes", None, ()),
    "structured": ({"completion": {"answer": 4}}, '{"answer":4}', None, ()),
    "message": ({"role": "assistant", "content": "yes"}, "yes", None, ()),
    "choices": ({"choices": [{"index": 0, "message": {"role": "assistant", "content": "yes"}}]}, "yes", None, ()),
    "Responses items": (
        [
            {"type": "reasoning", "summary": [{"type": "summary_text", "text": "r"}]},
            {"type": "function_call", "call_id": "call_1", "name": "find", "arguments": '{"q":1}'},
            {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "yes"}]},
        ],
        "yes",
        "r",
        (FIND,),
    ),
    "Responses object with its parameters": (
        {
            "object": "response",
            "output": [{"type": "message", "content": [{"type": "output_text", "text": "yes"}]}],
            "reasoning": {"effort": "high"},
            "text": {"format": {"type": "text"}},
        },
        "yes",
        None,
        (),
    ),
    "Responses object": (
        {"id": "resp_1", "output": [{"type": "message", "content": [{"type": "output_text", "text": "yes"}]}]},
        "yes",
        None,
        (),
    ),
    "Anthropic blocks": (
        [
            {"type": "thinking", "thinking": "r"},
            {"type": "text", "text": "yes"},
            {"type": "tool_use", "id": "call_1", "name": "find", "input": {"q": 1}},
        ],
        "yes",
        "r",
        (FIND,),
    ),
    "Gemini candidates": (
        {"candidates": [{"content": {"role": "model", "parts": [{"text": "yes"}]}}]},
        "yes",
        None,
        (),
    ),
}


@pytest.mark.parametrize(("stored", "completion", "reasoning", "calls"), OUTPUTS.values(), ids=OUTPUTS)
def test_output_of_each_shape_is_read(stored, completion, reasoning, calls):
    content = Content.from_wire("gen-1", {"input": {"prompt": "hi"}, "output": stored})
    assert (content.completion, content.reasoning, content.tool_calls) == (completion, reasoning, calls)


@pytest.mark.parametrize(
    ("stored", "shown"),
    [
        ({"messages": [USER], "tools": [{"google_search": {}}], "stop": None}, '{"tools":[{"google_search":{}}]}'),
        ({"input": {"messages": [USER], "temperature": 0}}, '{"temperature":0}'),
        ({"prompt": "hi", "response_format": {"type": "json"}}, '{"response_format":{"type":"json"}}'),
    ],
    ids=["tools", "wrapped", "prompt"],
)
def test_parameters_of_the_request_are_the_first_turn(stored, shown):
    content = Content.from_wire("gen-1", {"input": stored})
    parameters, said = turns(content)
    assert (parameters.title, [part.json for part in parameters.message.parts]) == ("parameters", [shown])
    assert said.message.text == "hi"


@pytest.mark.parametrize(
    ("given", "output"),
    [
        ({"messages": [USER]}, {"choices": [{"message": {"content": "a"}}], "citations": ["https://e.example"]}),
        (
            {"contents": []},
            {"candidates": [{"content": {"parts": [{"text": "a"}]}, "groundingMetadata": {"q": ["b"]}}]},
        ),
        ({"message": "a", "chat_history": [{"message": "b"}]}, {}),
        ({"prompt": "a"}, {"completion": "a", "output": [{"type": "message", "content": "b"}]}),
    ],
    ids=["citations", "grounding", "history", "second output"],
)
def test_what_stands_beside_a_conversation_is_kept_as_json(given, output):
    content = Content.from_wire("gen-1", {"input": given, "output": output})
    parts = [part for turn in turns(content) for part in turn.message.parts]
    assert TextPart("a") in parts
    assert isinstance(parts[-1], UnknownPart)


def test_prompt_of_tokens_is_one_part():
    assert only(read_messages([1, 2, 3], "user")).parts == (UnknownPart("numbers", "[1,2,3]"),)


@pytest.mark.parametrize("wrap", [lambda error: error, lambda error: {"error": error}], ids=["error", "body"])
def test_raw_response_in_the_metadata_of_an_error_is_read(wrap):
    error = {"code": 502, "message": "m", "metadata": {"provider_name": "P", "raw": {"x": 1}}}
    assert Content.from_wire("gen-1", {"error": wrap(error)}).error == StoredError(502, "m", "P", '{"x":1}')


def test_output_of_an_unknown_shape_is_kept_as_json():
    content = Content.from_wire("gen-1", {"input": {"query": "q"}, "output": {"results": [{"score": 0.5}]}})
    assert content.status == "stored"
    assert [part.json for turn in (*content.messages, *content.output) for part in turn.parts] == [
        '{"query":"q"}',
        '{"results":[{"score":0.5}]}',
    ]


def test_content_without_its_envelope_is_read():
    content = Content.from_wire("gen-1", {"prompt": "hi", "completion": "yes"})
    assert (content.prompt, content.completion) == ("hi", "yes")


@pytest.mark.parametrize(
    "data",
    [
        {},
        {"id": "gen-1", "input": None, "output": None},
        {"input": {"messages": [], "prompt": None}, "output": {"completion": "", "reasoning": None}},
        {"input": [], "output": "", "error": None},
        {"input": {"input": {"messages": [None]}}, "output": [{}]},
    ],
    ids=json.dumps,
)
def test_only_empty_content_is_zero_data_retention(data):
    content = Content.from_wire("gen-1", data)
    assert content.status == "zero data retention"
    assert "possible reason" in content.reason


@pytest.mark.parametrize("key", ["thinking", "content", "reasoning", "summary", "input", "messages", "output"])
def test_deep_nesting_of_any_key_is_read(key):
    deep = "end"
    for _ in range(2_000):
        deep = {key: deep, "type": "reasoning"}
    assert Content.from_wire("gen-1", {"input": deep, "output": [deep]}).status == "stored"


KEYS = (
    "type role content parts reasoning reasoning_details thinking text tool_calls function_call audio output input "
    "summary source data"
)
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=4)
    | st.sampled_from(
        ["reasoning", "tool_use", "tool_result", "function_call", "x_call", "x_output", "image", "document", "\ud800"]
    ),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS.split()), inner, max_size=4),
    max_leaves=15,
)


@settings(max_examples=200)
@given(JSON, JSON)
def test_no_stored_value_makes_reading_fail(given_input, output):
    content = Content.from_wire("gen-1", {"input": given_input, "output": output})
    for turn in (*content.messages, *content.output):
        text = "".join([turn.text, turn.reasoning or "", *(call.arguments for call in turn.tool_calls)])
        assert text.encode().decode() == text


@pytest.mark.parametrize(
    "wrap",
    [
        lambda inner: [inner],
        lambda inner: {"content": {"role": "user", "content": inner}},
        lambda inner: {"role": "user", "content": inner},
        lambda inner: {"messages": [inner]},
        lambda inner: {"type": "tool_result", "content": [inner]},
        lambda inner: {"type": "reasoning", "summary": [inner]},
    ],
    ids=["lists", "content", "message", "messages", "tool results", "reasoning"],
)
def test_content_nested_without_end_is_kept_as_json_or_named_as_too_deep(wrap):
    nested: object = "innermost"
    for _ in range(1000):
        nested = wrap(nested)
    (message,) = read_messages(nested, "user")
    assert message.parts or message.reasoning
