"""Repeatable random numbers: everything in the simulator is drawn from named streams of one seed.

A stream depends only on its name (seed, purpose, number), never on what was drawn before, so that the
millionth generation can be made without making the others.
"""

from __future__ import annotations

import random
from hashlib import blake2b
from typing import TYPE_CHECKING, TypeVar
from uuid import UUID

if TYPE_CHECKING:
    from collections.abc import Sequence

T = TypeVar("T")

ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
BASE = len(ALPHABET)
_PAIRS = [a + b for a in ALPHABET for b in ALPHABET]
_PAIR_BASE = len(_PAIRS)


def number(*parts: object) -> int:
    """Return the 64-bit number that belongs to a name.

    Examples
    --------
    >>> number(0, "tag", 7) == number(0, "tag", 7) != number(1, "tag", 7)
    True
    """
    name = "\x1f".join(map(str, parts)).encode()
    return int.from_bytes(blake2b(name, digest_size=8).digest(), "big")


def stream(*parts: object) -> random.Random:
    """Open the random stream that belongs to a name.

    Examples
    --------
    >>> stream(0, "record", 1).random() == stream(0, "record", 1).random()
    True
    """
    return random.Random(number(*parts))  # noqa: S311 - made-up data, not a secret


def base62(value: int, length: int) -> str:
    """Write ``value`` in digits and letters, padded or cut to ``length`` (even) characters.

    Examples
    --------
    >>> base62(61, 4)
    '000z'
    """
    out = []
    for _ in range(length // 2):
        value, rest = divmod(value, _PAIR_BASE)
        out.append(_PAIRS[rest])
    return "".join(reversed(out))


def letters(rng: random.Random, length: int) -> str:
    """Draw ``length`` (even) digits and letters, as the API's identifiers have them."""
    return base62(rng.getrandbits(6 * length), length)


def uuid_of(*parts: object) -> str:
    """Return the version 4 shaped UUID that belongs to a name.

    Examples
    --------
    >>> uuid_of("workspace", 1) == uuid_of("workspace", 1)
    True
    """
    bits = (number("uuid-high", *parts) << 64) | number("uuid-low", *parts)
    return str(UUID(int=bits, version=4))


def hexadecimal(length: int, *parts: object) -> str:
    """Return ``length`` lower-case hexadecimal digits that belong to a name.

    Examples
    --------
    >>> len(hexadecimal(64, 0, "key"))
    64
    """
    name = "\x1f".join(map(str, parts)).encode()
    return blake2b(name, digest_size=(length + 1) // 2).hexdigest()[:length]


def one_of(rng: random.Random, things: Sequence[T]) -> T:
    """Draw one of ``things``, each as likely as the next.

    Quicker than ``Random.choice``, and a record needs a dozen of them.
    """
    return things[int(rng.random() * len(things))]


def chance(rng: random.Random, share: float) -> bool:
    """Return True with the probability ``share`` (0 to 1)."""
    return rng.random() < share


def skewed(rng: random.Random, things: Sequence[T]) -> T:
    """Draw one of ``things``, the first far more often than the last (as customers and models are used)."""
    return things[int(rng.random() ** 2.2 * len(things))]
