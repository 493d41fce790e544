"""orstats sessions: sums recomputed from the simulator's own records, and wrong options."""

import math
from datetime import datetime

import pandas as pd
import pytest

from orstats.sim import SimServer


@pytest.fixture(scope="module")
def account():
    with SimServer(600, seed=5) as sim:
        yield sim


def sessions_of(records, by="session_id"):
    """Generations, cost and wall clock of each session."""
    found = {}
    for record in records:
        if record.get(by) is None:
            continue
        cost = record["total_cost"] + ((record.get("upstream_inference_cost") or 0) if record.get("is_byok") else 0)
        began = datetime.fromisoformat(record["created_at"]).timestamp()
        took_s = max(record.get("latency") or 0, record.get("generation_time") or 0) / 1000
        found.setdefault(record[by], []).append((cost, began, began + took_s))
    return {
        name: (
            len(all_),
            pytest.approx(math.fsum(cost for cost, _, _ in all_), abs=1e-9),
            pytest.approx(max(end for *_, end in all_) - min(began for _, began, _ in all_), abs=1e-3),
        )
        for name, all_ in found.items()
    }


@pytest.mark.slow
@pytest.mark.parametrize("by", ["session_id", "request_id"])
def test_each_session_is_summed_up(managed, orstats, by):
    online_ids = "\n".join(managed.ids)
    done = orstats("sessions", "--ids-from", "-", "--by", by, "-o", "s.csv", "--archive", "a", input=online_ids)
    assert done.exit_code == 0, done.output
    table = pd.read_csv("s.csv")
    rows = {row[0]: tuple(row[1:]) for row in table[[by, "generations", "cost_usd", "wall_s"]].itertuples(index=False)}
    assert rows == sessions_of(map(managed.record, managed.ids), by)
    again = orstats("sessions", "--archive", "a", "--by", by, "-o", "again.csv")  # without ids: all of the archive
    assert again.exit_code == 0, again.output
    pd.testing.assert_frame_equal(pd.read_csv("again.csv"), table)


def test_top_keeps_the_most_expensive_and_says_how_many_are_omitted(managed, orstats):
    expected = sessions_of(map(managed.record, managed.ids))
    done = orstats("sessions", *managed.ids, "--top", "2", "--no-archive")
    assert f"{len(expected) - 2} less expensive sessions omitted (--top), included in the total." in done.stderr
    most_expensive = max(expected, key=lambda name: expected[name][1].expected)
    lines = done.stdout.splitlines()
    assert len(lines) == 4
    assert lines[-1].split()[:2] == ["total", str(sum(generations for generations, *_ in expected.values()))]
    assert lines[1].startswith(most_expensive)


def test_range_of_the_account_is_listed_and_fetched(managed, orstats):
    done = orstats("sessions", "--since", "30d", "--archive", "b")
    assert done.exit_code == 0, done.output
    assert "wall" in done.stdout
    assert any(name in done.stdout for name in sessions_of(map(managed.record, managed.ids)))


def test_wrong_column_gets_the_nearest(orstats):
    done = orstats("sessions", "--by", "sesion_id")
    assert done.exit_code == 2
    assert "Did you mean 'session_id'?" in done.stderr


@pytest.mark.usefixtures("online")
def test_no_sessions_cost_nothing(orstats):
    done = orstats("sessions", "gen-1", "--no-archive")
    assert done.exit_code == 3
    assert done.stdout.splitlines()[-1].split()[:4] == ["total", "0", "$0", "0"]
