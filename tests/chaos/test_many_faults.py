"""Every third id meets one to three faults: none is lost. `python tests/benchmarks faults` does it with many more."""

import pytest

import orstats
from orstats.sim import Faults, SimServer


@pytest.mark.parametrize("seed", range(2))
def test_nothing_is_lost_under_thirty_percent_faults(seed, tmp_path):
    faults = Faults(rate=0.3, seed=seed, repeat=3, retry_after_s=0)
    with SimServer(1000, seed=seed, faults=faults) as sim:
        client = sim.client(retry=orstats.Retry(first_wait=0.01, max_wait=0.05))
        df = orstats.fetch(sim.ids, client=client, archive=tmp_path, workers=32)
        assert list(df.index) == sim.ids
        assert (df["fetch_status"] == "ok").all()
        assert list(df["total_cost"]) == [sim.record(one)["total_cost"] for one in sim.ids]
        assert sum(sim.stats.faults.values()) > 250
        assert sum(df["attempts"]) == sim.requests == len(sim.ids) + sum(sim.stats.faults.values())
    info = orstats.Archive(tmp_path).info().iloc[0]
    assert (info["rows"], info["ids"]) == (1000, 1000)
