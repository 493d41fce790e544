"""Enum members, statuses and methods of the vendor's own SDK: whatever a release adds fails here by its name."""

import inspect
import re
import typing

import pytest
from openrouter.analytics import Analytics
from openrouter.api_keys import APIKeys
from openrouter.components import GenerationContentError, SubmitGenerationFeedbackRequest
from openrouter.components import generationcontentdata as content
from openrouter.components.generationresponse import GenerationResponseData
from openrouter.components.providerresponse import ProviderResponse
from openrouter.credits import Credits
from openrouter.generations import Generations
from openrouter.operations import queryanalytics as analytics
from openrouter.operations.getcurrentkey import GetCurrentKeyData

from orstats import errors
from orstats.api.response import decode

REGIONS = {"global", "europe", "us"}
#: The members that orstats was written with. A new one is looked at, then added here: does a report, a status or a
#: sentence depend on it?
ENUMS = {
    (GenerationResponseData, "api_type"): {
        *("completions", "embeddings", "rerank", "decisions", "video", "tts", "stt", "image"),
    },
    (GenerationResponseData, "data_region"): REGIONS,
    (ProviderResponse, "routed_service_tier"): {"flex", "priority", "ultrafast"},
    (GetCurrentKeyData, "allowed_data_regions"): REGIONS,
    (SubmitGenerationFeedbackRequest, "category"): {
        *("latency", "incoherence", "incorrect_response", "formatting", "billing", "api_error", "other"),
    },
}
#: Enums whose members orstats only passes on.
PASSED_ON = {(ProviderResponse, "provider_name")}
MODELS = (
    GenerationResponseData,
    ProviderResponse,
    GetCurrentKeyData,
    SubmitGenerationFeedbackRequest,
    GenerationContentError,
    content.GenerationContentData,
    content.GenerationContentDataOutput,
    analytics.QueryAnalyticsRequestBody,
    analytics.Filter,
)

#: The SDK's methods for the parts of the API that orstats uses.
METHODS = {
    Generations: {"get_generation", "list_generation_content", "submit_feedback"},
    Analytics: {"get_analytics_meta", "get_user_activity", "query_analytics"},
    Credits: {"get_credits"},
    APIKeys: {"create", "delete", "get", "get_current_key_metadata", "list", "update"},
}
CALLED = (
    Generations.get_generation,
    Generations.list_generation_content,
    Generations.submit_feedback,
    Analytics.get_analytics_meta,
    Analytics.get_user_activity,
    Analytics.query_analytics,
    Credits.get_credits,
    APIKeys.get_current_key_metadata,
    APIKeys.list,
)


def members(annotation):
    """The strings of every Literal inside an annotation."""
    origin = typing.get_origin(annotation)
    if hasattr(origin or annotation, "__value__"):  # an alias, such as the SDK's Nullable[int]
        meant = (origin or annotation).__value__
        annotation = meant[typing.get_args(annotation)] if origin else meant
    if typing.get_origin(annotation) is typing.Literal:
        return set(typing.get_args(annotation))
    return set().union(*(members(part) for part in typing.get_args(annotation)))


def enums():
    """Every enum of the models that orstats reads or sends."""
    for model in MODELS:
        for name, field in model.model_fields.items():
            if found := members(field.annotation):
                yield (model, name), found


def statuses(method):
    """The HTTP statuses for which a method of the SDK has an error."""
    return {int(code) for code in re.findall(r'match_response\(http_res, "(\d{3})"', inspect.getsource(method))}


def test_every_enum_member_of_the_sdk_is_known():
    unknown = [
        f"{model.__name__}.{name}: {member!r}"
        for (model, name), found in enums()
        if (model, name) not in PASSED_ON
        for member in sorted(found - ENUMS.get((model, name), set()))
    ]
    assert unknown == []


def test_every_known_enum_is_still_one_of_the_sdk():
    assert set(ENUMS) | PASSED_ON == {place for place, _ in enums()}


def test_members_of_nested_enums_are_found():
    assert members(list[typing.Literal["a", "b"] | None]) == {"a", "b"}


@pytest.mark.parametrize("kind", METHODS, ids=lambda kind: kind.__name__)
def test_every_method_of_the_sdk_is_known(kind):
    inherited = set(dir(kind.__base__)) | {"parent_ref"}
    found = {name for name in dir(kind) if not name.startswith("_") and name not in inherited}
    assert {name for name in found if not name.endswith("_async")} == METHODS[kind]


@pytest.mark.parametrize("method", CALLED, ids=lambda method: method.__name__)
def test_every_documented_status_has_an_error_of_its_own(method):
    documented = statuses(method) - {200}
    assert {401, 500} <= documented
    for status in sorted(documented):
        with pytest.raises(errors.ApiError) as caught:
            decode(status, {}, b'{"error":{"code":1,"message":"no"}}', generation_id="gen-1", now=0.0)
        assert caught.value.status == status
        assert type(caught.value) not in (errors.ApiError, errors.ServerError, errors.BadResponseError), status
