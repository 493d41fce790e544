"""Stored content as HTML: bubbles by role, tool calls, media, reasoning and the stored error. All of it bounded."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Any, Final

import orjson

from orstats.content.content import Content, StoredAttempt, StoredError
from orstats.content.messages import Message
from orstats.content.parts import AudioPart, FilePart, ImagePart, Part, TextPart, ToolCall
from orstats.frame import coerce
from orstats.notebook.html.base import SOURCE, copyable, found, image, media, pre, span
from orstats.notebook.html.markdown import markdown
from orstats.text.format import byte_size
from orstats.text.sanitize import Html, html_line

#: Characters of a message shown before "show all", and after it.
FOLDED: Final = 4_000
OPENED: Final = 200_000
#: Parts and calls of one message that are shown.
_MOST_PARTS: Final = 40
_MOST_IMAGES: Final = 4
_LONGEST_JSON: Final = 100_000
_LONGEST_STRING: Final = 2_000
_DEEPEST: Final = 60

_ROLES: Final = {"system": "system", "developer": "system", "user": "user", "assistant": "assistant", "tool": "tool"}


@dataclass(frozen=True, slots=True)
class Turn:
    """One bubble to be shown: a message of the input, a bare prompt, or the completion (``final``)."""

    message: Message
    title: str
    final: bool = False

    @property
    def length(self) -> int:
        """Characters of text and tool arguments in it."""
        calls = sum(len(call.arguments) for call in self.message.tool_calls)
        return calls + sum(len(_words(part)) for part in self.message.parts)

    def contains(self, query: str) -> bool:
        """Whether the text, a tool call or a role has `query` in it; `query` is in lower case."""
        return query in searchable(self.message).lower()


def turns(content: Content) -> list[Turn]:
    """Return the conversation in order: the messages or the bare prompt, then the completion."""
    shown = [Turn(message, _title(message)) for message in content.messages]
    if content.prompt is not None:
        shown.insert(0, Turn(Message("user", (TextPart(content.prompt),)), "prompt"))
    for message in content.output:
        # Reasoning has a tab of its own; it is shown here only where there is nothing else.
        alone = not message.parts and not message.tool_calls
        turn = message if alone else replace(message, reasoning=None)
        shown.append(Turn(turn, "reasoning" if alone else "completion", final=True))
    return shown


def bubble(turn: Turn, *, opened: bool = False, as_markdown: bool = True, query: str = "", images: bool = True) -> Html:
    """Return one turn. Folded, no more than :data:`FOLDED` characters; opened, :data:`OPENED`."""
    message = turn.message
    kind = _ROLES.get(message.role or "", "other")
    final = " orstats-final" if turn.final else ""
    role = f'<div class="orstats-role">{html_line(turn.title, 160)}</div>'
    if query:
        inside = Html(f"{role}{found(searchable(message)[: OPENED * 50], query)}")
    else:
        limit = OPENED if opened else FOLDED
        shown = _inside(message, limit, as_markdown=as_markdown, most_images=_MOST_IMAGES if images else 0)
        inside = Html(role + shown)
        if SOURCE in shown:
            inside = copyable(inside, whole=_is_whole(turn, limit))
    return Html(f'<div class="orstats-bubble orstats-{kind}{final} mathjax_ignore tex2jax_ignore">{inside}</div>')


def _tall(text: str, limit: int) -> Html:
    """Return one long text in a box of its own height."""
    inside = Html(f'<div class="orstats-tall">{pre(text, limit)}</div>{_cut(len(text), limit)}')
    return copyable(inside, whole=len(text) <= limit)


def _is_whole(turn: Turn, limit: int) -> bool:
    """Whether all of a message's text is shown, as it was."""
    message = turn.message
    parts = max(len(message.parts), len(message.tool_calls)) <= _MOST_PARTS
    calls = all(len(call.arguments) <= _LONGEST_STRING for call in message.tool_calls)
    return parts and calls and turn.length <= limit and len(message.reasoning or "") <= min(limit, FOLDED)


def searchable(message: Message) -> str:
    """Return all text of a message: its parts, tool calls and reasoning."""
    words = [_words(part) for part in message.parts]
    words += [f"{call.name or ''} {call.arguments}" for call in message.tool_calls]
    words += [message.reasoning] if message.reasoning else []
    return "\n".join(words)


def reasoning(text: str) -> Html:
    """Return the reasoning, preformatted and bounded."""
    return _tall(text, OPENED)


def stored_error(error: StoredError) -> Html:
    """Return the stored error and the attempts before it."""
    rows = [_one_error("given to the caller", error.status, error)]
    rows += [_one_error(f"attempt {n}", one.code, one) for n, one in enumerate(error.previous[:_MOST_PARTS], start=1)]
    return Html(f'<div class="orstats-error mathjax_ignore tex2jax_ignore">{"".join(rows)}</div>')


def raw_json(value: Any) -> Html:
    """Return a JSON value, indented; long texts in it are cut, and so is the whole."""
    text = json.dumps(_shortened(value, 0), ensure_ascii=False, indent=2, default=str)
    return _tall(text, _LONGEST_JSON)


def raw_content(content: Content) -> Any:
    """Return the content as it was sent, parsed."""
    return orjson.loads(content.raw) if content.status == "stored" else {"status": content.status}


def _inside(message: Message, limit: int, *, as_markdown: bool, most_images: int) -> str:
    pieces: list[str] = []
    left, images = limit, 0
    shown = message.parts[:_MOST_PARTS]
    if message.reasoning:
        most = min(limit, FOLDED)
        pieces.append(f"<small>reasoning</small>{pre(message.reasoning, most)}{_cut(len(message.reasoning), most)}")
    for part in shown:
        if isinstance(part, ImagePart):
            images += 1
            pieces.append(
                image(part.url) if images <= most_images else media("Image", "not shown: too many on this page")
            )
            continue
        if left <= 0:
            continue
        pieces.append(_part(part, left, as_markdown=as_markdown and message.role != "tool"))
        left -= len(_words(part))
    calls = message.tool_calls[:_MOST_PARTS]
    pieces += [_call(call, max(500, left)) for call in calls]
    more = len(message.parts) + len(message.tool_calls) - len(shown) - len(calls)
    if more:
        pieces.append(f"<small>and {more:,} more parts</small>")
    if not pieces:
        pieces.append("<small>(no text)</small>")
    length = sum(len(_words(part)) for part in shown)
    return "".join(pieces) + _cut(length, limit)


def _part(part: Part, limit: int, *, as_markdown: bool) -> Html:
    if isinstance(part, TextPart):
        return markdown(part.text[:limit]) if as_markdown else pre(part.text, limit)
    if isinstance(part, AudioPart):
        return media("Audio", f"{part.format or 'unknown format'}, {_encoded(part.data)}")
    if isinstance(part, FilePart):
        return media("File", f"{part.filename or 'unnamed'}, {_encoded(part.data)}")
    return Html(f"{media('Part', getattr(part, 'kind', None) or 'unknown kind')}{pre(_words(part), limit)}")


def _words(part: Part) -> str:
    """Return the text that a part would show; none for media."""
    if isinstance(part, TextPart):
        return part.text
    return "" if isinstance(part, ImagePart | AudioPart | FilePart) else part.json


def _encoded(data: str | None) -> str:
    if not data:
        return "no data"
    if data.startswith(("http://", "https://", "file-")):
        return data
    return byte_size((len(data) - data[:200].find(",") - 1) * 3 / 4)


def _call(call: ToolCall, limit: int) -> str:
    pretty = call.arguments
    if len(pretty) <= _LONGEST_JSON:
        try:
            found_json = orjson.loads(pretty)
        except orjson.JSONDecodeError:
            pass  # the model wrote no JSON: shown as it is
        else:
            pretty = json.dumps(_shortened(found_json, 0), ensure_ascii=False, indent=2)
    name = span(call.name or "unnamed", "orstats-mono")
    reference = f" <small>{html_line(call.id, 60)}</small>" if call.id else ""
    return f'<div class="orstats-call">→ calls {name}{reference}{pre(pretty, limit)}{_cut(len(pretty), limit)}</div>'


def _title(message: Message) -> str:
    title = message.role or "no role"
    if message.role not in _ROLES and message.role:
        title += " (unknown role)"
    if message.name:
        title += f" · {message.name}"
    if message.tool_call_id:
        title += f" · answers {message.tool_call_id}"
    return title


def _one_error(title: str, status: int | None, error: StoredError | StoredAttempt) -> str:
    named = " · ".join(str(word) for word in (status, error.provider_name) if word is not None)
    raw = f"<small>the provider, word for word</small>{pre(_pretty(error.raw), FOLDED)}" if error.raw else ""
    message = error.message or "no message"
    return (
        f'<div class="orstats-notice orstats-error"><h4>{html_line(title)}</h4><b>{html_line(named)}</b>'
        f"{pre(message, FOLDED)}{raw}</div>"
    )


def _pretty(text: str) -> str:
    try:
        return json.dumps(orjson.loads(text), ensure_ascii=False, indent=2)
    except (orjson.JSONDecodeError, RecursionError):
        return text


def _shortened(value: Any, depth: int) -> Any:
    """Cut what is long or deep, so that a megabyte in it neither fills the screen nor hides the rest."""
    if isinstance(value, str):
        text = coerce.text(value) or ""
        if len(text) <= _LONGEST_STRING:
            return text
        return f"{text[:200]}… ({len(text):,} characters)"
    if depth > _DEEPEST:
        return coerce.TOO_DEEP
    if isinstance(value, dict):
        return {str(key)[:200]: _shortened(item, depth + 1) for key, item in list(value.items())[:500]}
    if isinstance(value, list):
        listed = [_shortened(item, depth + 1) for item in value[:200]]
        return [*listed, f"… ({len(value) - 200:,} more)"] if len(value) > 200 else listed  # noqa: PLR2004 - as above
    return value


def _cut(length: int, limit: int) -> str:
    if length <= limit:
        return ""
    return f"<small>… the first {limit:,} of {length:,} characters</small>"
