import pytest

from orstats.archive import newest
from orstats.archive.archive import Archive


@pytest.fixture(params=["keys first", "at once"])
def archive(request, tmp_path, monkeypatch):
    """An empty archive, in each of the two ways to read rows by id."""
    monkeypatch.setattr(newest, "_BYTES_AN_ID", 0 if request.param == "keys first" else 1 << 60)
    return Archive(tmp_path / "archive")
