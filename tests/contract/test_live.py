"""One generation from the real API. Opt-in, because it needs a key and one of that account's ids:

OPENROUTER_API_KEY=… ORSTATS_LIVE_ID=gen-… python -m pytest -m live tests/contract
"""

import os

import pandas as pd
import pytest

import orstats
from orstats.content.content import CONTENT_STATUSES
from orstats.frame.schema import COLUMNS, FIELDS

pytestmark = [
    pytest.mark.live,
    pytest.mark.skipif(
        not (os.environ.get("OPENROUTER_API_KEY") and os.environ.get("ORSTATS_LIVE_ID")),
        reason="set OPENROUTER_API_KEY and ORSTATS_LIVE_ID",
    ),
]


@pytest.fixture(scope="module")
def generation_id():
    return os.environ["ORSTATS_LIVE_ID"]


@pytest.fixture(scope="module")
def client():
    with orstats.Client(base_url="https://openrouter.ai") as client:
        yield client


@pytest.fixture(scope="module")
def df(client, generation_id):
    return orstats.fetch([generation_id], client=client, archive=False, progress=False)


def test_live_row_is_ok_and_typed(df, generation_id):
    row = df.loc[generation_id]
    assert row["fetch_status"] == "ok", row["error"]
    assert row["http_status"] == 200
    assert {field.name: str(df[field.name].dtype) for field in COLUMNS} == {f.name: f.dtype for f in COLUMNS}
    assert [name for name in df.columns if not FIELDS[name].nullable and pd.isna(row[name])] == []
    assert row["created_at"] <= row["fetched_at"]
    assert row["cost_usd"] >= 0


def test_live_fields_are_known_and_typed(df, generation_id):
    extra = df.loc[generation_id, "extra"]
    assert pd.isna(extra), f"fields without a column, or of another type than declared: {extra}"


def test_live_record_equals_its_row(client, df, generation_id):
    record = client.generation(generation_id)
    assert record["id"] == generation_id
    assert record["total_cost"] == pytest.approx(df.loc[generation_id, "total_cost"])
    assert record["model"] == df.loc[generation_id, "model"]


def test_live_content_is_stored_or_has_a_reason(client, generation_id):
    content = orstats.get(generation_id, client=client, archive=False).content()
    assert content.status in CONTENT_STATUSES
    assert content.status == "stored" or content.reason


def test_live_key_reports_its_limits(client):
    assert client.key()["label"]
