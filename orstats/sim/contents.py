"""Writes the stored content of one generation: what ``GET /generation/content`` answers."""

from __future__ import annotations

import base64
import functools
import struct
import zlib
from typing import TYPE_CHECKING, Any

from orstats.sim.seeds import hexadecimal, number, stream
from orstats.sim.texts import (
    CHARS_PER_TOKEN,
    HOSTILE_ANSWERS,
    HOSTILE_ASKS,
    IMAGE_PROMPT,
    TRANSCRIPT,
    VIDEO_PROMPT,
    fill,
    tokens_in,
)

if TYPE_CHECKING:
    from orstats.sim.plan import Plan
    from orstats.sim.timeline import Slot

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


def write_content(slot: Slot, plan: Plan, record: dict[str, Any]) -> dict[str, Any]:
    """Write the content of one generation.

    Parameters
    ----------
    slot, plan
        The generation's place and its conversation's plan.
    record
        Its metadata, which the content agrees with.

    Returns
    -------
    dict
        ``input`` (messages or a prompt), ``output`` and ``error``: the value of ``data`` in the API's answer.
    """
    kind, turn = slot.kind, slot.turn
    bare = kind in _PROMPTS
    stored = {"prompt": _bare(plan, kind, record["tokens_prompt"])} if bare else {"messages": _messages(plan, turn)}
    output = {"completion": _completion(plan, slot, record), "reasoning": _reasoning(plan, turn, record)}
    return {"input": stored, "output": output, "error": _error(record) if kind in {"failed", "refused"} else None}


def _bare(plan: Plan, kind: str, tokens: int | None) -> str:
    """Give a prompt without messages, as long as it was counted; where tokens do not count, of any length."""
    text = {"image": IMAGE_PROMPT, "video": VIDEO_PROMPT}.get(kind) or _question(plan, 0)
    if tokens is None:
        return text
    more = fill(stream(plan.seed, "bare", plan.talk), plan.subject.document, max(0, tokens - tokens_in(text)))
    return f"{text}\n{more}"[: CHARS_PER_TOKEN * tokens]


def _messages(plan: Plan, turn: int) -> list[dict[str, Any]]:
    messages: list[dict[str, Any]] = [{"role": "system", "content": plan.subject.system}]
    for past in range(turn + 1):
        if past and plan.kinds[past - 1] == "tools":
            messages.append({"role": "tool", "tool_call_id": _call_id(plan, past - 1), "content": _result(plan, past)})
        else:
            messages.append({"role": "user", "content": _user_content(plan, past)})
        if past < turn:
            messages.append(_assistant(plan, past))
    return messages


def _assistant(plan: Plan, turn: int) -> dict[str, Any]:
    if plan.kinds[turn] != "tools":
        return {"role": "assistant", "content": _answer(plan, turn)}
    return {"role": "assistant", "content": None, "tool_calls": tool_calls(plan, turn)}


def tool_calls(plan: Plan, turn: int) -> list[dict[str, Any]]:
    """Write the tool calls of a turn that calls tools."""
    function = {"name": plan.subject.tool, "arguments": plan.subject.call}
    return [{"id": _call_id(plan, turn), "type": "function", "function": function}]


def _call_id(plan: Plan, turn: int) -> str:
    return f"call_{hexadecimal(24, plan.seed, 'call', plan.talk, turn)}"


def _question(plan: Plan, turn: int) -> str:
    exchange = plan.exchanges[turn]
    text = plan.subject.asks[exchange.pair]
    if exchange.hostile:
        text = f"{text}\n{HOSTILE_ASKS[exchange.hostile - 1]}"
    if exchange.attached:
        text = f"{text}\n\n{_document(plan, turn)}"
    return text


def _document(plan: Plan, turn: int) -> str:
    rng = stream(plan.seed, "document", plan.talk, turn)
    return fill(rng, plan.subject.document, plan.exchanges[turn].attached)


def _result(plan: Plan, turn: int) -> str:
    if not plan.exchanges[turn].attached:
        return plan.subject.result
    return f"{plan.subject.result}\n{_document(plan, turn)}"


def _answer(plan: Plan, turn: int) -> str:
    exchange = plan.exchanges[turn]
    text = plan.subject.says[exchange.pair]
    if exchange.lengthened:
        rng = stream(plan.seed, "answer", plan.talk, turn)
        text = f"{text}\n\n{fill(rng, plan.subject.more, exchange.lengthened)}"
    if exchange.hostile:
        text = f"{text}\n\n{HOSTILE_ANSWERS[exchange.hostile - 1]}"
    return text


def _user_content(plan: Plan, turn: int) -> str | list[dict[str, Any]]:
    """Give a question as text, or as parts when something comes with it (and sometimes when nothing does)."""
    exchange = plan.exchanges[turn]
    text = {"type": "text", "text": _question(plan, turn)}
    if exchange.media == "image":
        return [text, {"type": "image_url", "image_url": {"url": _data_url("image/png", _png(exchange.asked % 200))}}]
    if exchange.media == "audio" or plan.kinds[turn] == "transcription":
        return [text, {"type": "input_audio", "input_audio": {"data": _base64(_wav()), "format": "wav"}}]
    if exchange.media == "file":
        file = {"filename": "invoice.pdf", "file_data": _data_url("application/pdf", _pdf())}
        return [text, {"type": "file", "file": file}]
    if number(plan.seed, "parts", plan.talk) % 5 == 0:
        return [text]
    return _question(plan, turn)


def _completion(plan: Plan, slot: Slot, record: dict[str, Any]) -> str | None:
    if slot.kind == "transcription":
        return TRANSCRIPT
    if slot.kind in _UNANSWERED or record["finish_reason"] == "tool_calls":
        return None
    text = _answer(plan, slot.turn)
    if record["cancelled"]:
        # The stream ended in the middle of a word; a runaway answer went on and on.
        visible = max(record["tokens_completion"] - (record["native_tokens_reasoning"] or 0), 1)
        more = fill(stream(plan.seed, "runaway", plan.talk), [*plan.subject.more, text], visible)
        text = f"{text}\n{more}"[: CHARS_PER_TOKEN * visible]
    return text


def _reasoning(plan: Plan, turn: int, record: dict[str, Any]) -> str | None:
    tokens, counted = plan.exchanges[turn].reasoned, record["native_tokens_reasoning"]
    if not tokens or not counted:
        return None
    if record["cancelled"]:
        # Cut short, or gone on, like the answer.
        tokens = counted
    return fill(stream(plan.seed, "reasoning", plan.talk, turn), plan.subject.thoughts, tokens)


def _error(record: dict[str, Any]) -> dict[str, Any]:
    """Tell what failed: the last error was given to the client, those before it are in ``previous_errors``."""
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


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _data_url(kind: str, data: bytes) -> str:
    return f"data:{kind};base64,{_base64(data)}"


@functools.lru_cache(maxsize=256)
def _png(shade: int) -> bytes:
    """Draw a picture of 16 by 16 points in one colour (PNG, ISO/IEC 15948)."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    row = b"\x00" + bytes((shade, 120, 200 - shade // 2)) * 16
    header = struct.pack(">IIBBBBB", 16, 16, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(row * 16)) + chunk(b"IEND", b"")


@functools.cache
def _wav() -> bytes:
    """Record a twentieth of a second of silence (8 kHz, 8 bit, mono)."""
    samples = b"\x80" * 400
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, 8000, 8000, 1, 8)
    body = b"WAVE" + form + struct.pack("<4sI", b"data", len(samples)) + samples
    return struct.pack("<4sI", b"RIFF", len(body)) + body


def _pdf() -> bytes:
    return b"%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n2 0 obj<</Type/Pages/Kids[]/Count 0>>endobj\n%%EOF\n"
