"""Reports: what the generations cost, by whatever distinguishes them."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from orstats.api.errors import ConfigError

_NEEDED = ("fetch_status", "cost_usd", "total_cost", "upstream_inference_cost", "is_byok", "tokens_total")


def cost_by(frame: pd.DataFrame, by: str | Sequence[str] = "model") -> pd.DataFrame:
    """Sum the cost of the generations that were fetched (``ok``), by one or more columns, dearest first.

    Parameters
    ----------
    frame
        From :func:`orstats.fetch`.
    by
        Columns that make the groups. A missing value is a group, too.

    Returns
    -------
    pandas.DataFrame
        Indexed by ``by``: ``generations``; ``cost_usd``, the sum of what is known (missing if nothing is);
        ``share`` of the total, 0 to 1; ``charged_usd`` to credits; ``byok_usd`` by providers to your own keys;
        ``cost_unknown``, generations whose cost is not known and so not in the sum; ``tokens_total``;
        ``usd_per_mtok``, over generations with both figures; ``mean_usd`` of a generation with a known cost.

    Raises
    ------
    ConfigError
        A column is not there.

    Examples
    --------
    >>> import orstats
    >>> with orstats.sim.SimServer(50) as sim:
    ...     df = orstats.fetch(sim.ids, client=sim.client())
    >>> report = cost_by(df, ["provider_name", "is_byok"])
    >>> report.index.names, int(report.generations.sum())
    (FrozenList(['provider_name', 'is_byok']), 50)
    """
    keys = [by] if isinstance(by, str) else list(by)
    for name in (*keys, *_NEEDED):
        if name not in frame.columns:
            raise ConfigError(f"There is no column {name!r} to report by; orstats.field_table() lists them.")
    ok = frame.loc[frame["fetch_status"] == "ok"]
    both = ok["cost_usd"].notna() & ok["tokens_total"].notna()
    parts = pd.DataFrame(
        {
            "cost_usd": ok["cost_usd"],
            "charged_usd": ok["total_cost"],
            "byok_usd": ok["upstream_inference_cost"].where(ok["is_byok"].fillna(False).astype(bool)),
            "tokens_total": ok["tokens_total"],
            "rated_usd": ok["cost_usd"].where(both),
            "rated_tokens": ok["tokens_total"].where(both).astype("float64"),
        }
    )
    groups = parts.groupby([ok[key] for key in keys], dropna=False, observed=True)
    sums = groups.sum(min_count=1)
    known = groups["cost_usd"].count()
    generations = groups.size()
    report = pd.DataFrame(
        {
            "generations": generations.astype("Int64"),
            "cost_usd": sums["cost_usd"],
            "share": sums["cost_usd"] / total if (total := sums["cost_usd"].sum()) else float("nan"),
            "charged_usd": sums["charged_usd"],
            "byok_usd": sums["byok_usd"],
            "cost_unknown": (generations - known).astype("Int64"),
            "tokens_total": sums["tokens_total"],
            "usd_per_mtok": (sums["rated_usd"] / sums["rated_tokens"].where(sums["rated_tokens"] > 0)) * 1e6,
            "mean_usd": sums["cost_usd"] / known.where(known > 0),
        }
    )
    return report.sort_values("cost_usd", ascending=False, kind="stable", na_position="last")
