"""What the account itself can tell: usage by any dimension, activity by day, credits. Management keys only."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from datetime import date as Date  # noqa: N812 - `date` is the API's name of an argument
from typing import Any, Final, Literal, TypeVar, cast
from urllib.parse import urlencode

import orjson

from orstats.api.clock import Clock
from orstats.api.config import Settings
from orstats.api.quota import Pace, Quota
from orstats.api.retry import Retry
from orstats.errors import AuthenticationError, BadResponseError, ForbiddenError, MissingKeyError

T = TypeVar("T")

MANAGEMENT_KEYS_URL: Final = "https://openrouter.ai/settings/management-keys"
#: The vendor's published limit of ``/analytics``: requests, in so many seconds.
ANALYTICS_LIMIT: Final = (64, 60.0)

_NEEDED: Final = (
    f"This needs a management key: make one at {MANAGEMENT_KEYS_URL} and set OPENROUTER_MANAGEMENT_KEY "
    "(or pass Client(management_key=…))."
)
#: Analytics adds up millions of rows before its first byte.
_PATIENCE: Final = 3.0
#: A date header has whole seconds, and was written before the answer travelled.
_CLOCK_SLACK_S: Final = 2.0


class AccountCalls(ABC):
    """The part of :class:`orstats.Client` that asks about the account instead of one generation."""

    settings: Settings
    retry: Retry

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.quota: Pace = Quota(*ANALYTICS_LIMIT, clock)
        #: Seconds that the server's clock is ahead of this machine's, as far as its answers told.
        self.clock_ahead = 0.0

    def analytics(self, query: Mapping[str, Any]) -> dict[str, Any]:
        """Ask the account's analytics; at most 64 requests a minute are sent.

        Parameters
        ----------
        query
            As the vendor documents ``POST /analytics/query``: ``metrics``, and if wanted ``dimensions`` (at most 2),
            ``filters`` (at most 20), ``granularity``, ``time_range``, ``order_by``, ``limit`` (at most 10,000).

        Returns
        -------
        dict
            ``data`` (rows; counts are text, money is a number), ``metadata`` (``truncated`` tells that rows are
            missing), and sometimes ``warnings`` and ``cachedAt`` (epoch ms).

        Raises
        ------
        ForbiddenError
            The key is not a management key.
        BadRequestError
            The query breaks a rule; the message says which.
        ApiError
            What the last try ended with. 408 means: ask for less.
        MissingKeyError
            No key is set.
        """
        return self._retried(lambda: self.ask_analytics(query))

    def ask_analytics(self, query: Mapping[str, Any]) -> dict[str, Any]:
        """Send one query, without a second try. For callers that ask again in another way.

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
            What the request ended with; :class:`~orstats.errors.BadResponseError` also for rows that are no objects.
        """
        body = orjson.dumps(dict(query))
        answer = self._managed(
            lambda key: self._ask("/analytics/query", None, key, body=body, pace=self.quota, patience=_PATIENCE)
        )
        metadata, rows = answer.get("metadata"), answer.get("data")
        if not _are_objects(rows):
            raise BadResponseError("The answer of /analytics/query has no rows in `data`.", status=200)
        if not (metadata is None or isinstance(metadata, dict)):
            raise BadResponseError("The answer of /analytics/query has no object as `metadata`.", status=200)
        return cast("dict[str, Any]", answer)

    def analytics_meta(self) -> dict[str, Any]:
        """Return what analytics can be asked for.

        Returns
        -------
        dict
            ``metrics``, ``dimensions``, ``operators`` and ``granularities``, each a list.

        Raises
        ------
        ApiError
            As for :meth:`analytics`.
        """
        answer = self._managed(
            lambda key: self._retried(lambda: self._ask("/analytics/meta", None, key, pace=self.quota))
        )
        return cast("dict[str, Any]", answer)

    def activity(
        self,
        date: Date | str | None = None,
        *,
        api_key_hash: str | None = None,
        user_id: str | None = None,
        group_by: Literal["workspace"] | None = None,
        workspace_id: str | None = None,
    ) -> list[dict[str, Any]]:
        """Return the account's totals per day, model and endpoint, of the last 30 completed UTC days.

        Parameters
        ----------
        date
            Only this UTC day.
        api_key_hash, user_id, workspace_id
            Only of this key, member or workspace.
        group_by
            ``"workspace"``: a row for each workspace, too.

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
            What the last try ended with.
        """
        asked = {
            "date": None if date is None else str(date),
            "api_key_hash": api_key_hash,
            "user_id": user_id,
            "group_by": group_by,
            "workspace_id": workspace_id,
        }
        query = urlencode({name: value for name, value in asked.items() if value is not None})
        path = f"/activity?{query}" if query else "/activity"
        answer = self._managed(lambda key: self._retried(lambda: self._ask(path, None, key, shape=list)))
        if not _are_objects(answer):
            raise BadResponseError("The answer of /activity has no rows in `data`.", status=200)
        return cast("list[dict[str, Any]]", answer)

    def credits(self) -> dict[str, Any]:
        """Return what was bought and what was used.

        Returns
        -------
        dict
            ``total_credits`` and ``total_usage``, in USD.

        Raises
        ------
        ForbiddenError
            The key is not a management key.
        ApiError
            What the last try ended with.
        """
        answer = self._managed(lambda key: self._retried(lambda: self._ask("/credits", None, key)))
        return cast("dict[str, Any]", answer)

    def note_clock(self, theirs: float | None, ours: float) -> None:
        """Compare the server's clock with ours.

        Parameters
        ----------
        theirs
            Unix seconds, whole; None when the answer did not say.
        ours
            Unix seconds.
        """
        if theirs is not None:
            ahead = theirs - ours
            self.clock_ahead = ahead if abs(ahead) > _CLOCK_SLACK_S else 0.0

    def _retried(self, request: Callable[[], T]) -> T:
        return self.retry.for_one_request().call(request, sleep=self.clock.sleep)

    def _managed(self, call: Callable[[str], T]) -> T:
        """Call with the management key, else with the ordinary one: that may be a management key, too."""
        key = self.settings.management_key or self.settings.api_key
        if key is None:
            raise MissingKeyError(_NEEDED)
        try:
            return call(key)
        except ForbiddenError as error:
            raise error.reworded(f"{error} {_NEEDED}") from None
        except AuthenticationError as error:
            name = "OPENROUTER_MANAGEMENT_KEY" if self.settings.management_key else "OPENROUTER_API_KEY"
            raise error.reworded(f"HTTP 401: {name} is wrong, disabled or expired. {_NEEDED}") from None

    @abstractmethod
    def _ask(
        self,
        path: str,
        generation_id: str | None,
        key: str,
        *,
        limit: int = ...,
        patience: float = ...,
        admitted: float | None = None,
        pace: Pace | None = None,
        body: bytes | None = None,
        shape: type[dict[str, Any] | list[Any]] = ...,
    ) -> Any:
        """Send one request; see :class:`orstats.Client`."""


def _are_objects(rows: object) -> bool:
    """Whether these are rows as the API documents them."""
    return isinstance(rows, list) and all(isinstance(row, dict) for row in rows)
