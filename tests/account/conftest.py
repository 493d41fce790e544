import pytest

import orstats
from orstats.api.rate_limit import FixedQuota


@pytest.fixture(scope="session")
def small_client():
    """Return a client that receives at most so many rows by generation, as if the account were so much larger."""

    class SmallResponses(orstats.Client):
        def __init__(self, server, limit):
            super().__init__(server.key, management_key=server.management_key, base_url=server.base_url)
            self.limit = limit
            self.analytics_limiter = FixedQuota(1_000_000, 1.0)  # 64 a minute would be waited for

        def ask_analytics(self, query):
            return super().ask_analytics(query if "granularity" in query else {**query, "limit": self.limit})

    return SmallResponses
