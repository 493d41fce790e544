"""The stored prompt and completion of one generation, typed; and, when there is none, why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final, Literal, get_args

import orjson

from orstats.content.messages import Message, read_messages
from orstats.content.parts import ImagePart, TextPart, ToolCall, as_text, is_empty
from orstats.errors import ForbiddenError, NotFoundError
from orstats.frame import coerce

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
#: Where the input of a call stands, and the instructions beside it.
_INPUT_KEYS: Final = ("prompt", "messages", "input", "contents", "system", "instructions", "system_instruction")
_SYSTEM_KEYS: Final = ("system", "instructions", "system_instruction")


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
        The input as turns, whatever the dialect of the caller; empty when there is only a bare prompt.
    output
        What the model returned, as turns: mostly one, several from the Responses API.
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
    output: tuple[Message, ...] = field(default=(), repr=False)
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
        """Read ``data`` of ``GET /generation/content``, in whichever dialect the caller wrote. No value makes it fail.

        Parameters
        ----------
        generation_id
            The requested id.
        data
            As sent. Values of an unknown shape are kept as JSON parts, and ``raw`` has everything.

        Returns
        -------
        Content
            Stored; or, when it holds nothing but nulls and empty values, of the status "zero data retention".

        Examples
        --------
        >>> content = Content.from_wire("gen-1", {"input": {"prompt": "2 + 2?"}, "output": {"completion": "4"}})
        >>> content, content.prompt, content.completion
        (Content(id='gen-1', status='stored', messages=0), '2 + 2?', '4')
        >>> Content.from_wire("gen-2", {"input": {"messages": []}, "output": {"completion": None}}).status
        'zero data retention'
        """
        given, output = data.get("input"), data.get("output")
        if "input" not in data and "output" not in data:
            rest = {name: value for name, value in data.items() if name not in ("id", "error")}
            given = {name: rest.pop(name) for name in _INPUT_KEYS if name in rest}
            output = rest
        prompt, messages = _read_input(given)
        content = cls(
            id=generation_id,
            status="stored",
            prompt=prompt,
            messages=messages,
            output=_read_output(output),
            error=_error(data.get("error")),
            raw=(coerce.json_text(dict(data)) or coerce.object_text(data)).encode(),
        )
        if content.prompt is None and not content.messages and not content.output and content.error is None:
            return missing(generation_id, "zero data retention")
        return content

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
    "zero data retention": "The stored content is empty. A possible reason is that the request was made under zero "
    "data retention.",
    "regional host": "It was processed in a region of its own; regional hosts store no content.",
    "forbidden": "This key may not read it. Stored content takes the key of an organisation's administrator, or a "
    "management key: set OPENROUTER_MANAGEMENT_KEY.",
    "too old": "It is older than three months, for which content is surely kept; or Input & Output Logging was not on "
    "before the request.",
    "not found": "Nothing is stored under this id: it is unknown, of another account, or was not logged.",
    "not yet": "Not available yet: its call may still be running, or has just ended. Try again in a minute.",
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
    recent: bool = False,
) -> ContentStatus:
    """Tell why a generation has no content: what the API's 403 or 404 means, as far as the record tells.

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
    if recent:
        return "not yet"
    if not known:
        return "not found"
    if created_at is not None and now - created_at > KEPT:
        return "too old"
    return "not logged"


def _read_input(given: object, *, wrapped: bool = False) -> tuple[str | None, tuple[Message, ...]]:
    """Return the bare prompt, if that is what was sent, and the turns."""
    if is_empty(given):
        return None, ()
    if isinstance(given, str):
        return coerce.text(given), ()
    if not isinstance(given, Mapping):
        return None, read_messages(given, "user")
    rest = {name: value for name, value in given.items() if name not in _INPUT_KEYS}
    prompt, lead = given.get("prompt"), [read_messages(given.get(name), "system") for name in _SYSTEM_KEYS]
    inner = given.get("input")
    if isinstance(inner, str) and prompt is None:
        prompt, inner = inner, None
    listed = prompt if isinstance(prompt, list) else None
    turns = (
        *(turn for turns in lead for turn in turns),
        *(
            turn
            for part in (listed, given.get("messages"), inner, given.get("contents"))
            for turn in _turns(part, wrapped=wrapped)
        ),
    )
    text = None if prompt is None or listed is not None or is_empty(prompt) else as_text(prompt)
    if text is None and not turns:
        return None, read_messages(rest, None)
    return text, turns


def _turns(part: object, *, wrapped: bool) -> tuple[Message, ...]:
    """Read a part of the input; an object may wrap it once more, as ``{"input": {"messages": […]}}`` does."""
    if wrapped or not isinstance(part, Mapping) or not set(_INPUT_KEYS) & part.keys():
        return read_messages(part, "user")
    text, turns = _read_input(part, wrapped=True)
    return turns if text is None else (Message("user", (TextPart(text),)), *turns)


def _read_output(output: object) -> tuple[Message, ...]:
    """Return the turns of the output. The documented form is an object with ``completion`` and ``reasoning``."""
    if not isinstance(output, Mapping) or not {"completion", "text"} & output.keys() or is_empty(output):
        return read_messages(output, "assistant")
    completion = output.get("completion", output.get("text"))
    if isinstance(completion, Mapping) and "role" not in completion:
        completion = as_text(completion)  # structured output
    rest = {name: value for name, value in output.items() if name not in ("completion", "text")}
    if isinstance(completion, Mapping):
        return read_messages([completion, rest], "assistant")
    if is_empty(completion) and not is_empty(rest):
        return read_messages(rest, "assistant")
    return read_messages({"role": "assistant", "content": completion} | rest, "assistant")


def _text_or_none(value: object) -> str | None:
    return None if value is None else as_text(value)


def _error(value: object) -> StoredError | None:
    if value is None:
        return None
    if not isinstance(value, Mapping):
        return StoredError(None, _text_or_none(value), None)
    listed = value.get("previous_errors")
    previous = [item for item in listed if isinstance(item, Mapping)] if isinstance(listed, list) else []
    return StoredError(
        status=coerce.count(value.get("status", value.get("code"))),
        message=_text_or_none(value.get("message")),
        provider_name=coerce.text(value.get("provider_name")),
        raw=_text_or_none(value.get("raw")),
        previous=tuple(
            StoredAttempt(
                code=coerce.count(one.get("code", one.get("status"))),
                message=_text_or_none(one.get("message")),
                provider_name=coerce.text(one.get("provider_name")),
                raw=_text_or_none(one.get("raw")),
            )
            for one in previous
        ),
    )
