"""The reports: cost, tokens, latency and failures, by whatever distinguishes generations, over time if wanted.

Written once for pandas, Polars, DuckDB and PySpark; each gives the kind of frame that it was given.
"""

from __future__ import annotations

from typing import Any, Final

import narwhals as nw

from orstats.frame.validation import By, listed
from orstats.reports.aggregation import EVERYTHING, ReportSpec, make_report
from orstats.reports.backends import finite, non_negative, percentile, ratio, valid_count

#: What :func:`cost_by` reads beside the columns that it groups by, and ``created_at`` where it groups by time.
COST_COLUMNS: Final = (
    "cost_usd",
    "total_cost",
    "upstream_inference_cost",
    "is_byok",
    "tokens_total",
    "cache_discount",
)
_TOKENS: Final = (
    "native_tokens_prompt",
    "native_tokens_completion",
    "native_tokens_reasoning",
    "native_tokens_cached",
    "tokens_total",
)
_TIMES: Final = ("latency", "generation_time", "throughput_tok_s", "decode_tok_s")
_TIME_PERCENTILES: Final = (0.5, 0.9, 0.95, 0.99)


def _share(name: str) -> nw.Expr:
    return ratio(name, nw.col(name).sum().over(EVERYTHING))


def cost_by(frame: Any, by: By = "model", *, freq: str | None = None, tz: str = "UTC") -> Any:
    """Sum what generations cost, dearest group first.

    Parameters
    ----------
    frame
        From :func:`orstats.fetch`; or the same columns as a Polars frame (eager or lazy), a DuckDB relation
        (:meth:`orstats.Archive.relation`) or a PySpark DataFrame (:meth:`orstats.Archive.spark`). Rows that are not
        ``ok`` are left out; the coverage counts them.
    by
        One or several columns that make the groups; a missing value is a group, too. None with `freq` for time only.
    freq
        ``hour``, ``day``, ``week`` (from Monday) or ``month`` (or h, D, W, M): group by time of creation as well.
    tz
        Name of the time zone of these hours, days, weeks and months.

    Returns
    -------
    The kind of frame that was given
        In pandas indexed by ``period`` (when there is a `freq`) and `by`, with the coverage in ``.attrs["coverage"]``;
        in the others these are columns, and :func:`orstats.coverage` tells the coverage. ``period`` is the moment at
        which the bucket starts; periods come in order, then the dearest groups. The figures:

        - ``generations``;
        - ``cost_usd``, the sum of what is known (missing if nothing is), and its ``share`` of the report's total;
        - ``charged_usd`` to credits, ``byok_usd`` by providers to your own keys;
        - ``cost_unknown``, generations that are not in ``cost_usd``;
        - ``tokens_total``; ``usd_per_mtok``, over generations of which both are known;
        - ``mean_usd``, ``p50_usd``, ``p95_usd`` of a generation of known cost;
        - ``cache_saved_usd``, what prompt caching took off the charge; negative where it added to it.

    Raises
    ------
    ConfigError
        A column is missing (the message lists near names), `freq` or `tz` is unknown, or `frame` is of another kind.

    Examples
    --------
    >>> import orstats
    >>> with orstats.sim.SimServer(50) as sim:
    ...     df = orstats.fetch(sim.ids, client=sim.client())
    >>> by_provider = cost_by(df, ["provider_name", "is_byok"])
    >>> list(by_provider.index.names), int(by_provider.generations.sum())
    (['provider_name', 'is_byok'], 50)
    >>> cost_by(df, None, freq="month", tz="Europe/Berlin").index.name
    'period'
    """
    byok, cost, tokens = nw.col("is_byok"), nw.col("cost"), nw.col("tokens")
    spec = ReportSpec(
        required=COST_COLUMNS,
        inputs={
            "cost": finite("cost_usd"),
            "charged": finite("total_cost"),
            "byok": nw.when(byok).then(finite("upstream_inference_cost")).otherwise(nw.when(~byok).then(nw.lit(0.0))),
            "tokens": valid_count("tokens_total"),
            "saved": finite("cache_discount"),
        },
        derived={
            "rated_usd": nw.when(~tokens.is_null()).then(cost),
            "rated_tokens": nw.when(~cost.is_null()).then(tokens),
        },
        sums=("tokens", "rated_tokens"),
        percentiles={"cost": (0.5, 0.95)},
        usd=("cost", "charged", "byok", "rated_usd", "saved"),
        metrics={
            "generations": nw.col("rows"),
            "cost_usd": nw.col("cost"),
            "share": _share("cost"),
            "charged_usd": nw.col("charged"),
            "byok_usd": nw.col("byok"),
            "cost_unknown": nw.col("rows") - nw.col("cost_n"),
            "tokens_total": nw.col("tokens").cast(nw.Int64),
            "usd_per_mtok": ratio("rated_usd", "rated_tokens", 1e6),
            "mean_usd": ratio("cost", "cost_n"),
            "p50_usd": nw.col("cost_p50"),
            "p95_usd": nw.col("cost_p95"),
            "cache_saved_usd": nw.col("saved"),
        },
        sort_by="cost_usd",
    )
    return make_report(frame, spec, by, freq, tz)


def tokens_by(frame: Any, by: By = "model", *, freq: str | None = None, tz: str = "UTC") -> Any:
    """Sum native tokens, those that are billed; the vendor's normalised counts are another family and not in it.

    Parameters
    ----------
    frame, by, freq, tz
        As for :func:`cost_by`.

    Returns
    -------
    The kind of frame that was given
        As of :func:`cost_by`, most tokens first:

        - ``generations``;
        - ``native_tokens_prompt``, ``native_tokens_completion``, ``native_tokens_reasoning`` (a part of completion),
          ``native_tokens_cached`` (a part of prompt): sums of what is known, missing if nothing is;
        - ``tokens_total``, prompt and completion, and its ``share`` of the report's total;
        - ``tokens_unknown``, generations that are not in ``tokens_total``;
        - ``cache_hit_rate``, cached of prompt, and ``reasoning_share``, reasoning of completion: 0 to 1, over
          generations of which both are known.

    Raises
    ------
    ConfigError
        As for :func:`cost_by`.

    Examples
    --------
    >>> from orstats.frame.build import build_frame
    >>> from orstats.frame.arrow import to_table
    >>> record = {"model": "a", "native_tokens_prompt": 80, "native_tokens_completion": 20, "native_tokens_cached": 20}
    >>> row = tokens_by(build_frame(["gen-1"], [to_table(["gen-1"], [record], [0.0])], {})).loc["a"]
    >>> int(row["tokens_total"]), float(row["cache_hit_rate"])
    (100, 0.25)
    """
    prompt, completion, reasoning, cached, _ = (nw.col(name) for name in _TOKENS)
    spec = ReportSpec(
        required=_TOKENS,
        inputs={name: valid_count(name) for name in _TOKENS},
        derived={
            "cached": nw.when(cached <= prompt).then(cached),
            "cacheable": nw.when(cached <= prompt).then(prompt),
            "reasoned": nw.when(reasoning <= completion).then(reasoning),
            "reasonable": nw.when(reasoning <= completion).then(completion),
        },
        sums=(*_TOKENS, "cached", "cacheable", "reasoned", "reasonable"),
        metrics={
            "generations": nw.col("rows"),
            **{name: nw.col(name).cast(nw.Int64) for name in _TOKENS},
            "share": _share("tokens_total"),
            "tokens_unknown": nw.col("rows") - nw.col("tokens_total_n"),
            "cache_hit_rate": ratio("cached", "cacheable"),
            "reasoning_share": ratio("reasoned", "reasonable"),
        },
        sort_by="tokens_total",
        counts=("tokens_total",),
    )
    return make_report(frame, spec, by, freq, tz)


def latency_by(frame: Any, by: By = "model", *, freq: str | None = None, tz: str = "UTC") -> Any:
    """Give percentiles of how long generations took and how fast they were; streamed ones apart from others.

    ``latency`` is the time to the first token of a streamed generation and that of the whole response of another, so
    the two are never mixed: ``streamed`` is always one of the groups. The field table says the doubts.

    Parameters
    ----------
    frame, by, freq, tz
        As for :func:`cost_by`; ``streamed`` is added to `by`.

    Returns
    -------
    The kind of frame that was given
        As of :func:`cost_by`, groups of most generations first: ``generations``, then for ``latency`` and
        ``generation_time`` (ms), ``throughput_tok_s`` and ``decode_tok_s`` (tokens/s) each ``…_n``, the number of
        generations that have it, and ``…_p50``, ``…_p90``, ``…_p95``, ``…_p99``, linear between the two nearest
        values. Percentiles are of the value: of speeds the slow ones are below ``…_p50``.

    Raises
    ------
    ConfigError
        As for :func:`cost_by`.

    Examples
    --------
    >>> from orstats.frame.build import build_frame
    >>> from orstats.frame.arrow import to_table
    >>> records = [{"model": "a", "streamed": True, "latency": ms} for ms in (100, 300)]
    >>> row = latency_by(build_frame(["1", "2"], [to_table(["1", "2"], records, [0.0] * 2)], {})).loc[("a", True)]
    >>> int(row["latency_n"]), float(row["latency_p50"])
    (2, 200.0)
    """
    spec = ReportSpec(
        required=("streamed", *_TIMES),
        inputs={name: non_negative(name) for name in _TIMES},
        percentiles=dict.fromkeys(_TIMES, _TIME_PERCENTILES),
        metrics={
            "generations": nw.col("rows"),
            **{
                figure: nw.col(figure)
                for name in _TIMES
                for figure in (f"{name}_n", *(percentile(name, at) for at in _TIME_PERCENTILES))
            },
        },
        sort_by="generations",
    )
    return make_report(frame, spec, [*listed(by), "streamed"], freq, tz)
