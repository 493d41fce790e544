"""Read generation ids from wherever they are: files, logs, tables, text, columns, lists."""

from __future__ import annotations

import functools
import glob
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, cast

from orstats.errors import IdSourceError
from orstats.ids.collector import IdCollector
from orstats.ids.decompression import read_each
from orstats.ids.formats import API_KEY, id_created_at, invalid_id_kind, redact
from orstats.ids.sniff import SUFFIXES, file_chunks, read_chunks, read_path
from orstats.ids.tables import id_of, is_table, read_table, texts
from orstats.ids.text import search_text

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["id_created_at", "invalid_id_kind", "read_ids"]

_FILE_NAME = re.compile(r"(?!\S*://)\S*(?:" + "|".join(map(re.escape, SUFFIXES)) + ")", re.IGNORECASE)
_ONE_ID = re.compile(r"gen[-_][A-Za-z0-9_.:~@-]+")
_JSON_START = re.compile(r"\s*(?:\{\s*\"|\[\s*[\"{])")


def read_ids(
    source: str | os.PathLike[str] | IO[str] | IO[bytes] | pd.DataFrame | Iterable[Any],
    *,
    column: str | None = None,
) -> list[str]:
    r"""Collect generation ids from a file, a stream, a text, a column or a list.

    Parameters
    ----------
    source
        Where the ids are:

        - *a path*: a text, log or mail file, CSV or TSV (any common delimiter), JSON or JSON Lines, HAR, Parquet,
          Feather, an Excel workbook (``.xlsx``, all sheets; needs ``orstats[excel]``), a SQLite database; any of
          these in a zip or tar archive or compressed (gzip, bzip2, xz, zstd, lz4); a directory, all of whose files
          are read in the order of their names, except hidden ones; or a pattern such as ``logs/**/*.log``. Text may
          be UTF-8 or anything close to it, UTF-16 or UTF-32, also one after the other.
        - *an open file*, text or binary, such as ``sys.stdin``. It is read to its end and left open.
        - *a text*. A string is a text if it has several lines; else it names a file if there is one, or files if
          it is a pattern that matches; else it is a text if it holds an id and does not end like a file name;
          else it is an error that names the missing file.
        - *a Series, or any iterable of texts, response objects or dictionaries with an id*; missing values are
          skipped. Also a DataFrame of pandas or Polars, or an Arrow table, read like a table.
    column
        The column of a table or database, or the field of JSON records (dots lead inwards: ``response.id``). None
        takes a column named like and holding ids, else the only one that holds ids, also inside of links or JSON;
        JSON and databases are searched as text.

    Returns
    -------
    list of str
        The distinct ids in order of first sight.

        Lists keep their entries whatever their shape: series, iterables, chosen columns, JSON arrays of strings,
        and files with one word on every line, where ``#`` starts a comment. Quotes, invisible characters and links
        around an id are removed. API keys and words for a missing value (``NULL``, ``\N``, ``nan``) are skipped.
        Any other text is searched for the known shapes of ids, so that logs, prose, JSON and streamed answers
        can be given as they are, whatever escapes stand around the ids; ids in base64, hexadecimal and byte arrays
        are found, too. An empty source gives an empty list and a warning.

    Raises
    ------
    IdSourceError
        The file is missing, unreadable, broken or of no known kind; the column is not there or not clear; or a
        text holds ids of another kind only, such as ``chatcmpl-…``. ``path`` and ``line`` say where. A directory
        is read as far as it can be: files that cannot be read are named in a warning.
    MissingExtraError
        A workbook is given and openpyxl is not installed.
    TypeError
        The source, or an element of it, is not one of the above; the message names the element's position.

    Notes
    -----
    What was skipped, and how many ids of other kinds were met, is told by warnings of the category
    `orstats.errors.IdSourceWarning`. Text is read in pieces, so memory grows with the distinct ids only, except for
    Excel, and for JSON given with a column that is one document instead of lines.

    Examples
    --------
    >>> read_ids("2026-11-23 INFO done id=gen-1790000000-AbCdEfGhIjKlMnOpQrSt tokens=12")
    ['gen-1790000000-AbCdEfGhIjKlMnOpQrSt']
    >>> read_ids(["gen-b", " gen-a ", "gen-b"])
    ['gen-b', 'gen-a']
    >>> import pandas as pd
    >>> read_ids(pd.DataFrame({"id": ["gen-b", None], "cost": [0.25, 0.5]}))
    ['gen-b']
    """
    found = IdCollector()
    if isinstance(source, str):
        return _read_str(source, found, column)
    if isinstance(source, os.PathLike):
        return _read_named(os.fspath(source), found, column)
    if is_table(source):  # first, because a column may be called "read"
        read_table(source, found, column=column)
        return found.finish("the frame")
    if hasattr(source, "read") and not type(source).__module__.startswith("pandas"):
        file = cast("IO[bytes]", source)
        where = file.name if isinstance(getattr(file, "name", None), str) else "the file"
        read_chunks(file_chunks(file), found, column=column, where=where)
        return found.finish(where)
    values: Any = source
    if hasattr(values, "to_pylist"):
        values = values.to_pylist()  # Arrow
    elif isinstance(source, Mapping) or id_of(source) is not None:
        values = [source]  # one response
    if isinstance(source, bytes | bytearray) or not isinstance(values, Iterable):
        message = f"ids cannot be read from {type(source).__name__}; give a path, a text, a Series or a list of ids"
        raise TypeError(message)
    if column is not None:
        raise IdSourceError("column= chooses from a table; a series or list of ids has none")
    found.add_listed(texts(values, found))
    return found.finish("the list")


def _read_str(source: str, found: IdCollector, column: str | None) -> list[str]:
    """Tell a text from the name of a file; the rule is documented in `read_ids`."""
    text = source.encode("utf-8", "replace")
    if not source.strip() or any(character in source for character in "\n\r\0"):
        read_chunks([text], found, column=column, where="the text")
        return found.finish("the text")
    if _exists(_path(source)):
        return _read_named(source, found, column)
    if _JSON_START.match(source):
        read_chunks([text], found, column=column, where="the text")
        return found.finish("the text")
    if column is None and not _FILE_NAME.fullmatch(source.strip()):
        search_text([text], found)
        if found.ids:
            return found.finish("the text")
        if _ONE_ID.fullmatch(source.strip()):
            alone = IdCollector()
            alone.add_listed([source])
            return alone.finish("the text")
    return _read_named(source, found, column)


def _path(name: str) -> Path:
    return Path(os.path.expanduser(name))  # noqa: PTH111 - Path's own raises for a text that starts with ~


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # too long for a name, say: then it is a text
        return False


def _read_named(name: str, found: IdCollector, column: str | None) -> list[str]:
    """Read a file, a directory, or the files that a pattern matches."""
    path = _path(name)
    if not _exists(path):
        matches = _matches(path, found)
        if not matches:
            raise _missing(name, found, column)
        for match in matches:
            read_path(str(match), found, column=column)
    elif path.is_dir():
        read_each(
            (functools.partial(read_path, str(file), found, column=column) for file in _files_in(path, found)),
            found,
            name,
        )
    else:
        read_path(str(path), found, column=column)
    return found.finish(name, path=name)


def _missing(name: str, found: IdCollector, column: str | None) -> IdSourceError:
    """Make the error for what names no file; a text with ids of another kind gets the better word."""
    if found.foreign:
        return found.only_foreign("the text")
    text = "it holds no generation id either" if column is None else "a text needs a header line for column="
    message = f"no such file: {redact(name)}; {text}"
    return IdSourceError(message, path=None if invalid_id_kind(name) == API_KEY else name)


def _matches(pattern: Path, found: IdCollector) -> list[Path]:
    """Give the files that a pattern matches, those in matched directories too."""
    names = glob.glob(str(pattern), recursive=True)  # noqa: PTH207 - Path.glob takes no absolute pattern
    files: dict[Path, None] = {}
    for path in sorted(map(Path, names)):
        files.update(dict.fromkeys(_files_in(path, found) if path.is_dir() else [path]))
    return list(files)


def _files_in(directory: Path, found: IdCollector) -> list[Path]:
    """Give the files of a directory and those below it, sorted; hidden ones are left out."""

    def skipped(error: OSError) -> None:
        found.notes.append(f"{error.filename}: folder skipped: {error.strerror}")

    files: list[Path] = []
    for folder, below, names in os.walk(directory, onerror=skipped):
        below[:] = [name for name in below if not name.startswith(".")]
        paths = [Path(folder, name) for name in names if not name.startswith(".")]
        files += [path for path in paths if path.is_file()]
    return sorted(files)
