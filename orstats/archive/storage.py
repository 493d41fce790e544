"""The files of an archive: in a local directory or an object store. Each file appears complete or not at all.

Paths inside a store are relative and written with ``/`` on every platform. Errors of the operating system are raised as
:class:`OSError`; the archive turns them into :class:`~orstats.errors.ArchiveError` with advice.
"""

from __future__ import annotations

import errno
import io
import logging
import os
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final, TypeVar

import pyarrow as pa
from pyarrow import fs

from orstats._atomic_write import FULL, atomic_write

logger = logging.getLogger(__name__)

T = TypeVar("T")

#: Writes the content of a file to a sink, which can also seek and read.
Writer = Callable[[IO[bytes]], object]

_PRIVATE_DIRECTORY, _SHARED_DIRECTORY = 0o700, 0o2770
_PRIVATE_FILE, _SHARED_FILE = 0o600, 0o660
#: What the system reports for a file of another user, or one that another program has locked.
_REFUSED: Final = frozenset({errno.EACCES, errno.EPERM, errno.EBUSY, errno.EAGAIN, errno.EISDIR, errno.ELOOP})
_PROBE: Final = b"orstats" * 512
#: How often files may vanish while they are listed or read, because a compaction replaced them. More often is a fault.
_TRIES: Final = 20


@dataclass(frozen=True, slots=True)
class Entry:
    """One file or subdirectory of a directory."""

    name: str
    size: int
    changed: float
    stamp: str
    is_file: bool

    @property
    def is_hidden(self) -> bool:
        """Whether it is not a part (yet): names with a leading dot are being written, or were left by a crash."""
        return self.name.startswith(".")

    @property
    def is_temporary(self) -> bool:
        """Whether it has the name of a file that the archive has not finished."""
        writing = self.name.startswith((".part-", "..check-")) and self.name.endswith(".tmp")
        return writing or self.name.startswith(".check-")


class LocalStore:
    """A directory of this machine or of a network drive.

    Directories are created with mode 0700 and files with 0600, whatever the umask. In a directory that its owner shares
    with a group (``chmod 2770``: group-writable, set-group-ID) they are 2770 and 0660.
    """

    #: Files to read concurrently: the processors are then busy, and more threads would only wait for each other.
    concurrency: Final = max(2, min(4, pa.cpu_count()))

    def __init__(self, root: str) -> None:
        self._root = Path(root)
        self._warned: set[str] = set()

    def files(self, directory: str) -> list[Entry]:
        """Return the entries of a directory, sorted by name; none when it does not exist."""
        # The file that replaced a vanished one may be missing from the list.
        return retry_vanished(lambda: sorted(self._scan(self._root / directory), key=lambda entry: entry.name))

    def _scan(self, folder: Path) -> Iterator[Entry]:
        try:
            scan = os.scandir(folder)
        except FileNotFoundError:
            return
        with scan as items:
            for item in items:
                try:
                    is_file = _is_file(item)
                    status = item.stat(follow_symlinks=is_file)
                except FileNotFoundError:
                    if item.name.startswith("."):
                        continue  # it was being written
                    raise
                stamp = f"{status.st_mtime_ns}-{status.st_ctime_ns}-{status.st_ino}"
                yield Entry(item.name, status.st_size, status.st_mtime, stamp, is_file)

    def tree(self, directory: str) -> list[str]:
        """Return the paths of all files in a directory and below it, and of directories that cannot be listed."""
        refused: list[OSError] = []
        found = [
            Path(folder) / name
            for folder, _, names in os.walk(self._root / directory, onerror=refused.append)
            for name in names
            if (Path(folder) / name).is_file()  # opening a pipe would wait for its writer
        ]
        found += [Path(error.filename) for error in refused if not isinstance(error, FileNotFoundError)]
        return [path.relative_to(self._root).as_posix() for path in found]

    def full(self, path: str) -> str:
        """Return the absolute path, for messages."""
        return str(self._root / path)

    def open(self, path: str) -> Any:
        """Open a file for random reading; FileNotFoundError when it does not exist."""
        return pa.OSFile(os.fsencode(self._root / path))

    def write(self, directory: str, name: str, writer: Writer) -> None:
        """Write a durable file, or none; creates the directory."""
        folder = self._create(directory)
        with atomic_write(folder / name, opener=self._open_with_mode, warn=self._warn) as sink:
            writer(sink)
        self._sync(folder)

    def delete(self, path: str) -> None:
        """Delete a file, if it exists."""
        (self._root / path).unlink(missing_ok=True)

    def remove_directory(self, directory: str) -> None:
        """Remove a directory, if it exists and is empty."""
        with suppress(OSError):  # another process may have put a file into it
            (self._root / directory).rmdir()

    def _create(self, directory: str) -> Path:
        """Create the directory, private from the archive's root down; an existing one keeps its mode."""
        self._root.parent.mkdir(parents=True, exist_ok=True)
        folder = self._root
        for step in ("", *directory.split("/")):
            shared = bool(step) and _is_shared(folder)
            folder /= step
            mode = _SHARED_DIRECTORY if shared else _PRIVATE_DIRECTORY
            try:
                folder.mkdir(mode=mode)
            except OSError:
                if not folder.is_dir():  # a mount point may report another error than EEXIST
                    raise
                continue
            self._set_mode(folder, mode, folder.chmod)
            self._sync(folder.parent)
        return folder

    def _open_with_mode(self, path: str, flags: int) -> int:
        mode = _SHARED_FILE if _is_shared(Path(path).parent) else _PRIVATE_FILE
        descriptor = os.open(path, flags, mode)
        if hasattr(os, "fchmod"):  # a strict umask may have taken even the owner's bits; Windows has neither
            self._set_mode(Path(path), mode, lambda bits: os.fchmod(descriptor, bits))
        return descriptor

    def _set_mode(self, path: Path, mode: int, change: Callable[[int], None]) -> None:
        """Set a mode where the file system has modes; some accept the call and ignore it."""
        if os.name == "nt":
            return
        text = f"{self._root} is on a file system without modes: other users may be able to read the archive"
        try:
            change(mode)
        except OSError as error:
            if error.errno in FULL:
                raise
            self._warn(f"{text} ({error.strerror or error})")
        else:
            if stat.S_IMODE(path.stat().st_mode) & 0o077 & ~mode:
                self._warn(text)

    def _sync(self, folder: Path) -> None:
        """Make a new name in a directory survive a power cut; Windows has no such call and does not need it."""
        if os.name == "nt":
            return
        try:
            descriptor = os.open(folder, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        except OSError as error:
            if error.errno in FULL:
                raise
            # The file itself is on disk; network drives have no such call for directories.
            logger.debug("cannot sync the directory %s: %s", folder, error)

    def _warn(self, text: str) -> None:
        """Log each warning once."""
        if text not in self._warned:
            self._warned.add(text)
            logger.warning("%s", text)


class RemoteStore:
    """An object store, through pyarrow: an object appears when its upload is complete, or not at all."""

    #: More than on a disk, because most of the time is spent waiting for responses.
    concurrency: Final = 8

    def __init__(self, filesystem: fs.FileSystem, root: str) -> None:
        self._fs = filesystem
        self._root = root.rstrip("/")

    def _list(self, directory: str, *, recursive: bool = False) -> list[Any]:
        selector = fs.FileSelector(f"{self._root}/{directory}".rstrip("/"), allow_not_found=True, recursive=recursive)
        return sorted(self._fs.get_file_info(selector), key=lambda info: str(info.base_name))

    def files(self, directory: str) -> list[Entry]:
        """Return the entries of a directory, sorted by name; none when it does not exist."""
        return [
            Entry(
                info.base_name,
                info.size or 0,
                info.mtime.timestamp() if info.mtime else time.time(),
                str(info.mtime_ns),
                info.type == fs.FileType.File,
            )
            for info in self._list(directory)
        ]

    def tree(self, directory: str) -> list[str]:
        """Return the paths of all files in a directory and below it."""
        found = self._list(directory, recursive=True)
        return [info.path.removeprefix(f"{self._root}/") for info in found if info.type == fs.FileType.File]

    def full(self, path: str) -> str:
        """Return bucket and path, for messages."""
        return f"{self._root}/{path}"

    def open(self, path: str) -> Any:
        """Open an object for random reading; FileNotFoundError when it does not exist."""
        return self._fs.open_input_file(f"{self._root}/{path}")

    def write(self, directory: str, name: str, writer: Writer) -> None:
        """Write an object by one upload, from memory, so that a partial one is never committed."""
        sink = io.BytesIO()
        writer(sink)
        with self._fs.open_output_stream(f"{self._root}/{directory}/{name}") as stream:
            stream.write(sink.getbuffer())

    def delete(self, path: str) -> None:
        """Delete an object, if it exists."""
        with suppress(FileNotFoundError):
            self._fs.delete_file(f"{self._root}/{path}")

    def remove_directory(self, directory: str) -> None:
        """Do nothing: object stores have no directories."""


Store = LocalStore | RemoteStore


def retry_vanished(action: Callable[[], T]) -> T:
    """Run an action that lists or reads files again until none vanishes during it."""
    for _ in range(_TRIES - 1):
        with suppress(FileNotFoundError):
            return action()
    try:
        return action()
    except FileNotFoundError as error:
        raise OSError(f"files kept vanishing while they were read, {error} among them") from error


def _is_file(item: os.DirEntry[str]) -> bool:
    try:
        return item.is_file()
    except OSError:  # such as a link to itself
        return False


def is_refused(error: OSError) -> bool:
    """Return whether the system refuses this one file, while others may be accessible."""
    return error.errno in _REFUSED or "ACCESS_DENIED" in str(error)


def check_writable(store: Store, directory: str) -> None:
    """Create the directory, then write, read back and delete a small file; OSError when that does not work."""
    name = _probe_name()
    path = f"{directory}/{name}"
    store.write(directory, name, _write_probe)
    try:
        with store.open(path) as source:
            found = source.read()
    finally:
        store.delete(path)
    if found == _PROBE:
        return
    if _PROBE in found:
        raise OSError(
            "the storage keeps the frames of a chunked upload inside the files. If it is an S3-compatible server, set "
            "AWS_REQUEST_CHECKSUM_CALCULATION=when_required in the environment, or update the server"
        )
    raise OSError(f"the storage returns other bytes than were written ({len(found)} of {len(_PROBE)} bytes came back)")


def current_time(store: Store, directory: str) -> float:
    """Return the unix second by the clock that dates the files of a directory, which may differ from this machine's."""
    name = _probe_name()
    store.write(directory, name, _write_probe)
    try:
        return next(entry.changed for entry in store.files(directory) if entry.name == name)
    finally:
        store.delete(f"{directory}/{name}")


def _probe_name() -> str:
    return f".check-{os.getpid()}-{os.urandom(4).hex()}"


def _write_probe(sink: IO[bytes]) -> None:
    sink.write(_PROBE)


def _is_shared(folder: Path) -> bool:
    """Return whether the owner of a directory shares it with a group, which then owns new files."""
    shared = stat.S_ISGID | stat.S_IWGRP
    try:
        return folder.stat().st_mode & shared == shared
    except OSError:
        return False
