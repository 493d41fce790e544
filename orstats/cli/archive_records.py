"""The archive that commands use, and its records."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Final

from orstats.cli.console import print_status
from orstats.cli.errors import WrongUsage
from orstats.errors import ArchiveError
from orstats.fetching.arguments import UNARCHIVED, choose_archive

if TYPE_CHECKING:
    import pandas as pd

    from orstats.api.config import Settings
    from orstats.archive.archive import Archive

RUN_FETCH: Final = "Run `orstats fetch` to add records."
FETCH_OR_LIST: Final = (
    f"{RUN_FETCH} With a management key in OPENROUTER_MANAGEMENT_KEY, --since lists and fetches the account's."
)
NAME_AN_ARCHIVE: Final = f"{UNARCHIVED} --archive DIR."


def resolve_archive(archive: str | None, no_archive: bool, settings: Settings) -> Archive | None:
    """Return the archive that the options name, or the default one; None for none."""
    if archive is not None and no_archive:
        raise WrongUsage("--archive and --no-archive are mutually exclusive.")
    return choose_archive(False if no_archive else archive, settings)


def read_archive(
    archive: Archive, host: str | None, columns: Collection[str] | None = None, *, advice: str = RUN_FETCH
) -> pd.DataFrame:
    """Return every record of a host as a DataFrame, oldest first; without a host, of the only one there is.

    ``.attrs["unreadable_files"]`` names the files whose records are missing. The error for an empty archive ends with
    the advice.
    """
    from orstats.archive.dataset import unreadable_files
    from orstats.archive.location import without_records
    from orstats.frame.build import SOURCE, UNREADABLE_FILES, stored_frame

    hosts = archive.hosts()
    if not hosts:
        raise ArchiveError(f"{without_records(archive.path)} {advice}", path=archive.path)
    if host is None and len(hosts) > 1:
        choice = f"{', '.join(hosts)}. Choose one with --host, or --base-url for a report."
        raise ArchiveError(f"The archive {archive.path} has several hosts: {choice}", path=archive.path)
    host = hosts[0] if host is None else host
    table = archive.read(host, settled_only=False, columns=columns)  # a few columns take a third of the memory
    unreadable = unreadable_files(table)
    if unreadable and not table.num_rows:
        raise ArchiveError(f"Cannot read any file of {host} in the archive {archive.path}.", path=archive.path)
    if not table.num_rows:
        available = f"Available hosts: {', '.join(hosts)}. {advice}"
        raise ArchiveError(f"No records for {host} in {archive.path}. {available}", path=archive.path)
    frame = stored_frame(table.sort_by([("created_at", "ascending"), ("id", "ascending")]))
    frame.attrs[SOURCE] = f"{host}, archive {archive.path}"
    if unreadable:
        frame.attrs[UNREADABLE_FILES] = unreadable
    return frame


def read_archive_of_host(
    settings: Settings,
    archive: Archive | None,
    base_url: str | None,
    columns: Collection[str] | None = None,
    *,
    advice: str = RUN_FETCH,
    quiet: bool,
) -> pd.DataFrame:
    """Return the archived records of the host in use, or of the only host there is."""
    from orstats.archive.archive import Archive

    host = settings.host
    if archive is None:  # a server on this machine, and no archive named
        return read_archive(Archive(), host, columns, advice=NAME_AN_ARCHIVE)
    if base_url is not None or host in (hosts := archive.hosts()):
        return read_archive(archive, host, columns, advice=advice)
    frame = read_archive(archive, None, columns, advice=advice)
    if not quiet:
        print_status(f"These are records of {hosts[0]}, the only host in the archive.")
    return frame
