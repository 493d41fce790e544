"""The records of two generations side by side, as plain text: the difference of each figure, and other facts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, Literal

from orstats.content.generation import Generation
from orstats.content.record_facts import Section, facts
from orstats.text.format import count, durations, percent_change, tokens_per_second, usd, usd_change, usd_places
from orstats.text.sanitize import visible_line

#: Whether the second generation did worse or better in a figure; empty where more is neither.
Verdict = Literal["worse", "better", ""]
#: Label, both figures, their difference, the difference as a share of the first, and the verdict.
Figure = tuple[str, str, str, str, str, Verdict]

_MISSING: Final = "-"
_WIDTH: Final = 300
#: Sections of facts to compare; ids always differ.
_SECTIONS: Final[tuple[Section, ...]] = ("Generation", "Cost", "Tokens", "Time", "Providers", "Caller")
#: Facts that the figures show, or the heads.
_SHOWN: Final = frozenset({"cost", "price", "tokens", "time", "duration", "speed"})


def _usd(one: float | None, other: float | None) -> list[str]:
    places = usd_places(max(abs(one or 0.0), abs(other or 0.0)))
    change = None if one is None or other is None else usd_change(other - one, places)
    return [*(_MISSING if value is None else usd(value, places) for value in (one, other)), change or ""]


def _count(one: float | None, other: float | None) -> list[str]:
    change = "" if one is None or other is None else f"{other - one:+,.0f}"
    return [*(_MISSING if value is None else count(value) for value in (one, other)), change]


def _duration(one: float | None, other: float | None) -> list[str]:
    difference = None if one is None or other is None else other - one
    texts = durations([one, other, difference], _MISSING)
    return [*texts[:2], "" if difference is None else "+" * (difference > 0) + texts[2]]


def _speed(one: float | None, other: float | None) -> list[str]:
    values = [tokens_per_second(value, _MISSING) for value in (one, other)]
    return [*values, "" if one is None or other is None else f"{other - one:+,.1f}"]


#: Columns of which nothing is said where both are 0.
_OPTIONAL: Final = frozenset({"native_tokens_cached", "native_tokens_reasoning", "fallback_ms"})
#: Label, column, how it is written, and whether more of it is worse (1), better (-1), or neither.
_FIGURES: Final[tuple[tuple[str, str, Callable[[Any, Any], list[str]], int], ...]] = (
    ("cost", "cost_usd", _usd, 1),
    ("cost per million tokens", "usd_per_mtok", _usd, 1),
    ("tokens, as billed", "tokens_total", _count, 0),
    ("prompt tokens", "native_tokens_prompt", _count, 0),
    ("cached prompt tokens", "native_tokens_cached", _count, 0),
    ("completion tokens", "native_tokens_completion", _count, 0),
    ("reasoning tokens", "native_tokens_reasoning", _count, 0),
    ("latency", "latency", _duration, 1),
    ("total time", "generation_time", _duration, 1),
    ("failed attempts", "fallback_ms", _duration, 1),
    ("tokens per second", "throughput_tok_s", _speed, -1),
    ("tokens per second after the first", "decode_tok_s", _speed, -1),
)


def compared_figures(first: Generation, second: Generation) -> list[Figure]:
    """Return the figures that at least one of them has. Both figures of a row are in one unit."""
    return list(_figures(first, second))


def _figures(first: Generation, second: Generation) -> Iterator[Figure]:
    for label, column, written, direction in _FIGURES:
        one, other = getattr(first, column), getattr(second, column)
        if (one is None and other is None) or (column in _OPTIONAL and not one and not other):
            continue
        left, right, change = written(one, other)
        share, verdict = "", ""
        if one == other:
            change = "="
        elif one is not None and other is not None:
            share = percent_change((other - one) / one) if one else ""
            verdict = "" if not direction else "worse" if (other > one) == (direction > 0) else "better"
        yield label, left, right, change, share, verdict  # type: ignore[misc]  # mypy widens the literals


def compared_facts(first: Generation, second: Generation) -> tuple[list[Sequence[str]], list[Sequence[str]]]:
    """Return label and both texts of facts that differ, and of those that do not."""
    left, right = facts(first), facts(second)
    differing: list[Sequence[str]] = []
    equal: list[Sequence[str]] = []
    for section in _SECTIONS:
        one, other = left.get(section, {}), right.get(section, {})
        for label in one | other:
            if label not in _SHOWN:
                texts = [visible_line(found.get(label, _MISSING), _WIDTH) for found in (one, other)]
                (equal if texts[0] == texts[1] else differing).append([visible_line(label), *texts])
    return differing, equal
