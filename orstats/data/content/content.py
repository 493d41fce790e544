"""The stored prompt and completion of one generation, typed; and, when there is none, why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final, Literal, get_args

import orjson

from orstats.api.errors import ForbiddenError, NotFoundError
from orstats.data.content.parts import ImagePart, Part, TextPart, ToolCall, as_json, read_calls, read_parts
from orstats.data.fetch.schedule import YOUNG_S
from orstats.data.frame import coerce

ContentStatus = Literal[
    "stored",
    "not logged",
    "zero data retention",
    "regional host",
    "forbidden",
    "too old",
    "not found",
    "not yet",
]
#: All of them, for checks and docs.
CONTENT_STATUSES: Final[tuple[str, ...]] = get_args(ContentStatus)

#: Content is kept for at least three months (vendor's documentation of Input & Output Logging).
KEPT: Final = timedelta(days=90)
_YOUNG: Final = timedelta(seconds=YOUNG_S)


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation.

    ``role`` is as sent (system, user, assistant, tool, or any other; None when there is none). ``parts`` is empty for
    null content, as in assistant turns that only call tools. ``tool_call_id`` names the call that a tool's result
    answers. ``reasoning`` is what an earlier turn carried of it.
    """

    role: str | None
    parts: tuple[Part, ...] = field(repr=False)
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str | None = None
    name: str | None = None
    reasoning: str | None = field(default=None, repr=False)

    @property
    def text(self) -> str:
        """Its text parts, joined by line breaks; media and calls are left out."""
        return "\n".join(part.text for part in self.parts if isinstance(part, TextPart))


@dataclass(frozen=True, slots=True)
class StoredAttempt:
    """What one provider answered before another was tried: ``code`` is its HTTP status, ``raw`` its own words."""

    code: int | None
    message: str | None
    provider_name: str | None
    raw: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class StoredError:
    """The error that the caller was given, and those of the attempts before it, in order."""

    status: int | None
    message: str | None
    provider_name: str | None
    raw: str | None = field(default=None, repr=False)
    previous: tuple[StoredAttempt, ...] = ()


@dataclass(frozen=True, slots=True)
class Content:
    """The stored prompt and completion of one generation. Its repr shows none of it.

    Attributes
    ----------
    id
        The generation.
    status
        ``stored``, or why there is none: ``not logged`` at the time, ``zero data retention``, ``regional host``,
        ``forbidden`` (this key may not read it), ``too old``, ``not found``, ``not yet``.
    reason
        The status as a sentence, with what to do; empty when stored.
    prompt
        The input of calls that have a bare prompt and no messages.
    messages
        The input as turns; empty when there is a bare prompt.
    completion, reasoning
        The output; None when there was none.
    images
        Images of the output.
    error
        What went wrong, as stored; None when nothing did.
    raw
        ``data`` as the API sent it, JSON bytes.
    """

    id: str
    status: ContentStatus
    reason: str = ""
    prompt: str | None = field(default=None, repr=False)
    messages: tuple[Message, ...] = field(default=(), repr=False)
    completion: str | None = field(default=None, repr=False)
    reasoning: str | None = field(default=None, repr=False)
    images: tuple[ImagePart, ...] = field(default=(), repr=False)
    error: StoredError | None = field(default=None, repr=False)
    raw: bytes = field(default=b"{}", repr=False)

    def __repr__(self) -> str:
        return f"Content(id={self.id!r}, status={self.status!r}, messages={len(self.messages)})"

    @classmethod
    def from_wire(cls, generation_id: str, data: Mapping[str, Any]) -> Content:
        """Read ``data`` of ``GET /generation/content``. No value can make it fail.

        Parameters
        ----------
        generation_id
            The id asked for.
        data
            As sent; text that is no text is kept as JSON, and what is not known is in ``raw``.

        Returns
        -------
        Content
            Stored; or, when nothing is in it, of the status "zero data retention".

        Examples
        --------
        >>> content = Content.from_wire("gen-1", {"input": {"prompt": "2 + 2?"}, "output": {"completion": "4"}})
        >>> content, content.prompt, content.completion
        (Content(id='gen-1', status='stored', messages=0), '2 + 2?', '4')
        >>> Content.from_wire("gen-2", {"input": {"messages": []}, "output": {"completion": None}}).status
        'zero data retention'
        """
        given, output = _object(data.get("input")), _object(data.get("output"))
        listed = given.get("messages")
        content = cls(
            id=generation_id,
            status="stored",
            prompt=_words(given.get("prompt")),
            messages=tuple(_message(item) for item in listed) if isinstance(listed, list) else (),
            completion=_words(output.get("completion")),
            reasoning=_words(output.get("reasoning")),
            images=_images(output.get("images")),
            error=_error(data.get("error")),
            raw=(coerce.json_text(dict(data)) or coerce.object_text(data)).encode(),
        )
        if any((content.prompt, content.messages, content.completion, content.reasoning, content.images)):
            return content
        if content.error is not None:
            return content
        return missing(generation_id, "zero data retention")

    @classmethod
    def from_json(cls, generation_id: str, body: bytes) -> Content:
        """Read the JSON of ``data``, as :meth:`orstats.Archive.read_contents` gives it.

        Parameters
        ----------
        generation_id
            The id.
        body
            JSON; as for :meth:`from_wire`.

        Returns
        -------
        Content
            As of :meth:`from_wire`.

        Raises
        ------
        ValueError
            It is no JSON.
        """
        data = orjson.loads(body)
        return cls.from_wire(generation_id, data if isinstance(data, dict) else {})


_REASONS: Final[Mapping[str, str]] = {
    "zero data retention": "Nothing is stored in it: the request was made under zero data retention.",
    "regional host": "It was processed in a region of its own; regional hosts store no content.",
    "forbidden": "This key may not read it. Stored content takes the key of an organisation's administrator, or a "
    "management key: set OPENROUTER_MANAGEMENT_KEY.",
    "too old": "It is older than three months, for which content is surely kept; or Input & Output Logging was not on "
    "before the request.",
    "not found": "Nothing is stored under this id: it is unknown, of another account, or was not logged.",
    "not yet": "It is less than a minute old, and may not be stored yet; try again soon.",
    "not logged": "Most likely Input & Output Logging was not on before the request, or is off for its workspace; it "
    "cannot be had afterwards.",
}


def missing(generation_id: str, status: ContentStatus) -> Content:
    """Return the content of a generation that has none, with the reason."""
    return Content(generation_id, status, _REASONS[status])


def why_missing(
    error: ForbiddenError | NotFoundError,
    *,
    now: datetime,
    created_at: datetime | None,
    data_region: str | None,
    known: bool,
) -> ContentStatus:
    """Tell why a generation has no content: what the API's 403 or 404 means, as far as the record tells.

    Parameters
    ----------
    error
        What asking for it ended with.
    now, created_at
        Times with a zone; the age tells "not yet" from "not logged" and "too old".
    data_region
        From the record: all but ``global`` store nothing.
    known
        Whether the generation's record is known, so that the id is a good one.

    Examples
    --------
    >>> now = datetime.fromisoformat("2026-06-01T12:00Z")
    >>> why_missing(NotFoundError(""), now=now, created_at=now - timedelta(days=200), data_region="global", known=True)
    'too old'
    """
    if isinstance(error, ForbiddenError):
        return "forbidden"
    if data_region not in (None, "", "global"):
        return "regional host"
    if created_at is not None and now - created_at < _YOUNG:
        return "not yet"
    if not known:
        return "not found"
    if created_at is not None and now - created_at > KEPT:
        return "too old"
    return "not logged"


def _object(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _words(value: object) -> str | None:
    """Text as it is; any other value as JSON, so that nothing is lost."""
    if value is None:
        return None
    return coerce.text(value) if isinstance(value, str) else as_json(value)


def _message(item: object) -> Message:
    if not isinstance(item, Mapping):
        return Message(None, read_parts(item))
    parts = read_parts(item.get("content"))
    if isinstance(item.get("refusal"), str):
        parts += read_parts(item["refusal"])
    return Message(
        role=coerce.text(item.get("role")),
        parts=parts + _images(item.get("images")),
        tool_calls=read_calls(item.get("tool_calls")),
        tool_call_id=coerce.text(item.get("tool_call_id")),
        name=coerce.text(item.get("name")),
        reasoning=coerce.text(item.get("reasoning")),
    )


def _images(listed: object) -> tuple[ImagePart, ...]:
    if not isinstance(listed, list):
        return ()
    return tuple(part for part in read_parts(listed) if isinstance(part, ImagePart))


def _error(value: object) -> StoredError | None:
    if value is None:
        return None
    if not isinstance(value, Mapping):
        return StoredError(None, _words(value), None)
    listed = value.get("previous_errors")
    previous = [item for item in listed if isinstance(item, Mapping)] if isinstance(listed, list) else []
    return StoredError(
        status=coerce.count(value.get("status", value.get("code"))),
        message=_words(value.get("message")),
        provider_name=coerce.text(value.get("provider_name")),
        raw=_words(value.get("raw")),
        previous=tuple(
            StoredAttempt(
                code=coerce.count(one.get("code", one.get("status"))),
                message=_words(one.get("message")),
                provider_name=coerce.text(one.get("provider_name")),
                raw=_words(one.get("raw")),
            )
            for one in previous
        ),
    )
