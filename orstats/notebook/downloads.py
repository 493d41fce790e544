"""Files of the filtered rows, for the browser's downloads."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from io import BytesIO, StringIO
from typing import Final, Literal

import pandas as pd

from orstats.export.workbook import write_workbook
from orstats.export.write_csv import write_csv

Format = Literal["csv", "xlsx"]

MIME_TYPES: Final[dict[Format, str]] = {
    "csv": "text/csv;charset=utf-8",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}
#: Servers refuse very large messages.
_PART_BYTES: Final = 2_000_000


def file_name(ending: str) -> str:
    """Return a name that no earlier file has."""
    return f"orstats-filtered-{datetime.now(UTC):%Y%m%d-%H%M%S-%f}.{ending}"


def file_bytes(frame: pd.DataFrame, kind: Format) -> bytes:
    """Return the same file as :func:`orstats.write_csv` writes.

    Raises
    ------
    MissingExtraError
        ``.xlsx`` needs ``orstats[excel]``.
    ExportError
        More rows than a sheet holds.
    """
    if kind == "csv":
        text = StringIO()
        write_csv(frame, text)
        return text.getvalue().encode()
    file = BytesIO()
    write_workbook(frame, file, "the download")
    return file.getvalue()


def parts(data: bytes) -> Iterator[bytes]:
    """Return a file in parts, at least one."""
    for start in range(0, max(len(data), 1), _PART_BYTES):
        yield data[start : start + _PART_BYTES]
