"""Turn exceptions of requests and urllib3 into typed, readable errors.

Their own texts contain addresses of objects.
"""

from __future__ import annotations

import http.client
import re
import ssl
from collections.abc import Iterator
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

import urllib3

from orstats.api.response import quote
from orstats.api.tls import certificate_problem
from orstats.errors import NetworkError, NetworkSetupError, NoConnectionError

E = TypeVar("E", bound=BaseException)

_PROXY_STATUS = re.compile(r"Tunnel connection failed: (\d{3}) ?([^'\")]*)")
_LOGIN: Final = "Set them in HTTPS_PROXY: http://user:password@host:port"
#: After these responses to CONNECT, a retry may succeed.
_PROXY_TRANSIENT: Final = frozenset({408, 425, 429})
#: The server's response to a TLS hello was not TLS.
_NOT_TLS = re.compile(r"WRONG_VERSION_NUMBER|UNKNOWN_PROTOCOL|RECORD_LAYER_FAILURE|PACKET_LENGTH_TOO_LONG|HTTP_REQUEST")
#: Client and server are incompatible: a retry would fail too.
_TLS_REFUSED = re.compile(
    r"ALERT_(PROTOCOL_VERSION|HANDSHAKE_FAILURE|CERTIFICATE_REQUIRED|UNKNOWN_CA|ACCESS_DENIED|BAD_CERTIFICATE"
    r"|INSUFFICIENT_SECURITY)|UNRECOGNIZED_NAME|UNSUPPORTED_PROTOCOL|NO_CIPHERS|NO_SHARED|KEY_TOO_SMALL|MD_TOO_WEAK"
    r"|UNSAFE_LEGACY|ILLEGAL_PARAMETER|NO_PROTOCOLS"
)
#: The first bytes of a TLS alert where a status line was expected, as http.client quotes them.
_TLS_ALERT: Final = r"\x15\x03"


class NotHttpError(NetworkError):
    """The response is not HTTP: from another service, or damaged."""


def network_error(error: Exception, base_url: str, proxy: str | None) -> NetworkError:
    """Return the error to raise; its text is the reason without a full stop."""
    found = _find(error, NetworkError)
    if found is not None:
        return found
    host = urlsplit(base_url).netloc
    setup = (
        _address_problem(error, host, proxy) or _proxy_problem(error, host, proxy) or _tls_problem(error, host, proxy)
    )
    if setup is not None:
        return NetworkSetupError(setup)
    torn = _find(error, http.client.BadStatusLine)
    if torn is not None and not isinstance(torn, http.client.RemoteDisconnected):
        if "HTTP/".startswith(str(torn).strip()[:5]):  # cut or damaged
            return NetworkError(
                f"the status line of the response is damaged ({quote(str(torn).strip())!r})", retryable=True
            )
        return NotHttpError(_not_http(quote(str(torn).strip()), host, proxy), retryable=True)
    kind, what = _connection_problem(error, host, proxy)
    return kind(what, retryable=True)


def wrong_scheme(host: str, proxy: str | None = None, *, is_tls: bool) -> str:
    """Return the words for a server, or a proxy, that speaks http where the URL says https, or the reverse."""
    if proxy:
        speaks, use = ("does not speak https", "http") if is_tls else ("speaks https", "https")
        return f"the proxy {proxy_host(proxy)} {speaks}. Use {use}:// in HTTPS_PROXY"
    if is_tls:
        return f"{host} does not speak https at this port. Check the scheme (http or https) and port of the base URL"
    return f"{host} speaks https at this port. Use https:// in the base URL"


def _not_http(sent: str, host: str, proxy: str | None) -> str:
    if proxy:
        name = proxy_host(proxy)
        return f"the proxy {name} does not speak HTTP (it sent {sent!r}). Check scheme and port in HTTPS_PROXY"
    return f"{host} does not speak HTTP at this port (it sent {sent!r}). Check the port of the base URL"


def _address_problem(error: Exception, host: str, proxy: str | None) -> str | None:
    """Return which URL has a host that cannot exist, such as one with a space in it, or None."""
    if _find(error, urllib3.exceptions.LocationValueError) is None:
        return None
    return invalid_proxy(proxy) if proxy else f"{quote(host)!r} is not a valid host. Check the base URL"


def _proxy_problem(error: Exception, host: str, proxy: str | None) -> str | None:
    """Return which setting of the proxy is wrong, or None. With a wrong setting, a retry would fail too."""
    text = str(error)
    if "SOCKS5 authentication" in text:
        return _proxy_refusal(407, host, proxy)
    if "not allowed by ruleset" in text:
        return _proxy_refusal(403, host, proxy)
    status = _PROXY_STATUS.search(text)
    return None if status is None else _proxy_refusal(int(status[1]), host, proxy)


def _tls_problem(error: Exception, host: str, proxy: str | None) -> str | None:
    """Return what is wrong with a certificate or scheme, or None. If something is, a retry would fail too."""
    text = str(error)
    via_proxy = _find(error, urllib3.exceptions.ProxyError) is not None
    certificate = _find(error, ssl.SSLCertVerificationError)
    if certificate is not None:
        whose = f"the proxy {proxy_host(proxy)}" if via_proxy else host
        return f"the TLS certificate of {whose} {certificate_problem(certificate)}"
    if _NOT_TLS.search(text):
        return wrong_scheme(host, proxy if via_proxy else None, is_tls=True)
    if _TLS_ALERT in text:
        return wrong_scheme(host, proxy, is_tls=False)
    refused = _find(error, ssl.SSLError)
    if refused is not None and refused.reason and _TLS_REFUSED.search(refused.reason):
        whose = f"the proxy {proxy_host(proxy)}" if via_proxy else host
        if "CERTIFICATE_REQUIRED" in refused.reason:
            return f"{whose} requires a client certificate, which orstats cannot send"
        return f"{whose} refused the TLS connection ({refused.reason.lower().replace('_', ' ')})"
    return None


def _proxy_refusal(status: int, host: str, proxy: str | None) -> str | None:
    """Return why a proxy will not connect, or None if a retry may succeed."""
    if status == 407:  # noqa: PLR2004 - Proxy Authentication Required
        if "@" in (proxy or ""):
            return f"the proxy {proxy_host(proxy)} rejects the user and password in HTTPS_PROXY (407)"
        return f"the proxy {proxy_host(proxy)} asks for a user and password (407). {_LOGIN}"
    if status == 403:  # noqa: PLR2004 - Forbidden
        return f"the proxy forbids the host {host} (403). Ask its administrator, or set NO_PROXY to connect directly"
    if status == 501 or (300 <= status < 500 and status not in _PROXY_TRANSIENT):  # noqa: PLR2004 - CONNECT is unknown or refused
        return f"the proxy {proxy_host(proxy)} refused to connect to {host} ({status}). Check HTTPS_PROXY"
    return None


def _connection_problem(error: Exception, host: str, proxy: str | None) -> tuple[type[NetworkError], str]:
    """Return the error class and words for a failed connection, after which a retry may succeed."""
    text = str(error)
    status = _PROXY_STATUS.search(text)
    if status is not None:
        return NoConnectionError, f"the proxy could not connect to {host} ({status[1]})"
    if _find(error, urllib3.exceptions.ProxyError) or ("[Errno" in text and (proxy or "").startswith("socks")):
        return NoConnectionError, f"the proxy {proxy_host(proxy)} could not be reached ({_cause(text)})"
    if _find(error, urllib3.exceptions.NewConnectionError):  # NameResolutionError is one
        return NoConnectionError, f"no connection to {host} ({_cause(text)})"
    if _find(error, urllib3.exceptions.ConnectTimeoutError):
        return NoConnectionError, f"no connection to {host} within the time-out"
    words = next((words for kind, words in _KINDS if _find(error, kind)), None)
    return NetworkError, words or _cause(text, error)


def _cause(text: str, error: Exception | None = None) -> str:
    return next((words for marks, words in _CAUSES if any(mark in text for mark in marks)), None) or (
        "no route" if error is None else quote(type(error).__name__)
    )


_CAUSES: Final = (
    (("IncompleteRead",), "the response was cut short"),
    (("got more than",), "the response has too many headers"),
    (("refused",), "connection refused"),
    (("resolve", "getaddrinfo"), "the host name could not be resolved"),
    (("unreachable", "No route"), "the network is unreachable"),
    (("timed out",), "no connection within the time-out"),
    (("EOF occurred", "EOF_WHILE_READING"), "the connection was closed during the TLS handshake"),
    (("reset", "aborted", "closed"), "the connection was closed before the response"),
)
_KINDS: Final[tuple[tuple[type[Exception], str], ...]] = (
    (urllib3.exceptions.TimeoutError, "no response within the time-out"),
    (TimeoutError, "no response within the time-out"),
    (urllib3.exceptions.IncompleteRead, "the response was cut short"),
    (urllib3.exceptions.DecodeError, "the response could not be decompressed"),
    (urllib3.exceptions.InvalidHeader, "the response headers contradict each other"),
    (http.client.LineTooLong, "the response has a header that is too long"),
    (http.client.UnknownProtocol, "the response has a version of HTTP that is not supported"),
    (urllib3.exceptions.SSLError, "the TLS connection failed"),
)


def _find(error: BaseException | None, kind: type[E]) -> E | None:
    return next((one for one in _causes(error, set()) if isinstance(one, kind)), None)


def _causes(error: Any, seen: set[int]) -> Iterator[BaseException]:
    """Yield an exception and those that it wraps: as ``reason`` in urllib3, as an argument in requests."""
    if isinstance(error, BaseException) and id(error) not in seen:
        seen.add(id(error))
        yield error
        for inner in (getattr(error, "reason", None), error.__cause__, error.__context__, *error.args):
            yield from _causes(inner, seen)


def proxy_host(proxy: str | None) -> str:
    """Return host and port of a proxy, without its user and password."""
    return quote((proxy or "").rpartition("@")[2].rpartition("//")[2])


def invalid_proxy(proxy: str) -> str:
    """Return the words for an invalid URL of a proxy, without its user and password."""
    scheme, colon, _ = proxy.partition("://")
    shown = f"{quote(scheme)}://{proxy_host(proxy)}" if colon else proxy_host(proxy)
    return f"HTTPS_PROXY (or ALL_PROXY) must look like http://host:port, got {shown!r}"
