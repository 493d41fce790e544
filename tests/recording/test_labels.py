"""Recorded files are read back: their ids and labels."""

import bz2
import codecs
import gzip
import json
import lzma
import shutil

import pandas as pd
import pytest
import requests
from recordings import ID, OTHER, written

import orstats
from orstats.errors import IdSourceError
from orstats.frame.build import empty_frame


@pytest.mark.parametrize("suffix", ["jsonl", "jsonl.gz", "log", "txt"])
def test_only_the_id_of_a_record_is_a_generation(path, tmp_path, suffix):
    with requests.Session() as session:
        orstats.record(path, session, parent=OTHER, note=f'quoted "{{"id":"{OTHER}"')
        session.adapters.logs[0].add(ID)
    file = tmp_path / f"copy.{suffix}"
    file.write_bytes(gzip.compress(path.read_bytes()) if suffix.endswith("gz") else path.read_bytes())
    assert orstats.read_ids(file) == [ID]
    assert orstats.labels(file)["parent"].to_dict() == {ID: OTHER}


@pytest.mark.parametrize(
    "encode",
    [
        gzip.compress,
        bz2.compress,
        lzma.compress,
        lambda text: gzip.compress(gzip.compress(text)),
        lambda text: text.decode().encode("utf-16"),
        lambda text: codecs.BOM_UTF8 + text,
    ],
)
def test_compressed_and_encoded_files_are_read(path, encode):
    path.write_bytes(encode(b'{"id":"gen-1","team":"a"}\n'))
    assert orstats.labels(path)["team"].to_dict() == {"gen-1": "a"}


@pytest.mark.parametrize("kind", ["zip", "tar", "gztar"])
def test_labels_are_read_from_all_files_of_an_archive(tmp_path, kind):
    folder = tmp_path / "logs"
    folder.mkdir()
    (folder / "1.jsonl").write_text(f'{{"id":"{ID}","recorded_at":"2026-11-27T10:00:00Z","team":"a"}}')
    (folder / "2.jsonl").write_text(f'{{"id":"{OTHER}","recorded_at":"2026-11-28T10:00:00Z","team":"b"}}\n')
    packed = shutil.make_archive(str(tmp_path / "packed"), kind, folder)
    assert orstats.labels(packed)["team"].to_dict() == {ID: "a", OTHER: "b"}
    assert orstats.read_ids(packed) == [ID, OTHER]


def test_lines_of_another_log_between_records_are_read_too(path):
    written(path, f'{{"id":"{ID}","recorded_at":"2026-11-27T10:00:00Z","parent":"gen-x"}}', f"id={OTHER} done")
    assert orstats.read_ids(path) == [ID, OTHER]


@pytest.mark.parametrize(
    ("text", "ids", "malformed"),
    [
        ('{"id":"lost","recorded_at":"2026-{"id":"a","team":"x"}\n{"id":\n', ["a"], 2),
        ('{"id":"a"}{"id":"b"}\n{"id":"c"}', ["a", "b", "c"], 0),
        ('{"id":"a"}\r\n\r\n{"id":"b"}\r\n', ["a", "b"], 0),
        ('{"id":"a"}\n\0\0\0{"id":"b"}\n{"id":"c","re', ["a", "b"], 2),
        ('{"id": "a"}\nnonsense\n[1]\n{"id":3}\n', ["a"], 3),
        ("", [], 0),
        ("\n\n", [], 0),
    ],
)
def test_damaged_lines_cost_only_themselves(path, text, ids, malformed):
    path.write_text(text)
    if malformed:
        with pytest.warns(UserWarning, match=f"Skipped {malformed} malformed lines") as warned:
            found = orstats.labels(path)
        assert warned[0].filename == __file__
    else:
        found = orstats.labels(path)
    assert list(found.index) == ids


def test_first_value_of_a_label_stays_and_missing_ones_are_missing(path):
    written(path, '{"id": "a", "team": "x"}', '{"id": "b"}', '{"id": "a", "team": "y", "n": 3}')
    found = orstats.labels(path)
    assert list(found.index) == ["a", "b"]
    assert found["team"].to_list() == ["x", pd.NA]
    assert found.loc["a", "n"] == "3"
    assert found["recorded_at"].isna().all()


def test_labels_of_an_older_file_that_are_named_like_columns_do_not_break_a_join(path):
    written(path, '{"id": "a", "model": "x", "team": "y"}')
    with pytest.warns(UserWarning, match="get the prefix label_: model"):
        found = orstats.labels(path)
    assert list(found.columns) == ["recorded_at", "label_model", "team"]
    assert empty_frame().join(found).empty


def test_labels_join_to_a_frame(path):
    with orstats.sim.SimServer(40) as sim:
        df = orstats.fetch(sim.ids, client=sim.client())
    lines = ({"id": one, "recorded_at": "2026-03-01T00:00:00Z", "team": n % 3} for n, one in enumerate(sim.ids[:30]))
    written(path, *map(json.dumps, lines))
    found = orstats.labels(path)
    assert found.index.name == "id"
    assert str(found["recorded_at"].dtype) == "datetime64[us, UTC]"
    joined = df.join(found)
    assert list(joined.index) == list(df.index)
    assert joined["team"].value_counts(dropna=False).to_dict() == {"0": 10, "1": 10, "2": 10, pd.NA: 10}


def test_file_without_records_is_an_error(tmp_path):
    with pytest.raises(IdSourceError, match="No such file"):
        orstats.labels(tmp_path / "missing")
    with pytest.raises(IdSourceError, match="contains no records"):
        orstats.labels(written(tmp_path / "app.log", f"call {ID}"))
    (tmp_path / "cut.gz").write_bytes(gzip.compress(b'{"id":"a"}\n')[:-6])
    with pytest.raises(IdSourceError, match=r"cut\.gz"):
        orstats.labels(tmp_path / "cut.gz")
