"""Contents as a frame: one row for each generation, or one for each message. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import orjson
import pandas as pd

from orstats.content.content import Content
from orstats.content.messages import Message
from orstats.content.parts import TextPart, ToolCall, as_json
from orstats.frame.schema import PANDAS_DTYPE, Kind

Rows = Literal["generation", "message"]

_HOW: Final[Mapping[str, Kind]] = {
    "fetch_status": "text",
    "content_status": "text",
    "reason": "text",
    "attempts": "count",
    "error": "text",
}
#: Columns and kinds of both forms, in order.
COLUMNS: Final[Mapping[Rows, Mapping[str, Kind]]] = {
    "generation": {
        **_HOW,
        "prompt": "text",
        "messages": "json",
        "message_count": "count",
        "completion": "text",
        "reasoning": "text",
        "tool_calls": "json",
        "stored_error": "json",
    },
    "message": {
        **_HOW,
        "position": "count",
        "side": "text",
        "role": "text",
        "name": "text",
        "text": "text",
        "reasoning": "text",
        "tool_calls": "json",
        "tool_call_id": "text",
        "media": "count",
    },
}


@dataclass(frozen=True, slots=True)
class Stored:
    """How asking for one content ended: ``status`` as of :func:`orstats.fetch`, ``content`` if it was answered."""

    status: str
    content: Content | None
    attempts: int = 0
    error: str | None = None


_NOT_ATTEMPTED: Final = Stored("not_attempted", None, 0, "The fetch stopped before this id was requested.")


def contents_frame(ids: Sequence[str], got: Mapping[str, Stored], rows: Rows) -> pd.DataFrame:
    """Make the frame of the ids asked for; nothing is dropped, and an empty one has the same dtypes."""
    columns = COLUMNS[rows]
    each = _by_generation if rows == "generation" else _by_message
    index: list[str] = []
    values: list[Mapping[str, Any]] = []
    for generation_id in ids:
        one = got.get(generation_id, _NOT_ATTEMPTED)
        for row in each(one.content):
            index.append(generation_id)
            values.append(_how(one) | row)
    return pd.DataFrame(
        {
            name: pd.array([row.get(name) for row in values], dtype=PANDAS_DTYPE[kind])  # type: ignore[call-overload]
            for name, kind in columns.items()
        },
        index=pd.Index(index, name="id", dtype="string"),
    )


def _how(one: Stored) -> dict[str, Any]:
    content = one.content
    return {
        "fetch_status": one.status,
        "content_status": content.status if content else None,
        "reason": content.reason or None if content else None,
        "attempts": one.attempts,
        "error": one.error,
    }


def _by_generation(content: Content | None) -> Iterator[dict[str, Any]]:
    if content is None or content.status != "stored":
        yield {}
        return
    data = orjson.loads(content.raw)
    given, error = data.get("input"), data.get("error")
    messages = given.get("messages", given) if isinstance(given, dict) else given
    yield {
        "prompt": content.prompt,
        "messages": as_json(messages) if content.messages else None,
        "message_count": len(content.messages),
        "completion": content.completion,
        "reasoning": content.reasoning,
        "tool_calls": _calls(content.tool_calls),
        "stored_error": None if error is None else as_json(error),
    }


def _by_message(content: Content | None) -> Iterator[dict[str, Any]]:
    if content is None or content.status != "stored":
        yield {}
        return
    turns = [("input", message) for message in content.messages]
    if content.prompt is not None:
        turns.insert(0, ("input", Message(None, (TextPart(content.prompt),))))
    turns += [("output", message) for message in content.output]
    if not turns:  # only an error is stored
        yield {}
    for position, (side, message) in enumerate(turns):
        yield {
            "position": position,
            "side": side,
            "role": message.role,
            "name": message.name,
            "text": message.text if message.has_text else None,
            "reasoning": message.reasoning,
            "tool_calls": _calls(message.tool_calls),
            "tool_call_id": message.tool_call_id,
            "media": sum(not isinstance(part, TextPart) for part in message.parts),
        }


def _calls(calls: Sequence[ToolCall]) -> str | None:
    return as_json([{"id": one.id, "name": one.name, "arguments": one.arguments} for one in calls]) if calls else None
