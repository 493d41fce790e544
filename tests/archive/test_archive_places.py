"""Where records are stored: hosts, contents, private modes, unwritable locations, URLs."""

import os
import pickle
from pathlib import Path

import platformdirs
import pytest
from hypothesis import given
from hypothesis import strategies as st
from stored import HOST, ids_of, parts, records

from orstats.archive.archive import Archive
from orstats.archive.dataset import GENERATIONS, Dataset
from orstats.archive.directories import host_directory
from orstats.archive.storage import LocalStore
from orstats.archive.verified_parts import VerifiedParts
from orstats.errors import ArchiveError, ConfigError


def test_hosts_are_stored_separately(archive):
    archive.append("openrouter.ai", records("gen-1"))
    archive.append("127.0.0.1:8000", records("gen-2"))
    archive.append("EU.openrouter.ai", records("gen-3"))
    assert archive.hosts() == ["127.0.0.1:8000", "eu.openrouter.ai", "openrouter.ai"]
    assert ids_of(archive.read("127.0.0.1:8000")) == ["gen-2"]
    assert ids_of(archive.read("eu.openrouter.ai")) == ["gen-3"]
    assert [done.host for done in archive.compact("127.0.0.1:8000")] == ["127.0.0.1:8000"]


@pytest.mark.parametrize("host", ["..", "../../etc", "a/b", "a\\b", "/etc", "C:", "\x00", "*", "host=x", " "])
def test_a_host_name_cannot_escape_the_archive(archive, tmp_path, host):
    archive.append(host, records("gen-1"))
    assert archive.hosts() == [host.lower()]
    assert [path.parts[-3] for path in parts(archive)] == ["generations"]
    assert [path.name for path in tmp_path.iterdir()] == ["archive"]
    assert archive.read(host).num_rows == 1


@pytest.mark.slow
@given(st.text(min_size=1), st.text(min_size=1))
def test_every_host_has_one_directory_of_its_own(one, other):
    mine, its = (host_directory(GENERATIONS, host) for host in (one, other))
    assert mine.count("/") == 1
    assert mine.isascii()
    assert (mine == its) == (one.lower() == other.lower())


def test_an_empty_host_is_refused(archive):
    with pytest.raises(ConfigError, match="host"):
        archive.read("")


def test_contents_are_stored_separately_and_can_be_forgotten(archive):
    archive.append(HOST, records("gen-1"))
    body = b'{"input": {"prompt": "' + b"x" * 100_000 + b'"}, "output": null}'
    archive.append_contents(HOST, ["gen-1", "gen-2"], [b"old", b"\xff\x00"], [1.0, 1.0])
    archive.append_contents(HOST, ["gen-1"], [body], [2.5])
    archive.append_contents("other", ["gen-1"], [b"o"], [2.5])
    assert archive.read_contents(HOST, ["gen-1", "gen-2", "gen-3"]) == {"gen-1": body, "gen-2": b"\xff\x00"}
    done = archive.compact(HOST)
    assert [(one.dataset, one.rows_before, one.rows_after) for one in done] == [
        ("generations", 1, 1),
        ("contents", 3, 2),
    ]
    assert archive.read_contents(HOST, ["gen-1"]) == {"gen-1": body}
    archive.forget_contents(HOST)
    assert archive.read_contents(HOST, ["gen-1"]) == {}
    assert archive.read_contents("other", ["gen-1"]) == {"gen-1": b"o"}
    archive.forget_contents()
    assert not [path for path in Path(archive.path).rglob("*") if "contents" in path.parts and path.is_file()]
    assert ids_of(archive.read(HOST)) == ["gen-1"]


def test_unfinished_contents_are_forgotten_too(archive):
    archive.append_contents(HOST, ["gen-1"], [b"secret"], [1.0])
    (path,) = parts(archive)
    path.with_name(".part-x.parquet.tmp").write_bytes(b"secret")
    archive.forget_contents()
    assert not path.parent.exists()


def test_contents_need_equal_lengths(archive):
    with pytest.raises(ValueError, match="length"):
        archive.append_contents(HOST, ["gen-1"], [b"", b""], [1.0])


@pytest.mark.parametrize("umask", [0, 0o022, 0o777])
@pytest.mark.skipif(os.name == "nt", reason="Windows has no modes")
def test_files_and_directories_are_private_whatever_the_umask(archive, umask):
    before = os.umask(umask)
    try:
        archive.append(HOST, records("gen-1"))
        archive.append(HOST, records("gen-2"))
        archive.append_contents(HOST, ["gen-1"], [b"{}"], [1.0])
        archive.compact()
    finally:
        os.umask(before)
    root = Path(archive.path)
    modes = {path.relative_to(root).as_posix(): path.stat().st_mode & 0o777 for path in [root, *root.rglob("*")]}
    assert {mode for name, mode in modes.items() if name.endswith(".parquet")} == {0o600}
    assert {mode for name, mode in modes.items() if not name.endswith(".parquet")} == {0o700}


def test_an_existing_directory_keeps_its_mode(tmp_path):
    tmp_path.chmod(0o755)
    Archive(tmp_path).append(HOST, records("gen-1"))
    assert tmp_path.stat().st_mode & 0o777 == 0o755


def test_errors_of_an_unwritable_location_name_its_path(tmp_path):
    (tmp_path / "file").write_text("in the way")
    archive = Archive(tmp_path / "file" / "archive")
    for action in (
        lambda: archive.check_writable(HOST),
        lambda: archive.append(HOST, records("gen-1")),
        lambda: archive.append_contents(HOST, ["gen-1"], [b""], [1.0]),
        lambda: archive.read(HOST),
        archive.hosts,
        archive.info,
        archive.compact,
    ):
        with pytest.raises(ArchiveError, match="ORSTATS_ARCHIVE") as caught:
            action()
        assert caught.value.path.startswith(archive.path)
        assert archive.path in str(caught.value)


def test_check_writable_leaves_no_file(archive):
    archive.check_writable(HOST)
    assert not list((Path(archive.path) / "generations" / f"host={HOST}").iterdir())
    assert archive.hosts() == []


def test_the_location_defaults_to_the_environment_then_the_user_data_directory(tmp_path, monkeypatch):
    monkeypatch.setenv("ORSTATS_ARCHIVE", str(tmp_path / "env"))
    assert Archive().path == str(tmp_path / "env")
    assert Archive(tmp_path / "arg").path == str(tmp_path / "arg")
    monkeypatch.delenv("ORSTATS_ARCHIVE")
    assert Archive().path == platformdirs.user_data_dir("orstats", appauthor=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    assert Archive("~/a").path == str(tmp_path / "a")
    assert Archive("a").path == str(tmp_path / "a")
    assert not list(tmp_path.iterdir())


@pytest.fixture
def no_home(monkeypatch):
    """The environment of a container that runs as a user without a passwd entry."""
    pwd = pytest.importorskip("pwd")

    def no_entry(uid):
        raise KeyError(f"getpwuid(): uid not found: {uid}")

    monkeypatch.setattr(pwd, "getpwuid", no_entry)
    for variable in list(os.environ):
        if variable == "HOME" or variable.startswith(("XDG_", "ORSTATS_")):
            monkeypatch.delenv(variable)


@pytest.mark.usefixtures("no_home")
def test_a_user_without_a_home_directory_is_advised_to_set_the_location(tmp_path, monkeypatch):
    for path in (None, "~/archive", "~nobody-of-this-name/archive"):
        with pytest.raises(ConfigError, match=r"[^.]\. Set ORSTATS_ARCHIVE to a path\.$"):
            Archive(path)
    archive = Archive(tmp_path)
    archive.append(HOST, records("gen-1"))
    assert ids_of(archive.read(HOST)) == ["gen-1"]
    monkeypatch.setenv("ORSTATS_ARCHIVE", str(tmp_path))
    assert Archive().path == str(tmp_path)


@pytest.mark.usefixtures("no_home")
def test_verified_parts_need_no_home_directory(tmp_path):
    archive = Archive(tmp_path)
    archive.append(HOST, records("gen-1"))
    os.utime(parts(archive)[0], (1.7e9, 1.7e9))
    dataset = Dataset(LocalStore(archive.path), GENERATIONS, HOST)
    for _ in range(2):
        verified = VerifiedParts(archive.path, worth_saving=0)
        found, problems = dataset.scan(dataset.list_parts(), lambda part: part.path, verified)
        assert (len(found), problems) == (1, [])


def test_an_archive_can_be_pickled(archive):
    archive.append(HOST, records("gen-1"))
    assert ids_of(pickle.loads(pickle.dumps(archive)).read(HOST)) == ["gen-1"]
    assert repr(archive) == f"Archive({archive.path!r})"


def test_a_file_url_is_a_directory(tmp_path):
    archive = Archive((tmp_path / "with space").as_uri())
    archive.append(HOST, records("gen-1"))
    assert ids_of(Archive(tmp_path / "with space").read(HOST)) == ["gen-1"]


@pytest.mark.parametrize(
    ("given", "path"),
    [
        ("file:///x/a%3Fb", "/x/a?b"),
        ("FILE:///x", "/x"),
        ("file://localhost/x", "/x"),
        ("file:///a%20b", "/a b"),
        ("S3://bucket/x", "s3://bucket/x"),
        (b"/x/y", "/x/y"),
        ("/x/s3:y", "/x/s3:y"),
        ("/x/://y", "/x/:/y"),
    ],
)
def test_paths_and_urls_are_normalized(given, path):
    assert Archive(given).path == path


@pytest.mark.parametrize(
    "given",
    [
        *("", " ", "a\0b", "file:///x/a?b", "file:///x#y", "file:/x", "file:x", "file://host/x", "file://"),
        *("s3:/b", "s3:b", "S3:/b", "s3:\\b", "gs:/x", "abfs:/x", "s3a://b", "http://h/x", "hdfs:/x", "memory://x"),
        *("~no-such-user-here/x", "C:\\x", "c:/x", "\\\\server\\share"),
    ],
)
@pytest.mark.skipif(os.name == "nt", reason="some are paths of Windows")
def test_broken_urls_and_foreign_paths_are_refused(given, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError):
        Archive(given)
    assert not list(tmp_path.iterdir())


def test_an_account_without_a_home_directory_is_advised_to_set_the_location(monkeypatch):
    def homeless(*_, **__):
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("ORSTATS_ARCHIVE", raising=False)
    monkeypatch.setattr(platformdirs, "user_data_path", homeless)
    with pytest.raises(ConfigError, match="ORSTATS_ARCHIVE"):
        Archive()


@pytest.mark.parametrize(
    "url",
    [
        "s3://AKIA:s3cret@bucket/x",
        "s3://AKIA:s3/s3cret/@bucket/x",
        "abfs://:s3cret@account/x",
        "abfs://c@account/x?client_secret=s3cret&tenant_id=t",
        "s3://bucket/x?session_token=s3cret",
        "s3:/AKIA:s3cret@bucket",
        "ftp://user:s3cret@host/x",
        "file://user:s3cret@host/x",
    ],
)
def test_credentials_show_in_no_text(url):
    try:
        text = repr(Archive(url)) + Archive(url).path
    except ConfigError as error:
        text = str(error)
    assert "s3cret" not in text


def test_unsupported_url_schemes_are_refused():
    with pytest.raises(ConfigError, match="ftp"):
        Archive("ftp://example.com/x")


@pytest.mark.parametrize("url", ["s3://", "s3://?region=eu-west-1"])
def test_urls_without_a_bucket_are_refused(url):
    with pytest.raises(ConfigError, match="bucket"):
        Archive(url).read(HOST)


def test_credentials_in_a_url_are_not_shown():
    archive = Archive("s3://AKIAKEY:s3cret@bucket/prefix?region=eu-west-1")
    assert archive.path == "s3://bucket/prefix?region=eu-west-1"
    assert "s3cret" not in repr(archive)
    with pytest.raises(ConfigError) as caught:
        Archive("s3://AKIAKEY:s3cret@bucket/prefix?no_such_option=1").read(HOST)
    assert "s3cret" not in str(caught.value)
