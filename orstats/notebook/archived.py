"""The rows of the archive that widgets show: all of them, or those of one session."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pyarrow.compute as pc

from orstats.api.client import Client
from orstats.api.config import Settings
from orstats.archive.archive import Archive
from orstats.archive.dataset import unreadable_files, warn_of_unreadable
from orstats.archive.location import without_records
from orstats.errors import ArchiveError, ConfigError
from orstats.fetching.arguments import UNARCHIVED, ArchiveChoice, choose_archive
from orstats.frame.build import build_frame

if TYPE_CHECKING:
    import pandas as pd


def archive_and_host(client: Client | None, archive: ArchiveChoice) -> tuple[Archive | None, str]:
    """Return the archive in use, and the client's host or, without a client, the only one in the archive."""
    settings = client.settings if client is not None else Settings.resolve(None, None, None)
    store = choose_archive(archive, settings)
    hosts = [] if store is None or client is not None else store.hosts()
    return store, hosts[0] if len(hosts) == 1 else settings.host


def all_rows(client: Client | None, archive: ArchiveChoice) -> pd.DataFrame:
    """Return all records of the client's host or, without a client, of the archive's only host, newest first."""
    if archive is False:
        raise ConfigError("explore() needs a DataFrame or an archive; pass one of them.")
    store = archive if isinstance(archive, Archive) else Archive(archive)
    hosts = store.hosts()
    settings = client.settings if client is not None else Settings.resolve(None, None, None)
    unnamed = archive is None and settings.is_loopback and not os.environ.get("ORSTATS_ARCHIVE")
    advice = f"{UNARCHIVED} archive=." if unnamed else "Run orstats.fetch to add records."
    if not hosts:
        raise ArchiveError(f"{without_records(store.path)} {advice}", path=store.path)
    host = settings.host
    if host not in hosts:
        if client is not None or unnamed or len(hosts) > 1:
            available = f"Available hosts: {', '.join(hosts)}. {advice}"
            raise ArchiveError(f"The archive {store.path} has no records of {host}. {available}", path=store.path)
        host = hosts[0]
    records = store.read(host, settled_only=False)
    warn_of_unreadable(unreadable_files(records))
    records = records.sort_by([("created_at", "descending"), ("id", "ascending")])
    return build_frame(records["id"].to_pylist(), [records], {})


def rows_of_session(session_id: str, client: Client | None, archive: ArchiveChoice) -> pd.DataFrame:
    """Return the archived records of a session. Only its rows are read completely."""
    store, host = archive_and_host(client, archive)
    if store is None:
        if archive is False:
            raise ConfigError("No archive is in use. Pass a DataFrame to orstats.view_session instead.")
        raise ConfigError(f"{UNARCHIVED} archive=, or a DataFrame to orstats.view_session.")
    keys = store.read(host, settled_only=False, columns=["session_id"])
    warn_of_unreadable(unreadable_files(keys))
    ids = keys.filter(pc.equal(keys["session_id"], session_id))["id"].to_pylist()
    if not ids:
        advice = "Run orstats.fetch with its ids to add it."
        raise ArchiveError(f"The archive {store.path} has nothing of this session. {advice}", path=store.path)
    return build_frame(ids, [store.read(host, ids, settled_only=False)], {})
