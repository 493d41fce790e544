import re
from html.parser import HTMLParser

import pandas as pd
import pytest

import orstats
from orstats.errors import ConfigError, ExportError
from orstats.export.html_page import COLUMNS, page, write_html
from orstats.frame.build import FetchOutcome, build_frame
from orstats.frame.record_table import to_table
from orstats.reports.compare import compare
from orstats.sim import SimServer

HOSTILE = [
    "<script>alert(1)</script>",
    "<img src=http://evil.test/x onerror=alert(1)>",
    "</style></title></svg><svg onload=alert(1)>",
    "' onmouseover='alert(1)",
    '" onmouseover="alert(1)',
    "javascript:alert(1)",
    "=cmd|' /C calc'!A0",
    "two\nlines\r\nthree",
    "\u202egnp.exe",
    "🦄 שלום",
    "\x00\x1b[31m\ud800",
    "x" * 10_000,
    " ",
    None,
]
#: Every element and attribute that the page may have.
TAGS = {
    *("html", "head", "meta", "title", "style", "body", "h1", "h2", "p", "section", "dl", "dt", "dd", "div", "figure"),
    *("figcaption", "svg", "rect", "path", "line", "circle", "text", "ul", "li", "bdi", "table", "thead", "tbody"),
    *("tfoot", "tr", "th", "td", "a", "span"),
}
ATTRIBUTES = {
    *("lang", "charset", "http-equiv", "content", "name", "class", "title", "aria-hidden", "aria-label", "role"),
    *("viewbox", "width", "height", "rx", "x", "y", "x1", "x2", "y1", "y2", "cx", "cy", "r", "d", "text-anchor"),
    *("scope", "href"),
}


class Reader(HTMLParser):
    def __init__(self):
        super().__init__()
        self.tags, self.attributes, self.links, self.open, self.text = set(), set(), [], [], []

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.attributes.update(name for name, _ in attrs)
        self.links += [value for name, value in attrs if name == "href"]
        if tag != "meta":
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        self.open.pop()

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


def read(text):
    reader = Reader()
    reader.feed(text)
    reader.close()
    assert not reader.open
    return reader


def record(at=0, **fields):
    return {
        "model": "a/b",
        "provider_name": "P",
        "created_at": f"2026-03-{1 + at % 28:02d}T23:30:00Z",
        "total_cost": 0.5,
        "is_byok": False,
        "native_tokens_prompt": 10,
        "native_tokens_completion": 5,
        "latency": 100.0,
        "generation_time": 300.0,
        "streamed": True,
        "finish_reason": "stop",
        **fields,
    }


def frame(records, others=None, ids=None):
    ids = ids or [f"gen-{at}" for at in range(len(records))]
    others = others or {}
    return build_frame([*ids, *others], [to_table(ids, records, [0.0] * len(ids))], others)


def words(df, **options):
    return " ".join("".join(read(page(df, **options)).text).split())


def test_untrusted_text_adds_no_element_attribute_or_link():
    names = ("model", "provider_name", "external_user", "finish_reason", "origin")
    chain = [[{"status": 503, "provider_name": text, "latency": 20}] for text in HOSTILE]
    records = [
        record(at, **dict.fromkeys(names, text), provider_responses=chain[at]) for at, text in enumerate(HOSTILE)
    ]
    ids = [f'gen-"><script>{at}' for at in range(len(HOSTILE))]
    reader = read(page(frame(records, ids=ids), title=HOSTILE[0], freq="h"))
    assert reader.tags == TAGS - {"span"}
    assert reader.attributes <= ATTRIBUTES
    assert reader.links
    for link in reader.links:
        assert re.fullmatch(r"https://openrouter\.ai/logs\?transaction=[\w.~%-]+", link)
    text = "".join(reader.text)
    assert "<script>alert(1)</script>" in text
    assert "[U+202E]gnp.exe" in text
    assert "two↵lines↵three" in text
    assert "\u202e" not in text
    assert "\x1b" not in text


def test_every_element_and_attribute_is_one_of_a_few():
    reader = read(page(frame([record()])))
    assert reader.tags <= TAGS
    assert reader.attributes <= ATTRIBUTES


def test_page_runs_and_loads_nothing():
    text = page(frame([record()]))
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', text)[1].replace("&#x27;", "'")
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "unsafe" not in policy
    assert "@import" not in text
    assert "url(" not in text
    assert "src=" not in text


def test_long_names_are_cut():
    text = page(frame([record(model="m" * 10_000)]))
    assert max(len(run) for run in re.findall("m+", text)) < 1_001
    assert "m" * 100 not in "".join(read(text).text)


def test_long_ids_are_not_linked():
    reader = read(page(frame([record()], ids=["gen-" + "x" * 5_000])))
    assert not reader.links
    assert "span" in reader.tags


def test_figures_and_coverage():
    outcome = {"gen-x": FetchOutcome("not_found", 404, 1, "no")}
    df = frame([record(total_cost=1.25), record(1, model="c"), record(2, total_cost=None)], outcome)
    text = words(df)
    assert "Cost$1.75001 generation with unknown cost excluded; with their known charges: $1.7500 from" in text
    assert "Generations3of 4 requested" in text
    assert "Requested4" in text
    assert "not found1Check that the id is complete" in text
    assert "With unknown cost1" in text
    assert "total$1.7500100.0%3" in text
    assert "Times in UTC" in text


@pytest.mark.parametrize("times", [(0.0, 0.0), (0.0, 900.0), (0.2, 0.4)])
def test_latencies_of_0_have_a_place_on_the_scale(times):
    html = page(frame([record(at, latency=ms) for at, ms in enumerate(times)]))
    places = [float(place) for place in re.findall(r'<circle cx="([-.\d]+)%"', html)]
    assert places
    assert all(0 <= place <= 100 for place in places)


def test_unknown_tokens_have_an_unknown_total():
    text = words(frame([record(native_tokens_prompt=None), record(1, native_tokens_completion=None)]))
    assert "total$1.0000100.0%2?" in text
    assert re.search(r"Tokensunknownprompt \d+, completion \d+", text)


def test_token_card_equals_the_total_of_the_tables():
    text = words(
        frame([record(native_tokens_prompt=7, native_tokens_completion=5), record(1, native_tokens_prompt=None)])
    )
    assert "Tokens12prompt 7, completion" in text
    assert re.search(r"total\$1\.0000100\.0%212\b", text)


def test_times_are_the_readers():
    df = frame([record()])  # 23:30 UTC on 1 March
    assert "2026-03-02 00:30" in words(df, tz="Europe/Berlin")
    assert "Cost by day in Europe/Berlin and model. Lighter: " in words(df, tz="Europe/Berlin", freq="D")
    assert "<title>02 Mar 2026 (may be incomplete): $0.500000</title>" in page(df, tz="Europe/Berlin", freq="D")


@pytest.mark.parametrize(
    ("last", "unit", "bars"), [("10T09:10", "hour", 1), ("12T09:00", "hour", 49), ("12T09:01", "day", 3)]
)
def test_a_day_or_two_are_drawn_by_the_hour(last, unit, bars):
    df = frame([record(0, created_at="2026-03-10T09:00:00Z"), record(1, created_at=f"2026-03-{last}:00Z")])
    text = page(df)
    assert f"Cost by {unit} in UTC and model" in text
    assert text.count('class="hover"') == bars
    assert max(map(float, re.findall(r'd="M[\d. ]+h([\d.]+)v', text))) <= 120


def test_longer_periods_replace_too_many_days_with_a_note():
    df = frame([record(created_at="2020-01-01T00:00:00Z"), record()])
    assert "Cost by week in UTC and model (by day there would be too many bars)." in words(df)


def test_incomplete_periods_are_lighter_and_named():
    df = frame([record(created_at=f"2026-03-0{day}T0{day}:12:00Z") for day in (1, 2, 9)])
    df.attrs |= {"since": "2026-03-01T01:00:00Z"}
    assert page(df).count(' part" d="') == 1
    note = "Lighter: incomplete (first day from 01:00); may be incomplete (last record 09:12)."
    assert f"Cost by day in UTC and model. {note}" in words(df)


def test_many_groups_are_summed_as_other():
    text = words(frame([record(model=f"m{at}") for at in range(40)]))
    assert "other (25 more)$12.500062.5%25" in text
    text = words(frame([record(provider_name=f"p{at}", finish_reason="error") for at in range(40)]))
    failures = text[text.index("Failures and fallbacks") :]
    assert "Of 40 providers, the 15 with the most failed attempts are listed." in failures
    assert re.search(r"other \(25 more\)\D*\d.*?25250", failures), failures[:2000]


@pytest.mark.parametrize(
    "df",
    [
        frame([]),
        frame([], {"gen-1": FetchOutcome("pending", 404, 1, "Not yet.")}),
        frame([record(total_cost=None, upstream_inference_cost=None)]),
        frame([record(total_cost=0.0, native_tokens_prompt=0, native_tokens_completion=0, generation_time=0)]),
        frame([record(latency=None, generation_time=None, created_at=None, model=None, streamed=None)]),
        frame([{}]),
    ],
    ids=["empty", "failed", "unknown cost", "zero", "nothing said", "empty record"],
)
def test_missing_values_show_as_unknown(df):
    text = words(df)
    assert "Coverage" in text
    for nonsense in ("nan", "inf ", "NaT", "<NA>", "None"):
        assert nonsense not in text


def test_size_does_not_grow_with_the_rows():
    few = frame([record(at, model=f"m{at}") for at in range(50)])
    many = pd.concat([few] * 20).set_axis([f"gen-{at}" for at in range(1_000)]).rename_axis("id")
    assert len(page(many)) < 1.2 * len(page(few))


def test_a_failed_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "report.html"
    write_html(frame([record()]), path, title="November")
    before = path.read_text("utf-8")
    assert "<title>November</title>" in before
    with pytest.raises(ConfigError, match="Europe/Berlin"):
        write_html(frame([record()]), path, tz="Europe/Berlon")
    with pytest.raises(ConfigError, match="hour, day"):
        write_html(frame([record()]), path, freq="fortnight")
    with pytest.raises(ConfigError, match="is missing created_at"):
        page(frame([record()]).drop(columns="created_at"))
    with pytest.raises(ConfigError, match="is missing cost_usd"):
        write_html(frame([record()]).drop(columns="cost_usd"), path)
    with pytest.raises(ExportError, match=r"\.html"):
        write_html(frame([record()]), tmp_path / "report.pdf")
    with pytest.raises(ExportError, match="no directory"):
        write_html(frame([record()]), tmp_path / "nowhere" / "report.html")
    assert path.read_text("utf-8") == before
    assert list(tmp_path.iterdir()) == [path]


def test_the_same_frame_gives_the_same_page():
    assert page(frame([record()])) == page(frame([record()]))


def test_a_frame_of_only_the_columns_that_are_read_makes_the_same_page():
    with SimServer(300, seed=5) as sim:
        df = orstats.fetch(sim.ids, client=sim.client(), progress=False)
    assert page(df[list(COLUMNS)]) == page(df)


def changed(names, **attrs):
    """A comparison of two periods: the second half of the groups is new, and each costs a dollar more."""
    before = frame([record(model=name) for name in names[: len(names) // 2]])
    after = frame(
        [record(model=name, total_cost=1.5) for name in names], ids=[f"gen-after-{at}" for at in range(len(names))]
    )
    compared = compare(before, after)
    compared.attrs |= attrs
    return after, compared


def test_what_changed_is_drawn_and_listed():
    ends = {"before_start": "2026-03-01T00:00:00+00:00", "after_start": "2026-03-08T00:00:00+00:00"}
    ends |= {"after_end": "2026-03-15T00:00:00+00:00", "tz": "UTC"}
    after, compared = changed([f"m{at}" for at in range(40)], coverage=ends)
    text = page(after, compared=compared)
    shown = " ".join("".join(read(text).text).split())
    assert "Before: 2026-03-01 00:00 to 2026-03-08 00:00. After: 2026-03-08 00:00 to 2026-03-15 00:00." in shown
    assert "Cost change by cause: $10.0000 to $60.0000, +$50.0000, +500.0%." in shown
    assert "other (25 groups)" in shown
    drawing = re.search(r"<figure><svg.*?</svg><figcaption>Cost change", text, re.DOTALL)[0]
    steps = re.findall(r'text-anchor="end">([^<]+)</text><text [^>]*>([^<]+)<', drawing)
    assert steps == [
        ("before", "$10.0000"),
        ("volume (generations)", "+$10.0000 · +100.0%"),
        ("mix (between groups)", "-$10.0000 · -100.0%"),
        ("size (tokens each)", "$0"),
        ("price (per token)", "+$20.0000 · +200.0%"),
        ("20 new groups", "+$30.0000 · +300.0%"),
        ("after", "$60.0000"),
    ]
    bars = [
        (float(x), float(width))
        for x, width in re.findall(r'<rect class="c\d" x="([\d.]+)" y="[\d.]+" width="([\d.]+)"', drawing)
    ]
    scale = bars[0][1] / 10
    assert [width for _, width in bars] == pytest.approx(
        [10 * scale, 10 * scale, 10 * scale, 0, 20 * scale, 30 * scale, 60 * scale], abs=0.5
    )
    assert all(left >= bars[0][0] and left + width <= 960 - 150 for left, width in bars)


def test_untrusted_names_of_changed_groups_are_escaped():
    after, compared = changed(HOSTILE)
    reader = read(page(after, compared=compared))
    assert reader.tags <= TAGS
    assert reader.attributes <= ATTRIBUTES
    assert "<script>alert(1)</script>" in "".join(reader.text)


def test_a_change_without_cost_and_another_table():
    after, compared = changed(["a", "b"])
    text = "".join(read(page(after, compared=compared.iloc[:0])).text)
    assert "What changed\nNothing to show." in text
    assert "What changed" not in "".join(read(page(after)).text)
    with pytest.raises(ConfigError, match=r"must be the result of orstats\.compare"):
        page(after, compared=after)
