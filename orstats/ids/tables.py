"""Take ids from one column of a pandas frame, Arrow data, Parquet or an Excel workbook."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import chain, islice
from typing import TYPE_CHECKING, Any, Final

from orstats.errors import IdSourceError, MissingExtraError
from orstats.ids.columns import (
    SAMPLE_ROWS,
    ColumnSearch,
    SeveralColumnsError,
    name_columns,
    pick_column,
    plausible,
)
from orstats.ids.formats import looks_like_id
from orstats.ids.text import search_text

if TYPE_CHECKING:
    import zipfile
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from typing import BinaryIO

    import pandas as pd
    import pyarrow as pa

    from orstats.ids.collector import IdCollector

__all__ = ["has_empty_id", "id_of", "is_table", "read_excel", "read_feather", "read_parquet", "read_table", "texts"]

_ROWS_AT_ONCE: Final = 50_000


def texts(values: Iterable[Any], found: IdCollector) -> Iterator[str]:
    """Pass texts on, take the ids of response objects, count missing values, and refuse anything else."""
    for position, value in enumerate(values):
        if isinstance(value, str):
            yield value
        elif _is_missing(value):
            found.blanks += 1
        elif (id_ := id_of(value)) is not None:
            yield id_
        elif has_empty_id(value):
            found.blanks += 1
        else:
            raise TypeError(f"position {position}: an id must be text, not {type(value).__name__}")


def id_of(response: Any) -> str | None:
    """Return the generation id of a response object or mapping of any client; None when it has no id."""
    # LangChain keeps the id in the first of these parts; HTTP libraries have it as a header.
    parts = [response, *(_get(response, name) for name in ("response_metadata", "response", "data", "headers"))]
    ids = [value for part in parts for name in _ID_FIELDS if isinstance(value := _get(part, name), str)]
    return next(filter(looks_like_id, ids), ids[0] if ids else None)


def has_empty_id(response: Any) -> bool:
    """Tell whether a mapping or object has an id that is None, as that of a call that failed."""
    if isinstance(response, Mapping):
        return any(name in response and response[name] is None for name in _ID_FIELDS)
    return any(getattr(response, name, "") is None for name in _ID_FIELDS)


_ID_FIELDS: Final = ("generation_id", "gen_id", "generationId", "X-Generation-Id", "id")


def _get(value: Any, name: str) -> Any:
    return value.get(name) if isinstance(value, Mapping) else getattr(value, name, None)


def _is_missing(value: Any) -> bool:
    if value is None:
        return True
    import pandas as pd  # noqa: PLC0415 - only a value that is no text needs it

    return bool(pd.api.types.is_scalar(value) and pd.isna(value))


def _add_column(values: Iterable[str], name: str, found: IdCollector, *, column: str | None, where: str) -> None:
    """Add the values of the chosen column: all that the user asked for, or what can be an id."""
    found.add_cells(plausible(values, name, found, where=where) if column is None else values)


def is_table(source: Any) -> bool:
    """Tell whether this is a frame of pandas or Polars, an Arrow table, or a DuckDB relation."""
    if type(source).__module__.startswith("pandas"):
        return hasattr(source, "columns") and hasattr(source, "iloc")
    if hasattr(source, "collect_schema"):
        return True  # Polars; its lazy frames warn when asked for columns
    return hasattr(source, "__arrow_c_stream__") and hasattr(source, "columns")


def read_table(source: Any, found: IdCollector, *, column: str | None) -> None:
    """Take the ids from a column of what `is_table` accepts; pandas frames, which hold any object, without Arrow."""
    if type(source).__module__.startswith("pandas"):
        read_frame(source, found, column=column)
        return
    import pyarrow as pa  # noqa: PLC0415 - keeps `import orstats` light

    frame = source if hasattr(source, "__arrow_c_stream__") else source.collect()  # a lazy frame of Polars
    table = pa.RecordBatchReader.from_stream(frame).read_all()
    read_arrow(table.schema, lambda names: table.select(names).to_batches(), found, column=column, where="the frame")


def read_frame(frame: pd.DataFrame, found: IdCollector, *, column: str | None) -> None:
    """Take the ids from a column, or the index, of a pandas frame."""
    where = "the frame"
    if frame.index.nlevels > 1 or frame.index.name is not None or any(map(looks_like_id, frame.index[:SAMPLE_ROWS])):
        frame = frame.reset_index()
    names = [str(name) for name in frame.columns]
    rows = frame.head(SAMPLE_ROWS).itertuples(index=False, name=None)
    place = pick_column(names, rows, column=column, where=where)
    if place is not None:
        _add_column(texts(frame.iloc[:, place].tolist(), found), names[place], found, column=column, where=where)
        return
    types = [None if dtype.kind not in "biufcmM" else dtype for dtype in frame.dtypes]
    search = ColumnSearch(names, where)
    for at, dtype in enumerate(types):
        if dtype is None:
            search.add(at, frame.iloc[:, at].tolist())
    search.finish(found, types)


def read_parquet(file: BinaryIO, found: IdCollector, *, column: str | None, where: str) -> None:
    """Take the ids from a column of a Parquet file."""
    import pyarrow as pa  # noqa: PLC0415 - keeps `import orstats` light
    import pyarrow.parquet as pq  # noqa: PLC0415

    try:
        with pq.ParquetFile(file) as parquet:

            def batches(names: Sequence[str]) -> Iterator[pa.RecordBatch]:
                yield from parquet.iter_batches(_ROWS_AT_ONCE, columns=list(names))

            read_arrow(parquet.schema_arrow, batches, found, column=column, where=where)
    except (pa.ArrowException, UnicodeDecodeError, OSError) as error:  # the second of metadata that pandas reads
        raise IdSourceError(f"{where}: not a readable Parquet file: {error}") from error


def read_feather(file: BinaryIO, found: IdCollector, *, column: str | None, where: str) -> None:
    """Take the ids from a column of a Feather or Arrow file; the arguments are those of `read_parquet`."""
    import pyarrow as pa  # noqa: PLC0415 - keeps `import orstats` light
    from pyarrow import feather  # noqa: PLC0415

    try:
        table = feather.read_table(file)
        read_arrow(table.schema, lambda names: table.select(names).to_batches(), found, column=column, where=where)
    except (pa.ArrowException, OSError) as error:
        raise IdSourceError(f"{where}: not a readable Arrow file: {error}") from error


def read_arrow(
    schema: pa.Schema,
    batches: Callable[[Sequence[str]], Iterable[pa.RecordBatch]],
    found: IdCollector,
    *,
    column: str | None,
    where: str,
) -> None:
    """Take the ids from a column of Arrow data."""
    flat = _flatten(schema.empty_table())
    names, kinds = flat.column_names, flat.schema.types
    readable = [name for name in schema.names if not _is_measure(schema.field(name).type)]
    sample: list[tuple[Any, ...]] = []
    if column is None:
        first = next(iter(batches(readable)), None)
        cells = {} if first is None else _columns(first.slice(0, SAMPLE_ROWS))
        sample = (
            list(zip(*(map(_decoded, cells.get(name, [None] * SAMPLE_ROWS)) for name in names), strict=False))
            if cells
            else []
        )
    place = pick_column(names, sample, column=column, where=where)
    if place is None:
        search = ColumnSearch(names, where)
        for batch in batches(readable):
            for name, values in _columns(batch).items():
                search.add(names.index(name), values)
        search.finish(found, [kind if _is_measure(kind) else None for kind in kinds])
        return
    chosen = names[place]
    if _is_measure(kinds[place]):
        raise IdSourceError(f"{where}: column {chosen!r} holds {kinds[place]}, not text")
    top = next(name for name in schema.names if chosen == name or chosen.startswith(name + "."))
    for batch in batches([top]):
        _add_column(texts(map(_decoded, _columns(batch)[chosen]), found), chosen, found, column=column, where=where)


def _decoded(value: Any) -> Any:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value


def _columns(batch: pa.RecordBatch) -> dict[str, list[Any]]:
    import pyarrow as pa  # noqa: PLC0415 - loaded already

    flat = _flatten(pa.Table.from_batches([batch]))
    return {name: flat.column(place).to_pylist() for place, name in enumerate(flat.column_names)}


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


def read_excel(archive: zipfile.ZipFile, file: BinaryIO, found: IdCollector, *, column: str | None, where: str) -> None:
    """Take the ids from a column of each sheet of an ``.xlsx`` workbook that has ids."""
    try:
        import openpyxl  # noqa: PLC0415 - an optional extra
    except ImportError as error:
        raise MissingExtraError("reading an Excel workbook", extra="excel") from error
    failures: list[IdSourceError] = []
    before = len(found.ids)
    try:
        workbook = openpyxl.load_workbook(file, read_only=True, data_only=True)
        try:
            sheets = workbook.worksheets
            for sheet in sheets:
                sheet.reset_dimensions()  # some writers store a wrong size
                place = where if len(sheets) == 1 else f"{where}, sheet {sheet.title!r}"
                try:
                    _read_sheet(sheet.iter_rows(values_only=True), found, column=column, where=place)
                except IdSourceError as error:
                    failures.append(error)
        finally:
            workbook.close()
    except Exception as error:  # openpyxl lets through whatever a broken file leads to: KeyError, ParseError …
        raise IdSourceError(f"{where}: not a readable .xlsx workbook: {error}") from error
    if (
        len(found.ids) == before
        and column is None
        and not any(isinstance(error, SeveralColumnsError) for error in failures)
    ):
        for name in archive.namelist():  # links and formulas, which are no values of cells
            if name.startswith("xl/worksheets/"):
                search_text([archive.read(name)], found)
    if failures and len(found.ids) == before:
        raise failures[0]


def _read_sheet(sheet: Iterable[tuple[Any, ...]], found: IdCollector, *, column: str | None, where: str) -> None:
    numbered = ((row, cells) for row, cells in enumerate(sheet, start=1) if any(cells))
    first = list(islice(numbered, SAMPLE_ROWS))
    if not first:
        return
    names, below, header = name_columns([cells for _, cells in first], column=column)
    place = pick_column(names, below, column=column, where=where)
    rows = chain(first[0 if header is None else header + 1 :], numbered)
    if place is None:
        search = ColumnSearch(names, where)
        while batch := list(islice(rows, _ROWS_AT_ONCE)):
            for at in range(len(names)):
                search.add(at, (cells[at] for _, cells in batch if at < len(cells)))
        search.finish(found)
    else:
        _add_column(_cells(rows, place, column, where), names[place], found, column=column, where=where)


def _cells(rows: Iterable[tuple[int, tuple[Any, ...]]], place: int, column: str | None, where: str) -> Iterator[str]:
    for row, cells in rows:
        value = cells[place] if place < len(cells) else None
        if value is not None and not isinstance(value, str) and column is not None:
            message = f"{where}, row {row}: the cell holds {type(value).__name__}, not text"
            raise IdSourceError(message, line=row)
        yield "" if value is None else str(value)
