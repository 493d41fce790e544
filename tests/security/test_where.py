"""The key goes to the host that was named, over TLS that was verified, and nowhere else."""

import ipaddress
import os
import ssl
import sys
import threading
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

import orstats
from orstats import errors
from orstats.api.config import is_loopback, normalise_base_url

ONCE = orstats.Retry(attempts=1)
BODY = b'{"data": {"id": "gen-1", "total_cost": 0.5}}'
GOOD = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(BODY) + BODY


def ask(url, key):
    with orstats.Client(key, base_url=url, retry=ONCE, timeout=5) as client:
        return client.generation("gen-1")


@pytest.mark.parametrize(
    "url",
    [
        "http://openrouter.ai",
        "HTTP://openrouter.ai",
        "http://localhost.evil.com",
        "http://evil.com/localhost",
        "http://127.0.0.1.evil.com",
        "http://127.0.0.1@evil.com",
        "http://127.0.0.1:80@evil.com",
        "http://localhost:x@evil.com",
        "http://localhost%00.evil.com",
        "http://localhost%2eevil.com",
        "http://localhost\\.evil.com",
        "http://evil.com\\@localhost",
        "http://evil.com#@localhost",
        "http://evil.com?@localhost",
        "http://evil.com/@localhost",
        "http://localhost.",
        "http://LOCALHOST.evil.com",
        "http://l\u043ecalhost",  # a Cyrillic o
        "http://localhost\u3002evil.com",  # an ideographic full stop
        "http://127\u30020\u30020\u30021.evil.com",
        "http://1\uff127.0.0.1",  # a full-width digit
        "http://2130706433",
        "http://0x7f000001",
        "http://127.1",
        "http://0177.0.0.1",
        "http://0.0.0.0",
        "http://169.254.169.254",
        "http://[::]",
        "http://[fe80::1%25eth0]",
        "http://[::ffff:8.8.8.8]",
        "http://[2001:db8::1]",
        "file:///etc/passwd",
        "javascript:alert(1)",
        "//evil.com",
        "https://",
        "https:///evil.com",
        "https://user@openrouter.ai",
        "https://user:pass@openrouter.ai",
        "https://:pass@openrouter.ai",
        "https://openrouter.ai?key=1",
        "https://openrouter.ai/#x",
    ],
)
def test_plain_http_and_unusual_addresses_are_refused_before_sending(url, key):
    with pytest.raises(errors.ConfigError):
        orstats.Client(key, base_url=url)


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("http://LocalHost:8000", "localhost"),
        ("http://127.0.0.1:8000", "127.0.0.1"),
        ("http://127.8.9.10", "127.8.9.10"),
        ("http://[::1]:8000", "[::1]"),
        ("HTTPS://OpenRouter.AI", "openrouter.ai"),
        ("https://[2001:db8::1]:8443", "[2001:db8::1]"),
    ],
)
def test_hosts_are_normalised(url, host):
    assert normalise_base_url(url).split("/")[2].removesuffix(":8000").removesuffix(":8443") == host


@pytest.mark.parametrize("line", ["\r", "\n", "\t"])
def test_line_breaks_never_reach_the_request(line, key):
    with pytest.raises(errors.ConfigError):
        orstats.Client(key + line + "x", base_url="http://127.0.0.1:1")
    normal = normalise_base_url(f"https://openrouter.ai/a{line}b")
    assert line not in normal


def test_ids_cannot_add_headers_or_paths(key, answering):
    seen = []
    unexpected = "x HTTP/1.1\r\nX-Evil: 1\r\n\r\nGET /../key?a=b&c#d"
    body = BODY.replace(b'"id": "gen-1", ', b"")
    good = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body
    with answering(good, seen=seen) as url, orstats.Client(key, base_url=url, retry=ONCE) as client:
        client.generation(unexpected)
    first = seen[0].split(b"\r\n", 1)[0]
    assert first.startswith(b"GET /api/v1/generation?id=x%20HTTP%2F1.1%0D%0A")
    assert first.endswith(b" HTTP/1.1")
    assert b"x-evil" not in seen[0].split(first, 1)[1].lower()


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("ask_for", ["generation", "content", "key", "credits", "activity", "analytics"])
def test_redirects_are_never_followed(status, ask_for, key, answering):
    visitors = []
    with answering(GOOD, seen=visitors) as elsewhere:
        away = f"HTTP/1.1 {status} Moved\r\nLocation: {elsewhere}/steal\r\nContent-Length: 0\r\n\r\n".encode()
        with answering(away) as url, orstats.Client(key, base_url=url, retry=ONCE) as client:
            arguments = {"generation": ["gen-1"], "content": ["gen-1"], "analytics": [{"metrics": []}]}
            with pytest.raises(errors.BadResponseError, match="not followed"):
                getattr(client, ask_for)(*arguments.get(ask_for, []))
    assert visitors == []


def test_proxy_sees_the_host_but_not_the_key(key, answering, monkeypatch):
    seen = []
    with answering(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n", seen=seen) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy)
        with pytest.raises(errors.NetworkError, match="proxy"):
            ask("https://api.example", key)
    assert seen[0].startswith(b"CONNECT api.example:443 ")
    assert key.encode() not in seen[0]
    assert b"authorization" not in seen[0].lower()


@pytest.mark.parametrize("variable", ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY", "all_proxy"])
def test_proxy_is_not_used_for_loopback(variable, key, answering, monkeypatch):
    seen = []
    with answering(GOOD, seen=seen) as proxy, answering(GOOD) as url:
        monkeypatch.setenv(variable, proxy)
        assert ask(url, key)["total_cost"] == 0.5
    assert seen == []


def test_unusable_socks_proxy_is_reported_without_retry(key, monkeypatch):
    monkeypatch.setitem(sys.modules, "socks", None)  # as it is without PySocks
    monkeypatch.setenv("ALL_PROXY", "socks5://127.0.0.1:9")
    with pytest.raises(errors.NetworkError, match="pip install pysocks") as caught:
        ask("https://api.example", key)
    assert not caught.value.retryable


def test_host_without_https_is_reported(key, answering):
    with (
        answering(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n") as url,
        pytest.raises(errors.NetworkError, match="does not speak https"),
    ):
        ask(url.replace("http:", "https:"), key)


@pytest.mark.parametrize("name", [".netrc", "_netrc"])
def test_netrc_is_not_read(name, key, answering, monkeypatch, tmp_path):
    (tmp_path / name).write_text("machine 127.0.0.1 login spy password other\ndefault login spy password other\n")
    (tmp_path / name).chmod(0o600)
    monkeypatch.setenv("NETRC", str(tmp_path / name))
    seen = []
    with answering(GOOD, seen=seen) as url:
        ask(url, key)
    assert seen[0].count(b"Authorization: ") == 1
    assert f"Authorization: Bearer {key}\r\n".encode() in seen[0]


@pytest.fixture(scope="module")
def identity(tmp_path_factory):
    """A self-signed certificate of 127.0.0.1, made for this run."""
    folder = tmp_path_factory.mktemp("identity")
    private = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "nobody")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, private.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
        .sign(private, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    (folder / "certificate.pem").write_bytes(certificate.public_bytes(pem))
    plain = serialization.NoEncryption()
    (folder / "private.pem").write_bytes(private.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "certificate.pem", folder / "private.pem")
    return folder / "certificate.pem", context


def test_untrusted_certificate_is_refused_with_advice(identity, key, answering, monkeypatch):
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR"):
        monkeypatch.delenv(name, raising=False)
    seen = []
    with answering(GOOD, seen=seen, context=identity[1]) as url, pytest.raises(errors.NetworkError) as caught:
        ask(url, key)
    assert "certificate" in str(caught.value)
    assert "REQUESTS_CA_BUNDLE" in str(caught.value)
    assert not caught.value.retryable
    assert seen == []


@pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
def test_private_certificate_authority_can_be_configured(variable, identity, key, answering, monkeypatch):
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(variable, str(identity[0]))
    with answering(GOOD, context=identity[1]) as url:
        assert ask(url, key)["total_cost"] == 0.5


def test_certificate_for_another_host_is_refused(identity, key, answering, monkeypatch):
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(identity[0]))
    seen = []
    with (
        answering(GOOD, seen=seen, context=identity[1]) as url,
        pytest.raises(errors.NetworkError, match="certificate"),
    ):
        ask(url.replace("127.0.0.1", "localhost"), key)
    assert seen == []


@pytest.mark.parametrize("value", ["", "0", "false", "/nonexistent/bundle.pem"])
def test_environment_cannot_disable_verification(value, identity, key, answering, monkeypatch):
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "PYTHONHTTPSVERIFY"):
        monkeypatch.setenv(name, value)
    seen = []
    with answering(GOOD, seen=seen, context=identity[1]) as url, pytest.raises(errors.NetworkError):
        ask(url, key)
    assert seen == []


def test_client_settings_cannot_disable_verification(key):
    with pytest.raises(TypeError):
        orstats.Client(key, verify=False)


@pytest.mark.parametrize(
    "host", ["localhost.evil.com", "127.0.0.1.nip.io", "0.0.0.0", "::", "127.1", "l\u043ecalhost", "", "localhost."]
)
def test_lookalikes_of_loopback_are_refused(host):
    assert not is_loopback(host)


def test_new_client_starts_no_threads_and_sends_nothing(key):
    before = threading.active_count()
    orstats.Client(key).close()
    assert threading.active_count() == before
    assert "OPENROUTER_API_KEY" not in os.environ


@pytest.mark.parametrize("broken", [False, True])
def test_invalid_certificate_bundle_is_reported(broken, identity, key, answering, monkeypatch, tmp_path):
    if broken:
        (tmp_path / "ca.pem").write_text("no certificate")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "ca.pem"))
    with (
        answering(GOOD, context=identity[1]) as url,
        pytest.raises(errors.NetworkError, match="REQUESTS_CA_BUNDLE") as caught,
    ):
        ask(url, key)
    assert not caught.value.retryable
