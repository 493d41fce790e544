"""``join``: the user's own table with the cost, tokens, latency and status of the generation of each row."""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence
from typing import Any, Final

import narwhals as nw
import pandas as pd
import pyarrow as pa

from orstats._warn import warn_caller
from orstats.errors import ConfigError, DuplicateIdsWarning, IdSourceWarning
from orstats.export.row_ids import RowIds, row_ids
from orstats.export.user_table import read_user_table
from orstats.frame.build import USER_COLUMNS
from orstats.frame.cast_columns import cast_columns
from orstats.frame.column_units import is_additive
from orstats.frame.combine import combine
from orstats.frame.schema import ID
from orstats.frame.validation import by_id, check_names, mark_unique, require_pandas
from orstats.ids.column_values import check_column_name
from orstats.ids.table_readers import is_dataframe
from orstats.reports.coverage import PROVENANCE, provenance
from orstats.text.format import plural
from orstats.text.suggest import unknown

#: Columns that are added unless the caller chooses others.
JOINED: Final = (
    *("fetch_status", "model", "provider_name", "cost_usd", "cost_basis"),
    *("native_tokens_prompt", "native_tokens_completion", "native_tokens_reasoning", "native_tokens_cached"),
    *("latency", "generation_time", "error"),
)
#: ``cost_basis`` of a row whose id an earlier row has, too.
REPEATED: Final = "repeated"
_PREFIX: Final = "openrouter_"


def join(table: Any, df: pd.DataFrame, column: str | None = None, *, columns: Sequence[str] | None = None) -> Any:
    """Add the cost, tokens, latency and status of each row's generation to a table of your own.

    Rows, their order, your columns and their values stay exactly as they are: leading zeros, long numbers, dates,
    decimal commas and empty cells.

    Parameters
    ----------
    table : DataFrame of pandas or Polars, str or os.PathLike
        Your table, or the name of a ``.csv``, ``.xlsx``, ``.jsonl``, ``.json`` or ``.parquet`` file, plain or
        compressed. All cells of a CSV are read as text. Of a workbook, the values of the only sheet with ids are read,
        without formats and formulas.
    df : pandas.DataFrame
        From :func:`orstats.fetch` or :func:`orstats.read`. If ids occur in several of its rows, the best row counts,
        as in :func:`orstats.combine`.
    column : str, optional
        The column of `table` that contains the ids, or a field of JSON records (``response.id``). By default the one
        that :func:`orstats.read_ids` would read; links, JSON and text around an id are removed.
    columns : sequence of str, optional
        The columns of `df` to add. By default those of these that `df` has: ``fetch_status``, ``model``,
        ``provider_name``, ``cost_usd``, ``cost_basis``, ``native_tokens_prompt``, ``native_tokens_completion``,
        ``native_tokens_reasoning``, ``native_tokens_cached``, ``latency`` and ``generation_time`` (ms), ``error``.

    Returns
    -------
    Same kind of DataFrame as `table`; pandas for a file
        Your columns, then those of `df`, with the dtypes of the field table.

        A generation whose id occurs in several rows is charged once: amounts and counts, such as ``cost_usd`` and
        tokens, are on its first row only, so that their sum over the table is right. The other rows have them missing,
        ``cost_basis`` is ``"repeated"`` there, and everything else is repeated. Rows without an id, and those whose id
        `df` does not have, have missing values in all added columns. Where a cell has something else, such as
        ``chatcmpl-…`` or several ids, ``fetch_status`` is ``invalid_id`` and ``error`` says what it is.

        If your table has a column of the same name, yours is kept, and the added one is called ``openrouter_…``, such
        as ``openrouter_cost_usd``.

    Raises
    ------
    IdSourceError
        No column, or more than one, contains ids: the message names them, and `column` chooses. Or `column` contains
        none, the file is not readable, or the workbook has ids in several sheets.
    ConfigError
        `table` or `df` is not one of these, or `df` does not have one of the `columns`.
    MissingExtraError
        The file is a workbook, and openpyxl is not installed.

    Warns
    -----
    DuplicateIdsWarning
        Ids occur in several rows of `table`; the message says how many.
    IdSourceWarning
        Rows have no id, ids of another kind or several ids, or `df` does not have the id.

    Examples
    --------
    >>> runs = pd.DataFrame({"run": ["001", "002"], "generation": ["gen-1790000000-AbCdEfGhIjKlMnOpQrSt", "gen-b"]})
    >>> costs = pd.DataFrame({"id": ["gen-1790000000-AbCdEfGhIjKlMnOpQrSt", "gen-b"], "cost_usd": [0.25, 0.5]})
    >>> join(runs, costs)[["run", "cost_usd"]].values.tolist()
    [['001', 0.25], ['002', 0.5]]
    """
    require_pandas(df)
    check_column_name(column)
    if isinstance(table, str | os.PathLike):
        where = os.fspath(table)
        table = read_user_table(table, column=column)
    elif is_dataframe(table):
        where = "the table"
    else:
        raise ConfigError(f"table must be a DataFrame or the name of a file, got {type(table).__name__}.")
    if isinstance(table, pd.DataFrame):
        return join_ids(table, row_ids(table, where, column=column), df, where, columns)
    native = table.collect() if hasattr(table, "collect") else table
    if not nw.dependencies.is_polars_dataframe(native):
        raise ConfigError(f"table must be a DataFrame of pandas or Polars, or a file, got {type(table).__name__}.")
    own = pa.RecordBatchReader.from_stream(native).read_all().to_pandas(types_mapper=pd.ArrowDtype)
    joined = join_ids(own, row_ids(own, where, column=column), df, where, columns)
    added = pa.Table.from_pandas(joined.iloc[:, own.shape[1] :], preserve_index=False)
    frames = [nw.from_native(native), nw.from_arrow(added, backend="polars")]
    return nw.concat(frames, how="horizontal").to_native()


def join_ids(
    table: pd.DataFrame,
    rows: RowIds,
    df: pd.DataFrame,
    where: str,
    columns: Sequence[str] | None = None,
) -> pd.DataFrame:
    """Join by the id of each row of a table."""
    records, ids = _records(df, columns), rows.ids
    is_known = pd.Series([one is not None for one in ids])
    wanted = pd.Index([one if one is not None else "" for one in ids], dtype=object)
    places = records.index.get_indexer(wanted)
    is_repeated = (pd.Series(list(ids), dtype=object).duplicated() & is_known).to_numpy()
    taken = {str(name) for name in (*table.columns, *table.index.names)}
    added: dict[str, Any] = {}
    for name in records.columns:
        values = records[name].reindex(wanted).set_axis(table.index)
        if is_additive(name):
            values = values.mask(is_repeated)
        elif name == "cost_basis":
            values = values.mask(is_repeated & (places >= 0), REPEATED)
        elif name in ("fetch_status", "error") and rows.invalid:
            places_of = list(rows.invalid)
            values.iloc[places_of] = "invalid_id" if name == "fetch_status" else list(rows.invalid.values())
        added[_free_name(name, {*taken, *added})] = values
    joined = pd.concat([table, pd.DataFrame(added, index=table.index)], axis=1)
    joined.attrs = {USER_COLUMNS: [str(name) for name in (*table.index.names, *table.columns)]}
    joined.attrs[PROVENANCE] = provenance(df)
    _warn(where, len(table), int((~is_known).sum()), int((is_known.to_numpy() & (places < 0)).sum()))
    if is_repeated.any():
        several = len({one for one, again in zip(ids, is_repeated, strict=True) if again})
        warn_caller(
            f"{where}: {plural(several, 'id')} in more than one row. Each is charged once, on its first row: on "
            f"{plural(int(is_repeated.sum()), 'other row')}, amounts and counts are missing and cost_basis is "
            f"{REPEATED!r}.",
            DuplicateIdsWarning,
        )
    return mark_unique(joined)


def _records(df: pd.DataFrame, columns: Sequence[str] | None) -> pd.DataFrame:
    """Return the columns to add, one row for each id."""
    check_names(df.columns)
    df = by_id(df)
    if df.index.name != ID.name:
        raise ConfigError("df has no ids. Pass the result of orstats.fetch(), or df.set_index('id').")
    names = [name for name in JOINED if name in df.columns] if columns is None else list(columns)
    if unknown_name := next((name for name in names if name not in df.columns), None):
        raise ConfigError(unknown("column", unknown_name, df.columns, hint="df does not have it."))
    if not names:
        raise ConfigError("df has no columns to add; pass columns=, or the result of orstats.fetch().")
    if not df.index.is_unique:
        df = combine(df)
    return cast_columns(df[names], names)


def _free_name(name: str, taken: Collection[str]) -> str:
    """Return the name of an added column: its own, unless the user's table has it."""
    free, number = name, 1
    while free in taken:
        free = f"{_PREFIX}{name}" if number == 1 else f"{_PREFIX}{name}_{number}"
        number += 1
    return free


def _warn(where: str, rows: int, without: int, absent: int) -> None:
    if without:
        warn_caller(f"{where}: {without:,} of {plural(rows, 'row')} without a generation id", IdSourceWarning)
    if absent:
        warn_caller(f"{where}: {plural(absent, 'row')} with an id that df does not have", IdSourceWarning)
