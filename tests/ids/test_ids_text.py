import functools
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orstats.errors import IdSourceError
from orstats.ids.collector import IdCollector
from orstats.ids.read import read_ids
from orstats.ids.text import read_text, search_text

pytestmark = pytest.mark.filterwarnings("ignore::orstats.errors.IdSourceWarning")

A = "gen-1790000000-AbCdEfGhIjKlMnOpQrSt"
B = "gen-1790000001-0123456789abcdefghij"
VIDEO = "gen-vid-1790000000-AbCdEfGhIjKlMnOpQrSt"
LEGACY = "gen-3bhGkxlo4XFrqiabUM7NDtwDzWwG"
ULID = "gen_01KVX7JN0Z0123456789ABCDEF"


@pytest.mark.parametrize("id_", [A, VIDEO, LEGACY, ULID])
@pytest.mark.parametrize(
    "line",
    [
        "2026-11-23T10:00:00Z INFO done id={} tokens=12",
        '{{"level":"info","generation_id":"{}","ms":12}}',
        "'{}'",
        "[{}]",
        "({},)",
        "<b>{}</b>",
        "see https://openrouter.ai/logs?transaction={}&tab=raw",
        "GET https://openrouter.ai/api/v1/generation?id={} 404",
        "< X-Generation-Id: {}\r",
        'data: {{"id": "{}", "choices": []}}',
        "\x1b[32m{}\x1b[0m ok",
        "\x1b[1;38;5;208m{}\x1b[m ok",
        "\x1b[0K{} ok",
        r'"first\n{}\tthen"',
        r'{{"message":"{{\u0022id\u0022:\u0022{}\u0022}}"}}',
        "Traceback: ValueError: no cost for {}.",
        "cost of {}: 0.5",
        "response_{}.json saved",
        "run {}-0 of the graph",
        "café {} — naïve",
    ],
)
def test_ids_are_found_in_text_of_many_kinds(line, id_):
    assert read_ids("a line before\n" + line.format(id_) + "\nand one after\n") == [id_]


@pytest.mark.parametrize(
    "text",
    [
        "oxy" + LEGACY,
        A + "x",
        A[:-1],
        "gen-1790000000",
        "the generation-1790000000-AbCdEfGhIjKlMnOpQrSt",
        "gen_random_uuid() of gen_ReportForTheLastQuarterOnlyX",
        "GEN-1790000000-AbCdEfGhIjKlMnOpQrSt",
    ],
)
def test_not_found(text):
    assert read_ids(f"a text\nwith {text} inside\n") == []


def test_ids_are_distinct_and_in_order_of_first_sight():
    assert read_ids(f"{B} then {A}\nthen {B} again\n") == [B, A]


def test_several_on_one_line():
    assert read_ids(f"{A},{B};{LEGACY}\n{ULID}|{VIDEO}") == [A, B, LEGACY, ULID, VIDEO]


def test_streamed_response():
    lines = [f'data: {{"id":"{A}","choices":[{{"delta":{{"content":"{word} word"}}}}]}}\n\n' for word in "abc"]
    assert read_ids(": OPENROUTER PROCESSING\n\n" + "".join(lines) + "data: [DONE]\n") == [A]


def test_a_cut_id_is_noticed(warned):
    assert read_ids(f"one {A} and\na cut one {B[:-8]}…\n") == [A]
    assert f"skipped 1 id-like token of unexpected length (first: '{B[:-8]}')" in warned()


def test_a_plain_list_keeps_every_shape():
    text = f"# by hand\nid\n{A}\n\n  custom-1  \r\n\"gen-new:shape\",\n'{B}'  # the dear one\n{A}\n0199a7c2-7a11\n"
    assert read_ids(text) == [A, "custom-1", "gen-new:shape", B, "0199a7c2-7a11"]


@pytest.mark.parametrize("text", ["Anna\nBo\n", '["Anna", "Bo"]'])
def test_a_list_of_names_is_not_a_list_of_ids(text, warned):
    assert read_ids(text) == []
    assert "no entry of the list looks like a generation id (first: 'Anna')" in warned()


@pytest.mark.parametrize(
    "text", [f"response_id\n{A}\n{B}\n", f'"ref"\r\n"{A}"\r\nNULL\r\n"{B}"\r\n', f"ids:\n{A}\n{B}\n"]
)
def test_a_word_above_a_list_of_ids_is_the_name_of_its_column(text, warned):
    assert read_ids(text) == [A, B]
    assert f"the first line, '{text.strip().split()[0].strip(chr(34))}', is skipped" in warned()


def test_commented_ids_of_a_list_are_skipped():
    assert read_ids(f"{A}\n# {B}\n") == [A]


def test_one_line_of_prose_makes_it_a_text():
    assert read_ids(f"{A}\ncustom-1\nand these from Monday:\n{B}\n") == [A, B]


def test_a_list_of_file_names_or_addresses_is_searched():
    assert read_ids(f"{A}.json\nREADME.md\n{B}.json\n") == [A, B]
    assert read_ids(f"https://openrouter.ai/logs?transaction={A}\nhttps://openrouter.ai/logs?transaction={B}") == [A, B]


def test_an_id_alone_and_inside_a_word_makes_it_a_text():
    assert read_ids(f"{A}\ncustom-1\n-{A}\n") == [A]


def test_json_lines_without_spaces_are_not_a_list():
    assert read_ids(f'{{"id":"{A}"}}\n{{"id":"{B}"}}\n') == [A, B]


def test_a_json_array_of_strings_is_a_list():
    assert read_ids(f'["{A}", "custom-1"]') == [A, "custom-1"]
    assert read_ids(f'[\n  "{A}",\n  "custom-1"\n]\n') == [A, "custom-1"]


def test_a_json_array_too_long_to_be_held_is_searched():
    assert read_ids(f'["{A}", ' + " " * (64 << 20) + f'"custom-1", "{B}"]') == [A, B]


def test_a_json_array_of_mixed_values_is_searched():
    assert read_ids(f'["{A}", 1, {{"id": "{B}"}}]') == [A, B]


def test_text_that_only_starts_like_a_json_array_is_searched():
    assert read_ids(f'["2026-11-23", "INFO", "{A}"]\n["2026-11-23", "INFO", "{B}"]\n') == [A, B]


def test_foreign_ids_in_a_list_are_kept_and_named(warned):
    assert read_ids(f"{A}\nchatcmpl-1234567890\nchatcmpl-abcdef1234\n") == [
        A,
        "chatcmpl-1234567890",
        "chatcmpl-abcdef1234",
    ]
    assert "2 x chatcmpl-… (the provider's own completion id)" in warned()
    assert "X-Generation-Id header" in warned()


def test_foreign_ids_in_a_text_are_counted(warned):
    text = f"""\
    POST /chat id={A} upstream chatcmpl-B9MHDbslfkBeAs8l4b
    POST /chat upstream chatcmpl-B9MHDbslfkBeAs8l4c request req-0199a7c2-7a11
    message msg_01XFDUDYJgAACzvnptvVoYEL of resp_67ccd2bed1ec8190 (cmpl-1234567890)
    def req_handler_for_everything(): old_req-12345678
    """
    assert read_ids(text) == [A]
    assert "2 x chatcmpl-…" in warned()
    for kind in ("req-…", "msg_…", "resp_…", "cmpl-…"):
        assert f"1 x {kind}" in warned()


def test_a_text_with_foreign_ids_only_is_an_error():
    with pytest.raises(
        IdSourceError, match=r"2 x chatcmpl-….*The generation id is the `id` of the OpenRouter response"
    ):
        read_ids("first chatcmpl-B9MHDbslfkBeAs8l4b\nsecond chatcmpl-B9MHDbslfkBeAs8l4c\n")


@pytest.mark.parametrize("layout", ["{key}\n{id}\n", "OPENROUTER_API_KEY={key} and\nid {id}\n"])
def test_a_key_is_skipped_and_never_shown(layout, warned):
    key = "sk-or-v1-0123456789abcdef0123456789abcdef"
    assert read_ids(layout.format(key=key, id=A)) == [A]
    assert "1 x sk-… (an API key, not shown" in warned()
    assert "0123456789abcdef" not in warned()


@pytest.mark.parametrize("text", ["", "   ", "\n\n", "# nothing yet\n", "id\n"])
def test_an_empty_source_returns_an_empty_list_and_warns(text, warned):
    assert read_ids(text) == []
    assert len(warned().splitlines()) == 1
    assert ("contains no id" if text.strip() else "is empty") in warned()


def _chunks(data, cuts):
    edges = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    return [data[a:b] for a, b in pairwise(edges)]


_PIECES = st.sampled_from(
    [A, B, LEGACY, ULID, VIDEO, A[:-3], "oxy" + A, A + "x", "\x1b[32m", r"\n", r"\u0022", "gen-", "gen", " ", "\n", "-",
     "_", "chatcmpl-1234567890", "req-12345678", "sk-or-v1-0123456789", "a", "'", "x" * 300, "# ", "é"]
)  # fmt: skip


@given(
    pieces=st.lists(_PIECES, max_size=30), cuts=st.lists(st.integers(0, 10_000), max_size=12), size=st.integers(1, 40)
)
def test_where_a_text_is_cut_into_chunks_does_not_matter(pieces, cuts, size):
    data = "".join(pieces).encode()
    outcomes, readers = [], (search_text, functools.partial(read_text, where="ids.txt"))
    for chunks in ([data], _chunks(data, cuts), [data[i : i + size] for i in range(0, len(data), size)]):
        for read in readers:
            found = IdCollector()
            read(iter(chunks), found)
            outcomes.append((read, list(found.ids), vars(found)))
    for read in readers:
        same = [outcome[1:] for outcome in outcomes if outcome[0] is read]
        assert same[0] == same[1] == same[2]


def test_a_long_blob_without_breaks_hides_nothing():
    chunks = [b"x" * (1 << 19)] * 5 + [b"-" + A.encode(), b" end"]
    found = IdCollector()
    search_text(iter(chunks), found)
    assert list(found.ids) == [A]


def test_the_beginning_of_a_list_is_not_lost_when_it_turns_out_to_be_a_text():
    lines = [f"gen-{1790000000 + i}-AbCdEfGhIjKlMnOpQrSt" for i in range(1000)]
    data = "\n".join([*lines, "and that was all for now"]).encode()
    found = IdCollector()
    read_text(iter([data[i : i + 4096] for i in range(0, len(data), 4096)]), found, where="ids.txt")
    assert list(found.ids) == lines
