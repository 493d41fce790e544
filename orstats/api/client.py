"""The client for one account on one host: every request is rate-limited and retried, and fails with a typed error."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from copy import copy
from dataclasses import replace
from datetime import date as Date  # noqa: N812 - `date` is the API's name of an argument
from types import TracebackType
from typing import Any, Final, Literal, Self, TypeVar
from urllib.parse import quote as percent_encode
from urllib.parse import urlencode

import orjson
from requests.structures import CaseInsensitiveDict

from orstats._version import __version__
from orstats.api.clock import SYSTEM_CLOCK, Clock
from orstats.api.config import API_KEY, Secret, Settings, checked_headers, is_duration, normalise_base_url
from orstats.api.feedback import request_body
from orstats.api.limit_evidence import LimitEvidence
from orstats.api.rate_limit import AdaptiveRateLimiter, FixedQuota, RateLimiter
from orstats.api.response import CONTENT, FEEDBACK, GENERATION, decode, quote
from orstats.api.retry import Retry
from orstats.api.server_clock import ServerClock
from orstats.api.transport import Answer, Transport
from orstats.errors import (
    ApiError,
    AuthenticationError,
    BadResponseError,
    ConfigError,
    ConflictError,
    ForbiddenError,
    MissingKeyError,
    NetworkError,
    NoConnectionError,
    RateLimitError,
)
from orstats.text.fact_sheet import fact_sheet

T = TypeVar("T")

MANAGEMENT_KEYS_URL: Final = "https://openrouter.ai/settings/management-keys"
#: Seconds to connect, and between two pieces of a response. Without a connection, a call fails in less than 10 s.
TIMEOUT: Final = (8.0, 30.0)
#: Longer time-outs, in seconds, overflow the clock of some platforms.
_MAX_TIMEOUT_S: Final = 1e8
#: Largest response in bytes: a record; a conversation with images.
_MAX_BYTES, _MAX_CONTENT_BYTES = 16 << 20, 256 << 20
#: Of the usual time-out: contents are large, and analytics sums millions of rows before its first byte.
_CONTENT_TIMEOUT_FACTOR, _ANALYTICS_TIMEOUT_FACTOR = 10.0, 3.0
#: The vendor's published limit of ``/analytics``: requests, per so many seconds.
_ANALYTICS_LIMIT: Final = (64, 60.0)
_NEEDS_MANAGEMENT_KEY: Final = (
    f"This needs a management key: make one at {MANAGEMENT_KEYS_URL} and set OPENROUTER_MANAGEMENT_KEY "
    "(or pass Client(management_key=…))."
)
_NEEDS_OWN_MANAGEMENT_KEY: Final = _NEEDS_MANAGEMENT_KEY.replace(
    "a management key", "a management key of the account that created the generation", 1
)


class Client:
    """Client for the API of one account. Share one between threads and calls: it learns the account's rate limit.

    Parameters
    ----------
    api_key
        Default: ``OPENROUTER_API_KEY``. Required only when a request is sent.
    management_key
        Default: ``OPENROUTER_MANAGEMENT_KEY``. Used where an ordinary key has no access.
    base_url
        Default: ``OPENROUTER_BASE_URL``, else ``https://openrouter.ai/api/v1``. With or without ``/api/v1``. Must be
        https, except on this machine.
    timeout
        Seconds: one number, or (to connect, between two pieces of a response). A complete response may take the sum
        of both; ten times that for stored content, three times for analytics.
    retry
        Retry limits and waits for each request.

    Raises
    ------
    ConfigError
        A URL, key or time-out is invalid.

    Examples
    --------
    >>> Client("sk-or-v1-secret", base_url="https://openrouter.ai")
    Client(base_url='https://openrouter.ai/api/v1')
    >>> import orstats
    >>> with orstats.sim.SimServer(10) as sim, sim.client() as client:
    ...     record = client.generation(sim.ids[0])
    >>> record["id"] == sim.ids[0], record["total_cost"] >= 0
    (True, True)
    """

    def __init__(
        self,
        api_key: str | None = None,
        *,
        management_key: str | None = None,
        base_url: str | None = None,
        timeout: float | tuple[float, float] = TIMEOUT,
        retry: Retry | None = None,
        _clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        api_key, management_key = Secret.of(api_key), Secret.of(management_key)  # no traceback shows them from here on
        self.settings = Settings.resolve(api_key, management_key, base_url)
        self.retry = _checked_retry(retry, Retry())
        self.clock = _clock
        self._connect(_checked_timeout(timeout), {})

    def _connect(
        self, timeout: tuple[float, float], headers: dict[str, Secret], shared: Transport | None = None
    ) -> None:
        """Start on a new host, or continue on the connections of another client for the same host."""
        if shared is None:
            self.rate_limiter = AdaptiveRateLimiter(self.clock)
            self.analytics_limiter: RateLimiter = FixedQuota(*_ANALYTICS_LIMIT, self.clock)
            self._content_key: str | None = None  # the management key, once the other may not read content
            self._limit_evidence = LimitEvidence()
            self._server_clock = ServerClock(self.clock)
        self._timeout = timeout
        self._headers = headers
        sent = CaseInsensitiveDict({"User-Agent": f"orstats/{__version__}", "Accept": "application/json"})
        sent.update(headers)
        self._transport = Transport(self.settings, timeout, sent, shared)

    def with_options(
        self,
        *,
        timeout: float | tuple[float, float] | None = None,
        retry: Retry | None = None,
        base_url: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Self:
        """Return a client with other options and the same keys, connections and learnt rate limit.

        Parameters
        ----------
        timeout, retry
            As for :class:`Client`. None keeps the current value.
        base_url
            As for :class:`Client`. On another host the returned client has connections and a rate limit of its own,
            and headers added before are not sent there.
        headers
            Added to every request, in addition to those added before.

        Returns
        -------
        Client
            A copy; this client is unchanged. Closing either closes the shared connections; a later call opens new ones.

        Raises
        ------
        ConfigError
            An option is invalid, such as an ``Authorization`` header.

        Examples
        --------
        >>> client = Client("sk-or-v1-secret")
        >>> patient = client.with_options(timeout=120, retry=Retry(attempts=20, max_elapsed=3600))
        >>> patient.rate_limiter is client.rate_limiter
        True
        """
        client = copy(self)
        if base_url is not None:
            client.settings = replace(self.settings, base_url=normalise_base_url(base_url))
        is_same_host = client.settings.origin == self.settings.origin
        client.retry = _checked_retry(retry, self.retry)
        client._connect(  # noqa: SLF001 - also a Client
            self._timeout if timeout is None else _checked_timeout(timeout),
            (self._headers if is_same_host else {}) | checked_headers(headers or {}),
            self._transport if is_same_host else None,
        )
        return client

    def __repr__(self) -> str:
        return f"Client(base_url={self.settings.base_url!r})"

    def _repr_html_(self) -> str:
        """Describe the client for a notebook: whether keys are set, never what they are."""
        keys = {"key": self.settings.api_key, "management key": self.settings.management_key}
        facts = {name: ["not set" if key is None else "set"] for name, key in keys.items()}
        pace = self.rate_limiter.pace
        known = "paused after refusals" if not pace else f"{pace:,.1f} requests per second, learnt from refusals"
        facts["rate limit"] = ["none met so far" if pace is None else known]
        return fact_sheet("Client", self.settings.base_url, facts)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Close the pooled connections. A later call opens new ones."""
        self._transport.close()

    def generation(self, generation_id: str) -> dict[str, Any]:
        """Return the metadata record of one generation, as the API sends it.

        :func:`orstats.get` returns it typed, :func:`orstats.fetch` fetches many.

        Parameters
        ----------
        generation_id
            The id.

        Returns
        -------
        dict
            ``data`` of ``GET /generation``, with the vendor's names, types and units; nothing is checked or derived.

        Raises
        ------
        ApiError
            The error of the last attempt; :class:`~orstats.errors.NotFoundError` for an id that is unknown or too
            recent.
        MissingKeyError
            No key is set.
        """
        return self._with_retries(lambda: self.ask_generation(generation_id))

    def content(self, generation_id: str) -> dict[str, Any]:
        """Return the stored prompt and completion of one generation, as the API sends them.

        Where the ordinary key is forbidden to read content, the management key is used, if one is set.
        ``orstats.get(id).content()`` returns it typed, and explains why there is none.

        Parameters
        ----------
        generation_id
            The id.

        Returns
        -------
        dict
            ``data`` of ``GET /generation/content``: ``input``, ``output``, ``error``.

        Raises
        ------
        ApiError
            :class:`~orstats.errors.ForbiddenError` if no available key may read it,
            :class:`~orstats.errors.NotFoundError` if nothing is stored.
        MissingKeyError
            No key is set.
        """
        return self._with_retries(lambda: self.ask_content(generation_id))

    def feedback(self, generation_id: str, category: str, comment: str | None = None) -> None:
        """Report a problem of one generation to OpenRouter. This cannot be changed or withdrawn.

        The API accepts feedback once for each generation and refuses it afterwards. A request whose outcome is unknown,
        as after a time-out, is therefore retried like any other: nothing is recorded twice.

        Parameters
        ----------
        generation_id
            The id of a generation of your account.
        category
            ``"latency"``, ``"incoherence"``, ``"incorrect_response"``, ``"formatting"``, ``"billing"``,
            ``"api_error"`` or ``"other"``.
        comment
            Your own words. Empty text is not sent.

        Raises
        ------
        ConflictError
            Feedback was given for this generation before. The message says if that may have been an earlier attempt of
            this call, whose response was lost.
        ForbiddenError
            The key is not a management key, or the generation belongs to another user.
        NotFoundError
            The id is unknown or too recent.
        ApiError
            The error of the last attempt.
        ConfigError
            The category is unknown, or the id or the comment contains an API key; nothing was sent.

        Examples
        --------
        >>> import orstats
        >>> with orstats.sim.SimServer(10) as sim, sim.client() as client:
        ...     client.feedback(sim.ids[0], "latency", "The first token came after 40 seconds.")
        ...     client.feedback(sim.ids[0], "latency")
        Traceback (most recent call last):
        orstats.errors.ConflictError: HTTP 409 for gen-...: Feedback was already submitted for this generation. ...
        """
        body = request_body(generation_id, category, comment)
        uncertain: ApiError | None = None  # an earlier attempt that may have been recorded

        def post(key: str) -> None:
            nonlocal uncertain
            try:
                self._request(FEEDBACK, key, generation_id, body=body)
            except ConflictError as error:
                if uncertain is None:
                    raise
                lost = f"An earlier attempt of this call may be the one: its outcome is unknown ({uncertain})."
                raise error.reworded(f"{error} {lost}") from None
            except ApiError as error:
                if error.retryable and not isinstance(error, NoConnectionError | RateLimitError):
                    uncertain = error
                raise

        self._managed(lambda key: self._with_retries(lambda: post(key)))

    def key(self, *, management: bool = False) -> dict[str, Any]:
        """Return the limits and usage of the key in use.

        Parameters
        ----------
        management
            Of the management key instead, where both are set.

        Returns
        -------
        dict
            ``data`` of ``GET /key``: ``label``, ``limit`` (None: unlimited), ``limit_remaining``, ``usage`` (total, and
            of the current day, week and month) in USD, and more.

        Raises
        ------
        ApiError
            The error of the last attempt.
        MissingKeyError
            No key is set.
        """
        key = (self.settings.management_key if management else None) or self.settings.key()
        answer: dict[str, Any] = self._with_retries(lambda: self._request("/key", key))
        return answer

    def keys(self, *, include_disabled: bool = False) -> list[dict[str, Any]]:
        """Return all API keys of the account with their limits and usage.

        Parameters
        ----------
        include_disabled
            Also return keys that are disabled.

        Returns
        -------
        list of dict
            ``data`` of ``GET /keys``: ``name``, ``label``, ``hash`` (by which analytics filter), ``limit`` (None: none
            of its own), ``limit_remaining``, ``usage`` and ``byok_usage`` (total, and of the current day, week and
            month) in USD, ``last_used_at``, ``disabled`` and more.

        Raises
        ------
        ForbiddenError
            The key is not a management key.
        ApiError
            The error of the last attempt.
        """
        found: dict[str, dict[str, Any]] = {}
        while True:
            page = self._keys_page(len(found), "&include_disabled=true" if include_disabled else "")
            new = {str(one.get("hash")): one for one in page if str(one.get("hash")) not in found}
            if not new:  # past the last page, or a server that ignores the offset
                return list(found.values())
            found |= new

    def _keys_page(self, offset: int, options: str) -> list[dict[str, Any]]:
        page: list[dict[str, Any]] = self._managed(
            lambda key: self._with_retries(
                lambda: self._request("/keys", key, query=f"offset={offset}{options}", shape=list)
            )
        )
        _check_rows(page, "/keys")
        return page

    def analytics(self, query: Mapping[str, Any]) -> dict[str, Any]:
        """Query the account's analytics. At most 64 requests a minute are sent.

        Parameters
        ----------
        query
            As the vendor documents ``POST /analytics/query``: ``metrics``, and optionally ``dimensions`` (at most 2),
            ``filters`` (at most 20), ``granularity``, ``time_range``, ``order_by``, ``limit`` (at most 10,000).

        Returns
        -------
        dict
            ``data`` (rows; counts are text, money is a number), ``metadata`` (``truncated`` is true if rows are
            missing), and sometimes ``warnings`` and ``cachedAt`` (epoch ms).

        Raises
        ------
        ForbiddenError
            The key is not a management key.
        BadRequestError
            The query breaks a rule; the message says which.
        ApiError
            The error of the last attempt. After a 408, request a shorter range.
        MissingKeyError
            No key is set.
        """
        return self._with_retries(lambda: self.ask_analytics(query))

    def analytics_meta(self) -> dict[str, Any]:
        """Return the metrics and dimensions that analytics supports.

        Returns
        -------
        dict
            ``metrics``, ``dimensions``, ``operators`` and ``granularities``, each a list.

        Raises
        ------
        ApiError
            As for :meth:`analytics`.
        """
        answer: dict[str, Any] = self._managed(
            lambda key: self._with_retries(
                lambda: self._request("/analytics/meta", key, rate_limiter=self.analytics_limiter)
            )
        )
        return answer

    def activity(
        self,
        date: Date | str | None = None,
        *,
        api_key_hash: str | None = None,
        user_id: str | None = None,
        group_by: Literal["workspace"] | None = None,
        workspace_id: str | None = None,
    ) -> list[dict[str, Any]]:
        """Return the account's totals per day, model and endpoint, for the last 30 completed UTC days.

        Parameters
        ----------
        date
            Only this UTC day.
        api_key_hash, user_id, workspace_id
            Only this key, member or workspace.
        group_by
            ``"workspace"``: additionally by workspace.

        Returns
        -------
        list of dict
            ``date``, ``model``, ``model_permaslug``, ``provider_name``, ``requests``, ``usage`` and
            ``byok_usage_inference`` in USD, tokens. See the vendor's ``GET /activity``.

        Raises
        ------
        ForbiddenError
            The key is not a management key.
        BadRequestError
            The day is not one of the last 30 completed ones.
        ApiError
            The error of the last attempt.
        """
        given = {
            "date": None if date is None else str(date),
            "api_key_hash": api_key_hash,
            "user_id": user_id,
            "group_by": group_by,
            "workspace_id": workspace_id,
        }
        query = urlencode({name: value for name, value in given.items() if value is not None})
        rows: list[dict[str, Any]] = self._managed(
            lambda key: self._with_retries(lambda: self._request("/activity", key, query=query, shape=list))
        )
        _check_rows(rows, "/activity")
        return rows

    def credits(self) -> dict[str, Any]:
        """Return the credits that were bought and used.

        Returns
        -------
        dict
            ``total_credits`` and ``total_usage``, in USD.

        Raises
        ------
        ForbiddenError
            The key is not a management key.
        ApiError
            The error of the last attempt.
        """
        answer: dict[str, Any] = self._managed(lambda key: self._with_retries(lambda: self._request("/credits", key)))
        return answer

    def ask_generation(self, generation_id: str, *, sent_at: float | None = None) -> dict[str, Any]:
        """Send one request for a record, without retries. For callers with a schedule of their own.

        Parameters
        ----------
        generation_id
            The id.
        sent_at
            The result of ``rate_limiter.admit()``, if the caller has waited there already.

        Returns
        -------
        dict
            As of :meth:`generation`.

        Raises
        ------
        ApiError
            The error of the request.
        """
        record: dict[str, Any] = self._request(GENERATION, self.settings.key(), generation_id, sent_at=sent_at)
        return record

    def ask_content(
        self,
        generation_id: str,
        *,
        sent_at: float | None = None,
        admit: Callable[[], float | None] | None = None,
    ) -> dict[str, Any]:
        """Send one request for stored content, without retries; a second one if only the management key may read it.

        Parameters
        ----------
        generation_id
            The id.
        sent_at
            As for :meth:`ask_generation`.
        admit
            Waits for the rate limiter before the second request; returns None if it must not be sent.

        Returns
        -------
        dict
            As of :meth:`content`.

        Raises
        ------
        ApiError
            The error of the request.
        """

        def request(key: str, sent_at: float | None) -> dict[str, Any]:
            content: dict[str, Any] = self._request(
                CONTENT,
                key,
                generation_id,
                sent_at=sent_at,
                limit=_MAX_CONTENT_BYTES,
                timeout_factor=_CONTENT_TIMEOUT_FACTOR,
            )
            return content

        key, spare = self._content_key or self.settings.key(), self.settings.management_key
        try:
            return request(key, sent_at)
        except ForbiddenError:
            if spare in (None, key) or (again := (admit or self.rate_limiter.admit)()) is None:
                raise
        assert spare is not None
        content = request(spare, again)
        self._content_key = spare  # the ordinary key is refused for all content: it is not tried again
        return content

    def ask_analytics(self, query: Mapping[str, Any]) -> dict[str, Any]:
        """Send one analytics query, without retries.

        Parameters
        ----------
        query
            As for :meth:`analytics`.

        Returns
        -------
        dict
            As of :meth:`analytics`.

        Raises
        ------
        ApiError
            The error of the request; :class:`~orstats.errors.BadResponseError` also for rows that are not objects.
        """
        path, body = "/analytics/query", orjson.dumps(dict(query))
        answer: dict[str, Any] = self._managed(
            lambda key: self._request(
                path,
                key,
                body=body,
                rate_limiter=self.analytics_limiter,
                timeout_factor=_ANALYTICS_TIMEOUT_FACTOR,
            )
        )
        _check_rows(answer.get("data"), path)
        if not isinstance(answer.get("metadata"), dict | None):
            raise BadResponseError(f"The response of {path} has a `metadata` that is not an object.", status=200)
        return answer

    def now(self) -> float:
        """Return the server's time, which also dates the generations; this machine's clock may be wrong or change.

        Returns
        -------
        float
            Unix seconds, accurate to about two seconds; by this machine's clock before the first response.
        """
        return self._server_clock.now()

    def _with_retries(self, request: Callable[[], T]) -> T:
        return self.retry.for_one_request().call(request, sleep=self.clock.sleep)

    def _managed(self, call: Callable[[str], T]) -> T:
        """Call with the management key, else with the ordinary one, which may be a management key too."""
        key = self.settings.management_key or self.settings.api_key
        if key is None:
            raise MissingKeyError(_NEEDS_MANAGEMENT_KEY)
        try:
            return call(key)
        except ForbiddenError as error:
            needed = _NEEDS_MANAGEMENT_KEY if error.generation_id is None else _NEEDS_OWN_MANAGEMENT_KEY
            raise error.reworded(f"{error} {needed}") from None
        except AuthenticationError as error:
            source = self.settings.management_key_from if self.settings.management_key else self.settings.api_key_from
            message = f"HTTP 401: the key ({source}) is wrong, disabled or expired. {_NEEDS_MANAGEMENT_KEY}"
            raise error.reworded(message) from None

    def _request(
        self,
        path: str,
        key: str,
        generation_id: str | None = None,
        *,
        query: str = "",
        body: bytes | None = None,
        shape: type[dict[str, Any] | list[Any]] = dict,
        limit: int = _MAX_BYTES,
        timeout_factor: float = 1.0,
        rate_limiter: RateLimiter | None = None,
        sent_at: float | None = None,
    ) -> Any:
        """Send one request; return the `data` of its response or raise its error, without the key in a traceback."""
        limiter = rate_limiter or self.rate_limiter
        if sent_at is None:
            sent_at = limiter.admit()
        assert sent_at is not None
        if generation_id is not None and body is None:
            query = f"id={percent_encode(generation_id, safe='', errors='replace')}"
        url = f"{path}?{query}" if query else path
        failure: ApiError | None = None
        answer: Answer | None = None
        try:
            answer = self._transport.send(url, body, key=key, limit=limit, timeout_factor=timeout_factor)
            self._server_clock.compare(answer.headers)
            return decode(
                answer.status,
                answer.headers,
                answer.body,
                generation_id=generation_id,
                path=path,
                shape=shape,
                now=self.clock.time(),
                secret=key,
            )
        except ApiError as error:
            # A server may echo the key, and tracebacks show local variables, also that of an error that is reworded.
            failure, answer = error.with_traceback(None), None
            raise self._reworded(failure, path, generation_id, key).with_traceback(None) from None
        finally:
            self._limit_evidence.report(limiter, sent_at, failure)

    def _reworded(self, error: ApiError, path: str, generation_id: str | None, key: str) -> ApiError:
        if isinstance(error, NetworkError) and error.status is None:  # with a status, the words are a server's
            error.generation_id = generation_id
            return error.reworded(
                f"No response for {path if generation_id is None else quote(generation_id)}: {error}."
            )
        if isinstance(error, AuthenticationError):
            return error.reworded(str(error).replace(f"Check {API_KEY}:", f"Check {self.settings.source(key)}:"))
        return error


def _check_rows(rows: object, path: str) -> None:
    if not (isinstance(rows, list) and all(isinstance(row, dict) for row in rows)):
        raise BadResponseError(f"The response of {path} has no rows in `data`.", status=200)


def _checked_timeout(timeout: float | tuple[float, float]) -> tuple[float, float]:
    pair = timeout if isinstance(timeout, tuple) else (timeout, timeout)
    if len(pair) != 2 or not all(is_duration(seconds) and 0 < seconds < math.inf for seconds in pair):  # noqa: PLR2004 - a pair
        raise ConfigError(f"timeout must be a positive number of seconds, or (connect, read), got {timeout!r}.")
    return min(pair[0], _MAX_TIMEOUT_S), min(pair[1], _MAX_TIMEOUT_S)


def _checked_retry(retry: Retry | None, default: Retry) -> Retry:
    if not isinstance(retry, Retry | None):
        raise ConfigError(f"retry must be an orstats.Retry, got {retry!r}.")
    return retry or default
