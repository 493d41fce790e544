"""A stored conversation as text for a terminal. All of it is untrusted input and cleaned before it is printed."""

from __future__ import annotations

from collections.abc import Iterator

from rich.text import Text

from orstats.cli.text import clean, line, short, size
from orstats.content.content import Content, StoredAttempt, StoredError
from orstats.content.labels import no_completion
from orstats.content.messages import Message
from orstats.content.parts import AudioPart, FilePart, ImagePart, Part, TextPart, ToolCall

_ROLES = {"system": "magenta", "developer": "magenta", "user": "green", "assistant": "blue", "tool": "yellow"}
_LONGEST_ADDRESS = 200


def conversation(content: Content, finish_reason: str | None = None) -> Iterator[Text]:
    """Make the texts to print: each turn under its role, then reasoning, completion and the stored error."""
    if content.prompt is not None:
        yield from _section("prompt", [clean(content.prompt)])
    for message in content.messages:
        if message.reasoning:
            yield from _section(f"{line(message.role or 'unknown role')} reasoning", [clean(message.reasoning)], "dim")
        if _has_body(message) or not message.reasoning:
            yield from _section(
                _title(message), list(_body(message)) or ["(empty)"], _ROLES.get(message.role or "", "")
            )
    if content.reasoning:
        yield from _section("reasoning", [clean(content.reasoning)], "dim")
    answers = [message for message in content.output if _has_body(message)]
    for message in answers:
        yield from _section("completion", list(_body(message)), "bold blue")
    if not answers:
        yield from _section("completion", [f"({no_completion(finish_reason)})"], "bold blue")
    if content.error is not None:
        yield from _section("error", list(_error(content.error)), "red")


def _section(title: str, lines: list[str], style: str = "") -> Iterator[Text]:
    yield Text(f"\n── {title}", style=style)
    yield Text("\n".join(lines))


def _title(message: Message) -> str:
    title = line(message.role or "unknown role")
    if message.name:
        title += f" {short(message.name)}"
    if message.tool_call_id:
        title += f" (answer to {short(message.tool_call_id)})"
    return title


def _has_body(message: Message) -> bool:
    return bool(message.parts or message.tool_calls)


def _body(message: Message) -> Iterator[str]:
    yield from map(_part, message.parts)
    yield from map(_call, message.tool_calls)


def _part(part: Part) -> str:
    if isinstance(part, TextPart):
        return clean(part.text)
    if isinstance(part, ImagePart):
        return f"[image: {_address(part.url)}]"
    if isinstance(part, AudioPart):
        return f"[audio: {short(part.format or 'unknown format')}, {_encoded(part.data)}]"
    if isinstance(part, FilePart):
        held = "" if part.data is None else f", {_address(part.data)}"
        return f"[file: {short(part.filename or 'unnamed')}{held}]"
    return clean(part.json)


def _address(url: str) -> str:
    if not url.startswith("data:"):
        return short(url, _LONGEST_ADDRESS)
    head, _, body = url.partition(",")
    return f"{short(head.removeprefix('data:').partition(';')[0] or 'data')}, {_encoded(body)}"


def _encoded(body: str | None) -> str:
    return "no data" if body is None else size(len(body) * 3 / 4)


def _call(call: ToolCall) -> str:
    return f"→ {short(call.name or 'unnamed')}({clean(call.arguments)})  {short(call.id or '')}".rstrip()


def _error(error: StoredError) -> Iterator[str]:
    yield _one_error(error.status, error)
    for attempt in error.previous:
        yield f"before: {_one_error(attempt.code, attempt)}"
    if error.raw is not None:
        yield f"raw: {clean(error.raw)}"


def _one_error(status: int | None, error: StoredError | StoredAttempt) -> str:
    named = [line(part) for part in (status, error.provider_name) if part is not None]
    return " · ".join([*named, clean(error.message or "no message")])
