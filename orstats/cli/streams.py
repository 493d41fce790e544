"""Standard output and standard error that fail in the way scripts expect.

When the reader of a pipe has closed it (``| head``), further output is discarded and the exit code is not affected.
Neither do messages that cannot be shown affect it; data that cannot be written is an error.
"""

from __future__ import annotations

import errno
import io
import os
import sys
from typing import Any, Final

_IS_WINDOWS: Final = os.name == "nt"
#: What the system reports when the reader of a pipe has closed it.
_CLOSED: Final = frozenset({errno.EPIPE, errno.EINVAL} if _IS_WINDOWS else {errno.EPIPE})
_FILE_DESCRIPTORS: Final = {"stdin": 0, "stdout": 1, "stderr": 2}


class OutputError(OSError):
    """Standard output cannot be written, for example because its disk is full."""


class _Output(io.FileIO):
    """A standard stream. Once it is broken, everything written to it is discarded."""

    def __init__(self, descriptor: int, *, is_required: bool) -> None:
        super().__init__(descriptor, "w", closefd=False)
        self._is_required = is_required
        self._is_broken = False

    def write(self, data: Any, /) -> int:
        if not self._is_broken:
            try:
                return super().write(data) or 0
            except OSError as error:
                self._is_broken = True
                if self._is_required and error.errno not in _CLOSED:
                    raise OutputError(error.errno, error.strerror) from error
        return len(memoryview(data).cast("B"))


def protect_streams() -> None:
    """Replace the standard streams of this process; a closed one becomes the null device."""
    for name, descriptor in _FILE_DESCRIPTORS.items():
        if getattr(sys, name) is None:
            mode = "r" if name == "stdin" else "w"
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115, PTH123 - open until exit
        elif name != "stdin":
            _protect(name, descriptor)


def _protect(name: str, descriptor: int) -> None:
    stream = getattr(sys, name)
    if not isinstance(stream, io.TextIOWrapper) or not _is_open(descriptor):
        return
    stream.flush()
    if _IS_WINDOWS and stream.isatty():  # a console takes UTF-16 from Python's own stream, and is never full
        stream.reconfigure(errors="replace")
        return
    raw = _Output(descriptor, is_required=name == "stdout")
    protected = io.TextIOWrapper(
        io.BufferedWriter(raw),
        encoding=stream.encoding,
        errors="replace",  # not every encoding has the dashes and dots of --help
        newline=None,
        line_buffering=stream.line_buffering or stream.write_through,  # the latter with PYTHONUNBUFFERED
    )
    protected.mode = "w"  # type: ignore[misc] # as Python's own standard streams have it
    setattr(sys, name, protected)


def _is_open(descriptor: int) -> bool:
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return True
