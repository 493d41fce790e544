"""Read generation ids from wherever they are: files, logs, tables, text, columns, lists."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, cast

from orstats.errors import IdSourceError
from orstats.ids.collector import IdCollector, id_of
from orstats.ids.column_values import ColumnChoiceError, check_column_name
from orstats.ids.id_shapes import API_KEY, SUFFIXES, invalid_id_kind, redact
from orstats.ids.missing_file import missing_file, near_files
from orstats.ids.sniff import file_chunks, read_path, read_source
from orstats.ids.source import Source
from orstats.ids.table_readers import is_dataframe, read_dataframe
from orstats.ids.text import search_text

if TYPE_CHECKING:
    import pandas as pd

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
    source : path, file, str, DataFrame or iterable
        Where the ids are:

        - *a path*: a text, log or mail file, CSV or TSV (any common delimiter), JSON or JSON Lines, HAR, Parquet,
          Feather, Arrow, an Excel workbook (``.xlsx``, all sheets; needs ``orstats[excel]``), or a SQLite database.
          Each may be in a zip or tar archive or compressed (gzip, bzip2, xz, zstd, lz4). Text may be UTF-8 or anything
          close to it, UTF-16 or UTF-32, also mixed in one file.
        - *a directory*, whose files are read in the order of their names, except hidden ones, or *a pattern* such as
          ``logs/**/*.log``.
        - *an open file*, text or binary, such as ``sys.stdin``. It is read to its end and left open.
        - *a text*. A string with several lines is a text. Any other string is the name of a file or a pattern if
          that exists, else a text if it contains an id and does not end like a file name, else an error.
        - *a Series, or any iterable* of texts, response objects or dictionaries with an id. Missing values are
          skipped.
        - *a DataFrame* of pandas or Polars, or an Arrow table, read like a table.
    column : str, optional
        The column of a table or database, or the field of JSON records (``response.id`` is nested). By default, the
        column whose name and values are those of ids, else the only one that contains ids, also inside links or
        JSON. JSON and databases are then searched as text.

    Returns
    -------
    list of str
        The distinct ids in order of first sight.

        Series and iterables keep their entries whatever their shape. JSON arrays of strings, and files with one word
        on every line, where ``#`` starts a comment, keep theirs if at least one begins like a generation id
        (``gen-``). Of a column, only the values that do are kept, and ids of known other kinds, such as
        ``chatcmpl-…``, which are reported but never requested; a column without any is refused unless it is called
        ``generation_id`` and no other column has ids. Quotes, invisible characters and links around an id are
        removed. API keys and words for a missing value (``NULL``, ``\N``, ``nan``) are skipped.
        Any other text, such as logs, prose, JSON and streamed responses, is searched for the known shapes of ids,
        whatever escapes are around them, and for ids in base64, hexadecimal and byte arrays. An empty source returns
        an empty list and issues a warning.

    Raises
    ------
    IdSourceError
        The file is missing, unreadable, broken or of an unknown format; the column you named does not exist
        or holds no ids, or you must name one (then the error is a :class:`ConfigError` too); or a text or table
        contains ids of another kind only, such as ``chatcmpl-…``. ``path`` and ``line`` say where. Files in a
        directory or archive that cannot be read are named in a warning instead.
    MissingExtraError
        The source is a workbook, and openpyxl is not installed.
    TypeError
        The source, or one of its elements, is none of the above. The message gives the element's position.

    Warns
    -----
    IdSourceWarning
        Values or files were skipped, or the source contains ids of other kinds.

    Notes
    -----
    Text is read in pieces, so memory grows with the distinct ids only, except for Excel, and for JSON read with a
    column that is one document instead of lines.

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
    check_column_name(column)
    found = IdCollector()
    if isinstance(source, str):
        return _read_str(source, found, column)
    if isinstance(source, os.PathLike):
        return _read_named(os.fspath(source), found, column, is_name=True)
    if is_dataframe(source):  # first, because a column may be called "read"
        read_dataframe(source, found, column=column)
        return found.finish("the DataFrame")
    if hasattr(source, "read") and not type(source).__module__.startswith("pandas"):
        file = cast("IO[bytes]", source)
        where = file.name if isinstance(getattr(file, "name", None), str) else "the file"
        read_source(Source(file_chunks(file), where), found, column=column)
        return found.finish(where)
    values: Any = source
    if hasattr(values, "to_pylist"):
        values = values.to_pylist()  # Arrow
    elif isinstance(source, Mapping) or id_of(source) is not None:
        values = [source]  # one response
    if isinstance(source, bytes | bytearray) or not isinstance(values, Iterable):
        raise TypeError(f"source must be a path, a text, a Series or a list of ids, got {type(source).__name__}.")
    if column is not None:
        raise ColumnChoiceError("column= needs a table, got a series or list of ids")
    found.add_listed(found.texts(values))
    return found.finish("the list")


def _read_str(source: str, found: IdCollector, column: str | None) -> list[str]:
    """Tell a text from the name of a file, by the rule in `read_ids`."""
    text = source.encode("utf-8", "replace")
    is_text = not source.strip() or any(character in source for character in "\n\r\0")
    is_file = not is_text and _exists(_path(source))
    if is_text or (not is_file and _JSON_START.match(source)):
        read_source(Source([text], "the text"), found, column=column)
        return found.finish("the text")
    if not is_file and column is None and not _FILE_NAME.fullmatch(source.strip()):
        search_text([text], found)
        if not found.ids and _ONE_ID.fullmatch(source.strip()):
            found = IdCollector()
            found.add_listed([source])
        if found.ids:
            return found.finish("the text")
    return _read_named(source, found, column)


def _path(name: str) -> Path:
    return Path(os.path.expanduser(name))  # noqa: PTH111 - Path's own raises for a text that starts with ~


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # such as too long for a name: then it is a text
        return False


def _read_named(name: str, found: IdCollector, column: str | None, *, is_name: bool = False) -> list[str]:
    """Read a file, a directory, or the files that a pattern matches; without `is_name`, it may have been a text."""
    path = _path(name)
    if not _exists(path):
        matches = _matches(path, found)
        if not matches:
            raise missing_file(name) if is_name else _missing(name, found, column)
        for match in matches:
            read_path(str(match), found, column=column)
    elif path.is_dir():
        found.read_each(_files_in(path, found), lambda file: read_path(str(file), found, column=column), name)
    else:
        read_path(str(path), found, column=column)
    return found.finish(name, path=name)


def _missing(name: str, found: IdCollector, column: str | None) -> IdSourceError:
    if found.foreign:
        return found.only_foreign("the text")
    is_word = not any(map(str.isspace, name.strip()))
    if _FILE_NAME.fullmatch(name.strip()) or (is_word and ("/" in name or os.sep in name or near_files(name))):
        return missing_file(name)
    advice = "as text, it contains no generation id" if column is None else "a text needs a header line for column="
    path = None if invalid_id_kind(name) == API_KEY else name
    return IdSourceError(f"no such file: {redact(name)}; {advice}", path=path)


def _matches(pattern: Path, found: IdCollector) -> list[Path]:
    """Return the files that match a pattern, and those in matching directories."""
    names = sorted(map(Path, glob.glob(str(pattern), recursive=True)))  # noqa: PTH207 - takes absolute patterns
    files = (file for path in names for file in (_files_in(path, found) if path.is_dir() else [path]))
    return list(dict.fromkeys(files))


def _files_in(directory: Path, found: IdCollector) -> list[Path]:
    """Return the files in a directory and below it, sorted, except hidden ones."""

    def skipped(error: OSError) -> None:
        found.notes.append(f"{error.filename}: folder skipped: {error.strerror}")

    files: list[Path] = []
    for folder, below, names in os.walk(directory, onerror=skipped):
        below[:] = [name for name in below if not name.startswith(".")]
        paths = [Path(folder, name) for name in names if not name.startswith(".")]
        files += [path for path in paths if path.is_file()]
    return sorted(files)
