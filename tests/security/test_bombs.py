"""Small things that want to become huge are given up in bounded time and memory."""

import bz2
import gzip
import io
import lzma
import tarfile
import tracemalloc
import zipfile

import pandas as pd
import pyarrow as pa
import pytest

import orstats
from orstats import errors
from orstats.frame.build import build_frame
from orstats.frame.record_table import to_table
from orstats.ids import source

ID = "gen-1790000000-AbCdEfGhIjKlMnOpQrSt"
MIB = 1 << 20


@pytest.fixture
def peak():
    """Tell how much memory was taken at most, in MiB."""
    tracemalloc.start()
    yield lambda: tracemalloc.get_traced_memory()[1] / MIB
    tracemalloc.stop()


def zeros(size, member=64 * MIB):
    """Gzip that unpacks to so many zeros."""
    return gzip.compress(b"0" * member, mtime=0) * (size // member)


def chain(links):
    body = b"0" * 1000
    for _ in range(links):
        body = gzip.compress(body)
    return body


@pytest.fixture(scope="module")
def bodies():
    """Bodies of responses that become huge, and their encodings."""
    return {
        "1 GiB": ("gzip", zeros(1 << 30)),
        "10 GiB": ("gzip, gzip", gzip.compress(zeros(10 << 30))),
        "100 links": (", ".join(["gzip"] * 100), chain(100)),
        "plain": ("identity", b'{"data": "' + b"0" * (64 * MIB)),
    }


@pytest.mark.parametrize("kind", ["1 GiB", "10 GiB", "100 links", "plain"])
@pytest.mark.parametrize("ask_for", ["generation", "key"])
def test_response_size_is_limited(kind, ask_for, bodies, peak, answering):
    coding, body = bodies[kind]
    head = f"HTTP/1.1 200 OK\r\nContent-Encoding: {coding}\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    with (
        answering(head + body) as url,
        orstats.Client("k", base_url=url, retry=orstats.Retry(attempts=1)) as client,
        pytest.raises(errors.NetworkError, match=r"longer than 16 MiB|decompressed"),
    ):
        client.generation("gen-1") if ask_for == "generation" else client.key()
    assert peak() < 160


@pytest.mark.parametrize("opening", [b"[", b'{"a":'])
def test_deeply_nested_responses_are_typed_errors(opening, answering):
    body = b'{"data": ' + opening * 200_000
    with (
        answering(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body) as url,
        orstats.Client("k", base_url=url, retry=orstats.Retry(attempts=1)) as client,
        pytest.raises(errors.BadResponseError),
    ):
        client.generation("gen-1")


def nested(depth, value=1):
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize("depth", [900, 1000, 50_000])
def test_deeply_nested_records_keep_their_row(depth):
    record = {
        "id": "gen-1",
        "total_cost": 0.5,
        "is_byok": False,
        "provider_responses": nested(depth),
        "new": nested(depth),
    }
    df = build_frame(["gen-1"], [to_table(["gen-1"], [record], [0.0])], {})
    assert df.loc["gen-1", "cost_usd"] == 0.5
    assert len(orstats.attempts(df)) == 0


def test_log_decompression_bomb_is_refused(peak, tmp_path):
    (tmp_path / "x.log.gz").write_bytes(zeros(1 << 30))
    with pytest.raises(errors.IdSourceError, match="decompress it first"):
        orstats.read_ids(tmp_path / "x.log.gz")
    assert peak() < 160


@pytest.mark.parametrize("column", [None, "id"])
def test_gzip_inside_gzip_is_refused(column):
    with pytest.raises(errors.IdSourceError, match="gzip nested more than"):
        orstats.read_ids(io.BytesIO(chain(1500)), column=column)


def arrow_zeros(codec):
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, codec) as stream:
        for _ in range(5):
            stream.write(b"0" * (8 * MIB))
    return sink.getvalue().to_pybytes()


def zipped(*members):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for number, member in enumerate(members):
            archive.writestr(f"{number}.zip" if member.startswith(b"PK") else f"{number}.log", member)
    return file.getvalue()


def tarred(*members):
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as archive:
        for content in members:
            member = tarfile.TarInfo("x.log")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return file.getvalue()


BOMBS = {
    "bzip2": lambda: bz2.compress(b"0" * (8 * MIB)) * 5,
    "xz": lambda: lzma.compress(b"0" * (8 * MIB)) * 5,
    "zstd": lambda: arrow_zeros("zstd"),
    "zip": lambda: zipped(*[b"0" * (8 * MIB)] * 5),
    "zips in a zip": lambda: zipped(*[zipped(b"0" * (8 * MIB))] * 20),
    "tar": lambda: tarred(*[b"0" * (8 * MIB)] * 5),
}


@pytest.mark.parametrize("kind", BOMBS)
def test_archive_decompression_bombs_are_refused(kind, peak, monkeypatch):
    """With an eighth of the limit, which the log above meets in full: zeros take time to unpack."""
    monkeypatch.setattr(source, "_UNCHECKED_SIZE", source._UNCHECKED_SIZE // 8)
    bomb = BOMBS[kind]()
    tracemalloc.reset_peak()
    with pytest.raises(errors.IdSourceError, match="decompress it first"):
        orstats.read_ids(io.BytesIO(bomb))
    assert peak() < 30


def test_xz_file_with_a_huge_dictionary_is_refused():
    packed = lzma.compress(b"0" * 1000, filters=[{"id": lzma.FILTER_LZMA2, "dict_size": 1 << 29}])
    with pytest.raises(errors.IdSourceError, match="Memory usage limit"):
        orstats.read_ids(io.BytesIO(packed))


def test_large_honest_log_is_read():
    lines = "".join(f"2026-01-01 INFO request {number} took {number % 977} ms\n" for number in range(100_000))
    packed = gzip.compress((lines + f"id={ID}\n").encode())
    assert orstats.read_ids(io.BytesIO(packed)) == [ID]


@pytest.mark.filterwarnings("ignore::orstats.errors.IdSourceWarning")
@pytest.mark.parametrize("column", [None, "id", "a.a.a", ".".join(["a"] * 1000)])
@pytest.mark.parametrize("text", ["[" * 100_000, "[" * 1000 + "]" * 1000, '{"a":' * 1000 + "1" + "}" * 1000])
def test_deeply_nested_sources_are_read_or_refused(column, text):
    try:
        found = orstats.read_ids(io.BytesIO(text.encode()), column=column)
    except errors.IdSourceError:
        assert column is not None
    else:
        assert found == []


def test_deeply_nested_id_is_found():
    assert orstats.read_ids(io.BytesIO(("[" * 1000 + f'{{"id": "{ID}"}}' + "]" * 1000).encode()), column="id") == [ID]


def workbook(**members):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name.replace("__", "/").replace("_xml", ".xml"), content)
    return file.getvalue()


def test_workbook_decompression_bomb_is_refused(peak):
    bomb = workbook(xl__workbook_xml=b"<x/>", xl__sharedStrings_xml=b"0" * (300 * MIB))
    tracemalloc.reset_peak()
    with pytest.raises(errors.IdSourceError, match="decompress it first"):
        orstats.read_ids(io.BytesIO(bomb))
    assert peak() < 64


@pytest.mark.parametrize("text", ["<x/>", "no xml", '<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]><x>&a;</x>'])
def test_invalid_workbook_is_a_typed_error(text):
    with pytest.raises(errors.IdSourceError):
        orstats.read_ids(io.BytesIO(workbook(xl__workbook_xml=text)))


def test_workbook_entities_are_not_expanded(peak, tmp_path):
    pd.DataFrame({"id": [ID, "laugh"]}).to_excel(tmp_path / "x.xlsx", index=False)
    laughs = "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 12))
    changed = io.BytesIO()
    with zipfile.ZipFile(tmp_path / "x.xlsx") as old, zipfile.ZipFile(changed, "w") as new:
        for name in old.namelist():
            text = old.read(name).decode()
            if "laugh" in text:
                body = text.partition("?>")[2] if text.startswith("<?xml") else text
                text = f'<!DOCTYPE x [<!ENTITY a0 "ha">{laughs}]>' + body.replace("laugh", "&a11;")
            new.writestr(name, text)
    with pytest.raises(errors.IdSourceError, match="workbook"):
        orstats.read_ids(io.BytesIO(changed.getvalue()))
    assert peak() < 160
