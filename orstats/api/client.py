"""The client: one account on one host. Every call is governed, retried, and fails with a typed error."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping
from copy import copy
from dataclasses import replace
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import quote as percent

from requests.structures import CaseInsensitiveDict

from orstats._version import __version__
from orstats.api import response as wire
from orstats.api.account import AccountCalls
from orstats.api.clock import SYSTEM_CLOCK, Clock
from orstats.api.config import Secret, Settings, checked_headers, is_duration, normalise_base_url
from orstats.api.quota import Pace
from orstats.api.rate_limit import Governor
from orstats.api.retry import Retry
from orstats.api.transport import Answer, Transport
from orstats.errors import (
    ApiError,
    AuthenticationError,
    ConfigError,
    ForbiddenError,
    NetworkError,
    NoConnectionError,
    ProviderOverloadedError,
    RateLimitError,
    ServerError,
    ServiceUnavailableError,
)

#: Seconds to connect, and between two pieces of a response. The first leaves a person to wait less than 10 s in vain.
TIMEOUT: Final = (8.0, 30.0)

_SMALL, _LARGE = 16 << 20, 256 << 20  # bytes: a record; a conversation with images
_PATIENCE_LARGE = 10.0
#: Longer time-outs, in seconds, overflow the clock of some platforms.
_LONGEST_S: Final = 1e8
#: So many of the latest responses failed: more than faults by chance.
_LATEST, _NEARLY_ALL = 32, 24
#: Our clock was set if it moved by more than this against the monotonic one, seconds.
_JUMP_S: Final = 1.0


class Client(AccountCalls):
    """Talks to the API for one account. Share one between threads and calls: it learns the account's pace.

    Parameters
    ----------
    api_key
        Else ``OPENROUTER_API_KEY``. Asked for only when a request is really sent.
    management_key
        Else ``OPENROUTER_MANAGEMENT_KEY``. Used where an ordinary key may not read.
    base_url
        Else ``OPENROUTER_BASE_URL``, else ``https://openrouter.ai/api/v1``. With or without ``/api/v1``. Must be
        https, except on this machine.
    timeout
        Seconds: one number, or (to connect, between two pieces of an answer). A whole answer may take the sum of both;
        ten times that for stored content, three times for analytics.
    retry
        Bounds and waits for one id.

    Raises
    ------
    ConfigError
        A URL, key or time-out that cannot be used.

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
        super().__init__(_clock)
        api_key, management_key = Secret.of(api_key), Secret.of(management_key)  # no traceback shows them from here on
        self.settings = Settings.resolve(api_key, management_key, base_url)
        self.retry = _checked_retry(retry, Retry())
        self._begin(_checked_timeout(timeout), {})

    def _begin(self, timeout: tuple[float, float], headers: dict[str, Secret], shared: Transport | None = None) -> None:
        """Begin on a host, or go on with the connections of another client of the same host."""
        if shared is None:
            self.governor = Governor(self.clock)
            self._latest_failed: deque[bool] = deque([False], maxlen=_LATEST)
            self._clock_offset = math.inf  # of ours against the monotonic one, when it was last compared
            self._server_offset: float | None = None  # of the server's
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
        """Return a client with other options for some calls: same keys, connections and learnt rate limit.

        Parameters
        ----------
        timeout, retry
            As for :class:`Client`. None keeps the present one.
        base_url
            As for :class:`Client`. On another host the returned client has connections and a rate limit of its own,
            and headers added before are not sent there.
        headers
            Added to every request, beside those added before.

        Returns
        -------
        Client
            This client stays as it is. Closing either closes the shared connections; a later call opens new ones.

        Raises
        ------
        ConfigError
            An option that cannot be used, such as an ``Authorization`` header.

        Examples
        --------
        >>> client = Client("sk-or-v1-secret")
        >>> patient = client.with_options(timeout=120, retry=Retry(attempts=20, max_elapsed=3600))
        >>> patient.governor is client.governor
        True
        """
        client = copy(self)
        if base_url is not None:
            client.settings = replace(self.settings, base_url=normalise_base_url(base_url))
        is_same_host = client.settings.origin == self.settings.origin
        if not is_same_host:
            AccountCalls.__init__(client, self.clock)
        client.retry = _checked_retry(retry, self.retry)
        client._begin(  # noqa: SLF001 - a client as well
            self._timeout if timeout is None else _checked_timeout(timeout),
            (self._headers if is_same_host else {}) | checked_headers(headers or {}),
            self._transport if is_same_host else None,
        )
        return client

    def __repr__(self) -> str:
        return f"Client(base_url={self.settings.base_url!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Close the pooled connections. A later call opens new ones."""
        self._transport.close()

    def generation(self, generation_id: str) -> dict[str, Any]:
        """Return the metadata record of one generation, as the API sends it.

        :func:`orstats.get` gives it typed, :func:`orstats.fetch` many of them.

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
            What the last try ended with; :class:`~orstats.errors.NotFoundError` for an unknown or too young id.
        MissingKeyError
            No key is set.
        """
        return self._retried(lambda: self.ask_generation(generation_id))

    def content(self, generation_id: str) -> dict[str, Any]:
        """Return the stored prompt and completion of one generation, as the API sends them.

        An ordinary key may be refused (the vendor's pages disagree on that); then the management key is tried,
        if one is set. ``orstats.get(id).content()`` gives it typed, and says why there is none.

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
            :class:`~orstats.errors.ForbiddenError` if no key at hand may read it,
            :class:`~orstats.errors.NotFoundError` if nothing is stored.
        MissingKeyError
            No key is set.
        """
        key, other = self.settings.key(), self.settings.management_key
        try:
            return self._retried(lambda: self.ask_content(generation_id, key=key))
        except ForbiddenError:
            if other is None or other == key:
                raise
        return self._retried(lambda: self.ask_content(generation_id, key=other))

    def key(self, *, management: bool = False) -> dict[str, Any]:
        """Return the limits and usage of the key in use.

        Parameters
        ----------
        management
            Of the management key instead, where both are set.

        Returns
        -------
        dict
            ``data`` of ``GET /key``: ``label``, ``limit`` (None: none) and ``limit_remaining``, ``usage`` in all and of
            the day, week and month, each in USD, and more.

        Raises
        ------
        ApiError
            What the last try ended with.
        MissingKeyError
            No key is set.
        """
        key = (self.settings.management_key if management else None) or self.settings.key()
        answer: dict[str, Any] = self._retried(lambda: self._ask("/key", None, key))
        return answer

    def ask_generation(self, generation_id: str, *, admitted: float | None = None) -> dict[str, Any]:
        """Send one request for a record, without a second try. For callers with a schedule of their own.

        Parameters
        ----------
        generation_id
            The id.
        admitted
            What :meth:`Governor.admit` returned, if the caller waited there already.

        Returns
        -------
        dict
            As of :meth:`generation`.

        Raises
        ------
        ApiError
            What the request ended with.
        """
        record: dict[str, Any] = self._ask("/generation", generation_id, self.settings.key(), admitted=admitted)
        return record

    def ask_content(self, generation_id: str, *, key: str, admitted: float | None = None) -> dict[str, Any]:
        """Send one request for stored content, without a second try.

        Parameters
        ----------
        generation_id
            The id.
        key
            With which key.
        admitted
            What :meth:`Governor.admit` returned, if the caller waited there already.

        Returns
        -------
        dict
            As of :meth:`content`.

        Raises
        ------
        ApiError
            What the request ended with.
        """
        stored: dict[str, Any] = self._ask(
            "/generation/content", generation_id, key, limit=_LARGE, patience=_PATIENCE_LARGE, admitted=admitted
        )
        return stored

    def _ask(
        self,
        path: str,
        generation_id: str | None,
        key: str,
        *,
        limit: int = _SMALL,
        patience: float = 1.0,
        admitted: float | None = None,
        pace: Pace | None = None,
        body: bytes | None = None,
        shape: type[dict[str, Any] | list[Any]] = dict,
    ) -> Any:
        pace = pace or self.governor
        query = "" if generation_id is None else f"?id={percent(generation_id, safe='', errors='replace')}"
        sent_at = pace.admit() if admitted is None else admitted
        assert sent_at is not None
        refusal: ApiError | None = None
        answer: Answer | None = None
        try:
            if body is None:
                answer = self._transport.get(path + query, key=key, limit=limit, patience=patience)
            else:
                answer = self._transport.post(path, body, key=key, limit=limit, patience=patience)
            self._watch_clock(answer.headers, asked_again=body is not None)
            data = wire.decode(
                answer.status,
                answer.headers,
                answer.body,
                generation_id=generation_id,
                path=path,
                shape=shape,
                now=self.clock.time(),
                secret=key,
            )
            self._latest_failed.append(False)
            return data  # noqa: TRY300 - an else would stand behind three handlers
        except NetworkError as error:
            if error.status is not None:  # a server's own words
                answer = None
                raise error.with_traceback(None) from None
            about = path.partition("?")[0] if generation_id is None else wire.quote(generation_id)
            error.generation_id = generation_id
            if is_refusal(error) or self._fails_suddenly(error):
                refusal = error
            raise error.reworded(f"No response for {about}: {error}.") from None
        except ApiError as error:
            if is_refusal(error) or self._fails_suddenly(error):
                refusal = error
            answer = None  # a server may echo the key, and tracebacks show local variables
            if isinstance(error, AuthenticationError) and key == self.settings.management_key != self.settings.api_key:
                error = error.reworded(str(error).replace("OPENROUTER_API_KEY", "OPENROUTER_MANAGEMENT_KEY"))
            raise error.with_traceback(None) from None
        finally:
            if refusal is None:
                pace.accepted(sent_at)
            else:
                told = refusal.retry_after or None  # a server that says 0 does not know
                pace.refused(sent_at, told, is_sure=isinstance(refusal, RateLimitError) or told is not None)

    def _fails_suddenly(self, error: ApiError) -> bool:
        """Tell whether nearly everything fails since a while: proxies can refuse with any status, or hang up.

        Faults by chance are fewer, and must not slow a fetch down.
        """
        may_be = _may_be_refusal(error)
        self._latest_failed.append(may_be)
        return may_be and sum(list(self._latest_failed)) >= _NEARLY_ALL

    def now(self) -> float:
        """Tell the time by the server's clock, which also says when a generation was created; ours may be off or jump.

        Returns
        -------
        float
            Unix seconds, some two off at most; by our own clock before the first answer.
        """
        return self.clock.time() if self._server_offset is None else self.clock.monotonic() + self._server_offset

    def _watch_clock(self, headers: Any, *, asked_again: bool) -> None:
        """Compare clocks at the first answer, and when ours has jumped since: reading each date would cost too much."""
        ours = self.clock.time()
        offset = ours - self.clock.monotonic()
        if not asked_again and abs(offset - self._clock_offset) < _JUMP_S:
            return
        theirs = wire.server_time(headers)
        self.note_clock(theirs, ours)
        if theirs is not None or self._server_offset is None:
            self._server_offset = offset + self.clock_ahead
        if theirs is not None:  # a proxy may have removed the date: look again at the next response
            self._clock_offset = offset


def _checked_timeout(timeout: float | tuple[float, float]) -> tuple[float, float]:
    pair = timeout if isinstance(timeout, tuple) else (timeout, timeout)
    if len(pair) != 2 or not all(is_duration(seconds) and 0 < seconds < math.inf for seconds in pair):  # noqa: PLR2004 - a pair
        raise ConfigError(f"timeout must be a positive number of seconds, or (connect, read), got {timeout!r}.")
    return min(pair[0], _LONGEST_S), min(pair[1], _LONGEST_S)


def _checked_retry(retry: Retry | None, otherwise: Retry) -> Retry:
    if not isinstance(retry, Retry | None):
        raise ConfigError(f"retry must be an orstats.Retry, got {retry!r}.")
    return retry or otherwise


def is_refusal(error: ApiError) -> bool:
    """Tell whether a request may have failed because of the request rate: nginx and HAProxy answer 503 by default."""
    return isinstance(error, RateLimitError | ServiceUnavailableError | ProviderOverloadedError)


def _may_be_refusal(error: ApiError) -> bool:
    is_transient = error.retryable and isinstance(error, RateLimitError | ServerError | NetworkError)
    return is_transient and not isinstance(error, NoConnectionError)
