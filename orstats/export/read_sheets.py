"""The sheets of a workbook, as rows of cells."""

from __future__ import annotations

import zipfile
from typing import Any

from orstats.errors import IdSourceError, MissingExtraError
from orstats.ids.source import Source


def read_sheets(source: Source) -> dict[str, list[tuple[Any, ...]]]:
    """Return the rows of each sheet by its title; rows may have different lengths."""
    try:
        from openpyxl import load_workbook  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise MissingExtraError("Reading .xlsx", extra="excel") from error
    with zipfile.ZipFile(source.file) as archive:
        source.count_unpacked(sum(member.file_size for member in archive.infolist()), source.where)
    try:
        book = load_workbook(source.file, read_only=True, data_only=True)
        sheets = {}
        for sheet in book.worksheets:
            sheet.reset_dimensions()  # some writers store a wrong size
            sheets[sheet.title] = list(sheet.iter_rows(values_only=True))
    except Exception as error:  # openpyxl raises whatever a broken file leads to: KeyError, ParseError …
        raise IdSourceError(f"{source.where}: not a readable .xlsx workbook: {error}") from error
    return sheets
