"""What a generation costs, from its native tokens and the prices of its endpoint."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from orstats.sim.dataset.catalogue import REPORTS_UPSTREAM
from orstats.sim.dataset.random_streams import chance

if TYPE_CHECKING:
    import random

    from orstats.sim.dataset.catalogue import Endpoint

_MILLION = 1_000_000
# The API's smallest amounts have about this many decimals.
DECIMALS = 12
_TIERS = {"priority": 2.0, "flex": 0.5}
# Writing to the prompt cache costs a quarter more there, which shows as a negative discount.
_WRITE_SURCHARGE = 0.25
_CHARGES_WRITES = {"Anthropic", "Amazon Bedrock"}
_WRITE_LEAST = 1024
_OWN_KEY_FEE = 0.05


def price_of(row: dict[str, Any], endpoint: Endpoint) -> float:
    """Price a row's native tokens at an endpoint and the row's service tier, in USD."""
    cached = row["native_tokens_cached"] or 0
    prompt = row["native_tokens_prompt"] or 0
    completion = row["native_tokens_completion"] or 0
    rate = endpoint.cached if endpoint.cached is not None else endpoint.prompt
    total = (prompt - cached) * endpoint.prompt + cached * rate + completion * endpoint.completion
    return total * _TIERS.get(row["service_tier"], 1.0) / _MILLION


def charge(row: dict[str, Any], endpoint: Endpoint, rng: random.Random, *, own_key: bool, writes_cache: bool) -> None:
    """Write the amounts, in USD, into a row whose tokens are known.

    With ``own_key`` the provider charges the customer directly, and the account pays a small fee or nothing.
    """
    total = price_of(row, endpoint)
    cached = row["native_tokens_cached"] or 0
    if cached and endpoint.cached is not None:
        row["cache_discount"] = round(cached * (endpoint.prompt - endpoint.cached) / _MILLION, DECIMALS)
    elif writes_cache and endpoint.provider in _CHARGES_WRITES and row["native_tokens_prompt"] > _WRITE_LEAST:
        surcharge = row["native_tokens_prompt"] * endpoint.prompt * _WRITE_SURCHARGE / _MILLION
        row["cache_discount"] = -round(surcharge, DECIMALS)
        total += surcharge
    total = round(total, DECIMALS)
    if own_key:
        row["upstream_inference_cost"] = total
        # A monthly quota of calls on one's own key is free of the fee.
        row["total_cost"] = round(total * _OWN_KEY_FEE, DECIMALS) if chance(rng, 0.4) else 0
        return
    row["total_cost"] = total or 0
    share = REPORTS_UPSTREAM.get(endpoint.provider)
    if share is not None:
        row["upstream_inference_cost"] = round(total * share, DECIMALS) or 0
