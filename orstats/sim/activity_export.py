"""The CSV that the vendor's Activity page exports: one row for each generation, with its API key and application."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from orstats.sim.dataset.timeline import SECOND_US
from orstats.sim.ledger import KeysByApp, read_entry

if TYPE_CHECKING:
    from orstats.sim.dataset.account import SimulatedAccount

# The header as it was seen in November 2026; the vendor adds and removes columns.
COLUMNS = (
    *("generation_id", "created_at", "cost_total", "cost_web_search", "cost_cache", "cost_file_processing"),
    *("byok_usage_inference", "tokens_prompt", "tokens_completion", "tokens_reasoning", "tokens_cached"),
    *("model_permaslug", "provider_name", "variant", "cancelled", "streamed", "user"),
    *("finish_reason_raw", "finish_reason_normalized", "generation_time_ms", "time_to_first_token_ms"),
    *("app_name", "api_key_name"),
)


def write_export(account: SimulatedAccount, keys: KeysByApp, indices: Iterable[int]) -> str:
    """Write the export of some generations, newest first as the page lists them."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(_rows(account, keys, indices))
    return text.getvalue()


def _rows(account: SimulatedAccount, keys: KeysByApp, indices: Iterable[int]) -> Iterator[dict[str, Any]]:
    for index in sorted(indices, reverse=True):
        record, entry = account.record(index), read_entry(account, keys, index)
        model, _, variant = record["model"].partition(":")
        created = datetime.fromtimestamp(entry.created_us / SECOND_US, UTC)
        yield {
            "generation_id": record["id"],
            "created_at": created.isoformat(" ", "milliseconds").removesuffix("+00:00"),
            "cost_total": _usd(record["total_cost"]),
            "cost_web_search": _usd(entry.web),
            "cost_cache": _usd(entry.cache),
            "byok_usage_inference": _usd(entry.byok_usage),
            "tokens_prompt": record["tokens_prompt"],
            "tokens_completion": record["tokens_completion"],
            "tokens_reasoning": record["native_tokens_reasoning"],
            "tokens_cached": record["native_tokens_cached"],
            "model_permaslug": model,
            "provider_name": record["provider_name"],
            "variant": variant or "standard",
            "cancelled": _flag(record["cancelled"]),
            "streamed": _flag(record["streamed"]),
            "user": record["external_user"],
            "finish_reason_raw": record["native_finish_reason"],
            "finish_reason_normalized": record["finish_reason"],
            "generation_time_ms": record["generation_time"],
            "time_to_first_token_ms": record["latency"],
            "app_name": entry.app_name,
            "api_key_name": entry.key.name if entry.key else None,
        }


def _usd(amount: float | None) -> str | None:
    return None if amount is None else f"{amount:.12f}".rstrip("0").rstrip(".")


def _flag(value: bool | None) -> str | None:
    return None if value is None else str(value).lower()
