"""The stored prompt and completion of one generation, typed, or the reason why there is none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final, Literal, get_args

from orstats.content.conversation import read_content
from orstats.content.messages import ImagePart, Message, TextPart, ToolCall, UnknownPart
from orstats.content.parts import as_text
from orstats.errors import ForbiddenError, NotFoundError
from orstats.fetching.scheduler import call_ended_at, may_appear
from orstats.frame import json_values
from orstats.ids.id_shapes import id_created_at
from orstats.text.json_text import parse_json

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
_KEPT_S: Final = 90 * 86_400


@dataclass(frozen=True, slots=True)
class StoredAttempt:
    """A failed attempt before another provider was tried: ``code`` is the HTTP status, ``raw`` the raw response."""

    code: int | None
    message: str | None
    provider_name: str | None
    raw: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class StoredError:
    """The error that the caller received, and those of the attempts before it, in order."""

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
        The generation's id.
    status
        ``stored``, or why there is none: ``not logged``, ``zero data retention``, ``regional host``, ``forbidden``
        (this key may not read it), ``too old``, ``not found``, ``not yet``.
    reason
        The status as a sentence, with advice; empty when stored.
    prompt
        The input of calls with a plain prompt instead of messages.
    messages
        The input as turns, in any dialect; empty when there is only a plain prompt.
    output
        The output as turns: usually one, several from the Responses API.
    parameters
        What was sent with the prompt, such as ``tools`` and ``response_format``: the name as ``kind``, and its JSON.
    error
        The stored error; None if there is none.
    raw
        ``data`` as the API sent it, JSON bytes.
    """

    id: str
    status: ContentStatus
    reason: str = ""
    prompt: str | None = field(default=None, repr=False)
    messages: tuple[Message, ...] = field(default=(), repr=False)
    output: tuple[Message, ...] = field(default=(), repr=False)
    parameters: tuple[UnknownPart, ...] = field(default=(), repr=False)
    error: StoredError | None = field(default=None, repr=False)
    raw: bytes = field(default=b"{}", repr=False)

    def __repr__(self) -> str:
        return f"Content(id={self.id!r}, status={self.status!r}, messages={len(self.messages)})"

    @property
    def completion(self) -> str | None:
        """The text of the output; None when there is none, as when the model only called tools."""
        texts = [turn.text for turn in self.output if turn.has_text]
        return "\n".join(texts) if texts else None

    @property
    def reasoning(self) -> str | None:
        """The reasoning of the output; None when none is stored."""
        return "\n".join(turn.reasoning for turn in self.output if turn.reasoning) or None

    @property
    def tool_calls(self) -> tuple[ToolCall, ...]:
        """The tool calls of the output."""
        return tuple(call for turn in self.output for call in turn.tool_calls)

    @property
    def images(self) -> tuple[ImagePart, ...]:
        """The images of the output."""
        return tuple(part for turn in self.output for part in turn.parts if isinstance(part, ImagePart))

    @classmethod
    def from_wire(cls, generation_id: str, data: Mapping[str, Any]) -> Content:
        """Read ``data`` of ``GET /generation/content``, in any dialect. No value makes it fail.

        Parameters
        ----------
        generation_id
            The requested id.
        data
            As sent. Values of an unknown shape are kept as JSON parts, and ``raw`` holds everything.

        Returns
        -------
        Content
            With the status "stored", or "zero data retention" when all values are null or empty.

        Examples
        --------
        >>> content = Content.from_wire("gen-1", {"input": {"prompt": "2 + 2?"}, "output": {"completion": "4"}})
        >>> content, content.prompt, content.completion
        (Content(id='gen-1', status='stored', messages=0), '2 + 2?', '4')
        >>> Content.from_wire("gen-2", {"input": {"messages": []}, "output": {"completion": None}}).status
        'zero data retention'
        """
        prompt, messages, output, parameters = read_content(data)
        content = cls(
            id=generation_id,
            status="stored",
            prompt=prompt,
            messages=messages,
            output=output,
            parameters=parameters,
            error=_error(data.get("error")),
            raw=(json_values.json_text(dict(data)) or json_values.object_text(data)).encode(),
        )
        if content.prompt is None and not content.messages and not content.output and content.error is None:
            return _missing(generation_id, "zero data retention")
        return content

    @classmethod
    def from_json(cls, generation_id: str, body: bytes) -> Content:
        """Read the JSON of ``data``, as :meth:`orstats.Archive.read_contents` returns it.

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
            The body is not valid JSON.
        """
        data = parse_json(body)
        return cls.from_wire(generation_id, data if isinstance(data, dict) else {})


@dataclass(frozen=True, slots=True)
class Turn:
    """One turn of a stored conversation, to be shown under its title."""

    title: str
    message: Message
    is_output: bool = False


#: Roles that all dialects share.
ROLES: Final = ("system", "developer", "user", "assistant", "tool")


def turns(content: Content) -> list[Turn]:
    """Return a conversation in order: the parameters, the bare prompt or the messages, then the output.

    The reasoning of the output is shown by itself (:attr:`Content.reasoning`), so a turn has it only if nothing else.
    """
    found = [Turn(_title(message), message) for message in content.messages]
    if content.prompt is not None:
        found.insert(0, Turn("prompt", Message("user", (TextPart(content.prompt),))))
    if content.parameters:
        found.insert(0, Turn("parameters", Message(None, content.parameters)))
    for message in content.output:
        if message.parts or message.tool_calls:
            found.append(Turn("completion", replace(message, reasoning=None), is_output=True))
        else:
            found.append(Turn("reasoning", message, is_output=True))
    return found


def _title(message: Message) -> str:
    role = message.role or "no role"
    known = role if message.role in (None, *ROLES) else f"{role} (unknown role)"
    name = f" · {message.name}" if message.name else ""
    answers = f" · answers {message.tool_call_id}" if message.tool_call_id else ""
    return f"{known}{name}{answers}"


_REASONS: Final[Mapping[str, str]] = {
    "zero data retention": "The stored content is empty. A possible reason is that the request was made under zero "
    "data retention.",
    "regional host": "It was processed by a regional host; regional hosts store no content.",
    "forbidden": "This key may not read it. Use a key of an organisation's administrator, or set "
    "OPENROUTER_MANAGEMENT_KEY.",
    "too old": "It is older than the three months for which content is guaranteed to be kept, or Input & Output "
    "Logging was off at the time of the request.",
    "not found": "Nothing is stored under this id: it is unknown, from another account, or was not logged.",
    "not yet": "Not available yet: its call may still be running or has just ended. Try again in a minute.",
    "not logged": "Most likely Input & Output Logging was off at the time of the request, or is off for its workspace. "
    "The content cannot be recovered.",
}


def explain_missing(
    generation_id: str,
    error: ForbiddenError | NotFoundError,
    now: float,
    *,
    is_known: bool,
    created_at: datetime | None = None,
    generation_time: float | None = None,
    data_region: str | None = None,
) -> Content:
    """Return the content of a generation that has none: what a 403 or 404 means, by what its record says.

    Examples
    --------
    >>> explain_missing("gen-1", NotFoundError(""), 1_790_000_000.0, is_known=True, data_region="europe").status
    'regional host'
    """
    began_at = id_created_at(generation_id) if created_at is None else created_at.timestamp()
    status: ContentStatus = "not logged"
    if isinstance(error, ForbiddenError):
        status = "forbidden"
    elif data_region not in (None, "", "global"):
        status = "regional host"
    elif may_appear(generation_id, now, call_ended_at(created_at, generation_time)):
        status = "not yet"
    elif not is_known:
        status = "not found"
    elif began_at is not None and now - began_at > _KEPT_S:
        status = "too old"
    return _missing(generation_id, status)


def _missing(generation_id: str, status: ContentStatus) -> Content:
    return Content(generation_id, status, _REASONS[status])


def _text_or_none(value: object) -> str | None:
    return None if value is None else as_text(value)


def _error(value: object) -> StoredError | None:
    if value is None:
        return None
    if not isinstance(value, Mapping):
        return StoredError(None, _text_or_none(value), None)
    if isinstance(inner := value.get("error"), Mapping):  # the body of an error response
        value = inner
    listed = value.get("previous_errors")
    previous = [one for one in listed if isinstance(one, Mapping)] if isinstance(listed, list) else []
    attempts = tuple(
        StoredAttempt(json_values.count(one.get("code", one.get("status"))), *_details(one)) for one in previous
    )
    return StoredError(json_values.count(value.get("status", value.get("code"))), *_details(value), attempts)


def _details(error: Mapping[str, Any]) -> tuple[str | None, str | None, str | None]:
    """Return message, provider and raw response of a stored error."""
    metadata = error.get("metadata")
    more = metadata if isinstance(metadata, Mapping) else {}
    provider = json_values.text(error.get("provider_name", more.get("provider_name")))
    raw = error.get("raw", more.get("raw", more or None))
    return _text_or_none(error.get("message")), provider, _text_or_none(raw)
