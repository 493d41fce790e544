"""Readers for the parts of a stored message, its tool calls and their values. Nothing here fails on a value."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from orstats.content.messages import AudioPart, FilePart, ImagePart, Part, TextPart, ToolCall, UnknownPart
from orstats.frame import json_values

#: Sources that a text names, next to it.
_SOURCES: Final = ("annotations", "citations")
_AUDIO_KINDS: Final = frozenset({"input_audio", "output_audio", "audio"})
_IMAGE_KINDS: Final = frozenset({"image_url", "input_image", "output_image", "image"})
_FILE_KINDS: Final = frozenset({"file", "input_file", "document", "video_url", "input_video", "video"})
_ADDRESSES: Final = ("url", "file_data", "file_url", "uri", "fileUri", "file_uri", "file_id", "content")


def read_parts(content: object) -> tuple[Part, ...]:
    """Read the ``content`` of a message: null, a string, one part, or a list of parts of any kind.

    Examples
    --------
    >>> read_parts("hello"), read_parts(None)
    ((TextPart(text='hello'),), ())
    >>> read_parts([{"type": "text", "text": "look"}, {"type": "hologram"}, 7])
    (TextPart(text='look'), UnknownPart(kind='hologram'), UnknownPart(kind=None))
    """
    return tuple(part for item in listed(content) for part in _parts(item))


def read_images(values: object) -> Iterator[Part]:
    """Read the images of a message: parts, addresses, or objects with an address or data."""
    for one in listed(values):
        bare = one.get("b64_json") if isinstance(one, Mapping) else None
        url = f"data:image/png;base64,{bare}" if isinstance(bare, str) else _image_address(one)
        if url is not None:
            yield ImagePart(url)
        elif not is_empty(one):
            yield UnknownPart("image", as_json(one))


def _image_address(image: object) -> str | None:
    if not isinstance(image, Mapping):
        return _address(image)
    return _address(image.get("image_url"), image.get("source"), image)


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
    call_id = first_text(call, "call_id", "id", "toolCallId")
    nested = (call.get(name) for name in ("function", "custom", "functionCall", "function_call"))
    inner: Mapping[str, Any] = next((one for one in nested if isinstance(one, Mapping)), call)
    name = first_text(inner, "name", "toolName")
    if name is None:
        return ToolCall(call_id, None, as_json(dict(call)))
    given = (inner.get(key) for key in ("arguments", "input", "args", "parameters"))
    return ToolCall(call_id, name, as_text(next((one for one in given if one is not None), "")))


def read_calls(calls: object) -> tuple[ToolCall, ...]:
    """Read ``tool_calls``: a list of calls, a single call, or null."""
    return () if calls == "" else tuple(map(read_call, listed(calls)))


def as_json(value: object) -> str:
    """Return any JSON value as JSON text, or a placeholder if it is nested too deeply."""
    return json_values.json_text(value) or json_values.TOO_DEEP


def as_text(value: object) -> str:
    """Return text unchanged, and any other value as JSON."""
    text = json_values.text(value)
    return as_json(value) if text is None else text


def first_text(item: Mapping[str, Any], *keys: str) -> str | None:
    """Return the first of some values that is a text and not empty."""
    return next((text for key in keys if (text := json_values.text(item.get(key)))), None)


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
        yield TextPart(json_values.text(item) or "")
        return
    if not isinstance(item, Mapping):
        yield UnknownPart(None, as_json(item))
        return
    kind = json_values.text(item.get("type"))
    words = item.get("text", item.get("refusal"))
    if isinstance(words, str) and (kind is None or kind == "refusal" or "text" in kind):
        yield TextPart(json_values.text(words) or "")
        yield from (UnknownPart(key, as_json({key: item[key]})) for key in _SOURCES if not is_empty(item.get(key)))
    elif kind in _AUDIO_KINDS:
        yield from read_audio(item.get(kind) if isinstance(item.get(kind), Mapping) else item)
    elif kind == "document" and (inside := _document(item.get("source"))) is not None:
        titles = (first_text(item, key) for key in ("title", "context"))
        yield from (TextPart(one) for one in titles if one)
        yield from read_parts(inside)
    elif (part := _media(kind, item)) is not None:
        yield part
    else:
        yield UnknownPart(kind, as_json(dict(item)))


def _document(source: object) -> object:
    """Return the content of a document of text, None for one of another kind."""
    if not isinstance(source, Mapping):
        return None
    return {"text": source.get("data"), "content": source.get("content")}.get(as_text(source.get("type")))


def read_audio(sound: object) -> Iterator[Part]:
    """Read a recording; its transcript becomes a text part, so that search and comparison find it."""
    if not isinstance(sound, Mapping):
        return
    data = first_text(sound, "data", "url")
    transcript = json_values.text(sound.get("transcript"))
    if data is not None or transcript is not None or "format" in sound:
        yield AudioPart(json_values.text(sound.get("format")), data)
        if transcript is not None:
            yield TextPart(transcript)
    else:
        yield UnknownPart("audio", as_json(dict(sound)))


def _media(kind: str | None, item: Mapping[str, Any]) -> Part | None:
    """Read an image or a file; None for anything else, or without data or an address."""
    inline = item.get("inline_data", item.get("inlineData", item.get("fileData", item.get("file_data"))))
    if kind is None and isinstance(inline, Mapping):  # Gemini
        url = _address(inline)
        is_image = (first_text(inline, "mime_type", "mimeType") or "").startswith("image/")
        if url is not None:
            return ImagePart(url) if is_image else FilePart(None, url)
    if kind in _IMAGE_KINDS and (url := _image_address(item)) is not None:
        return ImagePart(url)
    if kind in _FILE_KINDS:
        inner = item.get(kind)
        described = inner if isinstance(inner, Mapping) else item
        name = first_text(described, "filename", "title")
        url = _address(inner, item.get("video_url"), described.get("source"), described)
        if name is not None or url is not None:
            return FilePart(name or ("video" if "video" in kind else None), url)
    return None


def _address(*places: object) -> str | None:
    """Return the first address or ``data:`` URL among some values: a string, or an object that holds one."""
    for place in places:
        if isinstance(place, str):
            return json_values.text(place)
        if isinstance(place, Mapping):
            data = json_values.text(place.get("data"))
            media_type = next((place[key] for key in ("media_type", "mime_type", "mimeType") if key in place), None)
            if data is not None and isinstance(media_type, str):
                return data if data.startswith("data:") else f"data:{media_type};base64,{data}"
            if (found := first_text(place, *_ADDRESSES)) is not None:
                return found
    return None


def listed(value: object) -> list[Any]:
    """Return a list unchanged, nothing for null, and a single value as a list."""
    return value if isinstance(value, list) else [] if value is None else [value]
