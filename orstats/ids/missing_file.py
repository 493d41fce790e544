"""The error for a file that does not exist, with the names of files that do."""

from __future__ import annotations

import glob
import os
from pathlib import Path

from orstats.errors import IdSourceError
from orstats.ids.id_shapes import API_KEY, invalid_id_kind, redact
from orstats.text.suggest import did_you_mean, similar


def near_files(name: str) -> list[str]:
    """Return the files in the same folder whose names are most similar."""
    path = Path(name)
    try:
        names = sorted(one for one in os.listdir(path.parent) if not one.startswith("."))  # noqa: PTH208 - names only
    except OSError:
        return []
    return [str(path.with_name(one)) for one in similar(path.name, names)]


def missing_file(name: str) -> IdSourceError:
    """Return the error for a file, a folder or a pattern that does not exist."""
    if invalid_id_kind(name) == API_KEY:
        return IdSourceError(f"no such file: {redact(name)}")
    if glob.has_magic(name):
        return IdSourceError(f"no such file: nothing matches {redact(name)}.", path=name)
    return IdSourceError(f"no such file: {redact(name)}.{did_you_mean(near_files(name))}", path=name)
