"""Which lines two texts have in common, in a time that grows with their length, not with its square."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Hashable, Iterator, Sequence
from difflib import SequenceMatcher
from typing import Final, NamedTuple

#: Passages without a line that is unique in both are compared by difflib up to this product of their lengths.
_MOST_PAIRS: Final = 1_000_000
#: With more pairs of equal lines, difflib takes seconds unless it ignores lines that occur often.
_MOST_EQUAL: Final = 150_000


class Stretch(NamedTuple):
    """Lines that are equal in both texts, or that were replaced: where they begin and end in each."""

    equal: bool
    start: int
    end: int
    other_start: int
    other_end: int


def stretches(lines: Sequence[Hashable], others: Sequence[Hashable]) -> list[Stretch]:
    """Return equal and replaced stretches in order. Together they are both texts.

    Lines that are unique in both texts are matched first (patience diff), then the lines between them.

    >>> [stretch.equal for stretch in stretches("abcd", "abxd")]
    [True, False, True]
    """
    found: list[Stretch] = []
    at, other_at = 0, 0
    for start, other_start, length in (*_matches(lines, others, 0, 0), (len(lines), len(others), 0)):
        if at < start or other_at < other_start:
            found.append(Stretch(False, at, start, other_at, other_start))
        at, other_at = start + length, other_start + length
        if not length:
            continue
        before = found[-1] if found else None
        if before is not None and before.equal:
            found[-1] = before._replace(end=at, other_end=other_at)
        else:
            found.append(Stretch(True, start, at, other_start, other_at))
    return found


def _matches(
    lines: Sequence[Hashable], others: Sequence[Hashable], start: int, other_start: int
) -> Iterator[tuple[int, int, int]]:
    """Yield where equal stretches begin, and how long they are."""
    shortest = min(len(lines), len(others))
    head = next((n for n in range(shortest) if lines[n] != others[n]), shortest)
    tail = next((n for n in range(shortest - head) if lines[-1 - n] != others[-1 - n]), shortest - head)
    if head:
        yield start, other_start, head
    end, other_end = len(lines) - tail, len(others) - tail
    yield from _between(lines[head:end], others[head:other_end], start + head, other_start + head)
    if tail:
        yield start + end, other_start + other_end, tail


def _between(
    lines: Sequence[Hashable], others: Sequence[Hashable], start: int, other_start: int
) -> Iterator[tuple[int, int, int]]:
    if not lines or not others:
        return
    anchors = _anchors(lines, others)
    if anchors:
        at, other_at = 0, 0
        for line, other in (*anchors, (len(lines), len(others))):
            yield from _matches(lines[at:line], others[other_at:other], start + at, other_start + other_at)
            if line < len(lines):
                yield start + line, other_start + other, 1
            at, other_at = line + 1, other + 1
    elif len(lines) * len(others) <= _MOST_PAIRS:
        counts = Counter(others)
        many = sum(counts[line] for line in lines) > _MOST_EQUAL
        for one in SequenceMatcher(None, lines, others, autojunk=many).get_matching_blocks():
            if one.size:
                yield start + one.a, other_start + one.b, one.size


def _anchors(lines: Sequence[Hashable], others: Sequence[Hashable]) -> list[tuple[int, int]]:
    """Return the positions of the longest series of lines in the same order that both texts have exactly once."""
    counts, other_counts = Counter(lines), Counter(others)
    places = {line: place for place, line in enumerate(others) if other_counts[line] == 1}
    unique = [(n, places[line]) for n, line in enumerate(lines) if counts[line] == 1 and line in places]
    ends: list[int] = []  # of the best series of each length: its last place, and which of `unique` that is
    last: list[int] = []
    before: list[int] = []
    for number, (_, place) in enumerate(unique):
        length = bisect_left(ends, place)
        ends[length : length + 1] = [place]
        last[length : length + 1] = [number]
        before.append(last[length - 1] if length else -1)
    series = []
    number = last[-1] if last else -1
    while number >= 0:
        series.append(unique[number])
        number = before[number]
    return series[::-1]
