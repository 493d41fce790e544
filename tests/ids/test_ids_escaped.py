"""Ids behind escapes, in other encodings, and inside base64, hexadecimal and byte arrays."""

import base64
import io
import itertools
import quopri

import pytest

from orstats.ids.collector import IdCollector
from orstats.ids.encoded import RareForms
from orstats.ids.read import read_ids
from orstats.ids.text import search_text

pytestmark = pytest.mark.filterwarnings("ignore::orstats.errors.IdSourceWarning")

A = "gen-1790000000-AbCdEfGhIjKlMnOpQrSt"
B = "gen-1790000001-0123456789abcdefghij"
VIDEO = "gen-vid-1790000000-AbCdEfGhIjKlMnOpQrSt"
LEGACY = "gen-3bhGkxlo4XFrqiabUM7NDtwDzWwG"
ULID = "gen_01KVX7JN0Z0123456789ABCDEF"

BEFORE = [
    r"\x22", r"\u0022", r"\u{22}", r"\U00000022", r"\042", r"\0", r"\n", r"\\n", r"\t", r"\"", "#011", "#033[32m",
    "%22", "%3D", "%2522", "%25252F", "%u0022", "=3D", "=22", "&quot;", "&#34;", "\x1b[32m", "[32m", r"\033[32m",
    r"\u001b[1m", "^[[32m", "^I", "\x1b(B", "_", "_x000D_", "u0022", "x22",
]  # fmt: skip
AFTER = [r"\x22", r"\u0022", r"\n", r"\\n", "%22", "&quot;", "=22", "u0022", "#011", "^M", "\x1b[0m", "=\nnext", "é"]
HYPHENS = [
    r"\x2d", r"\u002D", "%2D", "%252D", "=2D", "&#45;", "&#x2d;", "\u2010", "\u2011", "\u2013", "\u2212", "\u00ad",
    "-\u200b", "-<wbr>", "&#x2011;", "&#xAD;", r"\-", r"\_", "{-}", "</em>-<em>", "\x1b[m\x1b[K-", "-\x1b[01;31m",
]  # fmt: skip


@pytest.mark.parametrize("id_", [A, VIDEO, LEGACY, ULID])
@pytest.mark.parametrize("before", BEFORE)
def test_ids_are_found_between_any_escapes(before, id_):
    for after in AFTER:
        assert read_ids(f"two words {before}{id_}{after} more\n") == [id_], after


@pytest.mark.parametrize("before", ["id", "oxy", "9", "x" * 50, A])
def test_the_modern_shape_is_found_whatever_is_next_to_it(before):
    assert read_ids(f"two words {before}{B}\n")[-1] == B


@pytest.mark.parametrize("hyphen", HYPHENS)
@pytest.mark.parametrize("id_", [A, VIDEO])
def test_escaped_and_typographic_hyphens_are_understood(hyphen, id_):
    assert read_ids(f"two words {id_.replace('-', hyphen)} more\n") == [id_]


@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
@pytest.mark.parametrize("id_", [A, LEGACY])
def test_soft_line_breaks_of_mail_do_not_hide_ids(id_, line_end):
    for indent in range(76):
        text = quopri.encodestring(b"y" * indent + b' id="%s" and more words' % id_.encode()).decode()
        assert read_ids("Subject: x\n" + text.replace("\n", line_end)) == [id_], indent


@pytest.mark.parametrize("id_", [A, VIDEO, LEGACY, ULID])
def test_ids_are_found_in_base64_of_any_alignment(id_):
    for indent, encode in itertools.product(range(3), (base64.b64encode, base64.urlsafe_b64encode)):
        for payload in (b" " * indent + id_.encode(), b'{"id":"' + b" " * indent + id_.encode() + b'"}'):
            encoded = encode(payload).decode()
            for text in (encoded, encoded.rstrip("=")):
                assert read_ids(f'{{"text": "{text}", "n": 1}}\n') == [id_]


def test_ids_are_found_in_wrapped_base64():
    for indent in range(60):
        encoded = base64.encodebytes(b"x" * indent + b" " + A.encode() + b" and more words" * 9).decode()
        assert read_ids("Content-Transfer-Encoding: base64\n\n" + encoded) == [A], indent


@pytest.mark.parametrize("separator", [",", ", ", ",\n\t\t", " "])
def test_ids_are_found_in_byte_arrays(separator):
    numbers = separator.join(map(str, f"id={A} done é".encode()))
    assert read_ids(f'{{"MESSAGE":[{numbers}]}}\n') == [A]


def test_ids_are_found_in_hexadecimal():
    assert read_ids(f"data \\x{A.encode().hex()}20 more\nand {B.encode().hex().upper()}\n") == [A, B]


@pytest.mark.parametrize("separator", ["\n", '","'])
@pytest.mark.parametrize(
    "encode", [lambda text: base64.b64encode(text).decode(), bytes.hex, lambda text: str(list(text))]
)
def test_encoded_ids_may_be_close_to_each_other(encode, separator):
    ids = [A, B, VIDEO, LEGACY, ULID]
    for indent in range(3):
        assert read_ids(f"data: {encode((' ' * indent + separator.join(ids)).encode())}\n") == ids


def test_response_ids_of_litellm_contain_the_generation_id():
    wrapped = base64.b64encode(f"litellm:custom_llm_provider:openrouter;model_id:a;response_id:{A}".encode()).decode()
    assert read_ids(f"INFO response id=resp_{wrapped}\n") == read_ids([f"resp_{wrapped}"]) == [A]


def test_rare_forms_are_found_in_large_logs():
    noise = b"2026-11-23 INFO 10.0.0.1 nothing to see here, only urgent generic words = 103, 101\n" * 3000
    forms = [
        base64.b64encode(f"x {A} y".encode()),
        B.replace("-", "\\u002D").encode(),
        f"res=\nponse {VIDEO[:20]}=\n{VIDEO[20:]}".encode(),
        LEGACY.encode().hex().encode(),
        " ".join(map(str, ULID.encode())).encode(),
        b"chatcmpl-B9MHDbslfkBeAs8l4b",
    ]
    found = IdCollector()
    search_text((b"%s\n%s\n" % (noise, form) for form in [*forms, b"", *forms]), found)
    assert set(found.ids) == {A, B, VIDEO, LEGACY, ULID}
    assert found.foreign


def test_a_form_that_was_found_is_searched_for_in_the_rest_of_the_text():
    rare, found = RareForms(), IdCollector()
    large = b"nothing here\n" * 6000
    for text in (b"", base64.b64encode(A.encode()) + b"\n", base64.b64encode(B.encode()) + b"\n"):
        rare.search(large + text, 0, len(large + text), found)
    assert list(found.ids) == [A, B]


def test_rsyslog_tabs_are_not_comments_of_a_list():
    assert read_ids(f"done#011{A}#011ok\nstarted\n") == [A]


IDS = [f"gen-17900000{number:02d}-AbCdEfGhIjKlMnOpQr{number:02d}" for number in range(4)]
ENCODINGS = {
    "utf-8": b"",
    "latin-1": b"",
    "utf-8-sig": b"",
    "utf-16-le": b"\xff\xfe",
    "utf-16-be": b"\xfe\xff",
    "utf-32-le": b"\xff\xfe\0\0",
    "utf-32-be": b"\0\0\xfe\xff",
}


@pytest.mark.parametrize("line", ["id={} tokens=12 done\r\n", "é {} à la fin\n"])
@pytest.mark.parametrize("cut", [0, 1], ids=["whole", "cut in the middle of a character"])
def test_encodings_may_change_within_a_file(line, cut):
    texts = [line.format(IDS[0]) + line.format(IDS[1]) + "ok\n", line.format(IDS[2]) + line.format(IDS[3])]
    for first, second in itertools.product(ENCODINGS, repeat=2):
        for marks in itertools.product((0, 1), repeat=2):
            data = texts[0].encode(first)
            data = ENCODINGS[first] * marks[0] + data[: len(data) - cut]
            data += ENCODINGS[second] * marks[1] + texts[1].encode(second)
            assert read_ids(io.BytesIO(data)) == IDS, (first, second, marks)


def test_several_changes_of_encoding_at_odd_offsets():
    data = b"".join(
        f"id={id_} ok\n".encode(("utf-16", "ascii", "utf-16-be")[n % 3]) + b"x" for n, id_ in enumerate(IDS)
    )
    assert read_ids(io.BytesIO(data)) == IDS


def test_utf16_with_chinese_text_around_ids():
    text = f"来{A}来\n完成 {B}\n上下文没有任何问题\n" * 50
    assert read_ids(io.BytesIO(text.encode("utf-16"))) == [A, B]


def test_a_list_with_a_byte_order_mark_before_each_id():
    assert read_ids(io.BytesIO(f"\ufeff{A}\n\ufeffcustom-1\n".encode())) == [A, "custom-1"]


def test_nul_separated_ids_stay_separate():
    assert read_ids(io.BytesIO(f"{A}\0{B}\0{LEGACY}\0".encode())) == [A, B, LEGACY]
