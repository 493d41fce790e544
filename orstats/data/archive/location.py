"""The place an archive was told to be at, and the store that this is."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import platformdirs
import pyarrow as pa
from pyarrow import fs

from orstats.api.errors import ArchiveError, ConfigError
from orstats.data.archive.store import LocalStore, RemoteStore, Store

_SCHEMES: Final = ("file", "s3", "gs", "gcs", "abfs", "abfss")
_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


@dataclass(frozen=True, slots=True, repr=False)
class Location:
    """An absolute path, or a URL that may hold credentials: so it has no repr of its own."""

    text: str

    @classmethod
    def of(cls, path: str | os.PathLike[str] | None) -> Location:
        """Take what a caller named; else the environment's choice, else the platform's place for a user's data.

        Raises
        ------
        ConfigError
            A URL of a kind that nothing here reads.
        """
        chosen = path or os.environ.get("ORSTATS_ARCHIVE") or platformdirs.user_data_path("orstats", appauthor=False)
        text = os.fspath(chosen)
        if "://" not in text:
            return cls(str(Path(text).expanduser().absolute()))
        scheme = urlsplit(text).scheme
        if scheme not in _SCHEMES:
            raise ConfigError(f"An archive is a directory or a URL with one of {', '.join(_SCHEMES)}; not {scheme}://.")
        return cls(text)

    @property
    def scheme(self) -> str:
        """What stands before ``://``; nothing for a path."""
        return self.text.partition("://")[0] if "://" in self.text else ""

    @property
    def shown(self) -> str:
        """Path or URL without credentials."""
        if not self.scheme:
            return self.text
        parts = urlsplit(self.text)
        return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()

    def open(self) -> Store:
        """Return the store; nothing is read or made yet.

        Raises
        ------
        ConfigError
            This pyarrow cannot use the URL, or it names no bucket.
        """
        if not self.scheme:
            return LocalStore(self.text)
        try:
            filesystem, root = fs.FileSystem.from_uri(self.text)
        except (pa.ArrowException, ValueError):
            # Without the cause: it repeats the URL, with the credentials that may be in it.
            raise ConfigError(f"the archive's URL cannot be used by this pyarrow: {self.shown}") from None
        if not root:
            raise ConfigError(f"The archive's URL names no bucket: {self.shown}")
        return LocalStore(root) if isinstance(filesystem, fs.LocalFileSystem) else RemoteStore(filesystem, root)

    @contextmanager
    def explained(self, doing: str, directory: str) -> Iterator[None]:
        """Say of what the operating system or the object store refuses, where it was and what to do.

        Parameters
        ----------
        doing
            ``read`` or ``write``.
        directory
            Inside the archive.

        Raises
        ------
        ArchiveError
            Instead of any OSError.
        """
        try:
            yield
        except OSError as error:
            where = f"{self.shown}/{directory}".rstrip("/")
            reason = error.strerror or str(error)
            advice = "Make it accessible"
            if error.errno in _FULL:
                advice = "Free some space"
            raise ArchiveError(
                f"Cannot {doing} the archive {where}: {reason}. What was stored before is intact. "
                f"{advice}, or name another place as archive=… or in ORSTATS_ARCHIVE.",
                path=where,
            ) from error
