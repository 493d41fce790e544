"""Let DuckDB read the files of an object store through fsspec and pyarrow."""

from __future__ import annotations

import datetime as dt
import secrets
import threading
from typing import TYPE_CHECKING, Any

from fsspec import AbstractFileSystem

from orstats.archive.storage import RemoteStore

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


def mount(connection: DuckDBPyConnection, store: RemoteStore) -> str:
    """Let a connection read the files of a store; return the prefix for the store's full paths."""
    # A unique name: two archives with different credentials may be read by one connection.
    files = _Files(f"orstats-{secrets.token_hex(8)}", store)
    connection.register_filesystem(files)
    return f"{files.protocol}://"


class _Files(AbstractFileSystem):  # type: ignore[misc]  # fsspec has no types
    """Files that never change."""

    cachable = False

    def __init__(self, protocol: str, store: RemoteStore) -> None:
        super().__init__(skip_instance_cache=True)
        self.protocol = protocol
        self._store = store
        self._root = store.full("")
        self._sizes: dict[str, int] = {}

    def open(self, path: str, *_: Any, **__: Any) -> Any:
        file = _File(self._store.open(self._inside(path)))
        self._sizes[path] = file.size
        return file

    def size(self, path: str) -> int:
        return self._sizes[path]

    def modified(self, _: str) -> dt.datetime:
        return dt.datetime.fromtimestamp(0, dt.UTC)

    def exists(self, _: str, **__: Any) -> bool:
        return True

    def isfile(self, _: str) -> bool:
        return True

    def glob(self, path: str, **_: Any) -> list[str]:
        return [path]

    def unstrip_protocol(self, name: str) -> str:
        return name if "://" in name else f"{self.protocol}://{name}"

    def _inside(self, path: str) -> str:
        return path.removeprefix(f"{self.protocol}://").removeprefix(self._root)


class _File:
    """An open file in which each thread has its own position.

    DuckDB reads one open file in several threads, each by a seek and then a read. With a shared position a thread
    would sometimes read where another one has moved it.
    """

    def __init__(self, file: Any) -> None:
        self._file = file
        self._here = threading.local()
        self.size: int = file.size()

    def seek(self, offset: int, whence: int = 0) -> int:
        self._here.place = offset + (0, self.tell(), self.size)[whence]
        return self.tell()

    def tell(self) -> int:
        place: int = getattr(self._here, "place", 0)
        return place

    def read(self, count: int = -1) -> bytes:
        length = self.size - self.tell() if count < 0 else count
        data: bytes = self._file.read_at(length, self.tell())
        self._here.place = self.tell() + len(data)
        return data

    def seekable(self) -> bool:
        return True

    def close(self) -> None:
        self._file.close()
