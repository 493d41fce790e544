"""A stored conversation as typed values: messages, their parts and tool calls."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class TextPart:
    """Plain text, as it was sent."""

    text: str


@dataclass(frozen=True, slots=True)
class ImagePart:
    """An image: ``url`` is a ``data:`` URL that holds it, or the address of one that is not stored here."""

    url: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class AudioPart:
    """A recording: its ``format`` (such as ``wav``) as the caller named it, and its base64 ``data``, if any."""

    format: str | None
    data: str | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class FilePart:
    """A file: its name, and its content as a ``data:`` URL or an address, if any."""

    filename: str | None
    data: str | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class UnknownPart:
    """A value that orstats does not interpret: its ``type`` and all of it, as JSON text."""

    kind: str | None
    json: str = field(repr=False)


Part = TextPart | ImagePart | AudioPart | FilePart | UnknownPart


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call that the model requested. ``arguments`` is text as the model wrote it, which may not be valid JSON."""

    id: str | None
    name: str | None
    arguments: str = field(repr=False)


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


def part_text(part: Part) -> str:
    """Return the text that a part holds: its JSON if it was not interpreted, nothing for media."""
    if isinstance(part, TextPart):
        return part.text
    return part.json if isinstance(part, UnknownPart) else ""


def all_text(message: Message) -> str:
    """Return everything in a message that can be searched: its parts, tool calls and reasoning."""
    parts = [part_text(part) for part in message.parts]
    calls = [f"{call.name or ''} {call.arguments}" for call in message.tool_calls]
    return "\n".join([*parts, *calls, *([message.reasoning] if message.reasoning else [])])
