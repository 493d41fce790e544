"""The comparison of two generations: lines and words that differ, and the difference of each figure."""

import json
import random
import threading
from itertools import groupby

import pytest

import orstats
from orstats.content.content import Content
from orstats.content.generation import Generation
from orstats.content.html_card import static_card
from orstats.content.record_facts import facts
from orstats.notebook.compared_records import compared_facts, compared_figures
from orstats.notebook.comparison import Comparison
from orstats.notebook.html.card import head
from orstats.notebook.table_page import status_cell
from orstats.notebook.text_difference import ROWS, TextDifference
from orstats.sim import SimServer

WORDS = ["the", "quick,", "brown", "fox.\n", "ran", "\n", "away;", "<b>", "naïve", "日本"]


def shown_text(difference, side):
    """Return one of both texts, put together from the rows."""
    rows = [(row["numbers"][side], row["pieces"][0 if row["kind"] == "same" else side]) for row in difference.rows()]
    lines = groupby((row for row in rows if row[1] is not None), key=lambda row: row[0])
    return "\n".join("".join(text for _, pieces in parts for text, _ in pieces) for _, parts in lines)


def changed(difference):
    """Return the rows that differ, with marked words in brackets."""
    sides = [row["pieces"] for row in difference.rows() if row["kind"] == "changed"]
    return [
        [one and "".join(f"[{text}]" if differs else text for text, differs in one) for one in both] for both in sides
    ]


def figure(label, first, second):
    return next((list(row[1:]) for row in compared_figures(first, second) if row[0] == label), None)


def test_words_that_differ_are_marked_and_lines_have_their_numbers():
    found = TextDifference("Prompt", "one\nthe quick brown fox\nend", "zero\none\nthe slow brown fox\nend")
    assert changed(found) == [[None, "zero"], ["the [quick] brown fox", "the [slow] brown fox"]]
    assert [row["numbers"] for row in found.rows()] == [[None, 1], (1, 2), [2, 3], (3, 4)]
    assert found.summary == "1 line removed, 2 added"


def test_lines_are_opposite_those_that_they_resemble():
    first = "removed line\nthe quick brown fox jumps\nlast"
    found = TextDifference("Prompt", first, "the quick red fox jumps\nnew words here\nlast")
    assert [[one is not None for one in both] for both in changed(found)] == [
        [True, False],
        [True, True],
        [False, True],
    ]


@pytest.mark.parametrize(
    ("first", "second"), [("alpha beta gamma", "delta epsilon zeta"), ("w1 w2 w3 " * 2_000, "w4 w5 w6 " * 2_000)]
)
def test_texts_with_little_in_common_are_not_marked(first, second):
    pieces = [side for row in TextDifference("", first, second).rows() for side in row["pieces"] if side]
    assert pieces
    assert all(not differs for side in pieces for _, differs in side)


def test_every_character_of_both_texts_is_shown():
    for seed in range(300):
        chance = random.Random(seed)
        first = chance.choices(WORDS, k=chance.randrange(60)) * chance.choice((1, 1, 20))
        second = [word for word in first if chance.random() > 0.1] + chance.choices(WORDS, k=chance.randrange(3))
        texts = " ".join(first), " ".join(second)
        found = TextDifference("", *texts)
        found.show_more()
        for number in range(200):
            found.unfold(number)
        assert (shown_text(found, 0), shown_text(found, 1)) == texts, seed


def test_unchanged_lines_are_folded_and_unfolded_in_steps():
    lines = [f"line {n}" for n in range(1_000)]
    found = TextDifference("", "\n".join(lines), "\n".join([*lines[:500], "new", *lines[500:]]))
    kinds = [row["kind"] for row in found.rows()]
    assert kinds == ["fold", "same", "same", "same", "changed", "same", "same", "same", "fold"]
    assert found.rows()[0] == {"kind": "fold", "lines": 497, "next": 200, "stretch": 0}
    for left in ([297, 497], [97, 497], [497]):
        found.unfold(0)
        assert [row["lines"] for row in found.rows() if row["kind"] == "fold"] == left
        assert len(changed(found)) == 1


def test_many_differences_are_shown_in_parts():
    found = TextDifference("", "\n".join(f"a{n}" for n in range(5_000)), "\n".join(f"b{n}" for n in range(5_000)))
    assert found.summary == "5,000 lines removed, 5,000 added"
    assert len(found.rows()) == ROWS + 1
    assert found.rows()[-1] == {"kind": "more", "lines": ROWS}
    found.show_more()
    assert len(found.rows()) == 2 * ROWS + 1


@pytest.mark.parametrize("end", ["\n", ". ", " "])
def test_large_texts_are_compared_without_a_limit_and_little_of_them_is_shown(end):
    chance = random.Random(1)
    lines = [" ".join(f"word{chance.randrange(3_000)}" for _ in range(12)) for _ in range(10_000)]
    found = TextDifference("", end.join(lines), end.join([*lines[:9_990], "inserted", *lines[9_990:]]))
    assert any("inserted" in text for row in found.rows() for p in row.get("pieces", ()) if p for text, _ in p)
    assert len(json.dumps(found.rows())) < 100_000


def test_lines_that_occur_often_are_matched_too():
    rows = [str(n) for n in random.Random(1).choices(range(40), k=700)]
    found = TextDifference("", "\n".join(rows), "\n".join([*rows[1:350], "new", *rows[350:], "last"]))
    assert found.summary == "1 line removed, 2 added"


@pytest.mark.parametrize(
    ("first", "second", "summary"),
    [("a\nb", "a\nb", "identical"), ("", "", "both are empty"), ("a\nb", "a\r\nb", "only the line ends differ")],
)
def test_texts_without_a_difference(first, second, summary):
    found = TextDifference("", first, second)
    assert found.summary == summary
    assert changed(found) == []


def test_figures_have_differences_with_signs_and_shares():
    first = Generation("a", cost_usd=0.5, tokens_total=1_000, latency=800.0, generation_time=2_000.0)
    second = Generation("b", cost_usd=0.75, tokens_total=400, latency=800.0, throughput_tok_s=20.0)
    assert figure("cost", first, second) == ["$0.500000", "$0.750000", "+$0.250000", "+50.0%", "worse"]
    assert figure("tokens, as billed", first, second) == ["1,000", "400", "-600", "-60.0%", ""]
    assert figure("latency", first, second) == ["800 ms", "800 ms", "=", "", ""]
    assert figure("total time", first, second) == ["2.000 s", "-", "", "", ""]
    assert figure("tokens per second", first, second) == ["-", "20.0", "", "", ""]
    assert figure("prompt tokens", first, second) is None
    free, cached = (Generation(name, cost_usd=0.0, native_tokens_cached=0) for name in "de")
    assert figure("cost", free, cached) == ["$0", "$0", "=", "", ""]
    assert figure("cached prompt tokens", free, cached) is None
    assert figure("cost", Generation("a", cost_usd=0.0), second) == ["$0", "$0.750000", "+$0.750000", "", "worse"]
    slow = Generation("c", generation_time=62_000.0, throughput_tok_s=5.0)
    assert figure("total time", first, slow) == ["2.000 s", "62.000 s", "+60.000 s", "+3,000.0%", "worse"]
    assert figure("tokens per second", slow, second) == ["5.0", "20.0", "+15.0", "+300.0%", "better"]
    assert compared_figures(Generation("a"), Generation("b")) == []


def test_a_fallback_is_shown_alike_everywhere():
    one = Generation("gen-1", model="m/x", finish_reason="stop", fallbacks=1)
    states = []
    Comparison(one, Generation("gen-2", finish_reason="stop"), states.append, lambda: None)
    assert [shown["status"] for shown in states[-1]["heads"]] == ["ok, 1 fallback", "ok"]
    assert facts(one)["Generation"]["status"] == "ok, 1 fallback · finish_reason stop"
    assert ">ok, 1 fallback<" in head(one)
    assert "ok, 1 fallback" in static_card(one)
    assert status_cell(vars(one)) == ("1 fallback", "ok, 1 fallback", "unusual")


def test_facts_that_differ_are_apart_from_those_that_do_not():
    first, second = (Generation(name, model="m/x", provider_name=name) for name in "ab")
    differing, equal = compared_facts(first, second)
    assert ["provider", "served by a", "served by b"] in differing
    assert ["model", "m/x", "m/x"] in equal


def compare(monkeypatch, *wires):
    """Return what is shown of two contents, each as the API sends it."""
    contents = {f"gen-{n}": Content.from_wire(f"gen-{n}", wire) for n, wire in enumerate(wires)}
    monkeypatch.setattr(Generation, "content", lambda generation: contents[generation.id])
    states = []
    Comparison(*map(Generation, contents), states.append, lambda: None).load_contents()
    return states[-1]


@pytest.mark.parametrize(
    "part",
    [
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,{}"}},
        {"type": "input_audio", "input_audio": {"format": "wav", "data": "{}"}},
        {"type": "file", "file": {"filename": "a.pdf", "file_data": "{}"}},
        {"type": "hologram", "depth": "{}"},
    ],
)
def test_different_media_are_a_difference(part, monkeypatch):
    def wire(data, place):
        one = json.loads(json.dumps(part).replace("{}", data))
        turn = {"role": "user", "content": [{"type": "text", "text": "look"}, *[one] * (place == "input")]}
        output = {"completion": "so", "images": [one] * (place == "output")}
        return {"input": {"messages": [turn]}, "output": output}

    for place in ("input", "output") if part["type"] == "image_url" else ("input",):
        for other, different in (("BBBB", 1), ("AAAA", 0)):
            texts = compare(monkeypatch, wire("AAAA", place), wire(other, place))["texts"]
            assert [text["summary"] for text in texts].count("1 line removed, 1 added") == different


def test_missing_contents_are_explained(monkeypatch):
    states = []
    comparison = Comparison(Generation("a"), Generation("b"), states.append, lambda: None)
    for status, button in (("not logged", ""), ("not yet", "Try again")):
        monkeypatch.setattr(Generation, "content", lambda one, s=status: Content(one.id, s, "Logging was off."))
        comparison._contents.clear()
        comparison.load_contents()
        assert states[-1]["status"]["problems"] == [f"{name}: no content, {status}. Logging was off." for name in "ab"]
        assert states[-1]["status"]["button"] == button


def test_control_characters_are_visible(monkeypatch):
    one, other = ({"input": {"prompt": text}, "output": {"completion": "x"}} for text in ("a\u202eb\x00", "a\u202ec"))
    shown = json.dumps(compare(monkeypatch, one, other), ensure_ascii=False)
    assert "a[U+202E]" in shown
    assert "\u202e" not in shown


def test_retries_are_reported_and_can_be_cancelled(monkeypatch):
    """The second content is never requested after a click on Cancel."""
    with SimServer(60, seed=3) as sim:
        stored = [one for one in sim.ids if sim.content_reason(one) == "stored"][:2]
        generations = [orstats.get(one, client=sim.client(), archive=False) for one in stored]
    requested, states = [], []

    def slowly(generation):
        requested.append(generation.id)
        comparison.receive("cancel")
        return Content(generation.id, "stored", "")

    monkeypatch.setattr(Generation, "content", slowly)
    comparison = Comparison(*generations, states.append, lambda: None)
    comparison.receive("load")
    for thread in [one for one in threading.enumerate() if one.name == "orstats-content"]:
        thread.join()
    assert requested == stored[:1]
    assert any(state["status"].get("waiting") for state in states)
    assert states[-1]["status"] == {"note": "Cancelled.", "button": "Try again", "problems": []}
    assert states[-1]["texts"] == []
