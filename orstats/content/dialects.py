"""Readers for the dialects in which stored messages are written.

Content keeps the dialect of the caller: chat completions (``role`` and ``content``), the Responses API (a list of typed
items), Anthropic messages (blocks such as ``thinking``, ``tool_use`` and ``tool_result``) or Gemini contents
(``parts``). Their shapes are documented in the vendors' API references. Nothing here fails on a value: what no dialect
explains becomes an :class:`~orstats.content.messages.UnknownPart` with its JSON.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from typing import Any, Final

from orstats.content.messages import ImagePart, Message, Part, ToolCall, UnknownPart
from orstats.content.parts import (
    as_json,
    first_text,
    is_empty,
    listed,
    read_audio,
    read_call,
    read_calls,
    read_images,
    read_parts,
)
from orstats.frame import json_values

#: Keys that make an object a message rather than a part of one.
_MESSAGE_KEYS: Final = frozenset(
    [
        "role",
        "content",
        "parts",
        "tool_calls",
        "function_call",
        "refusal",
        "images",
        "reasoning",
        "reasoning_content",
        "reasoning_details",
    ]
)
#: Keys that describe a message and are not part of its content.
_ENVELOPE: Final = frozenset(["role", "type", "id", "status", "name", "tool_call_id", "index", "finish_reason"])
#: Structures next to the content that say nothing about what was exchanged, and what responses repeat of the request.
_ASIDE: Final = frozenset(
    ["usage", "usageMetadata", "logprobs", "cache_control", "metadata", "container", "tools", "tool_choice", "text"]
)
#: Wrappers and lists are followed to this depth; ``{"choices": [{"message": {"content": …}}]}`` is the deepest known.
_DEEPEST: Final = 8
#: Keys under which an object wraps a conversation.
_CONVERSATIONS: Final = ("messages", "input", "contents", "output", "message", "choices", "candidates", "turns")


def read_messages(value: object, role: str | None) -> tuple[Message, ...]:
    """Read a conversation, or one side of it.

    Examples
    --------
    >>> read_messages([{"type": "function_call", "call_id": "call_1", "name": "find", "arguments": "{}"}], None)
    (Message(role='assistant', tool_calls=(ToolCall(id='call_1', name='find'),), tool_call_id=None, name=None),)
    >>> [turn.text for turn in read_messages({"input": ["one", "two"]}, "user")]
    ['one', 'two']
    """
    if is_empty(value):
        return ()
    return tuple(_read(value, role, depth=0))


def _read(value: object, role: str | None, depth: int) -> Iterator[Message]:
    if isinstance(value, list) and depth < _DEEPEST:
        yield from _read_list(value, role, depth + 1)
    elif not isinstance(value, Mapping) or depth > _DEEPEST:
        yield Message(role, read_parts(value))
    elif isinstance(kind := value.get("type"), str) and (item := _item(kind, value)) is not None:
        yield from item
    elif isinstance(inner := value.get("content"), Mapping) and {"role", "parts"} & inner.keys():
        yield from _read(inner, role, depth + 1)
        yield from _rest_of(value, role, {"content"})
    elif value.get("object") != "response" and (
        _MESSAGE_KEYS & value.keys() or isinstance(value.get("audio"), Mapping)
    ):
        yield from _message(value, role)
    elif depth < _DEEPEST and (nested := [value[key] for key in _CONVERSATIONS if not is_empty(value.get(key))]):
        for one in nested:
            yield from _read(one, role, depth + 1)
        yield from _rest_of(value, role, {*_CONVERSATIONS, "reasoning"})
    else:
        yield Message(role, read_parts(dict(value)))


def _rest_of(wrapper: Mapping[str, Any], role: str | None, known: Collection[str]) -> Iterator[Message]:
    """Read what comes with a conversation, such as the sources of its texts."""
    if parts := tuple(_beside(wrapper, known)):
        yield Message(role, parts)


def _beside(value: Mapping[str, Any], known: Collection[str]) -> Iterator[Part]:
    """Keep the lists and objects that no dialect explains, as JSON."""
    for key, one in value.items():
        if key not in known and key not in _ASIDE and isinstance(one, Mapping | list) and not is_empty(one):
            yield UnknownPart(key, as_json({key: one}))


def _read_list(items: list[Any], role: str | None, depth: int) -> Iterator[Message]:
    """Read a list of turns; parts without a role form one turn, as in Anthropic's output."""
    if items and all(isinstance(one, Mapping) and _is_block(one) for one in items):
        yield from _message({"content": items}, role)
    elif all(isinstance(one, int | float) for one in items):  # a prompt of tokens
        yield Message(role, (UnknownPart("numbers", as_json(items)),))
    else:
        for one in items:
            yield from _read(one, role, depth)


def _is_block(item: Mapping[str, Any]) -> bool:
    """Whether an object is a part of a message (a block of content) rather than a turn or a Responses item."""
    kind = item.get("type")
    if not isinstance(kind, str) or "role" in item or _item(kind, item) is not None:
        return False
    return "content" not in item or _block_kind(item) == "result"


def _message(given: Mapping[str, Any], role: str | None) -> Iterator[Message]:
    """Read one message. Tool results inside it become turns of their own, as in the other dialects."""
    kind = given.get("type") if "content" in given else None
    role = json_values.text(given.get("role")) or (json_values.text(kind) if kind != "message" else None) or role
    blocks = [(_block_kind(block), block) for block in listed(given.get("content", given.get("parts")))]
    results = [_tool_result(block) for kind, block in blocks if kind == "result"]
    yield from results
    thoughts = [block for kind, block in blocks if kind == "reasoning"]
    message = Message(
        role=role,
        parts=tuple(_message_parts(given, blocks)),
        tool_calls=(
            *read_calls(given.get("tool_calls")),
            *read_calls(given.get("function_call")),
            *(read_call(block) for kind, block in blocks if kind == "call"),
        ),
        tool_call_id=json_values.text(given.get("tool_call_id")),
        name=json_values.text(given.get("name")),
        reasoning=_reasoning(given) or _joined(thoughts) or None,
    )
    if message.parts or message.tool_calls or message.reasoning:
        yield message
    elif not results:  # sealed reasoning, an unknown shape, or nothing
        sealed = tuple(part for one in listed(given.get("reasoning_details")) for part in _sealed(one))
        rest = {key: one for key, one in given.items() if key not in _ENVELOPE and not is_empty(one)}
        yield replace(message, parts=sealed or ((UnknownPart(None, as_json(rest)),) if rest else ()))


def _message_parts(given: Mapping[str, Any], blocks: list[tuple[str, Any]]) -> Iterator[Part]:
    for kind, block in blocks:
        if kind == "part":
            yield from read_parts([block])
        elif kind == "reasoning" and not _reasoning_texts(block):
            yield from _sealed(block)
    if isinstance(given.get("refusal"), str) and given["refusal"]:
        yield from read_parts(given["refusal"])
    yield from read_audio(given.get("audio"))
    yield from read_images(given.get("images"))
    yield from _beside(given, _MESSAGE_KEYS | _ENVELOPE | {"audio", "thinking", "tool_plan"})


def _block_kind(block: object) -> str:
    """Classify a block of content: the ``result`` of a tool, a ``call``, ``reasoning``, or a ``part``."""
    if not isinstance(block, Mapping):
        return "part"
    kind = json_values.text(block.get("type")) or ""
    if kind.endswith("tool_result") or "functionResponse" in block or "function_response" in block:
        return "result"
    if kind.endswith("tool_use") or "functionCall" in block or (not kind and "function_call" in block):
        return "call"
    if kind in ("tool_call", "function_call", "custom_tool_call", "tool-call"):
        return "call"
    if "thinking" in kind or kind.startswith("reasoning") or block.get("thought") is True:
        return "reasoning"
    return "part"


def _tool_result(block: Mapping[str, Any]) -> Message:
    """Read the result of a tool, as Anthropic and Gemini store it; that of a failed tool is named ``error``."""
    inner = block.get("functionResponse", block.get("function_response"))
    if isinstance(inner, Mapping):
        return Message("tool", read_parts(inner.get("response")), name=json_values.text(inner.get("name")))
    return Message(
        "tool",
        read_parts(block.get("content", block.get("output"))),
        tool_call_id=json_values.text(block.get("tool_use_id")),
        name="error" if block.get("is_error") is True else None,
    )


def _item(kind: str, item: Mapping[str, Any]) -> list[Message] | None:
    """Read an item of the Responses API that is not a message; None for anything else."""
    call_id = first_text(item, "call_id", "id")
    if kind.endswith("_output") and "output" in item:
        return [Message("tool", read_parts(item["output"]), tool_call_id=call_id)]
    if kind == "reasoning" and ("summary" in item or "encrypted_content" in item or "content" in item):
        texts = _reasoning_texts(item)
        return [Message("assistant", () if texts else tuple(_sealed(item)), reasoning="\n".join(texts) or None)]
    if kind == "image_generation_call" and isinstance(item.get("result"), str):
        return [Message("assistant", (ImagePart(f"data:image/png;base64,{item['result']}"),))]
    if not kind.endswith("_call") or kind == "tool_call" or "role" in item:
        return None
    if isinstance(item.get("name"), str):
        call = read_call(item)
    else:  # web_search_call, computer_call and other built-in tools
        details = {key: one for key, one in item.items() if key not in ("type", "id", "call_id", "status")}
        call = ToolCall(call_id, kind.removesuffix("_call"), as_json(details))
    turns = [Message("assistant", tool_calls=(call,))]
    for key in ("output", "error"):  # mcp_call has the result, too
        if call.name == item.get("name") and not is_empty(item.get(key)):
            name = "error" if key == "error" else None
            turns.append(Message("tool", read_parts(item[key]), tool_call_id=call_id, name=name))
    return turns


def _reasoning(given: Mapping[str, Any]) -> str | None:
    """Return the reasoning of a message: the plain text if there is one, else the texts of its details."""
    for key in ("reasoning", "reasoning_content", "thinking", "tool_plan"):
        value = given.get(key)
        if isinstance(value, str) and value:
            return json_values.text(value)
        if value and not isinstance(value, str):
            return _joined(value) or as_json(value)
    return _joined(given.get("reasoning_details")) or None


def _joined(blocks: object) -> str:
    return "\n".join(text for one in listed(blocks) for text in _reasoning_texts(one))


def _reasoning_texts(block: object, depth: int = 0) -> list[str]:
    """Return the readable texts of a reasoning block of any dialect."""
    if isinstance(block, str):
        return [json_values.text(block) or ""] if block else []
    if not isinstance(block, Mapping) or depth > _DEEPEST:
        return []
    inner = (one for key in ("thinking", "text", "reasoning", "summary", "content") for one in listed(block.get(key)))
    return [text for one in inner for text in _reasoning_texts(one, depth + 1)]


def _sealed(block: object) -> list[Part]:
    """Keep reasoning that only the provider can read (encrypted, redacted) as JSON."""
    if is_empty(block) or not isinstance(block, Mapping):
        return []
    return [UnknownPart(json_values.text(block.get("type")) or "reasoning", as_json(dict(block)))]
