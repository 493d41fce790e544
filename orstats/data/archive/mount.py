"""An archive in an object store, as DuckDB reads files: through fsspec, which asks pyarrow."""

from __future__ import annotations

import datetime as dt
import secrets
from typing import TYPE_CHECKING, Any

from fsspec import AbstractFileSystem

from orstats.data.archive.store import Store

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
        file = self._store.open(self._inside(path))
        self._sizes[path] = file.size()
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
