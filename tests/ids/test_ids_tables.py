import sqlite3
import sys
import zipfile
from contextlib import closing

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from orstats.errors import ConfigError, IdSourceError, MissingExtraError
from orstats.ids.read import read_ids

pytestmark = pytest.mark.filterwarnings("ignore::orstats.errors.IdSourceWarning")

A = "gen-1790000000-AbCdEfGhIjKlMnOpQrSt"
B = "gen-1790000001-0123456789abcdefghij"
C = "gen-3bhGkxlo4XFrqiabUM7NDtwDzWwG"


def save(path, text, encoding="utf-8"):
    path.write_bytes(text.encode(encoding))
    return path


@pytest.mark.parametrize(
    "name",
    ["id", "ID", "generation_id", "Generation ID", "gen_id", "generationId", "x-generation-id", "X-Generation-Id"],
)
def test_csv_column_by_name(tmp_path, name):
    path = save(tmp_path / "x.csv", f"{name},parent\n{A},{B}\n{C},{B}\n{A},\n")
    assert read_ids(path) == [A, C]


def test_csv_column_by_its_values(tmp_path):
    assert read_ids(save(tmp_path / "x.csv", f"n,reference,cost\n1,{A},0.5\n2,,0.25\n3,{B},0\n")) == [A, B]


def test_csv_column_named_like_ids_with_other_values_is_not_chosen(tmp_path):
    assert read_ids(save(tmp_path / "x.csv", f"id,reference\n1,{A}\n2,{B}\n")) == [A, B]
    assert read_ids(save(tmp_path / "y.csv", f"id,generation_id\n{B},{A}\n")) == [A]


@pytest.mark.parametrize("column", [None, "generation_id"])
def test_a_column_named_generation_id_keeps_every_shape(tmp_path, warned, column):
    path = save(tmp_path / "x.csv", "generation_id,cost\ncustom-1,1\n chatcmpl-12345678 ,2\n\nNA,3\n")
    assert read_ids(path, column=column) == ["custom-1", "chatcmpl-12345678"]
    assert "no value of column 'generation_id' has the shape of a generation id" in warned()
    assert "1 x chatcmpl-…" in warned()


def test_csv_chosen_column(tmp_path, warned):
    path = save(tmp_path / "x.csv", f"id,parent id\n{A},req-7\n{B},x-1\n{C},{B}\n{C},Anna\n{C},req-8\n")
    assert read_ids(path, column="parent id") == ["req-7", B, "req-8"]
    assert "column 'parent id': 2 values that do not look like generation ids skipped (first: 'x-1')" in warned()
    assert "2 x req-…" in warned()


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("x.csv", f"customer,run,id\nAnna,1,{A}\nBo Li,2,{B}\n"),
        ("x.jsonl", f'{{"customer":"Anna","id":"{A}"}}\n{{"customer":"Bo Li","id":"{B}"}}\n'),
        ("x.db", ""),
        ("x.parquet", ""),
        ("x.xlsx", ""),
    ],
)
def test_a_column_without_ids_is_refused(tmp_path, name, text):
    path, frame = tmp_path / name, pd.DataFrame({"customer": ["Anna", "Bo Li"], "id": [A, B]})
    if name == "x.db":
        with closing(sqlite3.connect(path)) as database:
            frame.to_sql("runs", database, index=False)
    elif name == "x.parquet":
        frame.to_parquet(path)
    elif name == "x.xlsx":
        frame.to_excel(path, index=False)
    else:
        save(path, text)
    with pytest.raises(ConfigError, match=r"column 'customer' contains no .*first value: 'Anna'.* Ids are in 'id'\."):
        read_ids(path, column="customer")


@pytest.mark.parametrize("column", [None, "id", "customer"])
def test_a_table_without_ids_is_refused(tmp_path, column):
    path = save(tmp_path / "x.csv", "id,customer\nC-1,Anna\nC-2,Bo\n")
    with pytest.raises(IdSourceError, match=r"contains no generation ids .*pass them one by one instead of the file"):
        read_ids(path, column=column)


@pytest.mark.parametrize(
    ("name", "text", "encoding"),
    [
        ("comma.csv", f"id,note\r\n{A},x\r\n{B},y\r\n", "utf-8"),
        ("bom.csv", f"id,note\n{A},x\n{B},y\n", "utf-8-sig"),
        ("semicolon.csv", f'id;note\n{A};"0,5;1"\n{B};0,7\n', "utf-8"),
        ("tab.tsv", f"note\tid\nx, y\t{A}\nz\t{B}", "utf-8"),
        ("bar.csv", f"note|id\nx|{A}\nz|{B}", "utf-8"),
        ("quoted.csv", f'note,"id"\n"two\nlines, and a ""quote""","{A}"\nz,"{B}"\n', "utf-8"),
        ("utf16.csv", f"note,id\nmärz,{A}\nz,{B}\n", "utf-16"),
        ("utf16be.csv", f'"x,y",{A}\n"x,y",{B}\n', "utf-16-be"),
        ("latin1.csv", f"note,id\nmärz,{A}\nz,{B}\n", "latin-1"),
        ("ragged.csv", f"id,note\n{A}\n{B},x,y,z\n\n  \n", "utf-8"),
        ("no_header.csv", f"{A},0.5\n{B},0.7\n", "utf-8"),
        ("one_column.csv", f"id\n{A}\n{B}\n", "utf-8"),
        ("just_ids.csv", f"{A}\n{B}\n", "utf-8"),
        ("blank_start.csv", f"\n\nid,x\n{A},1\n{B},2\n", "utf-8"),
        ("pandas_index.csv", f",id\n0,{A}\n1,{B}\n", "utf-8"),
        ("quoted.tsv", f'"id"\t"json"\n"{A}"\t"{{""a"":1,""b"":2}}"\n"{B}"\t"1,5"\n', "utf-8"),
        ("lone_return.csv", f'note,id\r\nx\ry,{A}\r\n"x\ry",{B}\r\n', "utf-8"),
        ("old_mac.csv", f'id,note\r{A},"x\r"\r{B},y\r', "utf-8"),
    ],
)
def test_csv_dialects_and_encodings(tmp_path, name, text, encoding):
    assert read_ids(save(tmp_path / name, text, encoding)) == [A, B]


def test_csv_columns_without_a_header_are_numbered(tmp_path):
    assert read_ids(save(tmp_path / "x.csv", f"{A},{B}\n"), column="2") == [B]


def test_csv_with_a_prompt_of_several_hundred_kilobytes(tmp_path):
    prompt = "word, " * 60_000
    path = save(tmp_path / "x.csv", f'prompt,id\nshort,{A}\n"{prompt}",{B}\n')
    assert read_ids(path) == [A, B]


def test_csv_longer_than_one_chunk(tmp_path):
    ids = [f"gen-{1790000000 + i}-AbCdEfGhIjKlMnOpQrSt" for i in range(60_000)]
    path = save(tmp_path / "x.csv", "cost,id\n" + "".join(f"{i},{id_}\n" for i, id_ in enumerate(ids)))
    assert read_ids(path) == ids


@pytest.mark.parametrize("dtype", ["string", "string[pyarrow]", object])
def test_a_dataframe_without_an_id_column_may_have_missing_values(dtype):
    with pytest.raises(IdSourceError, match="no id column found"):
        read_ids(pd.DataFrame({"model": pd.Series(["x", pd.NA], dtype=dtype), "tokens": pd.array([1, None], "Int64")}))


def test_csv_without_an_id_column_lists_the_columns(tmp_path):
    path = save(tmp_path / "x.csv", "model,cost\ngpt,1\n")
    with pytest.raises(
        IdSourceError, match=r"x\.csv: no id column found; pass column=\. Columns: 'model', 'cost'"
    ) as caught:
        read_ids(path)
    assert caught.value.path == str(path)


def test_csv_with_two_candidates_requires_a_column(tmp_path):
    path = save(tmp_path / "x.csv", f"first,second\n{A},{B}\n")
    with pytest.raises(IdSourceError, match=r"several columns contain generation ids \('first', 'second'\)"):
        read_ids(path)
    path = save(tmp_path / "y.csv", f"id,first,second\n1,{A},{B}\n")
    with pytest.raises(IdSourceError, match="several columns contain generation ids"):
        read_ids(path)


def test_an_unknown_column_suggests_similar_names(tmp_path):
    path = save(tmp_path / "x.csv", f"Generation_ID,cost\n{A},1\n")
    with pytest.raises(
        IdSourceError, match=r"Unknown column 'generationid'\. Did you mean 'Generation_ID'\? Columns: "
    ) as caught:
        read_ids(path, column="generationid")
    assert caught.value.path == str(path)
    with pytest.raises(IdSourceError, match="Did you mean 'cost'"):
        read_ids(path, column="costs")
    with pytest.raises(IdSourceError, match=r"Unknown column 'zzz'\. Columns: 'Generation_ID', 'cost'$"):
        read_ids(path, column="zzz")


def test_broken_quotes_name_file_and_line(tmp_path):
    path = save(tmp_path / "x.csv", f'id,note\n{A},x\n{B},"never closed\n')
    with pytest.raises(IdSourceError, match=r"x\.csv: broken delimited text near line 3") as caught:
        read_ids(path)
    assert (caught.value.path, caught.value.line) == (str(path), 3)


@pytest.mark.parametrize(
    "text",
    [
        '2026-10-12T07:02:31Z INFO start\n2026-10-12T07:02:32Z INFO {"a": 1, "b": 2}\n',
        f"2026-10-12 07:02:31,592 INFO start\n2026-10-12 07:02:32,101 INFO done {A}\n",
        f"Started, and waiting, for, 3, workers\ndone {A}, 1 left\ndone {B}\n",
    ],
)
def test_a_log_has_no_columns(tmp_path, text):
    with pytest.raises(ConfigError, match=r"x\.log: has no columns: .* Omit column= to search the text for ids"):
        read_ids(save(tmp_path / "x.log", text), column="foo")


def test_text_with_a_column_is_a_table():
    assert read_ids(f"when,gen\nmon,{A}\ntue,x-1\n", column="gen") == [A]


def test_one_line_with_a_column_is_not_a_text():
    with pytest.raises(IdSourceError, match="no such file"):
        read_ids(f"done {A}", column="id")


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.dictionary(pa.int32(), pa.string())])
def test_parquet(tmp_path, kind):
    table = pa.table({"cost": [1.0, 2.0, 3.0], "generation_id": pa.array([A, None, B], pa.string()).cast(kind)})
    pq.write_table(table, tmp_path / "x.parquet")
    assert read_ids(tmp_path / "x.parquet") == [A, B]
    assert read_ids(tmp_path / "x.parquet", column="generation_id") == [A, B]
    with pa.ipc.new_stream(tmp_path / "x.arrow", table.schema) as stream:
        stream.write_table(table)
    assert read_ids(tmp_path / "x.arrow") == [A, B]
    (tmp_path / "x.arrow").write_bytes((tmp_path / "x.arrow").read_bytes()[:60])
    with pytest.raises(IdSourceError, match=r"x\.arrow: not a readable Arrow stream"):
        read_ids(tmp_path / "x.arrow")


def test_parquet_without_its_suffix_and_as_an_open_file(tmp_path):
    pq.write_table(pa.table({"ref": [A]}), tmp_path / "part-0")
    assert read_ids(tmp_path / "part-0") == [A]
    with (tmp_path / "part-0").open("rb") as file:
        assert read_ids(file) == [A]


def test_parquet_errors(tmp_path):
    path = tmp_path / "x.parquet"
    pq.write_table(pa.table({"id": [1, 2], "model": ["a", "b"]}), path)
    with pytest.raises(IdSourceError, match="column 'id' contains int64, not text"):
        read_ids(path, column="id")
    with pytest.raises(IdSourceError, match="column 'id' contains int64, not text"):
        read_ids(path)
    with pytest.raises(IdSourceError, match="Did you mean 'model'"):
        read_ids(path, column="models")
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(IdSourceError, match="not a readable Parquet file") as caught:
        read_ids(path)
    assert caught.value.path == str(path)


def test_a_dataframe_saved_with_its_index(tmp_path):
    frame = pd.DataFrame({"cost": [1.0, 2.0]}, index=pd.Index([A, B], name="id"))
    frame.to_parquet(tmp_path / "x.parquet")
    frame.to_csv(tmp_path / "x.csv")
    frame.to_excel(tmp_path / "x.xlsx")
    for name in ("x.parquet", "x.csv", "x.xlsx"):
        assert read_ids(tmp_path / name) == [A, B]


def test_excel(tmp_path):
    rows = pd.DataFrame({"n": [1, 2, 3], "Generation ID": [A, None, " gen-custom-1 "], "other": ["x", "y", "z"]})
    rows.to_excel(tmp_path / "x.xlsx", index=False)
    assert read_ids(tmp_path / "x.xlsx") == [A, "gen-custom-1"]
    with pytest.raises(IdSourceError, match="Ids are in 'Generation ID'"):
        read_ids(tmp_path / "x.xlsx", column="other")
    with pytest.raises(IdSourceError, match=r"Unknown column 'others'. Did you mean 'other'"):
        read_ids(tmp_path / "x.xlsx", column="others")
    with pytest.raises(IdSourceError, match="row 2: the cell contains int, not text") as caught:
        read_ids(tmp_path / "x.xlsx", column="n")
    assert (caught.value.path, caught.value.line) == (str(tmp_path / "x.xlsx"), 2)


def test_excel_without_a_header(tmp_path):
    pd.DataFrame([[1, A], [2, B]]).to_excel(tmp_path / "x.xlsx", index=False, header=False)
    assert read_ids(tmp_path / "x.xlsx") == [A, B]


def test_excel_whose_writer_stored_a_wrong_size(tmp_path):
    pd.DataFrame({"n": [1, 2], "id": [A, B]}).to_excel(tmp_path / "x.xlsx", index=False)
    with zipfile.ZipFile(tmp_path / "x.xlsx") as right, zipfile.ZipFile(tmp_path / "y.xlsx", "w") as wrong:
        for name in right.namelist():
            wrong.writestr(name, right.read(name).replace(b'<dimension ref="A1:B3"', b'<dimension ref="A1"'))
        assert b'<dimension ref="A1:B3"' in right.read("xl/worksheets/sheet1.xml")
    assert read_ids(tmp_path / "y.xlsx") == [A, B]


def test_excel_without_the_extra(tmp_path, monkeypatch):
    pd.DataFrame({"id": [A]}).to_excel(tmp_path / "x.xlsx", index=False)
    monkeypatch.setitem(sys.modules, "openpyxl", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'orstats\[excel\]'"):
        read_ids(tmp_path / "x.xlsx")


def test_frame():
    frame = pd.DataFrame({"read": [A, B], "n": [1, 2]})
    assert read_ids(frame) == [A, B]
    assert read_ids(frame.set_index("read").rename_axis("id")) == [A, B]
    with pytest.raises(IdSourceError, match=r"the DataFrame: Unknown column 'reads'. Did you mean 'read'"):
        read_ids(frame, column="reads")
    with pytest.raises(TypeError, match="position 0: an id must be text, got int"):
        read_ids(frame, column="n")


def test_json_lines_with_a_column(tmp_path):
    path = save(
        tmp_path / "x.jsonl",
        f'{{"id":"req-1","response":{{"id":"{A}","usage":{{"cost":1}}}}}}\n'
        f'\n{{"level":"info"}}\n{{"response":{{"id":null}}}}\n{{"response":{{"id":"x-1"}}}}\n',
    )
    assert read_ids(path, column="response.id") == [A]
    with pytest.raises(IdSourceError, match=r"Ids are in 'response\.id'"):
        read_ids(path, column="id")


def test_a_field_with_a_dot_in_its_name(tmp_path):
    path = save(tmp_path / "x.jsonl", f'{{"llm.generation.id":"{A}"}}\n{{"llm.generation.id":"{B}"}}')
    assert read_ids(path, column="llm.generation.id") == [A, B]
    path = save(tmp_path / "y.jsonl", f'{{"calls":{{"ids":["{A}","{B}"]}}}}\n{{"calls":{{"ids":[]}}}}')
    assert read_ids(path, column="calls.ids") == [A, B]


@pytest.mark.parametrize(
    "text",
    [
        f'[{{"id":"{A}","object":"chat.completion"}},{{"id":"{B}"}}]',
        f'[\n  {{"id": "{A}",\n   "x": 1}},\n  {{"id": "{B}"}}\n]\n',
        f'{{"id":"{A}"}}\n{{"id":"{B}"}}\n',
        f'{{"id":"{A}"}}\r\n\r\n{{"id":"{B}"}}',
        f'\ufeff{{"id":"{A}","cost":NaN}}\n{{"id":"{B}","cost":-Infinity}}\n',
    ],
)
@pytest.mark.parametrize("name", ["x.json", "x.jsonl", "x.ndjson", "x.txt"])
@pytest.mark.parametrize("column", [None, "id"])
def test_json_of_any_layout(tmp_path, text, name, column):
    assert read_ids(save(tmp_path / name, text), column=column) == [A, B]
    assert read_ids(text, column=column) == [A, B]


def test_a_complete_response_of_the_api(tmp_path):
    path = save(
        tmp_path / "x.json",
        f'{{\n "id": "{A}",\n "model": "a/b",\n "choices": [{{"message": {{"content": "hi"}}}}]\n}}',
    )
    assert read_ids(path) == [A]
    assert read_ids(path, column="id") == [A]


def test_lists_inside_a_document(tmp_path):
    path = save(tmp_path / "x.json", f'{{"data": [{{"gen": "{A}"}}, {{"gen": "{B}"}}]}}')
    assert read_ids(path, column="data.gen") == [A, B]


def test_an_unknown_field_suggests_similar_names(tmp_path):
    path = save(tmp_path / "x.jsonl", f'{{"response":{{"id":"{A}"}},"cost":1}}\n')
    with pytest.raises(
        IdSourceError,
        match=r"Unknown column 'respons\.id'\. Did you mean 'response\.id'\? Columns: 'response\.id'",
    ):
        read_ids(path, column="respons.id")


def test_broken_json_names_file_and_line(tmp_path):
    path = save(tmp_path / "x.jsonl", f'{{"id":"{A}"}}\n\n{{"id":"gen-\n')
    with pytest.raises(IdSourceError, match=r"x\.jsonl, line 3: not valid JSON") as caught:
        read_ids(path, column="id")
    assert (caught.value.path, caught.value.line) == (str(path), 3)
    document = save(tmp_path / "x.json", '\n[\n{"id": 1},\noops\n]')
    with pytest.raises(IdSourceError, match="line 4: not valid JSON") as caught:
        read_ids(document, column="id")
    assert caught.value.line == 4


def test_a_field_with_numbers_is_an_error(tmp_path):
    path = save(tmp_path / "x.jsonl", '{"id":"x"}\n{"id":7}\n')
    with pytest.raises(IdSourceError, match="line 2: 'id' contains int, not text"):
        read_ids(path, column="id")
