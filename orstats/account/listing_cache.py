"""Cache listings: the generations of time windows whose analytics are complete.

Small gzipped text files beside the archive, one per window: ``listings/host=…/<account and filters>/<from>-<to>.gz``,
with microseconds since 1970 in the name. The first line identifies the file, so that truncated, empty and misplaced
files are detected. The generations follow, one per line: an id, or a JSON array of the id and its values. The files can
be deleted at any time.
"""

from __future__ import annotations

import gzip
import hashlib
import logging
import re
import zlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import IO, Any, Final
from urllib.parse import quote

import orjson

from orstats._warn import warn_caller
from orstats.account.time_windows import Window, disjoint
from orstats.api.client import Client
from orstats.archive.archive import Archive
from orstats.archive.location import is_remote, user_cache
from orstats.archive.storage import LocalStore

log = logging.getLogger("orstats.list_ids")

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_NAME: Final = re.compile(r"(\d{15,17})-(\d{15,17})\.gz")


#: Generations by id, each with its values.
Rows = dict[str, tuple[str | float | None, ...]]


@dataclass(frozen=True, slots=True)
class Listing:
    """The generations of a window, and the account's number of generations in it at that time."""

    rows: Rows
    counted: int


class Listings:
    """The cached windows of one account with the same filters and the same columns besides the id."""

    def __init__(
        self, archive: Archive, client: Client, filters: list[dict[str, Any]], columns: tuple[str, ...] = ()
    ) -> None:
        self._store = user_cache() if is_remote(archive.path) else LocalStore(archive.path)
        key = client.settings.management_key or client.settings.api_key or ""
        what = [key.encode(), orjson.dumps(filters, option=orjson.OPT_SORT_KEYS), *(name.encode() for name in columns)]
        same = hashlib.sha256(b"\0".join(what)).hexdigest()
        self._columns = columns
        self._warned = False
        self._directory = f"listings/host={quote(client.settings.host.lower(), safe='')}/{same[:24]}"

    def listings(self, start: datetime, end: datetime) -> dict[Window, Listing]:
        """Return the cached listings of windows in a range; none, with a warning, when the cache cannot be read."""
        try:
            names = [_NAME.fullmatch(entry.name) for entry in self._store.files(self._directory)]
        except OSError as error:
            self._warn("read", error)
            return {}
        windows = disjoint((Window(_moment(name[1]), _moment(name[2])) for name in names if name), start, end)
        return {window: listing for window in windows if (listing := self._read(window)) is not None}

    def _read(self, window: Window) -> Listing | None:
        path = f"{self._directory}/{_name(window)}"
        reason: object = "its content does not match its first line"
        try:
            with self._store.open(path) as file:
                head, *lines = gzip.decompress(file.read()).decode().split("\n")
            header = orjson.loads(head)
            if (header["listing"], header["ids"]) == (path, len(lines)):
                return Listing(dict(map(self._row, lines)), int(header["counted"]))
        except (OSError, EOFError, zlib.error, ValueError, TypeError, KeyError) as error:
            reason = error
        log.warning("The cached listing %s is damaged and is requested again: %s", self._store.full(path), reason)
        return None

    def _row(self, line: str) -> tuple[str, tuple[Any, ...]]:
        if not self._columns:
            return line, ()
        one, *values = orjson.loads(line)
        if not isinstance(one, str) or len(values) != len(self._columns):
            raise ValueError("a line does not have the columns of this listing")
        return one, tuple(values)

    def write(self, window: Window, listing: Listing) -> None:
        """Cache the listing of a window, or warn when that is not possible."""
        path = f"{self._directory}/{_name(window)}"
        header = orjson.dumps({"listing": path, "ids": len(listing.rows), "counted": listing.counted}).decode()
        lines = (orjson.dumps([one, *values]).decode() if values else one for one, values in listing.rows.items())

        def produce(sink: IO[bytes]) -> None:
            sink.write(gzip.compress("\n".join([header, *lines]).encode(), compresslevel=3))

        try:
            self._store.write(self._directory, _name(window), produce)
        except OSError as error:
            self._warn("written", error)

    def _warn(self, action: str, error: OSError) -> None:
        if not self._warned:
            self._warned = True
            warn_caller(
                f"Cached listings in {self._store.full(self._directory)} cannot be {action}: "
                f"{error.strerror or error}. The listing continues without a cache."
            )


def _name(window: Window) -> str:
    return f"{_microseconds(window.start):015d}-{_microseconds(window.end):015d}.gz"


def _microseconds(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(microseconds=1)


def _moment(microseconds: str) -> datetime:
    return _EPOCH + timedelta(microseconds=int(microseconds))
