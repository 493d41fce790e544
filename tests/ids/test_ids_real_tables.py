"""Tables as other programs write them: key columns, null marks, titles, repeated headers, nested cells."""

import json
import types

import httpx
import openpyxl
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import requests
from pyarrow import feather

from orstats.errors import ConfigError, IdSourceError, IdSourceWarning
from orstats.ids.read import read_ids

pytestmark = pytest.mark.filterwarnings("ignore::orstats.errors.IdSourceWarning")

A = "gen-1790000000-AbCdEfGhIjKlMnOpQrSt"
B = "gen-1790000001-0123456789abcdefghij"
C = "gen-1790000002-0123456789abcdefghij"
UUID = "0199a7c2-7a11-7000-8000-0123456789ab"
LINK = "https://openrouter.ai/logs?transaction="

KEYED = {
    "late": [{"id": n, "response_id": None} for n in range(300)]
    + [{"id": 300, "response_id": A}, {"id": 301, "response_id": B}],
    "inside JSON": [{"id": UUID, "output": json.dumps({"id": A})}, {"id": UUID, "output": json.dumps({"id": B})}],
    "inside links": [{"id": 0, "link": LINK + A}, {"id": 1, "link": LINK + B}],
    "late and inside": [{"id": "7", "note": "x"} for _ in range(300)]
    + [{"id": "7", "note": f'{{"gen": "{one}"}}'} for one in (A, B)],
}


def write_csv(frame, path):
    frame.to_csv(path, index=False)


def write_excel(frame, path):
    frame.to_excel(path, index=False)


def write_parquet(frame, path):
    frame.to_parquet(path)


def write_feather(frame, path):
    feather.write_feather(pa.Table.from_pandas(frame), path)


def write_tsv(frame, path):
    pl.from_pandas(frame).write_csv(path, separator="\t")


@pytest.mark.parametrize("rows", KEYED.values(), ids=KEYED)
@pytest.mark.parametrize(
    ("write", "suffix"),
    [(write_csv, ".csv"), (write_tsv, ".tsv"), (write_excel, ".xlsx"), (write_parquet, ".parquet"),
     (write_feather, ".feather")],
)  # fmt: skip
def test_a_key_column_called_id_does_not_hide_the_ids(tmp_path, rows, write, suffix):
    frame = pd.DataFrame(rows)
    write(frame, tmp_path / f"x{suffix}")
    assert read_ids(tmp_path / f"x{suffix}") == [A, B]
    assert read_ids(frame) == read_ids(pl.from_pandas(frame)) == read_ids(pa.Table.from_pandas(frame)) == [A, B]


@pytest.mark.parametrize("keys", [[0, 1], [UUID, UUID], ["0", "1"], [0.5, 1.5], ["2026-11-28", "2026-11-29"]])
def test_keys_are_never_ids(tmp_path, keys):
    frame = pd.DataFrame({"id": keys, "model": ["a", "b"]})
    write_csv(frame, tmp_path / "x.csv")
    write_excel(frame, tmp_path / "x.xlsx")
    write_parquet(frame, tmp_path / "x.parquet")
    for source in (tmp_path / "x.csv", tmp_path / "x.xlsx", tmp_path / "x.parquet", frame, pl.from_pandas(frame)):
        with pytest.raises(IdSourceError, match="column 'id' contains"):
            read_ids(source)


@pytest.mark.parametrize("name", ["x.csv", "x.xlsx"])
@pytest.mark.parametrize("before", [0, 300])
def test_ids_in_two_columns_require_a_column(tmp_path, name, before):
    rows = [{"id": n, "first": "", "second": ""} for n in range(before)] + [{"id": 300, "first": A, "second": B}]
    frame, path = pd.DataFrame(rows), tmp_path / name
    frame.to_excel(path, index=False) if name == "x.xlsx" else write_csv(frame, path)
    with pytest.raises(IdSourceError, match=r"several columns contain generation ids \('first', 'second'\)"):
        read_ids(path)
    assert read_ids(path, column="second") == [B]


def test_other_values_in_the_column_of_late_ids_are_counted(tmp_path, warned):
    rows = [{"id": n, "ref": "chatcmpl-12345678"} for n in range(300)] + [{"id": 300, "ref": A}]
    write_csv(pd.DataFrame(rows), tmp_path / "x.csv")
    assert read_ids(tmp_path / "x.csv") == [A]
    assert "300 other values in column 'ref' skipped" in warned()


@pytest.mark.parametrize(
    "mark", [r"\N", "NULL", "null", "None", "nan", "NaN", "N/A", "NA", "<NA>", "#N/A", "-", "?", ""]
)
@pytest.mark.parametrize("name", ["x.csv", "x.tsv", "x.jsonl", "list"])
def test_marks_of_missing_values_are_skipped_and_counted(tmp_path, mark, name, warned):
    if name == "list":
        assert read_ids([A, mark, B]) == [A, B]
    else:
        tab = {"x.csv": ",", "x.tsv": "\t"}.get(name)
        lines = [f"n{tab}generation_id", *(f"1{tab}{value}" for value in (A, mark, B))]
        if tab is None:
            lines = [json.dumps({"generation_id": value}) for value in (A, mark, B)]
        (tmp_path / name).write_text("\n".join(lines) + "\n")
        assert read_ids(tmp_path / name, column=None if tab else "generation_id") == [A, B]
    assert "skipped 1 missing or empty value" in warned()


CSV = {
    "Excel's separator line": f"sep=;\r\ncost;generation_id\r\n0,01;{A}\r\n0,02;{B}\r\n",
    "a title": f"Usage report\n\nid,cost\n{A},1\n{B},2\n",
    "a title with commas": f"Usage, November, all\nmade by hand\nn,reference\n1,{A}\n2,{B}\n",
    "titles filled with delimiters": f"Report,,\n,,\ncost,id,note\n1,{A},x\n2,{B},y\n",
    "a repeated header": f"id,cost\n{A},1\nid,cost\n{B},2\n",
    "a header in another order": f"id,cost,model\n{A},1,a\nmodel,id,cost\nb,{B},2\n",
    "a repeated header with quotes": f'"id","cost"\r\n"{A}","1"\r\n"id","cost"\r\n"{B}","2"\r\n',
    "a repeated header with other columns": f"id,cost\n{A},1\nwhen,id\n2026-11-28,{B}\n",
    "row names of R": '"id","cost"\n' + f'"1","{A}",1\n"2","{B}",2\n',
    "two columns of one name": f"id,id,cost\n1,{A},0\n2,{B},0\n",
    "quoted newlines": f'prompt,id\n"two\nlines",{A}\n"id,cost\n",{B}\n',
    "links": f"n,link\n1,{LINK}{A}\n2,{LINK}{B}\n",
    "spreadsheet texts": f'n,id\n1,"=""{A}"""\n2,\'{B}\n',
    "links without a header": f"{LINK}{A},1\n{LINK}{B},2\n",
    "the delimiter of Hive": f"1\x01{A}\x012\n2\x01{B}\x013\n",
    "one line of ids": f"{A},{B}\n",
    "the word id above late ids": "note,n,ref\n" + "id,1,-\n" * 300 + f"x,1,{A}\nid,2,{B}\n",
    "late ids without a header": "2026-11-01,NULL,a\n" * 300 + f"2026-11-01,{A},a\n2026-11-02,{B},b\n",
    "names of files": f"n,id\n1,{A}.json\n2,{B}-retry1\n",
    "counts and comments below": f"id,cost\n--,----\n{A},1\n# resumed\n{B},2\n(2 rows affected)\n",
}


@pytest.mark.parametrize("text", CSV.values(), ids=CSV)
def test_delimited_text_of_other_programs(tmp_path, text):
    (tmp_path / "x.csv").write_text(text)
    assert read_ids(tmp_path / "x.csv") == [A, B]


@pytest.mark.slow
def test_a_thousand_concatenated_tables(tmp_path):
    ids = [f"gen-{1790000000 + n}-AbCdEfGhIjKlMnOpQrSt" for n in range(1000)]
    (tmp_path / "x.csv").write_text("".join(f"n,id\n{n},{id_}\n" for n, id_ in enumerate(ids)))
    assert read_ids(tmp_path / "x.csv") == ids


def test_a_named_column_below_a_title(tmp_path):
    (tmp_path / "x.csv").write_text(f"Usage report\nn,ref,other\n1,{A},{B}\n")
    assert read_ids(tmp_path / "x.csv", column="other") == [B]
    with pytest.raises(IdSourceError, match=r"Unknown column 'others'\. Did you mean 'other'"):
        read_ids(tmp_path / "x.csv", column="others")


def test_a_named_column_of_json_yields_the_ids_inside(tmp_path):
    write_csv(pd.DataFrame(KEYED["inside JSON"]), tmp_path / "x.csv")
    assert read_ids(tmp_path / "x.csv", column="output") == [A, B]


def test_only_a_header_is_empty_not_an_error(tmp_path, warned):
    (tmp_path / "x.csv").write_text("id,cost\n")
    assert read_ids(tmp_path / "x.csv") == []
    assert "contains no id" in warned()


def workbook(tmp_path, **sheets):
    book = openpyxl.Workbook()
    book.remove(book.active)
    for name, rows in sheets.items():
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(row)
    book.save(tmp_path / "x.xlsx")
    return book


TABLE = [["n", "generation_id"], [1, A], [2, B]]


def test_titles_above_the_header_of_a_sheet(tmp_path):
    book = workbook(tmp_path, report=[["Usage in November", None], [None, None], ["made by", "finance"], *TABLE])
    book["report"].merge_cells("A1:B1")
    book.save(tmp_path / "x.xlsx")
    assert read_ids(tmp_path / "x.xlsx") == read_ids(tmp_path / "x.xlsx", column="generation_id") == [A, B]


@pytest.mark.parametrize("state", ["visible", "hidden", "veryHidden"])
def test_ids_on_another_sheet(tmp_path, state):
    book = workbook(tmp_path, cover=[["Usage", 1], ["cost", 0.5]], data=TABLE)
    book["data"].sheet_state = state
    book.save(tmp_path / "x.xlsx")
    assert read_ids(tmp_path / "x.xlsx") == read_ids(tmp_path / "x.xlsx", column="generation_id") == [A, B]


def test_ids_that_are_only_links_of_cells(tmp_path):
    book = workbook(tmp_path, data=[["n", "page"], [1, "open"]])
    book["data"]["B2"].hyperlink = LINK + A
    book.save(tmp_path / "x.xlsx")
    assert read_ids(tmp_path / "x.xlsx") == [A]
    workbook(tmp_path, data=[["n", "id"], [1, f'="{A}"'], [2, f'=HYPERLINK("{LINK}{B}","open")']])
    assert read_ids(tmp_path / "x.xlsx") == [A, B]


def test_nested_columns(tmp_path):
    table = pa.table({"id": [1, 2], "response": [{"id": A, "n": 1}, {"id": B, "n": 2}]})
    pq.write_table(table, tmp_path / "x.parquet")
    for source in (tmp_path / "x.parquet", table, pl.from_arrow(table)):
        assert read_ids(source) == read_ids(source, column="response.id") == [A, B]
    assert read_ids(pa.table({"id": [1], "calls": [[{"gen": A}, {"gen": B}]]})) == [A, B]
    assert read_ids(table.to_reader(), column="response.id") == [A, B]


def test_cells_with_several_ids_keep_their_order(warned):
    for cells in ([[A, B], [C]], [f"{A};{B}", C]):
        assert read_ids(pd.DataFrame({"id": [1, 2], "calls": cells})) == [A, B, C]
    assert "skipped" not in warned()


def test_a_column_of_a_frame_without_rows_is_empty(warned):
    assert read_ids(pd.DataFrame({"id": []}, dtype="float64")) == []
    assert "contains no id" in warned()
    with pytest.raises(ConfigError, match="name of a column as text, such as '0', got 0"):
        read_ids(pd.DataFrame([[A]]), column=0)


def test_binary_columns_and_polars_sources(tmp_path):
    pq.write_table(pa.table({"generation_id": [A.encode(), None, B.encode()]}), tmp_path / "x.parquet")
    frame = pl.DataFrame({"id": [A, B]})
    with pytest.warns(IdSourceWarning, match="1 missing"):
        assert read_ids(tmp_path / "x.parquet") == [A, B]
    for source in (frame.lazy(), frame["id"], frame.to_arrow()["id"]):
        assert read_ids(source) == [A, B]


def test_an_index_without_a_name():
    frame = pd.DataFrame({"cost": [1, 2]}, index=[A, B])
    assert read_ids(frame) == [A, B]


def test_ids_in_a_level_of_the_index():
    frame = pd.DataFrame({"cost": [1, 2]}, index=pd.MultiIndex.from_tuples([("a", A), ("b", B)]))
    assert read_ids(frame) == [A, B]


def test_responses_without_an_id_are_missing_values(warned):
    failed = types.SimpleNamespace(id=None, error="overloaded")
    assert read_ids([failed, {"id": None}, {"id": A}]) == [A]
    assert "skipped 2 missing or empty values" in warned()


def test_http_responses_have_the_id_in_their_header():
    response = requests.Response()
    response.headers["x-generation-id"] = A
    assert read_ids([response, httpx.Response(200, headers={"X-Generation-Id": B})]) == [A, B]
    assert read_ids([{"status": 200, "headers": {"x-generation-id": A}}]) == [A]


def test_response_objects_and_dictionaries():
    response = types.SimpleNamespace(id=A, model="a/b")
    message = types.SimpleNamespace(id="lc_run--0", response_metadata={"id": B})
    assert read_ids([response, message, {"id": C}]) == [A, B, C]
    assert read_ids(one for one in ({"id": 7, "generation_id": A}, {"data": {"id": B}})) == [A, B]
    assert read_ids(response) == read_ids({"id": A}) == [A]
    llama_index, pydantic_ai = types.SimpleNamespace(raw=response), types.SimpleNamespace(provider_response_id=B)
    assert read_ids([llama_index, pydantic_ai]) == [A, B]


@pytest.mark.parametrize("rows", KEYED.values(), ids=KEYED)
def test_rows_as_dictionaries_are_read_like_a_table(rows, warned):
    assert read_ids(row for row in rows if "gen-" in str(row)) == [A, B]
    assert not warned()


def test_the_key_of_a_row_without_an_id_is_named(warned):
    assert read_ids([{"id": UUID, "output": "x"}, {"id": A}]) == [UUID, A]
    assert "1 x a number, time or UUID" in warned()
