"""The attempts of a generation: failed ones and the one that responded, as ``provider_responses`` lists them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from orstats.sim.dataset.random_streams import chance, letters, one_of

if TYPE_CHECKING:
    import random

    from orstats.sim.dataset.catalogue import Endpoint, Model

# Statuses of failed attempts; None for one that never responded.
REFUSALS: tuple[int | None, ...] = (429, 429, 429, 503, 502, 529, 500, 408, None)
_FRACTIONAL = 0.15
_OK = 200


def milliseconds(rng: random.Random, value: float) -> float:
    """Round a duration as the API does: mostly to integer ms, sometimes to µs."""
    if chance(rng, _FRACTIONAL):
        return round(value, 3)
    return int(value) + 1


def upstream_id(rng: random.Random, provider: str) -> str | None:
    """Make the provider's own id of a response, in its style; some have none."""
    if provider in {"OpenAI", "Azure"}:
        return f"chatcmpl-{letters(rng, 30)[:29]}"
    if provider == "Anthropic":
        return f"msg_01{letters(rng, 22)}"
    if provider == "Amazon Bedrock":
        return f"msg_bdrk_01{letters(rng, 22)}"
    if provider in {"Google", "Google AI Studio", "Venice"}:
        return None if chance(rng, 0.5) else letters(rng, 24)
    return f"chatcmpl-{rng.getrandbits(128):032x}"


def refused(rng: random.Random, model: Model, endpoint: Endpoint) -> dict[str, Any]:
    """Make the record of an attempt that failed."""
    attempt: dict[str, Any] = {"status": one_of(rng, REFUSALS), "provider_name": endpoint.provider}
    slow = attempt["status"] in (None, 408)
    attempt["latency"] = milliseconds(rng, rng.lognormvariate(0.0, 0.7) * (9000.0 if slow else 260.0))
    attempt["is_byok"] = False
    if chance(rng, 0.9):
        attempt["endpoint_id"] = model.endpoint_id(endpoint)
        attempt["model_permaslug"] = model.permaslug
    return attempt


def served(
    rng: random.Random, model: Model, endpoint: Endpoint, *, latency: float, byok: bool, tier: str | None
) -> dict[str, Any]:
    """Make the record of the attempt that answered; ``latency`` is the generation's own, in ms."""
    attempt: dict[str, Any] = {
        "status": _OK,
        "provider_name": endpoint.provider,
        "latency": latency,
        "is_byok": byok,
        "endpoint_id": model.endpoint_id(endpoint),
        "model_permaslug": model.permaslug,
    }
    identifier = upstream_id(rng, endpoint.provider)
    if identifier is not None:
        attempt["id"] = identifier
    if tier in {"flex", "priority"}:
        attempt["routed_service_tier"] = tier
    return attempt


def sync_attempts(row: dict[str, Any]) -> None:
    """Copy latency and service tier of a record to its successful attempt, after its kind has changed them."""
    for attempt in row["provider_responses"] or []:
        if attempt["status"] != _OK:
            continue
        known = {"latency": row["latency"], "routed_service_tier": row["service_tier"]}
        for field in known.keys() & attempt.keys():
            if known[field] is None:
                del attempt[field]
            else:
                attempt[field] = known[field]


def prolong(row: dict[str, Any], duration_ms: int) -> None:
    """Let the call of a record run for ``duration_ms``; its first token does not come later than before."""
    row["generation_time"] = duration_ms
    if row["latency"] is not None and not row["streamed"]:
        row["latency"] = duration_ms
    sync_attempts(row)


def refusals(rng: random.Random, model: Model, last: Endpoint | None, count: int) -> list[dict[str, Any]]:
    """Make ``count`` failed attempts at the model's endpoints, except the one that will answer (``last``)."""
    others = [endpoint for endpoint in model.endpoints if endpoint is not last] or list(model.endpoints)
    return [refused(rng, model, others[n % len(others)]) for n in range(count)]
