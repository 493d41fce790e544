"""The difference between two texts as rows of plain text: equal, removed and added lines with the words that differ."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from difflib import SequenceMatcher
from itertools import islice, zip_longest
from typing import Any, Final, NamedTuple

from orstats.notebook.line_matches import Stretch, stretches
from orstats.text.format import plural
from orstats.text.sanitize import visible_text

#: Rows that are sent at first, and by each click on *Show more*.
ROWS: Final = 300
#: Unchanged lines that are shown around a change; a click on a fold shows so many more.
_CONTEXT: Final = 3
_UNFOLDED: Final = 200
#: Longer lines are divided at the ends of sentences, or else here.
_LONGEST: Final = 1_000
#: Words of a changed passage up to which it is compared as one; longer ones are compared line by line.
_MAX_WORDS: Final = 800
#: Passages that have less in common are shown without marks: all of them would be marked.
_ALIKE: Final = 0.3
_WORD: Final = re.compile(r"\w+[^\S\n]*|[^\w\n]|\n")
_SENTENCE_END: Final = re.compile(r"(?<=[.!?;}\]])[^\S\n]+|(?<=,)(?=[\"{\[])")

#: Pieces of a line, and whether each differs.
Pieces = list[tuple[str, bool]]


class Line(NamedTuple):
    """A line, or a part of a long one."""

    text: str
    #: Whether the same line began in the part before.
    continues: bool = False


class TextDifference:
    """How the second of two texts differs from the first.

    Its rows are dictionaries for the browser: ``kind`` is ``same``, ``changed``, ``fold`` or ``more``; ``numbers`` are
    those of the lines, or None; ``pieces`` are the texts of both sides, or None where no line resembles the other one.
    """

    def __init__(self, title: str, first: str, second: str) -> None:
        self.title = title
        one, other = _unix(first), _unix(second)
        self._lines, self._others = _divided(one), _divided(other)
        self._numbers, self._other_numbers = _numbered(self._lines), _numbered(self._others)
        self._stretches = stretches(self._lines, self._others)
        self._unchanged = "both are empty" if not one and not other else "identical"
        if first != second:
            self._unchanged = "only the line ends differ"
        self._opened: dict[int, int] = {}
        self._most = ROWS

    def unfold(self, number: int) -> None:
        """Show more of the unchanged lines of a stretch."""
        self._opened[number] = self._opened.get(number, 0) + _UNFOLDED
        self._most += _UNFOLDED  # the differences after them stay in view

    def show_more(self) -> None:
        """Show more rows."""
        self._most += ROWS

    @property
    def summary(self) -> str:
        """How many lines were removed and added."""
        changed = [one for one in self._stretches if not one.equal]
        if not changed:
            return self._unchanged
        removed = len({self._numbers[n] for one in changed for n in range(one.start, one.end)})
        added = len({self._other_numbers[n] for one in changed for n in range(one.other_start, one.other_end)})
        return f"{plural(removed, 'line')} removed, {added:,} added"

    def rows(self) -> list[dict[str, Any]]:
        """Return the rows to show, the last of which says whether there are more."""
        shown = list(islice(self._rows(), self._most + 1))
        return shown if len(shown) <= self._most else [*shown[:-1], {"kind": "more", "lines": self._most}]

    def _rows(self) -> Iterator[dict[str, Any]]:
        for number, stretch in enumerate(self._stretches):
            if stretch.equal:
                yield from self._equal(number, stretch)
            else:
                yield from self._changed(stretch)

    def _equal(self, number: int, stretch: Stretch) -> Iterator[dict[str, Any]]:
        length = stretch.end - stretch.start
        head = (_CONTEXT if number else 0) + self._opened.get(number, 0)
        tail = _CONTEXT if number + 1 < len(self._stretches) else 0
        folded = length - head - tail
        if folded <= 1:  # the fold would take as much room
            head, folded = length, 0
        for n in range(length):
            if n < head or n >= head + folded:
                numbers = self._numbers[stretch.start + n], self._other_numbers[stretch.other_start + n]
                pieces = [(visible_text(self._lines[stretch.start + n].text), False)]
                yield {"kind": "same", "numbers": numbers, "pieces": [pieces, None]}
            elif n == head:
                yield {"kind": "fold", "lines": folded, "next": min(folded, _UNFOLDED), "stretch": number}

    def _changed(self, stretch: Stretch) -> Iterator[dict[str, Any]]:
        lines, others = (
            [line.text for line in self._lines[stretch.start : stretch.end]],
            [line.text for line in self._others[stretch.other_start : stretch.other_end]],
        )
        numbers = iter(self._numbers[stretch.start : stretch.end])
        other_numbers = iter(self._other_numbers[stretch.other_start : stretch.other_end])
        for pieces, other_pieces in _sides(lines, others):
            yield {
                "kind": "changed",
                "numbers": [
                    None if pieces is None else next(numbers),
                    None if other_pieces is None else next(other_numbers),
                ],
                "pieces": [_visible(pieces), _visible(other_pieces)],
            }


def _sides(lines: Sequence[str], others: Sequence[str]) -> Iterable[tuple[Pieces | None, Pieces | None]]:
    """Return lines next to those that they resemble, with the words that differ marked; the others by themselves."""
    if lines and others and sum(map(len, lines)) + sum(map(len, others)) <= _MAX_WORDS * 10:
        words, other_words = (_WORD.findall("\n".join(side)) for side in (lines, others))
        if max(len(words), len(other_words)) <= _MAX_WORDS and (marked := _marked(words, other_words)):
            return _paired(*marked)
    return _line_by_line(lines, others)


def _line_by_line(lines: Sequence[str], others: Sequence[str]) -> Iterator[tuple[Pieces | None, Pieces | None]]:
    for line, other in zip_longest(lines, others):
        marked = _marked(_WORD.findall(line), _WORD.findall(other)) if line and other else None
        if marked:
            yield marked[0][0], marked[1][0]
            continue
        if line is not None:
            yield [(line, False)], None
        if other is not None:
            yield None, [(other, False)]


def _marked(
    words: Sequence[str], others: Sequence[str]
) -> tuple[list[Pieces], list[Pieces], dict[tuple[int, int], int]] | None:
    """Return the lines of both, and how many characters each pair has in common; None if they have little."""
    matcher = SequenceMatcher(None, words, others, autojunk=False)
    if matcher.quick_ratio() < _ALIKE or matcher.ratio() < _ALIKE:
        return None
    sides: tuple[list[Pieces], list[Pieces]] = ([[]], [[]])
    common: dict[tuple[int, int], int] = {}

    def add(side: int, text: str, *, differs: bool) -> None:
        for n, line in enumerate(text.split("\n")):
            if n:
                sides[side].append([])
            if line:
                sides[side][-1].append((line, differs))

    for kind, start, end, other_start, other_end in matcher.get_opcodes():
        if kind != "equal":
            add(0, "".join(words[start:end]), differs=True)
            add(1, "".join(others[other_start:other_end]), differs=True)
            continue
        for word in words[start:end]:
            pair = len(sides[0]) - 1, len(sides[1]) - 1
            common[pair] = common.get(pair, 0) + len(word.strip())
            add(0, word, differs=False)
            add(1, word, differs=False)
    return *sides, common


def _paired(
    sides: list[Pieces], others: list[Pieces], common: dict[tuple[int, int], int]
) -> Iterator[tuple[Pieces | None, Pieces | None]]:
    """Put lines that have most in common next to each other, without changing the order of either text."""
    at = 0
    for number, line in enumerate(sides):
        alike = [(common[pair], -pair[1]) for pair in ((number, n) for n in range(at, len(others))) if pair in common]
        size = sum(len(text) for text, _ in line)
        best, place = max(alike, default=(0, 0))
        if not best or best * 4 < size:
            yield line, None
            continue
        for n in range(at, -place):
            yield None, others[n]
        yield line, others[-place]
        at = -place + 1
    for n in range(at, len(others)):
        yield None, others[n]


def _joined(pieces: Pieces) -> Pieces:
    """Join neighbours that are marked alike."""
    made: Pieces = []
    for text, differs in pieces:
        if made and made[-1][1] == differs:
            made[-1] = made[-1][0] + text, differs
        else:
            made.append((text, differs))
    return made


def _visible(pieces: Pieces | None) -> Pieces | None:
    """Return pieces to show. Spaces after a word are not marked with it."""
    if pieces is None:
        return None
    shown: Pieces = []
    for text, differs in _joined(pieces):
        word = text.rstrip() or text
        shown.append((visible_text(word), differs))
        if len(word) < len(text):
            shown.append((visible_text(text[len(word) :]), False))
    return _joined(shown)


def _unix(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _divided(text: str) -> list[Line]:
    """Return the lines; long ones in parts that end where sentences do, so that insertions do not shift all of them."""
    lines: list[Line] = []
    for line in text.split("\n"):
        if len(line) <= _LONGEST:
            lines.append(Line(line))
            continue
        ends = [match.end() for match in _SENTENCE_END.finditer(line)]
        start = 0
        for end in (*ends, len(line)):
            firsts = range(start, end, _LONGEST)
            lines += [Line(line[first : min(first + _LONGEST, end)], continues=first > 0) for first in firsts]
            start = end
    return lines


def _numbered(lines: Sequence[Line]) -> list[int]:
    """Return the number of each line, from 1."""
    numbers: list[int] = []
    number = 0
    for line in lines:
        number += not line.continues
        numbers.append(number)
    return numbers
