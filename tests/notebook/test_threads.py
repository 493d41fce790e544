"""JupyterLab handles clicks and typed values in two threads of the kernel: their results must not mix."""

import threading

import pytest

import orstats
from orstats.notebook.explorer import explore
from orstats.notebook.table_model import TableModel

PATIENCE_S = 0.5


@pytest.fixture(scope="module")
def df():
    with orstats.sim.SimServer(60, seed=3) as sim:
        yield orstats.fetch(sim.ids, client=sim.client(), progress=False)


def browser(explorer, message):
    """Handle a message as ipywidgets does when it arrives."""
    explorer.table._handle_custom_msg(message, [])


def test_a_click_and_typing_at_the_same_time_do_not_mix(df, monkeypatch):
    one = explore(df)
    clicked, typed = threading.Event(), threading.Event()
    real = TableModel.positions

    def slow(*args, **options):
        if threading.current_thread() is click:  # in the middle of it, after the totals
            clicked.set()
            typed.wait(PATIENCE_S)
        return real(*args, **options)

    monkeypatch.setattr(TableModel, "positions", slow)
    click = threading.Thread(target=lambda: browser(one, {"type": "clear"}))

    def type_it():
        clicked.wait()
        browser(one, {"type": "filter", "inputs": {"text": "nothing has this"}})
        typed.set()

    typing = threading.Thread(target=type_it)
    for thread in (click, typing):
        thread.start()
    for thread in (click, typing):
        thread.join()
    assert one.table.summary["figures"] == [("0", "of 60 generations")]
    assert one.table.page["rows"] == []
    assert len(one.filtered) == 0
    assert not one.table.marks["has_next"]
