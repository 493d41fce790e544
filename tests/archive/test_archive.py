"""Reading and storing: the newest record of each id, settled or not, of all versions, also compacted."""

import logging
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from stored import CREATED, HOST, SETTLED, ids_of, parts, records

from orstats.archive.archive import Archive
from orstats.archive.compaction import compact
from orstats.archive.dataset import Dataset
from orstats.archive.part import PartSpec
from orstats.archive.storage import LocalStore
from orstats.archive.verified_parts import VerifiedParts
from orstats.frame.record_table import RECORD_SCHEMA, to_table


def test_appended_records_are_read(archive):
    archive.append(HOST, records("gen-1", "gen-2"))
    archive.append(HOST, records("gen-3"))
    assert ids_of(archive.read(HOST)) == ["gen-1", "gen-2", "gen-3"]
    some = archive.read(HOST, ["gen-3", "gen-0", "gen-1", "gen-1"])
    assert archive.read(HOST, pa.array(["gen-3", None, "gen-0", "gen-1", "gen-1"])).equals(some)
    assert ids_of(some) == ["gen-1", "gen-3"]
    assert some.schema.equals(RECORD_SCHEMA)


def test_read_returns_only_the_requested_columns(archive):
    archive.append(HOST, records("gen-1", "gen-2"))
    table = archive.read(HOST, columns=["cost_usd", "model"])
    assert sorted(table.column_names) == ["cost_usd", "id", "model"]
    assert table.sort_by("id").equals(archive.read(HOST).select(table.column_names).sort_by("id"))
    assert archive.read(HOST, ["gen-3"], columns=["model"]).column_names == ["id", "model"]


def test_encoded_text_equals_plain_text(archive):
    archive.append(HOST, records("gen-1", "gen-2", model="a/b"))
    archive.append(HOST, records("gen-3", model="c/d"))
    plain, encoded = (archive.read(HOST, encoded=one).sort_by("id") for one in (False, True))
    assert pa.types.is_dictionary(encoded.schema.field("model").type)
    assert encoded.cast(RECORD_SCHEMA).equals(plain)
    few = archive.read(HOST, ["gen-3", "gen-0"], columns=["model", "cost_usd"], encoded=True)
    assert sorted(few.column_names) == ["cost_usd", "id", "model"]
    assert few["model"].to_pylist() == ["c/d"]
    assert archive.read(HOST, ["gen-0"], encoded=True).schema.equals(encoded.schema)


def test_a_record_is_read_unchanged(archive):
    record = {
        "id": "gen-1",
        "model": "a/b",
        "created_at": "2025-10-09T08:53:20.123456Z",
        "total_cost": 4.2e-07,
        "is_byok": False,
        "native_tokens_prompt": 12,
        "native_tokens_completion": 3,
        "provider_responses": [{"status": 200, "provider_name": "X"}],
        "new_field": {"deep": [1]},
    }
    table = to_table(["gen-1"], [record], [SETTLED + 10])
    archive.append(HOST, table)
    assert archive.read(HOST).to_pylist() == table.to_pylist()


def test_read_record_returns_the_newest_record_as_read_does(archive):
    archive.append(HOST, records("gen-1", "gen-2", model="newest", at=SETTLED + 9))
    archive.append(HOST, records("gen-2", "gen-1", model="older"))
    archive.append(HOST, pa.concat_tables([records("gen-3", model="upper"), records("gen-3", model="lower")]))
    archive.append(HOST, records("gen-recent", at=CREATED + 59.0))
    for generation_id in ("gen-1", "gen-2", "gen-3"):
        assert [archive.read_record(HOST, generation_id)] == archive.read(HOST, [generation_id]).to_pylist()
    assert archive.read_record(HOST, "gen-3")["model"] == "lower"
    for generation_id in ("gen-recent", "gen-0", "gen-\ud800"):
        assert archive.read_record(HOST, generation_id) is None


def test_read_record_names_a_damaged_file(archive, caplog):
    archive.append(HOST, records("gen-1", model="old"))
    archive.append(HOST, records("gen-1", model="new", at=SETTLED + 1))
    path = parts(archive)[-1]
    path.write_bytes(path.read_bytes()[:-9])
    assert archive.read_record(HOST, "gen-1")["model"] == "old"
    assert str(path) in caplog.text


ONE_ID = """
import sys
from orstats.archive.archive import Archive
archive = Archive(sys.argv[1])
archive.read_record("openrouter.ai", "gen-1")
archive.read_contents("openrouter.ai", ["gen-1"])
print(sorted({"pandas", "pyarrow.dataset"} & set(sys.modules)))
"""


def test_one_generation_is_read_without_pandas(archive):
    archive.append(HOST, records("gen-1"))
    archive.append_contents(HOST, ["gen-1"], [b"{}"], [SETTLED])
    run = subprocess.run([sys.executable, "-c", ONE_ID, archive.path], capture_output=True, text=True, check=True)
    assert run.stdout == "[]\n"


def test_an_empty_archive_reads_as_an_empty_table(archive):
    for table in (archive.read(HOST), archive.read(HOST, ["gen-1"]), archive.read(HOST, [])):
        assert table.num_rows == 0
        assert table.schema.equals(RECORD_SCHEMA)
    assert archive.hosts() == []
    assert archive.compact() == []
    assert archive.info().empty
    assert not Path(archive.path).exists()


def test_an_empty_list_of_ids_reads_no_record(archive):
    archive.append(HOST, records("gen-1"))
    assert archive.read(HOST, []).num_rows == 0


def test_an_empty_table_stores_nothing(archive):
    archive.append(HOST, records())
    assert parts(archive) == []


def test_the_newest_record_wins_in_any_order_of_storing(archive):
    archive.append(HOST, records("gen-1", "gen-2", model="newest", at=SETTLED + 9))
    archive.append(HOST, records("gen-2", "gen-1", model="older", at=SETTLED))
    for table in (archive.read(HOST), archive.read(HOST, ["gen-1", "gen-2"])):
        assert ids_of(table) == ["gen-1", "gen-2"]
        assert set(table["model"].to_pylist()) == {"newest"}


def test_the_last_stored_of_equally_new_records_wins(archive):
    archive.append(HOST, records("gen-1", model="first"))
    archive.append(HOST, records("gen-1", model="second"))
    archive.append(HOST, pa.concat_tables([records("gen-2", model="upper"), records("gen-2", model="lower")]))
    table = archive.read(HOST)
    assert dict(zip(table["id"].to_pylist(), table["model"].to_pylist(), strict=True)) == {
        "gen-1": "second",
        "gen-2": "lower",
    }


@pytest.mark.parametrize(("age", "settled"), [(59.999, False), (60.0, True), (-5.0, False)])
def test_records_fetched_within_a_minute_are_not_settled(archive, age, settled):
    archive.append(HOST, records("gen-1", at=CREATED + age))
    assert archive.read(HOST).num_rows == settled
    assert archive.read(HOST, ["gen-1"]).num_rows == settled
    assert archive.read(HOST, settled_only=False).num_rows == 1


def test_a_record_without_a_creation_time_is_not_settled(archive):
    archive.append(HOST, records("gen-1", at=SETTLED + 1e6, created=None))
    assert archive.read(HOST).num_rows == 0
    assert archive.read(HOST, settled_only=False).num_rows == 1


def test_record_is_settled_a_minute_after_the_end_of_its_call(archive):
    started = datetime.fromtimestamp(CREATED, UTC).isoformat()
    for name, took_s, fetched_after in (("gen-1", 240, 250), ("gen-2", 240, 301), ("gen-3", None, 61)):
        record = {"created_at": started, "generation_time": took_s and took_s * 1000}
        archive.append(HOST, to_table([name], [record], [CREATED + fetched_after]))
    assert ids_of(archive.read(HOST)) == ["gen-2", "gen-3"]


def test_compaction_does_not_change_what_is_read(archive):
    archive.append(HOST, records("gen-3", "gen-1", model="old"))
    archive.append(HOST, records("gen-1", "gen-2", model="new", at=SETTLED + 5))
    archive.append(HOST, records("gen-young", at=CREATED + 1.0))
    archive.append(HOST, records("gen-1", created=None, at=CREATED - 100.0))
    before = {settled: archive.read(HOST, settled_only=settled).sort_by("id") for settled in (True, False)}
    (done,) = archive.compact()
    assert (done.parts_before, done.parts_after, done.rows_before, done.rows_after) == (4, 1, 6, 4)
    assert (done.host, done.dataset, done.unreadable) == (HOST, "generations", ())
    assert 0 < done.bytes_after < done.bytes_before
    assert [path.stat().st_size for path in parts(archive)] == [done.bytes_after]
    for settled, table in before.items():
        assert archive.read(HOST, settled_only=settled).sort_by("id").equals(table)


def test_compacting_again_rewrites_nothing(archive):
    archive.append(HOST, records("gen-1"))
    archive.append(HOST, records("gen-2"))
    archive.compact()
    once = parts(archive)
    (again,) = archive.compact(HOST)
    assert parts(archive) == once
    assert (again.parts_before, again.parts_after, again.rows_after) == (1, 1, 2)
    assert again.bytes_before == again.bytes_after == once[0].stat().st_size


def test_one_part_with_old_records_is_compacted(archive):
    archive.append(HOST, pa.concat_tables([records("gen-1"), records("gen-1", at=SETTLED + 1)]))
    (done,) = archive.compact()
    assert (done.parts_before, done.parts_after, done.rows_before, done.rows_after) == (1, 1, 2, 1)


def test_compaction_skips_datasets_with_few_files(archive):
    archive.append(HOST, records("gen-1"))
    archive.append(HOST, records("gen-2"))
    assert archive.compact(min_files=3) == []
    assert len(parts(archive)) == 2
    assert len(archive.compact(min_files=2)) == 1


def test_large_parts_stay_and_small_ones_are_merged_in_pieces(archive):
    small = PartSpec("generations", RECORD_SCHEMA, ("id",), (), group_rows=3, batch_rows=4, part_rows=12)
    archive.append(HOST, records(*[f"gen-big-{n}" for n in range(7)]))
    big = parts(archive)[0]
    names = [f"gen-{n:02d}" for n in range(25)]
    for first in range(5):
        archive.append(HOST, records(*names[first::5]))
    done = compact(Dataset(LocalStore(archive.path), small, HOST), VerifiedParts(archive.path))
    assert (done.parts_before, done.parts_after, done.rows_after) == (6, 4, 32)
    assert big in parts(archive)
    assert ids_of(archive.read(HOST)) == sorted([*names, *(f"gen-big-{n}" for n in range(7))])
    merged = [pq.read_table(path, partitioning=None)["id"].to_pylist() for path in parts(archive) if path != big]
    assert [i for part in merged for i in part] == names
    for wanted in (["gen-04"], ["gen-00", "gen-24"], ["gen-", "gen-big-3", "zzz"]):
        assert ids_of(archive.read(HOST, wanted)) == [i for i in wanted if i in names or i == "gen-big-3"]


def test_ids_may_contain_any_characters(archive):
    odd = ["", " ", "gen-'\"\\", "gen-\n\t", "gen-日本\U0001f600", "x" * 5000, "gen-\x00"]
    archive.append(HOST, records(*odd))
    assert ids_of(archive.read(HOST, [*odd, "gen-\ud800"])) == sorted(odd)
    archive.compact()
    assert ids_of(archive.read(HOST, odd)) == sorted(odd)


def test_any_parquet_reader_opens_it(archive):
    archive.append("127.0.0.1:8000", records("gen-1"))
    archive.append(HOST, records("gen-2"))
    frame = pd.read_parquet(Path(archive.path) / "generations")
    assert dict(zip(frame["id"], frame["host"], strict=True)) == {"gen-1": "127.0.0.1:8000", "gen-2": HOST}
    assert pq.read_metadata(parts(archive)[0]).metadata[b"orstats:archive"] == b"1"


def test_parts_of_older_and_newer_versions_are_read(archive):
    archive.append(HOST, records("gen-1"))
    (path,) = parts(archive)
    older = records("gen-older").drop_columns(["model", "data_region"])
    newer = records("gen-newer").append_column("from_the_future", pa.array([1]))
    pq.write_table(older, path.with_name("part-older.parquet"))
    pq.write_table(newer, path.with_name("part-newer.parquet"))
    table = archive.read(HOST)
    assert table.schema.equals(RECORD_SCHEMA)
    models = dict(zip(table["id"].to_pylist(), table["model"].to_pylist(), strict=True))
    assert models == {"gen-1": "a/b", "gen-older": None, "gen-newer": "a/b"}
    assert archive.read(HOST, encoded=True).cast(RECORD_SCHEMA).equals(table)


def test_append_refuses_other_columns_and_missing_ids(archive):
    with pytest.raises(ValueError, match="columns"):
        archive.append(HOST, pa.table({"id": ["gen-1"]}))
    nameless = records("gen-1").set_column(0, "id", pa.nulls(1, pa.string()))
    with pytest.raises(ValueError, match="without an id"):
        archive.append(HOST, nameless)
    assert parts(archive) == []


def test_append_accepts_columns_in_any_order(archive):
    archive.append(HOST, records("gen-1").select(RECORD_SCHEMA.names[::-1]))
    assert archive.read(HOST).schema.equals(RECORD_SCHEMA)


def test_info_counts_files_rows_and_ids(archive):
    archive.append(HOST, records("gen-1", "gen-2"))
    archive.append(HOST, records("gen-2", at=SETTLED + 1))
    archive.append("other", records("gen-9", created=None))
    archive.append_contents("third", ["gen-1"], [b"{}"], [SETTLED])
    info = archive.info()
    assert info.index.tolist() == [HOST, "other", "third"]
    assert info.index.name == "host"
    first = info.loc[HOST]
    assert first[["parts", "damaged", "rows", "ids", "contents"]].tolist() == [2, 0, 3, 2, 0]
    assert first["bytes"] == sum(path.stat().st_size for path in parts(archive) if path.parent.name == f"host={HOST}")
    assert first["oldest"] == first["newest"] == pd.Timestamp("2025-10-09T08:53:20Z")
    assert info["oldest"].isna().tolist() == [False, True, True]
    assert info["contents"].tolist() == [0, 0, 1]
    assert str(info["oldest"].dtype) == "datetime64[us, UTC]"
    assert archive.info().dtypes.equals(Archive(Path(archive.path) / "empty").info().dtypes)


def test_nothing_is_logged_about_a_healthy_archive(archive, caplog):
    caplog.set_level(logging.DEBUG)
    archive.append(HOST, records("gen-1"))
    archive.append(HOST, records("gen-2"))
    archive.compact()
    archive.read(HOST)
    assert not caplog.records
