"""One flipped bit, anywhere in a part: the part is skipped and reported, or the data read is unchanged."""

import io
import logging
import os
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from stored import HOST, SETTLED, parts

from orstats.archive.archive import Archive
from orstats.archive.dataset import GENERATIONS, Dataset
from orstats.archive.seal import read_footer
from orstats.archive.storage import LocalStore
from orstats.archive.verified_parts import VerifiedParts
from orstats.frame.record_table import to_table

pytestmark = pytest.mark.filterwarnings("ignore:Unreadable archive files")

VERSION_0_1_0 = Path(__file__).parent / "version-0.1.0"


@pytest.fixture
def stored(tmp_path):
    """An archive of one part, and that part."""
    archive = Archive(tmp_path)
    full = [
        {"model": f"a/{n % 3}", "created_at": "2025-10-09T08:53:20Z", "total_cost": 0.1 * n, "native_tokens_prompt": n}
        for n in range(60)
    ]
    archive.append(HOST, to_table([f"gen-{n:02d}" for n in range(60)], full, [SETTLED + 10] * 60))
    return archive, parts(archive)[0]


def flips(path: Path, step: int):
    """The bytes of a file with one bit flipped, at each step: another bit each time."""
    whole = path.read_bytes()
    for number, at in enumerate(range(0, len(whole), step)):
        flipped = bytearray(whole)
        flipped[at] ^= 1 << (number % 8)
        yield at, bytes(flipped)


def test_no_flipped_bit_changes_what_is_read(stored, caplog):
    archive, path = stored
    before = archive.read(HOST)
    total = archive.sql("SELECT count(*), sum(cost_usd), sum(native_tokens_prompt) FROM generations").fetchall()
    seen = set()
    for at, flipped in flips(path, 251):
        path.write_bytes(flipped)
        caplog.clear()
        table = archive.read(HOST)
        read = table.num_rows
        assert read == 0 or table.equals(before), at
        assert (read == 0) == (str(path) in caplog.text), at
        caplog.clear()
        (found,) = archive.sql("SELECT count(*), sum(cost_usd), sum(native_tokens_prompt) FROM generations").fetchall()
        assert found[0] == 0 or [found] == total, at
        assert (found[0] == 0) == (str(path) in caplog.text), at
        assert archive.info()["damaged"].sum() == (found[0] == 0), at
        seen.add((read, found[0]))
    assert (0, 0) in seen


def test_every_bit_of_the_footer_is_covered_by_the_seal(stored):
    _, path = stored
    whole = path.read_bytes()
    metadata = pq.read_metadata(io.BytesIO(whole))
    start = len(whole) - metadata.serialized_size - 8
    undetected = []
    for at in range(start, len(whole)):
        flipped = bytearray(whole)
        flipped[at] ^= 1 << (at % 8)
        try:
            footer = read_footer(len(flipped), lambda count, place, data=bytes(flipped): data[place : place + count])
            pq.read_metadata(io.BytesIO(b"PAR1" + footer))  # a footer cut off before its seal is not one of Parquet
        except (ValueError, OSError, pa.ArrowException):
            continue
        undetected.append(at)
    # Only in the seal itself, so that what it is about is as it was.
    name = whole.rfind(b"orstats:seal")
    assert set(undetected) <= set(range(name - 2, name + 12 + 2 + 32))


def test_flips_in_the_pages_of_a_part_without_a_seal_are_found(tmp_path, caplog):
    path = tmp_path / "generations" / f"host={HOST}" / "part-old.parquet"
    path.parent.mkdir(parents=True)
    (old,) = [part for part in VERSION_0_1_0.glob("generations/*/*.parquet") if pq.read_metadata(part).num_rows == 20]
    path.write_bytes(old.read_bytes())
    archive = Archive(tmp_path)
    before = archive.read(HOST)
    (total,) = archive.sql("SELECT count(*), sum(cost_usd) FROM generations").fetchall()
    pages = path.stat().st_size - pq.read_metadata(path).serialized_size - 8
    for at, flipped in flips(old, 131):
        if at >= pages:
            break
        path.write_bytes(flipped)
        caplog.clear()
        assert archive.read(HOST).num_rows == 0 or archive.read(HOST).equals(before), at
        (found,) = archive.sql("SELECT count(*), sum(cost_usd) FROM generations").fetchall()
        assert found == total or (found[0] == 0 and str(path) in caplog.text), at


def test_contradicting_column_names_are_found(tmp_path, caplog):
    path = tmp_path / "generations" / f"host={HOST}" / "part-old.parquet"
    path.parent.mkdir(parents=True)
    (old,) = [part for part in VERSION_0_1_0.glob("generations/*/*.parquet") if pq.read_metadata(part).num_rows == 20]
    whole = old.read_bytes()
    at = whole.rfind(b"cost_usd", 0, whole.rfind(b"ARROW:schema"))
    path.write_bytes(whole.replace(b"total_cost", b"tosal_cost"))
    assert at > 0
    assert Archive(tmp_path).sql("SELECT count(*) FROM generations").fetchall() == [(0,)]
    assert str(path) in caplog.text


def test_a_sealed_part_that_pyarrow_rewrites_is_readable(stored, caplog):
    archive, path = stored
    before = archive.read(HOST)
    caplog.set_level(logging.WARNING)
    pq.write_table(pq.read_table(path, partitioning=None), path)
    assert archive.read(HOST).equals(before)
    assert archive.info()["damaged"].tolist() == [0]
    assert not caplog.records


def flip_unnoticed(path: Path) -> None:
    """Damage the pages of a part so that only reading all of it can notice: same size, times and footer."""
    before = path.stat()
    whole = bytearray(path.read_bytes())
    whole[200] ^= 1
    with path.open("r+b") as file:
        file.write(bytes(whole))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def verify(archive: Archive, verified: VerifiedParts) -> int:
    """Return how many parts are found damaged."""
    dataset = Dataset(UnchangedStore(archive.path), GENERATIONS, HOST)
    return len(dataset.scan(dataset.list_parts(), lambda part: part.path, verified)[1])


class UnchangedStore(LocalStore):
    """A store whose files seem never to change while their size and modification time stay."""

    def files(self, directory):
        return [replace(entry, stamp=str(entry.changed)) for entry in super().files(directory)]


def test_a_part_is_verified_only_once(stored):
    archive, path = stored
    os.utime(path, (1.7e9, 1.7e9))
    verified = VerifiedParts(archive.path)
    assert verify(archive, verified) == 0
    flip_unnoticed(path)
    assert verify(archive, verified) == 0  # not read again
    os.utime(path, (1.7e9 + 1, 1.7e9 + 1))
    assert verify(archive, verified) == 1


def test_verified_parts_are_remembered_for_large_archives(stored, monkeypatch, tmp_path):
    archive, path = stored
    os.utime(path, (1.7e9, 1.7e9))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert verify(archive, VerifiedParts(archive.path)) == 0
    assert not (tmp_path / "cache").exists()  # a small archive is quick to read again
    assert verify(archive, VerifiedParts(archive.path, worth_saving=0)) == 0
    (kept,) = (tmp_path / "cache").rglob("*.json")
    assert kept.stat().st_mode & 0o777 == 0o600
    flip_unnoticed(path)
    assert verify(archive, VerifiedParts(archive.path)) == 0  # not read again
    kept.write_bytes(b"not json")
    assert verify(archive, VerifiedParts(archive.path)) == 1


def test_a_cache_directory_that_cannot_be_written_only_costs_time(stored, monkeypatch, tmp_path):
    archive, path = stored
    os.utime(path, (1.7e9, 1.7e9))
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert verify(archive, VerifiedParts(archive.path, worth_saving=0)) == 0


def test_an_archive_of_version_0_1_0_is_read_as_before(caplog):
    archive = Archive(VERSION_0_1_0)
    table = archive.read(HOST)
    assert table.num_rows == 20
    info = archive.info().loc[HOST]
    assert info[["parts", "damaged", "ignored", "rows", "ids", "contents"]].tolist() == [2, 0, 0, 22, 20, 2]
    models = dict(zip(table["id"].to_pylist(), table["model"].to_pylist(), strict=True))
    assert (models["gen-1760000000-0000"], models["gen-1760000000-0002"]) == ("a/c", "a/b")
    ((count, total),) = archive.sql("SELECT count(*), sum(cost_usd) FROM generations").fetchall()
    assert (count, total) == (20, 18 * 0.25 + 2 * 0.5)
    body = b'{"input":{"prompt":"p"},"output":{"completion":"c"}}'
    assert archive.read_contents(HOST, ["gen-1760000000-0001"]) == {"gen-1760000000-0001": body}
    assert table["extra"].to_pylist()[0] == '{"new_field":{"deep":[1]}}'
    assert not caplog.records
