"""The style of plots, applied to the given axes without changing matplotlib's settings.

The background is transparent, and text and lines are of a grey that is readable on white and on black, so that a plot
looks right in light and dark notebooks. Names, titles and ticks take no more room than the axes have: neighbours in a
figure of several plots never overlap. The colours, a selection from Okabe and Ito (https://jfly.uni-koeln.de/color/),
can be distinguished by colour-blind readers; yellow is too pale on white.
"""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import wrap
from typing import TYPE_CHECKING, Any, Final, Literal

from orstats.errors import ConfigError, MissingExtraError
from orstats.text.sanitize import display_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: Colours of groups in their order; no more can be distinguished.
COLOURS: Final = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00")
#: Colour of all other groups.
OTHER_COLOUR: Final = "#999999"
#: Colour of text and lines: contrast 4.5 on white, 4.6 on black.
INK: Final = "#767676"
#: Colour of the ticks of the x axis. In a dark notebook IPython puts a white box behind a transparent plot if all tick
#: labels are darker than middle grey (``matplotlib_inline``, ``_fetch_figure_metadata``); these are just lighter.
TICK_INK: Final = "#808080"

#: Width of a character in inches: in the small font, in labels, and in the bold font of titles.
_SMALL_INCHES, _LABEL_INCHES, _BOLD_INCHES = 0.085, 0.09, 0.105
#: Height of a row with its name.
_ROW_INCHES: Final = 0.22
#: In narrower axes a legend to the right of the data would leave too little room.
_NARROW_INCHES: Final = 6.0
_FEW_GROUPS: Final = 4
_BAR_INCHES: Final = 0.3
#: Share of the height of a row for its text, and the smallest legible text, in points.
_TEXT_SHARE: Final = 0.62
_LEAST_POINTS: Final = 4.0
#: From the axes down to a legend below them: the height of ticks and axis label.
_BELOW_INCHES: Final = 0.45
_LINE_INCHES: Final = 0.17
#: Height of title, ticks, label and legend in given axes.
_AROUND_INCHES: Final = 1.0
_TITLE_INCHES: Final = 0.45
#: Largest share of the width of axes for the names of rows, or for a legend.
_NAMES_SHARE: Final = 0.4
_WIDTH_INCHES: Final = 8.0
#: The smallest readable plots: their width, and their height with a legend below or to the right.
_LEAST_WIDTH_INCHES, _LEAST_HEIGHT_INCHES, _LEAST_HEIGHT_WIDE_INCHES = 3.2, 3.4, 2.4


def check_axes(ax: Axes | None) -> None:
    """Refuse what is not one Axes with a plain x and y axis, such as all that ``plt.subplots`` returns.

    A figure of the default size is enlarged, if its plots are too many to be readable in it.
    """
    if ax is not None and getattr(ax, "name", None) != "rectilinear":
        kind = getattr(ax, "name", None) or type(ax).__name__
        raise ConfigError(
            f"ax must be a Matplotlib Axes with a plain x and y axis, got {kind}. Of several axes, pass one at a time."
        )
    if ax is not None:
        _grow(ax)


def new_axes(ax: Axes | None, *, rows: float | None = None) -> Axes:
    """Return the given axes, styled, or new ones in a figure that is high enough for its rows."""
    try:
        from matplotlib import pyplot as plt  # noqa: PLC0415 - an extra, and slow to load
    except ImportError as error:
        raise MissingExtraError("Plotting", extra="plot") from error
    if ax is None:
        height = 4.0 if rows is None else max(1.8, 1.1 + _BAR_INCHES * rows)
        figure, ax = plt.subplots(figsize=(_WIDTH_INCHES, height), layout="constrained")
        figure.patch.set_alpha(0.0)
        ax.patch.set_alpha(0.0)
    elif _figure(ax).get_layout_engine() is None:
        _figure(ax).set_layout_engine("constrained")  # else legends and names would overlap the neighbouring axes
    for side in ("top", "right"):
        ax.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        ax.spines[side].set_color(INK)
    ax.tick_params(which="both", colors=INK, labelcolor=INK)
    ax.tick_params(axis="x", labelcolor=TICK_INK)
    ax.set_axisbelow(True)
    return ax


def _grow(ax: Axes) -> None:
    from matplotlib import rcParams  # noqa: PLC0415 - an extra

    figure, place = _figure(ax), ax.get_subplotspec()
    size = tuple(figure.get_size_inches())
    if place is None or size != tuple(rcParams["figure.figsize"]):
        return
    grid = place.get_gridspec()
    across = max(size[0], grid.ncols * _LEAST_WIDTH_INCHES)
    least = _LEAST_HEIGHT_INCHES if across / grid.ncols < _NARROW_INCHES else _LEAST_HEIGHT_WIDE_INCHES
    figure.set_size_inches(across, max(size[1], grid.nrows * least))


def _figure(ax: Axes) -> Figure:
    figure = ax.get_figure(root=True)
    assert figure is not None
    return figure


def width(ax: Axes) -> float:
    """Return the width of axes in their figure, including the names of rows, in inches."""
    inches = float(_figure(ax).get_figwidth())
    place = ax.get_subplotspec()
    if place is None:
        return inches * float(ax.get_position().width)
    return inches * len(place.colspan) / place.get_gridspec().ncols


def inside(ax: Axes) -> float:
    """Return the width of axes without the names of rows or a legend beside them, in inches."""
    return width(ax) * (1 - _NAMES_SHARE)


def shortened(ax: Axes, names: Sequence[str], share: float) -> list[str]:
    """Shorten names in the middle to fit into a share of the width of axes."""
    most = max(8, int(width(ax) * share / _SMALL_INCHES))
    return [printable(display_text(name, most)) for name in names]


def title(ax: Axes, text: str) -> None:
    """Set the title, wrapped to the width of the axes."""
    lines = wrap(printable(text), max(16, int(inside(ax) / _BOLD_INCHES)))
    ax.set_title("\n".join(lines), loc="left", color=INK, fontsize="medium", fontweight="bold", parse_math=False)


def room_for(ax: Axes, texts: Sequence[str]) -> float:
    """Return the factor by which the x axis must exceed its data, so that texts beside the bars stay inside."""
    part = min(0.7, (max(map(len, texts), default=0) + 1) * _SMALL_INCHES / inside(ax))
    return 1 / (1 - part)


def most_rows(ax: Axes | None, most: int) -> int:
    """Return how many rows with names fit into given axes, up to ``most``; new figures grow with their rows."""
    if ax is None:
        return most
    inches = float(_figure(ax).get_figheight()) * float(ax.get_position().height)
    return max(3, min(most, int((inches - _AROUND_INCHES) / _ROW_INCHES)))


def fit_rows(ax: Axes, rows: int) -> None:
    """Shrink the text of rows that given axes are too low for."""
    inches = float(_figure(ax).get_figheight()) * float(ax.get_position().height) - _TITLE_INCHES
    if inches < rows * _ROW_INCHES:
        points = max(_LEAST_POINTS, inches / rows * 72 * _TEXT_SHARE)
        for text in (*ax.texts, *ax.get_yticklabels()):
            text.set_fontsize(min(points, text.get_fontsize()))


def is_narrow(ax: Axes | None) -> bool:
    """Whether given axes have little room for names; new figures have enough."""
    return ax is not None and width(ax) < _NARROW_INCHES


def most_groups(ax: Axes | None, most: int) -> int:
    """Return how many groups fit into a legend, up to ``most``."""
    return min(most, _FEW_GROUPS) if is_narrow(ax) else most


def x_label(ax: Axes, text: str) -> None:
    """Label the x axis, wrapped to its width."""
    lines = wrap(printable(text), max(16, int(0.75 * width(ax) / _LABEL_INCHES)))
    ax.set_xlabel("\n".join(lines), color=INK, parse_math=False, loc="left", fontsize="small")


def empty(ax: Axes, value: str) -> Axes:
    """Make axes that say that there is nothing to show: no generation has a known value."""
    ax.text(0.5, 0.5, f"No generations with known {value}", transform=ax.transAxes, ha="center", va="center", color=INK)
    ax.set_xticks([])
    ax.set_yticks([])
    for spine in ax.spines.values():
        spine.set_visible(False)
    return ax


def end_bars_at(ax: Axes, value: float) -> None:
    """Let the axis of horizontal bars reach to a value. With fixed limits, a logarithmic scale could not be set."""
    ax.margins(x=0)
    ax.update_datalim([(value, 0)])


def name_rows(ax: Axes, names: Sequence[str]) -> None:
    """Label horizontal bars, the first on top."""
    ax.set_yticks(range(len(names)), labels=shortened(ax, names, _NAMES_SHARE), parse_math=False)
    ax.tick_params(axis="y", length=0)
    ax.set_ylim(len(names) - 0.4, -0.6)
    ax.spines["left"].set_visible(False)


def write_beside(ax: Axes, ends: Sequence[float], texts: Sequence[str]) -> None:
    """Write a text to the right of each horizontal bar."""
    for row, (end, text) in enumerate(zip(ends, texts, strict=True)):
        ax.annotate(
            text,
            (max(end, 0.0), row),
            xytext=(4, 0),
            textcoords="offset points",
            va="center",
            color=INK,
            fontsize="small",
            parse_math=False,
        )


def _below(ax: Axes) -> Any:
    """Return coordinates that start below the ticks and the label of the x axis, whatever size the axes get."""
    from matplotlib.transforms import ScaledTranslation  # noqa: PLC0415 - an extra

    inches = _BELOW_INCHES + _LINE_INCHES * ax.get_xlabel().count("\n") + ax.xaxis.labelpad / 72
    return ax.transAxes + ScaledTranslation(0.0, -inches, _figure(ax).dpi_scale_trans)


def legend(ax: Axes, names: Sequence[str], colours: Sequence[str], *, below: bool = False) -> None:
    """Put a legend of coloured squares beside the axes, or below them, where it covers no data."""
    from matplotlib.patches import Patch  # noqa: PLC0415 - an extra

    # matplotlib omits labels that begin with an underscore.
    labels = [f" {name}" if name.startswith("_") else name for name in shortened(ax, names, _NAMES_SHARE)]
    below = below or width(ax) < _NARROW_INCHES
    per_row = max(1, int(inside(ax) / ((max(map(len, labels)) + 6) * _SMALL_INCHES)))
    box = ax.legend(
        handles=[Patch(color=colour) for colour in colours],
        labels=labels,
        loc="upper left",
        bbox_to_anchor=(0.0, 0.0) if below else (1.0, 1.0),
        bbox_transform=_below(ax) if below else ax.transAxes,
        ncols=min(per_row, len(labels)) if below else 1,
        frameon=False,
        labelcolor=INK,
        fontsize="small" if width(ax) >= _NARROW_INCHES else "x-small",
    )
    for text in box.get_texts():
        text.set_parse_math(False)


def colours(count: int, *, folded: bool) -> list[str]:
    """Return a colour for each group; the last is that of all other groups if some are folded.

    >>> len(set(colours(7, folded=False)))
    7
    """
    chosen = [*COLOURS, OTHER_COLOUR][:count]
    if folded:
        chosen[-1] = OTHER_COLOUR
    return chosen


def grid(ax: Axes, axis: Literal["x", "y"]) -> None:
    """Draw light lines across one axis."""
    ax.grid(visible=True, axis=axis, color=INK, alpha=0.25, linewidth=0.6)


def printable(text: str) -> str:
    """Replace characters that no font in use has by squares; matplotlib would warn of each."""
    if text.isascii():
        return text
    from matplotlib.font_manager import FontProperties, findfont, get_font  # noqa: PLC0415 - an extra

    # As matplotlib does: each family is one font, and what the first font does not have is drawn with the next.
    fonts = {findfont(FontProperties(family=[family])) for family in FontProperties().get_family()}
    known = set().union(*(get_font(font).get_charmap() for font in fonts))
    return "".join(character if ord(character) in known else "□" for character in text)
