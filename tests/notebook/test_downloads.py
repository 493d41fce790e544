"""The filtered rows are saved and downloaded."""

import io

import pandas as pd
import pytest
from explorer_actions import fill_in, press


def test_saves_the_filtered_rows_in_the_working_directory(one, df, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    fill_in(one, text=df.index[4])
    press(one, "save")
    (written,) = tmp_path.glob("*.csv")
    assert str(written) in one.table.message["text"]
    assert pd.read_csv(written)["id"].tolist() == [df.index[4]]


def test_a_failed_save_is_reported(one, tmp_path, monkeypatch):
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    press(one, "save")
    assert one.table.message["kind"] == "error"


@pytest.fixture
def sent(monkeypatch):
    """Collect the messages to the browser, and work in this thread."""
    messages = []
    monkeypatch.setattr("orstats.notebook.table.in_thread", lambda work: work())
    monkeypatch.setattr(
        "orstats.notebook.table.TableView.send", lambda _self, content, buffers: messages.append((content, buffers))
    )
    return messages


@pytest.mark.parametrize(("kind", "read"), [("csv", pd.read_csv), ("xlsx", pd.read_excel)])
def test_downloads_the_filtered_rows(one, sent, monkeypatch, kind, read):
    monkeypatch.setattr("orstats.notebook.downloads._PART_BYTES", 1000)
    fill_in(one, cost_min="0.001")
    press(one, "download", format=kind, view="v")
    heads = [content for content, _ in sent]
    assert {head["view"] for head in heads} == {"v"}
    assert [head["part"] for head in heads] == list(range(heads[0]["parts"]))
    assert heads[0]["name"].endswith(f".{kind}")
    table = read(io.BytesIO(b"".join(buffers[0] for _, buffers in sent)))
    ids = table["id" if "id" in table else table.columns[0]].tolist()
    assert [one for one in ids if str(one).startswith("gen-")] == one.filtered.index.tolist()


def test_a_failed_download_is_reported(one, sent):
    press(one, "download", format="pdf", view="v")
    assert one.table.message["kind"] == "error"
    assert sent == []
