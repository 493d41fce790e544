import io
import itertools

import matplotlib as mpl
import pandas as pd
import pytest

from orstats.errors import ConfigError
from orstats.plots.change import plot_change
from orstats.reports.compare import PARTS

mpl.use("Agg")
HOSTILE = ["<script>", "=cmd", "$\\frac{x$", "a\nb", "🦄 日本", "_hidden", "x" * 10_000, None]


@pytest.fixture(autouse=True)
def close():
    yield
    mpl.pyplot.close("all")


def compared(groups=4, *, names=None, before=10.0):
    """Half of the groups become more expensive, the others less; the last two are new and gone."""
    rows = []
    for at in range(groups):
        parts = [0.5 + at, -0.25, 0.125 * at, -at * 2.0 if at % 2 else at * 1.5]
        presence, cost = "both", before
        if groups > 2 and at >= groups - 2:
            presence, cost = ("new", 0.0) if at % 2 else ("gone", before)
            parts = [0.0, before if at % 2 else -before, 0.0, 0.0]
        change = sum(parts)
        rows.append([cost, cost + change, change, *parts, presence])
    index = pd.Index([f"vendor/model-{at}" for at in range(groups)] if names is None else names, name="model")
    return pd.DataFrame(rows, index, ["before_usd", "after_usd", "change_usd", *PARTS, "presence"])


def draw(axes):
    axes.figure.savefig(io.BytesIO(), format="png")
    return axes


def labels(axes):
    return [text.get_text() for text in axes.get_yticklabels()]


def test_steps_lead_from_the_cost_before_to_the_cost_after():
    df = compared()
    axes = draw(plot_change(df))
    assert labels(axes) == [
        "before",
        "volume (generations)",
        "mix (between groups)",
        "size (tokens each)",
        "price (per token)",
        "1 new group",
        "1 gone group",
        "after",
    ]
    before, *steps, after = [bar.get_width() for bar in axes.patches]
    assert before == df["before_usd"].sum()
    assert after == df["after_usd"].sum()
    assert sum(steps) == pytest.approx(df["change_usd"].sum())
    # One more, one fewer: the colours differ.
    colours = [mpl.colors.to_hex(bar.get_facecolor()) for bar in axes.patches]
    assert colours[0] == colours[-1] == "#0072b2"
    assert [colour == "#d55e00" for colour in colours[1:-1]] == [width > 0 for width in steps]


def test_steps_by_group_name_new_and_gone_groups():
    axes = draw(plot_change(compared(), by="group"))
    assert labels(axes) == ["before", "vendor/model-3 (new)", "vendor/model-0", "vendor/model-1", *labels(axes)[-2:]]
    assert labels(axes)[-2:] == ["vendor/model-2 (gone)", "after"]
    many = draw(plot_change(compared(40), by="group"))
    assert len(labels(many)) == 14
    assert labels(many)[-2:] == ["other (29 more)", "after"]


def test_an_axis_that_begins_above_0_says_so():
    axes = draw(plot_change(compared(2, before=1000.0)))
    lowest = axes.get_xlim()[0]
    assert lowest > 1900
    assert axes.get_xlabel() == f"Cost (USD); the axis begins at ${lowest:,.2f}"
    assert [text.get_text() for text in axes.texts].count("//") == 2
    ticks = [label.get_text() for label in axes.get_xticklabels()]
    assert len(set(ticks)) == len(ticks)


@pytest.mark.parametrize("by", ["cause", "group"])
def test_one_group_and_none(by):
    assert draw(plot_change(compared(1), by=by)).has_data()
    empty = draw(plot_change(compared(0), by=by))
    assert [text.get_text() for text in empty.texts] == ["No generations with known cost"]


@pytest.mark.parametrize("by", ["cause", "group"])
def test_hostile_names_draw_without_a_warning(by):
    assert draw(plot_change(compared(8, names=HOSTILE), by=by)).has_data()


@pytest.mark.parametrize("by", ["cause", "group"])
@pytest.mark.parametrize(
    ("rows", "columns", "size"), [(1, 2, (6.4, 4.8)), (2, 2, (6.4, 4.8)), (3, 1, (6.4, 4.8)), (1, 1, (14, 6))]
)
def test_labels_never_overlap(rows, columns, size, by):
    figure, grid = mpl.pyplot.subplots(rows, columns, figsize=size, squeeze=False)
    for axes in grid.flat:
        plot_change(
            compared(20, names=[f"a-vendor-with-a-long-name/model-{at}-instruct" for at in range(20)]), axes, by=by
        )
    figure.canvas.draw()
    boxes = [axes.get_tightbbox() for axes in grid.flat]
    assert not any(one.overlaps(two) for at, one in enumerate(boxes) for two in boxes[:at])
    for axes in grid.flat:
        for texts in (axes.get_yticklabels(), axes.texts):
            extents = [text.get_window_extent() for text in texts]
            assert all(upper.y0 >= lower.y1 - 2 for upper, lower in itertools.pairwise(extents))
        inside = axes.get_window_extent()
        assert all(text.get_window_extent().x1 <= inside.x1 + 1 for text in axes.texts)


def test_wrong_input_is_refused():
    with pytest.raises(ConfigError, match=r"orstats\.compare"):
        plot_change(pd.DataFrame({"cost_usd": [1.0]}))
    with pytest.raises(ConfigError, match="'cause' or 'group'"):
        plot_change(compared(), by="model")
