"""The stored input and output of a generation: its prompt, its turns, and what was sent with them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from orstats.content.dialects import read_messages
from orstats.content.messages import Message, TextPart, UnknownPart
from orstats.content.parts import as_json, as_text, is_empty
from orstats.frame import json_values

#: Keys under which the input of a call is sent, and its instructions.
_SYSTEM_KEYS: Final = ("system", "instructions", "system_instruction", "systemInstruction")
_INPUT_KEYS: Final = ("prompt", "messages", "input", "contents", *_SYSTEM_KEYS)


class Conversation(NamedTuple):
    """The plain prompt, if any, the turns of the input and the output, and the request's other parameters."""

    prompt: str | None
    messages: tuple[Message, ...]
    output: tuple[Message, ...]
    parameters: tuple[UnknownPart, ...]


def read_content(data: Mapping[str, Any]) -> Conversation:
    """Read the stored input and output."""
    given, output = data.get("input"), data.get("output")
    if "input" not in data and "output" not in data:
        output = {name: value for name, value in data.items() if name not in ("id", "error")}
        given = {name: output.pop(name) for name in _INPUT_KEYS if name in output}
    prompt, messages = _read_input(given)
    return Conversation(prompt, messages, _read_output(output), _read_parameters(given))


def _read_parameters(given: object) -> tuple[UnknownPart, ...]:
    """Return what was sent with the prompt, such as tools and the response format."""
    if not isinstance(given, Mapping) or all(is_empty(given.get(name)) for name in _INPUT_KEYS):
        return ()  # read as one message
    own = [
        UnknownPart(name, as_json({name: one}))
        for name, one in given.items()
        if name not in _INPUT_KEYS and one not in (None, "", [], {})
    ]
    inner = given.get("input")
    wrapped = inner if isinstance(inner, Mapping) and "input" not in inner else None
    return (*own, *_read_parameters(wrapped))


def _read_input(given: object, *, wrapped: bool = False) -> tuple[str | None, tuple[Message, ...]]:
    """Return the plain prompt, if one was sent, and the turns."""
    if is_empty(given):
        return None, ()
    if isinstance(given, str):
        return json_values.text(given), ()
    if not isinstance(given, Mapping):
        return None, read_messages(given, "user")
    prompt, inner = given.get("prompt"), given.get("input")
    if isinstance(inner, str) and prompt is None:
        prompt, inner = inner, None
    prompts = prompt if isinstance(prompt, list) else None
    system = [turn for name in _SYSTEM_KEYS for turn in read_messages(given.get(name), "system")]
    sides = (prompts, given.get("messages"), inner, given.get("contents"))
    turns = (*system, *(turn for side in sides for turn in _turns(side, wrapped=wrapped)))
    text = as_text(prompt) if prompts is None and not is_empty(prompt) else None
    if text is None and not turns:
        return None, read_messages({name: value for name, value in given.items() if name not in _INPUT_KEYS}, None)
    return text, turns


def _turns(side: object, *, wrapped: bool) -> tuple[Message, ...]:
    """Read one side of the input; an object may wrap it once more, as in ``{"input": {"messages": […]}}``."""
    if wrapped or not isinstance(side, Mapping) or not set(_INPUT_KEYS) & side.keys():
        return read_messages(side, "user")
    text, turns = _read_input(side, wrapped=True)
    return turns if text is None else (Message("user", (TextPart(text),)), *turns)


def _read_output(output: object) -> tuple[Message, ...]:
    """Return the turns of the output. The documented form is an object with ``completion`` and ``reasoning``."""
    if not isinstance(output, Mapping) or is_empty(output):
        return read_messages(output, "assistant")
    if "completion" not in output and not isinstance(output.get("text"), str | list):
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
