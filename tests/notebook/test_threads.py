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
    click = threading.Thread(target=one.controls.clear.click)

    def type_it():
        clicked.wait()
        one.controls.text.value = "nothing has this"
        typed.set()

    typing = threading.Thread(target=type_it)
    for thread in (click, typing):
        thread.start()
    for thread in (click, typing):
        thread.join()
    assert "<b>0</b> <span>of 60 generations" in one.totals.value
    assert "No generations match the filters." in one.table.html.value
    assert len(one.filtered) == 0
    assert one.next.disabled
