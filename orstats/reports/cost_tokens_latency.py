"""Reports of cost, tokens and latency by group and period.

Written once for pandas, Polars, DuckDB and PySpark; each report is the kind of frame that was given.
"""

from __future__ import annotations

from typing import Any, Final

import narwhals as nw

from orstats.frame.validation import By, listed
from orstats.reports.aggregation import EVERYTHING, ReportSpec, make_report
from orstats.reports.engines import finite, non_negative, percentile, ratio, valid_count

#: The columns that :func:`cost_by` reads, besides those to group by and, over time, ``created_at``.
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
    """Total cost per group, most expensive first.

    Parameters
    ----------
    frame : pandas.DataFrame, Polars frame, DuckDB relation or PySpark DataFrame
        From :func:`orstats.fetch`; or the same columns as a Polars frame (eager or lazy), a DuckDB relation
        (:meth:`orstats.Archive.relation`) or a PySpark DataFrame (:meth:`orstats.Archive.spark`). Rows that are not
        ``ok`` are excluded; the coverage counts them.
    by : str or sequence of str, optional
        Columns to group by; a missing value is a group, too. None groups by period only.
    freq : str, optional
        ``hour``, ``day``, ``week`` (from Monday), ``month``, ``quarter`` or ``year`` (or h, D, W, M, Q, Y): group by
        creation time as well.
    tz : str
        Time zone in which these periods begin.

    Returns
    -------
    Same kind of frame as `frame`
        In pandas indexed by ``period`` (with a `freq`) and `by`, with the coverage in ``.attrs["coverage"]``; for other
        engines these are columns, and :func:`orstats.coverage` returns the coverage. ``period`` is the start of the
        period; periods are in order, and within each the most expensive groups come first. The metrics:

        - ``generations``;
        - ``cost_usd``, the sum of known costs (missing if none is known), and its ``share`` of the report's total;
        - ``charged_usd`` to credits, ``byok_usd`` by providers to your own keys;
        - ``cost_unknown``, generations of unknown cost, excluded from ``cost_usd``;
        - ``tokens_total``; ``usd_per_mtok``, over generations with known cost and tokens; ``x_blended``, how many times
          that of the whole report it is, the vendor's own sign of a runaway;
        - ``mean_usd``, ``p50_usd``, ``p95_usd`` of the generations of known cost;
        - ``cache_saved_usd``, the discount for prompt caching; negative where caching added to the charge.

    Raises
    ------
    ConfigError
        A column is missing (the message suggests similar names), `freq` or `tz` is unknown, or `frame` is of another
        kind.

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
    blended = ratio(nw.col("rated_usd").sum().over(EVERYTHING), nw.col("rated_tokens").sum().over(EVERYTHING))
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
            "x_blended": ratio(ratio("rated_usd", "rated_tokens"), blended),
            "mean_usd": ratio("cost", "cost_n"),
            "p50_usd": nw.col("cost_p50"),
            "p95_usd": nw.col("cost_p95"),
            "cache_saved_usd": nw.col("saved"),
        },
        sort_by="cost_usd",
    )
    return make_report(frame, spec, by, freq, tz)


def tokens_by(frame: Any, by: By = "model", *, freq: str | None = None, tz: str = "UTC") -> Any:
    """Total native tokens per group, which are billed; the vendor's normalised counts are not included.

    Parameters
    ----------
    frame, by, freq, tz
        As for :func:`cost_by`.

    Returns
    -------
    Same kind of frame as `frame`
        As of :func:`cost_by`, most tokens first:

        - ``generations``;
        - ``native_tokens_prompt``, ``native_tokens_completion``, ``native_tokens_reasoning`` (a part of completion),
          ``native_tokens_cached`` (a part of prompt): sums of known counts, missing if none is known;
        - ``tokens_total``, prompt and completion, and its ``share`` of the report's total;
        - ``tokens_unknown``, generations with unknown tokens, excluded from ``tokens_total``;
        - ``cache_hit_rate``, cached of prompt, and ``reasoning_share``, reasoning of completion: 0 to 1, over
          generations with both counts known.

    Raises
    ------
    ConfigError
        As for :func:`cost_by`.

    Examples
    --------
    >>> from orstats.frame.build import build_frame
    >>> from orstats.frame.record_table import to_table
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
    """Percentiles of latency, generation time and speed per group, streamed generations separately.

    ``latency`` is the time to the first token of a streamed generation, and the time to the complete response of
    others, so the two are never mixed: ``streamed`` is always one of the groups.

    Parameters
    ----------
    frame, by, freq, tz
        As for :func:`cost_by`; ``streamed`` is added to `by`.

    Returns
    -------
    Same kind of frame as `frame`
        As of :func:`cost_by`, groups with the most generations first: ``generations``, then for ``latency`` and
        ``generation_time`` (ms), ``throughput_tok_s`` and ``decode_tok_s`` (tokens/s) each ``…_n``, the number of
        generations with a value, and ``…_p50``, ``…_p90``, ``…_p95``, ``…_p99``, interpolated linearly. Percentiles
        are of the value: slow speeds are below ``…_p50``.

    Raises
    ------
    ConfigError
        As for :func:`cost_by`.

    Examples
    --------
    >>> from orstats.frame.build import build_frame
    >>> from orstats.frame.record_table import to_table
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
