"""The vendor's own SDK reads every answer of the simulator, and knows its errors."""

import pytest
from openrouter import OpenRouter, errors

from orstats.sim import Faults, SimServer

METADATA_ERRORS = {
    "400": errors.BadRequestResponseError,
    "401": errors.UnauthorizedResponseError,
    "402": errors.PaymentRequiredResponseError,
    "403": errors.ForbiddenResponseError,
    "404": errors.NotFoundResponseError,
    "429": errors.TooManyRequestsResponseError,
    "500": errors.InternalServerResponseError,
    "502": errors.BadGatewayResponseError,
    "524": errors.EdgeNetworkTimeoutResponseError,
    "529": errors.ProviderOverloadedResponseError,
    "408": errors.OpenRouterDefaultError,
    "503": errors.OpenRouterDefaultError,
    "520": errors.OpenRouterDefaultError,
}
CONTENT_ERRORS = {kind: METADATA_ERRORS[kind] for kind in METADATA_ERRORS if kind not in ("402", "408", "503", "520")}
# The SDK itself marks two fields of a key as deprecated, and warns of them in whatever the API answers.
key_warnings = pytest.mark.filterwarnings(r"ignore:warning. \*\* DEPRECATED:DeprecationWarning")


@pytest.fixture(scope="module")
def sdk(sim):
    with OpenRouter(api_key=sim.key, server_url=sim.base_url) as client:
        yield client


def test_sdk_reads_the_metadata_of_the_first_thousand(sim, sdk):
    for identifier in sim.ids:
        read = sdk.generations.get_generation(id=identifier, retries=None).data
        # It warns of values of `api_type` that it does not list.
        assert read.model_dump(exclude_unset=True, warnings=False) == sim.record(identifier)


def test_sdk_reads_all_content(sim, sdk):
    count = 0
    for identifier in sim.ids:
        expected = sim.content(identifier)
        if expected is None:
            with pytest.raises(errors.NotFoundResponseError):
                sdk.generations.list_generation_content(id=identifier, retries=None)
            continue
        read = sdk.generations.list_generation_content(id=identifier, retries=None).data
        assert read.model_dump() == expected
        count += 1
    assert count > 700


@key_warnings
@pytest.mark.parametrize("name", ["key", "plain_key", "management_key"])
def test_sdk_reads_the_key(sim, name):
    with OpenRouter(api_key=getattr(sim, name), server_url=sim.base_url) as client:
        read = client.api_keys.get_current_key_metadata(retries=None).data
    assert read.is_management_key is (name == "management_key")
    assert read.usage >= read.usage_daily


@pytest.mark.parametrize("kind", METADATA_ERRORS)
def test_sdk_raises_its_errors_for_metadata(kind):
    with (
        SimServer(5, faults=Faults(rate=0, always={"x": kind})) as server,
        OpenRouter(api_key=server.key, server_url=server.base_url) as client,
        pytest.raises(METADATA_ERRORS[kind]) as caught,
    ):
        client.generations.get_generation(id="x", retries=None)
    assert caught.value.status_code == int(kind)


@pytest.mark.parametrize("kind", CONTENT_ERRORS)
def test_sdk_raises_its_errors_for_content(kind):
    with (
        SimServer(5, faults=Faults(rate=0, always={"x": kind})) as server,
        OpenRouter(api_key=server.key, server_url=server.base_url) as client,
        pytest.raises(CONTENT_ERRORS[kind]) as caught,
    ):
        client.generations.list_generation_content(id="x", retries=None)
    assert caught.value.data.error.code == int(kind)


def test_sdk_reads_activity_credits_and_analytics(sim):
    with OpenRouter(api_key=sim.management_key, server_url=sim.base_url) as client:
        credit = client.credits.get_credits(retries=None).data
        days = client.analytics.get_user_activity(retries=None).data
        meta = client.analytics.get_analytics_meta(retries=None).data
        found = client.analytics.query_analytics(metrics=["request_count"], dimensions=["model"], retries=None)
    assert credit.total_credits > credit.total_usage > 0
    assert {day.provider_name for day in days} >= {"OpenAI", "Anthropic"}
    assert "generation_id" in {dimension.name for dimension in meta.dimensions}
    assert found.data.metadata.row_count == len(found.data.data) > 5


@key_warnings
def test_sdk_reads_the_list_of_keys(sim):
    with OpenRouter(api_key=sim.management_key, server_url=sim.base_url) as client:
        listed = client.api_keys.list(retries=None, include_disabled=True).data
    assert [key.name for key in listed if key.disabled] == ["Old laptop"]
    assert sum(key.usage for key in listed) > 0


def test_sdk_sends_feedback_once(sim):
    feedback = {"generation_id": sim.ids[-1], "category": "other"}
    with OpenRouter(api_key=sim.management_key, server_url=sim.base_url) as client:
        assert client.generations.submit_feedback(**feedback, retries=None).data.SUCCESS is True
        with pytest.raises(errors.ConflictResponseError):
            client.generations.submit_feedback(**feedback, retries=None)


def test_plain_key_may_not_read_credits(sim):
    with (
        OpenRouter(api_key=sim.key, server_url=sim.base_url) as client,
        pytest.raises(errors.ForbiddenResponseError, match="Only management keys"),
    ):
        client.credits.get_credits(retries=None)
