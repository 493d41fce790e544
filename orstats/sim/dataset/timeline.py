"""When the account's generations happened, of what kind they are, and which belong to one conversation.

Time is cut into pages of 500 generations. A page is a pure function of (seed, page number): a fixed deck of
kinds is shuffled over it, so that every page shows the full variety, and conversations lie inside one page,
their turns seconds or minutes apart and mixed with other traffic. Only the requested pages are computed.
"""

from __future__ import annotations

import functools
from array import array
from bisect import bisect_right
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import accumulate
from typing import TYPE_CHECKING

from orstats.sim.dataset.random_streams import stream

if TYPE_CHECKING:
    import random
    from collections.abc import Iterator

DAYS = 60
PAGE = 500
SECOND_US = 1_000_000
_HOUR_US = 3600 * SECOND_US
DAY_US = 24 * _HOUR_US
# Where an awkward account's calls of the last hour and a half of a day begin.
BEFORE_MIDNIGHT_US = 240 * SECOND_US
_LATE_US = 90 * 60 * SECOND_US

# How busy an hour of the day (UTC) and a day of the week (Monday first) are: European offices, some Americas.
_HOURS = (5, 4, 3, 3, 3, 5, 11, 24, 46, 62, 68, 64, 52, 60, 72, 76, 70, 58, 44, 34, 26, 18, 12, 8)
_WEEKDAYS = (1.0, 1.06, 1.1, 1.04, 0.9, 0.34, 0.3)

# Turns of the conversations of a full page, and what its turns and its single requests are.
_TALKS = (12, 9, 8, 7, 6, 6, 5, 5, 5, *[4] * 6, *[3] * 10, *[2] * 12)
_TURNS = {"chat": 101, "tools": 18, "media": 6, "web": 5, "fallback": 8, "cancelled": 3}
_SINGLES = {
    "chat": 195,
    "free": 24,
    "byok": 24,
    "tools": 10,
    "media": 10,
    "web": 6,
    "fallback": 10,
    "prompt": 10,
    "embeddings": 26,
    "rerank": 4,
    "image": 5,
    "speech": 3,
    "transcription": 3,
    "video": 3,
    "cancelled": 8,
    "failed": 10,
    "refused": 4,
    "replayed": 4,
    "legacy": 0,
}
KINDS: tuple[str, ...] = tuple(_SINGLES)
_CODE = {kind: code for code, kind in enumerate(KINDS)}

# A few records from before identifiers carried a time: older than three months, so their content is gone.
_LEGACY_MOST = 12
_LEGACY_SHARE = 40
_LEGACY_OLDEST_DAYS = 420
_LEGACY_NEWEST_DAYS = 95


@dataclass(frozen=True, slots=True)
class Slot:
    """One generation's place: number, moment (µs since 1970), kind, and conversation.

    ``turn`` counts in the conversation from 0; ``kinds`` and ``moments`` are those of all its turns.
    """

    index: int
    created_us: int
    kind: str
    conversation_id: str
    turn: int
    kinds: tuple[str, ...]
    moments: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class _Page:
    """500 generations in time order, packed: 12 bytes each, as a million of them may be kept."""

    times: array[int]
    talks: array[int]
    turns: bytes
    kinds: bytes


class Timeline:
    """The order of an account's generations: a few legacy ones, then those of the 60 days before ``until``.

    Examples
    --------
    >>> from datetime import UTC, datetime
    >>> line = Timeline(0, 1000, datetime(2026, 3, 1, tzinfo=UTC))
    >>> line.slot(998).created_us <= line.slot(999).created_us
    True
    """

    def __init__(self, seed: int, generations: int, until: datetime, *, around_midnight: bool = False) -> None:
        self._around_midnight = around_midnight
        self.seed = seed
        self.generations = generations
        self.until_us = microseconds(until)
        self.legacy = min(_LEGACY_MOST, generations // _LEGACY_SHARE)
        self._start_us = self.until_us - DAYS * DAY_US
        self._heights = _intensity(self._start_us)
        self._page = functools.lru_cache(maxsize=4096)(self._make_page)

    def stamp(self, index: int) -> tuple[int, str]:
        """Return the moment and kind of generation ``index``. Much cheaper than its slot."""
        if not 0 <= index < self.generations:
            raise IndexError(index)
        if index < self.legacy:
            return self._legacy_us(index), "legacy"
        number, place = divmod(index - self.legacy, PAGE)
        page = self._page(number)
        return page.times[place], KINDS[page.kinds[place]]

    def slot(self, index: int) -> Slot:
        """Return the place of generation ``index`` (0 is the oldest)."""
        if not 0 <= index < self.generations:
            raise IndexError(index)
        if index < self.legacy:
            moment = self._legacy_us(index)
            return Slot(index, moment, "legacy", f"legacy-{index}", 0, ("legacy",), (moment,))
        number, place = divmod(index - self.legacy, PAGE)
        page = self._page(number)
        talk = page.talks[place]
        moment, kind = page.times[place], KINDS[page.kinds[place]]
        kinds: tuple[str, ...] = (kind,)
        moments: tuple[int, ...] = (moment,)
        if page.talks.count(talk) > 1:
            members = [n for n, other in enumerate(page.talks) if other == talk]
            kinds = tuple(KINDS[page.kinds[n]] for n in members)
            moments = tuple(page.times[n] for n in members)
        return Slot(index, moment, kind, f"{number}-{talk}", page.turns[place], kinds, moments)

    def stamps(self) -> Iterator[tuple[int, int, str]]:
        """Go through all generations in time order: number, moment, kind. Much cheaper than their slots."""
        for index in range(self.legacy):
            yield index, self._legacy_us(index), "legacy"
        for number in range(-(-(self.generations - self.legacy) // PAGE)):
            page = self._page(number)
            first = self.legacy + number * PAGE
            for place, (moment, kind) in enumerate(zip(page.times, page.kinds, strict=True)):
                yield first + place, moment, KINDS[kind]

    def _legacy_us(self, index: int) -> int:
        share = (index + stream(self.seed, "legacy", index).random()) / self.legacy
        age = _LEGACY_OLDEST_DAYS - share * (_LEGACY_OLDEST_DAYS - _LEGACY_NEWEST_DAYS)
        return self.until_us - int(age * DAY_US)

    def _moment(self, share: float) -> int:
        """Return the moment before which ``share`` of the traffic has happened."""
        height = share * self._heights[-1]
        hour = min(bisect_right(self._heights, height), len(self._heights) - 1)
        low = self._heights[hour - 1] if hour else 0.0
        part = (height - low) / (self._heights[hour] - low)
        return self._start_us + int((hour + part) * _HOUR_US)

    def _make_page(self, number: int) -> _Page:
        everything = self.generations - self.legacy
        begin, end = number * PAGE, min(everything, (number + 1) * PAGE)
        rng = stream(self.seed, "page", number)
        turns, singles = _deal(rng, _TURNS), _deal(rng, _SINGLES)
        lengths = [*_TALKS, *[1] * len(singles)]
        rng.shuffle(lengths)
        rows: list[tuple[int, int, int, int]] = []
        earliest, latest = self._moment(begin / everything), self._moment(end / everything) - 1
        for talk, length in enumerate(lengths):
            length = min(length, end - begin - len(rows))  # noqa: PLW2901 - the last page may be cut
            if not length:
                break
            share = (begin + rng.random() * (end - begin)) / everything
            moments = _turn_moments(rng, self._moment(share), length, earliest, latest)
            if self._around_midnight:
                moments = [_toward_midnight(moment) for moment in moments]
            deck = turns if length > 1 or not singles else singles
            rows.extend((moment, talk, turn, deck.pop()) for turn, moment in enumerate(moments))
        rows.sort()
        return _Page(
            times=array("q", [row[0] for row in rows]),
            talks=array("H", [row[1] for row in rows]),
            turns=bytes(row[2] for row in rows),
            kinds=bytes(row[3] for row in rows),
        )


def microseconds(moment: datetime) -> int:
    """Count the microseconds from 1970 to an aware ``moment``, exactly.

    Examples
    --------
    >>> from datetime import UTC, datetime
    >>> microseconds(datetime(1970, 1, 1, 0, 0, 1, 5, tzinfo=UTC))
    1000005
    """
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


def _intensity(start_us: int) -> list[float]:
    """Sum up the traffic of the hours since ``start_us``: business hours, quiet weekends, some growth."""
    total = DAYS * 24
    hours = []
    for hour in range(total):
        moment = datetime.fromtimestamp((start_us + hour * _HOUR_US) / SECOND_US, UTC)
        growth = 0.8 + 0.4 * hour / total
        hours.append(_HOURS[moment.hour] * _WEEKDAYS[moment.weekday()] * growth)
    return list(accumulate(hours))


def _deal(rng: random.Random, deck: dict[str, int]) -> list[int]:
    cards = [_CODE[kind] for kind, count in deck.items() for _ in range(count)]
    rng.shuffle(cards)
    return cards


def _turn_moments(rng: random.Random, first: int, turns: int, earliest: int, latest: int) -> list[int]:
    """Return the moments of a conversation's turns, in order, all within the page."""
    moments = [first]
    for _ in range(turns - 1):
        pause = min(max(rng.lognormvariate(4.0, 0.8), 9.0), 1500.0)
        moments.append(moments[-1] + int(pause * SECOND_US))
    late = moments[-1] - latest
    if late > 0:
        moments = [max(earliest, moment - late) for moment in moments]
    return moments


def _toward_midnight(moment: int) -> int:
    """Move a moment of the last hour and a half of a day into its last minutes; the order of moments stays."""
    left = DAY_US - moment % DAY_US
    return moment if left > _LATE_US else moment + left - max(left * BEFORE_MIDNIGHT_US // _LATE_US, 1)
