"""The forms in which callers' APIs store a conversation, other than plain chat completions.

Each function rewrites the content of one generation: the same texts, in the words of another API. A conversation
keeps its format over all its turns.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson

Message = dict[str, Any]
Content = dict[str, Any]


def _reasoning_details(content: Content) -> None:
    _rewrite_assistant(content, lambda text: {"content": "", "reasoning_details": [_reasoning_text(text), _ENCRYPTED]})


def _reasoning_content(content: Content) -> None:
    _rewrite_assistant(content, lambda text: {"content": None, "reasoning_content": text})


def _audio_transcript(content: Content) -> None:
    _rewrite_assistant(
        content,
        lambda text: {"content": None, "audio": {"id": "audio_68f1", "expires_at": 1_790_000_000, "transcript": text}},
    )


def _function_call(content: Content) -> None:
    """Write calls as before tools existed: one ``function_call``, answered by the role "function"."""
    names: dict[str, str] = {}
    for message in _messages(content):
        for call in message.pop("tool_calls", ()):
            names[call["id"]] = call["function"]["name"]
            message["function_call"] = call["function"]
        if message["role"] == "tool":
            message |= {"role": "function", "name": names.get(message.pop("tool_call_id"), "unknown")}


def _responses(content: Content) -> None:
    content["input"] = {"input": _responses_items(content)}


def _responses_messages(content: Content) -> None:
    content["input"] = {"messages": _responses_items(content)}


def _responses_items(content: Content) -> list[Message]:
    items: list[Message] = []
    for message in _messages(content):
        role, calls = message["role"], message.get("tool_calls", ())
        if role == "tool":
            items.append(
                {"type": "function_call_output", "call_id": message["tool_call_id"], "output": message["content"]}
            )
            continue
        if role == "assistant":
            summary = [{"type": "summary_text", "text": "Weighing what the user asked for."}]
            items.append(
                {"type": "reasoning", "id": "rs_68f1", "summary": summary, "encrypted_content": "gAAAAABo8Q=="}
            )
        if message["content"] is not None:
            kind = "output_text" if role == "assistant" else "input_text"
            parts = [_responses_part(part, kind) for part in _parts(message)]
            items.append({"type": "message", "role": role, "content": parts})
        items.extend({"type": "function_call", "call_id": call["id"], **call["function"]} for call in calls)
    return items


def _responses_part(part: Message, kind: str) -> Message:
    if part["type"] == "image_url":
        return {"type": "input_image", "image_url": part["image_url"]["url"], "detail": "auto"}
    if part["type"] == "file":
        return {"type": "input_file", **part["file"]}
    return {"type": kind, "text": part["text"]} if part["type"] == "text" else part


def _anthropic(content: Content) -> None:
    for message in _messages(content):
        calls, parts = message.pop("tool_calls", ()), [_anthropic_part(part) for part in _parts(message)]
        if message["role"] == "assistant":
            parts.insert(0, {"type": "thinking", "thinking": "Weighing what the user asked for.", "signature": "EqoB"})
        parts += [
            {
                "type": "tool_use",
                "id": call["id"],
                "name": call["function"]["name"],
                "input": orjson.loads(call["function"]["arguments"]),
            }
            for call in calls
        ]
        if message["role"] == "tool":
            parts = [{"type": "tool_result", "tool_use_id": message.pop("tool_call_id"), "content": parts}]
            message["role"] = "user"
        message["content"] = parts


def _anthropic_part(part: Message) -> Message:
    if part["type"] in {"image_url", "file"}:
        url = part["image_url"]["url"] if part["type"] == "image_url" else part["file"]["file_data"]
        media_type, _, data = url.removeprefix("data:").partition(";base64,")
        source = {"type": "base64", "media_type": media_type, "data": data}
        return {"type": "image" if part["type"] == "image_url" else "document", "source": source}
    return part


def _gemini(content: Content) -> None:
    turns = [
        {
            "role": {"assistant": "model", "tool": "function"}.get(message["role"], "user"),
            "parts": _gemini_parts(message),
        }
        for message in _messages(content)
    ]
    content["input"] = {"contents": turns}


def _gemini_parts(message: Message) -> list[Message]:
    if message["role"] == "tool":
        return [{"functionResponse": {"name": "tool", "response": {"output": message["content"]}}}]
    calls = [call["function"] for call in message.get("tool_calls", ())]
    return [_gemini_part(part) for part in _parts(message)] + [
        {"functionCall": {"name": call["name"], "args": orjson.loads(call["arguments"])}} for call in calls
    ]


def _gemini_part(part: Message) -> Message:
    if part["type"] == "text":
        return {"text": part["text"]}
    if part["type"] == "input_audio":
        return {"inlineData": {"mimeType": "audio/wav", "data": part["input_audio"]["data"]}}
    source = _anthropic_part(part)["source"]
    return {"inlineData": {"mimeType": source["media_type"], "data": source["data"]}}


def _bare_list(content: Content) -> None:
    content["input"] = _messages(content)


def _bare_string(content: Content) -> None:
    content["input"] = _last_text(content)


def _input_string(content: Content) -> None:
    content["input"] = {"input": _last_text(content)}


def _output_string(content: Content) -> None:
    content["output"] = content["output"]["completion"] or ""


def _output_items(content: Content) -> None:
    """Write the output as items of the Responses API."""
    output = content["output"]
    items = []
    if output["reasoning"] is not None:
        items.append({"type": "reasoning", "summary": [{"type": "summary_text", "text": output["reasoning"]}]})
    if output["completion"] is not None:
        parts = [{"type": "output_text", "text": output["completion"], "annotations": []}]
        items.append({"type": "message", "role": "assistant", "content": parts})
    content["output"] = {"completion": None, "reasoning": None, "output": items}


def _output_reasoning_details(content: Content) -> None:
    reasoning = content["output"]["reasoning"]
    if reasoning is not None:
        content["output"] |= {"reasoning": None, "reasoning_details": [_reasoning_text(reasoning)]}


def _output_unknown(content: Content) -> None:
    content["output"] = {"result": {"text": content["output"]["completion"]}, "version": 3}


_ENCRYPTED = {"type": "reasoning.encrypted", "data": "gAAAAABo8Q==", "format": "openai-responses-v1", "index": 1}

FORMATS: dict[str, Callable[[Content], None]] = {
    "reasoning_details": _reasoning_details,
    "reasoning_content": _reasoning_content,
    "audio_transcript": _audio_transcript,
    "function_call": _function_call,
    "responses": _responses,
    "responses_messages": _responses_messages,
    "anthropic": _anthropic,
    "gemini": _gemini,
    "bare_list": _bare_list,
    "bare_string": _bare_string,
    "input_string": _input_string,
    "output_string": _output_string,
    "output_items": _output_items,
    "output_reasoning_details": _output_reasoning_details,
    "output_unknown": _output_unknown,
}

# Those that write tool calls in words of their own, for conversations that have some.
TOOL_FORMATS = ("function_call", "responses", "responses_messages", "anthropic", "gemini", "bare_list")


def reformat(content: Content, name: str, calls: list[Message]) -> Content:
    """Rewrite stored content, in place, in one of :data:`FORMATS`; "chat" is what it is in already.

    ``calls`` are the tool calls that the output consists of, which chat completions do not store.
    """
    if name == "chat":
        return content
    FORMATS[name](content)
    if calls and isinstance(content["output"], dict) and "completion" in content["output"]:
        content["output"]["tool_calls"] = calls
    return content


def _messages(content: Content) -> list[Message]:
    """Return the messages; a bare prompt is one of the user."""
    stored = content["input"]
    if "messages" not in stored:
        stored = content["input"] = {"messages": [{"role": "user", "content": stored["prompt"]}]}
    messages: list[Message] = stored["messages"]
    return messages


def _parts(message: Message) -> list[Message]:
    stored = message["content"]
    if isinstance(stored, list):
        return stored
    return [] if stored is None else [{"type": "text", "text": stored}]


def _last_text(content: Content) -> str:
    texts = [part["text"] for message in _messages(content) for part in _parts(message) if part["type"] == "text"]
    return str(texts[-1])


def _reasoning_text(text: str) -> Message:
    return {"type": "reasoning.text", "text": text, "format": "anthropic-claude-v1", "index": 0}


def _rewrite_assistant(content: Content, fields: Callable[[str], Message]) -> None:
    for message in _messages(content):
        if message["role"] == "assistant" and isinstance(message["content"], str):
            message.update(fields(message["content"]))
