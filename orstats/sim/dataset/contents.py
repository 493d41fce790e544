"""The stored prompt and completion of one generation, which agree with its record."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from orstats.sim.dataset.conversations import (
    CHARS_PER_TOKEN,
    HOSTILE_ANSWERS,
    HOSTILE_ASKS,
    IMAGE_PROMPT,
    TRANSCRIPT,
    TRANSCRIPTION_PROMPT,
    VIDEO_PROMPT,
    Conversation,
    fill,
    tokens_in,
)
from orstats.sim.dataset.media import base64_text, data_url, pdf, png, wav
from orstats.sim.dataset.random_streams import hexadecimal, number, stream

if TYPE_CHECKING:
    from orstats.sim.dataset.timeline import Slot

# Kinds whose input is a bare prompt, not messages.
_PROMPTS = {"prompt", "embeddings", "rerank", "speech", "video", "image"}
_UNANSWERED = {"embeddings", "rerank", "speech", "video", "image", "failed", "refused"}
_ERRORS = {
    408: "Operation timed out. Please try again later.",
    429: "Rate limit exceeded",
    500: "Internal Server Error",
    503: "No instances available",
    504: "Timed out waiting for the provider",
}
_OK = 200
_NO_ANSWER = 504


def write_content(slot: Slot, conversation: Conversation, record: dict[str, Any]) -> dict[str, Any]:
    """Write the content of one generation, which agrees with its ``record``."""
    kind, turn = slot.kind, slot.turn
    bare = kind in _PROMPTS
    stored = (
        {"prompt": _bare(conversation, kind, record["tokens_prompt"])}
        if bare
        else {"messages": _messages(conversation, turn)}
    )
    output = {
        "completion": _completion(conversation, slot, record),
        "reasoning": _reasoning(conversation, turn, record),
    }
    return {"input": stored, "output": output, "error": _error(record) if kind in {"failed", "refused"} else None}


def _bare(conversation: Conversation, kind: str, tokens: int | None) -> str:
    """Return a prompt without messages, as long as it was counted; where tokens do not count, of any length."""
    text = {"image": IMAGE_PROMPT, "video": VIDEO_PROMPT}.get(kind) or _question(conversation, 0)
    if tokens is None:
        return text
    more = fill(
        stream(conversation.seed, "bare", conversation.conversation_id),
        conversation.subject.document,
        max(0, tokens - tokens_in(text)),
    )
    return f"{text}\n{more}"[: CHARS_PER_TOKEN * tokens]


def _messages(conversation: Conversation, turn: int) -> list[dict[str, Any]]:
    if conversation.kinds[turn] == "transcription":
        return [{"role": "user", "content": [{"type": "text", "text": TRANSCRIPTION_PROMPT}, _recording()]}]
    messages: list[dict[str, Any]] = [{"role": "system", "content": conversation.subject.system}]
    for past in range(turn + 1):
        if past and conversation.kinds[past - 1] == "tools":
            messages.append(
                {
                    "role": "tool",
                    "tool_call_id": _call_id(conversation, past - 1),
                    "content": _result(conversation, past),
                }
            )
        else:
            messages.append({"role": "user", "content": _user_content(conversation, past)})
        if past < turn:
            messages.append(_assistant(conversation, past))
    return messages


def _assistant(conversation: Conversation, turn: int) -> dict[str, Any]:
    if conversation.kinds[turn] != "tools":
        return {"role": "assistant", "content": _answer(conversation, turn)}
    return {"role": "assistant", "content": None, "tool_calls": tool_calls(conversation, turn)}


def tool_calls(conversation: Conversation, turn: int) -> list[dict[str, Any]]:
    """Write the tool calls of a turn that calls tools."""
    function = {"name": conversation.subject.tool, "arguments": conversation.subject.call}
    return [{"id": _call_id(conversation, turn), "type": "function", "function": function}]


def _call_id(conversation: Conversation, turn: int) -> str:
    return f"call_{hexadecimal(24, conversation.seed, 'call', conversation.conversation_id, turn)}"


def _question(conversation: Conversation, turn: int) -> str:
    planned = conversation.planned_turns[turn]
    text = conversation.subject.asks[planned.pair]
    if planned.hostile:
        text = f"{text}\n{HOSTILE_ASKS[planned.hostile - 1]}"
    if planned.attached:
        text = f"{text}\n\n{_document(conversation, turn)}"
    return text


def _document(conversation: Conversation, turn: int) -> str:
    rng = stream(conversation.seed, "document", conversation.conversation_id, turn)
    return fill(rng, conversation.subject.document, conversation.planned_turns[turn].attached)


def _result(conversation: Conversation, turn: int) -> str:
    if not conversation.planned_turns[turn].attached:
        return conversation.subject.result
    return f"{conversation.subject.result}\n{_document(conversation, turn)}"


def _answer(conversation: Conversation, turn: int) -> str:
    planned = conversation.planned_turns[turn]
    text = conversation.subject.says[planned.pair]
    if planned.lengthened:
        rng = stream(conversation.seed, "answer", conversation.conversation_id, turn)
        text = f"{text}\n\n{fill(rng, conversation.subject.more, planned.lengthened)}"
    if planned.hostile:
        text = f"{text}\n\n{HOSTILE_ANSWERS[planned.hostile - 1]}"
    return text


def _user_content(conversation: Conversation, turn: int) -> str | list[dict[str, Any]]:
    """Return a question as text, or as parts when something comes with it (and sometimes when nothing does)."""
    planned = conversation.planned_turns[turn]
    text = {"type": "text", "text": _question(conversation, turn)}
    if planned.media == "image":
        return [
            text,
            {"type": "image_url", "image_url": {"url": data_url("image/png", png(planned.question_tokens % 200))}},
        ]
    if planned.media == "audio":
        return [text, _recording()]
    if planned.media == "file":
        file = {"filename": "invoice.pdf", "file_data": data_url("application/pdf", pdf())}
        return [text, {"type": "file", "file": file}]
    if number(conversation.seed, "parts", conversation.conversation_id) % 5 == 0:
        return [text]
    return _question(conversation, turn)


def _recording() -> dict[str, Any]:
    return {"type": "input_audio", "input_audio": {"data": base64_text(wav()), "format": "wav"}}


def _completion(conversation: Conversation, slot: Slot, record: dict[str, Any]) -> str | None:
    if slot.kind == "transcription":
        return TRANSCRIPT
    if slot.kind in _UNANSWERED or record["finish_reason"] == "tool_calls":
        return None
    text = _answer(conversation, slot.turn)
    if record["cancelled"]:
        # The stream ended in the middle of a word; a runaway answer went on and on.
        visible = max(record["tokens_completion"] - (record["native_tokens_reasoning"] or 0), 1)
        more = fill(
            stream(conversation.seed, "runaway", conversation.conversation_id),
            [*conversation.subject.more, text],
            visible,
        )
        text = f"{text}\n{more}"[: CHARS_PER_TOKEN * visible]
    return text


def _reasoning(conversation: Conversation, turn: int, record: dict[str, Any]) -> str | None:
    tokens, counted = conversation.planned_turns[turn].reasoned, record["native_tokens_reasoning"]
    if not tokens or not counted:
        return None
    if record["cancelled"]:
        # Cut short, or gone on, like the answer.
        tokens = counted
    return fill(
        stream(conversation.seed, "reasoning", conversation.conversation_id, turn),
        conversation.subject.thoughts,
        tokens,
    )


def _error(record: dict[str, Any]) -> dict[str, Any]:
    """Return the errors: the last was sent to the client, earlier ones are in ``previous_errors``."""
    attempts = record["provider_responses"] or []
    errors = [_attempt_error(attempt) for attempt in attempts if attempt["status"] != _OK]
    if not errors:
        message = "Provider returned an empty completion"
        return {
            "status": 502,
            "message": message,
            "provider_name": record["provider_name"],
            "raw": None,
            "previous_errors": [],
        }
    last = errors[-1]
    return {
        "status": last["code"],
        "message": last["message"],
        "provider_name": last["provider_name"],
        "raw": last["raw"],
        "previous_errors": errors[:-1],
    }


def _attempt_error(attempt: dict[str, Any]) -> dict[str, Any]:
    code = attempt["status"] or _NO_ANSWER
    message = _ERRORS.get(code, "Provider returned error")
    raw = f'{{"error":{{"code":{code},"message":"{message}"}}}}' if attempt["status"] else None
    return {"code": code, "message": message, "provider_name": attempt["provider_name"], "raw": raw}
