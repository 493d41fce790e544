"""Content from the wire: typed, never failing, and explained when it is missing."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orstats import errors
from orstats.api.response import decode
from orstats.content.content import CONTENT_STATUSES, Content, explain_missing
from orstats.content.contents_frame import contents_frame
from orstats.content.messages import AudioPart, FilePart, ImagePart, TextPart, ToolCall, UnknownPart
from orstats.frame.build import FetchOutcome
from orstats.sim import SimServer

NOW = datetime(2026, 10, 1, tzinfo=UTC)
WIRE = {
    "input": {
        "messages": [
            {"role": "system", "content": "Be brief."},
            {
                "role": "user",
                "name": "kim",
                "content": [
                    {"type": "text", "text": "look"},
                    {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
                    {"type": "input_image", "image_url": "https://e.example/x.png"},
                    {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}},
                    {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,AA"}},
                    {"type": "hologram", "deep": [1]},
                ],
            },
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [{"id": "call_1", "type": "function", "function": {"name": "find", "arguments": "{}"}}],
            },
            {"role": "tool", "tool_call_id": "call_1", "content": "found"},
        ]
    },
    "output": {"completion": "Here.", "reasoning": "Hm."},
    "error": {
        "status": 504,
        "message": "late",
        "provider_name": "Vertex",
        "raw": "{}",
        "previous_errors": [{"code": 429, "message": "busy", "provider_name": "Google", "raw": None}],
    },
}


def test_every_kind_of_part_is_typed():
    content = Content.from_wire("gen-1", WIRE)
    system, user, assistant, tool = content.messages
    assert system.text == "Be brief."
    assert user.name == "kim"
    assert user.parts[:5] == (
        TextPart("look"),
        ImagePart("data:image/png;base64,AAAA"),
        ImagePart("https://e.example/x.png"),
        AudioPart("wav", "AAAA"),
        FilePart("a.pdf", "data:application/pdf;base64,AA"),
    )
    assert user.parts[5].kind == "hologram"
    assert isinstance(user.parts[5], UnknownPart)
    assert assistant.parts == ()
    assert assistant.tool_calls == (ToolCall("call_1", "find", "{}"),)
    assert (tool.role, tool.tool_call_id, tool.text) == ("tool", "call_1", "found")
    assert (content.completion, content.reasoning, content.status) == ("Here.", "Hm.", "stored")
    assert content.error.status == 504
    assert content.error.previous[0].provider_name == "Google"


def test_parts_that_are_neither_text_nor_media_and_parameters_are_columns():
    data = {"input": WIRE["input"] | {"temperature": 0}, "output": {"completion": "a", "citations": ["b"]}}
    content = Content.from_wire("gen-1", data)
    by_rows = {
        rows: contents_frame(["gen-1"], {"gen-1": FetchOutcome("ok", None, 1, None)}, {"gen-1": content}, rows)
        for rows in ("generation", "message")
    }
    assert by_rows["generation"]["parameters"].item() == '[{"temperature":0}]'
    assert by_rows["message"]["media"].to_list() == [0, 4, 0, 0, 0]
    assert by_rows["message"]["other"].dropna().to_list() == [
        '[{"type":"hologram","deep":[1]}]',
        '[{"citations":["b"]}]',
    ]


def test_reprs_show_no_content():
    shown = repr(Content.from_wire("gen-1", WIRE)) + repr(Content.from_wire("gen-1", WIRE).messages)
    assert "Here" not in shown
    assert "look" not in shown
    assert "found" not in shown


def test_raw_json_reads_back_to_equal_content():
    content = Content.from_wire("gen-1", WIRE)
    assert Content.from_json("gen-1", content.raw) == content


def test_failed_generation_without_text_is_stored():
    content = Content.from_wire("gen-1", {"input": {"messages": []}, "output": {}, "error": {"status": 502}})
    assert content.status == "stored"
    assert content.error.status == 502


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                ["type", "text", "role", "content", "image_url", "url", "tool_calls", "function", "arguments", "images"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@settings(max_examples=150)
@given(messages=JSON, output=JSON, error=JSON)
def test_no_value_makes_from_wire_fail(messages, output, error):
    content = Content.from_wire("gen-1", {"input": {"messages": messages}, "output": output, "error": error})
    assert content.status in CONTENT_STATUSES
    for rows in ("generation", "message"):
        outcome = FetchOutcome("ok", None, 1, None)
        assert len(contents_frame(["gen-1"], {"gen-1": outcome}, {"gen-1": content}, rows)) >= 1


@pytest.mark.parametrize(
    ("error", "age", "region", "known", "recent", "status"),
    [
        (errors.ForbiddenError(""), 10, "europe", True, True, "forbidden"),
        (errors.NotFoundError(""), 10, "europe", True, False, "regional host"),
        (errors.NotFoundError(""), 0, "global", True, True, "not yet"),
        (errors.NotFoundError(""), 0, None, False, True, "not yet"),
        (errors.NotFoundError(""), 10, "global", True, False, "not logged"),
        (errors.NotFoundError(""), 100, "global", True, False, "too old"),
        (errors.NotFoundError(""), 10, None, False, False, "not found"),
        (errors.NotFoundError(""), None, None, True, False, "not logged"),
    ],
)
def test_missing_content_is_explained(error, age, region, known, recent, status):
    created = None if age is None else NOW - timedelta(days=age)
    second = int((NOW - timedelta(days=age or 0)).timestamp())
    content = explain_missing(
        f"gen-{second}-AbCdEfGhIjKlMnOpQrSt" if recent else "gen-1",
        error,
        NOW.timestamp(),
        is_known=known,
        created_at=created if known else None,
        data_region=region,
    )
    assert content.status == status
    assert content.reason


def test_simulated_contents_are_read_completely():
    with SimServer(300, seed=5) as sim:
        for generation_id in sim.ids:
            if (data := sim.content(generation_id)) is None:
                continue
            content = Content.from_wire(generation_id, data)
            assert len(content.messages) == len(data["input"].get("messages", ()))
            assert content.completion == data["output"]["completion"]
            assert not any(isinstance(part, UnknownPart) for one in content.messages for part in one.parts)


@pytest.mark.parametrize("big", ["9" * 400, "-" + "9" * 30, "18446744073709551615"])
def test_numbers_out_of_range_do_not_break_stored_content(big):
    body = f'{{"data":{{"input":{{"prompt":"2 + 2?"}},"odd":NaN,"big":{big}}}}}'.encode()
    data = decode(200, {}, body, path="/generation/content", generation_id="gen-1", now=0.0)
    stored = Content.from_wire("gen-1", data).raw
    assert Content.from_json("gen-1", stored).prompt == "2 + 2?"
