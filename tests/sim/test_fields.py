"""The answers have exactly the fields of the vendor's specification (2026-08-22), with its types."""

import re

import pytest

NULL = type(None)
NUMBER = (int, float)

# name: (types, nullable, required), typed out of the specification.
GENERATION = {
    "id": (str, False, True),
    "upstream_id": (str, True, True),
    "total_cost": (NUMBER, False, True),
    "cache_discount": (NUMBER, True, True),
    "upstream_inference_cost": (NUMBER, True, True),
    "created_at": (str, False, True),
    "model": (str, False, True),
    "app_id": (int, True, True),
    "streamed": (bool, True, True),
    "cancelled": (bool, True, True),
    "provider_name": (str, True, True),
    "latency": (NUMBER, True, True),
    "moderation_latency": (NUMBER, True, True),
    "generation_time": (NUMBER, True, True),
    "finish_reason": (str, True, True),
    "service_tier": (str, True, True),
    "tokens_prompt": (int, True, True),
    "tokens_completion": (int, True, True),
    "native_tokens_prompt": (int, True, True),
    "native_tokens_completion": (int, True, True),
    "native_tokens_completion_images": (int, True, True),
    "native_tokens_reasoning": (int, True, True),
    "native_tokens_cached": (int, True, True),
    "num_media_prompt": (int, True, True),
    "num_input_audio_prompt": (int, True, True),
    "num_media_completion": (int, True, True),
    "num_search_results": (int, True, True),
    "num_fetches": (int, True, True),
    "web_search_engine": (str, True, True),
    "origin": (str, False, True),
    "usage": (NUMBER, False, True),
    "is_byok": (bool, False, True),
    "native_finish_reason": (str, True, True),
    "external_user": (str, True, True),
    "api_type": (str, True, True),
    "preset_id": (str, True, True),
    "router": (str, True, True),
    "provider_responses": (list, True, True),
    "user_agent": (str, True, True),
    "http_referer": (str, True, True),
    "data_region": (str, False, True),
    "workspace_id": (str, True, True),
    "request_id": (str, True, False),
    "session_id": (str, True, False),
    "response_cache_source_id": (str, True, False),
}
PROVIDER_RESPONSE = {
    "status": (int, True, True),
    "endpoint_id": (str, False, False),
    "id": (str, False, False),
    "is_byok": (bool, False, False),
    "latency": (NUMBER, False, False),
    "model_permaslug": (str, False, False),
    "provider_name": (str, False, False),
    "routed_service_tier": (str, False, False),
}
CONTENT = {"input": (dict, False, True), "output": (dict, False, True), "error": (dict, True, True)}
OUTPUT = {"completion": (str, True, True), "reasoning": (str, True, True)}
ERROR = {
    "status": (int, True, True),
    "message": (str, True, True),
    "provider_name": (str, True, True),
    "raw": (str, True, True),
    "previous_errors": (list, False, True),
}
PREVIOUS_ERROR = {
    "code": (int, False, True),
    "message": (str, False, True),
    "provider_name": (str, True, True),
    "raw": (str, True, True),
}
KEY = {
    "label": (str, False, True),
    "limit": (NUMBER, True, True),
    "usage": (NUMBER, False, True),
    "usage_daily": (NUMBER, False, True),
    "usage_weekly": (NUMBER, False, True),
    "usage_monthly": (NUMBER, False, True),
    "byok_usage": (NUMBER, False, True),
    "byok_usage_daily": (NUMBER, False, True),
    "byok_usage_weekly": (NUMBER, False, True),
    "byok_usage_monthly": (NUMBER, False, True),
    "is_free_tier": (bool, False, True),
    "is_management_key": (bool, False, True),
    "is_provisioning_key": (bool, False, True),
    "limit_remaining": (NUMBER, True, True),
    "limit_reset": (str, True, True),
    "include_byok_in_limit": (bool, False, True),
    "creator_user_id": (str, True, True),
    "rate_limit": (dict, False, True),
    "expires_at": (str, True, False),
    # Later than the specification, demanded by the vendor's SDK 1.3.84:
    "allowed_data_regions": (list, False, False),
    "budgets": (list, False, False),
    "effective_budget": (dict, True, False),
    "free_model_daily_requests": (dict, False, False),
    "organization_id": (str, True, False),
    "workspace_id": (str, True, False),
}
# The providers that the simulator may name; all are in the specification's list.
PROVIDERS = {
    *("Amazon Bedrock", "Anthropic", "Azure", "Cerebras", "Cohere", "Crusoe", "DeepInfra", "Fireworks", "Google"),
    *("Google AI Studio", "Groq", "Infermatic", "Mistral", "Nebius", "Novita", "OpenAI", "OpenInference"),
    *("SiliconFlow", "Together", "Venice", "xAI"),
}


def wrong_fields(value, table):
    """Name all differences between a JSON object and a table of fields."""
    problems = [f"{name}: not in the specification" for name in value.keys() - table.keys()]
    for name, (types, nullable, required) in table.items():
        if name not in value:
            problems += [f"{name}: missing"] if required else []
        elif value[name] is None:
            problems += [] if nullable else [f"{name}: null"]
        elif not isinstance(value[name], types) or (isinstance(value[name], bool) and types is not bool):
            problems.append(f"{name}: {value[name]!r}")
    return problems


def test_field_table_finds_each_kind_of_difference(records):
    good = records[600]
    assert wrong_fields(good, GENERATION) == []
    assert wrong_fields(good | {"new": 1}, GENERATION) == ["new: not in the specification"]
    assert wrong_fields(good | {"model": None}, GENERATION) == ["model: null"]
    assert wrong_fields(good | {"is_byok": 1}, GENERATION) == ["is_byok: 1"]
    assert wrong_fields(good | {"app_id": True}, GENERATION) == ["app_id: True"]
    assert wrong_fields({k: v for k, v in good.items() if k != "origin"}, GENERATION) == ["origin: missing"]


def test_every_record_has_the_fields_of_the_specification(sim, ask):
    for identifier in sim.ids:
        status, body = ask(sim, "/generation", id=identifier)
        assert status == 200
        assert list(body) == ["data"]
        assert wrong_fields(body["data"], GENERATION) == [], identifier
        assert body["data"] == sim.record(identifier)


def test_attempts_have_the_fields_of_the_specification(records):
    for record in records:
        for attempt in record["provider_responses"] or []:
            assert wrong_fields(attempt, PROVIDER_RESPONSE) == [], record["id"]
            assert attempt.get("provider_name", "OpenAI") in PROVIDERS
            assert attempt.get("routed_service_tier", "flex") in {"flex", "priority"}


@pytest.mark.parametrize("name", [name for name, (_, nullable, _) in GENERATION.items() if nullable])
def test_every_nullable_field_is_null_somewhere_and_filled_somewhere(records, name):
    values = [record.get(name) for record in records]
    assert any(value is not None for value in values)
    assert any(name in record and record[name] is None for record in records)


@pytest.mark.parametrize("name", [name for name, (_, _, required) in GENERATION.items() if not required])
def test_every_optional_field_is_absent_somewhere(records, name):
    assert any(name not in record for record in records)


def test_enumerations_are_those_of_the_specification(records):
    assert {record["data_region"] for record in records} == {"global", "europe", "us"}
    specified = {"completions", "embeddings", "rerank", "tts", "stt", "video", "image", None}
    later = {"decisions", "tools_invoke", "memory_lookup"}
    assert {record["api_type"] for record in records} == specified | later
    for record in records:
        if record["api_type"] in later:
            assert (record["total_cost"], record["tokens_completion"], record["finish_reason"]) == (0, None, None)


def test_every_content_has_the_fields_of_the_specification(sim, ask):
    for identifier in sim.ids[::3]:
        status, body = ask(sim, "/generation/content", id=identifier)
        if status == 404:
            continue
        data = body["data"]
        assert wrong_fields(data, CONTENT) == [], identifier
        assert wrong_fields(data["output"], OUTPUT) == [], identifier
        assert list(data["input"]) in (["messages"], ["prompt"]), identifier
        if data["error"] is not None:
            assert wrong_fields(data["error"], ERROR) == [], identifier
            for error in data["error"]["previous_errors"]:
                assert wrong_fields(error, PREVIOUS_ERROR) == [], identifier


@pytest.mark.parametrize("key", ["key", "plain_key", "management_key"])
def test_key_has_the_fields_of_the_specification(sim, ask, key):
    status, body = ask(sim, "/key", key=getattr(sim, key))
    assert status == 200
    assert wrong_fields(body["data"], KEY) == []
    assert set(body["data"]["rate_limit"]) == {"requests", "interval", "note"}
    assert body["data"]["is_management_key"] is (key == "management_key")
    assert re.fullmatch(r"sk-or-v1-[0-9a-f]{3}\.\.\.[0-9a-f]{3}", body["data"]["label"])
