"""A simulator of the OpenRouter API: a local HTTP server with a simulated account.

It shares nothing with the client that it serves to test and to demonstrate.

Examples
--------
>>> with SimServer(100, seed=1) as sim:
...     len(sim.ids), sim.base_url.startswith("http://127.0.0.1:")
(100, True)
"""

from orstats.sim.faults import Faults
from orstats.sim.rate_limit import RateLimit
from orstats.sim.server import SimServer

__all__ = ["Faults", "RateLimit", "SimServer"]
