"""Validate the options of a fetch, and choose the archive that it uses."""

from __future__ import annotations

import logging
import math
import os
import threading
from dataclasses import dataclass
from numbers import Integral
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from orstats.api.config import MAX_CONNECTIONS, Settings, is_duration
from orstats.errors import ArchiveError, ConfigError
from orstats.ids.id_shapes import GENERATION_ID_HINT, invalid_id_kind

if TYPE_CHECKING:
    from orstats.archive.archive import Archive

log = logging.getLogger("orstats.fetch")

#: Why the default archive has no records of a simulator, and what to do; an option or argument follows.
UNARCHIVED: Final = (
    "Records from servers on this machine are archived only in a directory that you name: set ORSTATS_ARCHIVE or pass"
)

#: How to read the archive without a key.
ARCHIVED_ONLY: Final = "fetch(ids, deadline=0)"

#: With this many files of one host, an archive is compacted at the end of a fetch.
_COMPACT_FILES: Final = 64

#: An archive, its path or URL; None for the default archive, False for none.
ArchiveChoice: TypeAlias = "Archive | str | os.PathLike[str] | Literal[False] | None"


def choose_archive(archive: ArchiveChoice, settings: Settings) -> Archive | None:
    """Return the archive to use, or None for none.

    Servers on this machine get one only when it is named (as an argument or in ``ORSTATS_ARCHIVE``): simulated
    records must not mix with real ones.
    """
    if archive is False:
        return None
    if archive is None and settings.is_loopback and not os.environ.get("ORSTATS_ARCHIVE"):
        return None
    from orstats.archive.archive import Archive  # noqa: PLC0415 - loads pyarrow

    return archive if isinstance(archive, Archive) else Archive(archive)


def compact_if_needed(archive: Archive, host: str) -> None:
    """Merge the files of an archive once there are many: their number decides how fast it is read."""
    try:
        archive.compact(host, min_files=_COMPACT_FILES)
    except ArchiveError as error:
        log.warning("All results are stored, but the archive's files were not merged: %s", error)


@dataclass(frozen=True, slots=True)
class FetchOptions:
    """The options that fetch and fetch_contents share. Making one validates them."""

    workers: int
    errors: str
    pending_wait: float
    progress: bool | None
    deadline: float | None
    cancel: threading.Event | None

    def __post_init__(self) -> None:
        workers, pending_wait, deadline = self.workers, self.pending_wait, self.deadline
        if not isinstance(workers, Integral) or not 1 <= workers <= MAX_CONNECTIONS:
            raise ConfigError(f"workers must be between 1 and {MAX_CONNECTIONS}, got {workers!r}.")
        if self.errors not in ("coerce", "raise"):
            raise ConfigError(f'errors must be "coerce" or "raise", got {self.errors!r}.')
        if not (is_duration(pending_wait) and pending_wait < math.inf):
            raise ConfigError(f"pending_wait must be a non-negative number of seconds, got {pending_wait!r}.")
        if deadline is not None and not (is_duration(deadline) and deadline < math.inf):
            raise ConfigError(f"deadline must be a non-negative number of seconds or None, got {deadline!r}.")
        if self.cancel is not None and not callable(getattr(self.cancel, "is_set", None)):
            raise ConfigError(f"cancel must be a threading.Event or None, got {self.cancel!r}.")


def invalid_id_reason(generation_id: str) -> str | None:
    """Say why an id cannot be a generation's, such as a request's id; None for one that may be."""
    kind = invalid_id_kind(generation_id)
    return None if kind is None else f"Not a generation id: {kind}. {GENERATION_ID_HINT}"
