import pytest

import orstats
from orstats.notebook.explorer import explore


@pytest.fixture(scope="module")
def sim():
    with orstats.sim.SimServer(120, seed=3) as server:
        yield server


@pytest.fixture(scope="module")
def df(sim):
    return orstats.fetch([*sim.ids, sim.unknown_ids(1, age=9_000)[0]], client=sim.client(), progress=False)


@pytest.fixture
def one(df, sim):
    return explore(df, client=sim.client())
