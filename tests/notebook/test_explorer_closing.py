"""Widgets that are no longer shown leave memory."""

import ipywidgets as widgets
from explorer_actions import fill_in, press, shown

from orstats.content.generation import Generation
from orstats.notebook.cell import CellRun, running_cell
from orstats.notebook.comparison import ComparisonView
from orstats.notebook.explorer import Explorer, explore


def test_widgets_no_longer_shown_are_closed(one, sim, monkeypatch):
    """With their layouts and styles, in the kernel and in the browser."""

    def alive():
        return len(widgets.Widget.get_manager_state()["state"])

    first, second = [i for i in sim.ids if sim.content_reason(i) == "stored"][:2]
    one.selected = first
    at_rest = alive()
    for _ in range(3):
        one.selected = second
        shown(one).load_content()
        one.selected = first
    assert alive() == at_rest
    left, load = shown(one), Generation.content

    def load_slowly(generation):
        one.selected = second
        return load(generation)

    monkeypatch.setattr(Generation, "content", load_slowly)
    left.load_content()  # the content arrives after another row was selected
    assert left.content is not None
    assert alive() == at_rest


def test_closing_leaves_no_widget_and_no_rows(df, sim):
    before = set(widgets.Widget.get_manager_state()["state"])
    one = explore(df, client=sim.client())
    fill_in(one, status="fetched")
    press(one, "next")
    press(one, "keep")
    press(one, "next")
    press(one, "compare")
    assert isinstance(shown(one), ComparisonView)
    one.close()
    one.close()
    assert set(widgets.Widget.get_manager_state()["state"]) == before
    assert len(one.filtered) == 0
    assert repr(one) == f"Explorer(0 of 0 generations, selected {one.selected!r})"


def test_running_a_cell_again_closes_its_earlier_explorers(df, monkeypatch):
    cell = ["cell-1", 1]
    monkeypatch.setattr("orstats.notebook.cell.running_cell", lambda: CellRun(*cell))
    first, second = Explorer(df), Explorer(df)  # two in one cell
    cell[0] = "cell-2"
    other = Explorer(df)
    cell[:] = "cell-1", 2
    again = Explorer(df)
    assert [one.comm is None for one in (first, second, other, again)] == [True, True, False, False]


def test_outside_a_notebook_nothing_is_closed(df):
    assert running_cell() is None
    first = Explorer(df)
    Explorer(df)
    assert first.comm is not None
