"""Parts that other programs rewrote, renamed or copied, and files of the user among them."""

import logging
from pathlib import Path

import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from stored import HOST, SETTLED, ids_of, parts, records

from orstats.archive.archive import Archive
from orstats.archive.dataset import part_name, successor_name
from orstats.frame.record_table import RECORD_SCHEMA, to_table

pytestmark = pytest.mark.filterwarnings("ignore:Unreadable archive files")

TEXT = [field.name for field in RECORD_SCHEMA if field.type == pa.string()]
TIMES = [field.name for field in RECORD_SCHEMA if pa.types.is_timestamp(field.type)]
COUNTS = [field.name for field in RECORD_SCHEMA if field.type == pa.int64()]
DOUBLES = [field.name for field in RECORD_SCHEMA if field.type == pa.float64()]
AMOUNTS = ("total_cost", "cost_usd")


def table_of(path: Path) -> pa.Table:
    return pq.read_table(path, partitioning=None)


def recast(path: Path, types: dict[str, pa.DataType], **options) -> None:
    table = table_of(path).replace_schema_metadata()
    schema = pa.schema([field.with_type(types.get(field.name, field.type)) for field in table.schema])
    pq.write_table(table.cast(schema), path, **options)


def by_duckdb(path: Path, columns: str = "*", options: str = "") -> None:
    other = path.with_suffix(".new")
    source = f"read_parquet('{path}', hive_partitioning=false)"
    duckdb.sql(f"COPY (SELECT {columns} FROM {source}) TO '{other}' (FORMAT parquet{options})")
    other.replace(path)


def by_polars(path: Path, *changes: pl.Expr) -> None:
    frame = pl.read_parquet(path, hive_partitioning=False)
    frame.with_columns(*changes).write_parquet(path)


def of(names, kind):
    return lambda path: recast(path, dict.fromkeys(names, kind))


REWRITES = {
    "pandas": lambda path: pd.read_parquet(path, partitioning=None).to_parquet(path),
    "pandas with an index": lambda path: (
        pd.read_parquet(path, partitioning=None).sort_values("id", ascending=False).to_parquet(path)
    ),
    "pandas with nanoseconds": lambda path: (
        pd.read_parquet(path, partitioning=None).astype(dict.fromkeys(TIMES, "datetime64[ns, UTC]")).to_parquet(path)
    ),
    "pandas with categories": lambda path: (
        pd.read_parquet(path, partitioning=None).astype(dict.fromkeys(TEXT, "category")).to_parquet(path)
    ),
    "pandas in milliseconds": lambda path: pd.read_parquet(path, partitioning=None).to_parquet(
        path, coerce_timestamps="ms"
    ),
    "polars": by_polars,
    "polars without a zone": lambda path: by_polars(path, pl.col(*TIMES).dt.replace_time_zone(None)),
    "polars in another zone": lambda path: by_polars(path, pl.col(*TIMES).dt.convert_time_zone("America/New_York")),
    "polars with small numbers": lambda path: by_polars(path, pl.col(*COUNTS).cast(pl.Int32)),
    "polars with categories": lambda path: by_polars(path, pl.col(*TEXT).cast(pl.Categorical)),
    "polars with NaN": lambda path: by_polars(path, *(pl.col(name).fill_null(float("nan")) for name in DOUBLES)),
    "polars uncompressed": lambda path: pl.read_parquet(path, hive_partitioning=False).write_parquet(
        path, compression="uncompressed", row_group_size=2
    ),
    "duckdb": by_duckdb,
    "duckdb for newer readers": lambda path: by_duckdb(path, options=", PARQUET_VERSION v2"),
    "duckdb with decimals": lambda path: by_duckdb(
        path, f"* REPLACE ({', '.join(f'{name}::DECIMAL(18, 9) AS {name}' for name in AMOUNTS)})"
    ),
    "duckdb without a zone": lambda path: by_duckdb(
        path, f"* REPLACE ({', '.join(f'''({name} AT TIME ZONE 'UTC') AS {name}''' for name in TIMES)})"
    ),
    "pyarrow": lambda path: pq.write_table(table_of(path), path),
    "pyarrow with other compression": lambda path: pq.write_table(table_of(path), path, compression="gzip"),
    "pyarrow with delta encodings": lambda path: pq.write_table(
        table_of(path), path, use_dictionary=False, column_encoding=dict.fromkeys(TEXT, "DELTA_BYTE_ARRAY")
    ),
    "pyarrow for spark": lambda path: pq.write_table(table_of(path), path, flavor="spark"),
    "large strings": of(TEXT, pa.large_string()),
    "dictionaries": of(TEXT, pa.dictionary(pa.int16(), pa.string())),
    "whole floats": of(COUNTS, pa.float64()),
    "unsigned": of(COUNTS, pa.uint32()),
    "whole decimals": of(COUNTS, pa.decimal128(20, 0)),
    "flags as numbers": of([f.name for f in RECORD_SCHEMA if f.type == pa.bool_()], pa.int8()),
    "milliseconds": of(TIMES, pa.timestamp("ms", "UTC")),
    "times as text": lambda path: recast(path, dict.fromkeys(TIMES, pa.string())),
    "columns in another order": lambda path: pq.write_table(table_of(path).select(RECORD_SCHEMA.names[::-1]), path),
    "small row groups": lambda path: pq.write_table(table_of(path), path, row_group_size=1),
}
if int(pa.__version__.partition(".")[0]) >= 19:  # older ones do not cast to views
    REWRITES["string views"] = of(TEXT, pa.string_view())


@pytest.fixture
def stored(archive):
    """An archive with some records in one part, and what it answers."""
    full = [
        {
            "id": f"gen-{n}",
            "model": "a/b",
            "created_at": "2025-10-09T08:53:20.123Z",
            "total_cost": 4.2e-07 * n,
            "is_byok": n == 1,
            "native_tokens_prompt": None if n == 2 else 12 + n,
            "native_tokens_completion": 3,
            "generation_time": 5.5,
            "external_user": None if n else "alice",
        }
        for n in range(5)
    ]
    archive.append(HOST, to_table([record["id"] for record in full], full, [SETTLED + 10] * 5))
    return archive, archive.read(HOST).sort_by("id")


def rounded(table: pa.Table) -> list[dict]:
    """The rows, amounts as DECIMAL(18, 9) keeps them."""
    return [row | {name: round(row[name], 9) for name in AMOUNTS if row[name] is not None} for row in table.to_pylist()]


@pytest.mark.parametrize("name", REWRITES)
def test_a_rewritten_part_is_read_without_loss(stored, caplog, name):
    archive, before = stored
    caplog.set_level(logging.WARNING)
    REWRITES[name](parts(archive)[0])
    archive = Archive(archive.path)
    assert rounded(archive.read(HOST).sort_by("id")) == rounded(before)
    assert rounded(archive.read(HOST, before["id"].to_pylist(), encoded=True).sort_by("id")) == rounded(before)
    records = archive.relation().project(", ".join(before.column_names)).order("id").to_arrow_table()
    assert rounded(records.cast(RECORD_SCHEMA)) == rounded(before)
    assert archive.info()["damaged"].tolist() == [0]
    archive.append(HOST, records_of_two())
    assert archive.compact()[0].parts_after == 1
    assert table_of(parts(archive)[0]).schema.equals(RECORD_SCHEMA)
    assert rounded(archive.read(HOST, before["id"].to_pylist()).sort_by("id")) == rounded(before)
    assert not caplog.records


def records_of_two() -> pa.Table:
    return records("gen-7", "gen-8")


@pytest.mark.parametrize("name", [name for name in REWRITES if "pandas" in name or "polars" in name])
def test_rewritten_contents_are_read_without_loss(archive, name):
    archive.append_contents(HOST, ["gen-1", "gen-2"], [b"{}", b'{"a": "\xc3\xa9"}'], [1.0, 2.5])
    path = parts(archive)[0]
    if "pandas" in name:
        pd.read_parquet(path, partitioning=None).to_parquet(path)
    else:
        by_polars(path)
    assert archive.read_contents(HOST, ["gen-1", "gen-2"]) == {"gen-1": b"{}", "gen-2": b'{"a": "\xc3\xa9"}'}


LOSSY = {
    "native_tokens_prompt": pa.array([1.5, 2, 3, 4, 5]),
    "is_byok": pa.array([0, 1, 2, 0, 1], pa.int8()),
    "model": pa.array([1, 2, 3, 4, 5]),
    "cost_usd": pa.array(["a", "b", "c", "d", "e"]),
    "created_at": pa.array([f"2025-10-09 0{n}:00" for n in range(5)]),
    "external_user": pa.array([b"alice"] * 5, pa.binary()),
}


@pytest.mark.parametrize("name", LOSSY)
def test_a_part_that_cannot_be_cast_without_loss_is_reported_and_kept(stored, caplog, name):
    archive, _ = stored
    (path,) = parts(archive)
    table = table_of(path)
    pq.write_table(table.set_column(table.column_names.index(name), name, LOSSY[name]), path)
    whole = path.read_bytes()
    assert archive.read(HOST).num_rows == 0
    assert archive.relation().fetchall() == []
    assert archive.info()["damaged"].tolist() == [1]
    assert str(path) in caplog.text
    assert name in caplog.text
    assert "elete it" not in caplog.text
    assert archive.compact()[0].unreadable == (str(path),)
    assert path.read_bytes() == whole


def test_a_renamed_part_is_still_a_part(stored, caplog):
    archive, before = stored
    (path,) = parts(archive)
    for name in (
        "march.parquet",
        "PART-1.PARQUET",
        "Copy of part.parquet",
        "part-1 (1).parquet",
        "part-1.sync-conflict-2026.parquet",
    ):
        path = path.rename(path.with_name(name))
        assert archive.read(HOST).sort_by("id").equals(before)
        assert archive.sql("SELECT count(*) FROM generations").fetchall() == [(5,)]
    by_polars(path)
    path = path.rename(path.with_name("moved.parquet"))
    assert archive.read(HOST).sort_by("id").equals(before)
    assert not caplog.records


def test_a_copied_part_is_counted_once(stored):
    archive, before = stored
    (path,) = parts(archive)
    path.with_name(f"{path.stem} (1).parquet").write_bytes(path.read_bytes())
    assert archive.sql("SELECT count(*) FROM generations").fetchall() == [(5,)]
    assert archive.read(HOST).sort_by("id").equals(before)
    archive.compact()
    assert len(parts(archive)) == 1


OWN = {
    "notes": lambda _: pa.table({"id": ["gen-1"], "note": ["mine"]}),
    "ids and times": lambda table: table.select(["id", "fetched_at"]),
    "a few columns": lambda table: table.select(["id", "fetched_at", "created_at", "model", "cost_usd"]),
    "more columns": lambda table: table.append_column("team", pa.array(["x"] * table.num_rows)),
    "a frame": lambda table: table.append_column("fetch_status", pa.array(["ok"] * table.num_rows)),
}


@pytest.mark.parametrize("kind", OWN)
def test_a_file_of_the_user_is_reported_and_left_untouched(stored, caplog, kind):
    archive, before = stored
    folder = parts(archive)[0].parent
    own = folder / "zz-mine.parquet"
    pq.write_table(OWN[kind](table_of(parts(archive)[0])), own)
    whole = own.read_bytes()
    archive.append(HOST, records("gen-9"))
    assert ids_of(archive.read(HOST)) == [*before["id"].to_pylist(), "gen-9"]
    assert archive.read(HOST, before["id"].to_pylist()).sort_by("id").equals(before)
    assert archive.sql("SELECT count(*) FROM generations").fetchall() == [(6,)]
    assert archive.info().loc[HOST, ["damaged", "ignored", "ids"]].tolist() == [0, 1, 6]
    (done,) = archive.compact()
    assert (done.unreadable, done.ignored) == ((), (str(own),))
    assert own.read_bytes() == whole
    assert str(own) in caplog.text
    assert "elete it" not in caplog.text


def test_compaction_preserves_columns_of_newer_versions(archive):
    archive.append(HOST, records("gen-1"))
    (path,) = parts(archive)
    for name, value in (("gen-2", pa.array([1])), ("gen-3", pa.array([2.5]))):
        pq.write_table(records(name).append_column("from_the_future", value), path.with_name(f"part-{name}.parquet"))
    archive.compact()
    (merged,) = parts(archive)
    rows = table_of(merged).select(["id", "from_the_future"]).to_pylist()
    assert {row["id"]: row["from_the_future"] for row in rows} == {"gen-1": None, "gen-2": 1.0, "gen-3": 2.5}
    assert archive.info()["damaged"].tolist() == [0]


def test_parts_whose_unknown_columns_contradict_are_not_merged(archive, caplog):
    archive.append(HOST, records("gen-1"))
    (path,) = parts(archive)
    for name, value in (("gen-2", pa.array([1])), ("gen-3", pa.array([["x"]]))):
        pq.write_table(records(name).append_column("from_the_future", value), path.with_name(f"part-{name}.parquet"))
    archive.compact()
    assert len(parts(archive)) == 3
    assert ids_of(archive.read(HOST)) == ["gen-1", "gen-2", "gen-3"]
    assert "not merged" in caplog.text


@pytest.mark.parametrize("kind", ["a directory", "a broken link", "a link to itself", "a copy of rclone"])
def test_what_is_named_like_a_part_and_cannot_be_read_is_reported(stored, caplog, kind):
    archive, before = stored
    odd = parts(archive)[0].with_name("part-odd.parquet")
    if kind == "a directory":
        odd.mkdir()
    elif kind == "a link to itself":
        odd.symlink_to(odd)
    elif kind == "a copy of rclone":
        odd = odd.with_name("part-odd.parquet.5f2a.partial")
        odd.write_bytes(parts(archive)[0].read_bytes())
    else:
        odd.symlink_to("gone")
    assert archive.read(HOST).sort_by("id").equals(before)
    assert archive.sql("SELECT count(*) FROM generations").fetchall() == [(5,)]
    assert archive.info()["damaged"].tolist() == [1]
    assert archive.compact()[0].unreadable == (str(odd),)
    assert str(odd) in caplog.text


def test_files_of_the_system_and_of_sync_tools_are_ignored(stored, caplog):
    archive, before = stored
    folder = parts(archive)[0].parent
    names = (
        ".DS_Store",
        "desktop.ini",
        "Thumbs.db",
        "._part-1.parquet",
        ".nfs0001",
        "x.parquet.crc",
        "a.tmp",
        "_SUCCESS",
    )
    for name in names:
        (folder / name).write_bytes(b"\x00")
    (folder / ".stversions").mkdir()
    assert archive.read(HOST).sort_by("id").equals(before)
    archive.compact()
    assert archive.info()["damaged"].tolist() == [0]
    assert {*names} < {path.name for path in folder.iterdir()}
    assert not caplog.records


def test_a_renamed_directory_is_reported(stored, caplog):
    archive, _ = stored
    folder = parts(archive)[0].parent
    folder = folder.rename(folder.with_name("host=openrouter.ai (1)"))
    assert archive.hosts() == []
    assert str(folder) in caplog.text


def test_an_archive_of_renamed_parts_is_not_taken_for_empty(stored, caplog):
    archive, _ = stored
    (path,) = parts(archive)
    path = path.rename(path.with_suffix(".parquet.partial"))
    assert archive.hosts() == [HOST]
    assert archive.info()["damaged"].tolist() == [1]
    assert str(path) in caplog.text


def test_the_successor_of_a_part_sorts_like_the_part():
    name = part_name()
    assert successor_name(name)[:-16] == name[:-16]
    assert successor_name(name) != name
    assert successor_name("march.parquet").startswith("part-2")


def with_columns(path: Path, *names: str) -> None:
    table = table_of(path)
    for name in names:
        table = table.append_column(name, pa.array(["x"] * table.num_rows))
    pq.write_table(table, path)


@pytest.mark.parametrize("names", [("filename",), ("File_Row_Number", "rank"), ("Model",), ('a "b"\n', "")])
def test_engines_read_parts_whose_extra_columns_have_special_names(stored, names):
    archive, before = stored
    with_columns(parts(archive)[0], *names)
    assert archive.sql("SELECT count(*), sum(cost_usd) > 0 FROM generations").fetchall() == [(5, True)]
    assert archive.read(HOST).sort_by("id").equals(before)


def test_a_part_with_duplicate_columns_is_reported_and_kept(stored, caplog):
    archive, _ = stored
    (path,) = parts(archive)
    with_columns(path, "model")
    assert archive.read(HOST).num_rows == 0
    assert archive.sql("SELECT count(*) FROM generations").fetchall() == [(0,)]
    assert "several columns named 'model'" in caplog.text
    assert archive.compact()[0].unreadable == (str(path),)


def test_engines_skip_rows_without_an_id(stored):
    archive, before = stored
    (path,) = parts(archive)
    table = table_of(path)
    nameless = table.slice(0, 1).set_column(0, "id", pa.nulls(1, pa.string()))
    pq.write_table(pa.concat_tables([table, nameless]), path)
    assert archive.sql("SELECT count(*) FROM generations").fetchall() == [(5,)]
    assert archive.read(HOST).sort_by("id").equals(before)


def test_parts_in_a_subdirectory_are_reported(stored, caplog):
    archive, _ = stored
    (path,) = parts(archive)
    (path.parent / "old").mkdir()
    path.rename(path.parent / "old" / path.name)
    archive.append(HOST, records_of_two())
    assert archive.read(HOST).num_rows == 2
    assert archive.info()["damaged"].tolist() == [1]
    assert f"{path.parent / 'old'} is skipped" in caplog.text
    assert "Move its Parquet files up" in caplog.text
