"""Requests to one host, sent by requests: no retries, redirects, .netrc or cookies, and every response is bounded.

The proxy, the TLS context and the connection pool are the same for every request and are set up once.
"""

from __future__ import annotations

import http.client
import io
import socket
import threading
import time
from base64 import b64encode
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from typing import Any, Final, NamedTuple
from urllib.parse import SplitResult, urlsplit

import requests
import urllib3
from requests.adapters import HTTPAdapter
from requests.utils import get_auth_from_url, get_environ_proxies, select_proxy

from orstats.api.config import MAX_CONNECTIONS, Secret, Settings
from orstats.api.header_fields import with_fast_headers
from orstats.api.network_errors import NotHttpError, invalid_proxy, network_error, wrong_scheme
from orstats.api.tls import make_context, speaks_http, speaks_tls
from orstats.errors import NetworkError, NetworkSetupError, NoConnectionError

_CHUNK_BYTES: Final = 1 << 18
#: Seconds for the first TLS handshake: a plain http server may never answer one.
_FIRST_HANDSHAKE_S: Final = 3.0
#: So many failures over http before the server is probed: one connection may be closed by chance.
_FAILURES_BEFORE_PROBE: Final = 2
#: Files of environment variables leave these around a URL.
_AROUND_PROXY: Final = " \t\r\n\"'"
_SWITCHING_PROTOCOLS: Final = 101
_FIRST_FINAL_STATUS: Final = 200


class Answer(NamedTuple):
    """One complete HTTP response."""

    status: int
    headers: Any  # a case-insensitive mapping, as urllib3 gives it
    body: bytes


class Transport:
    """Sends GET and POST requests below one base URL. Shared by threads."""

    def __init__(
        self,
        settings: Settings,
        timeout: tuple[float, float],
        headers: Mapping[str, str],
        shared: Transport | None = None,
    ) -> None:
        self._base_url = settings.base_url
        self._headers = {**headers, "Accept-Encoding": "gzip"}
        self._timeout = urllib3.Timeout(connect=timeout[0], read=timeout[1])
        self._total_s = sum(timeout)
        self.pool: ConnectionPool = shared.pool if shared else ConnectionPool(settings)

    def send(self, path: str, body: bytes | None = None, *, key: str, limit: int, timeout_factor: float) -> Answer:
        """Send a GET request, or a POST request with a JSON body, which may use all its time before its first byte."""
        # A secret: an interrupt leaves a traceback through frames of urllib3 that hold the headers.
        headers = {**self._headers, "Authorization": Secret(f"Bearer {key}")}
        timeout, total_s = self._timeout, self._total_s * timeout_factor
        if body is not None:
            headers |= {"Content-Type": "application/json", "Content-Length": str(len(body))}
            timeout = urllib3.Timeout(connect=timeout.connect_timeout, read=total_s)
        request = requests.PreparedRequest()  # not of a session, which would let .netrc replace the key
        request.method, request.url, request.body = "GET" if body is None else "POST", self._base_url + path, body
        request.headers = headers  # type: ignore[assignment] # a dict is enough
        deadline = self.pool.deadline.at = time.monotonic() + total_s
        try:
            response: Any = self.pool.send(request, stream=True, timeout=timeout)  # type: ignore[arg-type] # urllib3's is accepted
            received = _read(response, limit)
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
            failed = network_error(error, self._base_url, self.pool.proxy)
        else:
            self.pool.has_answered = True
            return Answer(response.status, response.headers, received)
        if failed.retryable and time.monotonic() >= deadline:
            failed = NetworkError("no complete response within the time-out", retryable=True)
        # Outside of the handler: the frames of http.client hold the key, and a context would lead there.
        raise self.pool.explain(failed)

    def close(self) -> None:
        """Close the pooled connections. A later request opens new ones."""
        self.pool.close()


class ConnectionPool(HTTPAdapter):
    """The adapter of requests with one pool of connections to one host.

    Proxies come from the environment, as requests reads them, except that nothing meant for this machine goes through
    a proxy: the key would be sent to it unencrypted.
    """

    def __init__(self, settings: Settings) -> None:
        super().__init__(max_retries=0)
        self._base_url = settings.base_url
        self._address = address = urlsplit(settings.base_url)
        if address.port is None:  # an entry of NO_PROXY may name the default port
            address = address._replace(netloc=f"{address.netloc}:{443 if address.scheme == 'https' else 80}")
        proxies = {} if settings.is_loopback else get_environ_proxies(address.geturl())
        proxy = select_proxy(settings.base_url, proxies)
        self.proxy = Secret.of(proxy.strip(_AROUND_PROXY) if proxy else None)  # may contain a password
        self.deadline = _Deadline()
        self.has_answered = False
        self._lock = threading.Lock()
        self._pool: urllib3.HTTPConnectionPool | None = None
        self._tls: dict[str, Any] = {}
        self._failures = 0
        self._wrong_scheme: str | None = None

    def get_connection_with_tls_context(
        self,
        request: Any,  # noqa: ARG002 - the signature is requests'
        verify: Any,  # noqa: ARG002 - same
        proxies: Any = None,  # noqa: ARG002 - same
        cert: Any = None,  # noqa: ARG002 - same
    ) -> Any:
        """Return the pool of urllib3, made at the first request."""
        pool = self._pool
        if pool is None:
            with self._lock:
                pool = self._pool = self._pool or self._make_pool()
        return pool

    def _make_pool(self) -> urllib3.HTTPConnectionPool:
        if self._address.scheme == "https" and not self._tls:
            self._tls = {"ssl_context": make_context()}
        options = {"num_pools": 1, "maxsize": MAX_CONNECTIONS, **self._tls}
        manager = _proxy_manager(self.proxy, options) if self.proxy else urllib3.PoolManager(**options)
        pool: urllib3.HTTPConnectionPool = manager.connection_from_url(self._base_url)
        pool.ConnectionCls = with_deadline(pool.ConnectionCls, self.deadline, self._handshake_timeout)
        return pool

    def cert_verify(self, conn: Any, url: Any, verify: Any, cert: Any) -> None:
        """Leave the pool's TLS context as it is."""

    def request_url(self, request: Any, proxies: Any) -> str:  # noqa: ARG002 - the signature is requests'
        """Return what follows the host: https proxies tunnel, and plain http goes through no proxy."""
        return "/" + str(request.url).split("/", 3)[3]

    def build_response(self, req: Any, resp: Any) -> Any:  # noqa: ARG002 - same
        """Return urllib3's response: that of requests would make a cookie jar each time."""
        return resp

    def _handshake_timeout(self, timeout: float | None) -> float | None:
        """Wait only shortly for a first handshake; after a response, or a failure, as long as usual."""
        is_first = not (self.has_answered or self.proxy or self._failures)
        return _FIRST_HANDSHAKE_S if is_first and (timeout is None or timeout > _FIRST_HANDSHAKE_S) else timeout

    def explain(self, error: NetworkError) -> NetworkError:
        """Find out whether a server or proxy that never sent a response speaks something else than its URL says."""
        if self.has_answered or not error.retryable:
            return error
        peer = split_proxy(self.proxy) if self.proxy else self._address
        is_tls = peer.scheme == "https"
        if isinstance(error, NoConnectionError) and not (self.proxy and is_tls):
            return error
        with self._lock:
            self._failures += 1
            if self._failures == (1 if is_tls else _FAILURES_BEFORE_PROBE):
                host, port = peer.hostname or "", peer.port or (443 if is_tls else 80)
                if isinstance(error, NotHttpError):
                    self._wrong_scheme = str(error)
                elif peer.scheme in ("http", "https") and (speaks_http if is_tls else speaks_tls)(host, port):
                    self._wrong_scheme = wrong_scheme(self._address.netloc, self.proxy, is_tls=is_tls)
        return error if self._wrong_scheme is None else NetworkSetupError(self._wrong_scheme)

    def close(self) -> None:
        """Close the connections. A later request opens new ones."""
        super().close()
        pool, self._pool = self._pool, None
        if pool is not None:
            pool.close()


def split_proxy(proxy: str) -> SplitResult:
    """Return the parts of a proxy's URL, which may lack its scheme."""
    return urlsplit(proxy if "://" in proxy else f"http://{proxy}")


def _proxy_manager(proxy: str, options: dict[str, Any]) -> urllib3.PoolManager:
    try:
        parts = split_proxy(proxy)
        scheme = parts.scheme if parts.hostname and parts.port != 0 else ""
    except ValueError:
        raise NetworkSetupError(invalid_proxy(proxy)) from None
    url, (user, password) = Secret(parts.geturl()), map(Secret, get_auth_from_url(proxy))
    if scheme in ("http", "https"):
        # In UTF-8, as curl sends it; urllib3 and requests fail for characters outside of Latin-1.
        login = Secret(b64encode(f"{user}:{password}".encode()).decode())
        headers = {"Proxy-Authorization": Secret(f"Basic {login}")} if user else {}
        return urllib3.ProxyManager(url, proxy_headers=headers, proxy_ssl_context=options["ssl_context"], **options)
    if not scheme.startswith("socks"):
        raise NetworkSetupError(invalid_proxy(proxy))
    if find_spec("socks") is None:
        raise NetworkSetupError(
            "SOCKS proxies, such as the one of HTTPS_PROXY or ALL_PROXY, require PySocks: pip install pysocks"
        )
    from urllib3.contrib.socks import SOCKSProxyManager  # noqa: PLC0415 - needs PySocks

    return SOCKSProxyManager(url, username=user, password=password, **options)


class _Deadline(threading.local):
    """The moment (monotonic seconds) by which the response to this thread's request must be complete."""

    at: float = float("inf")


def with_deadline(
    connection: type, deadline: _Deadline, handshake_timeout: Callable[[float | None], float | None]
) -> type:
    """Return a class of connections whose complete responses, head and body, must arrive by a deadline.

    A socket's time-out starts again with every byte, so that a server that sends them slowly can hold a reader for
    hours. Here each read gets only the time that is left.
    """

    class Response(http.client.HTTPResponse):
        begin = with_fast_headers(http.client.HTTPResponse.begin)

        def __init__(self, sock: socket.socket, *args: Any, **options: Any) -> None:
            super().__init__(sock, *args, **options)
            self.fp: io.BufferedReader = io.BufferedReader(_TimedReader(self.fp.detach(), sock, deadline.at))

        def _read_status(self) -> tuple[str, int, str]:
            """Skip interim responses, such as 103; http.client skips only 100."""
            while True:
                version, status, reason = super()._read_status()  # type: ignore[misc]
                if not _SWITCHING_PROTOCOLS < status < _FIRST_FINAL_STATUS:
                    return version, status, reason
                http.client.parse_headers(self.fp)

    def new_connection(self: Any) -> socket.socket:
        sock: socket.socket = connection._new_conn(self)  # type: ignore[attr-defined] # noqa: SLF001 - urllib3's hook
        sock.settimeout(handshake_timeout(sock.gettimeout()))
        return sock

    def request(self: Any, *args: Any, **options: Any) -> None:
        if self.sock is not None:  # kept: there is nothing to connect, and its time-out need not change twice
            self.timeout = max(self.timeout, self.sock.gettimeout())
        connection.request(self, *args, **options)  # type: ignore[attr-defined]

    members = {"response_class": Response, "_new_conn": new_connection, "request": request}
    return type(connection.__name__, (connection,), members)


class _TimedReader(io.RawIOBase):
    """The bytes of a socket, until a deadline."""

    def __init__(self, raw: io.RawIOBase, sock: socket.socket, deadline: float) -> None:
        super().__init__()
        self._raw = raw
        self._sock = sock
        self._deadline = deadline

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        left_s = self._deadline - time.monotonic()
        if left_s <= 0:
            raise TimeoutError("no complete response within the time-out")
        usual_s = self._sock.gettimeout()
        if usual_s is None or usual_s > left_s:
            self._sock.settimeout(left_s)
        return self._sock.recv_into(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()


def _read(response: Any, limit: int) -> bytes:
    """Read a body in pieces, so that a huge one does not fill the memory."""
    body = b""
    try:
        while len(body) <= limit and (piece := response.read1(_CHUNK_BYTES, decode_content=True)):
            body = body + piece if body else piece
            if response.closed and len(piece) < _CHUNK_BYTES:
                break  # complete: another read would cost 2 % of a small response
    except BaseException:
        response.close()  # in the middle of a response, the connection cannot be reused
        raise
    if len(body) > limit:
        response.close()
        raise NetworkError(f"the response is longer than {limit >> 20} MiB")
    return body
