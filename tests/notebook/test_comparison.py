"""The comparison of two generations: words that differ, and the difference of each figure."""

import html
import re

from orstats.content.generation import Generation
from orstats.notebook.html.comparison import difference, figures


def cells(label, first, second):
    row = re.search(f"<tr><th>{label}</th>(.*?)</tr>", figures(first, second))
    return row and [html.unescape(cell) for cell in re.findall("<td>(.*?)</td>", row[1])]


def test_words_that_differ_are_marked_within_signed_lines():
    shown = difference("Prompt", "one\nthe quick brown fox\nend", "one\nthe slow brown fox\nend")
    assert "<del>- the <b>quick </b>brown fox</del>" in shown
    assert "<ins>+ the <b>slow </b>brown fox</ins>" in shown
    assert "  one\n" in shown


def test_texts_with_little_in_common_are_not_marked():
    shown = difference("Prompt", "alpha beta gamma", "delta epsilon zeta")
    assert "<del>- alpha beta gamma</del><ins>+ delta epsilon zeta</ins>" in shown


def test_every_character_of_both_texts_is_kept():
    first, second = "a <b> & c\nd  e,f\n- x", "a <i> & c\n\nd  e;f\n+ x\n"
    shown = difference("Prompt", first, second)
    for tag, sign, text in (("del", "-", first), ("ins", "+", second)):
        lines = re.findall(rf"<{tag}>{re.escape(sign)} (.*?)</{tag}>", shown)
        lines = [html.unescape(re.sub("</?b>", "", line)) for line in lines]
        assert lines == text.split("\n")


def test_long_changed_passages_are_compared_by_lines():
    first, second = (" ".join(f"w{n % step}" for n in range(20_000)) for step in (7, 11))
    assert "<b>" not in difference("Prompt", first, second)


def test_figures_have_differences_with_signs_and_shares():
    first = Generation("a", cost_usd=0.5, tokens_total=1_000, latency=800.0, generation_time=2_000.0)
    second = Generation("b", cost_usd=0.75, tokens_total=400, latency=800.0)
    assert cells("cost", first, second) == ["$0.5", "$0.75", "+$0.25 (+50.0%)"]
    assert cells("tokens, as billed", first, second) == ["1,000", "400", "-600 (-60.0%)"]
    assert cells("latency", first, second) == ["800 ms", "800 ms", "="]
    assert cells("total time", first, second) == ["2.00 s", "-", ""]
    assert cells("prompt tokens", first, second) is None
    assert cells("cost", Generation("a", cost_usd=0.0), second) == ["$0", "$0.75", "+$0.75"]
    assert figures(Generation("a"), Generation("b")) == ""
