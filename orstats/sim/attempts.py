"""The chain of providers that were tried for a generation: refusals first, then (mostly) the one that answered."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from orstats.sim.seeds import chance, letters, one_of

if TYPE_CHECKING:
    import random

    from orstats.sim.catalogue import Endpoint, Model

# What a provider that does not serve says; None: it never answered.
REFUSALS: tuple[int | None, ...] = (429, 429, 429, 503, 502, 529, 500, 408, None)
_FRACTIONAL = 0.15
_OK = 200


def milliseconds(rng: random.Random, value: float) -> float:
    """Round a duration as the API's records have it: mostly whole, sometimes with a fraction."""
    if chance(rng, _FRACTIONAL):
        return round(value, 3)
    return int(value) + 1


def upstream_id(rng: random.Random, provider: str) -> str | None:
    """Make the provider's own identifier of an answer, in its style; some give none."""
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
    """Make the record of the attempt that answered.

    Parameters
    ----------
    rng, model, endpoint
        Who answered, and the chance that draws the identifier.
    latency
        In ms; the generation's own, as earlier attempts do not count there.
    byok
        Whether it ran on the customer's own key.
    tier
        "flex" or "priority" when routed so.
    """
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


def agree(row: dict[str, Any]) -> None:
    """Let the attempt that answered tell what its record tells, whose kind may have changed the time and the tier.

    Parameters
    ----------
    row
        The record, whole; its ``provider_responses`` are changed.
    """
    for attempt in row["provider_responses"] or []:
        if attempt["status"] != _OK:
            continue
        told = {"latency": row["latency"], "routed_service_tier": row["service_tier"]}
        for field in told.keys() & attempt.keys():
            if told[field] is None:
                del attempt[field]
            else:
                attempt[field] = told[field]


def prolong(row: dict[str, Any], duration_ms: int) -> None:
    """Let the call of a record run for ``duration_ms``; its first token does not come later than before."""
    row["generation_time"] = duration_ms
    if row["latency"] is not None and not row["streamed"]:
        row["latency"] = duration_ms
    agree(row)


def refusals(rng: random.Random, model: Model, last: Endpoint | None, count: int) -> list[dict[str, Any]]:
    """Make ``count`` failed attempts at the model's endpoints, the one that will answer (``last``) left out."""
    others = [endpoint for endpoint in model.endpoints if endpoint is not last] or list(model.endpoints)
    return [refused(rng, model, others[n % len(others)]) for n in range(count)]
