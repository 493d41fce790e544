"""A stored conversation as text for a terminal. Its words are strangers': all are cleaned."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson
from rich.text import Text

from orstats.cli.text import clean, line, short, size

_ROLES = {"system": "magenta", "developer": "magenta", "user": "green", "assistant": "blue", "tool": "yellow"}


def conversation(content: dict[str, Any]) -> Iterator[Text]:
    """Make the texts to print: each turn under its role, then the completion, its reasoning and the stored error."""
    given, output = content.get("input"), content.get("output")
    given = given if isinstance(given, dict) else {}
    output = output if isinstance(output, dict) else {}
    if given.get("prompt") is not None:
        yield from _turn("prompt", [_text(given["prompt"])])
    messages = given.get("messages")
    for message in messages if isinstance(messages, list) else []:
        if isinstance(message, dict):
            yield from _message(message)
    if output.get("reasoning") is not None:
        yield from _turn("reasoning", [_text(output["reasoning"])], "dim")
    if output.get("completion") is not None:
        yield from _turn("completion", [_text(output["completion"])], "bold blue")
    if content.get("error") is not None:
        yield from _turn("error", list(_error(content["error"])), "red")


def _message(message: dict[str, Any]) -> Iterator[Text]:
    role = line(message.get("role") or "unknown role")
    title = role
    if message.get("name"):
        title += f" {short(message['name'])}"
    if message.get("tool_call_id"):
        title += f" (answer to {short(message['tool_call_id'])})"
    lines = list(_parts(message.get("content")))
    calls = message.get("tool_calls")
    lines += [_call(call) for call in calls] if isinstance(calls, list) else []
    yield from _turn(title, lines or ["(empty)"], _ROLES.get(role, ""))


def _turn(title: str, lines: list[str], style: str = "") -> Iterator[Text]:
    yield Text(f"\n── {title}", style=style)
    yield Text("\n".join(lines))


def _parts(content: Any) -> Iterator[str]:
    if content is None:
        return
    for part in content if isinstance(content, list) else [content]:
        yield _part(part) if isinstance(part, dict) else _text(part)


def _part(part: dict[str, Any]) -> str:
    kind = part.get("type")
    inner = part.get(kind) if isinstance(kind, str) else None
    if kind == "text" and isinstance(part.get("text"), str):
        return _text(part["text"])
    if isinstance(inner, dict):
        if isinstance(inner.get("url"), str):
            return f"[{line(kind)}: {_url(inner['url'])}]"
        if kind == "input_audio":
            return f"[input_audio: {short(inner.get('format') or 'audio')}, {_encoded(inner.get('data'))}]"
        if kind == "file":
            data = inner.get("file_data")
            held = f", {_url(data)}" if isinstance(data, str) else ""
            return f"[file: {short(inner.get('filename') or 'unnamed')}{held}]"
    return f"[{short(_json(part), 200)}]"


def _url(url: str) -> str:
    if not url.startswith("data:"):
        return short(url, 200)
    head, _, body = url.partition(",")
    return f"{short(head.removeprefix('data:').partition(';')[0] or 'data')}, {_encoded(body)}"


def _encoded(body: Any) -> str:
    return size(len(body) * 3 / 4) if isinstance(body, str) else "no data"


def _call(call: Any) -> str:
    function = call.get("function") if isinstance(call, dict) else None
    if not isinstance(function, dict):
        return f"[tool call: {short(_json(call), 200)}]"
    arguments = function.get("arguments")
    shown = arguments if isinstance(arguments, str) else _json(arguments)
    return f"→ {short(function.get('name') or 'unnamed')}({clean(shown)})  {short(call.get('id') or '')}".rstrip()


def _error(error: Any) -> Iterator[str]:
    if not isinstance(error, dict):
        yield _text(error)
        return
    yield _one_error(error)
    previous = error.get("previous_errors")
    for one in previous if isinstance(previous, list) else []:
        if isinstance(one, dict):
            yield f"before: {_one_error(one)}"
    if error.get("raw") is not None:
        yield f"raw: {_text(error['raw'])}"


def _one_error(error: dict[str, Any]) -> str:
    code = error.get("status", error.get("code"))
    named = [line(part) for part in (code, error.get("provider_name")) if part is not None]
    return " · ".join([*named, _text(error.get("message") or "no message")])


def _text(value: Any) -> str:
    return clean(value if isinstance(value, str) else _json(value))


def _json(value: Any) -> str:
    return orjson.dumps(value).decode()
