"""A stored conversation as text for a terminal. All of it is untrusted input and cleaned before it is printed."""

from __future__ import annotations

from collections.abc import Iterator

from rich.text import Text

from orstats.content.content import Content, StoredAttempt, StoredError, turns
from orstats.content.messages import AudioPart, FilePart, ImagePart, Message, Part, TextPart, ToolCall
from orstats.content.record_facts import no_completion
from orstats.text.format import byte_size
from orstats.text.sanitize import terminal_line, terminal_text

_ROLES = {"system": "magenta", "developer": "magenta", "user": "green", "assistant": "blue", "tool": "yellow"}
_LONGEST_ADDRESS = 200


def conversation(content: Content, finish_reason: str | None = None) -> Iterator[Text]:
    """Make the texts to print: each turn under its title, then reasoning, completion and the stored error."""
    shown = turns(content)
    for turn in shown:
        message = turn.message
        if turn.is_output:
            continue
        if message.reasoning:
            yield from _section(f"{message.role or 'no role'} reasoning", [terminal_text(message.reasoning)], "dim")
        if _has_body(message) or not message.reasoning:
            style = _ROLES.get(message.role or "", "")
            yield from _section(turn.title, list(_body(message)) or ["(empty)"], style)
    if content.reasoning:
        yield from _section("reasoning", [terminal_text(content.reasoning)], "dim")
    completions = [turn for turn in shown if turn.is_output and _has_body(turn.message)]
    for turn in completions:
        yield from _section(turn.title, list(_body(turn.message)), "bold blue")
    if not completions:
        yield from _section("completion", [f"({no_completion(finish_reason)})"], "bold blue")
    if content.error is not None:
        yield from _section("error", list(_error(content.error)), "red")


def _section(title: str, lines: list[str], style: str = "") -> Iterator[Text]:
    yield Text(f"\n── {terminal_line(title, 160)}", style=style)
    yield Text("\n".join(lines))


def _has_body(message: Message) -> bool:
    return bool(message.parts or message.tool_calls)


def _body(message: Message) -> Iterator[str]:
    yield from map(_part, message.parts)
    yield from map(_call, message.tool_calls)


def _part(part: Part) -> str:
    if isinstance(part, TextPart):
        return terminal_text(part.text)
    if isinstance(part, ImagePart):
        return f"[image: {_address(part.url)}]"
    if isinstance(part, AudioPart):
        return f"[audio: {terminal_line(part.format or 'unknown format', 60)}, {_encoded(part.data)}]"
    if isinstance(part, FilePart):
        held = "" if part.data is None else f", {_address(part.data)}"
        return f"[file: {terminal_line(part.filename or 'unnamed', 60)}{held}]"
    return terminal_text(part.json)


def _address(url: str) -> str:
    if not url.startswith("data:"):
        return terminal_line(url, _LONGEST_ADDRESS)
    head, _, body = url.partition(",")
    return f"{terminal_line(head.removeprefix('data:').partition(';')[0] or 'data', 60)}, {_encoded(body)}"


def _encoded(body: str | None) -> str:
    return "no data" if body is None else byte_size(len(body) * 3 / 4)


def _call(call: ToolCall) -> str:
    name, call_id = terminal_line(call.name or "unnamed", 60), terminal_line(call.id or "", 60)
    return f"→ {name}({terminal_text(call.arguments)})  {call_id}".rstrip()


def _error(error: StoredError) -> Iterator[str]:
    yield _one_error(error.status, error)
    for attempt in error.previous:
        yield f"before: {_one_error(attempt.code, attempt)}"
    if error.raw is not None:
        yield f"raw: {terminal_text(error.raw)}"


def _one_error(status: int | None, error: StoredError | StoredAttempt) -> str:
    named = [terminal_line(part) for part in (status, error.provider_name) if part is not None]
    return " · ".join([*named, terminal_text(error.message or "no message")])
