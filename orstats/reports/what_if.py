"""What the same tokens would have cost at other prices."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import narwhals as nw
import pandas as pd

from orstats.errors import ConfigError
from orstats.frame.cast_columns import cast_frame
from orstats.frame.display import ReportFrame
from orstats.frame.money import round_columns
from orstats.frame.validation import ok_rows, require_columns
from orstats.reports.coverage import PROVENANCE, coverage_of, provenance
from orstats.reports.engines import aggregate, finite, valid_count, wrap
from orstats.text.suggest import did_you_mean, similar

_PRICES: Final = ("prompt", "cached", "completion")
_NEEDS: Final = ("model", "cost_usd", "native_tokens_prompt", "native_tokens_completion", "native_tokens_cached")
_MILLION: Final = 1e6
#: Models that an error lists or suggests.
_MOST_MODELS: Final = 5

Price = Mapping[str, float] | Sequence[float]


def what_if(df: Any, prices: Mapping[str, Price] | pd.DataFrame) -> pd.DataFrame:
    """Compute what the same native tokens would have cost at other prices, next to what they cost.

    This assumes the same number of tokens, although another model has another tokenizer and answers at another length.
    It knows prices per token only: charges for images, audio, web search, requests and cache writes are part of the
    actual cost, but not of the hypothetical one. Reasoning tokens are completion tokens, and priced as such.

    Parameters
    ----------
    df : pandas.DataFrame, Polars frame, DuckDB relation or PySpark DataFrame
        From :func:`orstats.fetch`, or as for :func:`orstats.cost_by`. Rows that are not ``ok`` are excluded.
    prices : mapping or pandas.DataFrame
        For each value of ``model``, US dollars per million ``prompt``, ``cached`` and ``completion`` tokens: a mapping
        or three numbers in this order; or a DataFrame with these columns, indexed by model or with a column ``model``.
        Without ``cached``, cached tokens cost as much as other prompt tokens. To see what another model would have
        cost, pass its prices for the models that were used.

    Returns
    -------
    pandas.DataFrame
        Indexed by ``model``, the largest savings first, models without a price last: ``generations``; ``cost_usd``
        where known; ``priced``, the generations that are compared: those with a known cost, known tokens (an unknown
        number of cached tokens counts as none) and a price; ``priced_cost_usd``, what these cost; ``what_if_usd``, what
        they would have cost; ``difference_usd``, negative where that is cheaper; ``ratio`` of the two. The coverage is
        in ``.attrs["coverage"]``.

    Raises
    ------
    ConfigError
        A price is missing, negative or not a number, no price is for a model in `df`, or a column is missing.

    Examples
    --------
    >>> from orstats.frame.build import build_frame
    >>> from orstats.frame.record_table import to_table
    >>> record = {"model": "a", "total_cost": 9.0, "is_byok": False,
    ...           "native_tokens_prompt": 3_000_000, "native_tokens_cached": 1_000_000, "native_tokens_completion": 0}
    >>> df = build_frame(["gen-1"], [to_table(["gen-1"], [record], [0.0])], {})
    >>> what_if(df, {"a": {"prompt": 2.0, "cached": 0.5, "completion": 8.0}}).loc["a", "difference_usd"].item()
    -4.5
    """
    table = _table(prices)
    wrapped = wrap(df)
    have = wrapped.collect_schema().names()
    require_columns(have, _NEEDS)
    read = [*_NEEDS, *({"fetch_status"} & set(have))]
    sums = _sums(ok_rows(cast_frame(wrapped.select(*read), read)))
    if len(sums) and not sums.index.isin(list(table)).any():
        raise ConfigError(f"None of the prices is for a model in the DataFrame.{_models(table, sums.index.dropna())}")
    priced = [table.get(model) if isinstance(model, str) else None for model in sums.index]
    columns = {name: [math.nan if price is None else price[name] / _MILLION for price in priced] for name in _PRICES}
    price = pd.DataFrame(columns, index=sums.index, dtype="float64")
    known = price["prompt"].notna() & (sums["priced"] > 0)
    fresh = sums["prompt"] - sums["cached"]
    would = fresh * price["prompt"] + sums["cached"] * price["cached"] + sums["completion"] * price["completion"]
    did = sums["priced_cost"].where(known)
    result = pd.DataFrame(
        {
            "generations": sums["generations"].astype("Int64"),
            "cost_usd": sums["cost"],
            "priced": sums["priced"].where(known, 0).astype("Int64"),
            "priced_cost_usd": did,
            "what_if_usd": would.where(known),
            "difference_usd": would.where(known) - did,
            "ratio": would.where(known) / did.where(did > 0),
        }
    )
    result = result.sort_index(na_position="last").sort_values("difference_usd", kind="stable", na_position="last")
    rounded: pd.DataFrame = round_columns(nw.from_native(result), ["what_if_usd", "difference_usd"]).to_native()
    result = ReportFrame(rounded)
    result.attrs = {"coverage": coverage_of(wrapped), PROVENANCE: provenance(wrapped.to_native())}
    return result


def _sums(rows: Any) -> pd.DataFrame:
    """Sum by model: known costs, and the cost and tokens of generations that can be compared."""
    cost, cached = finite("cost_usd"), valid_count("native_tokens_cached")
    prompt, completion = valid_count("native_tokens_prompt"), valid_count("native_tokens_completion")
    columns = rows.select(
        key=nw.col("model"),
        cost=cost,
        prompt_tokens=prompt,
        completion_tokens=completion,
        cached_tokens=nw.when(cached <= prompt).then(cached).otherwise(nw.lit(0).cast(nw.Int64)),
    )
    usable = ~nw.col("cost").is_null() & ~nw.col("prompt_tokens").is_null() & ~nw.col("completion_tokens").is_null()
    values = {
        "priced_cost": nw.col("cost"),
        **{name: nw.col(f"{name}_tokens") for name in _PRICES},
    }
    columns = columns.select("key", "cost", **{name: nw.when(usable).then(value) for name, value in values.items()})
    groups: Any = aggregate(columns, ["key"], _PRICES, ["priced_cost"], usd=["cost", "priced_cost"])
    groups = groups.select("key", "cost", *values, generations=nw.col("rows"), priced=nw.col("priced_cost_n"))
    if isinstance(groups, nw.LazyFrame):
        groups = groups.collect("pyarrow")
    native: pd.DataFrame = groups.to_pandas()
    keys = pd.Index(pd.array(native.pop("key").to_list(), dtype="string"), name="model")
    return native.astype("float64").set_index(keys)


def _models(prices: Iterable[str], models: Iterable[object]) -> str:
    """Suggest models for misspelled and shortened names; without any that is similar, list some."""
    known = sorted(str(model)[:80] for model in models)
    near = [model for name in prices for model in ([one for one in known if name in one] or similar(name, known))]
    if near:
        return did_you_mean(list(dict.fromkeys(near))[:_MOST_MODELS])
    more = f" and {len(known) - _MOST_MODELS} more" if len(known) > _MOST_MODELS else ""
    return f" It has: {', '.join(known[:_MOST_MODELS])}{more}."


def _table(prices: Mapping[str, Price] | pd.DataFrame) -> dict[str, dict[str, float]]:
    """Validate the prices, and return them as mappings."""
    if isinstance(prices, pd.DataFrame):
        frame = prices.set_index("model") if "model" in prices.columns else prices
        if absent := [name for name in ("prompt", "completion") if name not in frame.columns]:
            raise ConfigError(f"prices must have a column {absent[0]!r}: US dollars per million tokens.")
        if not frame.index.is_unique:
            raise ConfigError(f"Several prices for {frame.index[frame.index.duplicated()][0]!r}.")
        given = {name: frame[name].to_list() for name in _PRICES if name in frame.columns}
        rows: Mapping[Any, Price] = {
            model: {name: values[at] for name, values in given.items() if not pd.isna(values[at])}
            for at, model in enumerate(frame.index)
        }
    else:
        rows = prices
    return {str(model): _price(str(model), price) for model, price in rows.items()}


def _price(model: str, price: Price) -> dict[str, float]:
    if not isinstance(price, Mapping):
        if isinstance(price, str) or not isinstance(price, Sequence) or len(price) != len(_PRICES):
            expected = f"a mapping or three numbers ({', '.join(_PRICES)})"
            raise ConfigError(f"The price of {model[:80]!r} must be {expected}, got {repr(price)[:80]}.")
        price = dict(zip(_PRICES, price, strict=True))
    if unknown := [name for name in price if name not in _PRICES]:
        raise ConfigError(f"The price of {model[:80]!r} must be for {', '.join(_PRICES)} tokens, got {unknown[0]!r}.")
    found: dict[str, float] = {}
    for name in _PRICES:
        value = price.get(name, found.get("prompt") if name == "cached" else None)
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < math.inf:
            raise ConfigError(
                f"The price of {model[:80]!r} for {name} tokens must be US dollars per million, got {value!r:.80}."
            )
        found[name] = float(value)
    return found
