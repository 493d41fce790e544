import pandas as pd
import pyarrow as pa
import pytest

from orstats.frame import schema
from orstats.frame.record_table import RECORD_SCHEMA
from orstats.frame.status import STATUSES

TEXT, COUNT, FLAG, NUMBER = "string", "Int64", "boolean", "float64"
TIME = "datetime64[us, UTC]"

# What the vendor's API reference declares of `GET /generation`: type by field.
DOCUMENTED = {
    "api_type": TEXT,
    "app_id": COUNT,
    "cache_discount": NUMBER,
    "cancelled": FLAG,
    "created_at": TIME,
    "data_region": TEXT,
    "external_user": TEXT,
    "finish_reason": TEXT,
    "generation_time": NUMBER,
    "http_referer": TEXT,
    "id": TEXT,
    "is_byok": FLAG,
    "latency": NUMBER,
    "model": TEXT,
    "moderation_latency": NUMBER,
    "native_finish_reason": TEXT,
    "native_tokens_cached": COUNT,
    "native_tokens_completion": COUNT,
    "native_tokens_completion_images": COUNT,
    "native_tokens_prompt": COUNT,
    "native_tokens_reasoning": COUNT,
    "num_fetches": COUNT,
    "num_input_audio_prompt": COUNT,
    "num_media_completion": COUNT,
    "num_media_prompt": COUNT,
    "num_search_results": COUNT,
    "origin": TEXT,
    "preset_id": TEXT,
    "provider_name": TEXT,
    "provider_responses": TEXT,
    "request_id": TEXT,
    "response_cache_source_id": TEXT,
    "router": TEXT,
    "service_tier": TEXT,
    "session_id": TEXT,
    "streamed": FLAG,
    "tokens_completion": COUNT,
    "tokens_prompt": COUNT,
    "total_cost": NUMBER,
    "upstream_id": TEXT,
    "upstream_inference_cost": NUMBER,
    "usage": NUMBER,
    "user_agent": TEXT,
    "web_search_engine": TEXT,
    "workspace_id": TEXT,
}
NEVER_NULL = {"id", "model", "created_at", "origin", "usage", "total_cost", "is_byok", "data_region"}


def test_the_wire_fields_are_the_documented_ones():
    assert {field.name: field.dtype for field in (schema.ID, *schema.WIRE)} == DOCUMENTED


def test_the_wire_fields_are_nullable_as_documented():
    assert {field.name for field in (schema.ID, *schema.WIRE) if not field.nullable} == NEVER_NULL


def test_each_column_is_declared_once():
    names = [field.name for field in schema.COLUMNS]
    assert len(names) == len(set(names))
    assert set(names) == set(schema.FIELDS) - {"id"}
    parts = (*schema.WIRE, schema.EXTRA, *schema.FETCH, *schema.DERIVED)
    assert sorted(names) == sorted(field.name for field in parts)


@pytest.mark.parametrize("field", schema.FIELDS.values(), ids=lambda field: field.name)
def test_each_field_says_what_it_is(field):
    assert field.meaning.endswith((".", ")"))
    assert field.source
    assert pd.api.types.pandas_dtype(field.dtype) is not None
    if field.kind in ("number", "time"):
        assert field.unit
    if field.kind in ("text", "json", "flag"):
        assert not field.unit


def test_each_status_and_basis_is_explained_in_the_dictionary():
    for status in STATUSES:
        assert status in schema.FIELDS["fetch_status"].meaning
    for basis in schema.COST_BASES:
        assert f"{basis}:" in schema.FIELDS["cost_basis"].meaning


def test_the_record_schema_is_the_field_table():
    names = ["id", *(f.name for f in schema.WIRE), "extra", *(f.name for f in schema.DERIVED), "fetched_at"]
    arrow = {
        "string": pa.string(),
        "Int64": pa.int64(),
        "boolean": pa.bool_(),
        "float64": pa.float64(),
        TIME: pa.timestamp("us", tz="UTC"),
    }
    assert names == RECORD_SCHEMA.names
    assert [arrow[schema.FIELDS[name].dtype] for name in names] == RECORD_SCHEMA.types
