"""Where archived files lie: a local directory or an object store. Whole files only, never half of one.

Paths inside a store are relative and written with ``/``, whatever the machine. Errors of the operating system leave
as :class:`OSError`; the archive turns them into :class:`~orstats.api.errors.ArchiveError` with what to do.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Protocol

import pyarrow as pa
from pyarrow import fs

#: Writes a whole file into the sink it is given.
Produce = Callable[[IO[bytes]], None]

_PRIVATE_DIRECTORY = 0o700
_PRIVATE_FILE = 0o600


@dataclass(frozen=True, slots=True)
class Entry:
    """One file: its name in its directory, its size in bytes, and the unix second of its last change."""

    name: str
    size: int
    changed: float

    @property
    def is_hidden(self) -> bool:
        """Whether it is not (yet) a part: files that begin with a dot are being written, or were left by a crash."""
        return self.name.startswith(".")

    @property
    def is_ours(self) -> bool:
        """Whether an archive makes files of such names: whoever gave us the archive may have put a link in it."""
        return self.name.startswith(("part-", ".part-", ".check-"))


class Store(Protocol):
    """What the archive needs of a place."""

    def files(self, directory: str) -> list[Entry]:
        """Return the files in a directory, sorted by name; none when there is no such directory."""

    def directories(self, directory: str) -> list[str]:
        """Return the names of the directories in a directory, sorted; none when there is no such directory."""

    def full(self, path: str) -> str:
        """Return the path as people can find it, for messages."""

    def open(self, path: str) -> Any:
        """Open a file for random reading; FileNotFoundError when it is gone."""

    def write(self, directory: str, name: str, produce: Produce) -> None:
        """Make a whole, durable file under its name, or none at all; creates the directory."""

    def prove(self, directory: str) -> None:
        """Create the directory and write, then remove, a small file: OSError when that does not work."""

    def delete(self, path: str) -> None:
        """Delete a file; nothing when it is gone already."""

    def remove_directory(self, directory: str) -> None:
        """Remove a directory if it is there and empty."""


class LocalStore:
    """A directory of this machine. Directories are made with mode 0700 and files with 0600, whatever the umask.

    Parameters
    ----------
    root
        Absolute path; need not exist.
    """

    def __init__(self, root: str) -> None:
        self._root = Path(root)

    def files(self, directory: str) -> list[Entry]:
        """Return the files in a directory, sorted by name; none when there is no such directory."""
        return sorted(self._stat(directory), key=lambda entry: entry.name)

    def _stat(self, directory: str) -> Iterator[Entry]:
        try:
            scan = os.scandir(self._root / directory)
        except FileNotFoundError:
            return
        with scan:
            for item in scan:
                # A file may be renamed or deleted by another process between the listing and the look at it.
                with suppress(FileNotFoundError):
                    if item.is_file():
                        status = item.stat()
                        yield Entry(item.name, status.st_size, status.st_mtime)

    def directories(self, directory: str) -> list[str]:
        """Return the names of the directories in a directory, sorted; none when there is no such directory."""
        try:
            with os.scandir(self._root / directory) as scan:
                return sorted(item.name for item in scan if item.is_dir())
        except FileNotFoundError:
            return []

    def full(self, path: str) -> str:
        """Return the path as people can find it, for messages."""
        return str(self._root / path)

    def open(self, path: str) -> Any:
        """Open a file for random reading; FileNotFoundError when it is gone."""
        return pa.OSFile(str(self._root / path))

    def write(self, directory: str, name: str, produce: Produce) -> None:
        """Make a whole, durable file: a hidden temporary one, synced to disk, then renamed."""
        folder = self._folder(directory)
        # Unique, so that neither another process nor what a crash left is in the way.
        temporary = folder / f".{name}.{os.urandom(4).hex()}.tmp"
        try:
            with open(temporary, "xb", opener=_open_private) as sink:
                produce(sink)
                sink.flush()
                os.fsync(sink.fileno())
            temporary.replace(folder / name)
        except BaseException:
            with suppress(OSError):
                temporary.unlink()
            raise
        _sync(folder)

    def prove(self, directory: str) -> None:
        """Create the directory and write, then remove, a small file: OSError when that does not work."""
        name = f".check-{os.getpid()}-{os.urandom(4).hex()}"
        self.write(directory, name, _write_little)
        self.delete(f"{directory}/{name}")

    def delete(self, path: str) -> None:
        """Delete a file; nothing when it is gone already."""
        (self._root / path).unlink(missing_ok=True)

    def remove_directory(self, directory: str) -> None:
        """Remove a directory if it is there and empty."""
        # Somebody may have put a file into it since: then it stays.
        with suppress(OSError):
            (self._root / directory).rmdir()

    def _folder(self, directory: str) -> Path:
        """Create the directory, private from the archive's root downwards; what exists keeps its mode."""
        self._root.parent.mkdir(parents=True, exist_ok=True)
        folder = self._root
        for step in ("", *directory.split("/")):
            folder /= step
            try:
                folder.mkdir(mode=_PRIVATE_DIRECTORY)
            except FileExistsError:
                continue
            folder.chmod(_PRIVATE_DIRECTORY)
            _sync(folder.parent)
        return folder


class RemoteStore:
    """An object store through pyarrow: an object appears whole when its upload is complete, or not at all.

    Parameters
    ----------
    filesystem
        From :meth:`pyarrow.fs.FileSystem.from_uri`.
    root
        Path inside it: bucket and prefix.
    """

    def __init__(self, filesystem: fs.FileSystem, root: str) -> None:
        self._fs = filesystem
        self._root = root.rstrip("/")

    def _list(self, directory: str) -> list[Any]:
        selector = fs.FileSelector(f"{self._root}/{directory}", allow_not_found=True)
        return sorted(self._fs.get_file_info(selector), key=lambda info: str(info.base_name))

    def files(self, directory: str) -> list[Entry]:
        """Return the files in a directory, sorted by name; none when there is no such directory."""
        return [
            Entry(info.base_name, info.size or 0, info.mtime.timestamp() if info.mtime else time.time())
            for info in self._list(directory)
            if info.type == fs.FileType.File
        ]

    def directories(self, directory: str) -> list[str]:
        """Return the names of the directories in a directory, sorted; none when there is no such directory."""
        return [info.base_name for info in self._list(directory) if info.type == fs.FileType.Directory]

    def full(self, path: str) -> str:
        """Return bucket and path, for messages."""
        return f"{self._root}/{path}"

    def open(self, path: str) -> Any:
        """Open a file for random reading; FileNotFoundError when it is gone."""
        return self._fs.open_input_file(f"{self._root}/{path}")

    def write(self, directory: str, name: str, produce: Produce) -> None:
        """Make a whole object by one upload; the file is made in memory first, so that no half one is committed."""
        sink = pa.BufferOutputStream()
        produce(sink)
        with self._fs.open_output_stream(f"{self._root}/{directory}/{name}") as stream:
            stream.write(sink.getvalue())

    def prove(self, directory: str) -> None:
        """Write, then remove, a small object: OSError when that does not work."""
        name = f".check-{os.getpid()}-{os.urandom(4).hex()}"
        self.write(directory, name, _write_little)
        self.delete(f"{directory}/{name}")

    def delete(self, path: str) -> None:
        """Delete an object; nothing when it is gone already."""
        with suppress(FileNotFoundError):
            self._fs.delete_file(f"{self._root}/{path}")

    def remove_directory(self, directory: str) -> None:
        """Do nothing: object stores have no directories to remove."""


def _write_little(sink: IO[bytes]) -> None:
    sink.write(b"orstats" * 512)


def _open_private(path: str, flags: int) -> int:
    descriptor = os.open(path, flags, _PRIVATE_FILE)
    if hasattr(os, "fchmod"):  # a strict umask may have taken even the owner's bits; Windows has neither
        os.fchmod(descriptor, _PRIVATE_FILE)
    return descriptor


def _sync(folder: Path) -> None:
    """Make a new name in the directory survive a power cut; Windows has no such call and no need."""
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
