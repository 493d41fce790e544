"""What one message is made of: typed parts, read from the wire without ever failing on a stranger's value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from orstats.data.frame import coerce

_TEXT_KINDS: Final = frozenset({"text", "input_text", "output_text"})
_IMAGE_KINDS: Final = frozenset({"image_url", "input_image", "image"})


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
    """A part of a kind that is not known here: its ``type`` and all of it, as JSON text."""

    kind: str | None
    json: str = field(repr=False)


Part = TextPart | ImagePart | AudioPart | FilePart | UnknownPart


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A function that the model wants called. ``arguments`` is text, as the model wrote it: it may be no JSON."""

    id: str | None
    name: str | None
    arguments: str = field(repr=False)


def read_parts(content: object) -> tuple[Part, ...]:
    """Read the ``content`` of a message: null, a string, or a list of parts of any kind.

    Examples
    --------
    >>> read_parts("hello"), read_parts(None)
    ((TextPart(text='hello'),), ())
    >>> read_parts([{"type": "text", "text": "look"}, {"type": "hologram"}, 7])
    (TextPart(text='look'), UnknownPart(kind='hologram'), UnknownPart(kind=None))
    """
    if content is None:
        return ()
    return tuple(_part(item) for item in (content if isinstance(content, list) else [content]))


def read_calls(calls: object) -> tuple[ToolCall, ...]:
    """Read ``tool_calls``; what is no list is none.

    Examples
    --------
    >>> read_calls([{"id": "call_1", "function": {"name": "find", "arguments": "{}"}}])
    (ToolCall(id='call_1', name='find'),)
    """
    return tuple(_call(call) for call in calls) if isinstance(calls, list) else ()


def as_json(value: object) -> str:
    """Return JSON text of any value that came from JSON; a placeholder for what is nested too deep."""
    return coerce.json_text(value) or coerce.TOO_DEEP


def _part(item: object) -> Part:
    if isinstance(item, str):
        return TextPart(coerce.text(item) or "")
    if not isinstance(item, Mapping):
        return UnknownPart(None, as_json(item))
    kind = coerce.text(item.get("type"))
    if kind in _TEXT_KINDS and isinstance(item.get("text"), str):
        return TextPart(coerce.text(item["text"]) or "")
    if kind in _IMAGE_KINDS and (url := _image_url(item)) is not None:
        return ImagePart(url)
    return _attachment(kind, item) or UnknownPart(kind, as_json(dict(item)))


def _attachment(kind: str | None, item: Mapping[str, Any]) -> AudioPart | FilePart | None:
    if kind == "input_audio" and isinstance(sound := item.get("input_audio"), Mapping):
        return AudioPart(coerce.text(sound.get("format")), coerce.text(sound.get("data")))
    if kind == "file" and isinstance(file := item.get("file"), Mapping):
        data = file.get("file_data") or file.get("file_url") or file.get("file_id")
        return FilePart(coerce.text(file.get("filename")), coerce.text(data))
    return None


def _image_url(item: Mapping[str, Any]) -> str | None:
    """Find the address: ``image_url`` is an object with a ``url``, or the address itself."""
    inner = item.get("image_url")
    return coerce.text(inner.get("url") if isinstance(inner, Mapping) else inner)


def _call(call: object) -> ToolCall:
    call_id = coerce.text(call.get("id")) if isinstance(call, Mapping) else None
    function = call.get("function") if isinstance(call, Mapping) else None
    if not isinstance(function, Mapping):
        return ToolCall(call_id, None, as_json(call))
    arguments = function.get("arguments")
    text = coerce.text(arguments)
    return ToolCall(call_id, coerce.text(function.get("name")), as_json(arguments) if text is None else text)
