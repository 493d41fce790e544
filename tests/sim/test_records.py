"""The made-up account is repeatable, consistent, and shows everything that a real one may show."""

import re
from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from orstats.sim import SimServer
from orstats.sim.dataset.account import SimulatedAccount

UNTIL = datetime(2026, 6, 17, 14, 30, tzinfo=UTC)


def ids_of(generations, seed):
    return list(SimulatedAccount(generations, seed=seed, until=UNTIL).identifiers())


def test_same_seed_gives_the_same_account(sim, records):
    again = SimServer(1000, seed=11, until=UNTIL)
    assert again.ids == sim.ids
    assert [again.record(identifier) for identifier in again.ids[::50]] == records[::50]
    assert [again.content(identifier) for identifier in again.ids[::50]] == [sim.content(i) for i in sim.ids[::50]]


def test_another_seed_gives_another_account():
    assert not set(ids_of(500, 1)) & set(ids_of(500, 2))


def test_records_do_not_depend_on_earlier_requests():
    one, two = (SimulatedAccount(700, seed=5, until=UNTIL) for _ in range(2))
    backwards = {index: one.record(index) for index in reversed(range(700))}
    assert [two.record(index) for index in range(700)] == [backwards[index] for index in range(700)]


@pytest.mark.parametrize("generations", [0, 1, 2, 39, 40, 499, 500, 512, 513, 1013])
def test_any_number_of_generations_works(generations):
    account = SimulatedAccount(generations, seed=3, until=UNTIL)
    ids = list(account.identifiers())
    assert len(set(ids)) == generations
    assert [account.find(identifier) for identifier in ids] == list(range(generations))
    assert [account.record(index)["id"] for index in range(generations)] == ids


def test_million_generations_are_not_made_to_read_one():
    account = SimulatedAccount(1_000_000, seed=0, until=UNTIL)
    identifier = account.identifier(987_654)
    assert account.find(identifier) == 987_654
    assert account.record(987_654)["id"] == identifier


def test_negative_counts_and_naive_times_are_refused():
    with pytest.raises(ValueError, match="0 or more"):
        SimulatedAccount(-1, seed=0, until=UNTIL)
    with pytest.raises(ValueError, match="time zone"):
        SimulatedAccount(1, seed=0, until=UNTIL.replace(tzinfo=None))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "gen-",
        "gen-1",
        "gen-1781706600-aBcDeFgHiJkLmNoPqRsT",
        "gen-1781706600-aBcDeFgHiJkLmNoPqRs!",
        "chatcmpl-aBcDeFgHiJkLmNoPqRsT",
        "gen-aBcDeFgHiJkLmNoPqRsTuVwXyZ12",
    ],
)
def test_foreign_identifiers_are_not_found(text):
    assert SimulatedAccount(1000, seed=0, until=UNTIL).find(text) is None


def test_identifier_with_another_second_is_not_found(sim):
    head, second, tail = sim.ids[500].split("-")
    assert SimulatedAccount(1000, seed=11, until=UNTIL).find(f"{head}-{int(second) + 1}-{tail}") is None


def test_identifiers_have_the_three_shapes(sim):
    shapes = Counter()
    for identifier in sim.ids:
        for shape in (r"gen-\d{10}-[0-9A-Za-z]{20}", r"gen-vid-\d{10}-[0-9A-Za-z]{20}", r"gen-[0-9A-Za-z]{28}"):
            shapes[shape] += bool(re.fullmatch(shape, identifier))
    assert shapes.total() == 1000
    assert all(count >= 3 for count in shapes.values())


def test_second_in_the_identifier_is_that_of_the_record(records):
    for record in records:
        second = re.search(r"-(\d{10})-", record["id"])
        created = datetime.fromisoformat(record["created_at"])
        assert second is None or int(second[1]) == int(created.timestamp()), record["id"]


def test_records_are_in_time_order_and_end_in_time(records):
    # Two spellings, one of which cuts microseconds: neighbours may differ by less than a millisecond.
    times = [datetime.fromisoformat(record["created_at"]) for record in records]
    assert all(a <= b + timedelta(milliseconds=1) for a, b in pairwise(times))
    assert UNTIL - timedelta(days=1) < times[-1] <= UNTIL
    assert times[0] < UNTIL - timedelta(days=90)


def test_times_come_in_both_spellings(records):
    spellings = (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}\+00:00", r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
    counts = [sum(bool(re.fullmatch(spelling, row["created_at"])) for row in records) for spelling in spellings]
    assert sum(counts) == 1000
    assert min(counts) > 200


def test_nights_and_weekends_are_quiet():
    account = SimulatedAccount(6000, seed=1, until=UNTIL)
    times = [datetime.fromtimestamp(account.created_us(index) / 1e6, UTC) for index in range(200, 6000)]
    hours, days = Counter(time.hour for time in times), Counter(time.weekday() for time in times)
    assert hours[15] > 5 * hours[3]
    assert days[2] > 2 * days[6]


def test_amounts_are_consistent(records):
    for row in records:
        assert row["usage"] == row["total_cost"] >= 0
        if row["native_tokens_cached"] is not None:
            assert row["native_tokens_cached"] <= row["native_tokens_prompt"]
        if row["native_tokens_reasoning"] is not None:
            assert row["native_tokens_reasoning"] <= row["native_tokens_completion"]
    costs = sorted(row["total_cost"] for row in records if row["total_cost"])
    assert costs[0] <= 4e-7
    assert costs[-1] > 0.1


def test_speeds_are_those_of_the_providers(records):
    for row in records:
        took, tokens = row["generation_time"], row["native_tokens_completion"]
        if took and tokens and not row.get("response_cache_source_id"):
            assert tokens / took * 1000 < 4000, row["id"]
            if row["streamed"]:
                assert row["latency"] < took, row["id"]
                assert (tokens - 1) / (took - row["latency"]) * 1000 < 8000, row["id"]


def test_provider_charges_for_all_that_it_made(records):
    for row in records:
        upstream = row["upstream_inference_cost"]
        if upstream and not row["is_byok"] and not row["num_search_results"]:
            assert 0.5 * row["total_cost"] < upstream <= row["total_cost"], row["id"]


def test_successful_attempt_agrees_with_the_record(records):
    for row in filter(served_last, records):
        last = row["provider_responses"][-1]
        assert last.get("latency") == row["latency"], row["id"]
        assert last.get("routed_service_tier", row["service_tier"]) == row["service_tier"], row["id"]
        names = ("id", "provider_name", "is_byok")
        assert [last.get(n) for n in names] == [row[n] for n in ("upstream_id", *names[1:])], row["id"]


def served_last(row):
    return (row["provider_responses"] or [{"status": None}])[-1]["status"] == 200


FEATURES = {
    "fallback": lambda r: served_last(r) and len(r["provider_responses"]) > 1,
    "attempt that never answered": lambda r: any(a["status"] is None for a in r["provider_responses"] or []),
    "all refused": lambda r: r["provider_responses"] and not served_last(r) and r["provider_name"] is None,
    "own key": lambda r: r["is_byok"] and r["upstream_inference_cost"] > r["total_cost"],
    "own key without a fee": lambda r: r["is_byok"] and r["total_cost"] == 0,
    "upstream cost that must not be added": lambda r: not r["is_byok"] and r["upstream_inference_cost"],
    "upstream cost of zero": lambda r: not r["is_byok"] and r["upstream_inference_cost"] == 0 < r["total_cost"],
    "free model": lambda r: r["model"].endswith(":free") and r["total_cost"] == 0,
    "cached prompt": lambda r: r["native_tokens_cached"] and (r["cache_discount"] or 0) > 0,
    "cache write": lambda r: (r["cache_discount"] or 0) < 0,
    "reasoning": lambda r: (r["native_tokens_reasoning"] or 0) > 0,
    "picture in the prompt": lambda r: (r["num_media_prompt"] or 0) > 0,
    "sound in the prompt": lambda r: (r["num_input_audio_prompt"] or 0) > 0,
    "picture made": lambda r: r["api_type"] == "image" and r["native_tokens_completion_images"] > 0,
    "web search": lambda r: r["web_search_engine"] and r["num_search_results"] > 0,
    "tool call": lambda r: r["finish_reason"] == "tool_calls",
    "embeddings": lambda r: r["api_type"] == "embeddings" and r["native_tokens_completion"] is None,
    "video": lambda r: r["id"].startswith("gen-vid-") and r["api_type"] == "video",
    "cancelled, charged": lambda r: r["cancelled"] and r["total_cost"] > 0 and r["native_tokens_completion"] > 0,
    "cancelled, not charged": lambda r: r["cancelled"] and r["total_cost"] == 0 and r["native_tokens_completion"] > 0,
    "error": lambda r: r["finish_reason"] == "error" and r["native_tokens_completion"] == 0 and r["total_cost"] == 0,
    "blank": lambda r: r["finish_reason"] is None and r["native_tokens_completion"] == 0 and r["total_cost"] == 0,
    "response cache": lambda r: r.get("response_cache_source_id") and r["total_cost"] == 0,
    "length": lambda r: r["finish_reason"] == "length",
    "content filter": lambda r: r["finish_reason"] == "content_filter",
    "not streamed": lambda r: r["streamed"] is False,
    "fractional latency": lambda r: isinstance(r["latency"], float) and r["latency"] % 1,
    "latency above the whole": lambda r: (r["latency"] or 0) > (r["generation_time"] or 1e9),
    "latency below the whole": lambda r: (r["latency"] or 1e9) < (r["generation_time"] or 0),
    "router": lambda r: r["router"] == "openrouter/auto",
    "preset": lambda r: r["preset_id"],
    "priority": lambda r: r["service_tier"] == "priority",
    "flex": lambda r: r["service_tier"] == "flex",
    "moderation": lambda r: r["moderation_latency"],
    "native words": lambda r: r["native_finish_reason"] == "end_turn" and r["finish_reason"] == "stop",
    "two tokenizers": lambda r: r["tokens_prompt"] and r["native_tokens_prompt"] > 1.1 * r["tokens_prompt"],
    "formula in a user": lambda r: (r["external_user"] or "").startswith(("=", "+", "-", "@")),
    "script in a header": lambda r: "<" in (r["user_agent"] or "") + (r["http_referer"] or ""),
}


@pytest.mark.parametrize("feature", FEATURES)
@pytest.mark.parametrize("seed", [0, 11])
def test_first_thousand_records_show(feature, seed, records):
    rows = records if seed == 11 else _records_of_seed_0()
    assert any(FEATURES[feature](row) for row in rows)


_KEPT = []


def _records_of_seed_0():
    if not _KEPT:
        account = SimulatedAccount(1000, seed=0, until=UNTIL)
        _KEPT.extend(account.record(index) for index in range(1000))
    return _KEPT


def test_models_providers_and_users_vary(records):
    assert len({row["model"] for row in records}) >= 20
    assert len({row["provider_name"] for row in records}) >= 15
    assert len({row["external_user"] for row in records}) >= 30
    assert len({row["workspace_id"] for row in records}) == 4
    assert len({row["app_id"] for row in records}) >= 6
    assert Counter(row["model"] for row in records).most_common(1)[0][1] > 100


def test_sessions_and_requests_group_generations(records):
    sessions = Counter(row["session_id"] for row in records if row.get("session_id"))
    requests = Counter(row["request_id"] for row in records if row.get("request_id"))
    assert max(sessions.values()) >= 6
    assert max(requests.values()) >= 2
    for session, count in sessions.items():
        if count > 1:
            turns = [
                row for row in records if row.get("session_id") == session and not row.get("response_cache_source_id")
            ]
            assert len({(row["model"], row["external_user"]) for row in turns}) == 1


def test_replayed_answer_repeats_its_source(sim, records):
    replayed = [row for row in records if row.get("response_cache_source_id")]
    for row in replayed:
        source = sim.record(row["response_cache_source_id"])
        assert source["created_at"][:16] <= row["created_at"][:16]
        for name in ("model", "native_tokens_prompt", "native_tokens_completion", "finish_reason"):
            assert row[name] == source[name]
    assert replayed


def test_costs_follow_prices_and_own_keys_pay_the_provider(records):
    for row in records:
        if (
            row["model"] == "openai/gpt-4.1-mini-2025-04-14"
            and row["service_tier"] == "default"
            and not row["cancelled"]
        ):
            fresh = row["native_tokens_prompt"] - row["native_tokens_cached"]
            price = fresh * 0.4 + row["native_tokens_cached"] * 0.1 + row["native_tokens_completion"] * 1.6
            if row["is_byok"]:
                assert row["upstream_inference_cost"] == pytest.approx(price / 1e6)
            elif row["total_cost"] and not row["web_search_engine"]:
                assert row["total_cost"] == pytest.approx(price / 1e6)
