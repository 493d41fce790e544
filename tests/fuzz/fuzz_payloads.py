"""Answers of the simulator, spoilt: types changed, parts left out, nested, doubled, cut, or no JSON at all.

Everything follows from a ``random.Random``, so that one number names a payload.
"""

import copy
import json
import math

import orstats

#: What a value may turn into. Text is written with escapes, so that half a character is one, too.
ODD = [
    None,
    True,
    False,
    0,
    -1,
    1,
    2**31,
    2**53 + 1,
    2**63 - 1,
    2**63,
    2**64,
    -(2**63) - 1,
    10**400,
    -0.0,
    1e308,
    5e-324,
    0.1,
    math.nan,
    math.inf,
    -math.inf,
    "",
    "0",
    "1.5",
    "1e999",
    "NaN",
    "9" * 5000,
    "-",
    "true",
    "null",
    "\ud83d",
    "\udc00\ud83d",
    "\x00",
    "\u202e\u2028\ufeff",
    "gen-1700000000-AbCdEfGhIjKlMnOpQrSt",
    "0001-01-01T00:00:00+23:59",
    "9999-12-31T23:59:59-23:59",
    "2026-02-30T00:00:00Z",
    "2026-01-01",
    "=cmd|'/c calc'!A1",
    "<script>alert(1)</script>",
    "x" * 3000,
    [],
    {},
    [[]],
    [None],
    {"": None},
    {"a": {"a": {}}},
    [{"status": "200", "latency": [], "provider_name": 7}],
]
NAMES = ["", "id", "error", "data", "metadata", "\ud800", "\x00", "date__day", "x" * 300, "__class__"]
DEPTHS = [3, 90, 250, 300, 500, 600, 1000, 1020, 1030, 5000]


class Raw:
    """Bytes that stand in JSON as they are."""

    def __init__(self, text):
        self.text = text


def seeds():
    """Answers of the simulator, by endpoint: ``[(path, id or None, payload), …]``."""
    found = []
    with orstats.sim.SimServer(300, seed=11) as sim:
        for one in sim.ids[::7]:
            found.append(("/generation", one, {"data": sim.record(one)}))
            if sim.content(one) is not None:
                found.append(("/generation/content", one, {"data": sim.content(one)}))
        client = sim.client()
        for granularity in ("day", "hour"):
            query = {"metrics": ["request_count", "credits_usage", "byok_usage"], "dimensions": ["model"]}
            query |= {"granularity": granularity, "limit": 30}
            found.append(("/analytics/query", None, {"data": client.analytics(query)}))
        query = {"metrics": ["request_count"], "dimensions": ["generation_id"], "limit": 30}
        found.append(("/analytics/query", None, {"data": client.analytics(query)}))
        found.append(("/activity", None, {"data": client.activity()[:20]}))
        found += [("/key", None, {"data": client.key()}), ("/credits", None, {"data": client.credits()})]
    error = {"code": 502, "message": "Provider returned error", "metadata": {"raw": "x"}}
    return found + [(path, one, {"error": error}) for path, one, _ in found[:20]]


def spoil(rng, payload):
    """Write a payload as bytes, with one to a few things wrong."""
    value = copy.deepcopy(payload)
    for _ in range(rng.choice([0, 1, 1, 1, 2, 3, 8])):
        value = _changed(rng, value)
    body = _text(rng, value, rng.random() < 0.1).encode("utf-8", "surrogatepass")
    for _ in range(rng.choice([0, 0, 0, 0, 0, 1, 2])):
        body = _scratched(rng, body)
    return body


def _changed(rng, value):
    """Replace one node, anywhere."""
    holder, key = None, None
    here = value
    while isinstance(here, dict | list) and here and (holder is None or rng.random() < 0.75):
        holder, key = here, rng.choice(list(here) if isinstance(here, dict) else range(len(here)))
        here = holder[key]
    new = rng.choice([_odd, _nested, _gone, _more, _swapped])(rng, here)
    if holder is None:
        return value if new is _gone else new
    if new is _gone:
        del holder[key]
    else:
        holder[key] = new
    return value


def _odd(rng, _):
    return copy.deepcopy(rng.choice(ODD))


def _nested(rng, here):
    depth = rng.choice(DEPTHS)
    if depth > 90:
        opening, closing = rng.choice([("[", "]"), ('{"a":', "}")])
        return Raw(opening * depth + "0" + closing * depth)
    for _ in range(depth):
        here = [here] if rng.random() < 0.5 else {"a": here}
    return here


def _gone(*_):
    return _gone


def _more(rng, here):
    if isinstance(here, dict):
        return here | {rng.choice(NAMES): _odd(rng, None)}
    if isinstance(here, list):
        return [*here, _odd(rng, None), *here]
    return [here, here]


def _swapped(rng, here):
    """Give the value in another type."""
    if isinstance(here, str):
        return rng.choice([[here], len(here), {"value": here}, here[: len(here) // 2] + "\ud83d"])
    if isinstance(here, int | float):
        return rng.choice([str(here), [here], -here, here * 10**18, bool(here)])
    return str(here)[:200]


def _text(rng, value, doubled):
    """Write JSON by hand: NaN, endless integers, half characters and keys that occur twice included."""
    if isinstance(value, Raw):
        return value.text
    if isinstance(value, dict):
        parts = [f"{json.dumps(name)}:{_text(rng, inner, doubled)}" for name, inner in value.items()]
        if doubled and parts and rng.random() < 0.5:
            parts.append(f"{json.dumps(rng.choice(list(value)))}:{_text(rng, _odd(rng, None), False)}")
        return "{" + ",".join(parts) + "}"
    if isinstance(value, list):
        return "[" + ",".join(_text(rng, inner, doubled) for inner in value) + "]"
    return json.dumps(value, ensure_ascii=True)


def _scratched(rng, body):
    at = rng.randrange(len(body) + 1)
    return rng.choice(
        [
            lambda: body[:at],
            lambda: body[at:],
            lambda: body[:at] + bytes([rng.randrange(256)]) + body[at + 1 :],
            lambda: body[:at] + rng.randbytes(rng.randrange(1, 9)) + body[at:],
            lambda: (
                body[:at] + rng.choice([b"\xff", b"\xed\xa0\x80", b"\\ud800", b"\\", b'"', b"\x00", b"NaN"]) + body[at:]
            ),
            lambda: b"\xef\xbb\xbf" + body,
            lambda: body + body,
            lambda: body.decode("utf-8", "replace").encode("utf-16"),
            lambda: rng.randbytes(rng.randrange(200)),
        ]
    )()
