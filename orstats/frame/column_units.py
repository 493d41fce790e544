"""What the columns of DataFrames and reports measure, and their headings in workbooks."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, Literal

from orstats.frame.schema import FIELDS

Unit = Literal["USD", "USD/Mtok", "share", "ms", "s", "tokens/s", "times", "count", "id", ""]

_UNITS: Final[Mapping[str, Unit]] = MappingProxyType(
    {
        **dict.fromkeys(("tokens", "items", "attempts", "requests"), "count"),
        **dict.fromkeys(("id", "HTTP status"), "id"),
        "share 0..1": "share",
        "USD": "USD",
        "USD/Mtok": "USD/Mtok",
        "ms": "ms",
        "tokens/s": "tokens/s",
    }
)
#: Patterns of the names of report columns; the first match decides.
_REPORTED: Final[tuple[tuple[re.Pattern[str], Unit], ...]] = (
    (re.compile(r".*usd_per_mtok"), "USD/Mtok"),
    (
        re.compile(r"(.*_)?usd|usd_per_day(_\d+d)?|byok_usage|(byok_)?usage_(daily|weekly|monthly)|limit_remaining"),
        "USD",
    ),
    (re.compile(r"(.*_)?(share|rate)|explained"), "share"),
    (re.compile(r".*_tok_s(_p\d+)?"), "tokens/s"),
    (re.compile(r"x_blended"), "times"),
    (re.compile(r"(wall|busy)_s"), "s"),
    (re.compile(r".*_ms(_p\d+)?|(latency|generation_time|moderation_latency)_p\d+"), "ms"),
    (
        re.compile(
            r"generations|requests|asked|ok|pending|missing|from_archive|cost_zero|models|providers"
            r"|attempts|fallbacks|unanswered|cancelled|failed|.*_attempts"
            r"|.*_(n|total|unknown|requests|generations|tokens|responses)|finish_(?!reason).*|(native_)?tokens_.*"
        ),
        "count",
    ),
)
_IN_NAME: Final = re.compile(r"_?(usd|ms|tok_s|(?<=wall_)s|(?<=busy_)s)(?=_p\d+$|_n$|$)")
#: Units that are written in headings.
_SHOWN: Final[Mapping[Unit, str]] = MappingProxyType(
    {"USD": "USD", "USD/Mtok": "USD", "ms": "ms", "s": "s", "tokens/s": "tokens/s"}
)
_SPELLED: Final[Mapping[str, str]] = MappingProxyType(
    {"id": "ID", "http": "HTTP", "byok": "BYOK", "api": "API", "usd": "USD", "mtok": "Mtok"}
)
#: Text, flag and time columns of reports. Columns of the user may have such names, too, so only reports spell them.
_REPORT_COLUMNS: Final = frozenset(
    {
        *(
            "day",
            "figure",
            "value",
            "unit",
            "note",
            "advice",
            "agrees",
            "reason",
            "source",
            "presence",
            "scope",
            "outlook",
        ),
        *("first_at", "last_at", "began_at", "runs_out_at", "runs_out_at_30d", "resets_at", "api_key", "user"),
        *("last_used_at", "expires_at", "limit_reset"),
        *("user_email", "app", "workspace", "attempt", "status", "model_permaslug", "endpoint_id"),
        *("routed_service_tier", "priced", "ratio"),
    }
)
#: Numbers of different values: the same one may be in several rows.
_DISTINCT: Final = frozenset({"models", "providers"})
#: Names that tables of the user have often, too; only frames that are known to be reports spell them.
COMMON_NAMES: Final = frozenset({"name", "dtype", "nullable", "meaning", "difference", "label", "hash", "disabled"})
#: Columns whose names say too little, or not in the order of English.
_TITLES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "tokens_total": "total tokens",
        "tokens_prompt": "normalized prompt tokens",
        "tokens_completion": "normalized completion tokens",
        **{
            f"native_tokens_{kind}": f"native {kind} tokens" for kind in ("prompt", "completion", "reasoning", "cached")
        },
        "native_tokens_completion_images": "native image tokens",
        "num_media_prompt": "media in prompt",
        "num_input_audio_prompt": "audio inputs in prompt",
        "num_media_completion": "media in completion",
        "num_search_results": "search results",
        "num_fetches": "fetches",
        "fallback_ms": "fallback time",
        "is_byok": "BYOK",
        "usd": "cost",
        "account_usd": "account cost",
        "mean_usd": "mean cost",
        "p50_usd": "cost p50",
        "p95_usd": "cost p95",
        "x_blended": "price vs. average",
        "failed_attempt_ms": "failed attempt time",
        "usd_per_day": "spent per day",
        "usd_per_day_7d": "spent per day, last 7 days",
        "usd_per_day_30d": "spent per day, last 30 days",
        "in_total_usd": "total",
        "last_used_at": "last used",
        "expires_at": "expires",
        "runs_out_at_30d": "runs out at, by last 30 days",
        "before_usd": "cost before",
        "after_usd": "cost after",
        "change_usd": "change of cost",
        **{f"{side}_{what}": f"{what} {side}" for side in ("before", "after") for what in ("generations", "tokens")},
    }
)
#: Counts of a measure, and of an end: their names end or begin with a word that means nothing alone.
_PHRASES: Final = (
    (re.compile(r"(_ms|_tok_s)?_n$"), "_count"),
    (re.compile(r"^finish_(?!reason)"), "finished:_"),
    (re.compile(r"^decode(?=_|$)"), "decode_speed"),
)
_MEANS: Final = re.compile(r"(mean|p\d+)_.*|usd_per_day.*")
#: Amounts of limits, which may contain each other, so that their sum means nothing.
_OF_LIMITS: Final = frozenset({"limit_usd", "left_usd", "spent_usd", "limit_remaining"})


def unit(name: str) -> Unit:
    """Return what a column measures; empty for text, flags, times and columns of the user.

    >>> unit("total_cost"), unit("byok_usd"), unit("latency_p95"), unit("cache_hit_rate"), unit("team")
    ('USD', 'USD', 'ms', 'share', '')
    """
    field = FIELDS.get(name)
    if field is not None and field.unit:
        return _UNITS.get(field.unit, "")
    return next((found for pattern, found in _REPORTED if pattern.fullmatch(name)), "")


def is_amount(name: str) -> bool:
    """Whether a column has amounts of money that were spent, changed or are allowed, not means or prices.

    >>> [is_amount(name) for name in ("cost_usd", "change_usd", "left_usd", "mean_usd", "usd_per_mtok", "tokens_total")]
    [True, True, True, False, False, False]
    """
    return unit(name) == "USD" and not _MEANS.fullmatch(name)


def is_additive(name: str) -> bool:
    """Whether a column can be summed: amounts and counts, not rates, percentiles, distinct values or limits.

    >>> [is_additive(name) for name in ("cost_usd", "tokens_total", "share", "mean_usd", "models", "left_usd")]
    [True, True, True, False, False, False]
    """
    is_count = unit(name) == "count" and name not in _DISTINCT
    return name == "share" or is_count or (is_amount(name) and name not in _OF_LIMITS)


def heading(name: str, *, in_report: bool = False) -> str:
    """Return the heading of a column, with its unit; columns of the user keep their names.

    >>> heading("cost_usd"), heading("latency"), heading("throughput_tok_s_p50"), heading("app_id"), heading("my_team")
    ('Cost (USD)', 'Latency (ms)', 'Throughput p50 (tokens/s)', 'App ID', 'my_team')
    >>> heading("first_at", in_report=True), heading("first_at")
    ('First at', 'first_at')
    """
    measure = unit(name)
    if not measure and name not in FIELDS and name != "period" and not (in_report and name in _REPORT_COLUMNS):
        return name
    return _with_unit(words(name), name)


def _with_unit(text: str, name: str) -> str:
    field = FIELDS.get(name)
    shown = "UTC" if field is not None and field.kind == "time" else _SHOWN.get(unit(name), "")
    return text[:1].upper() + text[1:] + (f" ({shown})" if shown else "")


#: What people call the groups of a column, where its name says something else.
_GROUPS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "provider_name": "provider",
        "external_user": "user",
        "is_byok": "BYOK",
        "api_key": "API key",
        "user": "member",
        "user_email": "member's address",
        "app": "application",
        "workspace": "workspace",
        "country": "country",
    }
)


def group_name(name: str) -> str:
    """Return the name of the groups of a column within a sentence; columns of the user keep their names.

    >>> group_name("provider_name"), group_name("is_byok"), group_name("finish_reason"), group_name("my_team")
    ('provider', 'BYOK', 'finish reason', 'my_team')
    """
    if name in _GROUPS:
        return _GROUPS[name]
    text = heading(name, in_report=True)
    if text == name:
        return name
    text = text.rpartition(" (")[0] or text
    first = text.split(" ", 1)[0]
    return text if first.isupper() else text[:1].lower() + text[1:]


def words(name: str) -> str:
    """Return the name of a column in words, without its unit.

    >>> words("cost_usd"), words("byok_usd"), words("latency_p50_ms"), words("native_tokens_cached")
    ('cost', 'BYOK', 'latency p50', 'native cached tokens')
    """
    if name in _TITLES:
        return _TITLES[name]
    for pattern, phrase in _PHRASES:
        name = pattern.sub(phrase, name)
    return _spelled(name)


def _spelled(name: str) -> str:
    parts = _IN_NAME.sub("", name.replace("usd_per_mtok", "cost_per_mtok")).strip("_").split("_")
    return " ".join(_SPELLED.get(part, part) for part in parts)


#: The columns of the field table by their headings, also by those of version 0.1.0.
NAMES: Final[Mapping[str, str]] = MappingProxyType(
    {_with_unit(_spelled(name), name): name for name in FIELDS} | {heading(name): name for name in FIELDS}
)
