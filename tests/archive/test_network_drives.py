"""File systems that lack some calls, files of other users, shared directories, clocks that are ahead."""

import errno
import logging
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
from stored import HOST, ids_of, parts, records

from orstats.archive.archive import Archive
from orstats.archive.storage import LocalStore
from orstats.errors import ArchiveError

pytestmark = pytest.mark.skipif(os.name == "nt", reason="calls of POSIX")


def refuse(number):
    def call(*_arguments, **_options):
        raise OSError(number, os.strerror(number))

    return call


def refuse_directories(function, number):
    def call(descriptor, *arguments):
        if os.path.isdir(f"/proc/self/fd/{descriptor}"):  # noqa: PTH112 - a link of the system
            raise OSError(number, os.strerror(number))
        return function(descriptor, *arguments)

    return call


UNSUPPORTED = [errno.EINVAL, errno.ENOTSUP, errno.ENOSYS, errno.EPERM, errno.EBADF]


def use(archive: Archive) -> None:
    """Do everything that an archive can."""
    archive.check_writable(HOST)
    archive.append(HOST, records("gen-1"))
    archive.append(HOST, records("gen-2"))
    archive.append_contents(HOST, ["gen-1"], [b"{}"], [1.0])
    archive.compact()
    assert ids_of(archive.read(HOST)) == ["gen-1", "gen-2"]
    assert not [path for path in Path(archive.path).rglob(".*") if path.is_file()]


@pytest.mark.parametrize("number", [*UNSUPPORTED, errno.EIO, errno.EACCES])
def test_a_directory_that_cannot_be_synced_is_used(archive, monkeypatch, caplog, number):
    monkeypatch.setattr(os, "fsync", refuse_directories(os.fsync, number))
    use(archive)
    assert not caplog.records


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_noticed_when_a_directory_is_synced(archive, monkeypatch, number):
    monkeypatch.setattr(os, "fsync", refuse_directories(os.fsync, number))
    with pytest.raises(ArchiveError, match="Free up disk space"):
        archive.append(HOST, records("gen-1"))


@pytest.mark.parametrize("number", UNSUPPORTED)
def test_files_that_cannot_be_synced_or_have_no_modes_are_used_with_one_warning_each(
    archive, monkeypatch, caplog, number
):
    monkeypatch.setattr(os, "fsync", refuse(number))
    monkeypatch.setattr(os, "fchmod", refuse(number))
    monkeypatch.setattr(Path, "chmod", refuse(number))
    use(archive)
    texts = [record.getMessage() for record in caplog.records if "without modes" in record.getMessage()]
    assert len(texts) == 1
    assert archive.path in texts[0]
    assert len(caplog.records) == len({record.getMessage() for record in caplog.records})


def test_ignored_file_modes_are_logged(archive, monkeypatch, caplog):
    before = os.umask(0)
    monkeypatch.setattr(os, "fchmod", lambda *_: None)
    monkeypatch.setattr(Path, "chmod", lambda *_: None)
    monkeypatch.setattr(os, "open", lambda path, flags, _mode=0, *, real=os.open: real(path, flags, 0o777))
    try:
        archive.append(HOST, records("gen-1"))
    finally:
        os.umask(before)
    assert [record.levelno for record in caplog.records] == [logging.WARNING]


@pytest.mark.parametrize("number", UNSUPPORTED)
def test_a_file_system_without_rename_is_used(archive, monkeypatch, number):
    monkeypatch.setattr(Path, "replace", refuse(number))
    use(archive)


def test_a_failed_rename_is_an_error_and_leaves_no_file(archive, monkeypatch):
    monkeypatch.setattr(Path, "replace", refuse(errno.EIO))
    with pytest.raises(ArchiveError, match="Input/output"):
        archive.append(HOST, records("gen-1"))
    assert not [path for path in Path(archive.path).rglob("*") if path.is_file()]


@pytest.mark.parametrize("number", [errno.EACCES, errno.EROFS, errno.EPERM])
def test_a_mount_point_may_refuse_mkdir_with_any_error(archive, monkeypatch, number):
    archive.append(HOST, records("gen-1"))
    monkeypatch.setattr(Path, "mkdir", lambda *_, **options: None if options.get("parents") else refuse(number)())
    archive.append(HOST, records("gen-2"))
    assert ids_of(archive.read(HOST)) == ["gen-1", "gen-2"]


@pytest.mark.parametrize("number", [errno.EACCES, errno.EPERM, errno.EBUSY, errno.EAGAIN])
def test_a_part_without_read_permission_is_logged_and_skipped(archive, monkeypatch, caplog, number):
    archive.append(HOST, records("gen-1"))
    (locked,) = parts(archive)
    archive.append(HOST, records("gen-2"))
    opened = LocalStore.open

    def open_some(self, path):
        if path.endswith(locked.name):
            raise OSError(number, os.strerror(number))
        return opened(self, path)

    monkeypatch.setattr(LocalStore, "open", open_some)
    assert ids_of(archive.read(HOST)) == ["gen-2"]
    assert ids_of(archive.read(HOST, ["gen-1", "gen-2"])) == ["gen-2"]
    assert archive.info()["damaged"].tolist() == [1]
    assert archive.compact()[0].unreadable == (str(locked),)
    assert str(locked) in caplog.text
    assert "Make it readable" in caplog.text
    assert "elete it" not in caplog.text


def test_parts_that_cannot_be_deleted_are_not_copied_repeatedly(archive, monkeypatch):
    for name in ("gen-1", "gen-2"):
        archive.append(HOST, records(name))
    before = parts(archive)
    delete = LocalStore.delete

    def delete_own(self, path):
        if any(path.endswith(part.name) for part in before):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        delete(self, path)

    monkeypatch.setattr(LocalStore, "delete", delete_own)
    with pytest.raises(ArchiveError, match="Permission denied"):
        archive.compact()
    assert parts(archive) == before


@pytest.fixture
def open_directory():
    """A directory that other users can enter, unlike those of pytest."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


AS_OTHER_USER = """
import logging, os, sys
sys.path.insert(0, sys.argv[2])
from stored import HOST, records
from orstats.archive.archive import Archive
logging.basicConfig(format="%(message)s", stream=sys.stdout)
Archive(sys.argv[3]).append(HOST, records("gen-1"))  # the other user cannot import what is used here for the first time
Archive(sys.argv[3]).read(HOST)
os.setgroups([]); os.setgid(54321); os.setuid(12345); os.umask(0o077)
archive = Archive(sys.argv[1])
archive.append(HOST, records("gen-other"))
print(sorted(archive.read(HOST)["id"].to_pylist()))
"""


@pytest.mark.parametrize("mode", [0o777, 0o2770])
@pytest.mark.skipif(os.name == "nt" or os.getuid() != 0, reason="only root can become another user")
def test_two_users_share_one_directory(open_directory, tmp_path, mode):
    shared = open_directory / "shared"
    shared.mkdir()
    os.chown(shared, 0, 54321)
    shared.chmod(mode)
    archive = Archive(shared)
    archive.append(HOST, records("gen-mine"))
    (mine,) = parts(archive)
    if mode == 0o777:  # shared without the set-group-ID bit: directories as somebody made them
        for folder in (mine.parent, mine.parent.parent):
            folder.chmod(0o777)
    arguments = (str(shared), str(Path(__file__).parent), str(tmp_path / "before"))
    run = subprocess.run([sys.executable, "-c", AS_OTHER_USER, *arguments], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    if mode == 0o777:
        assert "['gen-other']" in run.stdout
        assert str(mine) in run.stdout
    else:
        assert run.stdout == "['gen-mine', 'gen-other']\n"
        assert {path.stat().st_mode & 0o777 for path in parts(archive)} == {0o660}
    assert ids_of(archive.read(HOST)) == ["gen-mine", "gen-other"]


def test_a_fast_clock_deletes_no_file_of_another_machine(archive, monkeypatch):
    archive.append(HOST, records("gen-1"))
    being_written = parts(archive)[0].with_name(".part-x.parquet.0.tmp")
    being_written.write_bytes(b"half a f")
    monkeypatch.setattr(time, "time", lambda now=time.time: now() + 10 * 86_400)
    archive.compact()
    assert being_written.exists()


@pytest.mark.parametrize("name", [b"\xff\xfe", b"caf\xe9"])
def test_a_path_that_is_not_utf_8_works(tmp_path, name):
    archive = Archive(os.fsencode(tmp_path) + b"/" + name)
    use(archive)
    assert archive.info()["ids"].tolist() == [2]
    assert archive.read_contents(HOST, ["gen-1"]) == {"gen-1": b"{}"}
    archive.forget(ids="gen-1")
    assert ids_of(Archive(archive.path).read(HOST)) == ["gen-2"]
    with pytest.raises(ArchiveError, match="UTF-8"):
        archive.relation()
