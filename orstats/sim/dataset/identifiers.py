"""Generation ids that look random and still encode which generation they name.

The twenty characters of an identifier are two numbers: a tag that only this account could have made for the
generation, and the generation's number hidden behind the tag. So a million identifiers need no table.
"""

from __future__ import annotations

from orstats.sim.dataset.random_streams import ALPHABET, BASE, base62, number
from orstats.sim.dataset.timeline import SECOND_US

_HALF = 10
_SPACE: int = BASE**_HALF
_MODERN = 2 * _HALF
_LEGACY = 28
_VALUES = {letter: value for value, letter in enumerate(ALPHABET)}


class IdCodec:
    """Makes identifiers from numbers and finds the numbers again.

    Examples
    --------
    >>> codec = IdCodec(0)
    >>> text = codec.encode(41, 1_727_282_430_000_000)
    >>> text[:15], len(text), codec.decode(text)
    ('gen-1727282430-', 35, 41)
    >>> codec.decode("gen-1727282430-aBcDeFgHiJkLmNoPqRsT") is None
    True
    """

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._factor = number(seed, "id-factor") | 1
        self._offset = number(seed, "id-offset")

    def encode(self, index: int, created_us: int, kind: str = "chat") -> str:
        """Write an id: ``gen-<second>-<20>``, for the kind "video" ``gen-vid-...``, for "legacy" ``gen-<28>``."""
        tag = self._tag(index)
        hidden = (index + tag * self._factor + self._offset) % _SPACE
        suffix = base62(hidden, _HALF) + base62(tag, _HALF)
        if kind == "legacy":
            return f"gen-{suffix}{base62(number(self._seed, 'id-tail', index), _LEGACY - _MODERN)}"
        prefix = "gen-vid" if kind == "video" else "gen"
        return f"{prefix}-{created_us // SECOND_US}-{suffix}"

    def decode(self, text: str) -> int | None:
        """Find the number that an identifier hides; None if this account never made it.

        Only the characters are looked at, not the second: the caller compares the whole identifier.
        """
        suffix = text.rpartition("-")[2]
        if len(suffix) not in (_MODERN, _LEGACY) or not _VALUES.keys() >= set(suffix):
            return None
        hidden, tag = _value(suffix[:_HALF]), _value(suffix[_HALF:_MODERN])
        index = (hidden - tag * self._factor - self._offset) % _SPACE
        return index if self._tag(index) == tag else None

    def _tag(self, index: int) -> int:
        return number(self._seed, "id-tag", index) % _SPACE


def _value(letters: str) -> int:
    total = 0
    for letter in letters:
        total = total * BASE + _VALUES[letter]
    return total
