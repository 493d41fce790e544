"""One generation: the same values as a row of fetch, without pandas and without threads."""

import os
import subprocess
import sys
import textwrap
import threading

import pandas as pd
import pytest

import orstats
from orstats import errors
from orstats.export.write_csv import json_rows
from orstats.fetching.fetch_one import fetch_one
from orstats.frame.record_table import row_table, to_table
from orstats.frame.row import json_row, record_row
from orstats.sim import Faults, SimServer

SENT = {"fetched_at", "attempts", "http_status"}


@pytest.fixture(scope="module")
def sim():
    with SimServer(400, seed=12) as server:
        yield server


def values(generation):
    return {name: value for name, value in vars(generation).items() if name not in SENT and not name.startswith("_")}


def test_get_returns_the_same_values_as_a_row_of_fetch(sim, tmp_path):
    df = orstats.fetch(sim.ids, client=sim.client(), archive=tmp_path)
    kinds = set()
    for generation_id in sim.ids:
        record = sim.record(generation_id)
        kinds.add((record["api_type"], record["is_byok"], record["finish_reason"], record["total_cost"] == 0))
        row = values(orstats.Generation.from_row(df.loc[generation_id]))
        assert values(orstats.Generation.from_record(record)) == row
    assert len(kinds) > 20
    for generation_id in sim.ids[::20]:
        expected = values(orstats.Generation.from_row(df.loc[generation_id]))
        assert values(orstats.get(generation_id, client=sim.client())) == expected
        archived = orstats.get(generation_id, client=sim.client(), archive=tmp_path)
        assert values(archived) == expected
        assert (archived.attempts, archived.fetched_at) == (0, df.loc[generation_id, "fetched_at"])


ODD = [
    {},
    {"total_cost": "0.25", "is_byok": "yes", "colour": "red", "created_at": "yesterday", "latency": float("nan")},
    {"native_tokens_prompt": 2**63 - 1, "native_tokens_completion": 1, "model": "\ud83d", "app_id": 10**30},
    {"provider_responses": [{"status": 503, "latency": 1}, 7], "created_at": "0001-01-01T00:00:00Z", "extra": 1},
    {"provider_responses": {"a": [1, None]}, "created_at": "2026-03-01T10:00:00.1234567+02:00", "user_agent": '\0\n"'},
]


def test_a_record_gives_the_same_row_and_table_as_many(sim):
    records = [*map(sim.record, sim.ids), *ODD]
    many = to_table([f"gen-{number}" for number in range(len(records))], records, [0.0] * len(records))
    epoch = pd.Timestamp(0, tz="UTC").to_pydatetime()
    for number, (record, expected) in enumerate(zip(records, many.to_pylist(), strict=True)):
        row = record_row(f"gen-{number}", record) | {"fetched_at": epoch}
        assert row == expected
        assert row_table(row).equals(many.slice(number, 1).combine_chunks())


def test_a_row_as_json_is_that_of_a_data_frame(sim):
    ids = sim.ids[::10]
    df = orstats.fetch(ids, client=sim.client())
    for generation_id, expected in zip(ids, json_rows(df), strict=True):
        row, error = fetch_one(generation_id, client=sim.client(), archive=False)
        assert error is None
        assert json_row(row) | {"fetched_at": None} == expected | {"fetched_at": None}


def test_a_fetched_record_is_archived_and_starts_no_thread(sim, tmp_path):
    before = threading.active_count()
    orstats.get(sim.ids[0], client=sim.client(), archive=tmp_path)
    assert threading.active_count() == before
    keyless = orstats.Client(base_url=sim.base_url)
    assert orstats.get(sim.ids[0], client=keyless, archive=tmp_path).attempts == 0


def test_the_original_error_is_raised_with_what_the_server_sent():
    faults = Faults(rate=1.0, kinds=["429"], repeat=99, retry_after_s=7)
    with SimServer(5, faults=faults) as sim, pytest.raises(errors.RateLimitError) as caught:
        orstats.get(sim.ids[0], client=sim.client(retry=orstats.Retry(attempts=1)))
    assert caught.value.retry_after == 7
    assert caught.value.body["error"]["code"] == 429


def test_a_recent_id_is_retried_and_then_retryable(sim):
    (found,) = sim.young_ids(1, found_after=1.0)
    assert orstats.get(found, client=sim.client()).attempts > 1
    (lost,) = sim.unknown_ids(1, age=0)
    row, error = fetch_one(lost, client=sim.client(), archive=False, pending_wait=0)
    assert (row["fetch_status"], error.retryable) == ("pending", True)
    (old,) = sim.unknown_ids(1, age=7200)
    row, error = fetch_one(old, client=sim.client(), archive=False, pending_wait=0)
    assert (row["fetch_status"], error.retryable) == ("not_found", False)


def test_an_api_key_instead_of_an_id_is_refused_and_not_repeated(sim):
    with pytest.raises(errors.ConfigError) as caught:
        orstats.get(sim.key, client=sim.client())
    assert sim.key not in str(caught.value)


LIGHT = """
    import sys
    import orstats
    from orstats.cli import main
    generation_id, archive = sys.argv[1:]

    def show(*options):
        sys.argv = ["orstats", "show", generation_id, "--content", *options]
        try:
            main()
        except SystemExit as end:
            assert not end.code, end.code

    client = orstats.Client()
    orstats.get(generation_id, client=client).content()
    show()
    assert "pyarrow" not in sys.modules
    for _ in range(2):  # fetched and stored, then from the archive
        orstats.get(generation_id, client=client, archive=archive).content()
    show("--archive", archive)
    heavy = {"pandas", "narwhals", "pyarrow.dataset", "fsspec", "tqdm"} & sys.modules.keys()
    assert not heavy, heavy
"""


def test_one_generation_needs_neither_pandas_nor_without_an_archive_pyarrow(sim, tmp_path):
    environment = os.environ | {"OPENROUTER_API_KEY": sim.key, "OPENROUTER_BASE_URL": sim.base_url}
    environment.pop("ORSTATS_ARCHIVE", None)
    stored = next(one for one in sim.ids if sim.content_reason(one) == "stored")
    command = [sys.executable, "-c", textwrap.dedent(LIGHT), stored, str(tmp_path / "archive")]
    subprocess.run(command, check=True, env=environment, stdout=subprocess.DEVNULL)


def test_view_imports_no_pandas():
    code = "import sys, orstats; orstats.view; assert 'pandas' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
