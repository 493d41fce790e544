"""``list_ids``: every generation of an account in a time range, although no endpoint lists them."""

from __future__ import annotations

from contextlib import ExitStack

from orstats.account.analytics import Filters, as_filters
from orstats.account.key_filter import with_key_ids
from orstats.account.listing import ListedColumns, Lister, by_time
from orstats.account.time_range import Moment, named_start_and_end, span
from orstats.api.client import Client
from orstats.fetching.arguments import ArchiveChoice, choose_archive


@named_start_and_end
def list_ids(
    start: Moment,
    end: Moment = "now",
    *,
    filters: Filters | None = None,
    client: Client | None = None,
    archive: ArchiveChoice = None,
    refresh: bool = False,
    progress: bool | None = None,
    tz: str = "UTC",
) -> list[str]:
    """List the ids of all generations of the account in a time range. Needs a management key.

    To resume an interrupted listing, run it again: windows that ended more than a day ago are cached beside the
    archive. A cached window is listed again if the account counts more generations in it now.

    Parameters
    ----------
    start, end : datetime, date or str
        The time range; `end` is exclusive, by default now. ISO 8601 text, ``now``, ``today``, ``yesterday``, or how
        long ago: ``24h``, ``7d``, ``3mo``. An end in the future means now.
    filters : mapping or list of mappings, optional
        List only matching generations: ``{"model": "openai/gpt-4.1", "external_user": ["ana", "bo"]}``, or a list of
        the vendor's filters (``field``, ``operator``, ``value``). Fields are the dimensions in
        ``Client.analytics_meta()``, and ``api_key`` for the names of keys in ``Client.keys()``, which takes one more
        request. Members, applications and workspaces are filtered by id, not by name.
    client : Client, optional
        By default, a client configured from the environment.
    archive : Archive, str, os.PathLike or False, optional
        Where completed windows are cached, next to the archive: as for :func:`orstats.fetch`, by default the default
        archive, except for servers on this machine. False disables the cache.
    refresh : bool
        Ignore cached windows and list them again.
    progress : bool, optional
        Show a progress bar. By default, show it when stderr is a terminal or in a notebook.
    tz : str
        Time zone of dates, words and times without an offset. Without it, a naive datetime is read as UTC with a
        warning.

    Returns
    -------
    list of str
        The distinct ids, by the second in which they were created and then alphabetically. Ids that contain no time
        are placed at the start of the window in which they were found.

    Raises
    ------
    ForbiddenError
        The key is not a management key. The message says where to create one.
    MissingKeyError
        No key is set.
    ConfigError
        The range is inverted or begins in the future, the filters are invalid, or no API key has the name.
    BadRequestError
        The API does not accept a filter's field or value, which the message names.
    ApiError
        A request failed after all retries. Completed windows stay cached.

    Warns
    -----
    UserWarning
        A datetime is naive, the API issued a warning or answered from its cache, the list is incomplete because a
        minute has more generations than a response can contain or because the account counts more than it lists, or
        the cache cannot be read or written.

    Examples
    --------
    >>> import orstats
    >>> with orstats.sim.SimServer(500) as sim:
    ...     ids = orstats.list_ids("8d", "now", client=sim.client())
    >>> set(ids) <= set(sim.ids), len(ids) == len(set(ids))
    (True, True)
    """
    first, last = span(start, end, tz=tz)
    wanted = as_filters(filters)
    with ExitStack() as stack:
        if client is None:
            client = stack.enter_context(Client())
        store = choose_archive(archive, client.settings)
        lister = Lister(client, store, with_key_ids(wanted, client), ListedColumns())
        lister.run(first, last, refresh=refresh, progress=progress)
    return by_time(lister.created_at)
