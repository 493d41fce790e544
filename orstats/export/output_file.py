"""The file that an export writes: its checks, and its errors as :class:`~orstats.errors.ExportError`."""

from __future__ import annotations

import errno
import os
import secrets
import shutil
import stat
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from orstats._atomic_write import atomic_write
from orstats.errors import ConfigError, ExportError


class TargetNameError(ExportError, ConfigError):
    """The name of the file to write is not one that can be used."""


class Target:
    """The file to write. Links are followed, so that the file they point to is replaced."""

    def __init__(self, path: str | os.PathLike[str], endings: Sequence[str]) -> None:
        if not isinstance(path, str | os.PathLike):
            raise ConfigError(f"path must be the name of a file, got {type(path).__name__}.")
        self.path = path = os.fspath(path)
        if not path:
            raise TargetNameError("The name of the file to write is empty.", path=path)
        if "\0" in path:
            raise TargetNameError(f"{path!r}: the name of a file cannot contain a NUL.", path=path)
        if path == "-":
            raise TargetNameError("'-' is not a file name; leave -o out to write to standard output.", path=path)
        name = os.path.basename(path).lower()  # noqa: PTH119 - Path drops a final slash, which names a directory
        ending = next((ending for ending in endings if name.endswith(ending)), None)
        self._real = Path(os.path.realpath(path))
        with self._errors():
            mode = self._mode()
        if mode is not None and stat.S_ISDIR(mode):
            raise TargetNameError(f"{path} is a directory; name a file in it.", path=path)
        if ending is None:
            raise TargetNameError(f"{path}: the file's name must end in one of {', '.join(endings)}.", path=path)
        self.ending = ending
        if mode is not None and not stat.S_ISREG(mode):
            raise ExportError(f"{path} is not an ordinary file.", path=path)

    def _mode(self) -> int | None:
        try:
            return self._real.stat().st_mode
        except (FileNotFoundError, NotADirectoryError):  # other errors, such as too long a name, are the caller's
            return None

    def check_inputs(self, paths: Iterable[str]) -> None:
        """Refuse to replace a file that is read: what it holds would be lost."""
        for path in paths:
            # Of the names, only an input's may be too long, which its reader reports.
            if os.path.exists(path) and self._real.exists() and self._real.samefile(path):  # noqa: PTH110 - never raises
                reason = "is also the file to read; name another one to write"
                raise TargetNameError(f"{self.path} {reason}.", path=self.path)

    def check(self) -> None:
        """Check that the file can be written."""
        with self._errors():
            temporary = self._real.with_name(f".{self._real.name[:200]}.{secrets.token_hex(4)}.tmp")
            temporary.touch(exist_ok=False)
            temporary.unlink()
            if self._real.exists():
                self._real.open("r+b").close()  # fails as well where another program has it open, as Excel on Windows

    def replace(self, produce: Callable[[IO[bytes]], Any]) -> None:
        """Write the file with a function, and replace the old one."""
        self.check()
        with self._errors(), atomic_write(self._real) as file:
            produce(file)
            if self._real.exists():
                shutil.copymode(self._real, file.name)

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise ExportError(f"{self.path} cannot be written: {self._reason(error)}.", path=self.path) from error

    def _reason(self, error: OSError) -> str:
        folder = self._real.parent
        is_there = f"no file can be created in {folder}"  # as in /proc
        reasons = {
            errno.ENOENT: is_there if folder.is_dir() else f"there is no directory {folder}",
            errno.EACCES: "no permission, or it is open in another program",
            errno.EPERM: "no permission, or it is open in another program",
            errno.ENOSPC: "the disk is full",
            errno.EDQUOT: "the disk is full",
            errno.EROFS: "the disk is read-only",
            errno.ENOTDIR: f"{folder} is not a directory",
        }
        return reasons.get(error.errno or 0, error.strerror or str(error))
