"""All generations of the account in one table, for the endpoints that aggregate."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from orstats.sim.dataset.catalogue import APPS, MODELS, WORKSPACE_NAMES, ApiKey
from orstats.sim.dataset.kinds import SEARCH_USD
from orstats.sim.dataset.timeline import microseconds

if TYPE_CHECKING:
    import threading

    from orstats.sim.dataset.account import SimulatedAccount

_DECIMALS = 10
KeysByApp = Mapping[tuple[int | None, str], ApiKey]
_APP_NAMES = {app.app_id: app.name or app.origin for app in APPS if app.app_id is not None}


@dataclass(frozen=True, slots=True)
class Entry:
    """One generation as accounting sees it: native tokens, USD, ms. Empty text where the record has null."""

    index: int
    created_us: int
    model: str
    slug: str
    endpoint_id: str
    provider: str
    app: int | None
    key: ApiKey | None
    origin: str
    workspace: str
    finish_reason: str
    external_user: str
    usage: float
    byok: bool
    byok_usage: float
    upstream: float | None
    cache: float | None
    replayed: bool
    prompt: int
    completion: int
    reasoning: int
    cached: int
    latency: float | None
    generation_time: float | None
    web: float | None

    @property
    def ended_us(self) -> int:
        """When the call ended, in microseconds since 1970."""
        return self.created_us + int((self.generation_time or 0) * 1000)

    @property
    def app_name(self) -> str:
        """The application's title, or where the request came from."""
        return _APP_NAMES.get(self.app, self.origin) if self.app is not None else self.origin

    @property
    def workspace_name(self) -> str:
        """The workspace's name."""
        return WORKSPACE_NAMES.get(self.workspace, "")


def read_ledger(account: SimulatedAccount, keys: KeysByApp, stop: threading.Event) -> list[Entry]:
    """Read all generations of an account, in time order; takes about 0.1 ms each. ``stop`` ends it early."""
    entries = []
    for index in range(account.generations):
        if stop.is_set():
            break
        entries.append(read_entry(account, keys, index))
    return entries


def read_entry(account: SimulatedAccount, keys: KeysByApp, index: int) -> Entry:
    """Read one generation of an account."""
    row = account.record(index)
    base, _, variant = row["model"].partition(":")
    model = MODELS.get(row["model"]) or MODELS[base]
    provider = row["provider_name"] or ""
    served = [endpoint for endpoint in model.endpoints if endpoint.provider == provider]
    discount = row["cache_discount"]
    return Entry(
        index=index,
        created_us=account.created_us(index),
        # An awkward account counts variants under the one permaslug that they share.
        model=base if account.awkward else row["model"],
        slug=f"{model.slug.partition(':')[0]}:{variant}" if variant else model.slug,
        endpoint_id=model.endpoint_id(served[0]) if served else "",
        provider=provider,
        app=row["app_id"],
        key=keys.get((row["app_id"], row["origin"])),
        origin=row["origin"],
        workspace=row["workspace_id"] or "",
        finish_reason=row["finish_reason"] or "",
        external_user=row["external_user"] or "",
        usage=row["usage"],
        byok=row["is_byok"],
        byok_usage=(row["upstream_inference_cost"] or 0) if row["is_byok"] else 0,
        upstream=row["upstream_inference_cost"],
        cache=-discount if discount is not None else None,
        replayed=bool(row.get("response_cache_source_id")),
        prompt=row["native_tokens_prompt"] or 0,
        completion=row["native_tokens_completion"] or 0,
        reasoning=row["native_tokens_reasoning"] or 0,
        cached=row["native_tokens_cached"] or 0,
        latency=row["latency"],
        generation_time=row["generation_time"],
        web=row["num_search_results"] * SEARCH_USD if row["num_search_results"] else None,
    )


def spent_by(key: ApiKey | None, entries: Sequence[Entry], now: datetime) -> dict[str, float]:
    """Add up what a key spent: the fields ``usage...`` and ``byok_usage...`` of ``GET /key``, in USD.

    They are totals, and those of the current UTC day, week (from Monday) and month.
    """
    today = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    since = {
        "": 0,
        "_daily": microseconds(today),
        "_weekly": microseconds(today - timedelta(days=today.weekday())),
        "_monthly": microseconds(today.replace(day=1)),
    }
    own = [entry for entry in entries if key is not None and entry.key is key]
    total: dict[str, float] = {}
    for span, start in since.items():
        rows = [entry for entry in own if entry.created_us >= start]
        total[f"usage{span}"] = total_usd(entry.usage for entry in rows)
        total[f"byok_usage{span}"] = total_usd(entry.byok_usage for entry in rows)
    return total


def total_usd(amounts: Iterable[float]) -> float:
    """Sum amounts exactly and round as the API does."""
    return round(math.fsum(amounts), _DECIMALS)
