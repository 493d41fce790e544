"""What was listed is kept: the ids of a time window that is long over do not change.

Small gzipped text files beside the archive, one per window: ``listings/host=…/<account and filters>/<from>-<to>.gz``,
with microseconds since 1970 in the name and one id a line. They can be deleted at any time.
"""

from __future__ import annotations

import gzip
import hashlib
import logging
import re
import zlib
from datetime import UTC, datetime, timedelta
from typing import IO, Any, Final
from urllib.parse import quote

import orjson
import platformdirs

from orstats.api.client import Client
from orstats.api.errors import ArchiveError
from orstats.data.account.windows import Window
from orstats.data.archive.archive import Archive
from orstats.data.archive.store import LocalStore

log = logging.getLogger("orstats.discover")

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_NAME: Final = re.compile(r"(\d{15,17})-(\d{15,17})\.gz")


class Listings:
    """The windows listed before, of one account with the same filters.

    Parameters
    ----------
    archive
        Beside which they are kept; where that is an object store, in the user's cache directory.
    client
        Whose account. Its key enters as a hash only.
    filters
        As sent.
    """

    def __init__(self, archive: Archive, client: Client, filters: list[dict[str, Any]]) -> None:
        remote = "://" in archive.path
        self._store = LocalStore(str(platformdirs.user_cache_path("orstats")) if remote else archive.path)
        key = client.settings.management_key or client.settings.api_key or ""
        same = hashlib.sha256(key.encode() + b"\0" + orjson.dumps(filters, option=orjson.OPT_SORT_KEYS)).hexdigest()
        self._directory = f"listings/host={quote(client.settings.host.lower(), safe='')}/{same[:24]}"

    def windows(self) -> list[Window]:
        """Return the windows that are kept.

        Raises
        ------
        ArchiveError
            The place cannot be read.
        """
        try:
            names = [_NAME.fullmatch(entry.name) for entry in self._store.files(self._directory)]
        except OSError as error:
            raise self._error("read", error) from error
        return [Window(_moment(name[1]), _moment(name[2])) for name in names if name]

    def read(self, window: Window) -> list[str] | None:
        """Return the ids of a kept window; None when its file cannot be read (it is asked for again then)."""
        try:
            with self._store.open(f"{self._directory}/{_name(window)}") as file:
                return gzip.decompress(file.read()).decode().splitlines()
        except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
            log.warning("a kept listing cannot be read and is asked for again: %s (%s)", _name(window), error)
            return None

    def write(self, window: Window, ids: list[str]) -> None:
        """Keep the ids of a window.

        Raises
        ------
        ArchiveError
            The place cannot be written.
        """

        def produce(sink: IO[bytes]) -> None:
            sink.write(gzip.compress("\n".join(ids).encode(), compresslevel=3))

        try:
            self._store.write(self._directory, _name(window), produce)
        except FileExistsError:  # another process keeps the same
            return
        except OSError as error:
            raise self._error("write", error) from error

    def _error(self, doing: str, error: OSError) -> ArchiveError:
        return ArchiveError(
            f"Cannot {doing} the listings beside the archive: {error.strerror or error}. "
            "Make the place accessible, name another one as archive=…, or keep nothing with archive=False.",
            path=str(error.filename or self._directory),
        )


def _name(window: Window) -> str:
    return f"{_microseconds(window.start):015d}-{_microseconds(window.end):015d}.gz"


def _microseconds(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(microseconds=1)


def _moment(microseconds: str) -> datetime:
    return _EPOCH + timedelta(microseconds=int(microseconds))
