"""Untrusted text: what each function makes of each kind of dangerous character."""

import re
import unicodedata

import pyarrow as pa
import pytest

from orstats.export.csv_cells import safe_text
from orstats.text.sanitize import (
    display_text,
    html_line,
    html_text,
    terminal_line,
    terminal_text,
    visible_line,
    visible_text,
)


def csv_text(text):
    return safe_text(pa.array([text])).to_pylist()[0]


#: A character in the middle of "a" and "b", and what becomes of it in texts and lines that are shown, on a terminal,
#: and in a CSV.
CHARACTERS = [
    ("\x00", "[U+0000]", "[U+0000]", "", ""),
    ("\x07", "[U+0007]", "[U+0007]", "", ""),
    ("\x0b", "[U+000B]", "[U+000B]", "", ""),
    ("\x7f", "[U+007F]", "[U+007F]", "", ""),
    ("\x85", "[U+0085]", "[U+0085]", "", ""),
    ("\t", "\t", " ", " ", "\t"),
    ("\n", "\n", " ", "\n", "\n"),
    ("\r", "\n", " ", "\n", "\n"),
    ("\r\n", "\n", " ", "\n", "\n"),
    ("\u2028", "[U+2028]", "[U+2028]", "", "\u2028"),
    ("\u202e", "[U+202E]", "[U+202E]", "", "\u202e"),
    ("\u2066", "[U+2066]", "[U+2066]", "", "\u2066"),
    ("\xad", "\xad", "[U+00AD]", "", "\xad"),
    ("\u200b", "[U+200B]", "[U+200B]", "", "\u200b"),
    ("\u200f", "\u200f", "[U+200F]", "", "\u200f"),
    ("\u2060", "[U+2060]", "[U+2060]", "", "\u2060"),
    ("\ufeff", "[U+FEFF]", "[U+FEFF]", "", "\ufeff"),
    ("\u200d", "\u200d", "\u200d", "\u200d", "\u200d"),
    ("\u200c", "\u200c", "\u200c", "\u200c", "\u200c"),
    ("é", "é", "é", "é", "é"),
    ("\ud83d\ude00", "😀", "😀", "😀", None),
    ("\ud83d", "�", "�", "�", None),
]


@pytest.mark.parametrize(("character", "text", "line", "terminal", "csv"), CHARACTERS)
def test_one_definition_of_dangerous_characters(character, text, line, terminal, csv):
    value = f"a{character}b"
    assert visible_text(value) == html_text(value) == f"a{text}b"
    assert visible_line(value) == html_line(value) == f"a{line}b"
    assert terminal_text(value) == f"a{terminal}b"
    assert terminal_line(value) == f"a{' ' if terminal.isspace() else terminal}b"
    if csv is not None:
        assert csv_text(value) == f"a{csv}b"
    breaks = character in "\r\n\u2028"
    assert display_text(value) == f"a{'↵' if breaks else line}b"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b]0;title\x07after", "after"),
        ("\x1b]8;;http://evil.example\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x9b2Jx", "x"),
        ("\x1bPq\x1b\\x", "x"),
        ("\x1bcx", "x"),
        ("\x1b\x1b[31m[31mx", "[31mx"),
        ("\x1b", ""),
    ],
)
def test_terminal_sequences_are_removed_completely(text, shown):
    assert terminal_text(text) == shown


@pytest.mark.parametrize("function", [html_text, html_line])
def test_html_is_escaped(function):
    assert function('<b title="x">\'&') == "&lt;b title=&quot;x&quot;&gt;&#x27;&amp;"


@pytest.mark.parametrize("function", [visible_text, visible_line, display_text, terminal_text, terminal_line])
def test_plain_text_is_not_escaped(function):
    assert function("<b>&") == "<b>&"


@pytest.mark.parametrize("function", [visible_line, display_text, terminal_line])
def test_lines_are_cut_to_their_width(function):
    assert len(function("x" * 1000, 20)) == 20
    assert "…" in function("x" * 1000, 20)
    assert function("x" * 20, 20) == "x" * 20


@pytest.mark.parametrize(
    ("value", "shown"),
    [(None, "(none)"), (float("nan"), "(none)"), ("", "(empty)"), ("\t ", "(empty)"), ("nan", "nan"), (0, "0")],
)
def test_display_text_names_missing_and_empty_values(value, shown):
    assert display_text(value) == shown


def test_the_end_of_a_long_name_stays_visible():
    assert re.fullmatch("vendor/x+…x+-preview", display_text(f"vendor/{'x' * 500}-preview", 40))


def test_invisible_characters_are_all_format_characters_that_show_as_nothing():
    visible = {*range(0x600, 0x606), 0x6DD, 0x70F, 0x890, 0x891, 0x8E2, 0x110BD, 0x110CD, *range(0x13430, 0x13440)}
    needed = {0xAD, 0x200C, 0x200D, 0x200E, 0x200F, 0x61C}
    formats = {n for n in range(0x110000) if unicodedata.category(chr(n)) == "Cf"} - visible - needed
    assert formats
    assert {n for n in formats if visible_text(f"a{chr(n)}b") != f"a[U+{n:04X}]b"} == set()
    assert {n for n in formats if visible_line(f"a{chr(n)}b") != f"a[U+{n:04X}]b"} == set()
    assert {n for n in visible | needed if visible_text(f"a{chr(n)}b") != f"a{chr(n)}b"} == set()


def test_joiners_variation_selectors_and_flags_keep_working():
    scotland = "\U0001f3f4\U000e0067\U000e0062\U000e0073\U000e0063\U000e0074\U000e007f"
    for text in (scotland, "👩‍👧", "❤️", "می‌خواهم", "🇩🇪", "葛\U000e0100"):
        assert visible_text(text) == visible_line(text) == text
        assert terminal_line(text) == text


def test_text_hidden_in_tags_and_selectors_is_shown():
    hidden = "".join(chr(0xE0000 + ord(letter)) for letter in "rm -rf")
    assert visible_text(f"hi{hidden}") == "hi" + "".join(f"[U+E00{ord(letter):02X}]" for letter in "rm -rf")
    assert visible_text("a\ufe0f\ufe01\ufe02") == "a\ufe0f[U+FE01][U+FE02]"
    assert "\U000e0072" not in visible_text(f"\U0001f3f4{hidden}")
    assert terminal_line(f"hi{hidden}") == "hi"
