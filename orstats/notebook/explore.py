"""``explore``: the explorer of a frame that is at hand, or of all that an archive has of one host."""

from __future__ import annotations

import os

import pandas as pd

from orstats.api.client import Client
from orstats.api.config import Settings
from orstats.archive.archive import Archive
from orstats.errors import ArchiveError, ConfigError
from orstats.fetching.arguments import UNARCHIVED, ArchiveChoice
from orstats.frame.build import assemble
from orstats.notebook.explorer import Explorer


def explore(df: pd.DataFrame | None = None, *, client: Client | None = None, archive: ArchiveChoice = None) -> Explorer:
    """Explore generations in a notebook: filter, sort and page through them, open one, compare two.

    Everything happens in Python, and one page at a time is sent to the browser, so 100,000 rows open as fast as 100.
    Click a row, or press the arrow keys in the table, to see its card; Enter loads its prompt and completion.

    Parameters
    ----------
    df
        A frame of :func:`orstats.fetch`; do not change it while it is explored. None takes what the archive has.
    client
        Whom to ask for prompts and completions. None makes one from the environment when one is asked for.
    archive
        Where records and contents are kept, as in :func:`orstats.fetch`.

    Returns
    -------
    Explorer
        A widget, with ``.selected`` (an id, or None; may be set and observed) and ``.filtered`` (a frame).

    Raises
    ------
    ConfigError
        What is given is no frame with ids.
    ArchiveError
        Without a frame: nothing is archived, or it is not clear of which host.

    Examples
    --------
    >>> import orstats
    >>> with orstats.sim.SimServer(60) as sim:
    ...     explorer = orstats.explore(orstats.fetch(sim.ids, client=sim.client()), client=sim.client())
    >>> explorer.selected = sim.ids[3]
    >>> explorer, len(explorer.filtered)
    (Explorer(60 of 60 generations, selected 'gen-...'), 60)
    """
    return Explorer(_from_archive(client, archive) if df is None else df, client=client, archive=archive)


def _from_archive(client: Client | None, archive: ArchiveChoice) -> pd.DataFrame:
    """Return every record of the client's host, the newest first; without a client, of the only host there is."""
    if archive is False:
        raise ConfigError("Without a frame there must be an archive: give explore() one of the two.")
    store = archive if isinstance(archive, Archive) else Archive(archive)
    hosts = store.hosts()
    settings = client.settings if client is not None else Settings.resolve(None, None, None)
    unnamed = archive is None and settings.is_loopback and not os.environ.get("ORSTATS_ARCHIVE")
    advice = f"{UNARCHIVED} archive=." if unnamed else "Run orstats.fetch to add records."
    if not hosts:
        raise ArchiveError(f"The archive {store.path} is empty. {advice}", path=store.path)
    host = settings.host
    if host not in hosts:
        if client is not None or unnamed or len(hosts) > 1:
            available = f"Available hosts: {', '.join(hosts)}. {advice}"
            raise ArchiveError(f"The archive {store.path} has no records of {host}. {available}", path=store.path)
        host = hosts[0]
    table = store.read(host, settled_only=False).sort_by([("created_at", "descending"), ("id", "ascending")])
    return assemble(table["id"].to_pylist(), [table], {})
