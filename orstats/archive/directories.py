"""The directories of an archive, one for each kind and host, and parts that lie elsewhere."""

from __future__ import annotations

import logging
from typing import Final
from urllib.parse import quote, unquote

from orstats.archive.part import PREFIX, PartSpec
from orstats.archive.storage import Store
from orstats.errors import ConfigError

logger = logging.getLogger(__name__)

SUFFIX: Final = ".parquet"
_HOST: Final = "host="


def host_directory(spec: PartSpec, host: str) -> str:
    """Return the directory of a host; no host name leads out of the archive.

    Host names are case-insensitive. Special characters are percent-encoded, as DuckDB, Polars and Spark expect it.

    >>> from orstats.archive.dataset import GENERATIONS
    >>> host_directory(GENERATIONS, "127.0.0.1:8000"), host_directory(GENERATIONS, "../../etc")
    ('generations/host=127.0.0.1%3A8000', 'generations/host=..%2F..%2Fetc')
    """
    if not host:
        raise ConfigError("host must be the host name of an API, such as openrouter.ai, got ''.")
    return f"{spec.folder}/{_HOST}{quote(host.lower(), safe='', errors='replace')}"


def has_suffix(name: str) -> bool:
    """Return whether a name ends as those of parts do; some systems write names in upper case."""
    return name.lower().endswith(SUFFIX)


def is_like_a_part(name: str) -> bool:
    """Return whether a file may be a part under another name: a backup, or a copy that did not finish."""
    lower = name.lower()
    return (lower.startswith(PREFIX) or SUFFIX in lower) and not lower.endswith(".crc")


def stored_hosts(store: Store, spec: PartSpec) -> list[str]:
    """Return the hosts that have a directory, sorted. Parts elsewhere are not read: a warning is logged."""
    entries = store.files(spec.folder)
    names = {entry.name for entry in entries if not entry.is_file}
    found = [unquote(name.removeprefix(_HOST)) for name in names if name.startswith(_HOST)]
    hosts = sorted(host for host in found if host and host_directory(spec, host).rpartition("/")[2] in names)
    known = {host_directory(spec, host) for host in hosts}
    for entry in entries:
        path = f"{spec.folder}/{entry.name}"
        if path in known or entry.is_hidden:
            continue
        if has_suffix(entry.name) if entry.is_file else any(map(has_suffix, store.tree(path))):
            logger.warning(
                "%s is ignored: it is not in the directory of a host, such as host=openrouter.ai. "
                "Move its files there, or out of the archive.",
                store.full(path),
            )
    return hosts


def misplaced_parts(store: Store, spec: PartSpec) -> list[str]:
    """Return the Parquet files that are in the directory of all hosts, or a copy of it, but not in that of a host.

    A copy of such a directory, an unpacked backup or a renamed host may contain what was to be deleted.
    """
    inside = tuple(f"{host_directory(spec, host)}/" for host in stored_hosts(store, spec))
    tops = [entry for entry in store.files("") if spec.folder in entry.name.lower()]
    paths = [path for top in tops for path in ([top.name] if top.is_file else store.tree(top.name))]
    return [path for path in paths if not path.startswith(inside) and is_parquet(store, path)]


def is_parquet(store: Store, path: str) -> bool:
    """Return whether a file of any name may contain what a part contains; so may one that cannot be opened."""
    try:
        with store.open(path) as file:
            return bool(file.read(4) == b"PAR1")
    except FileNotFoundError:
        return False
    except OSError:
        return True
