import pytest

from orstats.ids.id_shapes import id_created_at, invalid_id_kind, is_generation_id, redact

MODERN = "gen-1790000000-AbCdEfGhIjKlMnOpQrSt"
VIDEO = "gen-vid-1790000000-AbCdEfGhIjKlMnOpQrSt"
LEGACY = "gen-3bhGkxlo4XFrqiabUM7NDtwDzWwG"
ULID = "gen_01KVX7JN0Z0123456789ABCDEF"
KEY = "sk-or-v1-0123456789abcdef0123456789abcdef"


@pytest.mark.parametrize("text", [MODERN, VIDEO, LEGACY, ULID, ULID.replace("KVX", "kvx")])
def test_known_shapes(text):
    assert is_generation_id(text)
    assert invalid_id_kind(text) is None


@pytest.mark.parametrize(
    "text",
    ["", MODERN[:-1], MODERN + "x", LEGACY[:-1], "gen_81KVX7JN0Z0123456789ABCDEF", "gen_01KVX7JN0ZI123456789ABCDEF"],
)
def test_other_shapes_are_unknown(text):
    assert not is_generation_id(text)


@pytest.mark.parametrize("text", ["gen-next-year's-shape", "whatever-1", "0199a7c2-7a11-7000-8000-0123456789ab"])
def test_an_unknown_shape_is_not_refused(text):
    assert invalid_id_kind(text) is None


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("chatcmpl-B9MHDbslfkBeAs8l4bebGdFOJ6PeG", "chatcmpl-…"),
        ("cmpl-B9MHDbslfkBeAs8l", "cmpl-…"),
        ("req-1790000000-abc", "req-…"),
        ("req_011CS", "req_…"),
        ("resp_67ccd2bed1ec8190", "resp_…"),
        ("msg_01XFDUDYJgAACzvnptvVoYEL", "msg_…"),
        ("https://openrouter.ai/logs?transaction=" + MODERN, "a URL"),
        ("total of all", "spaces"),
        ("  ", "empty"),
    ],
)
def test_other_kinds_are_named(text, word):
    assert word in invalid_id_kind(text)


@pytest.mark.parametrize("text", [KEY, "sk-ant-api03-abcdefgh", f"Bearer {KEY}", f"gen-{KEY}", KEY.upper()])
def test_a_key_is_named_and_never_repeated(text):
    kind = invalid_id_kind(text)
    assert "API key" in kind
    assert "0123" not in kind
    assert "api03" not in kind
    assert "0123" not in redact(text)


def test_a_word_that_ends_in_sk_is_not_a_key():
    assert invalid_id_kind("task-0123456789abcdef") is None


def test_time_in_the_id():
    assert id_created_at(MODERN) == 1_790_000_000.0
    assert id_created_at(VIDEO) == 1_790_000_000.0
    # 01KVX7JN0Z is 1782318715.935 s: the digits of a ULID are base 32, most significant first.
    assert id_created_at(ULID) == 1782318715.935
    assert id_created_at(ULID.lower()) == 1782318715.935


def test_time_is_read_from_ids_of_an_unknown_length():
    assert id_created_at("gen-1790000000-short") == 1_790_000_000.0


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("gen-1790000000123-AbCdEfGhIjKlMnOpQrSt", 1_790_000_000.123),
        ("gen-vid-1790000000123456-AbCd", 1_790_000_000.123456),
        ("gen-Image2-1790000000-AbCdEfGhIjKlMnOpQrSt", 1_790_000_000.0),
    ],
)
def test_time_is_read_in_any_unit_and_behind_any_kind_of_job(text, seconds):
    assert id_created_at(text) == seconds


@pytest.mark.parametrize(
    "text",
    [
        LEGACY,
        "gen-1600000000-AbCdEfGhIjKlMnOpQrSt",  # 2020
        "gen-9999999999-AbCdEfGhIjKlMnOpQrSt",  # 2286
        "gen_00000000000123456789ABCDEF",  # 1970
        "gen-1790000000",
        "chatcmpl-1790000000-AbCdEfGhIjKlMnOpQrSt",
        "gen_01\N{KELVIN SIGN}VX7JN0Z0123456789ABCDEF",
        "",
    ],
)
def test_no_time(text):
    assert id_created_at(text) is None


def test_the_years_allowed():
    assert id_created_at("gen-1672531200-AbCdEfGhIjKlMnOpQrSt") == 1672531200  # first second of 2023
    assert id_created_at("gen-1672531199-AbCdEfGhIjKlMnOpQrSt") is None
    assert id_created_at("gen-4133980799-AbCdEfGhIjKlMnOpQrSt") == 4133980799  # last second of 2100
    assert id_created_at("gen-4133980800-AbCdEfGhIjKlMnOpQrSt") is None
