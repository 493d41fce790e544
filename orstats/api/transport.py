"""Bytes over HTTP to one host, through requests: no retry, no redirect, no netrc, no cookie, bounded body.

Everything that is the same for every request (headers, proxy, TLS context, connection pool) is worked out once,
which makes a request cost little more than urllib3's own work.
"""

from __future__ import annotations

import threading
import time
from base64 import b64encode
from collections.abc import Mapping
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

import requests
import urllib3
from requests.adapters import HTTPAdapter

from orstats.api.bounded import Deadline, bounded
from orstats.api.config import Secret, Settings
from orstats.api.network_errors import NotHttpError, network_error, wrong_scheme
from orstats.api.tls import make_context, speaks_http, speaks_tls
from orstats.errors import NetworkError, NetworkSetupError, NoConnectionError

#: More workers than this would find no pooled connection.
MAX_CONNECTIONS: Final = 256
_CHUNK: Final = 1 << 18
#: Seconds for the first TLS handshake: a plain http server may never answer one.
_FIRST_HANDSHAKE_S: Final = 3.0
#: An http connection may be closed by chance once.
_CLOSED_BEFORE_PROBE: Final = 2
#: Files of environment variables leave these around a URL.
_AROUND_PROXY: Final = " \t\r\n\"'"


class Answer(NamedTuple):
    """One HTTP answer, read whole."""

    status: int
    headers: Any  # a case-insensitive mapping, as urllib3 gives it
    body: bytes


class Transport:
    """Sends GET and POST requests below one base URL. Shared by threads.

    Proxies and CA bundles come from the environment, as requests reads them, except that nothing meant for this
    machine goes to a proxy: there the key would travel in clear.
    """

    def __init__(
        self,
        settings: Settings,
        timeout: tuple[float, float],
        headers: Mapping[str, str],
        shared: Transport | None = None,
    ) -> None:
        self._base_url = settings.base_url
        self._timeout = urllib3.Timeout(connect=timeout[0], read=timeout[1])
        self._whole = sum(timeout)
        self.pool: _Pool = shared.pool if shared else _Pool(settings)
        # Prepared without a session: a session would let .netrc replace the key.
        self._prepared = requests.Request(
            "GET", self._base_url, headers={**headers, "Accept-Encoding": "gzip"}
        ).prepare()
        self._keyed: dict[str, requests.PreparedRequest] = {}

    def send(
        self, path: str, body: bytes | None = None, *, key: str, limit: int, timeout_factor: float = 1.0
    ) -> Answer:
        """Send one GET request, or a POST request with a JSON body; that may use all its time before its first byte."""
        request = _clone_with_url(self._for_key(key), self._base_url + path)
        timeout = self._timeout
        if body is not None:
            request.method, request.body = "POST", body
            request.headers = request.headers.copy()
            request.headers.update({"Content-Type": "application/json", "Content-Length": str(len(body))})
            timeout = urllib3.Timeout(connect=timeout.connect_timeout, read=self._whole * timeout_factor)
        deadline = self.pool.deadline.at = time.monotonic() + self._whole * timeout_factor
        try:
            response: Any = self.pool.send(request, stream=True, timeout=timeout)  # type: ignore[arg-type] # urllib3's Timeout is taken as it is
            body = _read(response, limit)
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
            failed = network_error(error, self._base_url, self.pool.proxy)
        else:
            self.pool.has_answered = True
            return Answer(response.status, response.headers, body)
        if failed.retryable and time.monotonic() >= deadline:
            failed = NetworkError("no complete response within the time-out", retryable=True)
        # Outside of the handler: the frames of http.client hold the key, and a context would lead there.
        raise self.pool.explain(failed)

    def close(self) -> None:
        """Close the pooled connections. A later request opens new ones."""
        self.pool.close()

    def _for_key(self, key: str) -> requests.PreparedRequest:
        prepared = self._keyed.get(key)
        if prepared is None:
            prepared = self._prepared.copy()
            # A secret as well: an interrupt leaves a traceback through frames of urllib3 that hold the headers.
            prepared.headers["Authorization"] = Secret(f"Bearer {key}")
            self._keyed[key] = prepared
        return prepared


class _Pool(HTTPAdapter):
    """The connections to one host: requests' adapter with what is the same for every request looked up once."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(pool_connections=1, pool_maxsize=MAX_CONNECTIONS, max_retries=0)
        self.deadline = Deadline()
        self._address = address = urlsplit(settings.base_url)
        if address.port is None:  # an entry of NO_PROXY may name the default port
            address = address._replace(netloc=f"{address.netloc}:{443 if address.scheme == 'https' else 80}")
        with requests.Session() as session:
            environment = session.merge_environment_settings(address.geturl(), {}, None, None, None)
        proxies = {} if settings.is_loopback else dict(environment["proxies"] or {})
        self._proxies = {name: Secret(proxy.strip(_AROUND_PROXY)) for name, proxy in proxies.items()}
        self.proxy = Secret.of(requests.utils.select_proxy(settings.base_url, self._proxies))  # may hold a password
        self._bundle = environment["verify"] if isinstance(environment["verify"], str) else None
        self._lock = threading.Lock()
        self._pool: Any = None
        self.has_answered = False
        self._failures = 0
        self._wrong_scheme: str | None = None
        self._tls: dict[str, Any] = {}

    def explain(self, error: NetworkError) -> NetworkError:
        """Find out whether a server or proxy that never sent a response speaks something else than its URL says."""
        if self.has_answered or not error.retryable:
            return error
        peer = urlsplit(self.proxy if "://" in self.proxy else f"http://{self.proxy}") if self.proxy else self._address
        is_tls = peer.scheme == "https"
        if isinstance(error, NoConnectionError) and not (self.proxy and is_tls):
            return error
        with self._lock:
            self._failures += 1
            if self._failures == (1 if is_tls else _CLOSED_BEFORE_PROBE):
                host, port = peer.hostname or "", peer.port or (443 if is_tls else 80)
                if isinstance(error, NotHttpError):
                    self._wrong_scheme = str(error)
                elif peer.scheme in ("http", "https") and (speaks_http if is_tls else speaks_tls)(host, port):
                    self._wrong_scheme = wrong_scheme(self._address.netloc, self.proxy, is_tls=is_tls)
        return error if self._wrong_scheme is None else NetworkSetupError(self._wrong_scheme)

    def get_connection_with_tls_context(
        self,
        request: Any,
        verify: Any,  # noqa: ARG002 - the signature is requests'
        proxies: Any = None,  # noqa: ARG002 - same
        cert: Any = None,
    ) -> Any:
        if self._pool is not None:
            return self._pool
        with self._lock:
            if self._pool is None:
                if str(request.url).startswith("https") and not self._tls:
                    self._tls = {"ssl_context": make_context(self._bundle)}
                pool: Any = super().get_connection_with_tls_context(request, True, self._proxies, cert)
                pool.ConnectionCls = bounded(pool.ConnectionCls, self.deadline, self._handshake_timeout)
                self._pool = pool
            return self._pool

    def _handshake_timeout(self, timeout: float | None) -> float | None:
        """Do not wait long for a server that does not speak TLS at all; once one has answered, or failed, wait."""
        is_first = not (self.has_answered or self.proxy or self._failures)
        return _FIRST_HANDSHAKE_S if is_first and (timeout is None or timeout > _FIRST_HANDSHAKE_S) else timeout

    def proxy_headers(self, proxy: str) -> dict[str, str]:
        """Return the login for a proxy, in UTF-8 as curl sends it; requests fails with other than Latin-1."""
        user, password = requests.utils.get_auth_from_url(proxy)
        login = b64encode(f"{user}:{password}".encode()).decode()
        return {"Proxy-Authorization": Secret(f"Basic {login}")} if user else {}

    def build_connection_pool_key_attributes(self, request: Any, verify: Any, cert: Any = None) -> Any:
        host, _ = super().build_connection_pool_key_attributes(request, verify, cert)
        return host, self._tls

    def proxy_manager_for(self, proxy: str, **proxy_kwargs: Any) -> Any:
        if proxy.lower().startswith("https"):
            proxy_kwargs["proxy_ssl_context"] = self._tls["ssl_context"]
        return super().proxy_manager_for(proxy, **proxy_kwargs)

    def cert_verify(self, conn: Any, url: Any, verify: Any, cert: Any) -> None:
        """Leave the pool's TLS context as it is."""

    def request_url(self, request: Any, proxies: Any) -> str:  # noqa: ARG002 - the signature is requests'
        # All behind the host: https proxies tunnel, and plain http goes to no proxy.
        return "/" + str(request.url).split("/", 3)[3]

    def build_response(self, req: Any, resp: Any) -> Any:  # noqa: ARG002 - same
        return resp  # urllib3's own: requests' would make a jar for cookies each time, which are not kept

    def close(self) -> None:
        self._pool = None
        super().close()


def _clone_with_url(prepared: requests.PreparedRequest, url: str) -> requests.PreparedRequest:
    """Return a copy with another URL that is already quoted; a sixth of the time that copying by its protocol takes."""
    request = requests.PreparedRequest()
    request.__dict__.update(prepared.__dict__, url=url)
    return request


def _read(raw: Any, limit: int) -> bytes:
    """Read a body in pieces, so that a huge one does not fill the memory."""
    body = b""
    try:
        while piece := raw.read1(_CHUNK, decode_content=True):
            body = body + piece if body else piece
            _check(len(body), limit)
    except BaseException:
        raw.close()  # the connection is in the middle of an answer: not for reuse
        raise
    return body


def _check(length: int, limit: int) -> None:
    if length > limit:
        raise NetworkError(f"the response is longer than {limit >> 20} MiB")
