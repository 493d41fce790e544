"""DataFrames and reports as Excel workbooks: formatted, with totals, and with a sheet that says what they cover."""

from __future__ import annotations

import datetime as dt
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import accumulate
from textwrap import wrap
from types import MappingProxyType
from typing import IO, Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from orstats._version import __version__
from orstats._warn import warn_caller
from orstats.errors import ExportError, MissingExtraError
from orstats.export.csv_cells import arrow_array, iso_times, named_columns, one_value
from orstats.frame import money
from orstats.frame.build import USER_COLUMNS
from orstats.frame.column_units import COMMON_NAMES, Unit, heading, is_additive, unit, words
from orstats.frame.display import ReportFrame
from orstats.frame.schema import FIELDS, ID
from orstats.reports.coverage import coverage, provenance
from orstats.reports.periods import PERIOD
from orstats.text.format import is_present
from orstats.text.sanitize import NO_VALUE
from orstats.text.workbook_totals import COVERAGE, EXCLUDED, TOTAL

#: Rows of a sheet, less the header, an empty row, the totals and the note.
MAX_ROWS: Final = 1_048_576 - 4
#: The longest text of a cell, in UTF-16 units, and the largest number that keeps all its digits.
_MAX_TEXT: Final = 32_767
_MAX_DIGITS: Final = 10**15
_CUT: Final = " … [cut: {:,} characters do not fit]"
# Characters that XML cannot hold.
_NOT_IN_XML: Final = r"[\x00-\x08\x0b\x0c\x0e-\x1f\x{fffe}\x{ffff}]"
# Excel counts a 29 February 1900 that did not exist, so only later days have an unambiguous number.
_FIRST_DAY: Final = dt.date(1900, 3, 1)
_EPOCH: Final = np.datetime64("1899-12-30", "us")
_FIRST: Final = np.datetime64("1900-03-01", "us")
_END: Final = np.datetime64("10000-01-01", "us")
_DAY_US: Final = 86_400_000_000
_SLICE: Final = 20_000
_TIME: Final = "yyyy-mm-dd hh:mm:ss"
#: The formats of periods that Excel can hold as days; others are text.
_PERIODS: Final[Mapping[str, str]] = MappingProxyType({"day": "yyyy-mm-dd", "week": "yyyy-mm-dd", "month": "yyyy-mm"})
_FORMATS: Final[Mapping[Unit, str]] = MappingProxyType(
    {
        "USD/Mtok": "$#,##0.000;-$#,##0.000;$0",
        "share": "0.0 %",
        "ms": "#,##0",
        "tokens/s": "#,##0.0",
        "times": "#,##0.00",
        "s": "#,##0.0",
        "count": "#,##0",
        "id": "0",
    }
)
# Without it, LibreOffice shows flags as 1 and 0.
_FLAG: Final = '"TRUE";"TRUE";"FALSE"'
_MOST_PLACES: Final = 10
#: Amounts of groups have at most as many decimals as where reports are shown.
_MOST_REPORT_PLACES: Final = 6
_SHARE_UNIT: Final = "share 0..1"
#: The least width of a column, the most for texts that fit, such as the hash of a key, and that of longer texts.
_WIDTHS: Final = (8, 70, 50)
_FILTER_BUTTON: Final = 4
#: The width of the facts on the sheet ``coverage``, in characters, and the height of a line, in points.
_FACT_WIDTH: Final = 44
_LINE: Final = 15
#: As many characters as can be read when a sheet is printed one page wide. Of a wider one the first columns are.
_PRINTED_WIDTH: Final = 320
#: Rows below a table: an empty one, the totals, and the note about them.
_ROWS_BELOW: Final = 3
#: Without the indent, a text touches the number in the cell before it.
_LEFT: Final[Mapping[str, Any]] = MappingProxyType({"align": "left", "indent": 1})
_RIGHT: Final[Mapping[str, Any]] = MappingProxyType({"align": "right"})

_MEANINGS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "asked": "ids requested",
        "ok": "ids with a record",
        "pending": "ids whose record is not yet available; excluded from all sums",
        "missing": "ids without a record because the request failed; excluded from all sums",
        "cost_unknown": "generations whose cost is unknown; excluded from sums of cost",
        "byok": "generations with your own provider keys (bring your own key)",
        "byok_share": "their share of the generations with a record",
        "unreadable_files": "archive files that cannot be read; their records are missing",
        "duplicates": "rows that repeat an id; sums count them twice",
        "freq": "length of the periods",
        "tz": "time zone of the periods; other times are in UTC",
        "before_start": "start of the period before (UTC)",
        "before_end": "end of the period before, exclusive (UTC)",
        "after_start": "start of the period after (UTC)",
        "after_end": "end of the period after, exclusive (UTC)",
        "note": "what the report says about itself",
        "source": "where the records or figures come from",
        "since": "start of the requested range (UTC)",
        "until": "end of the requested range, exclusive (UTC)",
        "first_created_at": "creation time of the earliest generation (UTC)",
        "last_created_at": "creation time of the latest generation (UTC)",
        "written_at": "when this file was written (UTC)",
        "orstats_version": "version that wrote this file",
    }
)


def check_workbook(rows: int, path: str) -> Any:
    """Check that a workbook of so many rows can be written, and return the library that writes it."""
    try:
        import xlsxwriter  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise MissingExtraError("Writing .xlsx", extra="excel") from error
    if rows > MAX_ROWS:
        raise ExportError(f"{path}: a sheet holds {MAX_ROWS:,} rows, got {rows:,}; write .csv or .parquet.", path=path)
    return xlsxwriter


def write_workbook(frame: pd.DataFrame, file: IO[bytes], path: str) -> None:
    """Write a DataFrame to an open file: a sheet with its rows and totals, and the sheet ``coverage``."""
    library = check_workbook(len(frame), path)
    covered = _coverage(frame)
    with tempfile.TemporaryDirectory() as scratch:
        # With constant memory, rows go to a temporary file at once. In memory a workbook takes several times its size.
        book = library.Workbook(file, {"constant_memory": True, "tmpdir": scratch})
        sheet = _Sheet(book, _sheet_name(frame))
        columns = _columns(frame, covered.get("tz"), covered.get("freq"))
        sheet.write_table(columns, len(frame), _note(covered, columns))
        about = _Sheet(book, COVERAGE)
        about.write_coverage(covered)
        book.close()
    if cut := sheet.texts_cut + about.texts_cut:
        warn_caller(
            f"{path}: {cut:,} texts were cut at {_MAX_TEXT:,} characters, the most that a cell of a workbook holds. "
            "Write .csv or .jsonl to keep the complete texts."
        )


def _sheet_name(frame: pd.DataFrame) -> str:
    if "coverage" not in frame.attrs and ID.name in (frame.index.name, *frame.columns):
        return "generations"
    return "report" if "coverage" in frame.attrs or isinstance(frame, ReportFrame) else "table"


@dataclass(frozen=True, slots=True)
class _Column:
    """A column of a sheet, with the sum of its known numbers; in a summary each row has a format of its own."""

    heading: str
    series: pd.Series[Any]
    number_format: str
    width: float
    total: float | None
    is_period: bool
    row_formats: list[str] | None
    of_user: bool


def _columns(frame: pd.DataFrame, zone: str | None, freq: str | None) -> list[_Column]:
    in_report = not _is_fetched(frame)
    named = [(name, _for_people(name, values, frame)) for name, values in named_columns(frame)]
    own = frame.attrs.get(USER_COLUMNS, ())
    names = ["" if name in own else name for name, _ in named]
    headings = [
        title
        if title in own
        else f"Period ({zone})"
        if title == PERIOD and zone is not None
        else words(title).capitalize()
        if title in COMMON_NAMES and isinstance(frame, ReportFrame)
        else heading(title, in_report=in_report)
        for title, _ in named
    ]
    # All amounts of a sheet have the same number of decimals.
    amounts = [_places(values) for name, (_, values) in zip(names, named, strict=True) if unit(name) == "USD"]
    most = _MOST_REPORT_PLACES if isinstance(frame, ReportFrame) else money.PLACES
    places = min(max([2, *amounts]), most)
    columns = []
    for name, (label, values), text in zip(names, named, headings, strict=True):
        title = text if headings.count(text) == 1 else label
        period_format = _PERIODS.get(str(freq)) if name == PERIOD else None
        number_format = period_format or _number_format(name, values, places)
        numbers = values.dropna() if _is_number(values) and is_additive(name) else values[:0]
        total = None if numbers.empty else money.total(numbers)
        if values.dtype.kind == "M" and name not in FIELDS and getattr(values.dtype, "tz", None) is not None:
            title = f"{title} (UTC)"
        width = _width(title, values, number_format, total)
        row_formats = None
        if name == "value" and names[0] == "figure":
            figures = list(zip(named[0][1], values, strict=True))
            used = [_places(pd.Series([value])) for figure, value in figures if unit(figure) == "USD"]
            of_figures = min(max([2, *used]), most)
            row_formats = [_number_format(figure, pd.Series([value]), of_figures) for figure, value in figures]
        columns.append(
            _Column(title, values, number_format, width, total, period_format is not None, row_formats, label in own)
        )
    return columns


def _for_people(name: str, values: pd.Series[Any], frame: pd.DataFrame) -> pd.Series[Any]:
    """Return a column of a report with a name for the group without a value."""
    if name == "unit" and frame.index.name == "figure":
        return values.replace(_SHARE_UNIT, "share")  # whose format is a percentage
    if isinstance(frame, ReportFrame) and name in frame.index.names and values.isna().any():
        return values.astype(object).where(values.notna(), NO_VALUE)
    return values


def _is_number(values: pd.Series[Any]) -> bool:
    return bool(pd.api.types.is_numeric_dtype(values.dtype) and not pd.api.types.is_bool_dtype(values.dtype))


def _number_format(name: str, values: pd.Series[Any], places: int) -> str:
    if isinstance(values.dtype, pd.DatetimeTZDtype) or values.dtype.kind == "M":
        return _PERIODS.get(name, _TIME)
    if not _is_number(values):
        return "General"
    measure = unit(name)
    if measure in _FORMATS:
        return _FORMATS[measure]
    if measure == "USD":
        return f"$#,##0.{'0' * places};-$#,##0.{'0' * places};$0"
    places = _places(values)
    return f"0.{'0' * places}" if places else "0"


def _places(values: pd.Series[Any]) -> int:
    """Return the number of decimals that shows all values exactly, or else four digits of the smallest."""
    numbers = np.abs(values.dropna().to_numpy(dtype="float64"))
    numbers = np.unique(numbers[np.isfinite(numbers) & (numbers > 0)])
    if not len(numbers):
        return 0
    for places in range(_MOST_PLACES):
        if np.allclose(numbers, np.round(numbers, places), rtol=1e-15, atol=10.0**-money.PLACES / 2):
            return places
    return int(np.clip(3 - np.floor(np.log10(numbers[0])), 0, money.PLACES))


def _width(title: str, values: pd.Series[Any], number_format: str, total: float | None) -> float:
    """Estimate how wide a column is in characters."""
    least, most, cut = _WIDTHS
    longest = 0
    array = arrow_array(values)
    if array is not None and (pa.types.is_string(array.type) or pa.types.is_large_string(array.type)):
        longest = pc.max(pc.utf8_length(array)).as_py() or 0
    elif array is None:
        longest = max((len(str(value)) for value in values.head(1000)), default=0)
    elif _is_number(values):
        numbers = np.abs(values.dropna().to_numpy(dtype="float64"))
        largest = max([*numbers[np.isfinite(numbers)], total or 0.0, 1.0])
        decimals = number_format.partition(";")[0].partition(".")[2]
        longest = len(f"{largest:,.0f}") + (len(decimals) + 1 if decimals else 0) + 2
    elif pa.types.is_timestamp(array.type):
        longest = len(_TIME)
    width = max(longest + 2, len(title) + _FILTER_BUTTON, least)
    return float(width if width <= most else cut)


class _Sheet:
    """A sheet that is written from top to bottom. Text stays text: never a formula, number or link."""

    def __init__(self, book: Any, name: str) -> None:
        self._sheet = book.add_worksheet(name)
        self._book = book
        self._formats: dict[tuple[Any, ...], Any] = {}
        self.texts_cut = 0
        self._flag = self._format(num_format=_FLAG, **_LEFT)
        # Without the prefix, a spreadsheet would run the text once the cell is edited.
        self._text = self._format(quote_prefix=True, **_LEFT)

    def _format(self, **properties: Any) -> Any:
        key = tuple(properties.items())
        if key not in self._formats:
            self._formats[key] = self._book.add_format(properties)
        return self._formats[key]

    def write_table(self, columns: list[_Column], rows: int, note: str) -> None:
        sheet = self._sheet
        for place, column in enumerate(columns):
            sheet.set_column(place, place, column.width)
        sheet.freeze_panes(1, 0)
        sheet.ignore_errors({"number_stored_as_text": "A1:XFD1048576"})
        if columns:
            sheet.autofilter(0, 0, rows, len(columns) - 1)
        sheet.repeat_rows(0)
        sheet.set_landscape()
        sheet.fit_to_pages(1, 0)
        fitting = sum(width <= _PRINTED_WIDTH for width in accumulate(column.width for column in columns))
        if fitting < len(columns):
            sheet.print_area(0, 0, rows + _ROWS_BELOW, max(fitting, 1) - 1)
        header = {"bold": True, "bottom": 1, "bg_color": "#F2F2F2", "quote_prefix": True}
        for place, column in enumerate(columns):
            style = self._format(**header, **(_RIGHT if column.row_formats else _alignment(column.number_format)))
            self._put(0, place, self._fitting(column.heading), style)
        formats = [
            [
                self._format(num_format=one, **(_RIGHT if column.row_formats else _alignment(one)))
                for one in column.row_formats or [column.number_format]
            ]
            for column in columns
        ]
        for start in range(0, rows, _SLICE):
            cells = [self._cells(column, start) for column in columns]
            for row, line in enumerate(zip(*cells, strict=True), start + 1):
                for place, value in enumerate(line):
                    if value is not None:
                        styles = formats[place]
                        self._put(row, place, value, styles[0] if len(styles) == 1 else styles[row - 1])
        if any(column.total is not None for column in columns):
            self._write_totals(columns, rows, note)

    def write_coverage(self, covered: Mapping[str, Any]) -> None:
        for place, width in enumerate((20, _FACT_WIDTH, 65)):
            self._sheet.set_column(place, place, width)
        self._sheet.set_landscape()
        self._sheet.fit_to_pages(1, 0)
        top = {"valign": "top"}  # as the source may need several lines
        for row, (name, value) in enumerate(covered.items()):
            if isinstance(value, str) and len(value) > _FACT_WIDTH:
                # LibreOffice does not make room for several lines by itself.
                self._sheet.set_row(row, _LINE * len(wrap(value, _FACT_WIDTH - 4)))
            self._put(row, 0, self._fitting(name), self._format(bold=True, quote_prefix=True, **top))
            if isinstance(value, pd.Timestamp):
                (cell,) = _serials(pa.array([value]))
                self._put(row, 1, cell, self._format(num_format=_TIME, **_LEFT, **top))
            elif (cell := _value(value)) is not None:
                shown = "0.0 %" if name == "byok_share" else "#,##0"
                is_text = {"quote_prefix": True, "text_wrap": True} if isinstance(cell, str) else {"num_format": shown}
                self._put(row, 1, self._fitting(cell), self._format(**is_text, **_LEFT, **top))
            self._put(row, 2, _MEANINGS.get(name, ""), self._format(quote_prefix=True, **_LEFT, **top))

    def _write_totals(self, columns: list[_Column], rows: int, note: str) -> None:
        """Sum what the filter shows, below an empty row, which keeps the totals out of sorting and filtering."""
        from xlsxwriter.utility import xl_rowcol_to_cell  # noqa: PLC0415 - an extra

        labels = [
            at for at, column in enumerate(columns) if column.total is None and column.heading != heading(ID.name)
        ]
        if labels:
            self._put(rows + 2, labels[0], TOTAL, self._format(bold=True, top=1, quote_prefix=True, **_LEFT))
        for place, column in enumerate(columns):
            style = self._format(bold=True, top=1, num_format=column.number_format)
            if column.total is not None:
                cells = f"{xl_rowcol_to_cell(1, place)}:{xl_rowcol_to_cell(rows, place)}"
                formula = f'=IF(SUBTOTAL(102,{cells})=0,"",SUBTOTAL(109,{cells}))'
                self._sheet.write_formula(rows + 2, place, formula, style, column.total)
            elif place not in labels[:1]:
                self._sheet.write_blank(rows + 2, place, None, style)
        if labels and note:
            self._put(rows + 3, labels[0], note, self._format(italic=True, quote_prefix=True, **_LEFT))

    def _cells(self, column: _Column, start: int) -> list[Any]:
        """Return a slice of a column as text, numbers, flags and None."""
        values = column.series.iloc[start : start + _SLICE]
        cells: list[Any]
        if column.is_period:
            return [_day(name) for name in values]
        array = arrow_array(values)
        if array is None:
            missing = values.isna().to_list()
            keep = _is_local_time if column.of_user else _is_never
            cells = [
                None if gone else value if keep(value) else _value(value)
                for gone, value in zip(missing, values.to_list(), strict=True)
            ]
            for place, one in enumerate((column.row_formats or [])[start : start + _SLICE]):
                if one == _TIME and cells[place] is not None:
                    (cells[place],) = _serials(pa.array([values.iloc[place]]))
            return [self._fitting(cell) for cell in cells]
        kind = array.type
        if pa.types.is_string(kind) or pa.types.is_large_string(kind):
            return self._texts(array.cast(pa.large_string()))
        if pa.types.is_timestamp(kind):
            return _serials(array)
        cells = array.to_pylist()
        if not pa.types.is_boolean(kind) and not pa.types.is_null(kind):
            # Missing values are NaN here, too.
            numbers = array.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
            for row in np.flatnonzero(~(np.abs(numbers) < _MAX_DIGITS)).tolist():
                cells[row] = _value(cells[row])
        return cells

    def _texts(self, texts: pa.Array) -> list[str | None]:
        for old in ("\r\n", "\r"):
            texts = pc.replace_substring(texts, old, "\n")
        texts = pc.replace_substring_regex(texts, _NOT_IN_XML, "")
        cells: list[str | None] = texts.to_pylist()
        # A text has at least as many bytes in UTF-8 as units in UTF-16.
        for place in np.flatnonzero(pc.fill_null(pc.greater(pc.binary_length(texts), _MAX_TEXT), False)):
            cells[place] = self._shortened(cells[place] or "")
        return cells

    def _fitting(self, cell: Any) -> Any:
        return self._texts(pa.array([cell], pa.large_string()))[0] if isinstance(cell, str) else cell

    def _shortened(self, text: str) -> str:
        """Cut a text that does not fit, with a mark at its end."""
        units = text.encode("utf-16-le")
        if len(units) <= 2 * _MAX_TEXT:
            return text
        self.texts_cut += 1
        room = _MAX_TEXT - len(_CUT.format(len(text)))
        kept = units[: 2 * room].decode("utf-16-le", "ignore")  # half of a pair is dropped
        return kept + _CUT.format(len(text) - len(kept))

    def _put(self, row: int, place: int, value: Any, style: Any) -> None:
        kind = type(value)
        if kind is str and value.startswith("<r>") and value.endswith("</r>"):
            # XlsxWriter writes such a string as XML of its own, unless it comes in several parts.
            self._sheet.write_rich_string(row, place, value[:2], self._text, value[2:], self._text)
        elif kind is str:
            self._sheet.write_string(row, place, value, style if style.quote_prefix else self._text)
        elif kind is bool:
            self._sheet.write_boolean(row, place, value, self._flag)
        elif isinstance(value, dt.datetime):
            self._put(row, place, _serials(pa.array([value]))[0], self._format(num_format=_TIME, align="left"))
        else:
            self._sheet.write_number(row, place, value, style)


def _is_local_time(value: Any) -> bool:
    """Tell whether a cell of the user's own column is a time, as workbooks have them, among other values."""
    return isinstance(value, dt.datetime) and value.tzinfo is None


def _is_never(_: Any) -> bool:
    return False


def _alignment(number_format: str) -> Mapping[str, Any]:
    return _LEFT if number_format == "General" or number_format.startswith("yyyy") else _RIGHT


def _value(value: Any) -> Any:
    """Return one value as a cell can hold it. Numbers that Excel would round, and infinite ones, become text."""
    if not is_present(value):
        return None
    plain = value.item() if isinstance(value, np.generic) else value
    if isinstance(plain, bool):
        return plain
    text, is_number = one_value(plain)
    if not is_number:
        return text
    if not np.isfinite(float(plain)) or (isinstance(plain, int) and abs(plain) >= _MAX_DIGITS):
        return text
    return float(plain) if not isinstance(plain, int) else plain


def _serials(moments: pa.Array) -> list[Any]:
    """Return times as Excel counts days, in UTC; times outside its range as text."""
    plain = moments.cast(pa.timestamp(moments.type.unit)).cast(pa.timestamp("us"), safe=False)
    times = plain.to_numpy(zero_copy_only=False)
    cells: list[Any] = ((times - _EPOCH).astype("int64") / _DAY_US).tolist()
    for place in np.flatnonzero(~((times >= _FIRST) & (times < _END))):
        cells[place] = iso_times(moments[place : place + 1])[0].as_py()
    return cells


def _day(name: Any) -> Any:
    """Return the day on which a period starts, from its label; labels stay where Excel has no such day."""
    try:
        day = dt.date.fromisoformat(f"{name}-01"[:10])
    except ValueError:
        return _value(name)
    return (day - dt.date(1899, 12, 30)).days if day >= _FIRST_DAY else name


def _is_fetched(frame: pd.DataFrame) -> bool:
    return frame.index.name == ID.name and {"fetch_status", "cost_usd", "is_byok"} <= set(frame.columns)


def _coverage(frame: pd.DataFrame) -> dict[str, Any]:
    """Return the rows of the sheet ``coverage``, by name."""
    covered: dict[str, Any] = dict(frame.attrs.get("coverage", {}))
    if not covered and _is_fetched(frame):
        covered = dict(coverage(frame))
    note = frame.attrs.get("note")
    found = {
        **covered,
        "tz": covered.get("tz", "UTC"),
        **({"note": note} if isinstance(note, str) and note else {}),
        **provenance(frame),
    }
    return {
        **{name: pd.Timestamp(value) if name in _TIMES else value for name, value in found.items()},
        "written_at": pd.Timestamp.now(tz="UTC"),
        "orstats_version": __version__,
    }


_TIMES: Final = frozenset(
    {"since", "until", "first_created_at", "last_created_at", "before_start", "before_end", "after_start", "after_end"}
)


def _note(covered: Mapping[str, Any], columns: list[_Column]) -> str:
    """Return what the totals exclude."""
    has_money = any(column.total is not None and column.number_format.startswith("$") for column in columns)
    counted = (("cost_unknown", "unknown cost"), ("pending", "pending"), ("missing", "no record"))
    excluded = [
        f"{what} ({covered[name]:,})"
        for name, what in counted
        if covered.get(name) and (has_money or name != "cost_unknown")
    ]
    return f"{EXCLUDED}{', '.join(excluded)}." if excluded else ""
