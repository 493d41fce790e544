"""The JSON Lines file of recorded generation ids: ``{"id": "gen-…", "recorded_at": "…", "team": "search"}``."""

from __future__ import annotations

import atexit
import logging
import os
import warnings
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from numbers import Real
from typing import Final

import orjson

from orstats._warn import warn_caller
from orstats.errors import ConfigError
from orstats.frame.schema import FIELDS

log = logging.getLogger("orstats.recorder")

_RESERVED: Final = {*FIELDS, "recorded_at"}
_COMPRESSED: Final = (".gz", ".bz2", ".xz", ".zst", ".zip", ".parquet", ".xlsx")
_CLIENTS: Final = ("requests", "httpx", "httpx2", "aiohttp", "openai", "openrouter", "litellm")
#: A longer text is not a generation id.
_MAX_ID_LENGTH: Final = 256
#: Headers and retries may name the same generation more than once.
_RECENT: Final = 64


class GenerationLog:
    """Append one line per generation. After construction, no method raises."""

    def __init__(self, path: str | os.PathLike[str], labels: Mapping[str, str | float]) -> None:
        # Absolute, because the program may change its directory later. Links are kept as they are.
        self.path = os.path.abspath(os.path.expanduser(os.fsdecode(path)))  # noqa: PTH100, PTH111
        self._labels = {name: _checked_label(name, value) for name, value in labels.items()}
        self._unwritten: deque[bytes] = deque()
        self._recent: deque[str] = deque(maxlen=_RECENT)
        self._warned = self._is_registered = False
        self._check_writable()

    def add(self, generation_id: object) -> None:
        """Write an id; keep it in memory while the file cannot be written."""
        with never_raising("A generation id could not be recorded in %s", self.path):
            if not isinstance(generation_id, str) or not 0 < len(generation_id) <= _MAX_ID_LENGTH:
                return
            if generation_id in self._recent:
                return
            line = {"id": generation_id, "recorded_at": datetime.now(UTC), **self._labels}
            self._unwritten.append(orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE))
            self._recent.append(generation_id)
            self._write()

    def _write(self) -> None:
        # Each line is taken by one thread only, because popleft() is atomic.
        with suppress(IndexError):
            while True:
                line = self._unwritten.popleft()
                try:
                    self._append(line)
                except OSError as error:
                    self._unwritten.appendleft(line)
                    self._warn(error)
                    return
                except BaseException:  # Ctrl-C
                    self._unwritten.appendleft(line)
                    self._write_at_exit()
                    raise

    def _append(self, line: bytes) -> None:
        # Opened for each line, so that forks and log rotation need no care. One write() with O_APPEND is atomic, but
        # not on Windows.
        with open(self.path, "ab", buffering=0, opener=_open_private) as file:
            if file.write(line) < len(line):
                file.write(b"\n")  # the next line must not continue the incomplete one
                raise OSError("the disk is full")

    def _warn(self, error: OSError) -> None:
        if self._warned:
            return
        self._warned = True
        self._write_at_exit()
        text = (
            f"Generation ids cannot be written to {self.path}: {error.strerror or error}. "
            "They are kept in memory and written with the next id that can be."
        )
        log.warning(text)
        with suppress(Warning):  # where warnings are errors, the caller's request must still succeed
            warn_caller(text, through=_CLIENTS)

    def _write_at_exit(self) -> None:
        if not self._is_registered:
            self._is_registered = True
            atexit.register(self._write_last)

    def _write_last(self) -> None:
        self._write()
        if self._unwritten:
            ids = ", ".join(orjson.loads(line)["id"] for line in self._unwritten)
            text = f"{len(self._unwritten)} generation ids could not be written to {self.path}: {ids}"
            log.error(text)
            warnings.warn(text, UserWarning, stacklevel=1)

    def _check_writable(self) -> None:
        if self.path.endswith(_COMPRESSED):
            raise ConfigError(
                f"path must name a JSON Lines file, such as ids.jsonl, got {self.path!r}. Compress it afterwards."
            )
        try:
            with open(self.path, "ab", buffering=0, opener=_open_private):
                return
        except (OSError, ValueError) as error:
            reason = f"{getattr(error, 'strerror', None) or error}. Pass another path."
            folder = os.path.dirname(self.path)  # noqa: PTH120 - paths here are texts
            if isinstance(error, FileNotFoundError) and not os.path.isdir(folder):  # noqa: PTH112
                reason = f"the folder {folder} does not exist. Create it first."
        raise ConfigError(f"Generation ids cannot be recorded in {self.path}: {reason}")


@contextmanager
def never_raising(message: str, *args: object) -> Iterator[None]:
    """Log errors instead of raising them: the caller's request must not fail because of its recording."""
    try:
        yield
    except Exception:
        with suppress(Exception):
            log.warning(message, *args, exc_info=True)


def _checked_label(name: str, value: str | float) -> str:
    if name in _RESERVED:
        raise ConfigError(f"Label {name!r} is the name of a column of the DataFrame. Use another name.")
    if not isinstance(value, str | Real):
        raise TypeError(f"Label {name!r} must be text or a number, got {type(value).__name__}.")
    try:
        orjson.dumps({name: str(value)})
    except (TypeError, ValueError) as error:
        raise ConfigError(f"Label {name!r} must be valid Unicode text, got {value!r}.") from error
    return str(value)


def _open_private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
