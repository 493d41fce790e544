"""``list_generations``: which API key, member and application each generation of an account belongs to."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import ExitStack
from types import MappingProxyType
from typing import Any, Final

import numpy as np
import pandas as pd

from orstats.account.analytics import Filters, as_filters
from orstats.account.key_filter import with_key_ids
from orstats.account.listing import ListedColumns, Lister, by_time
from orstats.account.time_range import Moment, named_start_and_end, span
from orstats.api.client import Client
from orstats.errors import ConfigError
from orstats.fetching.arguments import ArchiveChoice, choose_archive
from orstats.frame.build import SOURCE
from orstats.ids.id_shapes import id_created_at
from orstats.text.suggest import unknown

#: What analytics know of a generation and its record does not: labels, and the API's columns with them.
_API_COLUMNS: Final[Mapping[str, Mapping[str, str]]] = MappingProxyType(
    {
        "api_key": {"api_key": "api_key_id"},
        "user": {"user": "user", "user_email": "user_email"},
        "app": {"app": "app"},
        "workspace": {"workspace": "workspace"},
        "country": {"country": "country"},
    }
)
LABELS: Final = tuple(_API_COLUMNS)
_COST: Final = "total_usage"
_ORDER: Final = "at"
_TEXT: Final = pd.StringDtype("pyarrow")


@named_start_and_end
def list_generations(
    start: Moment,
    end: Moment = "now",
    *,
    labels: str | Sequence[str] = ("api_key", "user", "app"),
    filters: Filters | None = None,
    client: Client | None = None,
    archive: ArchiveChoice = None,
    refresh: bool = False,
    progress: bool | None = None,
    tz: str = "UTC",
) -> pd.DataFrame:
    """List all generations of the account in a time range, with their API keys. Needs a management key.

    A generation's record contains neither the key that made the call nor the member who owns it. The account's
    analytics do: join them with ``df.join(orstats.list_generations(...))``.

    Parameters
    ----------
    start, end : datetime, date or str
        The time range, as for :func:`orstats.list_ids`; `end` is exclusive.
    labels : str or sequence of str
        Any of ``api_key``, ``user`` (the member of your organisation), ``app``, ``workspace`` and ``country``. Each
        takes as many requests as :func:`orstats.list_ids`, so pass only those you need. An empty sequence lists the
        generations without labels.
    filters : mapping or list of mappings, optional
        As for :func:`orstats.list_ids`.
    client : Client, optional
        By default, a client configured from the environment.
    archive : Archive, str, os.PathLike or False, optional
        Where completed windows are cached, as for :func:`orstats.list_ids`; each label has its own.
    refresh : bool
        Ignore cached windows and list them again.
    progress : bool, optional
        Show a progress bar for each label. By default, show it when stderr is a terminal or in a notebook.
    tz : str
        Time zone of dates, words and times without an offset, as for :func:`orstats.list_ids`.

    Returns
    -------
    pandas.DataFrame
        One row per generation, indexed by ``id``, in the order of :func:`orstats.list_ids`. No column has the name of
        a column of :func:`orstats.fetch`, so the two can be joined.

        - One ``string`` column per label, with names as the API gives them. ``user`` is followed by ``user_email``.
          Missing where the account has no name for it, such as the key of a call from the vendor's chat page.
        - ``began_at`` (``datetime64[us, UTC]``): the second in the id, when the request began; missing for an id
          without a time.
        - ``account_usd`` (``float64``): US dollars, what the account counts for this generation, including what
          providers charged to your own keys; as ``cost_usd`` of a record.

        ``.attrs["requests"]`` is the number of requests that were needed.

    Raises
    ------
    ForbiddenError
        The key is not a management key. The message says where to create one.
    MissingKeyError
        No key is set.
    ConfigError
        A label is unknown, the range is inverted or begins in the future, or the filters are invalid.
    BadRequestError
        The API does not accept a filter, or does not list single generations that far back.
    ApiError
        A request failed after all retries. Completed windows stay cached.

    Warns
    -----
    UserWarning
        As for :func:`orstats.list_ids`.

    Notes
    -----
    Each label is one query of two dimensions, ``generation_id`` and the label, per window: at most 31 days and 10,000
    rows per request, 64 requests per minute. A month of a million generations takes about 108 requests per label, which
    is under two minutes. For sums only, :func:`orstats.usage` needs a single request.

    Several keys may have the same name. To list the generations of one of them, pass ``filters={"api_key": hash}`` with
    its ``hash`` in ``Client.keys()``.

    Examples
    --------
    >>> import orstats
    >>> with orstats.sim.SimServer(500) as sim:
    ...     listed = orstats.list_generations("8d", "now", labels="api_key", client=sim.client())
    ...     df = orstats.fetch(listed.index, client=sim.client()).join(listed)
    >>> list(listed.columns), len(listed) == len(df)
    (['api_key', 'began_at', 'account_usd'], True)
    >>> orstats.cost_by(df, ["api_key", "model"]).index.names
    FrozenList(['api_key', 'model'])
    """
    chosen = labels_of(labels)
    first, last = span(start, end, tz=tz)
    wanted = as_filters(filters)
    parts = []
    requests = 0
    with ExitStack() as stack:
        if client is None:
            client = stack.enter_context(Client())
        store = choose_archive(archive, client.settings)
        wanted = with_key_ids(wanted, client)
        for columns in [_API_COLUMNS[label] for label in chosen] or [{}]:
            listed = ListedColumns(next(iter(columns.values()), None), (*columns.values(), _COST), (_COST,))
            lister = Lister(client, store, wanted, listed)
            lister.run(first, last, refresh=refresh, progress=progress)
            requests += lister.requests
            parts.append(_part(lister, columns))  # columns take a tenth of the memory of rows
    frame = _joined(parts)
    source = f"{client.settings.host}, analytics of the account"
    frame.attrs = {"requests": requests, SOURCE: source, "since": first.isoformat(), "until": last.isoformat()}
    return frame


def labels_of(labels: str | Sequence[str]) -> list[str]:
    """Return the labels to list, each once."""
    names = [labels] if isinstance(labels, str) else list(dict.fromkeys(labels))
    for name in names:
        if name not in _API_COLUMNS:
            raise ConfigError(unknown("label", str(name), LABELS, hint=f"Use one or more of {', '.join(LABELS)}."))
    return names


def _part(lister: Lister, columns: Collection[str]) -> pd.DataFrame:
    """Return the generations of one listing in order, with a column for the order."""
    ids = by_time(lister.created_at)
    values = zip(*(lister.rows[one] for one in ids), strict=True) if ids else ((),) * (len(columns) + 1)
    *texts, amounts = values
    found: dict[str, Any] = {name: pd.array(text, dtype=_TEXT) for name, text in zip(columns, texts, strict=True)}
    found["account_usd"] = np.array(amounts, dtype="float64")
    found[_ORDER] = np.array([lister.created_at[one] for one in ids], dtype="float64")
    return pd.DataFrame(found, index=pd.Index(ids, name="id", dtype=_TEXT))


def _joined(parts: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Return one row per generation that any of the listings contains, with the columns of all."""
    first = parts[0]
    if any(not part.index.equals(first.index) for part in parts):
        order = pd.concat([part[_ORDER] for part in parts])
        order = order[~order.index.duplicated()]
        index = order.reset_index().sort_values([_ORDER, "id"]).set_index("id").index
        parts = [part.reindex(index) for part in parts]
    frame = pd.concat([part.drop(columns=["account_usd", _ORDER]) for part in parts], axis=1)
    began = np.array([np.nan if (at := id_created_at(one)) is None else at for one in frame.index], dtype="float64")
    frame["began_at"] = pd.to_datetime(pd.Series(began, frame.index), unit="s", utc=True).astype("datetime64[us, UTC]")
    cost = parts[0]["account_usd"]
    for part in parts[1:]:
        cost = cost.fillna(part["account_usd"])
    frame["account_usd"] = cost
    return frame
