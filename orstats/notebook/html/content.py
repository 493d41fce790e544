"""Stored content as HTML: bubbles by role, tool calls, media, reasoning and the stored error. All of it bounded."""

from __future__ import annotations

import json
from typing import Any, Final

import orjson

from orstats.content.content import ROLES, StoredAttempt, StoredError, Turn
from orstats.content.messages import (
    AudioPart,
    FilePart,
    ImagePart,
    Message,
    Part,
    ToolCall,
    UnknownPart,
    all_text,
    part_text,
)
from orstats.frame import json_values
from orstats.notebook.html.base import SOURCE, copyable, found, image, media, pre, span
from orstats.notebook.html.markdown import markdown
from orstats.text.format import byte_size
from orstats.text.sanitize import NO_MATH, Html, html_line

#: Characters of a message that are shown folded and opened.
FOLDED: Final = 4_000
OPENED: Final = 200_000
#: Parts and calls of one message that are shown, and images on one page.
_MAX_PARTS: Final = 40
_MAX_IMAGES: Final = 4
#: Characters of JSON shown, characters of a string in it, and levels, keys and items.
_MAX_JSON: Final = 100_000
_MAX_STRING: Final = 2_000
_MAX_DEPTH: Final = 60
_MAX_KEYS: Final = 500
_MAX_ITEMS: Final = 200


def text_length(message: Message) -> int:
    """Return the number of characters of text and tool arguments in a message."""
    calls = sum(len(call.arguments) for call in message.tool_calls)
    return calls + sum(len(part_text(part)) for part in message.parts)


def bubble(turn: Turn, *, opened: bool = False, as_markdown: bool = True, query: str = "", images: bool = True) -> Html:
    """Return one turn: its first :data:`FOLDED` characters or, opened, :data:`OPENED`; with a query, its places."""
    title = f'<div class="orstats-role">{html_line(turn.title, 160)}</div>'
    if query:
        inside = Html(title + found(all_text(turn.message)[: OPENED * 50], query))
    else:
        limit = OPENED if opened else FOLDED
        inside = Html(title + _message(turn.message, limit, as_markdown=as_markdown, images=images))
        if SOURCE in inside:
            inside = copyable(inside, complete=_is_complete(turn.message, limit))
    role = turn.message.role if turn.message.role in ROLES else "other"
    final = " orstats-final" if turn.is_output else ""
    return Html(f'<div class="orstats-bubble orstats-{role}{final} {NO_MATH}">{inside}</div>')


def reasoning(text: str) -> Html:
    """Return the reasoning, preformatted and bounded."""
    return _scrollable(text, OPENED)


def stored_error(error: StoredError) -> Html:
    """Return the stored error and the attempts before it."""
    boxes = [_one_error("returned to the caller", error.status, error)]
    boxes += [_one_error(f"attempt {n}", one.code, one) for n, one in enumerate(error.previous[:_MAX_PARTS], start=1)]
    return Html(f'<div class="orstats-error {NO_MATH}">{"".join(boxes)}</div>')


def raw_json(value: Any) -> Html:
    """Return a JSON value, indented; long strings in it are shortened."""
    return _scrollable(_indented(value), _MAX_JSON)


def _message(message: Message, limit: int, *, as_markdown: bool, images: bool) -> str:
    pieces: list[str] = []
    left, images_left = limit, _MAX_IMAGES if images else 0
    parts, calls = message.parts[:_MAX_PARTS], message.tool_calls[:_MAX_PARTS]
    if message.reasoning:
        pieces.append(f"<small>reasoning</small>{_cut_pre(message.reasoning, FOLDED)}")
    for part in parts:
        if isinstance(part, ImagePart):
            pieces.append(image(part.url) if images_left > 0 else media("Image", "not shown: too many on this page"))
            images_left -= 1
        elif left > 0:
            pieces.append(_part(part, left, as_markdown=as_markdown and message.role != "tool"))
            left -= len(part_text(part))
    pieces += [_call(call, max(500, left)) for call in calls]
    more = len(message.parts) + len(message.tool_calls) - len(parts) - len(calls)
    if more:
        pieces.append(f"<small>and {more:,} more parts</small>")
    if not pieces:
        pieces.append("<small>(no text)</small>")
    return "".join(pieces) + _cut_note(sum(len(part_text(part)) for part in parts), limit)


def _is_complete(message: Message, limit: int) -> bool:
    """Whether all text of a message is shown, unchanged, within `limit` characters."""
    return (
        max(len(message.parts), len(message.tool_calls)) <= _MAX_PARTS
        and all(len(call.arguments) <= _MAX_STRING for call in message.tool_calls)
        and text_length(message) <= limit
        and len(message.reasoning or "") <= FOLDED
    )


def _part(part: Part, limit: int, *, as_markdown: bool) -> Html:
    if isinstance(part, AudioPart):
        return media("Audio", f"{part.format or 'unknown format'}, {_data_size(part.data)}")
    if isinstance(part, FilePart):
        return media("File", f"{part.filename or 'unnamed'}, {_data_size(part.data)}")
    text = part_text(part)
    if isinstance(part, UnknownPart):
        return Html(media("Part", part.kind or "unknown kind") + pre(text, limit))
    return markdown(text[:limit]) if as_markdown else pre(text, limit)


def _data_size(data: str | None) -> str:
    if not data:
        return "no data"
    if data.startswith(("http://", "https://", "file-")):
        return data
    return byte_size((len(data) - data[:200].find(",") - 1) * 3 / 4)


def _call(call: ToolCall, limit: int) -> str:
    name = span(call.name or "unnamed", "orstats-mono")
    reference = f" <small>{html_line(call.id, 60)}</small>" if call.id else ""
    return f'<div class="orstats-call">→ calls {name}{reference}{_cut_pre(_pretty(call.arguments), limit)}</div>'


def _one_error(title: str, status: int | None, error: StoredError | StoredAttempt) -> str:
    named = " · ".join(str(word) for word in (status, error.provider_name) if word is not None)
    raw = f"<small>raw provider response</small>{pre(_pretty(error.raw), FOLDED)}" if error.raw else ""
    return (
        f'<div class="orstats-notice orstats-error"><h4>{html_line(title)}</h4><b>{html_line(named)}</b>'
        f"{pre(error.message or 'no message', FOLDED)}{raw}</div>"
    )


def _scrollable(text: str, limit: int) -> Html:
    inside = Html(f'<div class="orstats-tall">{pre(text, limit)}</div>{_cut_note(len(text), limit)}')
    return copyable(inside, complete=len(text) <= limit)


def _cut_pre(text: str, limit: int) -> str:
    return pre(text, limit) + _cut_note(len(text), limit)


def _cut_note(length: int, limit: int) -> str:
    return "" if length <= limit else f"<small>… the first {limit:,} of {length:,} characters</small>"


def _pretty(text: str) -> str:
    """Indent JSON text; text that is not valid JSON, or too long to parse, is returned unchanged."""
    if len(text) > _MAX_JSON:
        return text
    try:
        return _indented(orjson.loads(text))
    except orjson.JSONDecodeError:
        return text


def _indented(value: Any) -> str:
    return json.dumps(_shortened(value), ensure_ascii=False, indent=2, default=str)


def _shortened(value: Any, depth: int = 0) -> Any:
    """Shorten long strings and lists and deep nesting, so that a megabyte in a value does not hide the rest."""
    if isinstance(value, str):
        text = json_values.text(value) or ""
        return text if len(text) <= _MAX_STRING else f"{text[:200]}… ({len(text):,} characters)"
    if depth > _MAX_DEPTH:
        return json_values.TOO_DEEP
    if isinstance(value, dict):
        return {str(key)[:200]: _shortened(item, depth + 1) for key, item in list(value.items())[:_MAX_KEYS]}
    if isinstance(value, list):
        omitted = [f"… ({len(value) - _MAX_ITEMS:,} more)"] if len(value) > _MAX_ITEMS else []
        return [_shortened(item, depth + 1) for item in value[:_MAX_ITEMS]] + omitted
    return value
