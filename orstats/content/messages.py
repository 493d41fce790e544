"""The turns of a stored conversation, read from every dialect that callers of the API use.

Chat completions (``role`` and ``content``), the Responses API (a list of typed items), Anthropic messages (blocks such
as ``thinking``, ``tool_use`` and ``tool_result``) and Gemini contents (``parts``) all become the same
:class:`Message`. A value that no dialect explains is kept as JSON, in an
:class:`~orstats.content.parts.UnknownPart`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from orstats.content.parts import (
    ImagePart,
    Part,
    TextPart,
    ToolCall,
    UnknownPart,
    as_json,
    is_empty,
    part_text,
    read_audio,
    read_call,
    read_calls,
    read_images,
    read_parts,
)
from orstats.frame import coerce

#: Keys that make an object a message rather than a part of one.
_MESSAGE_KEYS: Final = frozenset(
    (
        "reasoning_details",
        "role",
        "content",
        "parts",
        "tool_calls",
        "function_call",
        "refusal",
        "images",
        "reasoning",
        "reasoning_content",
    )
)
#: Keys that describe a message without being content of it.
_ENVELOPE: Final = frozenset(("role", "type", "id", "status", "name", "tool_call_id", "index", "finish_reason"))
#: Wrappers are followed to this depth; ``{"choices": [{"message": {"content": …}}]}`` is the deepest known.
_DEEPEST: Final = 4
#: Objects that wrap a conversation, by the key under which it stands.
_CONVERSATIONS: Final = ("messages", "input", "contents", "output", "message", "choices", "candidates", "turns")


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation.

    ``role`` is as sent (system, user, assistant, tool, or any other; None when there is none). ``parts`` is empty for
    null content, as in assistant turns that only call tools. ``tool_call_id`` names the call that a tool's result
    answers. ``reasoning`` is the reasoning that was stored with the turn.
    """

    role: str | None
    parts: tuple[Part, ...] = field(default=(), repr=False)
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str | None = None
    name: str | None = None
    reasoning: str | None = field(default=None, repr=False)

    @property
    def text(self) -> str:
        """Its text parts, joined by line breaks; media and calls are omitted."""
        return "\n".join(part.text for part in self.parts if isinstance(part, TextPart))

    @property
    def has_text(self) -> bool:
        """Whether there is a text part, which may be empty."""
        return any(isinstance(part, TextPart) for part in self.parts)


def all_text(message: Message) -> str:
    """Return everything in a message that can be searched: its parts, tool calls and reasoning."""
    parts = [part_text(part) for part in message.parts]
    calls = [f"{call.name or ''} {call.arguments}" for call in message.tool_calls]
    return "\n".join([*parts, *calls, *([message.reasoning] if message.reasoning else [])])


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
    if isinstance(value, list):
        yield from _read_list(value, role, depth)
    elif not isinstance(value, Mapping):
        yield Message(role, read_parts(value))
    elif isinstance(kind := value.get("type"), str) and (item := _item(kind, value)) is not None:
        yield from item
    elif isinstance(inner := value.get("content"), Mapping) and {"role", "parts"} & inner.keys():
        yield from _read(inner, role, depth + 1)
    elif _MESSAGE_KEYS & value.keys() or isinstance(value.get("audio"), Mapping):
        yield from _message(value, role)
    elif depth < _DEEPEST and (nested := [value[key] for key in _CONVERSATIONS if not is_empty(value.get(key))]):
        for one in nested:
            yield from _read(one, role, depth + 1)
    else:
        yield Message(role, read_parts(dict(value)))


def _read_list(items: list[Any], role: str | None, depth: int) -> Iterator[Message]:
    """Read a list whose items are turns; neighbouring parts without a role are one turn, as in Anthropic's output."""
    if items and all(isinstance(one, Mapping) and _is_block(one) for one in items):
        yield from _message({"content": items}, role)
        return
    for one in items:
        yield from _read(one, role, depth)


def _is_block(item: Mapping[str, Any]) -> bool:
    """Whether an object is a part of a message (a block of content) rather than a turn or a Responses item."""
    kind = item.get("type")
    if not isinstance(kind, str) or "role" in item or _item(kind, item) is not None:
        return False
    return "content" not in item or _block_kind(item) == "result"


def _message(given: Mapping[str, Any], role: str | None) -> Iterator[Message]:
    """Read one message. Results of tools inside it become turns of their own, as in the other dialects."""
    kind = given.get("type") if "content" in given else None
    role = coerce.text(given.get("role")) or (coerce.text(kind) if kind != "message" else None) or role
    blocks = [(_block_kind(block), block) for block in _listed(given.get("content", given.get("parts")))]
    results = [_tool_result(block) for kind, block in blocks if kind == "result"]
    yield from results
    thoughts = [text for kind, block in blocks if kind == "reasoning" for text in _reasoning_texts(block)]
    message = Message(
        role=role,
        parts=tuple(_message_parts(given, blocks)),
        tool_calls=(
            *read_calls(given.get("tool_calls")),
            *read_calls(given.get("function_call")),
            *(read_call(block) for kind, block in blocks if kind == "call"),
        ),
        tool_call_id=coerce.text(given.get("tool_call_id")),
        name=coerce.text(given.get("name")),
        reasoning=_reasoning(given) or "\n".join(thoughts) or None,
    )
    if message.parts or message.tool_calls or message.reasoning:
        yield message
    elif not results:  # sealed reasoning, an unknown shape, or really nothing
        sealed = tuple(part for one in _listed(given.get("reasoning_details")) for part in _sealed(one))
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


def _block_kind(block: object) -> str:
    """Tell what a block of content is: the ``result`` of a tool, a ``call``, ``reasoning``, or a ``part``."""
    if not isinstance(block, Mapping):
        return "part"
    kind = coerce.text(block.get("type")) or ""
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
    """Read what a tool returned, as Anthropic and Gemini store it; a failed tool is named ``error``."""
    inner = block.get("functionResponse", block.get("function_response"))
    if isinstance(inner, Mapping):
        return Message("tool", read_parts(inner.get("response")), name=coerce.text(inner.get("name")))
    return Message(
        "tool",
        read_parts(block.get("content", block.get("output"))),
        tool_call_id=coerce.text(block.get("tool_use_id")),
        name="error" if block.get("is_error") is True else None,
    )


def _item(kind: str, item: Mapping[str, Any]) -> list[Message] | None:
    """Read an item of the Responses API that is not a message; None for anything else."""
    call_id = coerce.text(item.get("call_id")) or coerce.text(item.get("id"))
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
    if not is_empty(item.get("output")):  # mcp_call holds the answer, too
        turns.append(Message("tool", read_parts(item["output"]), tool_call_id=call_id))
    return turns


def _reasoning(given: Mapping[str, Any]) -> str | None:
    """Return the reasoning of a message: the plain text if there is one, else the texts of its details."""
    for key in ("reasoning", "reasoning_content", "thinking"):
        value = given.get(key)
        if isinstance(value, str) and value:
            return coerce.text(value)
        if value and not isinstance(value, str):
            return "\n".join(text for one in _listed(value) for text in _reasoning_texts(one)) or as_json(value)
    return "\n".join(text for one in _listed(given.get("reasoning_details")) for text in _reasoning_texts(one)) or None


def _reasoning_texts(block: object, depth: int = 0) -> list[str]:
    """Return the readable texts of a reasoning block of any dialect."""
    if isinstance(block, str):
        return [coerce.text(block) or ""] if block else []
    if not isinstance(block, Mapping) or depth > _DEEPEST:
        return []
    listed = (one for key in ("thinking", "text", "reasoning", "summary", "content") for one in _listed(block.get(key)))
    return [text for one in listed for text in _reasoning_texts(one, depth + 1)]


def _sealed(block: object) -> list[Part]:
    """Keep reasoning that only the provider can read (encrypted, redacted) as what it is."""
    if is_empty(block) or not isinstance(block, Mapping):
        return []
    return [UnknownPart(coerce.text(block.get("type")) or "reasoning", as_json(dict(block)))]


def _listed(value: object) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]
