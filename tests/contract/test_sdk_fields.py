"""What orstats reads, held against the models of the vendor's own SDK: a release that changes a field fails by name."""

import types
import typing
from datetime import datetime

import pytest
from openrouter.components import (
    ActivityItem,
    GenerationContentError,
    GenerationContentErrorAttempt,
    GenerationResponse,
)
from openrouter.components import generationcontentdata as content
from openrouter.components.generationresponse import GenerationResponseData
from openrouter.components.providerresponse import ProviderResponse
from openrouter.operations import getanalyticsmeta as meta
from openrouter.operations import queryanalytics as analytics
from openrouter.operations.getcredits import GetCreditsData
from openrouter.operations.getcurrentkey import GetCurrentKeyData
from pydantic import BaseModel

import orstats
from orstats.frame.schema import EXTRA, FIELDS, ID, WIRE
from orstats.frame.views import ATTEMPT_FIELDS

#: Which kinds of ours hold a value of theirs without loss.
HELD_BY = {
    "text": {"text", "time"},
    "count": {"count"},
    "number": {"number"},
    "flag": {"flag"},
    "list": {"json"},
    "object": {"json"},
}


def kind_and_null(annotation):
    """Tell the kinds that an annotation of the SDK allows, and whether it allows null or nothing at all."""
    origin = typing.get_origin(annotation)
    if hasattr(origin or annotation, "__value__"):  # an alias, such as the SDK's Nullable[int]
        meant = (origin or annotation).__value__
        return kind_and_null(meant[typing.get_args(annotation)] if origin else meant)
    if origin is typing.Annotated:
        return kind_and_null(typing.get_args(annotation)[0])
    if origin in (typing.Union, types.UnionType):
        found = [kind_and_null(part) for part in typing.get_args(annotation)]
        return set().union(*(kinds for kinds, _ in found)), any(null for _, null in found)
    if origin is typing.Literal:
        return {one_kind(type(value)) for value in typing.get_args(annotation)}, False
    if annotation is type(None) or getattr(annotation, "__name__", "") == "Unset":
        return set(), True
    return {one_kind(origin or annotation)}, False


def one_kind(found):
    for kind, of in {"flag": bool, "count": int, "number": float, "list": list, "object": (dict, BaseModel)}.items():
        if issubclass(found, of):
            return kind
    if issubclass(found, str | datetime):
        return "text"
    raise AssertionError(f"the SDK has a type that this test does not know: {found}")


def fields_of(model):
    """Name, kinds and nullability of every field of a model, by its name on the wire."""
    found = {}
    for name, field in model.model_fields.items():
        kinds, null = kind_and_null(field.annotation)
        found[field.alias or name] = (kinds, null or not field.is_required())
    return found


def differences(model, ours, *, all_of_theirs=True):
    """Name what differs between a model of the SDK and our table {name: (kind, nullable)}."""
    theirs = fields_of(model)
    problems = [f"{name}: orstats reads it, the SDK no longer has it" for name in ours.keys() - theirs.keys()]
    if all_of_theirs:
        problems += [f"{name}: new in the SDK, unknown to orstats" for name in theirs.keys() - ours.keys()]
    for name in sorted(ours.keys() & theirs.keys()):
        (kinds, null), (kind, nullable) = theirs[name], ours[name]
        if not all(kind in HELD_BY[one] for one in kinds):
            problems.append(f"{name}: {'|'.join(sorted(kinds))} in the SDK, {kind} in orstats")
        if null is not nullable:
            problems.append(f"{name}: may be null: {null} in the SDK, {nullable} in orstats")
    return problems


def test_every_field_of_a_generation_has_its_column_and_every_column_its_field():
    ours = {field.name: (field.kind, field.nullable) for field in (ID, *WIRE)}
    assert differences(GenerationResponseData, ours) == []
    assert fields_of(GenerationResponse) == {"data": ({"object"}, False)}


def test_public_field_table_names_them_all():
    table = orstats.field_table()
    wire = set(table.index[table["origin"] == "wire"]) - {EXTRA.name}
    assert wire ^ fields_of(GenerationResponseData).keys() == set()
    for name in wire:
        assert table.loc[name, "dtype"] == FIELDS[name].dtype


def test_every_field_of_an_attempt_is_a_column_of_attempts():
    made_here = {"attempt", "ok"}
    ours = {
        "id" if field.name == "upstream_id" else field.name: (field.kind, True)
        for field in ATTEMPT_FIELDS
        if field.name not in made_here
    }
    assert differences(ProviderResponse, ours) == []


@pytest.mark.parametrize(
    ("model", "ours"),
    [
        (content.GenerationContentData, {"input": ("json", False), "output": ("json", False), "error": ("json", True)}),
        (content.Input1, {"prompt": ("text", False)}),
        (content.Input2, {"messages": ("json", False)}),
        (content.GenerationContentDataOutput, {"completion": ("text", True), "reasoning": ("text", True)}),
        (
            GenerationContentError,
            {
                "status": ("count", True),
                "message": ("text", True),
                "provider_name": ("text", True),
                "raw": ("text", True),
                "previous_errors": ("json", False),
            },
        ),
        (
            GenerationContentErrorAttempt,
            {
                "code": ("count", False),
                "message": ("text", False),
                "provider_name": ("text", True),
                "raw": ("text", True),
            },
        ),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_every_field_of_stored_content_is_read(model, ours):
    assert differences(model, ours) == []


SPENT = {f"{kind}{span}": ("number", False) for kind in ("usage", "byok_usage") for span in ("", "_daily", "_monthly")}
READ = [
    (
        GetCurrentKeyData,
        SPENT
        | {
            "label": ("text", False),
            "limit": ("number", True),
            "limit_remaining": ("number", True),
            "limit_reset": ("text", True),
            "include_byok_in_limit": ("flag", False),
            "is_free_tier": ("flag", False),
            "is_management_key": ("flag", False),
            "expires_at": ("time", True),
        },
    ),
    (GetCreditsData, {"total_credits": ("number", False), "total_usage": ("number", False)}),
    (
        ActivityItem,
        {
            "date": ("text", False),
            "model": ("text", False),
            "model_permaslug": ("text", False),
            "requests": ("count", False),
            "usage": ("number", False),
            "byok_usage_inference": ("number", False),
        },
    ),
    (
        analytics.QueryAnalyticsData2,
        {
            "data": ("json", False),
            "metadata": ("json", False),
            "cachedAt": ("number", True),
            "warnings": ("json", True),
        },
    ),
    (analytics.Metadata, {"truncated": ("flag", False)}),
    (meta.GetAnalyticsMetaData, {"dimensions": ("json", False), "metrics": ("json", False)}),
]


@pytest.mark.parametrize(("model", "ours"), READ, ids=lambda value: getattr(value, "__name__", ""))
def test_account_fields_that_orstats_reads_exist(model, ours):
    assert differences(model, ours, all_of_theirs=False) == []


@pytest.mark.parametrize("model", [GetCreditsData, analytics.QueryAnalyticsData2], ids=lambda model: model.__name__)
def test_models_that_orstats_reads_completely_have_no_new_fields(model):
    ours = next(table for one, table in READ if one is model)
    assert differences(model, ours) == []


def test_analytics_queries_of_orstats_are_valid():
    asked = {"metrics", "dimensions", "filters", "granularity", "time_range", "limit"}
    assert asked - fields_of(analytics.QueryAnalyticsRequestBody).keys() == set()
    assert {"field", "operator", "value"} - fields_of(analytics.Filter).keys() == set()
    assert fields_of(analytics.TimeRange).keys() == {"start", "end"}


def test_comparison_finds_each_kind_of_difference():
    class Changed(GetCreditsData):
        total_usage: str | None
        colour: int

    ours = {"total_credits": ("number", False), "total_usage": ("number", False), "gone": ("flag", True)}
    assert sorted(differences(Changed, ours)) == [
        "colour: new in the SDK, unknown to orstats",
        "gone: orstats reads it, the SDK no longer has it",
        "total_usage: may be null: True in the SDK, False in orstats",
        "total_usage: text in the SDK, number in orstats",
    ]
