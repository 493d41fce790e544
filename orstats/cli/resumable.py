"""Long requests of commands: Ctrl-C becomes a message about what is saved."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any

from orstats.cli.errors import Interrupted

if TYPE_CHECKING:
    import pandas as pd

    from orstats.api.client import Client
    from orstats.archive.archive import Archive


def fetch_ids(
    ids: Sequence[str],
    client: Client,
    archive: Archive | None,
    *,
    quiet: bool = False,
    **options: Any,
) -> pd.DataFrame:
    """Fetch; Ctrl-C becomes a message about what is saved."""
    from orstats.fetching.fetch import fetch

    try:
        return fetch(
            ids,
            client=client,
            archive=False if archive is None else archive,
            progress=False if quiet else None,
            **options,
        )
    except KeyboardInterrupt as interrupt:
        if archive is None:
            message = "No archive in use, so nothing was saved; re-running starts from scratch."
        else:
            message = f"Fetched records are in the archive ({archive.path}); run the same command again to resume."
        raise Interrupted(message) from interrupt


def list_range(
    client: Client,
    since: datetime,
    until: datetime,
    archive: Archive | None,
    *,
    filters: Mapping[str, Any] | None = None,
    refresh: bool,
    quiet: bool,
) -> list[str]:
    """List the account's ids of a time range; Ctrl-C becomes a message about what is saved."""
    from orstats.account.list_ids import list_ids

    with _resumable(archive):
        return list_ids(
            since,
            until,
            filters=filters,
            client=client,
            archive=False if archive is None else archive,
            refresh=refresh,
            progress=False if quiet else None,
        )


def list_labels(
    client: Client,
    since: datetime,
    until: datetime,
    archive: Archive | None,
    labels: Sequence[str],
    *,
    filters: Mapping[str, Any] | None = None,
    refresh: bool,
    quiet: bool,
) -> pd.DataFrame:
    """List the account's generations of a time range with labels, as :func:`list_range` lists their ids."""
    from orstats.account.list_generations import list_generations

    with _resumable(archive):
        return list_generations(
            since,
            until,
            labels=labels,
            filters=filters,
            client=client,
            archive=False if archive is None else archive,
            refresh=refresh,
            progress=False if quiet else None,
        )


@contextmanager
def _resumable(archive: Archive | None) -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt as interrupt:
        if archive is None:
            raise
        saved = "Completed windows (older than one day) are cached"
        raise Interrupted(f"{saved}; run the same command again to resume.") from interrupt
