"""The archive as a table of DuckDB or Spark, which read the parts themselves.

This module passes them the parts to read, and excludes records that a newer one replaces.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa

from orstats.archive.casts import stored_type
from orstats.archive.dataset import Dataset, warn_of_unreadable
from orstats.archive.part import Part, PartSpec
from orstats.archive.storage import LocalStore, Store
from orstats.archive.verified_parts import VerifiedParts
from orstats.errors import ArchiveError, ConfigError, MissingExtraError

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection, DuckDBPyRelation
    from pyspark.sql import DataFrame, SparkSession

#: The type of each column in DuckDB and in Spark.
_TYPES: Final[Mapping[pa.DataType, tuple[str, str]]] = {
    pa.string(): ("VARCHAR", "string"),
    pa.int64(): ("BIGINT", "bigint"),
    pa.bool_(): ("BOOLEAN", "boolean"),
    pa.float64(): ("DOUBLE", "double"),
    pa.timestamp("us", tz="UTC"): ("TIMESTAMPTZ", "timestamp"),
}
#: Spark's URL prefix for each scheme of pyarrow.
_SPARK_SCHEMES: Final = {"": "file://", "file": "file://", "s3": "s3a://", "gs": "gs://", "gcs": "gs://"}
_GLOB: Final = re.compile(r"([\\\[\]{}*?])")
#: Columns that DuckDB adds for the position of a row.
_POSITION: Final = ("filename", "file_row_number")


@dataclass(frozen=True, slots=True)
class HostParts:
    """The undamaged parts of one host: the paths of those that engines can read, and the records of the others."""

    host: str
    paths: Sequence[str]
    columns: frozenset[str]
    same_columns: bool
    others: pa.Table


def host_parts(dataset: Dataset, verified: VerifiedParts) -> HostParts:
    """List the undamaged parts; the others are logged and excluded, because engines add up damaged pages."""
    spec = dataset.spec

    def read_if_needed(part: Part) -> pa.Table | None:
        readable = _is_readable(part.schema, spec)
        return None if readable else _with_position(part.read(part.groups, spec.schema.names), part.path)

    def list_parts() -> HostParts:
        found, problems = dataset.scan(dataset.list_parts(), read_if_needed, verified)
        warn_of_unreadable(dataset.warn(problems))
        direct = [part for part, table in found if table is None]
        nothing = _with_position(spec.schema.empty_table(), "")
        return HostParts(
            dataset.host,
            [part.path for part in direct],
            frozenset().union(*(part.schema.names for part in direct)),
            same_columns=len({tuple(part.schema.names) for part in direct}) == 1,
            others=pa.concat_tables([nothing, *(table for _, table in found if table is not None)]),
        )

    return dataset.retry_on_compaction(list_parts)


def _is_readable(schema: pa.Schema, spec: PartSpec) -> bool:
    """Return whether engines read the spec's types from a part."""
    if not {*_POSITION}.isdisjoint(map(str.lower, schema.names)):
        return False
    types = {field.name: stored_type(field.type) for field in schema}
    return all(types.get(field.name, field.type) == stored_type(field.type) for field in spec.schema)


def _with_position(table: pa.Table, path: str) -> pa.Table:
    names = pa.array([path] * table.num_rows, pa.string())
    rows = pa.array(range(table.num_rows), pa.int64())
    return table.append_column(_POSITION[0], names).append_column(_POSITION[1], rows)


def connect() -> DuckDBPyConnection:
    """Open a DuckDB database in memory."""
    connection: DuckDBPyConnection = _duckdb().connect()
    return connection


def relation(
    connection: DuckDBPyConnection, store: Store, spec: PartSpec, hosts: Iterable[HostParts]
) -> DuckDBPyRelation:
    """Return a relation of the newest record of each id over all hosts: ``host`` and the spec's columns.

    Raises FileNotFoundError if a compaction replaced parts meanwhile.
    """
    duckdb = _duckdb()
    prefix = _mount(connection, store)
    null = {field.name: f'CAST(NULL AS {_TYPES[field.type][0]}) AS "{field.name}"' for field in spec.schema}
    # Not isnan(): DuckDB takes it for false where the statistics of a part, which exclude NaN, have a minimum.
    known = {field.name: _finite(field, '"', "CASE WHEN isfinite({0}) THEN {0} END") for field in spec.schema}
    position = ", ".join(_POSITION)
    no_rows = f"SELECT '' AS host, {', '.join(null.values())}, '' AS filename, 0 AS file_row_number WHERE false"
    used: list[str] = []
    queries = [no_rows]  # gives an empty archive its columns

    def select(host: str, stored: Collection[str], source: str) -> None:
        columns = ", ".join(known[name] if name in stored else null[name] for name in spec.schema.names)
        start = f"SELECT {_quoted(host)} AS host, {columns}, {position}"
        queries.append(f"{start} FROM {source} WHERE id IS NOT NULL")

    for one in hosts:
        used += one.paths
        if one.paths:
            paths = ", ".join(_quoted(prefix + store.full(path)) for path in one.paths)
            union = "" if one.same_columns else ", union_by_name = true"
            options = f"filename = true, file_row_number = true, hive_partitioning = false{union}"
            select(one.host, one.columns, f"read_parquet([{paths}], {options})")
        if one.others.num_rows:
            select(one.host, spec.schema.names, _register(connection, "others", one.others))
    try:
        return connection.sql(_newest(connection, spec, " UNION ALL ".join(queries)))
    except duckdb.Error as error:
        for path in used:
            store.open(path).close()
        raise ArchiveError(f"DuckDB cannot read the archive: {error}", path=store.full("")) from error


def _newest(connection: DuckDBPyConnection, spec: PartSpec, records: str) -> str:
    """Return a query of the newest record of each id, from a query of records that may include older ones.

    Older ones are few or none. They are found once, by hashes that take 8 bytes for each row, and then excluded by
    their position. Comparing all rows in each query would take more memory than the query itself.
    """
    columns = ", ".join(("host", *(f'"{field.name}"' for field in spec.schema)))
    select = f"SELECT {columns} FROM ({records}) AS part"  # noqa: S608 - quoted
    hashes = np.sort(connection.sql(f"SELECT hash(id) AS h FROM ({records})").fetchnumpy()["h"])  # noqa: S608 - quoted
    twice = np.unique(hashes[1:][hashes[1:] == hashes[:-1]])
    if not len(twice):
        return select
    wanted = _register(connection, "twice", pa.table({"h": twice}))
    old = f"orstats_old_{secrets.token_hex(8)}"
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


def _finite(field: pa.Field, quote: str, condition: str) -> str:
    """Return a column's SQL, NaN as null: other programs write missing numbers so, and every sum would be NaN."""
    name = f"{quote}{field.name}{quote}"
    return f"{condition.format(name)} AS {name}" if pa.types.is_floating(field.type) else name


def _register(connection: DuckDBPyConnection, kind: str, table: pa.Table) -> str:
    name = f"orstats_{kind}_{secrets.token_hex(8)}"
    connection.register(name, table)
    return name


def query(connection: DuckDBPyConnection, records: DuckDBPyRelation, sql: str) -> DuckDBPyRelation:
    """Run a ``SELECT`` over the view ``generations``."""
    records.create_view("generations")
    try:
        result = connection.sql(sql)
    except _duckdb().Error as error:
        raise ConfigError(f"DuckDB cannot run this SQL: {error}") from error
    if result is None:
        raise ConfigError(f"query must be a SELECT over the table generations, got {sql!r}.")
    return result


def spark_frame(
    session: SparkSession, store: Store, scheme: str, spec: PartSpec, hosts: Iterable[HostParts]
) -> DataFrame:
    """Return a Spark DataFrame of the newest record of each id over all hosts: ``host`` and the spec's columns."""
    base = _SPARK_SCHEMES.get(scheme)
    if base is None:
        raise ConfigError(f"spark() does not support {scheme}:// archives. Use session.read.parquet on generations/.")
    schema = ", ".join(f"`{field.name}` {_TYPES[field.type][1]}" for field in spec.schema)
    names = [f"`{field.name}`" for field in spec.schema]
    known = [_finite(field, "`", "CASE WHEN abs({0}) < double('Infinity') THEN {0} END") for field in spec.schema]
    result = session.createDataFrame([], f"`host` string, {schema}, part string, position bigint")
    for parts in hosts:
        sources = []
        if parts.paths:
            paths = [base + _GLOB.sub(r"\\\1", store.full(path)) for path in parts.paths]
            sources.append((session.read.schema(schema).parquet(*paths), "_metadata.file_name", "_metadata.row_index"))
        if parts.others.num_rows:
            sources.append((session.createDataFrame(parts.others), *_POSITION))
        host = parts.host.replace("\\", "\\\\").replace("'", "\\'")
        for records, part, position in sources:
            columns = (f"'{host}' as `host`", *known, f"{part} as part", f"{position} as position")
            result = result.unionAll(records.selectExpr(*columns))
    newest = "row_number() over (partition by id order by fetched_at desc nulls last, part desc, position desc)"
    ranked = result.selectExpr("*", f"{newest} as newer")
    return ranked.where("newer = 1 and id is not null").selectExpr("`host`", *names)


def _duckdb() -> ModuleType:
    try:
        import duckdb  # noqa: PLC0415 - an extra
    except ImportError:
        raise MissingExtraError("Reading the archive by SQL", extra="sql") from None
    module: ModuleType = duckdb
    return module


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _mount(connection: DuckDBPyConnection, store: Store) -> str:
    """Let DuckDB read an object store through pyarrow, with the archive's own credentials; return its prefix.

    DuckDB's own way needs an extension from the internet, and credentials of its own.
    """
    if isinstance(store, LocalStore):
        return ""
    try:
        from orstats.archive.duckdb_filesystem import mount  # noqa: PLC0415 - needs an extra
    except ImportError:
        raise MissingExtraError("Reading an archive in an object store by SQL", extra="sql") from None
    return mount(connection, store)
