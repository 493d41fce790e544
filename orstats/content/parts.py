"""The parts of a message, and the reader that turns any stored value into them.

Stored content keeps the dialect in which the caller wrote it: chat completions, the Responses API, Anthropic messages
or Gemini contents. Their shapes are documented in the vendors' API references. Nothing here fails on a value: what no
dialect explains becomes an :class:`UnknownPart` with its JSON.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from orstats.frame import coerce

_AUDIO_KINDS: Final = frozenset({"input_audio", "output_audio", "audio"})
_IMAGE_KINDS: Final = frozenset({"image_url", "input_image", "output_image", "image"})
_FILE_KINDS: Final = frozenset({"file", "input_file", "document", "video_url", "input_video", "video"})


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


def read_parts(content: object) -> tuple[Part, ...]:
    """Read the ``content`` of a message: null, a string, one part, or a list of parts of any kind.

    Examples
    --------
    >>> read_parts("hello"), read_parts(None)
    ((TextPart(text='hello'),), ())
    >>> read_parts([{"type": "text", "text": "look"}, {"type": "hologram"}, 7])
    (TextPart(text='look'), UnknownPart(kind='hologram'), UnknownPart(kind=None))
    """
    if content is None:
        return ()
    return tuple(part for item in (content if isinstance(content, list) else [content]) for part in _parts(item))


def part_text(part: Part) -> str:
    """Return the text that a part holds: its JSON if it was not interpreted, nothing for media."""
    if isinstance(part, TextPart):
        return part.text
    return part.json if isinstance(part, UnknownPart) else ""


def read_images(listed: object) -> tuple[ImagePart, ...]:
    """Return the images in a list of parts, ignoring anything else."""
    return tuple(part for part in read_parts(listed) if isinstance(part, ImagePart)) if isinstance(listed, list) else ()


def read_call(call: object) -> ToolCall:
    """Read one tool call of any dialect; a call without a name keeps all of its JSON as arguments.

    Examples
    --------
    >>> read_call({"id": "call_1", "function": {"name": "find", "arguments": "{}"}})
    ToolCall(id='call_1', name='find')
    >>> read_call({"type": "tool_use", "id": "toolu_1", "name": "find", "input": {"q": 1}}).arguments
    '{"q":1}'
    """
    if not isinstance(call, Mapping):
        return ToolCall(None, None, as_json(call))
    call_id = coerce.text(call.get("call_id")) or coerce.text(call.get("id"))
    nested = (call.get(name) for name in ("function", "custom", "functionCall", "function_call"))
    inner: Mapping[str, Any] = next((one for one in nested if isinstance(one, Mapping)), call)
    name = coerce.text(inner.get("name"))
    if name is None:
        return ToolCall(call_id, None, as_json(dict(call)))
    given = (inner.get(key) for key in ("arguments", "input", "args", "parameters"))
    return ToolCall(call_id, name, as_text(next((one for one in given if one is not None), "")))


def read_calls(calls: object) -> tuple[ToolCall, ...]:
    """Read ``tool_calls``: a list of calls, a single call, or null.

    Examples
    --------
    >>> read_calls([{"id": "call_1", "function": {"name": "find", "arguments": "{}"}}]), read_calls(None)
    ((ToolCall(id='call_1', name='find'),), ())
    """
    if calls is None or calls == "":
        return ()
    return tuple(read_call(call) for call in (calls if isinstance(calls, list) else [calls]))


def as_json(value: object) -> str:
    """Return JSON text of any value that came from JSON; a placeholder for what is nested too deep."""
    return coerce.json_text(value) or coerce.TOO_DEEP


def as_text(value: object) -> str:
    """Return text unchanged and any other value as JSON, so that nothing is lost."""
    text = coerce.text(value) if isinstance(value, str) else None
    return as_json(value) if text is None else text


def is_empty(value: object) -> bool:
    """Whether a value holds nothing but nulls, empty strings and empty containers.

    Examples
    --------
    >>> is_empty({"messages": [], "prompt": None}), is_empty({"completion": 0}), is_empty([{"role": "user"}])
    (True, False, False)
    """
    pending = [value]
    while pending:
        one = pending.pop()
        if isinstance(one, Mapping):
            pending.extend(one.values())
        elif isinstance(one, list):
            pending.extend(one)
        elif one is not None and one != "":
            return False
    return True


def _parts(item: object) -> Iterator[Part]:
    if isinstance(item, str):
        yield TextPart(coerce.text(item) or "")
        return
    if not isinstance(item, Mapping):
        yield UnknownPart(None, as_json(item))
        return
    kind = coerce.text(item.get("type"))
    words = item.get("text", item.get("refusal"))
    if isinstance(words, str) and (kind is None or kind == "refusal" or "text" in kind):
        yield TextPart(coerce.text(words) or "")
    elif kind in _AUDIO_KINDS:
        yield from read_audio(item.get(kind) if isinstance(item.get(kind), Mapping) else item)
    elif kind == "document" and isinstance(source := item.get("source"), Mapping) and source.get("type") == "text":
        yield TextPart(as_text(source.get("data")))
    elif (part := _media(kind, item)) is not None:
        yield part
    else:
        yield UnknownPart(kind, as_json(dict(item)))


def read_audio(sound: object) -> Iterator[Part]:
    """Read a recording; its transcript is text of its own, so that search and comparison find it."""
    if not isinstance(sound, Mapping):
        return
    data = coerce.text(sound.get("data")) or coerce.text(sound.get("url"))
    transcript = coerce.text(sound.get("transcript"))
    if data is not None or transcript is not None or "format" in sound:
        yield AudioPart(coerce.text(sound.get("format")), data)
        if transcript is not None:
            yield TextPart(transcript)
    else:
        yield UnknownPart("audio", as_json(dict(sound)))


def _media(kind: str | None, item: Mapping[str, Any]) -> Part | None:
    """Read an image or a file; None for what is neither, or does not say where its data is."""
    inline = item.get("inline_data", item.get("inlineData", item.get("fileData", item.get("file_data"))))
    if kind is None and isinstance(inline, Mapping):  # Gemini
        url = _address(inline)
        is_image = (coerce.text(inline.get("mime_type", inline.get("mimeType"))) or "").startswith("image/")
        if url is not None:
            return ImagePart(url) if is_image else FilePart(None, url)
    if kind in _IMAGE_KINDS and (url := _address(item.get("image_url"), item.get("source"), item)) is not None:
        return ImagePart(url)
    if kind in _FILE_KINDS:
        inner = item.get(kind)
        described = inner if isinstance(inner, Mapping) else item
        name = coerce.text(described.get("filename")) or coerce.text(described.get("title"))
        url = _address(inner, item.get("video_url"), described.get("source"), described)
        if name is not None or url is not None:
            return FilePart(name or (kind.split("_")[-1] if "video" in kind else None), url)
    return None


_ADDRESSES: Final = ("url", "file_data", "file_url", "uri", "fileUri", "file_uri", "file_id", "content")


def _address(*places: object) -> str | None:
    """Return the first address or ``data:`` URL among some values: a string, or an object that holds one."""
    for place in places:
        if isinstance(place, str):
            return coerce.text(place)
        if isinstance(place, Mapping):
            data = coerce.text(place.get("data"))
            media_type = next((place[key] for key in ("media_type", "mime_type", "mimeType") if key in place), None)
            if data is not None and isinstance(media_type, str):
                return data if data.startswith("data:") else f"data:{media_type};base64,{data}"
            if (found := next((text for key in _ADDRESSES if (text := coerce.text(place.get(key)))), None)) is not None:
                return found
    return None
