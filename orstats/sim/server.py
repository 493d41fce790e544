"""The simulator: starts and stops the server, describes the account, and counts requests."""

from __future__ import annotations

import functools
import importlib
import time
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal, Self

from orstats.sim.activity_export import write_export
from orstats.sim.certificates import CertificateKind
from orstats.sim.dataset.account import ContentReason, SimulatedAccount
from orstats.sim.faults import Faults
from orstats.sim.http_server import HOST, HttpServer
from orstats.sim.rate_limit import RateLimit
from orstats.sim.service import Service

if TYPE_CHECKING:
    from types import TracebackType

    from orstats.sim.stats import Stats


class SimServer:
    """A local HTTP server that simulates the OpenRouter API with a simulated account.

    As a context manager it runs in a background thread; :meth:`serve_forever` runs it in the calling thread.
    It listens on loopback addresses only.

    Parameters
    ----------
    generations
        Number of generations of the account. They are generated on request, so a million needs no more memory than a
        thousand until ``ids``, keys, activity, credits or analytics are read (half a gigabyte).
    seed
        Random seed. The same seed, number and ``until`` always give the same account, keys and faults.
    faults
        Injected faults: a share of the ids from 0 to 1, a mapping from kinds of faults to shares, or :class:`Faults`.
    rate_limit
        Requests per second, or a :class:`RateLimit`; None for no limit.
    latency
        Seconds that each response takes, or a range.
    lag
        Seconds after the end of a generation's call before it is found; until then 404. For single ids see
        :meth:`young_ids`.
    until
        End of the simulated period of 60 days; a few records are older. Default: now.
    port
        Port to listen on; 0 picks a free port.
    gzip
        Whether to compress responses for clients that accept it, as the real API's CDN does.
    account
        "plain", or "awkward" for one with what the documentation does not promise and real accounts have: content in
        the formats of other APIs; calls that begin before midnight, end after it, and are counted by ``/activity`` on
        that day; a model that ``/activity`` omits; ``:free`` and ``:nitro`` variants counted under one permaslug;
        analytics three hours late; two keys of one name; a workspace budget that blocks a key without a limit.
    log_content
        Whether the account has Input & Output Logging. If not, it has no content.
    analytics_per_minute
        Rate limit of ``/analytics`` in requests per minute, 64 as published; None for no limit.
    tls
        Whether to listen with TLS, with a certificate of a private authority (see :attr:`ca_file`); "expired" and
        "wrong-host" give certificates that clients must refuse. Requires the extra ``sim``.
    clock
        The server's time in seconds since 1970; None for the machine's. A test that passes its own need not sleep until
        a record appears or a day is over.

    Examples
    --------
    >>> import urllib.request
    >>> with SimServer(10, seed=1) as sim:
    ...     request = urllib.request.Request(
    ...         f"{sim.base_url}/generation?id={sim.ids[0]}", headers={"Authorization": f"Bearer {sim.key}"}
    ...     )
    ...     with urllib.request.urlopen(request) as answer:
    ...         answer.status, sim.requests
    (200, 1)
    """

    def __init__(
        self,
        generations: int = 1000,
        *,
        seed: int = 0,
        faults: float | Mapping[str, float] | Faults = 0.0,
        rate_limit: float | RateLimit | None = None,
        latency: float | tuple[float, float] = 0.0,
        lag: float = 0.0,
        until: datetime | None = None,
        port: int = 0,
        gzip: bool = False,
        account: Literal["plain", "awkward"] = "plain",
        log_content: bool = True,
        analytics_per_minute: int | None = 64,
        tls: bool | CertificateKind = False,
        clock: Callable[[], float] | None = None,
    ) -> None:
        if isinstance(faults, Mapping):
            faults = Faults(kinds=faults, seed=seed)
        elif not isinstance(faults, Faults):
            faults = Faults(rate=faults, seed=seed)
        if rate_limit is not None and not isinstance(rate_limit, RateLimit):
            rate_limit = RateLimit(rate_limit)
        if account not in ("plain", "awkward"):
            raise ValueError(f"account must be 'plain' or 'awkward', got {account!r}.")
        self._account = SimulatedAccount(
            generations,
            seed=seed,
            until=until or datetime.fromtimestamp((clock or time.time)(), UTC),
            log_content=log_content,
            awkward=account == "awkward",
        )
        idle = not (faults.rate or faults.per_id or faults.always)
        self._service = Service(
            self._account,
            faults=None if idle else faults,
            rate_limit=rate_limit,
            latency=latency,
            lag=lag,
            gzip=gzip,
            analytics_per_minute=analytics_per_minute,
            clock=clock,
        )
        self._unknown = 0
        certificate: CertificateKind | None = ("valid" if tls else None) if isinstance(tls, bool) else tls
        self._http_server = HttpServer(self._service, port, certificate)

    def __repr__(self) -> str:
        where = f"at {self.base_url}" if self._http_server.port is not None else "not running"
        return f"<SimServer {where}, {self._account.generations} generations, seed {self._account.seed}>"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Start to serve in a background thread; return when it accepts requests.

        Raises
        ------
        RuntimeError
            If it runs already.
        OSError
            If the port is taken.
        """
        self._http_server.start()

    def stop(self) -> None:
        """Drop all connections, stop listening, and wait for the thread to end. May be called twice."""
        self._http_server.stop()

    def serve_forever(self, on_ready: Callable[[SimServer], object] | None = None) -> None:
        """Serve in this thread, which must be the main one, until SIGINT or SIGTERM; then end cleanly.

        Parameters
        ----------
        on_ready
            Called with this server once it accepts requests.

        Raises
        ------
        RuntimeError
            If it runs already.
        OSError
            If the port is taken.
        """
        self._http_server.serve_forever(lambda: on_ready(self) if on_ready is not None else None)

    @property
    def port(self) -> int:
        """The port; RuntimeError while it is not running."""
        if self._http_server.port is None:
            raise RuntimeError("the simulator is not running: use `with SimServer() as sim:`")
        return self._http_server.port

    @property
    def base_url(self) -> str:
        """The API's base URL, with ``/api/v1``."""
        return f"{'https' if self._http_server.tls else 'http'}://{HOST}:{self.port}/api/v1"

    @property
    def ca_file(self) -> str:
        """The certificate authority that clients of the TLS port must trust; it is deleted when the server stops.

        RuntimeError while it is not running, and without ``tls``.
        """
        if self._http_server.ca_file is None:
            raise RuntimeError("the simulator has no TLS port: use `with SimServer(tls=True) as sim:`")
        return str(self._http_server.ca_file)

    @property
    def key(self) -> str:
        """The key of an organisation's administrator: reads metadata and content."""
        return self._service.state.keys.admin.secret

    @property
    def plain_key(self) -> str:
        """A key that reads metadata; content is forbidden (403)."""
        return self._service.state.keys.plain.secret

    @property
    def management_key(self) -> str:
        """The key for analytics, activity and credits."""
        return self._service.state.keys.management

    def client(self, **options: Any) -> Any:
        """Return an :class:`orstats.Client` for this server, with both of its keys.

        Parameters
        ----------
        options
            Passed on to the client; they override the defaults.

        Returns
        -------
        Client
            Close it when done, or use ``with``.
        """
        # By name and only here: the simulator knows nothing of the client, so that it can be used to test it.
        front = importlib.import_module("orstats")
        settings = {"api_key": self.key, "management_key": self.management_key, "base_url": self.base_url}
        return front.Client(**(settings | options))

    @property
    def out_of_credits(self) -> bool:
        """Whether the account has run out of credits: then metadata answers 402. May be set while it runs."""
        return self._service.state.out_of_credits

    @out_of_credits.setter
    def out_of_credits(self, value: bool) -> None:
        self._service.state.out_of_credits = value

    @functools.cached_property
    def ids(self) -> list[str]:
        """All identifiers of the account in time order (some 7 s and 90 MB for a million)."""
        return list(self._account.identifiers())

    def record(self, generation_id: str) -> dict[str, Any]:
        """Return the true metadata of a generation, even before it is available.

        Parameters
        ----------
        generation_id
            One of ``ids``.

        Returns
        -------
        dict
            The ``data`` of the response.

        Raises
        ------
        KeyError
            If the account has no such generation.
        """
        return self._account.record(self._index(generation_id))

    def content(self, generation_id: str) -> dict[str, Any] | None:
        """Return the stored content of a generation.

        Parameters
        ----------
        generation_id
            One of ``ids``.

        Returns
        -------
        dict or None
            The ``data`` of the response; None if there is none (see :meth:`content_reason`).

        Raises
        ------
        KeyError
            If the account has no such generation.
        """
        return self._account.content(self._index(generation_id))

    def activity_export(self, ids: Iterable[str] | None = None) -> str:
        """Return the CSV that the vendor's Activity page would export.

        Parameters
        ----------
        ids
            Only these generations; None for all.

        Returns
        -------
        str
            One row for each generation, newest first, with its ``api_key_name`` and ``app_name``.

        Raises
        ------
        KeyError
            The account has no such generation.
        """
        state = self._service.state
        indices = range(self._account.generations) if ids is None else [self._index(one) for one in ids]
        return write_export(self._account, state.keys_by_app, indices)

    def content_format(self, generation_id: str) -> str:
        """Return in which API's format the content of a generation is stored.

        Parameters
        ----------
        generation_id
            One of ``ids``.

        Returns
        -------
        str
            "chat", or in an awkward account one of :data:`orstats.sim.dataset.content_formats.FORMATS`.
        """
        return self._account.content_format(self._index(generation_id))

    def content_reason(self, generation_id: str) -> ContentReason:
        """Return why a generation has content or not.

        Parameters
        ----------
        generation_id
            One of ``ids``.

        Returns
        -------
        str
            "stored"; or, with 404: "logging_off" (not logged at that time), "regional" (served by a regional host),
            "too_old"; or "zero_data_retention" (200, but empty). A key that may not read gets 403 for any.

        Raises
        ------
        KeyError
            If the account has no such generation.
        """
        return self._account.content_reason(self._index(generation_id))

    def _index(self, generation_id: str) -> int:
        index = self._account.find(generation_id)
        if index is None:
            raise KeyError(generation_id)
        return index

    def young_ids(
        self,
        count: int,
        *,
        found_after: float,
        ran_for: float = 0.0,
        content_after: float | None = None,
        kind: str = "chat",
    ) -> list[str]:
        """Add generations whose calls have just ended, and whose records are not yet available.

        Parameters
        ----------
        count
            How many.
        found_after
            Seconds from now during which their records answer 404.
        ran_for
            Seconds that the calls ran. The second in the ids, and ``created_at``, is when they began;
            ``generation_time`` is this long.
        content_after
            Seconds from now during which their content answers 404; None for as long as the records.
        kind
            "chat"; "video" for ``gen-vid-`` ids; "cancelled", "tools", "embeddings" and so on.

        Returns
        -------
        list of str
            Their ids.
        """
        wait = found_after if content_after is None else content_after
        add = self._service.state.add_young
        return [add(found_after=found_after, content_after=wait, ran_for=ran_for, kind=kind) for _ in range(count)]

    def foreign_ids(self, count: int, *, age: float = 3600.0) -> list[str]:
        """Make ids of generations that belong to another user: the API answers 403.

        Parameters
        ----------
        count
            How many; each call makes the same ones first.
        age
            How many seconds ago the second in them lies.

        Returns
        -------
        list of str
            The ids.
        """
        moment = self._service.state.now - timedelta(seconds=age)
        return [self._account.foreign(number, moment) for number in range(count)]

    def unknown_ids(self, count: int, *, age: float | None = None) -> list[str]:
        """Make identifiers that are never found.

        Parameters
        ----------
        count
            How many; each call makes new ones.
        age
            How many seconds ago the second in them lies; None for legacy ones, which have no second.

        Returns
        -------
        list of str
            The identifiers.
        """
        first, self._unknown = self._unknown, self._unknown + count
        moment = None if age is None else self._service.state.now - timedelta(seconds=age)
        return [self._account.unknown(number, moment) for number in range(first, self._unknown)]

    @property
    def requests(self) -> int:
        """Number of requests received so far."""
        return self._service.recorder.requests

    @property
    def stats(self) -> Stats:
        """The current counters."""
        return self._service.recorder.snapshot()

    def reset_stats(self) -> None:
        """Set all counters to zero. Faults that were already served stay served."""
        self._service.recorder.reset()
