"""When the simulated accounts end, and how tests wait for what happens in them."""

import time
from datetime import UTC, datetime

UNTIL = datetime(2026, 10, 1, tzinfo=UTC)


def wait_for(condition):
    while not condition():
        time.sleep(0.005)
