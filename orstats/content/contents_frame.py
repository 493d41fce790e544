"""Stored prompts and completions as a DataFrame: one row for each generation, or for each message."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, Literal

import orjson
import pandas as pd

from orstats.content.content import Content
from orstats.content.messages import AudioPart, FilePart, ImagePart, Message, Part, TextPart, ToolCall, UnknownPart
from orstats.content.parts import as_json
from orstats.frame.build import FetchOutcome
from orstats.frame.json_values import TOO_DEEP
from orstats.frame.schema import PANDAS_DTYPE, Kind

Rows = Literal["generation", "message"]

_STATUS: Final[Mapping[str, Kind]] = {
    "fetch_status": "text",
    "content_status": "text",
    "reason": "text",
    "attempts": "count",
    "error": "text",
}
#: Columns and kinds for each value of ``rows``, in order.
COLUMNS: Final[Mapping[Rows, Mapping[str, Kind]]] = {
    "generation": {
        **_STATUS,
        "prompt": "text",
        "messages": "json",
        "message_count": "count",
        "completion": "text",
        "reasoning": "text",
        "tool_calls": "json",
        "parameters": "json",
        "stored_error": "json",
    },
    "message": {
        **_STATUS,
        "position": "count",
        "side": "text",
        "role": "text",
        "name": "text",
        "text": "text",
        "reasoning": "text",
        "tool_calls": "json",
        "tool_call_id": "text",
        "media": "count",
        "other": "json",
    },
}


def contents_frame(
    ids: Sequence[str], outcomes: Mapping[str, FetchOutcome], contents: Mapping[str, Content], rows: Rows
) -> pd.DataFrame:
    """Return one row for each id, or one for each message; the dtypes are the same without rows."""
    split = _generation_rows if rows == "generation" else _message_rows
    index: list[str] = []
    values: list[Mapping[str, Any]] = []
    for generation_id in ids:
        content = contents.get(generation_id)
        status = _status_columns(outcomes[generation_id], content)
        for row in split(content) if content is not None and content.status == "stored" else [{}]:
            index.append(generation_id)
            values.append(status | row)
    return pd.DataFrame(
        {
            name: pd.array([row.get(name) for row in values], dtype=PANDAS_DTYPE[kind])  # type: ignore[call-overload]
            for name, kind in COLUMNS[rows].items()
        },
        index=pd.Index(index, name="id", dtype="string"),
    )


def _status_columns(outcome: FetchOutcome, content: Content | None) -> dict[str, Any]:
    return {
        "fetch_status": outcome.fetch_status,
        "content_status": content.status if content else None,
        "reason": content.reason or None if content else None,
        "attempts": outcome.attempts,
        "error": outcome.error,
    }


def _generation_rows(content: Content) -> Iterator[dict[str, Any]]:
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
        "parameters": _unknown(content.parameters),
        "stored_error": None if error is None else as_json(error),
    }


def _message_rows(content: Content) -> Iterator[dict[str, Any]]:
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
            "media": sum(isinstance(part, ImagePart | AudioPart | FilePart) for part in message.parts),
            "other": _unknown(message.parts),
        }


def _unknown(parts: Sequence[Part]) -> str | None:
    found = [part.json for part in parts if isinstance(part, UnknownPart)]
    return f"[{','.join(as_json(one) if one == TOO_DEEP else one for one in found)}]" if found else None


def _calls(calls: Sequence[ToolCall]) -> str | None:
    return as_json([{"id": one.id, "name": one.name, "arguments": one.arguments} for one in calls]) if calls else None
