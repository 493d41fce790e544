"""Untrusted text in files and pages stays text: no formula, markup, script or link."""

import csv
import gzip
import io
import re
from html.parser import HTMLParser

import pandas as pd
import pytest

import orstats
from orstats.frame.build import build_frame
from orstats.frame.record_table import to_table

openpyxl = pytest.importorskip("openpyxl")

#: Texts that Excel, LibreOffice, Google Sheets or Numbers run as formulas.
FORMULAS = [
    "=1+1",
    "+1+1",
    "-1+1",
    "@SUM(1,1)",
    "=cmd|' /C calc'!A0",
    "@SUM(1+1)*cmd|' /C calc'!A0",
    '=HYPERLINK("http://evil.example","x")',
    '=IMPORTXML("http://evil.example","//a")',
    "=1+1\n=2+2",
    "\t=1+1",
    "\r=1+1",
    "\n=1+1",
    "\r\n=1+1",
    " =1+1",
    "  \t =1+1",
    "\u00a0=1+1",
    "\u3000=1+1",
    "\u200b=1+1",
    "\ufeff=1+1",
    "\u202e=1+1",
    "\x00=1+1",
    "\x1b=1+1",
    "\uff1d1+1",  # the full-width ones
    "\uff0b1+1",
    "\uff0d1+1",
    "\uff20SUM(1)",
    "\u3000\uff1d1+1",
]
MARKUP = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "'><svg/onload=alert(1)>",
    "</style><script>alert(1)</script>",
    "</title><script>alert(1)</script>",
    "<!--<img src=x onerror=alert(1)>-->",
    "<a href='javascript:alert(1)'>x</a>",
    "<iframe src=//evil.example></iframe>",
    "<meta http-equiv=refresh content='0;url=//evil.example'>",
    "<base href=//evil.example>",
    "<link rel=stylesheet href=//evil.example>",
    "&lt;script&gt;&#x3c;script&#x3e;",
    "[x](javascript:alert(1))",
    "![x](http://evil.example/p.png)",
    "`code` **bold** | cell |\n| --- |",
    "http://evil.example/?q=1",
    "${7*7}{{7*7}}",
    "\\<script>\\",
    "\u2028<script>alert(1)</script>\u2029",
]


def hostile(text):
    """A DataFrame in which every text is untrusted."""
    named = ("model", "provider_name", "external_user", "origin", "http_referer", "user_agent", "session_id")
    record = dict.fromkeys(named, text)
    record |= {"finish_reason": text, "router": text, "created_at": "2026-01-02T03:04:05Z", "total_cost": 0.5}
    record |= {"usage": 0.5, "is_byok": False, "streamed": True, "latency": 10.0, "generation_time": 20.0, "new": text}
    record["provider_responses"] = [{"provider_name": text, "status": 503}, {"provider_name": text, "status": 200}]
    ids = [f"gen-{text}", "gen-2"]
    return build_frame(ids, [to_table(ids, [record, record], [1.77e9] * 2)], {})


def runs(cell):
    """Whether a spreadsheet would run a cell as a formula: one of its signs after invisible characters."""
    return signed(cell) or cell[:1] in ("\t", "\r", "\n")


def signed(cell):
    plain = re.sub(r"^[\s\x00-\x20\x7f-\xa0\u200b-\u200f\u2028-\u202e\u2060-\u2069\u3000\ufeff]+", "", cell)
    return plain[:1] in tuple("=+-@\uff1d\uff0b\uff0d\uff20")


def numeric(cell):
    return re.fullmatch(r"-?[0-9]+(\.[0-9]+)?", cell) is not None


@pytest.mark.parametrize(("text", "ending"), [*((text, "csv") for text in FORMULAS), (FORMULAS[0], "csv.gz")])
def test_csv_cells_are_never_formulas(text, ending, tmp_path):
    df = hostile(text)
    report = orstats.cost_by(df, ["model", "external_user"])
    with_column = df[["model"]].rename(columns={"model": text})
    for number, frame in enumerate((df, report, with_column, orstats.attempts(df))):
        path = tmp_path / f"{number}.{ending}"
        orstats.write_csv(frame, path)
        raw = path.read_bytes()
        plain = (gzip.decompress(raw) if ending.endswith("gz") else raw).decode()
        rows = list(csv.reader(io.StringIO(plain, newline="")))
        assert [cell for row in rows for cell in row if runs(cell) and not numeric(cell)] == []


@pytest.mark.parametrize("text", FORMULAS)
def test_report_cells_are_never_formulas(text, tmp_path):
    report = orstats.cost_by(hostile(text), ["model", "external_user"])
    orstats.write_report(report, tmp_path / "x.csv")
    rows = list(csv.reader(io.StringIO((tmp_path / "x.csv").read_text("utf-8"), newline="")))
    assert [cell for row in rows for cell in row if runs(cell) and not numeric(cell)] == []
    orstats.write_report(report, tmp_path / "x.xlsx")
    book = openpyxl.load_workbook(tmp_path / "x.xlsx")
    cells = [cell for sheet in book.worksheets for row in sheet.iter_rows() for cell in row]
    assert {cell.data_type for cell in cells} <= {"s", "n", "d", "b", "f"}
    totals = r'=IF\(SUBTOTAL\(102,(\w+:\w+)\)=0,"",SUBTOTAL\(109,\1\)\)'
    assert all(re.fullmatch(totals, cell.value) for cell in cells if cell.data_type == "f")
    assert not any(cell.hyperlink for cell in cells)


@pytest.mark.parametrize("text", FORMULAS)
@pytest.mark.parametrize("separator", [";", "\t"])
def test_other_separators_expose_no_formula(text, separator, tmp_path):
    """Many European spreadsheets separate cells by semicolons, where quotes after a comma hold nothing together."""
    hidden = [f"a{end}{text};b" for end in (";", "; ", "\t", "\n", "\r\n")]
    frame = pd.DataFrame({"model": hidden, "user": hidden, hidden[0]: 1.5, "change": -1.5})
    orstats.write_csv(frame, tmp_path / "x.csv")
    written = (tmp_path / "x.csv").read_text("utf-8")
    cells = [cell for row in csv.reader(io.StringIO(written, newline=""), delimiter=separator) for cell in row]
    assert [cell for cell in cells if signed(cell) and not numeric(cell)] == []
    assert "-1.5" in written
    assert "'-1.5" not in written


class Page(HTMLParser):
    """Collects what a page is made of."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.tags, self.attributes = [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]


def skeleton(text):
    page = Page(text)
    return page.tags, [(tag, name) for tag, name, _ in page.attributes], page.attributes


@pytest.fixture(scope="module")
def harmless(tmp_path_factory):
    """The elements and attributes of a page of harmless text."""
    return elements(padded(""), tmp_path_factory.mktemp("page"))[:2]


def padded(text):
    """Text of one length, for long text is cut and has a title."""
    return text.ljust(60, "x")


def elements(text, folder):
    orstats.write_html(hostile(text), folder / "x.html", title=text)
    return skeleton((folder / "x.html").read_text("utf-8"))


@pytest.mark.parametrize("text", MARKUP)
def test_untrusted_text_adds_no_elements_to_a_page(text, harmless, tmp_path):
    tags, names, attributes = elements(padded(text), tmp_path)
    assert (tags, names) == harmless
    assert "script" not in tags
    links = [value for tag, name, value in attributes if name in ("href", "src", "action")]
    assert all(link.startswith("https://openrouter.ai/") for link in links)


@pytest.mark.parametrize("text", MARKUP)
def test_untrusted_text_adds_no_markup_to_markdown(text, tmp_path):
    report = orstats.cost_by(hostile(text), "model")
    orstats.write_report(report, tmp_path / "x.md")
    written = (tmp_path / "x.md").read_text("utf-8")
    table = [line for line in written.splitlines() if line.startswith("|")]
    assert len(table) == 2 + len(report)
    assert all(len(re.findall(r"(?<!\\)\|", line)) == len(re.findall(r"\|", table[1])) for line in table)
    assert "<" not in written.replace("<$", "").replace("<0.1", "")
    markdown_it = pytest.importorskip("markdown_it")
    html = markdown_it.MarkdownIt("gfm-like", {"html": True, "linkify": False}).render(written)
    assert set(Page(html).tags) <= {"table", "thead", "tbody", "tr", "th", "td", "p"}
