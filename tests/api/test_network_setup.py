"""Certificates, proxies and schemes that are wrong for every request: said at once, with the setting to change."""

import contextlib
import hashlib
import shutil
import socket
import ssl
import sys
import threading
from base64 import b64encode
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import quote

import pytest
from cryptography.x509 import load_pem_x509_certificate
from urllib3 import HTTPSConnectionPool, PoolManager
from urllib3.connection import HTTPSConnection
from urllib3.exceptions import NewConnectionError

from orstats.api import tls
from orstats.api.client import Client
from orstats.api.retry import Retry
from orstats.errors import ApiError, NetworkError, NetworkSetupError, NoConnectionError
from orstats.sim import SimServer

KEY = "sk-or-v1-" + "ab" * 32
ID = "gen-1790000000-AbCdEfGhIjKlMnOpQrSt"
TWICE = Retry(attempts=2, first_wait=0)


@pytest.fixture(scope="module")
def sims():
    with (
        SimServer(5, tls=True) as valid,
        SimServer(5, tls="expired") as expired,
        SimServer(5, tls="wrong-host") as wrong,
    ):
        yield {"valid": valid, "expired": expired, "wrong-host": wrong}


def ask(url, **options):
    with Client(KEY, base_url=url, retry=TWICE, **options) as client:
        return client.generation(ID)


def setup_error(url, **options):
    with pytest.raises(NetworkSetupError) as caught:
        ask(url, **options)
    error = caught.value
    assert error.stops_batch
    assert not error.retryable
    assert error.generation_id == ID
    assert "urllib3" not in str(error)
    return str(error)


@pytest.mark.parametrize(
    ("kind", "host", "words"),
    [
        ("expired", "localhost", "has expired. Check the clock"),
        ("wrong-host", "localhost", "is for another host name"),
        ("wrong-host", "127.0.0.1", "is for another host, not for this IP address"),
    ],
)
def test_each_certificate_failure_has_its_words(sims, monkeypatch, kind, host, words):
    monkeypatch.setenv("SSL_CERT_FILE", str(sims[kind].ca_file))
    assert words in setup_error(f"https://{host}:{sims[kind].port}")


def test_unknown_ca_names_the_settings(sims, monkeypatch):
    message = setup_error(sims["valid"].base_url)
    assert "is signed by an unknown CA" in message
    assert "SSL_CERT_FILE or REQUESTS_CA_BUNDLE" in message
    assert "is set" not in message
    # Set in an image or a profile, it makes the advice to set another variable useless.
    monkeypatch.setenv("CURL_CA_BUNDLE", str(sims["expired"].ca_file))
    monkeypatch.setenv("SSL_CERT_FILE", str(sims["valid"].ca_file))
    assert "(CURL_CA_BUNDLE is set, so SSL_CERT_FILE is not read)" in setup_error(sims["valid"].base_url)


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (9, "not yet valid"),
        (18, "self-signed"),
        (19, "private CA"),
        (66, "too weak"),
        (68, "too weak"),
        (26, "was rejected (unsuitable certificate purpose)"),
    ],
)
def test_certificate_failures_that_need_a_rare_server_have_words(code, words):
    error = ssl.SSLCertVerificationError(1, "certificate verify failed")
    error.verify_code, error.verify_message = code, "unsuitable certificate purpose"
    assert words in tls.certificate_problem(error)


def trusted(sim):
    with sim.client(retry=TWICE) as client:
        return client.generation(sim.ids[0])["id"] == sim.ids[0]


@pytest.mark.parametrize("variable", ["SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
def test_private_ca_is_trusted_through_each_variable(sims, monkeypatch, variable):
    monkeypatch.setenv(variable, str(sims["valid"].ca_file))
    assert trusted(sims["valid"])


def hashed_name(ca_file):
    """Return the file name by which OpenSSL finds an authority: the SHA-1 of its canonical subject."""
    (common_name,) = load_pem_x509_certificate(ca_file.read_bytes()).subject
    der = common_name.value.lower().encode()
    for head in (b"\x06\x03\x55\x04\x03\x0c", b"\x30", b"\x31"):  # UTF8String, SEQUENCE, SET
        der = head + bytes([len(der)]) + der
    return f"{int.from_bytes(hashlib.sha1(der).digest()[:4], 'little'):08x}.0"


@pytest.mark.parametrize("variable", ["SSL_CERT_DIR", "REQUESTS_CA_BUNDLE"])
def test_private_ca_is_trusted_from_a_hashed_directory(sims, monkeypatch, tmp_path, variable):
    ca_file = Path(sims["valid"].ca_file)
    shutil.copy(ca_file, tmp_path / hashed_name(ca_file))
    monkeypatch.setenv(variable, str(tmp_path))
    assert trusted(sims["valid"])


def test_requests_ca_bundle_wins_over_ssl_cert_file(sims, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(sims["valid"].ca_file))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(sims["expired"].ca_file))
    assert "unknown CA" in setup_error(sims["valid"].base_url)


@pytest.mark.parametrize("variable", ["SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
@pytest.mark.parametrize(
    ("content", "why"),
    [(None, "No such file"), (b"", "not a PEM file"), (b"\x30\x82DER", "not a PEM file"), ("folder", "openssl rehash")],
)
def test_wrong_bundle_is_named_with_its_variable(monkeypatch, tmp_path, variable, content, why):
    path = tmp_path / "bundle.pem"
    if content == "folder":
        path.mkdir()
    elif content is not None:
        path.write_bytes(content)
    monkeypatch.setenv(variable, str(path))
    message = setup_error("https://localhost:1")
    assert f"{variable} must name a CA bundle, got {str(path)!r}" in message
    assert why in message


def test_certifi_serves_where_the_machine_has_no_store(monkeypatch, tmp_path):
    nothing = ssl.get_default_verify_paths()._replace(
        openssl_cafile=str(tmp_path / "cert.pem"), openssl_capath=str(tmp_path)
    )
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(ssl, "get_default_verify_paths", lambda: nothing)
    monkeypatch.setattr(Path, "is_file", lambda _: False)
    assert tls.make_context().get_ca_certs()


def test_all_connections_of_a_client_share_one_context(sims, monkeypatch, tmp_path):
    sim, ca_file = sims["valid"], tmp_path / "ca.pem"
    shutil.copy(sim.ca_file, ca_file)
    monkeypatch.setenv("SSL_CERT_FILE", str(ca_file))
    with sim.client() as client:
        client.key()
        ca_file.unlink()  # another context could not be made
        for again in (client, client.with_options(timeout=5)):
            for _ in range(2):
                assert again.generation(sim.ids[0])
            again.close()


def test_https_at_an_http_port_is_detected_although_the_server_never_responds():
    with SimServer(5) as sim:
        url = sim.base_url.replace("http:", "https:")
        assert "does not speak https at this port" in setup_error(url, timeout=(0.2, 1))


def test_http_at_an_https_port_is_detected_although_the_server_only_disconnects(sims):
    assert "Use https:// in the base URL" in setup_error(sims["valid"].base_url.replace("https:", "http:"))


def test_tls_alert_instead_of_a_status_line_is_detected_at_the_first_request():
    with proxy(b"\x15\x03\x01\x00\x02\x02\x46") as (port, seen):
        assert "Use https:// in the base URL" in setup_error(f"http://127.0.0.1:{port}")
    assert len(seen) == 1


@pytest.mark.parametrize("banner", [b"SSH-2.0-OpenSSH_9.6\r\n", b"220 mail ESMTP\r\n", b"-ERR unknown command\r\n"])
def test_another_service_at_the_port_is_quoted_and_stops_a_batch(banner):
    with proxy(banner) as (port, seen):
        with pytest.raises(NetworkError, match="does not speak HTTP at this port") as caught:
            ask(f"http://127.0.0.1:{port}")
        assert caught.value.stops_batch
    assert repr(banner.decode().strip()) in str(caught.value)
    assert len(seen) == 2


@contextlib.contextmanager
def proxy(answer):
    """A proxy that gives one answer to each CONNECT."""
    seen, listener = [], socket.create_server(("127.0.0.1", 0))

    def serve():
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listener.accept()
                with connection:
                    seen.append(connection.recv(65536))
                    connection.sendall(answer)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield listener.getsockname()[1], seen
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()


@pytest.mark.parametrize(
    ("status", "login", "words"),
    [
        ("407 Proxy Authentication Required", "", "asks for a user and password (407). Set them in HTTPS_PROXY"),
        ("407 Proxy Authentication Required", "me:geheim@", "rejects the user and password in HTTPS_PROXY (407)"),
        ("403 Forbidden", "", "the proxy forbids the host openrouter.ai (403)"),
        ("400 Bad Request", "", "refused to connect to openrouter.ai (400)"),
        ("405 Method Not Allowed", "", "refused to connect to openrouter.ai (405)"),
        ("302 Found", "", "refused to connect to openrouter.ai (302)"),
        ("501 Unsupported method ('CONNECT')", "", "refused to connect to openrouter.ai (501)"),
    ],
)
def test_refusal_of_a_proxy_is_not_retried(monkeypatch, status, login, words):
    with proxy(f"HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n".encode()) as (port, seen):
        monkeypatch.setenv("HTTPS_PROXY", f"http://{login}127.0.0.1:{port}")
        message = setup_error("https://openrouter.ai")
    assert words in message
    assert "geheim" not in message
    assert len(seen) == 1
    assert not any(KEY.encode() in request for request in seen)


@pytest.mark.parametrize(
    "status", ["429 Too Many Requests", "502 Bad Gateway", "503 Service Unavailable", "504 Timeout"]
)
def test_temporary_failure_of_a_proxy_is_retried(monkeypatch, status):
    with proxy(f"HTTP/1.1 {status}\r\n\r\n".encode()) as (port, seen):
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{port}")
        with pytest.raises(NoConnectionError, match=r"the proxy could not connect to openrouter\.ai") as caught:
            ask("https://openrouter.ai")
    assert caught.value.retryable
    assert len(seen) == 2


@pytest.mark.parametrize(
    "url",
    [
        *("proxy:port", "foo://x:1", "http://", "http://me:geheim@:3128", "http://[::1", "http://127.0.0.1:99999"),
        *("PROXY proxy.example:8080", "http://me:geheim@proxy..example:8080"),
    ],
)
def test_proxy_url_that_cannot_be_read_is_named_without_its_password(monkeypatch, url):
    monkeypatch.setenv("HTTPS_PROXY", url)
    message = setup_error("https://openrouter.ai")
    assert "HTTPS_PROXY (or ALL_PROXY) must look like http://host:port" in message
    assert "geheim" not in message


def test_host_that_cannot_exist_is_a_wrong_base_url(monkeypatch):
    monkeypatch.delenv("HTTPS_PROXY", raising=False)
    assert "'a..b' is not a valid host. Check the base URL" in setup_error("https://a..b")


def test_https_proxy_that_speaks_http_is_detected(monkeypatch):
    with proxy(b"HTTP/1.1 400 Bad Request\r\n\r\n") as (port, _):
        monkeypatch.setenv("HTTPS_PROXY", f"https://127.0.0.1:{port}")
        assert f"the proxy 127.0.0.1:{port} does not speak https" in setup_error("https://openrouter.ai")


@pytest.mark.parametrize("answer", [b"\x05\xff", b"SSH-2.0-x\r\n"])
def test_proxy_that_does_not_speak_http_is_detected(monkeypatch, answer):
    with proxy(answer) as (port, _):
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{port}")
        assert f"the proxy 127.0.0.1:{port} does not speak HTTP" in setup_error("https://openrouter.ai")


def test_http_proxy_that_speaks_https_is_detected(sims, monkeypatch):
    monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{sims['valid'].port}")
    assert "speaks https. Use https:// in HTTPS_PROXY" in setup_error("https://openrouter.ai")


@pytest.mark.parametrize("around", ["{}", " {} ", '"{}"', "'{}'\n"])
def test_quotes_and_spaces_around_a_proxy_do_not_matter(monkeypatch, around):
    with proxy(b"HTTP/1.1 403 Forbidden\r\n\r\n") as (port, seen):
        monkeypatch.setenv("HTTPS_PROXY", around.format(f"http://127.0.0.1:{port}"))
        assert "the proxy forbids the host" in setup_error("https://openrouter.ai")
    assert len(seen) == 1


@pytest.mark.parametrize("password", ["p@ss:w/ord#?", "gehe\u00efm", "\u79d8\u5bc6"])
def test_proxy_password_is_sent_as_utf8(monkeypatch, password):
    with proxy(b"HTTP/1.1 407 No\r\n\r\n") as (port, seen):
        monkeypatch.setenv("HTTPS_PROXY", f"http://me:{quote(password, safe='')}@127.0.0.1:{port}")
        assert "rejects the user and password" in setup_error("https://openrouter.ai")
    assert b"Proxy-Authorization: Basic " + b64encode(f"me:{password}".encode()) in seen[0]


@pytest.mark.parametrize("exempt", ["openrouter.invalid", "openrouter.invalid:443", ".invalid", "*"])
def test_exempt_host_is_reached_without_the_proxy(monkeypatch, exempt):
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("NO_PROXY", exempt)
    with pytest.raises(NoConnectionError, match="the host name could not be resolved"):
        ask("https://openrouter.invalid")


def test_certificate_error_names_the_proxy_or_the_host(sims, monkeypatch):
    sim = sims["expired"]
    monkeypatch.setenv("HTTPS_PROXY", f"https://localhost:{sim.port}")
    monkeypatch.setenv("SSL_CERT_FILE", str(sim.ca_file))
    assert f"certificate of the proxy localhost:{sim.port} has expired" in setup_error("https://openrouter.ai")


def test_socks_without_pysocks_names_the_package_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "socks", None)
    monkeypatch.setenv("ALL_PROXY", "socks5://127.0.0.1:1")
    assert "SOCKS proxies" in setup_error("https://openrouter.ai")
    assert "pip install pysocks" in setup_error("https://openrouter.ai")


@pytest.mark.parametrize(
    ("said", "kind", "words"),
    [
        ("[Errno 111] Connection refused", NoConnectionError, "proxy 127.0.0.1:1 could not be"),
        ("0x02: Connection not allowed by ruleset", NetworkSetupError, "forbids the host openrouter.ai"),
        ("All offered SOCKS5 authentication methods were rejected", NetworkSetupError, "asks for a user and password"),
        ("SOCKS5 authentication failed", NetworkSetupError, "asks for a user and password"),
        ("0x05: Connection refused", NoConnectionError, "no connection to openrouter.ai (connection refused)"),
    ],
)
def test_socks_failures_have_their_own_messages(monkeypatch, said, kind, words):
    """A stand-in for PySocks, which need not be installed; the texts are its."""

    class Connection(HTTPSConnection):
        def _new_conn(self):
            raise NewConnectionError(self, f"Failed to establish a new connection: {said}")

    class Pool(HTTPSConnectionPool):
        ConnectionCls = Connection

    class Manager(PoolManager):
        def __init__(self, _url, username=None, password=None, **options):  # noqa: ARG002 - as urllib3's
            super().__init__(**options)
            self.pool_classes_by_scheme = {"https": Pool}

    monkeypatch.setitem(sys.modules, "socks", SimpleNamespace(__spec__="found"))
    monkeypatch.setitem(sys.modules, "urllib3.contrib.socks", SimpleNamespace(SOCKSProxyManager=Manager))
    monkeypatch.setenv("HTTPS_PROXY", "socks5h://127.0.0.1:1")
    with pytest.raises(kind) as caught:
        ask("https://openrouter.ai")
    assert type(caught.value) is kind
    assert words in str(caught.value)


@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "ALL_PROXY"])
def test_dead_proxy_is_named(monkeypatch, variable):
    monkeypatch.setenv(variable, "http://me:geheim@127.0.0.1:1")
    with pytest.raises(NoConnectionError) as caught:
        ask("https://openrouter.ai")
    assert "the proxy 127.0.0.1:1 could not be reached (connection refused)" in str(caught.value)
    assert "geheim" not in str(caught.value)


def test_refused_connection_and_unknown_host_are_no_connection():
    with pytest.raises(NoConnectionError, match=r"no connection to 127.0.0.1:1 \(connection refused\)"):
        ask("http://127.0.0.1:1")
    with pytest.raises(NoConnectionError, match="the host name could not be resolved"):
        ask("https://no-such-host.invalid")


def test_closed_connection_is_not_no_connection():
    with proxy(b"") as (port, seen), pytest.raises(NetworkError) as caught:
        ask(f"http://127.0.0.1:{port}")
    assert type(caught.value) is NetworkError
    assert len(seen) >= 2


def test_error_is_an_api_error_of_its_own_class():
    assert issubclass(NetworkSetupError, NetworkError)
    assert issubclass(NoConnectionError, NetworkError)
    assert issubclass(NetworkError, ApiError)
