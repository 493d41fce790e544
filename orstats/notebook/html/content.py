"""Stored content as HTML: bubbles by role, tool calls, media, reasoning and the stored error. All of it bounded."""

from __future__ import annotations

import json
from collections.abc import Iterable
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
from orstats.notebook.html.base import SOURCE, action, copyable, found, image, media, pre, span
from orstats.notebook.html.markdown import markdown
from orstats.text.format import byte_size
from orstats.text.sanitize import NO_MATH, Html, html_line

#: Characters and lines of a message that are shown folded, and characters that are shown opened.
FOLDED: Final = 2_000
FOLDED_LINES: Final = 20
OPENED: Final = 200_000
#: Parts and calls of one message that are shown.
_MAX_PARTS: Final = 40
#: Characters of HTML on one page after which images are only named.
IMAGE_BUDGET: Final = 8_000_000
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


def is_long(message: Message) -> bool:
    """Whether a message is folded at first."""
    return text_length(message) > FOLDED or _lines(message) > FOLDED_LINES


def bubble(
    turn: Turn,
    name: str = "",
    *,
    opened: bool = False,
    as_markdown: bool | None = False,
    query: str = "",
    images: int = IMAGE_BUDGET,
) -> Html:
    """Return one turn: its first :data:`FOLDED_LINES` lines or, opened, all of it; with a query, its places in it.

    `name` is the value of its buttons. Text is shown as typed, or with `as_markdown` formatted; None omits this switch.
    Images are shown until their HTML has `images` characters.
    """
    title = f'<div class="orstats-role">{html_line(turn.title, 160)}</div>'
    if query:
        inside = Html(title + found(all_text(turn.message)[: OPENED * 50], query))
    else:
        limit, lines = (OPENED, OPENED) if opened else (FOLDED, FOLDED_LINES)
        formatted = bool(as_markdown)
        shown = _message(turn.message, limit, lines, as_markdown=formatted, images=images)
        title = f'<div class="orstats-top">{title}{_switches(turn, name, opened=opened, as_markdown=as_markdown)}</div>'
        inside = Html(title + shown)
        if SOURCE in inside:
            inside = copyable(inside, complete=_is_complete(turn.message, limit, lines))
    role = turn.message.role if turn.message.role in ROLES else "other"
    final = " orstats-final" if turn.is_output else ""
    return Html(f'<div class="orstats-bubble orstats-{role}{final} {NO_MATH}">{inside}</div>')


def _switches(turn: Turn, name: str, *, opened: bool, as_markdown: bool | None) -> str:
    switches = []
    if is_long(turn.message):
        length, lines = text_length(turn.message), _lines(turn.message)
        label = f"show all {lines:,} lines" if lines > FOLDED_LINES else f"show all {length:,} characters"
        if length > OPENED:
            label = f"show {OPENED:,} of {length:,} characters"
        switches.append(action("fold", "show less" if opened else label, name, about=turn.title))
    if as_markdown is not None and turn.message.has_text and turn.message.role != "tool":
        switches.append(action("format", "formatted", name, pressed=as_markdown, about=turn.title))
    return "".join(switches)


def _lines(message: Message) -> int:
    texts = [*map(part_text, message.parts), *(call.arguments for call in message.tool_calls)]
    return sum(text.count("\n") + 1 for text in texts if text)


def reasoning(text: str) -> Html:
    """Return the reasoning, preformatted and bounded."""
    return _scrollable(text, OPENED)


def section(title: str, inside: Html) -> Html:
    """Return a part of the card under a heading."""
    return Html(f"<h3>{html_line(title)}</h3>{inside}")


def folded(title: str, inside: Html) -> Html:
    """Return a part of the card that opens by a click on its title, without any script."""
    return Html(f"<details><summary>{html_line(title)}</summary>{inside}</details>")


def jumps(targets: Iterable[tuple[str, str]]) -> Html:
    """Return links to parts of the card: their titles and names."""
    links = "".join(action("jump", title, name) for title, name in targets)
    return Html(f'<nav class="orstats-jumps" aria-label="Parts of this card">{links}</nav>' if links else "")


def search_box() -> Html:
    """Return the search field of the conversation."""
    return Html(
        '<input type="search" class="orstats-search" data-action="search" data-value="" '
        'aria-label="Search in this conversation" placeholder="search in this conversation">'
    )


def feedback_form(categories: Iterable[str]) -> Html:
    """Return the form that reports a problem to the vendor."""
    options = "".join(
        f'<option value="{html_line(one)}">{html_line(one.replace("_", " "))}</option>' for one in categories
    )
    return Html(
        '<div class="orstats-form"><label>Category <select required><option value="">choose one</option>'
        f'{options}</select></label><label>Comment (optional) <textarea rows="2"></textarea></label>'
        f"{action('feedback', 'Send to OpenRouter')}"
        "<small>This can be sent once for each generation, and not be withdrawn.</small></div>"
    )


def stored_error(error: StoredError) -> Html:
    """Return the stored error and the attempts before it."""
    boxes = [_one_error("returned to the caller", error.status, error)]
    boxes += [_one_error(f"attempt {n}", one.code, one) for n, one in enumerate(error.previous[:_MAX_PARTS], start=1)]
    return Html(f'<div class="orstats-error {NO_MATH}">{"".join(boxes)}</div>')


def raw_json(value: Any) -> Html:
    """Return a JSON value, indented; long strings in it are shortened."""
    return _scrollable(_indented(value), _MAX_JSON)


def _message(message: Message, limit: int, lines: int, *, as_markdown: bool, images: int) -> str:
    pieces: list[str] = []
    left = limit
    is_cut = False
    parts, calls = message.parts[:_MAX_PARTS], message.tool_calls[:_MAX_PARTS]
    if message.reasoning:
        pieces.append(f"<small>reasoning</small>{_cut_pre(message.reasoning, FOLDED)}")
    for part in parts:
        if isinstance(part, ImagePart):
            pieces.append(image(part.url) if images > 0 else media("Image", "not shown: too many on this page"))
            images -= len(pieces[-1])
            continue
        text = part_text(part)
        shown = _head(text, left, lines)
        is_cut |= len(shown) < len(text)
        if shown or not text:
            pieces.append(_part(part, shown, as_markdown=as_markdown and message.role != "tool"))
            left, lines = left - len(shown), lines - shown.count("\n") - 1
    pieces += [_call(call, _head(_pretty(call.arguments), max(500, left), max(5, lines))) for call in calls]
    more = len(message.parts) + len(message.tool_calls) - len(parts) - len(calls)
    if more:
        pieces.append(f"<small>and {more:,} more parts</small>")
    if not pieces:
        pieces.append("<small>(no text)</small>")
    total = sum(len(part_text(part)) for part in parts)
    return "".join(pieces) + (_cut_note(total, limit) or ("<small>…</small>" if is_cut else ""))


def _head(text: str, limit: int, lines: int) -> str:
    """Return the first lines of a text, within `limit` characters."""
    shown = text[: max(0, limit)]
    if lines <= 0:
        return ""
    return "\n".join(shown.split("\n", lines)[:lines]) if lines < len(shown) else shown


def _is_complete(message: Message, limit: int, lines: int) -> bool:
    """Whether all text of a message is shown, unchanged, within `limit` characters and `lines` lines."""
    return (
        max(len(message.parts), len(message.tool_calls)) <= _MAX_PARTS
        and all(len(call.arguments) <= _MAX_STRING for call in message.tool_calls)
        and text_length(message) <= limit
        and _lines(message) <= lines
        and len(message.reasoning or "") <= FOLDED
    )


def _part(part: Part, shown: str, *, as_markdown: bool) -> Html:
    if isinstance(part, AudioPart):
        return media("Audio", f"{part.format or 'unknown format'}, {_data_size(part.data)}")
    if isinstance(part, FilePart):
        return media("File", f"{part.filename or 'unnamed'}, {_data_size(part.data)}")
    if isinstance(part, UnknownPart):
        return Html(media("Part", part.kind or "unknown kind") + pre(shown))
    return markdown(shown) if as_markdown else pre(shown)


def _data_size(data: str | None) -> str:
    if not data:
        return "no data"
    if data.startswith(("http://", "https://", "file-")):
        return data
    return byte_size((len(data) - data[:200].find(",") - 1) * 3 / 4)


def _call(call: ToolCall, shown: str) -> str:
    name = span(call.name or "unnamed", "orstats-mono")
    reference = f" <small>{html_line(call.id, 60)}</small>" if call.id else ""
    cut = "<small>…</small>" if len(shown) < len(_pretty(call.arguments)) else ""
    return f'<div class="orstats-call">→ calls {name}{reference}{pre(shown)}{cut}</div>'


def _one_error(title: str, status: int | None, error: StoredError | StoredAttempt) -> str:
    named = " · ".join(str(word) for word in (status, error.provider_name) if word is not None)
    raw = f"<small>raw provider response</small>{pre(_pretty(error.raw), FOLDED)}" if error.raw else ""
    return (
        f'<div class="orstats-notice orstats-error"><h4>{html_line(title)}</h4><b>{html_line(named)}</b>'
        f"{pre(error.message or 'no message', FOLDED)}{raw}</div>"
    )


def _scrollable(text: str, limit: int) -> Html:
    region = 'tabindex="0" role="region" aria-label="Text"'
    inside = Html(f'<div class="orstats-tall" {region}>{pre(text, limit)}</div>{_cut_note(len(text), limit)}')
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
