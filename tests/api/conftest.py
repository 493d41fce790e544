import os

import pytest


@pytest.fixture(autouse=True)
def _no_network_settings(monkeypatch):
    """No proxy and no certificates of the machine's own settings."""
    for name in list(os.environ):
        if name.lower().endswith("_proxy") or name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
            monkeypatch.delenv(name)
    for name in ("SSL_CERT_FILE", "SSL_CERT_DIR"):
        monkeypatch.delenv(name, raising=False)
