"""Frames of many rows are converted in threads: the result must be that of small frames."""

import pandas as pd
import pytest

from orstats.frame.build import FetchOutcome, build_frame, to_frame
from orstats.frame.record_table import to_table
from orstats.sim import SimServer

RECORDS, ROWS, PART = 300, 6_000, 2_000


@pytest.fixture(scope="module")
def table():
    sim = SimServer(RECORDS, seed=5)
    records = [sim.record(one) for one in sim.ids] * (ROWS // RECORDS)
    return to_table([f"gen-{n:05d}" for n in range(ROWS)], records, [2e9] * ROWS)


def test_many_rows_give_the_frame_of_few(table):
    """In another order than the records, some ids without one, and the records in several tables."""
    outcomes = {f"gen-none-{n}": FetchOutcome("not_found", 404, 1, "Unknown.") for n in range(ROWS // 10)}
    ids = sorted([*table["id"].to_pylist(), *outcomes], key=lambda one: one[::-1])
    tables = [table.slice(0, 100), table.slice(100)]
    parts = [ids[start : start + PART] for start in range(0, len(ids), PART)]
    few = [build_frame(part, tables, {one: outcomes[one] for one in part if one in outcomes}) for part in parts]
    pd.testing.assert_frame_equal(build_frame(ids, tables, outcomes), pd.concat(few))


def test_an_error_in_a_thread_is_raised(table):
    with pytest.raises(KeyError, match="fetch_status"):
        to_frame(table)
