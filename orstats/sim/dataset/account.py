"""The account's generations: any record or content, by id or number, made on request."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Literal

from orstats.sim.dataset.content_formats import FORMATS, TOOL_FORMATS, reformat
from orstats.sim.dataset.contents import tool_calls, write_content
from orstats.sim.dataset.conversations import Conversation, plan_conversation
from orstats.sim.dataset.identifiers import IdCodec
from orstats.sim.dataset.provider_attempts import milliseconds, prolong
from orstats.sim.dataset.random_streams import number, stream
from orstats.sim.dataset.records import region_of, write_record
from orstats.sim.dataset.timeline import (
    BEFORE_MIDNIGHT_US,
    DAY_US,
    DAYS,
    KINDS,
    SECOND_US,
    Slot,
    Timeline,
    microseconds,
)

ContentReason = Literal["stored", "logging_off", "zero_data_retention", "regional", "too_old"]

# Input & Output Logging was switched on this many days before the end, so the oldest tenth has no content.
LOGGING_DAYS = DAYS * 0.9
_REPLAY_REACH = 400
# One in so many conversations of an awkward account.
_NITRO = 8
_FOREIGN = 0x5EED


class SimulatedAccount:
    """A repeatable account: the same arguments always give the same one.

    Its 60 days before ``until`` are busy, and a few records are older.

    Examples
    --------
    >>> from datetime import UTC, datetime
    >>> account = SimulatedAccount(1000, seed=0, until=datetime(2026, 3, 1, tzinfo=UTC))
    >>> account.find(account.identifier(500))
    500
    >>> account.record(500)["id"] == account.identifier(500)
    True
    """

    def __init__(
        self, generations: int, *, seed: int, until: datetime, log_content: bool = True, awkward: bool = False
    ) -> None:
        if generations < 0:
            raise ValueError(f"generations must be 0 or more, not {generations}")
        if until.tzinfo is None:
            raise ValueError(f"until needs a time zone, as in datetime.now(UTC): {until}")
        self.seed = seed
        self.generations = generations
        self.until = until
        self._timeline = Timeline(seed, generations, until, around_midnight=awkward)
        self._codec = IdCodec(seed)
        self._foreign_codec = IdCodec(seed ^ _FOREIGN)
        self._logging_us = microseconds(until - timedelta(days=LOGGING_DAYS))
        self._log_content = log_content
        self.awkward = awkward
        self._known_slot = functools.lru_cache(maxsize=4096)(self._timeline.slot)
        self._added: list[Slot] = []
        self._ran_ms: dict[int, int] = {}

    def identifier(self, index: int) -> str:
        """Return the identifier of generation ``index``."""
        return self._codec.encode(index, *self._stamp(index))

    def created_us(self, index: int) -> int:
        """Return the moment of generation ``index``, in microseconds since 1970."""
        return self._stamp(index)[0]

    def identifiers(self) -> Iterator[str]:
        """Return all identifiers in time order."""
        return (self._codec.encode(*stamp) for stamp in self._timeline.stamps())

    def find(self, identifier: str) -> int | None:
        """Find the number of an identifier; None if the account has no such generation."""
        index = self._codec.decode(identifier)
        if index is None or index >= self.size or self.identifier(index) != identifier:
            return None
        return index

    def record(self, index: int) -> dict[str, Any]:
        """Write the metadata of generation ``index``: ``data`` of the API's answer."""
        slot = self._slot(index)
        if slot.kind == "replayed":
            return self._replayed(slot)
        row = write_record(self.seed, slot, self._conversation(slot), self.identifier(index))
        if index in self._ran_ms:
            prolong(row, self._ran_ms[index])
        elif self.awkward:
            self._make_awkward(slot, row)
        return row

    def _make_awkward(self, slot: Slot, row: dict[str, Any]) -> None:
        """Let calls from just before midnight end after it, and route some conversations to the nitro variant."""
        to_midnight_us = DAY_US - slot.created_us % DAY_US
        if to_midnight_us < BEFORE_MIDNIGHT_US and row["generation_time"] is not None:
            prolong(row, to_midnight_us // 1000 + 20_000 + number(self.seed, "past-midnight", slot.index) % 90_000)
        if slot.kind in {"chat", "tools"} and number(self.seed, "nitro", slot.conversation_id) % _NITRO == 0:
            row["model"] += ":nitro"

    def content(self, index: int) -> dict[str, Any] | None:
        """Write the stored content of generation ``index``; None when there is none.

        With zero data retention there is an answer, but an empty one.
        """
        reason = self.content_reason(index)
        if reason == "zero_data_retention":
            return {"input": {"messages": []}, "output": {"completion": None, "reasoning": None}, "error": None}
        if reason != "stored":
            return None
        slot = self._slot(self._source(index))
        conversation, record = self._conversation(slot), self.record(slot.index)
        calls = tool_calls(conversation, slot.turn) if record["finish_reason"] == "tool_calls" else []
        return reformat(write_content(slot, conversation, record), self.content_format(index), calls)

    def content_format(self, index: int) -> str:
        """Name the format in which the content of generation ``index`` is stored."""
        if not self.awkward:
            return "chat"
        slot = self._slot(self._source(index))
        # Half of the conversations are plain; few call tools, so those have a format that shows.
        names = TOOL_FORMATS if "tools" in slot.kinds else (*FORMATS, *["chat"] * len(FORMATS))
        return names[number(self.seed, "content-format", slot.conversation_id) % len(names)]

    def content_reason(self, index: int) -> ContentReason:
        """Return why generation ``index`` has content, or why not."""
        slot = self._slot(index)
        if slot.kind == "legacy":
            return "too_old"
        source = self._slot(self._source(index))
        if region_of(self.seed, source.conversation_id) != "global":
            return "regional"
        if not self._log_content or slot.created_us < self._logging_us:
            return "logging_off"
        if self._conversation(source).app.zero_retention:
            return "zero_data_retention"
        return "stored"

    def add(self, created_s: float, *, ran_s: float = 0.0, kind: str = "chat") -> int:
        """Add a generation whose call began at ``created_s`` and ran for ``ran_s``, or as long as others for 0."""
        if kind not in KINDS:
            raise ValueError(f"Unknown kind {kind!r}. Use one of {', '.join(KINDS)}.")
        index = self.size
        created = int(created_s * SECOND_US)
        self._added.append(Slot(index, created, kind, f"added-{index}", 0, (kind,), (created,)))
        if ran_s:
            self._ran_ms[index] = int(ran_s * 1000)
        return index

    @property
    def size(self) -> int:
        """How many generations there are, with those added."""
        return self.generations + len(self._added)

    def foreign(self, number: int, moment: datetime) -> str:
        """Make an id of a generation that belongs to another user."""
        return self._foreign_codec.encode(number, microseconds(moment))

    def is_foreign(self, identifier: str) -> bool:
        """Return whether an id belongs to another user."""
        return self._foreign_codec.decode(identifier) is not None

    def unknown(self, number: int, moment: datetime | None) -> str:
        """Make an identifier that no generation has, of the given moment, or legacy without one."""
        other = IdCodec(~self.seed)
        if moment is None:
            return other.encode(number, 0, "legacy")
        return other.encode(number, microseconds(moment))

    def _stamp(self, index: int) -> tuple[int, str]:
        if index < self.generations:
            return self._timeline.stamp(index)
        slot = self._slot(index)
        return slot.created_us, slot.kind

    def _slot(self, index: int) -> Slot:
        if index < self.generations:
            return self._known_slot(index)
        return self._added[index - self.generations]

    def _conversation(self, slot: Slot) -> Conversation:
        return plan_conversation(self.seed, slot)

    def _source(self, index: int) -> int:
        """Find the generation whose answer a replayed one repeats; any other is its own source."""
        slot = self._slot(index)
        if slot.kind != "replayed":
            return index
        rng = stream(self.seed, "replay", index)
        for _ in range(_REPLAY_REACH):
            source = self._slot(rng.randrange(max(self._timeline.legacy, index - _REPLAY_REACH), index + 1))
            if source.kind in {"chat", "tools", "web"}:
                return source.index
        return index

    def _replayed(self, slot: Slot) -> dict[str, Any]:
        """Repeat an earlier answer from the response cache: same words and counts, no provider, no charge."""
        source = self._slot(self._source(slot.index))
        if source.index == slot.index:
            # A tiny account may have nothing to repeat.
            source = replace(slot, kind="chat", kinds=("chat",))
            return write_record(self.seed, source, self._conversation(source), self.identifier(slot.index))
        repeated = replace(source, index=slot.index, created_us=slot.created_us)
        row = write_record(self.seed, repeated, self._conversation(source), self.identifier(slot.index))
        original = self.record(source.index)
        rng = stream(self.seed, "replayed", slot.index)
        for field in original.keys() & row.keys():
            if "tokens" in field or field in {"model", "provider_name", "finish_reason", "native_finish_reason"}:
                row[field] = original[field]
        row |= {
            "total_cost": 0,
            "usage": 0,
            "cache_discount": None,
            "upstream_inference_cost": None,
            "upstream_id": None,
            "provider_responses": [],
            "moderation_latency": None,
            "latency": milliseconds(rng, 6 + 40 * rng.random()),
            "response_cache_source_id": original["id"],
            "request_id": None,
        }
        row["generation_time"] = row["latency"]
        return row
