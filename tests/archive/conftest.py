import pytest

from orstats.archive.archive import Archive


@pytest.fixture(params=["few ids", "many ids"])
def archive(request, tmp_path, monkeypatch):
    """An empty archive; with many unknown ids in each request, files are read at once instead of their keys first."""
    if request.param == "many ids":
        unknown = [f"gen-unknown-{n}" for n in range(5_000)]
        read = Archive.read

        def read_many(self, host, ids=None, **options):
            return read(self, host, [*ids, *unknown] if ids else ids, **options)

        monkeypatch.setattr(Archive, "read", read_many)
    return Archive(tmp_path / "archive")
