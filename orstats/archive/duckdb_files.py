"""An archive in an object store, as DuckDB reads files: through fsspec, which asks pyarrow."""

from __future__ import annotations

import datetime as dt
import secrets
import threading
from typing import TYPE_CHECKING, Any

from fsspec import AbstractFileSystem

from orstats.archive.storage import Store

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


def mount(connection: DuckDBPyConnection, store: Store) -> str:
    """Let a connection read the files of a store; return what to put before :meth:`Store.full` of their paths."""
    # A name of its own: two archives with different credentials may be read by one connection.
    files = _Files(f"orstats-{secrets.token_hex(8)}", store)
    connection.register_filesystem(files)
    return f"{files.protocol}://"


class _Files(AbstractFileSystem):  # type: ignore[misc]  # fsspec has no types
    """Whole files that never change."""

    cachable = False

    def __init__(self, protocol: str, store: Store) -> None:
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
    """An open file in which each thread has a place of its own.

    DuckDB reads one open file in several threads, each time by a seek and then a read: with one place for all of them
    a thread would now and then read where another one had gone.
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
        wanted = self.size - self.tell() if count < 0 else count
        data: bytes = self._file.read_at(wanted, self.tell())
        self._here.place = self.tell() + len(data)
        return data

    def seekable(self) -> bool:
        return True

    def close(self) -> None:
        self._file.close()
