"""Find the trusted certificate authorities, and explain certificate errors in plain language."""

from __future__ import annotations

import os
import re
import socket
import ssl
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import truststore
from requests.utils import DEFAULT_CA_BUNDLE_PATH
from urllib3.util.ssl_ import create_urllib3_context

from orstats.errors import NetworkSetupError

#: Bundles of distributions whose OpenSSL was built to look elsewhere, as in truststore.
_BUNDLES: Final = (
    "/etc/ssl/cert.pem",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/pki/tls/cert.pem",
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/ssl/ca-bundle.pem",
)
#: The first one that is set wins; a directory of SSL_CERT_DIR is read as well as SSL_CERT_FILE.
_BUNDLE_VARIABLES: Final = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE")
_PROBE_S: Final = 1.0
#: The first byte of an alert and of a handshake.
_TLS_RECORDS: Final = (b"\x15", b"\x16")
_HASHED = re.compile(r"[0-9a-f]{8}\.\d+")


class _Socket(ssl.SSLSocket):
    def settimeout(self, value: float | None) -> None:
        """Skip what changes nothing: each call hands the interpreter to another thread, and costs 3 % of the rate."""
        if value != self.gettimeout():
            super().settimeout(value)


@dataclass(frozen=True, slots=True)
class TrustSource:
    """Where the trusted certificate authorities come from."""

    #: The environment variable that names the bundle, or None.
    variable: str | None
    #: A PEM file, or a directory if the variable names one; None without any.
    bundle: str | None
    #: A directory of certificates that is read, too.
    directory: str
    #: Whether the operating system verifies certificates itself (macOS and Windows, through truststore).
    is_system_api: bool = False

    def __str__(self) -> str:
        if self.is_system_api:
            return "the operating system's trust store (truststore)"
        if self.variable is not None:
            return f"{self.bundle} (from {self.variable})"
        if self.bundle == DEFAULT_CA_BUNDLE_PATH:
            return f"{self.bundle} (certifi: this machine has no bundle of its own)"
        return f"{self.bundle or self.directory} (this machine's)"


def trust_source() -> TrustSource:
    """Return where the trusted authorities come from: a variable, else the operating system, else certifi."""
    given = os.environ.get("SSL_CERT_DIR")
    variable = next((name for name in _BUNDLE_VARIABLES if os.environ.get(name)), None)
    paths = ssl.get_default_verify_paths()
    directory = given or paths.openssl_capath
    if variable is not None:
        return TrustSource(variable, os.environ[variable], directory)
    if sys.platform in ("darwin", "win32") and not given:
        return TrustSource(None, None, directory, is_system_api=True)
    bundle = next((path for path in (paths.openssl_cafile, *_BUNDLES) if Path(path).is_file()), None)
    if bundle is None and not _has_certificates(directory):
        bundle = DEFAULT_CA_BUNDLE_PATH
    return TrustSource(None, bundle, directory)


def make_context() -> ssl.SSLContext:
    """Return a TLS context for all connections of a client; loading the authorities takes some 40 ms."""
    trust = trust_source()
    if trust.is_system_api:
        return truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context = create_urllib3_context()
    context.sslsocket_class = _Socket
    if trust.variable is not None:
        _load(context, trust.bundle or "", trust.variable)
        if trust.variable == "SSL_CERT_FILE":
            context.load_verify_locations(capath=trust.directory)
    else:  # truststore would load the bundle again for each connection, and do one handshake at a time
        context.load_verify_locations(trust.bundle, trust.directory)
    return context


def _load(context: ssl.SSLContext, path: str, variable: str) -> None:
    why: str | None = None
    try:
        if not Path(path).is_dir():
            context.load_verify_locations(path)
        elif _has_certificates(path):
            context.load_verify_locations(capath=path)
        else:
            why = "no certificates in this directory; run openssl rehash there"
    except OSError as error:
        why = "not a PEM file of certificates" if isinstance(error, ssl.SSLError) else error.strerror
    if why is not None:
        raise NetworkSetupError(f"{variable} must name a CA bundle, got {path!r} ({why})")


def _has_certificates(directory: str) -> bool:
    return Path(directory).is_dir() and any(_HASHED.fullmatch(path.name) for path in Path(directory).iterdir())


_TRUST: Final = (
    "Add the CA to the machine's trust store, or set SSL_CERT_FILE or REQUESTS_CA_BUNDLE to a PEM file that contains it"
)
_CLOCK: Final = "Check the clock of this machine; else the server needs a new certificate"
_WEAK: Final = "is too weak (its key or its signature). The server needs a new certificate"
#: By OpenSSL's codes, X509_V_ERR_… in https://docs.openssl.org/3.0/man3/X509_STORE_CTX_get_error/
_REASONS: Final[dict[int, str]] = {
    9: f"is not yet valid. {_CLOCK}",
    10: f"has expired. {_CLOCK}",
    18: f"is self-signed and not trusted. {_TRUST}",
    19: f"is signed by a private CA that is not trusted. {_TRUST}",
    20: f"is signed by an unknown CA. {_TRUST}",
    21: f"is signed by an unknown CA. {_TRUST}",
    23: "was revoked. The server needs a new certificate",
    62: "is for another host name. Check the host in the base URL",
    64: "is for another host, not for this IP address. Use the host name in the base URL",
    66: _WEAK,
    67: _WEAK,
    68: _WEAK,
}


def certificate_problem(error: ssl.SSLCertVerificationError) -> str:
    """Return the problem and what to do, as the end of a sentence about a certificate."""
    problem = _REASONS.get(error.verify_code) or f"was rejected ({error.verify_message or error.strerror}). {_TRUST}"
    variable = trust_source().variable
    if variable in (None, "SSL_CERT_FILE") or not problem.endswith(_TRUST):
        return problem
    return f"{problem} ({variable} is set, so SSL_CERT_FILE is not read)"


def speaks_http(host: str, port: int) -> bool:
    """Whether a server answers a plain http request; it contains no key."""
    with suppress(OSError), socket.create_connection((host, port), _PROBE_S) as connection:
        connection.sendall(b"HEAD / HTTP/1.0\r\n\r\n")
        return connection.recv(5) == b"HTTP/"
    return False


def speaks_tls(host: str, port: int) -> bool:
    """Whether a server answers a TLS hello, with a handshake or an alert."""
    received, to_send = ssl.MemoryBIO(), ssl.MemoryBIO()
    hello = create_urllib3_context(cert_reqs=ssl.CERT_NONE).wrap_bio(received, to_send, server_hostname=host)
    with suppress(ssl.SSLWantReadError):
        hello.do_handshake()
    with suppress(OSError), socket.create_connection((host, port), _PROBE_S) as connection:
        connection.sendall(to_send.read())
        return connection.recv(1) in _TLS_RECORDS
    return False
