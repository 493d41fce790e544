"""Read DataFrames, Arrow data, Parquet and Excel workbooks as tables."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain, islice, zip_longest
from typing import TYPE_CHECKING, Any

from orstats.errors import IdSourceError, MissingExtraError
from orstats.ids.collector import IdCollector
from orstats.ids.column_values import ColumnChoiceError
from orstats.ids.id_column import (
    BATCH_ROWS,
    COLUMN_ADVICE,
    SAMPLE_ROWS,
    SeveralColumnsError,
    Table,
    name_columns,
    read_table,
)
from orstats.ids.id_shapes import looks_like_id
from orstats.ids.source import Source
from orstats.ids.text import search_text
from orstats.text.workbook_totals import COVERAGE, is_below_table

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa


def is_dataframe(source: Any) -> bool:
    """Tell whether this is a DataFrame of pandas or Polars, an Arrow table or its reader, or a DuckDB relation."""
    if type(source).__module__.startswith("pandas"):
        return hasattr(source, "columns") and hasattr(source, "iloc")
    if hasattr(source, "collect_schema"):
        return True  # Polars; its lazy frames warn when their columns are read
    return hasattr(source, "__arrow_c_stream__") and (hasattr(source, "columns") or hasattr(source, "read_all"))


def read_dataframe(source: Any, found: IdCollector, *, column: str | None, advice: str = COLUMN_ADVICE) -> None:
    """Take the ids from a column of what `is_dataframe` accepts; ``advice`` says how the caller can choose another."""
    if type(source).__module__.startswith("pandas"):
        _read_pandas(source, found, column, advice)  # not through Arrow, because its cells may be any object
        return
    import pyarrow as pa  # noqa: PLC0415 - keeps `import orstats` light

    frame = source if hasattr(source, "__arrow_c_stream__") else source.collect()  # a lazy frame of Polars
    table = pa.RecordBatchReader.from_stream(frame).read_all()
    _read_arrow(table.schema, lambda names: table.select(names).to_batches(), found, column, "the DataFrame", advice)


def _read_pandas(frame: pd.DataFrame, found: IdCollector, column: str | None, advice: str) -> None:
    if frame.index.nlevels > 1 or frame.index.name is not None or any(map(looks_like_id, frame.index[:SAMPLE_ROWS])):
        frame = frame.reset_index()
    table = Table(
        "the DataFrame",
        [str(name) for name in frame.columns],
        frame.head(SAMPLE_ROWS).itertuples(index=False, name=None),
        lambda places: ({place: frame.iloc[:, place].tolist()} for place in places),
        # pandas gives columns without values the type of numbers.
        [dtype if dtype.kind in "biufcmM" and len(frame) else None for dtype in frame.dtypes],
        advice,
    )
    read_table(table, found, column=column)


def read_parquet(source: Source, found: IdCollector, *, column: str | None) -> None:
    """Take the ids from a column of a Parquet file."""
    import pyarrow as pa  # noqa: PLC0415 - keeps `import orstats` light
    import pyarrow.parquet as pq  # noqa: PLC0415

    try:
        with pq.ParquetFile(source.file) as parquet:

            def batches(names: Sequence[str]) -> Iterator[pa.RecordBatch]:
                yield from parquet.iter_batches(BATCH_ROWS, columns=list(names))

            _read_arrow(parquet.schema_arrow, batches, found, column, source.where)
    except (pa.ArrowException, UnicodeDecodeError, OSError) as error:  # the second of metadata that pandas reads
        raise IdSourceError(f"{source.where}: not a readable Parquet file: {error}") from error


def read_feather(source: Source, found: IdCollector, *, column: str | None) -> None:
    """Take the ids from a column of a Feather or Arrow file."""
    import pyarrow as pa  # noqa: PLC0415 - keeps `import orstats` light
    from pyarrow import feather  # noqa: PLC0415

    try:
        table = feather.read_table(source.file)
        _read_arrow(table.schema, lambda names: table.select(names).to_batches(), found, column, source.where)
    except (pa.ArrowException, OSError) as error:
        raise IdSourceError(f"{source.where}: not a readable Arrow file: {error}") from error


def read_arrow_stream(source: Source, found: IdCollector, *, column: str | None) -> None:
    """Take the ids from a column of an Arrow stream, such as the cache of Hugging Face datasets."""
    import pyarrow as pa  # noqa: PLC0415 - keeps `import orstats` light

    try:
        with pa.ipc.open_stream(source.file) as stream:
            table = stream.read_all()
        _read_arrow(table.schema, lambda names: table.select(names).to_batches(), found, column, source.where)
    except (pa.ArrowException, OSError) as error:
        raise IdSourceError(f"{source.where}: not a readable Arrow stream: {error}") from error


def _read_arrow(
    schema: pa.Schema,
    batches: Callable[[Sequence[str]], Iterable[pa.RecordBatch]],
    found: IdCollector,
    column: str | None,
    where: str,
    advice: str = COLUMN_ADVICE,
) -> None:
    flat = _flatten(schema.empty_table())
    names = flat.column_names
    types = [kind if _is_measure(kind) else None for kind in flat.schema.types]
    tops = [next(top for top in schema.names if name == top or name.startswith(f"{top}.")) for name in names]

    def read(places: list[int], rows: int | None = None) -> Iterator[dict[int, list[Any]]]:
        import pyarrow as pa  # noqa: PLC0415 - loaded already

        for place in places:
            if types[place] is not None:
                raise ColumnChoiceError(f"{where}: column {names[place]!r} contains {types[place]}, not text")
        for batch in batches(list(dict.fromkeys(tops[place] for place in places))):
            table = _flatten(pa.Table.from_batches([batch.slice(0, rows)]))
            columns = dict(zip(table.column_names, table.columns, strict=True))
            yield {place: list(map(_decoded, columns[names[place]].to_pylist())) for place in places}

    sample: list[tuple[Any, ...]] = []
    readable = [place for place, kind in enumerate(types) if kind is None]
    if readable:
        cells = next(read(readable, SAMPLE_ROWS), {})
        sample = list(zip_longest(*(cells.get(place, ()) for place in range(len(names)))))
    read_table(Table(where, names, sample, read, types, advice), found, column=column)


def _decoded(value: Any) -> Any:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value


def _flatten(table: pa.Table) -> pa.Table:
    """Make columns of the fields of structs, such as ``response.id``."""
    import pyarrow as pa  # noqa: PLC0415 - loaded already

    while any(map(pa.types.is_struct, table.schema.types)):
        table = table.flatten()
    return table


def _is_measure(kind: pa.DataType) -> bool:
    """Tell whether a type holds numbers, flags or times, and so no ids."""
    import pyarrow as pa  # noqa: PLC0415 - loaded already

    return bool(pa.types.is_primitive(kind) or pa.types.is_decimal(kind) or pa.types.is_null(kind))


def read_excel(source: Source, found: IdCollector, *, column: str | None) -> None:
    """Take the ids from a column of each sheet of an ``.xlsx`` workbook that has ids."""
    try:
        import openpyxl  # noqa: PLC0415 - an optional extra
    except ImportError as error:
        raise MissingExtraError("Reading an Excel workbook", extra="excel") from error
    failures: list[IdSourceError] = []
    before, is_read = len(found.ids), False
    with zipfile.ZipFile(source.file) as archive:
        source.count_unpacked(sum(member.file_size for member in archive.infolist()), source.where)
        try:
            workbook = openpyxl.load_workbook(source.file, read_only=True, data_only=True)
            sheets = workbook.worksheets
            has_totals = COVERAGE in workbook.sheetnames
            for sheet in sheets:
                sheet.reset_dimensions()  # some writers store a wrong size
                where = source.where if len(sheets) == 1 else f"{source.where}, sheet {sheet.title!r}"
                try:
                    rows = _filled_rows(sheet.iter_rows(values_only=True), has_totals=has_totals)
                    is_read |= _read_sheet(rows, found, column=column, where=where)
                except IdSourceError as error:
                    failures.append(error)
        except Exception as error:  # openpyxl lets through whatever a broken file leads to: KeyError, ParseError …
            raise IdSourceError(f"{source.where}: not a readable .xlsx workbook: {error}") from error
        must_choose = column is not None or any(isinstance(error, SeveralColumnsError) for error in failures)
        if len(found.ids) == before and not must_choose:
            for name in archive.namelist():  # links and formulas, which are not values of cells
                if name.startswith("xl/worksheets/"):
                    search_text([archive.read(name)], found)
    if failures and len(found.ids) == before and not is_read:
        raise failures[0]


def _filled_rows(sheet: Iterable[tuple[Any, ...]], *, has_totals: bool) -> Iterator[tuple[int, tuple[Any, ...]]]:
    """Yield the rows that are not empty with their numbers, without totals below an empty row."""
    is_below = False
    for row, cells in enumerate(sheet, start=1):
        if not any(cells):
            is_below = has_totals
        elif not (is_below and is_below_table(cells)):
            yield row, cells


def _read_sheet(
    numbered: Iterator[tuple[int, tuple[Any, ...]]], found: IdCollector, *, column: str | None, where: str
) -> bool:
    """Take the ids from a sheet; False if it is empty."""
    first = list(islice(numbered, SAMPLE_ROWS))
    if not first:
        return False
    names, below, header = name_columns([cells for _, cells in first], column=column)
    rows = chain(first[0 if header is None else header + 1 :], numbered)

    def cell(row: int, cells: tuple[Any, ...], place: int) -> str | None:
        value = cells[place] if place < len(cells) else None
        if column is not None and not isinstance(value, str | None):
            raise ColumnChoiceError(f"{where}, row {row}: the cell contains {type(value).__name__}, not text", line=row)
        return None if value is None else str(value)

    def batches(places: list[int]) -> Iterator[dict[int, list[Any]]]:
        while batch := list(islice(rows, BATCH_ROWS)):
            yield {place: [cell(row, cells, place) for row, cells in batch] for place in places}

    read_table(Table(where, names, below, batches), found, column=column)
    return True
