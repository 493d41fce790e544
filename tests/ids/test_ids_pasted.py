import numpy as np
import pytest

from orstats.errors import ConfigError
from orstats.fetching.arguments import invalid_id_reason
from orstats.fetching.normalize_ids import normalize_ids
from orstats.ids.read import read_ids

A = "gen-1790000000-AbCdEfGhIjKlMnOpQrSt"
B = "gen-1790000001-0123456789abcdefghij"
LINK = "https://openrouter.ai/logs?transaction="

PASTED = [
    "\u200b{}", "{}\ufeff", "\u00a0{}\u202f", "\u2066{}\u2069", '"{}"', "'{}'", "\u201c{}\u201d", "\u2018{}\u2019",
    "\u00ab{}\u00bb", '="{}"', "'{}", "{},", "{};", "{}.", '"{}",', "`{}`", "```{}```", "**{}**",
    "<{}>", "({})",
    "- {}", "\t{}\r\n", LINK + "{}", LINK + "{}&tab=raw", "[{0}](" + LINK + "{0})", "<" + LINK + "{}>",
    "https://openrouter.ai/api/v1/generation?id={}", "https%3A%2F%2Fopenrouter.ai%2Flogs%3Ftransaction%3D{}",
    "openrouter.ai/logs?transaction={}",
]  # fmt: skip


@pytest.mark.filterwarnings("ignore::orstats.errors.IdSourceWarning")
@pytest.mark.parametrize("read", [read_ids, normalize_ids])
@pytest.mark.parametrize("pasted", PASTED)
def test_pasted_ids_are_cleaned(pasted, read):
    assert read([pasted.format(A), B]) == [A, B]


@pytest.mark.parametrize("hyphen", "\u2010\u2011\u2012\u2013\u2014\u2212\uff0d")
@pytest.mark.parametrize("read", [read_ids, normalize_ids])
def test_typographic_hyphens_are_replaced(hyphen, read):
    assert read([A.replace("-", hyphen), B]) == [A, B]


@pytest.mark.parametrize("text", ["custom-1", "gen-next-years-shape", "a:b@c", "x~1"])
def test_ids_of_unknown_shapes_stay_as_they_are(text, caplog):
    assert normalize_ids([text]) == read_ids([text]) == [text]
    unlike = f"1 of 1 ids do not look like generation ids, and are requested all the same (first: {text!r})"
    assert (unlike in caplog.text) == (not text.startswith("gen-"))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (f"{A} {B}", "several ids"),
        (f"{A},{B}", "several ids"),
        (f"{A}\n{B}", "several ids"),
        (f"{A} and more", "spaces"),
        (f"id={A}", "more than an id"),
        (f"{A}.json", "more than an id"),
        (f"{A}:0", "more than an id"),
        (f"{LINK}{A},{B}", "several ids"),
        ("https://example.org/", "a URL"),
        ("ids.txt", "the name of a file"),
        ("logs/app.log.zst", "the name of a file"),
    ],
)
def test_text_with_more_than_an_id_is_explained(text, reason):
    assert reason in invalid_id_reason(normalize_ids([text, B])[0])


@pytest.mark.parametrize("joint", [",", ", ", "; ", " ", "\n", "\t,"])
def test_one_text_of_several_ids_is_split(joint):
    assert normalize_ids(f"{A}{joint}{B}") == [A, B]
    assert "several ids" in invalid_id_reason(normalize_ids([f"{A}{joint}{B}"])[0])


def test_words_for_a_missing_value_are_skipped(caplog):
    assert normalize_ids(["None", A, "nan", None, "NULL", r"\N", "N/A", float("nan"), "(null)", {"id": None}, B]) == [
        A,
        B,
    ]
    assert "9 missing values" in caplog.text


def test_thousands_of_ids_with_one_that_needs_cleaning():
    ids = [f"gen-{1790000000 + n}-AbCdEfGhIjKlMnOpQrSt" for n in range(5000)]
    assert normalize_ids([*ids[:4000], f" {ids[4000]},", *ids[4001:], ids[0]]) == ids
    assert normalize_ids([f"{one}\n" for one in ids]) == ids


def test_ids_of_a_numpy_array_are_plain_texts():
    assert list(map(type, normalize_ids(np.array([A, B])))) == [str, str]


def test_a_key_among_ids_is_refused_and_not_shown():
    with pytest.raises(ConfigError, match="contain an API key") as caught:
        normalize_ids([A, "SK-or-v1-0123456789abcdef"])
    assert "0123456789abcdef" not in str(caught.value)
