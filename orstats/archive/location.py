"""Where an archive is: a path or URL, and the store behind it."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import unquote

import platformdirs
import pyarrow as pa
from pyarrow import fs

from orstats.archive.storage import LocalStore, RemoteStore, Store
from orstats.errors import ConfigError

_SCHEMES: Final = ("file", "s3", "gs", "gcs", "abfs", "abfss")
#: A URL whose slashes were lost: one slash, backslashes, or none after a scheme that is known.
_BROKEN_URL: Final = re.compile(rf"(?i)([a-z][a-z0-9+.-]+):[\\/](?!/)|({'|'.join(_SCHEMES)}|s3a|s3n):(?!//)")
_WINDOWS_PATH: Final = re.compile(r"[A-Za-z]:[\\/]|\\\\")
_USER_INFO: Final = re.compile(r"(?<=://)(?:[^/@?#\s]*|[^?#\s]*:[^?#\s]*)@")
_SECRET: Final = re.compile(r"(?i)([?&][^=&]*(?:secret|token|password|key|sig|credential)[^=&]*=)[^&#]*")


@dataclass(frozen=True, slots=True, repr=False)
class Location:
    """An absolute path, or a URL that may contain credentials and is therefore not shown in a repr."""

    text: str

    @classmethod
    def of(cls, path: str | os.PathLike[str] | None) -> Location:
        """Return the given location, or else that of ORSTATS_ARCHIVE or the platform's user data directory."""
        try:
            if path is None:
                default = os.environ.get("ORSTATS_ARCHIVE")
                path = default or platformdirs.user_data_path("orstats", appauthor=False)
            text = os.fsdecode(path)
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
            accepted = ", ".join(f"{one}://" for one in _SCHEMES)
            raise ConfigError(f"archive must be a directory or a URL ({accepted}), got {scheme}://….")
        if scheme == "file":
            return cls(_local_path(text))
        return cls(f"{scheme}://{rest}")

    @property
    def scheme(self) -> str:
        """The scheme of the URL; empty for a path."""
        return self.text.partition("://")[0] if is_remote(self.text) else ""

    @property
    def shown(self) -> str:
        """Path or URL without credentials."""
        return redact(self.text) if self.scheme else self.text

    @property
    def may_exist(self) -> bool:
        """Whether the directory exists; an object store has none."""
        return _may_exist(self.text)

    def open(self) -> Store:
        """Return the store, without any access to it yet."""
        if not self.scheme:
            return LocalStore(self.text)
        try:
            filesystem, root = fs.FileSystem.from_uri(self.text)
        except (pa.ArrowException, ValueError):
            # Without the cause: it repeats the URL, with the credentials that may be in it.
            raise ConfigError(f"This version of pyarrow cannot open the archive's URL {self.shown}.") from None
        if not root:
            raise ConfigError(f"The archive's URL must contain a bucket, got {self.shown!r}.")
        return RemoteStore(filesystem, root)


def user_cache() -> LocalStore:
    """Return the store in the user's cache directory."""
    return LocalStore(str(platformdirs.user_cache_path("orstats", appauthor=False).expanduser()))


def _check_path(text: str) -> None:
    """Refuse a text that is not a path of this machine: it would become a local directory with a strange name."""
    broken = _BROKEN_URL.match(text)
    if broken and not _WINDOWS_PATH.match(text):
        shown = redact(text.rpartition("@")[2])
        raise ConfigError(
            f"archive must be a directory or a URL (file:///path, s3://bucket/prefix), got {shown!r}. "
            "Write ./ in front of a directory with such a name."
        )
    if os.name != "nt" and _WINDOWS_PATH.match(text):
        raise ConfigError(f"archive must be a path of this machine, got the Windows path {text!r}.")


def is_remote(path: str) -> bool:
    """Tell whether the path of an archive is the URL of an object store."""
    return "://" in path


def without_records(path: str) -> str:
    """Say what an archive without records is: a mistyped directory is not just empty."""
    return f"The archive {path} {'is empty' if _may_exist(path) else 'does not exist'}."


def _may_exist(path: str) -> bool:
    return is_remote(path) or Path(path).exists()


def _local_path(url: str) -> str:
    """Return the path of a ``file://`` URL."""
    host, slash, path = url.partition("://")[2].partition("/")
    if "?" in path or "#" in path:
        raise ConfigError(f"The path in {url!r} must encode ? as %3F and # as %23; or pass it as a plain path.")
    if host.lower() not in ("", "localhost") or not slash:
        raise ConfigError(f"A file URL must begin with file:/// (three slashes), got {redact(url)!r}.")
    path = unquote(path, errors="surrogateescape")
    if "\0" in path:
        raise ConfigError(f"archive must be a directory or a URL, got {url!r}.")
    drive = os.name == "nt" and path[1:2] == ":"
    return str(Path(path if drive else f"/{path}").absolute())


def redact(text: str) -> str:
    """Return a URL, or a text with URLs, without credentials."""
    return _SECRET.sub(r"\1…", _USER_INFO.sub("", text))
