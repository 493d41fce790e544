"""The rows that an explorer opens with: a frame that is at hand, or all that an archive has of one host."""

from __future__ import annotations

import pandas as pd

from orstats.api.client import Client
from orstats.api.errors import ArchiveError, ConfigError
from orstats.api.settings import Settings
from orstats.data.archive.archive import Archive
from orstats.data.content.generation import ArchiveChoice
from orstats.data.frame.frame import assemble


def from_archive(client: Client | None, archive: ArchiveChoice) -> pd.DataFrame:
    """Return every record of the client's host, the newest first; without a client, of the only host there is.

    Raises
    ------
    ConfigError
        No archive is named, and there is none by default.
    ArchiveError
        Nothing is stored, or it is not clear of which host.
    """
    if archive is False:
        raise ConfigError("Without a frame there must be an archive: give explore() one of the two.")
    store = archive if isinstance(archive, Archive) else Archive(archive)
    hosts = store.hosts()
    if not hosts:
        raise ArchiveError(f"The archive {store.path} is empty: orstats.fetch fills it.", path=store.path)
    host = client.settings.host if client is not None else Settings.resolve(None, None, None).host
    if host not in hosts:
        if client is not None or len(hosts) > 1:
            have = ", ".join(hosts)
            raise ArchiveError(f"The archive {store.path} has nothing of {host}, but of {have}.", path=store.path)
        host = hosts[0]
    table = store.read(host, settled_only=False).sort_by([("created_at", "descending"), ("id", "ascending")])
    return assemble(table["id"].to_pylist(), [table], {})
