"""What every card says about a record: the widget, the static card, the comparison and the terminal."""

from datetime import UTC, datetime

import pytest

from orstats.content.record import ProviderAttempt, Record
from orstats.content.record_facts import MOST_ATTEMPTS, facts


def test_a_complete_record():
    attempts = (
        ProviderAttempt("A", 503, 327.0, None, ok=False),
        ProviderAttempt(None, None, None, None, ok=False),
        ProviderAttempt("B", 200, 1_400.0, is_byok=True, ok=True),
    )
    record = Record(
        "gen-1",
        model="vendor/model",
        provider_name="B",
        created_at=datetime(2026, 3, 1, 10, 20, 30, tzinfo=UTC),
        api_type="completions",
        streamed=True,
        data_region="eu",
        finish_reason="length",
        native_finish_reason="max_tokens",
        cost_usd=0.3,
        cost_basis="byok",
        is_byok=True,
        total_cost=0.1,
        upstream_inference_cost=0.2,
        cache_discount=-0.01,
        usd_per_mtok=1.5,
        native_tokens_prompt=1_200,
        native_tokens_cached=200,
        native_tokens_completion=300,
        native_tokens_reasoning=50,
        tokens_total=1_500,
        tokens_prompt=1_100,
        tokens_completion=290,
        num_media_prompt=2,
        num_fetches=1,
        latency=1_400.0,
        generation_time=53_600.0,
        throughput_tok_s=82.14,
        decode_tok_s=91.2,
        moderation_latency=12.0,
        provider_responses=attempts,
        fallback_ms=327.0,
        external_user="ann",
        app_id=0,
        router="auto",
        fetched_at=datetime(2026, 3, 2, tzinfo=UTC),
        extra={"new": 1},
    )
    assert facts(record) == {
        "Generation": {
            "model": "vendor/model",
            "provider": "served by B",
            "time": "2026-03-01 10:20:30 UTC",
            "request": "completions · streamed · region eu",
            "status": "length · finish_reason length · native_finish_reason max_tokens",
        },
        "Cost": {
            "cost": "$0.3",
            "basis": "Your own provider key (BYOK): the provider charges you, and OpenRouter may charge a fee.",
            "charges": "$0.1 from credits + $0.2 charged by the provider",
            "prompt caching": "Prompt caching added $0.01.",
            "price": "$1.5000 per million tokens",
        },
        "Tokens": {
            "tokens": "1,200 prompt (200 cached) + 300 completion (50 reasoning) = 1,500, as billed",
            "normalized tokens": "1,100 prompt + 290 completion by OpenRouter's normalized count",
            "media": "media in the prompt: 2, pages fetched: 1",
        },
        "Time": {
            "duration": "1.40 s to the first token, 53.6 s total",
            "speed": "82.1 tokens/s overall, 91.2 after the first token",
            "moderation": "12 ms of moderation before that",
        },
        "Providers": {
            "attempt 1": "1. A · 503 · 327 ms · failed",
            "attempt 2": "2. unknown provider · no answer · failed",
            "attempt 3": "3. B · 200 · 1.40 s · your key",
            "failed attempts": "327 ms spent on failed attempts",
        },
        "Caller": {"external_user": "ann"},
        "IDs": {"app_id": "0"},
        "Other": {"router": "auto", "fetched_at": "2026-03-02 00:00:00 UTC", "extra": '{"new":1}'},
    }


def test_missing_values_are_omitted_and_never_zero():
    assert facts(Record("gen-1")) == {
        "Generation": {"model": "unknown model", "time": "unknown time", "status": "ended"},
        "Cost": {
            "cost": "unknown",
            "basis": "Unknown: part of the cost is missing from the record (not counted as 0).",
        },
        "Tokens": {"tokens": "none counted for this call"},
    }


@pytest.mark.parametrize(("error", "text"), [("HTTP 404", "not found: HTTP 404"), (None, "not found")])
def test_without_a_record_only_the_status_is_known(error, text):
    assert facts(Record("gen-1", "not_found", error=error)) == {"Generation": {"status": text}}


def test_the_providers_charge_is_explained_for_credits():
    record = Record("gen-1", cost_usd=0.1, cost_basis="credits", upstream_inference_cost=0.2, cache_discount=0.01)
    assert list(facts(record)["Cost"].values()) == [
        "$0.1",
        "Charged to the account's credits.",
        "The provider's charge of $0.2 is included, not added.",
        "Prompt caching saved $0.01.",
    ]


def test_provider_attempts_are_bounded_and_say_when_none_answered():
    attempts = (ProviderAttempt("A", 503, 1.0, None, ok=False),) * (MOST_ATTEMPTS + 5)
    providers = facts(Record("gen-1", provider_responses=attempts, fallback_ms=35.0))["Providers"]
    assert len(providers) == MOST_ATTEMPTS + 2
    assert providers["more attempts"] == "and 5 more"
    assert providers["failed attempts"] == "35 ms spent on failed attempts; no provider answered"


def test_latency_of_an_unstreamed_response_is_not_called_first_token():
    record = Record("gen-1", streamed=False, latency=23_700.0, generation_time=24_800.0)
    assert facts(record)["Time"]["duration"] == "23.7 s latency, 24.8 s total"
