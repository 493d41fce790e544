import pytest
from simulated import UNTIL

from orstats.sim import SimServer


@pytest.fixture(scope="module")
def account():
    with SimServer(300, seed=7, until=UNTIL) as sim:
        yield sim


@pytest.fixture
def sim(account):
    account.reset_stats()
    return account
