"""Records for the reports' tests, and figures computed from them one by one, without any report."""

import math
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from functools import cache

from orstats.frame.build import FetchOutcome, build_frame
from orstats.frame.record_table import to_table
from orstats.sim import SimServer


@cache
def simulated(count=600):
    """Records of the simulator and hostile ones, by id."""
    sim = SimServer(count, seed=11, until=datetime(2026, 10, 26, 12, tzinfo=UTC))
    records = {generation_id: dict(sim.record(generation_id)) for generation_id in sim.ids}
    for number, change in enumerate(ODD):
        base = dict(records[sim.ids[number]])
        records[f"gen-odd-{number}"] = base | {"id": f"gen-odd-{number}"} | change
    return records


ODD = (
    {"model": None, "provider_name": None, "external_user": "=cmd|' /C calc'!A0", "total_cost": None},
    {"model": "<script>alert(1)</script>", "is_byok": True, "upstream_inference_cost": None},
    {"model": 'line\nbreak "quoted" \' ; -- 🎉' + "x" * 10_000, "native_tokens_prompt": None},
    {"model": "", "provider_name": "", "latency": -5.0, "generation_time": 0, "finish_reason": " ERROR "},
    {"native_tokens_prompt": 2**62, "native_tokens_completion": 2**62, "native_tokens_cached": 2**62},
    {"native_tokens_cached": -7, "native_tokens_reasoning": 10**9, "cancelled": None, "streamed": None},
    {"created_at": None, "is_byok": None, "finish_reason": None, "total_cost": 0.25},
    {"provider_responses": [{"status": "503", "provider_name": 7, "latency": "12.5"}, 9, None, {"status": None}]},
    {"provider_responses": [], "finish_reason": "never_seen"},
    {"provider_responses": [{"status": 500, "latency": -1}, {"status": 201, "provider_name": "A"}, {"status": 503}]},
    {"provider_responses": "nonsense", "cancelled": True, "total_cost": 0.5},
    {"provider_responses": [{"status": 429, "provider_name": "A", "latency": 10}] * 3, "finish_reason": "error"},
)


def frame_of(records, lost=()):
    ids = list(records)
    table = to_table(ids, list(records.values()), [2e9] * len(ids))
    return build_frame([*ids, *lost], [table], {one: FetchOutcome("not_found", 404, 1, "Unknown.") for one in lost})


def total(values):
    """The correctly rounded sum of what is known; None if nothing is."""
    known = [value for value in values if value is not None and value == value]  # noqa: PLR0124 - NaN
    return math.fsum(known) if known else None


def percentile(values, at):
    known = sorted(value for value in values if value is not None and math.isfinite(value) and value >= 0)
    if not known:
        return None
    place = (len(known) - 1) * at
    low = math.floor(place)
    high = min(low + 1, len(known) - 1)
    return known[low] + (known[high] - known[low]) * (place - low)


def grouped(records, *names):
    groups = defaultdict(list)
    for record in records.values():
        key = tuple(record.get(name) for name in names)
        groups[key if len(names) > 1 else key[0]].append(record)
    return groups


#: Read once: a test that runs over midnight still means one day.
_TODAY = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


def midnight(days):
    """When the day began that was so many days ago (UTC)."""
    return _TODAY - timedelta(days=days)


def cost(record):
    charged, byok, upstream = (record.get(n) for n in ("total_cost", "is_byok", "upstream_inference_cost"))
    if charged is None:
        return None
    if byok is None:
        return None if upstream else charged  # without upstream cost both readings agree
    if not byok:
        return charged
    return None if upstream is None else charged + upstream
