"""The place an archive was told to be at, and the store that this is."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import unquote

import platformdirs
import pyarrow as pa
from pyarrow import fs

from orstats._atomic_write import FULL
from orstats.archive.storage import LocalStore, RemoteStore, Store
from orstats.errors import ArchiveError, ConfigError

_SCHEMES: Final = ("file", "s3", "gs", "gcs", "abfs", "abfss")
#: A URL whose slashes were lost: one slash, backslashes, or none after a scheme that is known.
_BROKEN_URL: Final = re.compile(rf"(?i)([a-z][a-z0-9+.-]+):[\\/](?!/)|({'|'.join(_SCHEMES)}|s3a|s3n):(?!//)")
_WINDOWS_PATH: Final = re.compile(r"[A-Za-z]:[\\/]|\\\\")
_USER_INFO: Final = re.compile(r"(?<=://)(?:[^/@?#\s]*|[^?#\s]*:[^?#\s]*)@")
_SECRET: Final = re.compile(r"(?i)([?&][^=&]*(?:secret|token|password|key|sig|credential)[^=&]*=)[^&#]*")


@dataclass(frozen=True, slots=True, repr=False)
class Location:
    """An absolute path, or a URL that may hold credentials: so it has no repr of its own."""

    text: str

    @classmethod
    def of(cls, path: str | os.PathLike[str] | None) -> Location:
        """Return the given location, else that of the environment, else the platform's directory for user data."""
        try:
            chosen = path if path is not None else os.environ.get("ORSTATS_ARCHIVE") or _default()
            text = os.fsdecode(chosen)
            if not text.strip() or "\0" in text:
                raise ConfigError(f"archive must be a directory or a URL, got {text!r}.")
            scheme, separator, rest = text.partition("://")
            if not separator or not scheme.isascii() or any(c in scheme for c in "/\\"):
                _check_path(text)
                return cls(str(Path(text).expanduser().absolute()))
        except RuntimeError as error:  # no such user, or no home directory
            reason = str(error).rstrip(".")
            raise ConfigError(
                f"Cannot find the archive's directory: {reason}. Set ORSTATS_ARCHIVE to a path."
            ) from error
        scheme = scheme.lower()
        if scheme not in _SCHEMES:
            raise ConfigError(f"An archive is a directory or a URL with one of {', '.join(_SCHEMES)}; not {scheme}://.")
        if scheme == "file":
            return cls(_local_path(text))
        return cls(f"{scheme}://{rest}")

    @property
    def scheme(self) -> str:
        """What stands before ``://``; nothing for a path."""
        return self.text.partition("://")[0] if "://" in self.text else ""

    @property
    def shown(self) -> str:
        """Path or URL without credentials."""
        return _redact(self.text) if self.scheme else self.text

    def open(self) -> Store:
        """Return the store; nothing is read or made yet."""
        if not self.scheme:
            return LocalStore(self.text)
        try:
            filesystem, root = fs.FileSystem.from_uri(self.text)
        except (pa.ArrowException, ValueError):
            # Without the cause: it repeats the URL, with the credentials that may be in it.
            raise ConfigError(f"the archive's URL cannot be used by this pyarrow: {self.shown}") from None
        if not root:
            raise ConfigError(f"The archive's URL names no bucket: {self.shown}")
        return RemoteStore(filesystem, root)

    @contextmanager
    def explained(self, doing: str, directory: str) -> Iterator[None]:
        """Say of what the operating system or the object store refuses, where it was and what to do."""
        try:
            yield
        except OSError as error:
            where = f"{self.shown}/{directory}".rstrip("/")
            reason = error.strerror or _redact(str(error))
            advice = "Make it accessible"
            if error.errno in FULL:
                advice = "Free some space"
            raise ArchiveError(
                f"Cannot {doing} the archive {where}: {reason.rstrip('.')}. What was stored before is intact. "
                f"{advice}, or name another place as archive=… or in ORSTATS_ARCHIVE.",
                path=where,
            ) from error


def user_cache() -> LocalStore:
    """Return the store in the user's cache directory."""
    return LocalStore(str(platformdirs.user_cache_path("orstats", appauthor=False).expanduser()))


def _default() -> Path:
    return platformdirs.user_data_path("orstats", appauthor=False)


def _check_path(text: str) -> None:
    """Refuse what was meant to be something else than a path of this machine: it would become an odd local folder."""
    broken = _BROKEN_URL.match(text)
    if broken and not _WINDOWS_PATH.match(text):
        shown = _redact(text.rpartition("@")[2])
        raise ConfigError(
            f"archive must be a directory or a URL (file:///path, s3://bucket/prefix), got {shown!r}. "
            "For a directory of that name begin with ./"
        )
    if os.name != "nt" and _WINDOWS_PATH.match(text):
        raise ConfigError(f"archive must be a path of this machine, got the Windows path {text!r}.")


def _local_path(url: str) -> str:
    """Return the path of a ``file://`` URL."""
    host, slash, path = url.partition("://")[2].partition("/")
    if "?" in path or "#" in path:
        raise ConfigError(f"The path in {url!r} must have ? written as %3F and # as %23; or pass it as a plain path.")
    if host.lower() not in ("", "localhost") or not slash:
        raise ConfigError(f"A file URL must begin with file:/// (three slashes), got {_redact(url)!r}.")
    path = unquote(path, errors="surrogateescape")
    if "\0" in path:
        raise ConfigError(f"archive must be a directory or a URL, got {url!r}.")
    drive = os.name == "nt" and path[1:2] == ":"
    return str(Path(path if drive else f"/{path}").absolute())


def _redact(text: str) -> str:
    """Return a URL, or a sentence with URLs, without credentials."""
    return _SECRET.sub(r"\1…", _USER_INFO.sub("", text))
