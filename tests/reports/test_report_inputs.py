"""Frames and group keys of many kinds: a report, or a ConfigError; never an engine's own error."""

import datetime as dt
from decimal import Decimal

import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from matplotlib import pyplot as plt
from recomputed import frame_of, simulated

import orstats
from orstats.errors import ConfigError
from orstats.reports.cost_tokens_latency import cost_by, latency_by, tokens_by
from orstats.reports.failures import failures_by

REPORTS = (cost_by, tokens_by, latency_by, failures_by)
ENGINES = ("pandas", "pyarrow", "polars", "lazy", "duckdb")


def in_engine(df, engine):
    plain = df.reset_index()
    if engine == "pandas":
        return df
    if engine == "pyarrow":
        return plain.convert_dtypes(dtype_backend="pyarrow").set_index("id")
    if engine == "duckdb":
        connection = duckdb.connect()
        connection.register("plain", plain)
        return connection.sql("FROM plain")
    return pl.from_pandas(plain) if engine == "polars" else pl.from_pandas(plain).lazy()


@pytest.fixture(scope="module")
def df():
    return frame_of(simulated(60))


@pytest.fixture(scope="module", params=ENGINES)
def frame(request, df):
    return in_engine(df, request.param)


def groups(report):
    """How many rows a report has: to find them out runs it."""
    if isinstance(report, duckdb.DuckDBPyRelation):
        return len(report.fetchall())
    return len(report.collect() if isinstance(report, pl.LazyFrame) else report)


def keys_of(report):
    """The provider and model of each row."""
    rows = report.reset_index() if isinstance(report, pd.DataFrame) else report.to_pandas()
    names = ["provider_name", "model"]
    return [tuple(None if pd.isna(value) else value for value in row) for row in rows[names].itertuples(index=False)]


@pytest.mark.parametrize(
    ("by", "message"),
    [
        (7, "by must be a column name or a list of column names, got 7"),
        ([7], "by must be a column name or a list of column names"),
        (None, "Pass by="),
        ([], "Pass by="),
        ("modell", "Did you mean 'model'"),
        ("users", "Did you mean 'external_user'"),
        ("key", r"Records do not have it: add it with df\.join\(orstats\.list_generations\('30d', labels='api_key'"),
    ],
)
def test_by_that_is_no_column_is_refused(frame, by, message):
    for report in (cost_by, failures_by):
        with pytest.raises(ConfigError, match=message):
            report(frame, by)


def test_by_a_column_of_the_report_is_refused(frame):
    with pytest.raises(ConfigError, match="Cannot group by 'cost_usd': the report already has a column"):
        cost_by(frame, "cost_usd")


@pytest.mark.parametrize("by", ["model", ("model",), ["model", "model"], pd.Index(["model"])])
def test_by_takes_one_name_or_several_each_once(frame, df, by):
    assert groups(tokens_by(frame, by)) == df["model"].nunique(dropna=False)


def test_by_takes_the_id_and_other_levels_of_the_index(frame, df):
    assert groups(tokens_by(frame, "id")) == len(df)
    assert groups(failures_by(frame, "id", freq="D")) == len(df)
    report = cost_by(df.set_index("external_user", append=True), "external_user")
    pd.testing.assert_frame_equal(report, cost_by(df, "external_user"))


@pytest.mark.parametrize("report", REPORTS)
def test_empty_frames_give_empty_reports(df, report):
    for engine in ENGINES:
        assert groups(report(in_engine(df.head(0), engine), freq="D", tz="Asia/Tokyo")) == 0


@pytest.mark.parametrize("values", [[1, 2], {"a": 1}, (1, 2)])
def test_keys_of_lists_and_mappings_are_refused(df, values):
    keyed = df.assign(key=[values] * len(df))
    for engine in ENGINES:
        with pytest.raises(ConfigError, match="Cannot group by 'key'"):
            cost_by(in_engine(keyed, engine), "key")


@pytest.mark.parametrize("freq", [None, "M"])
def test_keys_of_a_column_without_any_value_make_one_group(df, freq):
    keyed = pl.from_pandas(df.reset_index()).with_columns(key=pl.lit(None))
    expected = groups(cost_by(df, [], freq=freq)) if freq else 1
    for frame in (keyed, keyed.lazy(), keyed.to_pandas()):
        assert groups(cost_by(frame, "key", freq=freq)) == expected


def test_keys_of_several_kinds_are_refused(df):
    with pytest.raises(ConfigError, match="Convert them to text first"):
        cost_by(df.assign(key=[1, "a"] * (len(df) // 2)), "key")


@pytest.mark.parametrize(
    "values",
    [True, None, 1.5, Decimal("1.5"), dt.date(2026, 1, 1), dt.timedelta(hours=1), b"bytes", pd.Period("2026-01", "M")],
    ids=str,
)
def test_keys_of_other_kinds_make_groups(df, values):
    assert groups(failures_by(df.assign(key=[values] * len(df)), "key", freq="Y")) >= 1


@pytest.mark.parametrize("report", REPORTS)
def test_categories_are_grouped_and_sorted_as_text(df, report):
    names = ["provider_name", "model", "finish_reason"]
    expected = keys_of(report(df, names[:2], freq="D"))
    for kind in ("category", pd.ArrowDtype(pa.dictionary(pa.int32(), pa.string()))):
        assert keys_of(report(df.astype(dict.fromkeys(names, kind)), names[:2], freq="D")) == expected
    plain = pl.from_pandas(df.reset_index())
    enum = pl.Enum(sorted(set(plain["provider_name"].drop_nulls()), reverse=True))
    for kind in (pl.Categorical, enum):
        frame = plain.with_columns(pl.col("provider_name").cast(kind), pl.col("model").cast(pl.Categorical))
        assert keys_of(report(frame, names[:2], freq="D")) == expected
        assert keys_of(report(frame.lazy(), names[:2], freq="D").collect()) == expected


def test_decimal_amounts_are_summed(df):
    plain = pl.from_pandas(df.reset_index()).with_columns(pl.col("cost_usd", "total_cost").cast(pl.Decimal(30, 15)))
    found = cost_by(plain, None, freq="Y").row(0, named=True)
    assert found["cost_usd"] == pytest.approx(cost_by(df, None, freq="Y")["cost_usd"].iloc[0])


def test_column_names_that_occur_twice_or_in_levels_are_refused(df):
    with pytest.raises(ConfigError, match="'model' occurs more than once"):
        cost_by(pd.concat([df, df[["model"]]], axis=1))
    levels = df.set_axis(pd.MultiIndex.from_product([["usage"], df.columns]), axis=1)
    with pytest.raises(ConfigError, match="one level of names"):
        cost_by(levels)


@pytest.mark.parametrize("names", [["a.b", 'q"x', "SELECT", "Ünï 'x'", "orstats_utc_us", "rows"], ["key_0"]])
def test_odd_column_names_make_groups_in_every_engine(df, names):
    named = df.assign(**dict.fromkeys(names, df["provider_name"]))
    daily = len(tokens_by(df, "provider_name", freq="D", tz="Asia/Tokyo"))
    for engine in ENGINES:
        frame = in_engine(named, engine)
        assert groups(tokens_by(frame, names)) == df["provider_name"].nunique(dropna=False)
        assert groups(tokens_by(frame, names, freq="D", tz="Asia/Tokyo")) == daily


@pytest.mark.parametrize("dtype", ["datetime64[ns, UTC]", "datetime64[s, UTC]", "datetime64[us, Asia/Tokyo]"])
def test_creation_times_of_other_units_and_zones_give_the_same_days(df, dtype):
    expected = cost_by(df, freq="D", tz="Asia/Kolkata")
    pd.testing.assert_frame_equal(cost_by(df.astype({"created_at": dtype}), freq="D", tz="Asia/Kolkata"), expected)


def test_creation_times_of_arrow_and_in_nanoseconds_give_the_same_days(df):
    expected = cost_by(df, freq="D", tz="Asia/Kolkata")
    arrow = df.astype({"created_at": pd.ArrowDtype(pa.timestamp("ns", "Europe/Paris"))})
    pd.testing.assert_frame_equal(cost_by(arrow, freq="D", tz="Asia/Kolkata"), expected)
    nanoseconds = cost_by(in_engine(arrow, "duckdb"), freq="D", tz="Asia/Kolkata").df()
    assert nanoseconds["generations"].to_list() == expected["generations"].to_list()


def test_unknown_creation_times_are_a_period_of_their_own(df):
    report = cost_by(df.assign(created_at=None), freq="D")
    assert report.index.get_level_values("period").isna().all()
    assert report["generations"].sum() == len(df)


def test_creation_times_that_are_not_times_are_refused(df):
    for engine in ENGINES:
        with pytest.raises(ConfigError, match=r"Column 'created_at' must hold times.*got ('a column of|1)"):
            cost_by(in_engine(df.assign(created_at=1), engine), freq="D")


def test_creation_times_without_a_zone_are_utc_in_every_engine(df):
    naive = df.assign(created_at=df["created_at"].dt.tz_localize(None))
    expected = cost_by(df, freq="D")["generations"].to_list()
    for engine in ENGINES:
        report = cost_by(in_engine(naive, engine), freq="D")
        table = report.collect() if engine == "lazy" else report.pl() if engine == "duckdb" else report
        assert list(table["generations"]) == expected, engine


@pytest.mark.parametrize("plot", [orstats.plot_cost, orstats.plot_tokens, orstats.plot_latency])
def test_plots_take_the_same_frames_and_keys(df, plot):
    by_id, daily = {"by": "id"}, {"by": ("provider_name",), "freq": "D", "tz": "Africa/Casablanca"}
    arrow, levels = in_engine(df, "pyarrow"), df.set_index("external_user", append=True)
    categories = df.astype({"provider_name": "category"})
    for frame, arguments in ((arrow, by_id), (arrow, daily), (categories, daily), (levels, by_id)):
        assert plot(frame, **arguments).get_title(loc="left")
        plt.close("all")
    for by in (7, [], "modell"):
        with pytest.raises(ConfigError):
            plot(df, by=by)


def test_page_and_summary_refuse_names_and_times_that_reports_refuse(df, tmp_path):
    orstats.write_html(in_engine(df, "pyarrow"), tmp_path / "page.html", tz="Africa/Casablanca")
    two = pd.concat([df, df[["model"]]], axis=1)
    for use in (orstats.summary, orstats.plot_cost, lambda frame: orstats.write_html(frame, tmp_path / "page.html")):
        with pytest.raises(ConfigError, match="'model' occurs more than once"):
            use(two)
    with pytest.raises(ConfigError, match="Column 'created_at' must hold times"):
        orstats.write_html(df.assign(created_at=1), tmp_path / "page.html")
