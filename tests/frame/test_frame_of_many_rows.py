"""Frames of many rows are made in threads: they must be those that are made column by column."""

import pandas as pd
import pytest

from orstats.frame import to_pandas
from orstats.frame.build import Outcome, assemble, to_frame, to_table
from orstats.sim import SimServer

ROWS = 300


@pytest.fixture
def asked():
    """Ids in another order than the records, a tenth of them without any."""
    sim = SimServer(ROWS, seed=5)
    table = to_table(sim.ids, [sim.record(one) for one in sim.ids], [2e9] * ROWS)
    missing = [f"gen-1780000000-{n:020d}" for n in range(ROWS // 10)]
    ids = sorted([*sim.ids, *missing], key=lambda one: one[::-1])
    return ids, table, {one: Outcome("not_found", 404, 1, "Unknown.") for one in missing}


@pytest.mark.parametrize("at_a_time", [1, 4])
def test_threads_make_the_same_frame(asked, at_a_time, monkeypatch):
    ids, table, outcomes = asked
    one_by_one = assemble(ids, [table.slice(0, 100), table.slice(100)], outcomes)
    monkeypatch.setattr(to_pandas, "_FEW_ROWS", 0)
    monkeypatch.setattr(to_pandas, "_AT_A_TIME", at_a_time)
    pd.testing.assert_frame_equal(assemble(ids, [table.slice(0, 100), table.slice(100)], outcomes), one_by_one)


def test_an_error_in_a_thread_is_raised(asked, monkeypatch):
    monkeypatch.setattr(to_pandas, "_FEW_ROWS", 0)
    with pytest.raises(KeyError, match="fetch_status"):
        to_frame(asked[1])
