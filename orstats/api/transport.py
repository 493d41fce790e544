"""Bytes over HTTP to one host, through requests: no retry, no redirect, no netrc, no cookie, bounded body.

Everything that is the same for every request (headers, proxy, TLS settings, connection pool) is worked out once,
which makes a request cost little more than urllib3's own work.
"""

from __future__ import annotations

import time
from typing import Any, Final, NamedTuple

import requests
import urllib3
from requests.adapters import HTTPAdapter

from orstats.api.bounded import Deadline, bounded
from orstats.api.errors import NetworkError
from orstats.api.settings import Secret, Settings
from orstats.api.wire import quote

#: More workers than this would find no pooled connection.
MAX_CONNECTIONS: Final = 256
_CHUNK: Final = 1 << 18


class Answer(NamedTuple):
    """One HTTP answer, read whole."""

    status: int
    headers: Any  # a case-insensitive mapping, as urllib3 gives it
    body: bytes


class Transport:
    """Sends GET and POST requests below one base URL. Shared by threads.

    Proxies and CA bundles come from the environment, as requests reads them, except that nothing meant for this
    machine goes to a proxy: there the key would travel in clear.

    Parameters
    ----------
    settings
        Base URL.
    timeout
        Seconds to connect, and seconds between two pieces of the answer. The whole answer, its head included, must
        arrive within their sum (``patience`` times that for calls with large answers).
    user_agent
        Sent with every request.
    """

    def __init__(self, settings: Settings, timeout: tuple[float, float], user_agent: str) -> None:
        self._base_url = settings.base_url
        self._timeout = urllib3.Timeout(connect=timeout[0], read=timeout[1])
        self._whole = sum(timeout)
        with requests.Session() as session:
            environment = session.merge_environment_settings(self._base_url, {}, None, None, None)
        self._deadline = Deadline()
        self._adapter = _OneHostAdapter(
            self._deadline,
            proxies={} if settings.is_loopback else dict(environment["proxies"] or {}),
            verify=True if environment["verify"] is None else environment["verify"],
        )
        # Prepared without a session: a session would let .netrc replace the key.
        self._prepared = requests.Request(
            "GET",
            self._base_url,
            headers={"User-Agent": user_agent, "Accept": "application/json", "Accept-Encoding": "gzip"},
        ).prepare()
        self._keyed: dict[str, requests.PreparedRequest] = {}

    def get(self, path: str, *, key: str, limit: int, patience: float = 1.0) -> Answer:
        """Send one GET request.

        Parameters
        ----------
        path
            Behind the base URL, with its query, quoted.
        key
            For the Authorization header.
        limit
            Bytes; a longer body is not read to its end.
        patience
            Factor on the time for the whole answer.

        Raises
        ------
        NetworkError
            There was no whole answer; its text is only the reason.
        """
        request = _like(self._for_key(key), self._base_url + path)
        return self._send(request, self._timeout, limit, patience)

    def post(self, path: str, body: bytes, *, key: str, limit: int, patience: float = 1.0) -> Answer:
        """Send one POST request with a JSON body; as :meth:`get`, but the first piece may take as long as the whole.

        Parameters
        ----------
        path
            Behind the base URL.
        body
            JSON.
        key, limit, patience
            As for :meth:`get`.

        Raises
        ------
        NetworkError
            There was no whole answer; its text is only the reason.
        """
        request = _like(self._for_key(key), self._base_url + path)
        request.method, request.body = "POST", body
        request.headers = request.headers.copy()
        request.headers.update({"Content-Type": "application/json", "Content-Length": str(len(body))})
        timeout = urllib3.Timeout(connect=self._timeout.connect_timeout, read=self._whole * patience)
        return self._send(request, timeout, limit, patience)

    def _send(self, request: requests.PreparedRequest, timeout: urllib3.Timeout, limit: int, patience: float) -> Answer:
        deadline = self._deadline.at = time.monotonic() + self._whole * patience
        try:
            response: Any = self._adapter.send(request, stream=True, timeout=timeout)  # type: ignore[arg-type] # urllib3's Timeout is taken as it is
            body = _read(response, limit)
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
            failed = _network_error(error)
            if failed.retryable and time.monotonic() >= deadline:
                failed = NetworkError("no whole answer within the time-out", retryable=True)
            raise failed from None
        return Answer(response.status, response.headers, body)

    def close(self) -> None:
        """Close the pooled connections. A later request opens new ones."""
        self._adapter.close()

    def _for_key(self, key: str) -> requests.PreparedRequest:
        prepared = self._keyed.get(key)
        if prepared is None:
            prepared = self._prepared.copy()
            # A secret as well: an interrupt leaves a traceback through frames of urllib3 that hold the headers.
            prepared.headers["Authorization"] = Secret(f"Bearer {key}")
            self._keyed[key] = prepared
        return prepared


class _OneHostAdapter(HTTPAdapter):
    """requests' adapter with what is the same for every request of one host looked up once."""

    def __init__(self, deadline: Deadline, proxies: dict[str, str], verify: bool | str) -> None:
        super().__init__(pool_connections=1, pool_maxsize=MAX_CONNECTIONS, max_retries=0)
        self._deadline = deadline
        self._proxies = proxies
        self._verify = verify
        self._pool: Any = None

    def get_connection_with_tls_context(
        self,
        request: Any,
        verify: Any,  # noqa: ARG002 - the signature is requests'
        proxies: Any = None,  # noqa: ARG002 - same
        cert: Any = None,
    ) -> Any:
        if self._pool is None:
            pool: Any = super().get_connection_with_tls_context(request, self._verify, self._proxies, cert)
            super().cert_verify(pool, request.url, self._verify, cert)  # type: ignore[no-untyped-call]
            pool.ConnectionCls = bounded(pool.ConnectionCls, self._deadline)
            self._pool = pool
        return self._pool

    def cert_verify(self, conn: Any, url: Any, verify: Any, cert: Any) -> None:
        """Done once, when the pool is made."""

    def request_url(self, request: Any, proxies: Any) -> str:  # noqa: ARG002 - the signature is requests'
        # All behind the host: https proxies tunnel, and plain http goes to no proxy.
        return "/" + str(request.url).split("/", 3)[3]

    def build_response(self, req: Any, resp: Any) -> Any:  # noqa: ARG002 - same
        return resp  # urllib3's own: requests' would make a jar for cookies each time, which are not kept

    def close(self) -> None:
        self._pool = None
        super().close()


def _like(prepared: requests.PreparedRequest, url: str) -> requests.PreparedRequest:
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
        raise NetworkError(f"the answer is longer than {limit >> 20} MiB")


_KINDS: Final[tuple[tuple[type[Exception] | tuple[type[Exception], ...], str], ...]] = (
    (requests.exceptions.ProxyError, "the proxy could not be reached or refused"),
    (requests.exceptions.ConnectTimeout, "no connection within the time-out"),
    ((requests.Timeout, urllib3.exceptions.TimeoutError, TimeoutError), "no answer within the time-out"),
    (urllib3.exceptions.IncompleteRead, "the answer was cut short"),
    (urllib3.exceptions.DecodeError, "the answer could not be decompressed"),
    (requests.exceptions.InvalidHeader, "the head of the answer contradicts itself"),
    (requests.exceptions.SSLError, "the TLS connection failed (does the host, or the proxy, speak https?)"),
)


def _network_error(error: Exception) -> NetworkError:
    """Say in words what kind of failure it was; the vendor libraries' texts hold addresses of objects."""
    text = str(error)
    certain = _about_settings(error, text)
    if certain is not None:
        what = certain
    elif kind := next((words for kinds, words in _KINDS if isinstance(error, kinds)), None):
        what = kind
    elif "IncompleteRead" in text:
        what = "the answer was cut short"
    elif "refused" in text:
        what = "connection refused"
    elif "resolve" in text or "getaddrinfo" in text:
        what = "the host name could not be resolved"
    elif "reset" in text or "aborted" in text or "closed" in text:
        what = "the connection was closed before the answer"
    else:
        what = quote(type(error).__name__)
    return NetworkError(what, retryable=certain is None)


def _about_settings(error: Exception, text: str) -> str | None:
    """Say what is wrong with certificates or the proxy's kind, if anything is: another try would end the same."""
    if isinstance(error, requests.exceptions.InvalidSchema) and "SOCKS" in text:
        return "the proxy that the environment names is a SOCKS proxy, which takes: pip install pysocks"
    if isinstance(error, requests.exceptions.SSLError) and "CERTIFICATE_VERIFY_FAILED" in text:
        return "the TLS certificate of the host could not be verified (set REQUESTS_CA_BUNDLE for a private CA)"
    if "TLS CA certificate bundle" in text or "X509" in text:
        return "what REQUESTS_CA_BUNDLE or CURL_CA_BUNDLE names is no file of certificates"
    return None
