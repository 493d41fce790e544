"""The steps of the connection test: the first that fails is the last, and names the setting to change."""

import socket
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from orstats.api.config import Settings
from orstats.api.connection_check import check_connection, describe_proxy
from orstats.api.tls import trust_source
from orstats.sim import SimServer

KEY = "sk-or-v1-" + "ab" * 32


@pytest.fixture(scope="module")
def tls_sim():
    with SimServer(5, tls=True) as sim:
        yield sim


@pytest.fixture
def refused_port():
    """A port at which nothing listens."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        yield listener.getsockname()[1]


def steps(url, key=None):
    settings = Settings.resolve(key, base_url=url, environ={})
    return list(check_connection(settings))


def only_failure(found):
    assert [step.passed for step in found] == [True] * (len(found) - 1) + [False]
    return found[-1]


def test_each_step_passes_over_http():
    with SimServer(5) as sim:
        found = steps(sim.base_url, sim.key)
    assert [(step.name, step.passed) for step in found] == [
        ("DNS", True),
        ("TCP", True),
        ("HTTP", True),
        ("Clock", True),
    ]
    assert "the key is accepted" in found[2].text


def test_the_management_key_is_tried_too():
    with SimServer(5) as sim:
        for name, passed, words in (
            ("management_key", True, "is accepted"),
            ("plain_key", False, "OPENROUTER_MANAGEMENT_KEY is an ordinary key"),
            (None, False, "the API answers HTTP 401 to OPENROUTER_MANAGEMENT_KEY"),
        ):
            key = KEY if name is None else getattr(sim, name)
            settings = Settings.resolve(sim.key, management_key=key, base_url=sim.base_url, environ={})
            last = list(check_connection(settings))[-1]
            assert (last.name, last.passed) == ("management", passed)
            assert words in last.text


def test_tls_step_names_the_private_authority(tls_sim, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", tls_sim.ca_file)
    found = steps(f"https://localhost:{tls_sim.port}", tls_sim.key)
    assert [step.name for step in found if step.passed] == ["DNS", "TCP", "TLS", "HTTP", "Clock"]
    assert "TLSv1" in found[2].text
    assert "certificate signed by " in found[2].text


def test_unknown_authority_fails_the_tls_step(tls_sim):
    failed = only_failure(steps(f"https://localhost:{tls_sim.port}", tls_sim.key))
    assert failed.name == "TLS"
    assert "SSL_CERT_FILE or REQUESTS_CA_BUNDLE" in failed.text


def test_https_to_an_http_port_fails_the_tls_step():
    with SimServer(5) as sim:
        failed = only_failure(steps(f"https://127.0.0.1:{sim.port}", sim.key))
    assert failed.name == "TLS"
    assert "does not speak https" in failed.text


def test_refused_port_fails_the_tcp_step(refused_port):
    failed = only_failure(steps(f"http://127.0.0.1:{refused_port}", KEY))
    assert failed.name == "TCP"
    assert f"port {refused_port} (connection refused)" in failed.text
    assert "OPENROUTER_BASE_URL" in failed.text


def test_unknown_host_fails_the_dns_step():
    failed = only_failure(steps("https://api.invalid", KEY))
    assert failed.name == "DNS"
    assert "api.invalid could not be resolved" in failed.text


def test_refused_key_fails_the_http_step_without_showing_it():
    with SimServer(5) as sim:
        failed = only_failure(steps(sim.base_url, KEY))
    assert failed.name == "HTTP"
    assert "refuses the key" in failed.text
    assert KEY[:12] not in failed.text


def test_no_key_still_tests_the_connection():
    with SimServer(5) as sim:
        found = steps(sim.base_url)
    assert all(step.passed for step in found)
    assert "without a key" in found[2].text


class _LoginPage(BaseHTTPRequestHandler):
    def do_GET(self):
        body = b"<html><title>Guest Wi-Fi: log in</title></html>"
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def test_login_page_of_a_network_fails_the_http_step():
    with HTTPServer(("127.0.0.1", 0), _LoginPage) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        failed = only_failure(steps(f"http://127.0.0.1:{server.server_port}", KEY))
        server.shutdown()
        thread.join()
    assert failed.name == "HTTP"
    assert "login page" in failed.text


def test_dead_proxy_is_named_without_its_password(refused_port, monkeypatch):
    monkeypatch.setenv("HTTPS_PROXY", f"http://alice:secret@127.0.0.1:{refused_port}")
    settings = Settings.resolve(base_url="https://openrouter.ai", environ={})
    described = describe_proxy(settings)
    assert described == f"http://127.0.0.1:{refused_port} (from HTTPS_PROXY, with a user and password)"
    failed = only_failure(list(check_connection(settings)))
    assert failed.name == "TCP"
    assert "Check HTTPS_PROXY" in failed.text
    assert "alice" not in failed.text
    assert "secret" not in failed.text


@pytest.mark.parametrize(
    ("variables", "url", "words"),
    [
        ({}, "https://openrouter.ai", "none: no variable names one"),
        ({"HTTPS_PROXY": "http://proxy:8080"}, "http://127.0.0.1:1", "none: requests to this machine bypass proxies"),
        ({"https_proxy": "proxy:8080"}, "https://openrouter.ai", "http://proxy:8080 (from https_proxy)"),
        ({"ALL_PROXY": "socks5h://proxy:1080"}, "https://openrouter.ai", "socks5h://proxy:1080 (from ALL_PROXY)"),
        (
            {"HTTPS_PROXY": "http://proxy:8080", "NO_PROXY": "openrouter.ai"},
            "https://openrouter.ai",
            "none: NO_PROXY excludes openrouter.ai from HTTPS_PROXY",
        ),
    ],
)
def test_proxy_that_counts_is_named_with_its_variable(monkeypatch, variables, url, words):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert describe_proxy(Settings.resolve(base_url=url, environ={})) == words


def test_trust_source_names_the_variable_that_wins(monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", "/ssl.pem")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/requests.pem")
    assert str(trust_source()) == "/requests.pem (from REQUESTS_CA_BUNDLE)"


@pytest.mark.parametrize("system", ["darwin", "win32"])
def test_trust_source_of_other_systems_is_their_own(monkeypatch, system):
    monkeypatch.setattr("orstats.api.tls.sys.platform", system)
    assert "truststore" in str(trust_source())


def test_trust_source_without_a_bundle_is_certifi(monkeypatch, tmp_path):
    monkeypatch.setattr("orstats.api.tls._BUNDLES", ())
    monkeypatch.setattr("orstats.api.tls.ssl.get_default_verify_paths", lambda: _paths(tmp_path))
    assert "certifi" in str(trust_source())


def _paths(folder):
    class Paths:
        openssl_cafile = str(folder / "none.pem")
        openssl_capath = str(folder)

    return Paths
