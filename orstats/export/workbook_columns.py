"""How the columns of a DataFrame look on a sheet of a workbook: heading, number format, width and total."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from orstats.errors import ColumnError
from orstats.export.csv_cells import arrow_array, named_columns
from orstats.frame import money
from orstats.frame.build import USER_COLUMNS
from orstats.frame.cast_columns import cast_columns
from orstats.frame.column_units import COMMON_NAMES, Unit, heading, is_additive, unit, words
from orstats.frame.display import ReportFrame
from orstats.frame.schema import FIELDS
from orstats.reports.periods import PERIOD
from orstats.text.sanitize import NO_VALUE

TIME_FORMAT: Final = "yyyy-mm-dd hh:mm:ss"
TEXT_FORMAT: Final = "General"
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
_MOST_PLACES: Final = 10
#: Amounts of groups have at most as many decimals as where reports are shown.
_MOST_REPORT_PLACES: Final = 6
_SHARE_UNIT: Final = "share 0..1"
#: The least width of a column, the most for texts that fit, such as the hash of a key, and that of longer texts.
_WIDTHS: Final = (8, 70, 50)
_FILTER_BUTTON: Final = 4


@dataclass(frozen=True, slots=True)
class SheetColumn:
    """A column of a sheet, with the sum of its known numbers; in a summary each row has a format of its own."""

    heading: str
    series: pd.Series[Any]
    number_format: str
    width: float
    total: float | None
    is_period: bool
    row_formats: list[str] | None
    of_user: bool


def sheet_columns(frame: pd.DataFrame, *, zone: str | None, freq: str | None, in_report: bool) -> list[SheetColumn]:
    """Return how each column of a DataFrame looks, the index first; ``zone`` and ``freq`` are those of its periods."""
    own = frame.attrs.get(USER_COLUMNS, ())
    named = [
        (name, _for_people(name, values if name in own else _typed(name, values), frame))
        for name, values in named_columns(frame)
    ]
    # What the user's own columns measure is unknown, whatever they are called.
    names = ["" if name in own else name for name, _ in named]
    headings = [name if name in own else _heading(name, frame, zone, in_report=in_report) for name, _ in named]
    # All amounts of a sheet have the same number of decimals.
    most = _MOST_REPORT_PLACES if isinstance(frame, ReportFrame) else money.PLACES
    amounts = [values for name, (_, values) in zip(names, named, strict=True) if unit(name) == "USD"]
    places = _usd_places(list(filter(_is_number, amounts)), most)
    columns = []
    for name, (label, values), text in zip(names, named, headings, strict=True):
        title = text if headings.count(text) == 1 else label
        if values.dtype.kind == "M" and name not in FIELDS and getattr(values.dtype, "tz", None) is not None:
            title = f"{title} (UTC)"
        period_format = _PERIODS.get(str(freq)) if name == PERIOD else None
        number_format = period_format or _number_format(name, values, places)
        numbers = values.dropna() if _is_number(values) and is_additive(name) else values[:0]
        total = None if numbers.empty else money.total(numbers)
        in_summary = name == "value" and names[0] == "figure"
        columns.append(
            SheetColumn(
                heading=title,
                series=values,
                number_format=number_format,
                width=_width(title, values, number_format, total),
                total=total,
                is_period=period_format is not None,
                row_formats=_figure_formats(named[0][1], values, most) if in_summary else None,
                of_user=label in own,
            )
        )
    return columns


def _typed(name: str, values: pd.Series[Any]) -> pd.Series[Any]:
    """Cast text in a column of numbers, flags or times, as of a file read as text; other text stays."""
    field = FIELDS.get(name)
    if field is None or field.kind in ("text", "json") or values.dtype.kind in "biufM":
        return values
    try:
        return cast_columns(values.to_frame(name), [name])[name]
    except ColumnError:
        return values


def _for_people(name: str, values: pd.Series[Any], frame: pd.DataFrame) -> pd.Series[Any]:
    """Return a column with a name for the group without a value, and times as such, not as objects."""
    if name == "unit" and frame.index.name == "figure":
        return values.replace(_SHARE_UNIT, "share")  # whose format is a percentage
    if isinstance(frame, ReportFrame) and name in frame.index.names and values.isna().any():
        return values.astype(object).where(values.notna(), NO_VALUE)
    array = arrow_array(values) if values.dtype == object else None
    if array is not None and pa.types.is_timestamp(array.type):
        return pd.Series(array.to_pandas())
    return values


def _heading(name: str, frame: pd.DataFrame, zone: str | None, *, in_report: bool) -> str:
    if name == PERIOD and zone is not None:
        return f"Period ({zone})"
    if name in COMMON_NAMES and isinstance(frame, ReportFrame):
        return words(name).capitalize()
    return heading(name, in_report=in_report)


def _is_number(values: pd.Series[Any]) -> bool:
    return bool(pd.api.types.is_numeric_dtype(values.dtype) and not pd.api.types.is_bool_dtype(values.dtype))


def _number_format(name: str, values: pd.Series[Any], places: int) -> str:
    if isinstance(values.dtype, pd.DatetimeTZDtype) or values.dtype.kind == "M":
        return _PERIODS.get(name, TIME_FORMAT)
    if not _is_number(values):
        return TEXT_FORMAT
    measure = unit(name)
    if measure in _FORMATS:
        return _FORMATS[measure]
    if measure == "USD":
        return f"$#,##0.{'0' * places};-$#,##0.{'0' * places};$0"
    places = _places(values)
    return f"0.{'0' * places}" if places else "0"


def _figure_formats(figures: pd.Series[Any], values: pd.Series[Any], most: int) -> list[str]:
    """Return the format of each row of a summary, by the figure in it."""
    rows = [(figure, pd.Series([value])) for figure, value in zip(figures, values, strict=True)]
    places = _usd_places([value for figure, value in rows if unit(figure) == "USD"], most)
    return [_number_format(figure, value, places) for figure, value in rows]


def _usd_places(amounts: list[pd.Series[Any]], most: int) -> int:
    return min(max([2, *map(_places, amounts)]), most)


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
        longest = len(TIME_FORMAT)
    width = max(longest + 2, len(title) + _FILTER_BUTTON, least)
    return float(width if width <= most else cut)
