"""Write local files that appear whole or not at all, for the archive, exports and the command line."""

from __future__ import annotations

import errno
import logging
import os
import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, Final

logger = logging.getLogger(__name__)

#: What the system reports when the disk, a quota or the size limit of files is exhausted.
FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
#: What network file systems report for a call that they do not support.
UNSUPPORTED: Final = frozenset(
    {errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOTTY, errno.EBADF, errno.EPERM, errno.EXDEV}
)


@contextmanager
def atomic_write(
    path: Path,
    *,
    opener: Callable[[str, int], int] | None = None,
    warn: Callable[[str], None] = logger.warning,
) -> Iterator[IO[bytes]]:
    """Open a temporary file beside ``path``; sync it to disk and rename it at the end, or delete it after an error.

    ``warn`` receives what the file system cannot do, when that does not stop the file from being written.
    """
    temporary = path.with_name(f".{path.name[:200]}.{secrets.token_hex(4)}.tmp")
    try:
        with open(temporary, "x+b", opener=opener) as file:
            yield file
            file.flush()
            try:
                os.fsync(file.fileno())  # some disks report only now that they are full
            except OSError as error:
                if error.errno not in UNSUPPORTED:
                    raise
                warn(f"{path.parent} cannot make files durable ({error.strerror or error})")
        try:
            temporary.replace(path)
        except OSError as error:
            if error.errno not in UNSUPPORTED or path.exists():
                raise
            warn(f"{path.parent} cannot rename files ({error.strerror or error})")
            _copy(temporary, path, opener)
    except BaseException:
        with suppress(OSError):
            temporary.unlink()
        raise


def _copy(temporary: Path, path: Path, opener: Any) -> None:
    """Do without a rename, as some mounted object stores must: there the file appears whole when it is closed."""
    try:
        with temporary.open("rb") as source, open(path, "xb", opener=opener) as file:
            shutil.copyfileobj(source, file)
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    with suppress(OSError):
        temporary.unlink()
