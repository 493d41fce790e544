"""Which parts were found whole: each is read to its end once, because a part never changes."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import IO, Final

import orjson

from orstats.archive.dataset import Dataset, UnreadablePartError
from orstats.archive.location import user_cache
from orstats.archive.reader import WORKERS, Reader
from orstats.archive.storage import Entry, Store

#: A file that changed less than so many seconds ago may change again within one tick of the storage's clock.
_TICK_S: Final = 3
#: To read less than so many bytes again takes no time worth a file.
_WORTH_KEEPING: Final = 64 << 20
_FOLDER: Final = "checked"


class Checked:
    """What is known about the parts of one archive.

    For a large archive it is kept in the user's cache directory, as an archive may be read-only or shared. A part is
    known by its path, size, and the times and number that the storage gives it.
    """

    def __init__(self, place: str) -> None:
        self._name = hashlib.sha256(os.fsencode(place)).hexdigest()[:24] + ".json"
        self._whole: dict[str, str] | None = None

    def check(
        self, store: Store, dataset: Dataset, directory: str, entries: Sequence[Entry]
    ) -> list[UnreadablePartError]:
        """Return what is wrong with those parts of a directory that are not whole."""
        if self._whole is None:
            self._whole = self._load()
        whole = self._whole
        stamps = {f"{directory}/{entry.name}": f"{entry.size}-{entry.stamp}" for entry in entries}
        paths = [path for path, stamp in stamps.items() if whole.get(path) != stamp]
        if not paths:
            return []

        def read(path: str) -> UnreadablePartError | None:
            try:
                with Reader(store, dataset, path) as reader:
                    reader.check()
            except UnreadablePartError as error:
                return error
            return None

        before = time.time() - _TICK_S
        with ThreadPoolExecutor(min(WORKERS, len(paths))) as pool:
            results = dict(zip(paths, pool.map(read, paths), strict=True))
        by_path = {f"{directory}/{entry.name}": entry for entry in entries}
        new = {path for path, error in results.items() if error is None and by_path[path].changed < before}
        gone = {path for path in whole if path.startswith(f"{directory}/") and path not in stamps}
        self._whole = {path: stamp for path, stamp in whole.items() if path not in gone}
        self._whole |= {path: stamps[path] for path in new}
        if sum(by_path[path].size for path in new) >= _WORTH_KEEPING:
            self._save()
        return [error for error in results.values() if error is not None]

    def _load(self) -> dict[str, str]:
        # A missing or broken file, and an account without a home directory, only mean to check again.
        with suppress(OSError, ValueError, RuntimeError), user_cache().open(f"{_FOLDER}/{self._name}") as file:
            found = orjson.loads(file.read())
            if isinstance(found, dict):
                return found
        return {}

    def _save(self) -> None:
        def produce(sink: IO[bytes]) -> None:
            sink.write(orjson.dumps(self._whole))

        with suppress(OSError, RuntimeError):
            user_cache().write(_FOLDER, self._name, produce)
