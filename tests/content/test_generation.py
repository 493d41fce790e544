"""Generation and get: typed, equal to the frame, errors by kind, content on demand."""

import dataclasses
import subprocess
import sys
import time
from datetime import UTC, datetime

import pandas as pd
import pytest

import orstats
from orstats import errors
from orstats.api.clock import Clock
from orstats.frame.schema import COLUMNS
from orstats.sim import Faults, SimServer

QUICK = orstats.Retry(attempts=1)


@pytest.fixture(scope="module")
def account():
    with SimServer(200, seed=11) as sim:
        yield sim


@pytest.fixture
def sim(account):
    account.reset_stats()
    return account


def test_generation_has_every_column_of_the_frame():
    assert {one.name for one in dataclasses.fields(orstats.Generation)} == {"id", *(one.name for one in COLUMNS)}


def test_a_row_gives_the_same_values_as_the_frame(sim):
    df = orstats.fetch(sim.ids, client=sim.client())
    plain = {"text", "count", "flag", "number", "time"}
    for generation_id, row in df.iterrows():
        generation = orstats.Generation.from_row(row)
        assert generation.id == generation_id
        for field in COLUMNS:
            if field.kind in plain:
                value = getattr(generation, field.name)
                assert pd.isna(row[field.name]) if value is None else value == row[field.name], field.name
        assert isinstance(generation.created_at, datetime)
        assert generation.created_at.tzinfo == UTC
        assert type(generation.is_byok) is bool
        tried = sim.record(generation_id).get("provider_responses")
        assert (
            generation.provider_responses is None if tried is None else len(generation.provider_responses) == len(tried)
        )


def test_get_and_content_each_send_one_request(sim):
    generation = orstats.get(sim.ids[-1], client=sim.client())
    assert sim.requests == 1
    assert generation.id in repr(generation)
    assert "\n" not in repr(generation)
    assert generation._repr_html_()
    assert sim.requests == 1
    generation.content()
    assert sim.requests == 2
    with pytest.raises(dataclasses.FrozenInstanceError):
        generation.id = "other"


def test_get_from_the_archive_needs_no_request(sim, tmp_path):
    orstats.fetch(sim.ids[:1], client=sim.client(), archive=tmp_path)
    sim.reset_stats()
    assert orstats.get(sim.ids[0], client=sim.client(), archive=tmp_path).id == sim.ids[0]
    assert sim.requests == 0


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        ("400", errors.BadRequestError),
        ("403", errors.ForbiddenError),
        ("404", errors.NotFoundError),
        ("429", errors.RateLimitError),
        ("500", errors.ServerError),
        ("401", errors.AuthenticationError),
    ],
)
def test_each_failure_is_a_typed_error(kind, error):
    with SimServer(5, faults=Faults(rate=1.0, kinds=[kind], repeat=99)) as sim, pytest.raises(error) as caught:
        orstats.get(sim.ids[0], client=sim.client(retry=QUICK))
    assert caught.value.status == int(kind)


def test_each_failure_carries_what_the_server_sent():
    faults = Faults(rate=1.0, kinds=["502-metadata"])
    with SimServer(5, faults=faults) as sim, pytest.raises(errors.BadGatewayError) as caught:
        orstats.get(sim.ids[0], client=sim.client(retry=orstats.Retry(attempts=1)))
    assert caught.value.body["error"]["code"] == 502
    assert caught.value.metadata
    assert caught.value.headers["Content-Type"].startswith("application/json")


class InstantClock(Clock):
    """A clock on which sleeping takes no real time."""

    def __init__(self):
        self.slept = 0.0

    def monotonic(self):
        return time.monotonic() + self.slept

    def sleep(self, seconds):
        self.slept += seconds


def test_get_without_a_connection_is_logged_and_given_up_early(caplog):
    clock = InstantClock()
    client = orstats.Client("k", base_url="http://127.0.0.1:1", _clock=clock)
    with client, pytest.raises(errors.NoConnectionError, match="connection refused"):
        orstats.get("gen-1700000000-AbCdEfGhIjKlMnOpQr", client=client)
    assert clock.slept < 10
    messages = [record.getMessage() for record in caplog.records if record.name == "orstats.retry"]
    assert messages
    assert all("connection refused" in message for message in messages)


def test_get_and_from_row_refuse_other_values(sim):
    with pytest.raises(TypeError, match="one id"):
        orstats.get([sim.ids[0]], client=sim.client())
    df = orstats.fetch(sim.ids[:2], client=sim.client())
    with pytest.raises(errors.ConfigError, match="one row"):
        orstats.Generation.from_row(df)
    with pytest.raises(errors.ConfigError, match="no generation id"):
        orstats.Generation.from_row({"model": "a/b"})
    with pytest.raises(errors.BadRequestError, match="chatcmpl"):
        orstats.get("chatcmpl-1", client=sim.client())


def test_a_failed_row_can_be_a_generation(sim):
    df = orstats.fetch(sim.unknown_ids(1, age=3600), client=sim.client())
    generation = orstats.Generation.from_row(df.iloc[0])
    assert generation.fetch_status == "not_found"
    assert generation.model is None
    assert "not_found" in repr(generation)


def test_invalid_cells_are_none():
    row = {
        "id": "gen-1",
        "provider_responses": "no json",
        "extra": "[]",
        "latency": "x",
        "created_at": "y",
        "is_byok": 2,
    }
    generation = orstats.Generation.from_row(row)
    assert generation.provider_responses is None
    assert generation.extra == {}
    assert (generation.latency, generation.created_at, generation.is_byok) == (None, None, None)
    assert orstats.Generation.from_row({"id": "../?&x=<b>"}).url.endswith("transaction=..%2F%3F%26x%3D%3Cb%3E")


def test_html_form_needs_neither_the_notebook_folder_nor_ipython():
    code = """
import sys
from orstats import Generation
html = Generation("gen-1", model="<b>m</b>", cost_usd=0.5)._repr_html_()
assert "&lt;b&gt;m&lt;/b&gt;" in html and "$0.5" in html, html
above = ("orstats.notebook", "orstats.reports", "orstats.export", "ipywidgets", "IPython")
above = [name for name in sys.modules if name.startswith(above)]
assert not above, above
"""
    subprocess.run([sys.executable, "-c", code], check=True)
