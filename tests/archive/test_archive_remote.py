"""The archive in an object store: a local S3 server stands in for the real one."""

import io
import logging
import pickle
import urllib.request

import pyarrow.parquet as pq
import pytest
from pyarrow import fs
from stored import records

from orstats.archive.archive import Archive
from orstats.archive.storage import RemoteStore
from orstats.errors import ArchiveError

HOST = "127.0.0.1:8000"


@pytest.fixture(scope="module")
def endpoint():
    moto_server = pytest.importorskip("moto.server")  # takes half a second to import
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = moto_server.ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"{host}:{port}"
    server.stop()


@pytest.fixture
def place(endpoint):
    urllib.request.urlopen(urllib.request.Request(f"http://{endpoint}/moto-api/reset", method="POST")).close()
    store = fs.S3FileSystem(
        access_key="testing",
        secret_key="s3cret",
        endpoint_override=endpoint,
        scheme="http",
        region="us-east-1",
        allow_bucket_creation=True,
    )
    store.create_dir("bucket")
    return f"s3://testing:s3cret@bucket/some/prefix?scheme=http&endpoint_override={endpoint}&region=us-east-1", store


def test_an_object_store_supports_every_operation(place):
    url, store = place
    archive = Archive(url)
    assert archive.hosts() == []
    assert archive.read(HOST).num_rows == 0
    assert archive.compact() == []
    archive.check_writable(HOST)
    assert archive.hosts() == []
    archive.append(HOST, records("gen-1", "gen-2"))
    archive.append(HOST, records("gen-1", model="new", at=2e9 + 1))
    archive.append_contents(HOST, ["gen-1"], [b"x" * 100], [1.0])
    assert archive.hosts() == [HOST]
    assert archive.read(HOST, ["gen-1"])["model"].to_pylist() == ["new"]
    assert pickle.loads(pickle.dumps(archive)).read(HOST, ["gen-2"]).num_rows == 1
    generations, contents = archive.compact()
    assert (generations.parts_before, generations.parts_after, generations.rows_after) == (2, 1, 2)
    assert contents.parts_after == 1
    assert sorted(archive.read(HOST)["id"].to_pylist()) == ["gen-1", "gen-2"]
    info = archive.info().loc[HOST]
    assert info[["parts", "damaged", "rows", "contents"]].tolist() == [1, 0, 2, 1]
    archive.forget_contents()
    assert archive.read_contents(HOST, ["gen-1"]) == {}
    names = store.get_file_info(fs.FileSelector("bucket", recursive=True))
    (part,) = [info.path for info in names if info.is_file and info.size]
    assert part.startswith("bucket/some/prefix/generations/host=127.0.0.1%3A8000/part-")
    with store.open_input_file(part) as source:
        whole = source.read()
    assert pq.read_table(io.BytesIO(whole)).num_rows == 2


def test_a_damaged_object_is_logged_and_skipped(place, caplog):
    url, store = place
    archive = Archive(url)
    archive.append(HOST, records("gen-1"))
    bad = "bucket/some/prefix/generations/host=127.0.0.1%3A8000/part-bad.parquet"
    with store.open_output_stream(bad) as sink:
        sink.write(b"PAR1 and then nothing")
    assert archive.read(HOST)["id"].to_pylist() == ["gen-1"]
    assert bad in caplog.text


def test_a_missing_bucket_is_an_error_without_the_secret(place):
    archive = Archive(place[0].replace("bucket", "no-such-bucket"))
    for action in (lambda: archive.check_writable(HOST), lambda: archive.append(HOST, records("gen-1"))):
        with pytest.raises(ArchiveError, match="no-such-bucket") as caught:
            action()
        assert "s3cret" not in str(caught.value) + repr(archive) + caught.value.path + str(caught.value.__cause__)


@pytest.mark.parametrize("kind", ["framed", "cut", "empty"])
def test_a_store_that_returns_other_bytes_is_refused(place, monkeypatch, kind):
    url, store = place
    archive = Archive(url)
    for name in ("gen-1", "gen-2"):
        archive.append(HOST, records(name))
    spoil = {
        "framed": lambda data: b"e00\r\n" + data + b"\r\n0\r\n",
        "cut": lambda data: data[:100],
        "empty": lambda _: b"",
    }

    def write(_self, directory, name, writer):
        sink = io.BytesIO()
        writer(sink)
        with store.open_output_stream(f"bucket/some/prefix/{directory}/{name}") as stream:
            stream.write(spoil[kind](sink.getvalue()))

    monkeypatch.setattr(RemoteStore, "write", write)
    with pytest.raises(
        ArchiveError, match="AWS_REQUEST_CHECKSUM_CALCULATION" if kind == "framed" else "returns other bytes"
    ):
        archive.check_writable(HOST)
    with pytest.raises(ArchiveError, match="returns other bytes"):
        archive.compact()
    assert sorted(archive.read(HOST)["id"].to_pylist()) == ["gen-1", "gen-2"]
