import builtins
import io
from datetime import UTC, datetime, timedelta
from itertools import combinations, cycle

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

import orstats
from orstats.errors import ConfigError, DuplicateIdsWarning, MissingExtraError
from orstats.frame.build import FetchOutcome, build_frame
from orstats.frame.record_table import to_table
from orstats.plots.plots import plot_cost, plot_latency, plot_tokens
from orstats.plots.style import COLOURS, OTHER_COLOUR
from orstats.plots.ticks import dates
from orstats.sim import SimServer

mpl.use("Agg")
PLOTS = (plot_cost, plot_latency, plot_tokens)
HOSTILE = [
    "<script>alert(1)</script>",
    "=cmd|' /C calc'!A0",
    "$\\frac{x$",
    "a\nb",
    "🦄 日本",
    "_hidden",
    "x" * 10_000,
    None,
]


@pytest.fixture(autouse=True)
def close():
    yield
    plt.close("all")


def frame(models, **columns):
    records = [
        {
            "model": model,
            "created_at": f"2026-03-{1 + at % 28:02d}T23:30:00+00:00",
            "total_cost": float(at + 1),
            "is_byok": False,
            "native_tokens_prompt": 100,
            "native_tokens_completion": 50,
            "native_tokens_cached": 40,
            "native_tokens_reasoning": 10,
            "latency": 100.0 * (at + 1),
            "generation_time": 200.0 * (at + 1),
            "streamed": at % 2 == 0,
            **{name: values[at] for name, values in columns.items()},
        }
        for at, model in enumerate(models)
    ]
    ids = [f"gen-{at}" for at in range(len(models))]
    return build_frame(ids, [to_table(ids, records, [0.0] * len(ids))], {})


def draw(axes):
    axes.figure.savefig(io.BytesIO(), format="png")
    return axes


def labels(axes):
    return [text.get_text() for text in axes.get_yticklabels()]


def test_cost_ranks_groups():
    axes = draw(plot_cost(frame(["a", "b", "b"])))
    assert labels(axes) == ["b", "a"]
    assert [bar.get_width() for bar in axes.patches] == [5.0, 1.0]
    assert "$6.0000" in axes.get_title("left")
    assert [text.get_text() for text in axes.texts] == ["$5.0000 · 83.3%", "$1.0000 · 16.7%"]


def test_many_groups_are_folded_and_nothing_is_lost():
    df = frame([f"m{at}" for at in range(40)])
    axes = plot_cost(df)
    assert labels(axes)[-1] == "other (29 more)"
    assert sum(bar.get_width() for bar in axes.patches) == pytest.approx(df["cost_usd"].sum())
    assert mpl.colors.to_hex(axes.patches[-1].get_facecolor()) == OTHER_COLOUR.lower()
    assert len(labels(plot_tokens(df))) == 12


def test_time_is_stacked_in_the_readers_days():
    df = frame(["a"] * 2, total_cost=[1.0, 2.0], created_at=["2026-03-28T23:30:00Z", "2026-03-31T10:00:00Z"])
    axes = draw(plot_cost(df, freq="D", tz="Europe/Berlin"))
    heights = [bar.get_height() for bar in axes.patches]
    assert heights == [1.0, 0.0, 2.0]  # 29, 30 and 31 March in Berlin; in UTC it would be four days
    assert "Day (Europe/Berlin)" in axes.get_xlabel()


@pytest.mark.parametrize(("freq", "label"), [("D", "31 Mar 2026"), ("Q", "Q1 2026")])
def test_a_single_period_is_named_below_a_narrow_bar(freq, label):
    axes = draw(plot_cost(frame(["a"], created_at=["2026-03-31T10:00:00Z"]), freq=freq))
    left, right = axes.get_xlim()
    (bar,), (tick,) = axes.patches, axes.get_xticks()
    assert bar.get_width() == pytest.approx(0.2 * (right - left))
    assert bar.get_x() + bar.get_width() / 2 == pytest.approx(tick) == pytest.approx((left + right) / 2)
    assert [one.get_text() for one in axes.get_xticklabels()] == [label]


def test_requested_periods_are_drawn_for_more_than_a_year():
    df = frame(["a"] * 2, created_at=["2025-01-01T00:00:00Z", "2026-02-17T23:00:00Z"])
    axes = plot_cost(df, freq="D")
    assert axes.get_xlabel() == "Day (UTC)"
    assert len(axes.patches) == 413


def test_longer_periods_than_requested_are_drawn_with_a_warning():
    df = frame(["a"] * 2, created_at=["2020-01-01T00:00:00Z", "2026-01-01T00:00:00Z"])
    with pytest.warns(UserWarning, match="more than 1,000 periods; drawing one for each week") as caught:
        assert plot_cost(df, freq="h").get_xlabel().startswith("Week from Monday (UTC)")
    assert caught[0].filename == __file__


def boxes(axes):
    """Where axes and everything around them lie, and where their bars do, in pixels."""
    axes.figure.canvas.draw()
    return axes.get_tightbbox(), [patch.get_window_extent() for patch in axes.patches]


@pytest.mark.parametrize(("freq", "size"), [(None, (6.4, 4.8)), ("D", (6.4, 4.8)), ("D", (10, 4)), (None, (14, 6))])
@pytest.mark.parametrize("plot", PLOTS)
def test_neighbouring_plots_never_overlap(plot, freq, size):
    df = frame([f"a-vendor-with-a-long-name/model-{at}-instruct-preview" for at in range(20)], streamed=[True] * 20)
    figure, (left, right) = plt.subplots(1, 2, figsize=size)
    for axes in (left, right):
        plot(df, by="model", freq=freq, ax=axes)
    (one, _), (two, _) = boxes(left), boxes(right)
    assert not one.overlaps(two)
    assert figure.bbox.x0 <= one.x0
    assert two.x1 <= figure.bbox.x1


@pytest.mark.parametrize(("shape", "freq"), [((2, 2), None), ((2, 2), "M"), ((2, 3), "W"), ((4, 1), "M")])
def test_many_plots_fit_into_a_figure_of_the_default_size(shape, freq):
    df = frame([f"a-vendor-with-a-long-name/model-{at}-instruct-preview" for at in range(20)], streamed=[True] * 20)
    df["created_at"] = pd.date_range("2025-10-12", periods=20, freq="20D", tz="UTC").as_unit("us")
    figure, all_axes = plt.subplots(*shape)
    for axes, plot in zip(all_axes.flat, cycle(PLOTS), strict=False):
        plot(df, by="model", freq=freq, ax=axes)
    figure.canvas.draw()
    places = [boxes(axes)[0] for axes in all_axes.flat]
    assert not [one for one, two in combinations(places, 2) if one.overlaps(two)]
    for axes in all_axes.flat:
        label = axes.xaxis.label.get_window_extent()
        assert not label.overlaps(axes.xaxis.get_offset_text().get_window_extent())
        legend = axes.get_legend()
        assert legend is None or not label.overlaps(legend.get_window_extent())
        assert freq is None or "00:00" not in [text.get_text() for text in axes.get_xticklabels()]


@pytest.mark.parametrize("freq", [None, "D"])
def test_legend_covers_no_bar(freq):
    axes = plot_tokens(frame([f"m{at}" for at in range(12)]), freq=freq)
    _, bars = boxes(axes)
    legend = axes.get_legend().get_window_extent()
    assert not any(legend.overlaps(bar) for bar in bars)


@pytest.mark.parametrize("plot", PLOTS)
@pytest.mark.parametrize("freq", [None, "D"])
def test_notebooks_put_no_box_behind_a_plot(plot, freq):
    metadata = pytest.importorskip("matplotlib_inline.backend_inline")._fetch_figure_metadata
    assert metadata(draw(plot(frame(["a", "b"]), freq=freq)).figure) is None


def test_characters_of_a_fallback_font_are_drawn(monkeypatch):
    monkeypatch.setitem(mpl.rcParams, "font.family", ["DejaVu Sans Mono", "STIXGeneral"])
    only_in_the_second = next(
        chr(code)
        for code in mpl.font_manager.get_font(mpl.font_manager.findfont("STIXGeneral")).get_charmap()
        if code not in mpl.font_manager.get_font(mpl.font_manager.findfont("DejaVu Sans Mono")).get_charmap()
        and chr(code).isprintable()
    )
    assert only_in_the_second in labels(draw(plot_cost(frame([f"m{only_in_the_second}"]))))[0]
    monkeypatch.setitem(mpl.rcParams, "font.family", ["DejaVu Sans Mono"])
    assert labels(draw(plot_cost(frame([f"m{only_in_the_second}"])))) == ["m□"]


@pytest.mark.parametrize("plot", [plot_cost, plot_tokens])
def test_bars_can_be_drawn_on_a_logarithmic_scale(plot):
    axes = plot(frame(["a", "b"], total_cost=[1.0, 100.0]))
    axes.set_xscale("log")
    low, high = draw(axes).get_xlim()
    assert 1 < high / low < 1_000


def test_tokens_have_four_parts_that_add_up():
    axes = draw(plot_tokens(frame(["a"])))
    assert [bar.get_width() for bar in axes.patches] == [60, 40, 40, 10]
    assert draw(plot_tokens(frame(["a"]), freq="D")).get_ylabel() == "Native tokens"
    by_model = plot_tokens(frame(["a", "b"]), by="model", freq="M")
    assert [text.get_text() for text in by_model.get_legend().get_texts()] == ["a", "b"]


@pytest.mark.parametrize("freq", [None, "D"])
def test_unknown_tokens_are_not_drawn_as_0(freq):
    unknown = {f"native_tokens_{name}": [None] for name in ("prompt", "completion", "cached", "reasoning")}
    axes = plot_tokens(frame("a", **unknown), freq=freq)
    assert [text.get_text() for text in axes.texts] == ["No generations with known tokens"]


@pytest.mark.parametrize("options", [{}, {"freq": "M"}, {"by": "model", "freq": "M"}])
def test_titles_have_the_total_of_the_reports(options):
    # A prompt whose completion is unknown is in no total.
    df = frame(["a", "b"], native_tokens_completion=[50, None])
    assert df["tokens_total"].sum() == 150
    assert draw(plot_tokens(df, **options)).get_title(loc="left").endswith(": 150")


def test_latency_tells_streamed_from_others_on_a_log_axis():
    axes = draw(plot_latency(frame(["a"] * 10)))
    assert axes.get_xscale() == "log"
    dots = [line.get_xdata()[0] for line in axes.lines if line.get_marker() in ("o", "s")]
    assert dots == [np.median(np.arange(1, 11, 2) * 100), np.median(np.arange(2, 11, 2) * 100)]
    assert [text.get_text() for text in axes.get_legend().get_texts()] == [
        "Streamed: first token",
        "Not streamed: complete response",
    ]
    over_time = draw(plot_latency(frame(["a"] * 10), freq="D"))
    assert [text.get_text() for text in over_time.get_legend().get_texts()] == ["p50 (median)", "p90", "p95", "p99"]
    assert over_time.get_yscale() == "log"
    by_model = draw(plot_latency(frame(["a", "b"] * 5, streamed=[True] * 10), by="model", freq="W"))
    assert len({line.get_color() for line in by_model.lines}) == 2


@pytest.mark.parametrize("plot", PLOTS)
@pytest.mark.parametrize("freq", [None, "D"])
def test_nothing_to_show_is_said(plot, freq):
    empty = frame([])
    failed = build_frame(["gen-1"], [], {"gen-1": FetchOutcome("not_found", 404, 1, "no")})
    unknown = frame(["a"], total_cost=[None], latency=[None], native_tokens_prompt=[None])
    for df in (empty, failed, unknown):
        axes = draw(plot(df, freq=freq))
        texts = [text.get_text() for text in axes.texts]
        if plot is not plot_tokens or df is not unknown:
            assert texts == [f"No generations with known {plot.__name__.removeprefix('plot_')}"]


@pytest.mark.parametrize("plot", PLOTS)
@pytest.mark.parametrize("freq", [None, "W"])
def test_hostile_names_draw_without_a_warning(plot, freq):
    df = frame(HOSTILE, streamed=[True] * len(HOSTILE))
    assert draw(plot(df, by="model", freq=freq)).has_data()


@pytest.mark.parametrize("plot", PLOTS)
def test_all_costs_zero_and_one_row(plot):
    axes = draw(plot(frame(["a"], total_cost=[0.0], latency=[0.0])))
    assert axes.has_data() or axes.texts


@pytest.mark.parametrize("plot", PLOTS)
def test_wrong_arguments_name_what_is_near(plot):
    df = frame(["a"])
    with pytest.raises(ConfigError, match="Did you mean 'model'"):
        plot(df, by="modle")
    with pytest.raises(ConfigError, match="Europe/Berlin"):
        plot(df, tz="Europe/Berlon")
    with pytest.raises(ConfigError, match="hour, day"):
        plot(df, freq="fortnight")


@pytest.mark.parametrize("plot", PLOTS)
def test_settings_and_given_axes_stay_as_they_are(plot):
    before = dict(mpl.rcParams)
    figure, axes = plt.subplots()
    assert plot(frame(["a", "b"]), ax=axes) is axes
    assert dict(mpl.rcParams) == before
    assert figure.patch.get_alpha() is None
    assert plot(frame(["a"])).figure.patch.get_alpha() == 0.0
    assert len(plt.get_fignums()) == 2


@pytest.mark.parametrize("plot", PLOTS)
def test_only_one_plain_axes_is_accepted(plot):
    for other in (plt.figure(), plt.subplots(1, 2)[1], plt.subplot(projection="polar")):
        with pytest.raises(ConfigError, match=r"ax must be a Matplotlib Axes .*pass one at a time"):
            plot(frame(["a"]), ax=other)


def test_few_ticks_fit_any_range_of_time():
    for seconds in (90, 7_000, 40 * 3600, 60 * 86_400, 395 * 86_400, 729 * 86_400):
        figure, axes = plt.subplots(figsize=(2, 2))
        axes.plot(pd.to_datetime([1.76e9, 1.76e9 + seconds], unit="s"), [0, 1])
        dates(axes, None, offsets=False)
        figure.canvas.draw()  # matplotlib would warn


def test_text_reads_on_white_and_on_black():
    def luminance(colour):
        parts = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in mpl.colors.to_rgb(colour)]
        return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]

    axes = draw(plot_cost(frame(["a"])))
    for text in (*axes.get_yticklabels(), *axes.texts, axes.xaxis.label):
        grey = luminance(text.get_color())
        assert 1.05 / (grey + 0.05) >= 4.5
        assert (grey + 0.05) / 0.05 >= 4.5
    assert len({*COLOURS, OTHER_COLOUR}) == len(COLOURS) + 1


def test_without_matplotlib_the_extra_is_named(monkeypatch):
    real = builtins.__import__

    def without(name, *args, **kwargs):
        if name.startswith("matplotlib"):
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MissingExtraError, match=r"orstats\[plot\]"):
        plot_cost(frame(["a"]))


def test_index_may_repeat():
    df = frame(["a", "b"])
    with pytest.warns(DuplicateIdsWarning, match="2 rows repeat"):
        draw(plot_latency(pd.concat([df, df])))


@pytest.mark.parametrize("freq", [None, "W"])
def test_cost_of_a_usage_report_is_drawn_in_its_groups_and_periods(freq):
    until = datetime.now(UTC)
    with SimServer(300) as sim:
        report = orstats.usage("api_key", freq=freq, start=until - timedelta(days=40), end=until, client=sim.client())
    axes = orstats.plot_cost(report)
    heights = [bar.get_height() if freq else bar.get_width() for bar in axes.patches]
    assert sum(heights) == pytest.approx(report["cost_usd"].sum())
    assert orstats.plot_cost(report, by="api_key").get_title() == axes.get_title()
    with pytest.raises(ConfigError, match="Did you mean 'api_key'"):
        orstats.plot_cost(report, by="api_keys")


def test_report_without_periods_says_how_to_get_them():
    with SimServer(50) as sim:
        report = orstats.cost_by(orstats.fetch(sim.ids, client=sim.client(), archive=False))
    assert len(orstats.plot_cost(report).patches) > 1
    with pytest.raises(ConfigError, match="no periods"):
        orstats.plot_cost(report, freq="D")


@pytest.mark.parametrize("freq", [None, "D"])
def test_negative_amounts_hide_no_others(freq):
    axes = draw(
        plot_cost(frame("abcd", total_cost=[3.0, -2.0, 1.0, -1.0], created_at=["2026-03-01T10:00:00Z"] * 4), freq=freq)
    )
    if freq is None:
        assert [bar.get_width() for bar in axes.patches] == [3.0, 1.0, -1.0, -2.0]
    else:
        assert [(bar.get_y(), bar.get_height()) for bar in axes.patches] == [(0, 3), (3, 1), (0, -1), (-1, -2)]


@pytest.mark.parametrize("latency", [[2180.0], [2180.0, 2200.0], [70_000.0, 200_000.0], [1.0, 9e6]])
def test_latency_axis_has_ticks_in_common_units(latency):
    df = frame(["a"] * len(latency), latency=latency, streamed=[True] * len(latency))
    for axis in (draw(plot_latency(df)).xaxis, draw(plot_latency(df, freq="D")).yaxis):
        low, high = axis.get_view_interval()
        shown = [tick for tick in axis.get_ticklocs() if low <= tick <= high]
        assert len(shown) >= 2
        assert max(len(axis.get_major_formatter()(tick, 0)) for tick in shown) <= len("2.5 min")


def test_titles_and_labels_name_columns_in_words():
    axes = plot_cost(frame(["a"], provider_name=["X"], external_user=["u"]), by=["provider_name", "external_user"])
    assert axes.get_title("left").startswith("Cost by provider and user: $1")
    assert axes.get_xlabel() == "Cost (USD)"
    lines = plot_latency(frame(["a"], streamed=[True]), by="is_byok", freq="D")
    assert lines.get_title("left").replace("\n", " ") == "Median latency per day by BYOK (streamed generations)"
    assert lines.get_ylabel() == "Time to first token"


def test_incomplete_periods_are_hatched_and_named():
    created = ["2026-03-01T09:12:00Z", "2026-03-02T12:00:00Z", "2026-03-03T23:50:00Z"]
    df = frame(["a"] * 3, created_at=created, streamed=[True] * 3)
    for axes in (
        plot_cost(df, freq="D"),
        plot_cost(orstats.cost_by(df, freq="D")),
        plot_tokens(df, by="model", freq="D"),
    ):
        assert [bar.get_hatch() for bar in draw(axes).patches] == ["////", None, None]
        assert "Hatched: may be incomplete (first record 09:12)" in axes.get_xlabel().replace("\n", " ")
    lines = draw(plot_latency(df, freq="D"))
    assert sum(line.get_fillstyle() == "none" for line in lines.lines) == 4
    df.attrs |= {"since": "2026-03-01T09:00:00Z", "until": "2026-03-03T23:00:00Z"}
    note = "Hatched: incomplete (first day from 09:00, last day until 23:00)"
    assert note in plot_cost(df, freq="D").get_xlabel().replace("\n", " ")
