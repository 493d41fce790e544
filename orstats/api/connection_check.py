"""Test the connection to the API step by step, so that the first step that fails names the setting to change."""

from __future__ import annotations

import os
import socket
import ssl
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import SplitResult, urlsplit

from orstats.api.client import Client
from orstats.api.config import MANAGEMENT_KEY, Settings
from orstats.api.network_errors import network_error, proxy_host
from orstats.api.retry import Retry
from orstats.api.tls import make_context
from orstats.api.transport import ConnectionPool, split_proxy
from orstats.errors import ApiError, AuthenticationError, NetworkError, OrstatsError

#: Seconds for each step: long enough for a slow network, short enough for a person who waits.
_STEP_S: Final = 8.0
#: The clock of this machine dates requests for recent ids; a difference of minutes changes their status.
_CLOCK_TOLERANCE_S: Final = 60.0
#: Sent when there is no key: the API refuses it, which shows that the API was reached.
_NO_KEY: Final = "none"


@dataclass(frozen=True, slots=True)
class Step:
    """One step of the connection test: its name, whether it passed, and what was found or what to change."""

    name: str
    passed: bool
    text: str


def describe_proxy(settings: Settings) -> str:
    """Return the proxy that counts for the base URL and where it comes from, without its user and password.

    Examples
    --------
    >>> describe_proxy(Settings.resolve(base_url="http://127.0.0.1:8080", environ={}))
    'none: requests to this machine bypass proxies'
    """
    if settings.is_loopback:
        return "none: requests to this machine bypass proxies"
    proxy = ConnectionPool(settings).proxy
    scheme = urlsplit(settings.base_url).scheme
    names = [name for base in (f"{scheme}_proxy", "all_proxy") for name in (base, base.upper()) if os.environ.get(name)]
    source = names[0] if names else "the system settings"
    if proxy:
        login = ", with a user and password" if "@" in proxy else ""
        return f"{split_proxy(proxy).scheme}://{proxy_host(proxy)} (from {source}{login})"
    if names:
        return f"none: NO_PROXY excludes {settings.host} from {source}"
    return "none: no variable names one" if not urllib.request.getproxies() else "none for this host"


def check_connection(settings: Settings) -> Iterator[Step]:
    """Yield the steps as they are done: DNS, TCP, TLS, HTTP and the clock. The first that fails is the last."""
    proxy = ConnectionPool(settings).proxy
    api = urlsplit(settings.base_url)
    try:
        peer = split_proxy(proxy) if proxy else api
        is_local_dns = not peer.scheme.startswith("socks")
        yield from _reach(peer, f"the proxy {proxy_host(proxy)}" if proxy else settings.host, proxy)
        if api.scheme == "https" and not proxy and is_local_dns:
            yield _handshake(api)
        yield from _request(settings)
    except (NetworkError, OSError, ValueError) as error:
        failed = error if isinstance(error, NetworkError) else network_error(error, settings.base_url, proxy)
        yield Step(_failed_step(error), False, f"{str(failed).rstrip('.')}. {_advice(error, proxy)}".strip())


class _DnsError(NetworkError):
    pass


class _TcpError(NetworkError):
    pass


class _TlsError(NetworkError):
    pass


def _failed_step(error: Exception) -> str:
    steps: dict[type[Exception], str] = {_DnsError: "DNS", _TcpError: "TCP", _TlsError: "TLS"}
    return steps.get(type(error), "HTTP")


def _advice(error: Exception, proxy: str | None) -> str:
    if isinstance(error, _DnsError | _TcpError):
        if proxy:
            return "Check HTTPS_PROXY (or ALL_PROXY)."
        if isinstance(error, _DnsError):
            return "Check OPENROUTER_BASE_URL and the DNS server; in a company network, HTTPS_PROXY may be missing."
        return "Check the host and port of OPENROUTER_BASE_URL; in a company network, HTTPS_PROXY may be missing."
    return ""


def _reach(peer: SplitResult, name: str, proxy: str | None) -> Iterator[Step]:
    """Resolve a host and connect to it."""
    host, port = peer.hostname or "", peer.port or (443 if peer.scheme == "https" else 80)
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or "not a valid host name"
        raise _DnsError(f"the host name {host} could not be resolved ({reason})") from None
    addresses = list(dict.fromkeys(str(one[4][0]) for one in found))
    yield Step("DNS", True, f"{host} is {', '.join(addresses[:4])}{', …' if len(addresses) > 4 else ''}")  # noqa: PLR2004 - a line
    began = time.monotonic()
    try:
        socket.create_connection((host, port), _STEP_S).close()
    except OSError as error:
        reason = "no response within 8 s" if isinstance(error, TimeoutError) else (error.strerror or str(error)).lower()
        raise _TcpError(f"no connection to {name if proxy else host} at port {port} ({reason})") from None
    yield Step("TCP", True, f"connected to port {port} in {_ms(began)}")


def _handshake(api: SplitResult) -> Step:
    """Make a TLS handshake with the API's host, and name who signed its certificate."""
    host, port = api.hostname or "", api.port or 443
    began = time.monotonic()
    try:
        with (
            socket.create_connection((host, port), _STEP_S) as connection,
            make_context().wrap_socket(connection, server_hostname=host) as tls,
        ):
            issuer = _issuer(tls)
            return Step("TLS", True, f"{tls.version()} in {_ms(began)}{issuer}")
    except (ssl.SSLError, OSError) as error:
        if isinstance(error, TimeoutError):
            raise _TlsError("no TLS handshake within 8 s. Check the port of OPENROUTER_BASE_URL") from None
        raise _TlsError(str(network_error(error, api.geturl(), None))) from None


def _issuer(tls: ssl.SSLSocket) -> str:
    certificate: Any = tls.getpeercert() or {}  # empty where the operating system verifies
    names = {key: value for part in certificate.get("issuer", ()) for key, value in part}
    name = names.get("organizationName") or names.get("commonName")
    return f", certificate signed by {name}" if name else ""


def _request(settings: Settings) -> Iterator[Step]:
    """Send one request, with the key if there is one."""
    keyless = settings.api_key is None and settings.management_key is None
    key, management = _NO_KEY if keyless else settings.api_key or "", settings.management_key or ""
    client = Client(
        key, management_key=management, base_url=settings.base_url, timeout=_STEP_S, retry=Retry(attempts=1)
    )
    with client:
        began = time.monotonic()
        try:
            client.key()
        except AuthenticationError as error:
            if not keyless:
                yield Step("HTTP", False, f"the API was reached, but refuses the key. {error}")
                return
            text = "the API was reached (without a key, it answers HTTP 401)"
        except NetworkError:
            raise
        except OrstatsError as error:
            yield Step("HTTP", False, str(error))
            return
        else:
            text = "GET /key answered; the key is accepted"
        yield Step("HTTP", True, f"{text}, in {_ms(began)}")
        ahead = client.clock.time() - client.now()
        fits = abs(ahead) <= _CLOCK_TOLERANCE_S
        direction = "ahead of" if ahead > 0 else "behind"
        text = "agrees with the server's" if fits else f"is {abs(ahead):.0f} s {direction} the server's: set it"
        yield Step("Clock", fits, f"this machine's clock {text}")
        if settings.management_key is not None:
            yield _check_management_key(client)


def _check_management_key(client: Client) -> Step:
    """Find out whether the API accepts the management key as one."""
    try:
        found = client.key(management=True)
    except ApiError as error:
        answer = "the API does not answer" if error.status is None else f"the API answers HTTP {error.status}"
        return Step("management", False, f"{answer} to {MANAGEMENT_KEY}. Correct it, or unset it.")
    if found.get("is_management_key") is False:
        return Step("management", False, f"{MANAGEMENT_KEY} is an ordinary key. Correct it, or unset it.")
    return Step("management", True, "the management key is accepted")


def _ms(began: float) -> str:
    return f"{(time.monotonic() - began) * 1000:.0f} ms"
