"""Remember which parts were read to their end and found undamaged, because a part never changes."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Collection, Mapping
from contextlib import suppress
from functools import cached_property
from typing import Final

import orjson

from orstats.archive.location import user_cache
from orstats.archive.storage import Entry

#: A file that changed less than this many seconds ago may change again within one tick of the storage's clock.
_TICK_S: Final = 3
#: Parts of fewer bytes in total are quicker to read again than worth a file.
_WORTH_SAVING: Final = 64 << 20
_FOLDER: Final = "checked"


class VerifiedParts:
    """The verified parts of one archive, by path, size, and the times and number that the storage gives them.

    For a large archive they are saved in the user's cache directory, as an archive may be read-only or shared.
    """

    def __init__(self, place: str, *, worth_saving: int = _WORTH_SAVING) -> None:
        self._name = hashlib.sha256(os.fsencode(place)).hexdigest()[:24] + ".json"
        self._worth_saving = worth_saving

    @cached_property
    def _stamps(self) -> dict[str, str]:
        # With a missing or broken file, or without a home directory, parts are only verified again.
        with suppress(OSError, ValueError, RuntimeError), user_cache().open(f"{_FOLDER}/{self._name}") as file:
            found = orjson.loads(file.read())
            if isinstance(found, dict):
                return found
        return {}

    def includes(self, path: str, entry: Entry) -> bool:
        """Return whether a part was verified and has not changed since."""
        return self._stamps.get(path) == _stamp(entry)

    def update(self, directory: str, entries: Mapping[str, Entry], undamaged: Collection[str], started: float) -> None:
        """Remember the undamaged parts of a directory, and forget those that are gone."""
        old = self._stamps
        new = {path: _stamp(entries[path]) for path in undamaged if entries[path].changed < started - _TICK_S}
        others = {path: stamp for path, stamp in old.items() if path in entries or not path.startswith(f"{directory}/")}
        self._stamps = others | new
        if sum(entries[path].size for path in new if old.get(path) != new[path]) >= self._worth_saving:
            with suppress(OSError, RuntimeError):
                user_cache().write(_FOLDER, self._name, lambda sink: sink.write(orjson.dumps(self._stamps)))


def _stamp(entry: Entry) -> str:
    return f"{entry.size}-{entry.stamp}"
