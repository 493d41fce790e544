"""The archive for engines that need not hold it in memory: DuckDB and Spark.

Both read the parts themselves; what is done here is to say which, and to leave out records that a newer one replaces.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from types import ModuleType
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa

from orstats._warn import warn_caller
from orstats.archive.casts import stored_type
from orstats.archive.checked import Checked
from orstats.archive.dataset import Dataset, Part, UnreadablePartError, irregular_parts, parts_of
from orstats.archive.newest import until_stable, warn_unreadable
from orstats.archive.reader import Reader, read_keys
from orstats.archive.storage import LocalStore, Store
from orstats.errors import ArchiveError, ConfigError, MissingExtraError

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection, DuckDBPyRelation
    from pyspark.sql import DataFrame, SparkSession

#: The type of each column, in the words of DuckDB and Spark.
_TYPES: Final[Mapping[pa.DataType, tuple[str, str]]] = {
    pa.string(): ("VARCHAR", "string"),
    pa.int64(): ("BIGINT", "bigint"),
    pa.bool_(): ("BOOLEAN", "boolean"),
    pa.float64(): ("DOUBLE", "double"),
    pa.timestamp("us", tz="UTC"): ("TIMESTAMPTZ", "timestamp"),
}
#: How Spark names the places that pyarrow names so.
_SPARK_SCHEMES: Final = {"": "file://", "file": "file://", "s3": "s3a://", "gs": "gs://", "gcs": "gs://"}
_GLOB: Final = re.compile(r"([\\\[\]{}*?])")
_HOST: Final = "host"
#: Columns that DuckDB adds, to tell where a row is.
_PLACE: Final = frozenset({"filename", "file_row_number"})


@dataclass(frozen=True, slots=True)
class HostParts:
    """The whole parts of one host."""

    host: str
    paths: tuple[str, ...]
    columns: frozenset[str]
    alike: bool
    others: pa.Table


def parts(store: Store, checked: Checked, dataset: Dataset, directories: Mapping[str, str]) -> list[HostParts]:
    """List the parts that are whole; others are logged and excluded, because engines add up damaged pages."""

    def look(host: str, directory: str, skip: Mapping[str, UnreadablePartError]) -> HostParts:
        problems = [*irregular_parts(store, directory), *skip.values()]
        entries = [entry for entry in parts_of(store, directory) if f"{directory}/{entry.name}" not in skip]
        problems += checked.check(store, dataset, directory, entries)
        unusable = {problem.path for problem in problems}
        paths = [path for entry in entries if (path := f"{directory}/{entry.name}") not in unusable]
        # No id is wanted: only the footers are read.
        found, broken = read_keys(store, dataset, paths, pa.array([], pa.string()))
        others = [keys.part for keys in found if not _is_readable(keys.part.schema, dataset)]
        tables = [_read_all(store, dataset, part) for part in others]
        problems += broken
        warn_unreadable(store, problems)
        if unreadable := [store.full(problem.path) for problem in problems if not problem.foreign]:
            warn_caller(f"Unreadable archive files are excluded ({len(unreadable)}): {', '.join(unreadable[:3])}")
        direct = [keys.part for keys in found if keys.part not in others]
        names = [frozenset(part.schema.names) for part in direct]
        return HostParts(
            host,
            tuple(part.path for part in direct),
            frozenset().union(*names),
            alike=len({tuple(part.schema.names) for part in direct}) == 1,
            others=pa.concat_tables([_placed(dataset.schema.empty_table(), ""), *tables]),
        )

    return [until_stable(partial(look, *one)) for one in directories.items()]


def _is_readable(schema: pa.Schema, dataset: Dataset) -> bool:
    """Whether engines read the dataset's types from a part: Parquet knows one kind of text and no dictionaries."""
    if not _PLACE.isdisjoint(map(str.lower, schema.names)):
        return False
    types = {field.name: stored_type(field.type) for field in schema}
    return all(types.get(field.name, field.type) == stored_type(field.type) for field in dataset.schema)


def _read_all(store: Store, dataset: Dataset, part: Part) -> pa.Table:
    with Reader(store, dataset, part.path, part.metadata) as reader:
        return _placed(reader.read(range(part.metadata.num_row_groups), dataset.schema.names), part.path)


def _placed(table: pa.Table, path: str) -> pa.Table:
    names = pa.array([path] * table.num_rows, pa.string())
    rows = pa.array(range(table.num_rows), pa.int64())
    return table.append_column("filename", names).append_column("file_row_number", rows)


def connect() -> DuckDBPyConnection:
    """Open a database of DuckDB in memory."""
    connection: DuckDBPyConnection = _duckdb().connect()
    return connection


def relation(
    connection: DuckDBPyConnection, store: Store, dataset: Dataset, hosts: Sequence[HostParts]
) -> DuckDBPyRelation:
    """Make a relation of the newest record of each id over all hosts: ``host`` and the columns of the dataset."""
    duckdb = _duckdb()
    prefix = _mount(connection, store)
    queries = [_nothing(dataset)]
    for one in hosts:
        if one.paths:
            queries.append(_records(dataset, one, [prefix + store.full(path) for path in one.paths]))
        if one.others.num_rows:
            name = f"orstats_others_{secrets.token_hex(8)}"
            connection.register(name, one.others)
            queries.append(_select(one.host, (f'"{field.name}"' for field in dataset.schema), name))
    try:
        return connection.sql(_newest(connection, dataset, " UNION ALL ".join(queries)))
    except duckdb.Error as error:
        raise ArchiveError(f"DuckDB cannot read the archive: {error}", path=store.full("")) from error


def query(connection: DuckDBPyConnection, records: DuckDBPyRelation, sql: str) -> DuckDBPyRelation:
    """Ask a question in SQL, over the view ``generations``."""
    records.create_view("generations")
    try:
        answer = connection.sql(sql)
    except _duckdb().Error as error:
        raise ConfigError(f"DuckDB does not understand this SQL: {error}") from error
    if answer is None:
        raise ConfigError("Only questions can be asked of an archive: SELECT … FROM generations …")
    return answer


def frame(session: SparkSession, store: Store, scheme: str, dataset: Dataset, hosts: Sequence[HostParts]) -> DataFrame:
    """Make a Spark DataFrame of the newest record of each id over all hosts: ``host`` and the dataset's columns."""
    base = _SPARK_SCHEMES.get(scheme)
    if base is None:
        raise ConfigError(f"Spark's name for {scheme}:// is not known here: use session.read.parquet on generations/.")
    schema = ", ".join(f"`{field.name}` {_TYPES[field.type][1]}" for field in dataset.schema)
    names = [f"`{field.name}`" for field in dataset.schema]
    result = session.createDataFrame([], f"`{_HOST}` string, {schema}, part string, place bigint")
    for parts in hosts:
        host = parts.host.replace("\\", "\\\\").replace("'", "\\'")
        if parts.paths:
            paths = [base + _GLOB.sub(r"\\\1", store.full(path)) for path in parts.paths]
            records = session.read.schema(schema).parquet(*paths)
            places = ("_metadata.file_name as part", "_metadata.row_index as place")
            result = result.unionAll(records.selectExpr(f"'{host}' as `{_HOST}`", *names, *places))
        if parts.others.num_rows:
            rows = session.createDataFrame(parts.others)
            places = ("filename as part", "file_row_number as place")
            result = result.unionAll(rows.selectExpr(f"'{host}' as `{_HOST}`", *names, *places))
    newest = "row_number() over (partition by id order by fetched_at desc nulls last, part desc, place desc)"
    return (
        result.selectExpr("*", f"{newest} as newer")
        .where("newer = 1 and id is not null")
        .selectExpr(f"`{_HOST}`", *names)
    )


def _duckdb() -> ModuleType:
    try:
        import duckdb  # noqa: PLC0415 - an extra
    except ImportError:
        raise MissingExtraError("Reading the archive by SQL", extra="sql") from None
    module: ModuleType = duckdb
    return module


def _nothing(dataset: Dataset) -> str:
    """Select no rows: what gives an empty archive its columns."""
    columns = [f"CAST(NULL AS VARCHAR) AS {_HOST}"]
    columns += [f'CAST(NULL AS {_TYPES[field.type][0]}) AS "{field.name}"' for field in dataset.schema]
    return f"SELECT {', '.join(columns)}, CAST(NULL AS VARCHAR) AS filename, 0 AS file_row_number WHERE false"


def _records(dataset: Dataset, parts: HostParts, paths: Sequence[str]) -> str:
    """Select the rows of a host's parts, with their places."""
    columns = (
        f'"{field.name}"' if field.name in parts.columns else f'CAST(NULL AS {_TYPES[field.type][0]}) AS "{field.name}"'
        for field in dataset.schema
    )
    listed = ", ".join(_quoted(path) for path in paths)
    union = "" if parts.alike else ", union_by_name = true"
    files = f"read_parquet([{listed}], filename = true, file_row_number = true, hive_partitioning = false{union})"
    return _select(parts.host, columns, files)


def _select(host: str, columns: Iterable[str], source: str) -> str:
    select = f"SELECT {_quoted(host)} AS {_HOST}, {', '.join(columns)}"
    return f"{select}, filename, file_row_number FROM {source} WHERE id IS NOT NULL"


def _newest(connection: DuckDBPyConnection, dataset: Dataset, records: str) -> str:
    """Select the newest record of each id, from records that may hold older ones, too.

    Old ones are few or none, so they are looked for once, by hashes that take 8 bytes for each row, and then left out
    by their place. To compare all rows in each query would take more memory than the query.
    """
    columns = ", ".join((_HOST, *(f'"{field.name}"' for field in dataset.schema)))
    select = f"SELECT {columns} FROM ({records}) AS part"  # noqa: S608 - quoted
    hashes = np.sort(connection.sql(f"SELECT hash(id) AS h FROM ({records})").fetchnumpy()["h"])  # noqa: S608 - quoted
    twice = np.unique(hashes[1:][hashes[1:] == hashes[:-1]])
    if not len(twice):
        return select
    wanted, old = (f"orstats_{name}_{secrets.token_hex(8)}" for name in ("twice", "old"))
    connection.register(wanted, pa.table({"h": twice}))
    connection.execute(
        f"""CREATE TEMP TABLE {old} AS SELECT filename, file_row_number FROM (
            SELECT filename, file_row_number, row_number() OVER (PARTITION BY id ORDER BY fetched_at DESC NULLS LAST,
                parse_filename(filename) DESC, file_row_number DESC) AS newer
            FROM ({records}) WHERE hash(id) IN (SELECT h FROM {wanted})) WHERE newer > 1"""  # noqa: S608 - quoted
    )
    connection.unregister(wanted)
    return (
        f"{select} WHERE NOT EXISTS (FROM {old} AS old "
        "WHERE old.filename = part.filename AND old.file_row_number = part.file_row_number)"
    )


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _mount(connection: DuckDBPyConnection, store: Store) -> str:
    """Let DuckDB read an object store through pyarrow, with the archive's own credentials; return its prefix.

    DuckDB's own way needs an extension from the internet, and credentials of its own.
    """
    if isinstance(store, LocalStore):
        return ""
    try:
        from orstats.archive.duckdb_files import mount  # noqa: PLC0415 - needs an extra
    except ImportError:
        raise MissingExtraError("To read an archive in an object store by SQL", extra="sql") from None
    return mount(connection, store)
