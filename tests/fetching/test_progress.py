"""How far a long call is: in a bar, and in the log where no bar can be shown."""

from __future__ import annotations

import io
import logging
import os
import sys

from orstats.errors import NoConnectionError, RateLimitError
from orstats.fetching.progress import Progress


class _Clock:
    now = 0.0

    def monotonic(self) -> float:
        return self.now


def _show(bar: Progress, clock: _Clock, seconds: range, done: int, error: object) -> None:
    for second in seconds:
        clock.now = float(second)
        bar.show(done, waiting_for=error, retries=3)


def test_a_stalled_call_is_reported_at_once_and_then_every_30_seconds(caplog, monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: False, raising=False)
    clock = _Clock()
    with caplog.at_level(logging.INFO, "orstats.progress"), Progress(1500, None, clock, unit="id") as bar:
        _show(bar, clock, range(1, 65), 1200, "connection refused")
    assert [record.getMessage() for record in caplog.records] == [
        "1,200 of 1,500 ids done; retrying after: connection refused"
    ] * 3


def test_a_call_that_advances_is_reported_every_30_seconds_only(caplog, monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: False, raising=False)
    clock = _Clock()
    with caplog.at_level(logging.INFO, "orstats.progress"), Progress(1500, None, clock, unit="id") as bar:
        for second in range(1, 65):
            _show(bar, clock, range(second, second + 1), second, "HTTP 429")
    assert [record.getMessage() for record in caplog.records] == ["30 of 1,500 ids done", "60 of 1,500 ids done"]


def test_the_wait_that_begins_counts(caplog, monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: False, raising=False)
    clock = _Clock()
    with caplog.at_level(logging.INFO, "orstats.progress"), Progress(1500, None, clock) as bar:
        bar.show(0, waiting_for="HTTP 503", wait=0.5)
        bar.show(0, waiting_for="HTTP 429", wait=45)
        clock.now = 45.0
        bar.show(0, waiting_for="HTTP 429", wait=10)
    assert [record.getMessage() for record in caplog.records] == ["0% of the time range done; retrying after: HTTP 429"]


def test_no_progress_means_no_report(caplog):
    clock = _Clock()
    with caplog.at_level(logging.INFO, "orstats.progress"), Progress(1500, False, clock, unit="id") as bar:
        _show(bar, clock, range(1, 65), 0, "connection refused")
    assert not caplog.records


def test_a_narrow_terminal_shows_complete_counts():
    terminal = io.StringIO()
    with Progress(1002, True, file=terminal, ncols=80, unit="id") as bar:
        bar.show(1002, ok=936, failed=2, archived=64)
    line = terminal.getvalue().rstrip().rpartition("\r")[2]
    assert len(line) <= 80
    assert "1002/1002, ok=936, failed=2, archived=64 [" in line


def test_the_bar_says_why_nothing_arrives():
    terminal, clock = io.StringIO(), _Clock()
    refused = NoConnectionError("No response for gen-1: no connection to x.test:443 (connection refused).")
    with Progress(9, True, clock, file=terminal, ncols=100, mininterval=0, unit="id") as bar:
        _show(bar, clock, range(1), 0, refused)
        first = terminal.getvalue()
        _show(bar, clock, range(1, 3), 0, refused)
        waiting = terminal.getvalue()[len(first) :]
        _show(bar, clock, range(3, 6), 4, RateLimitError("HTTP 429 for gen-1: slow down.", status=429))
        refusing = terminal.getvalue()[len(first + waiting) :]
        _show(bar, clock, range(6, 7), 5, refused)
    going_on = terminal.getvalue().rpartition("\r")[2]
    assert "x.test" not in first
    assert "0/9, retries=3, no connection to x.test:443 (connection refused) [" in waiting
    assert "4/9, retries=3, HTTP 429 [" in refusing
    assert "5/9, retries=3 [" in going_on


def test_a_terminal_without_a_width_shows_the_bar(monkeypatch):
    monkeypatch.setattr(os, "get_terminal_size", lambda _: os.terminal_size((0, 0)))
    monkeypatch.setattr(sys, "stderr", io.TextIOWrapper(io.BytesIO(), "utf-8"))
    monkeypatch.setattr(sys.stderr, "fileno", lambda: 2, raising=False)
    with Progress(9, True, unit="id") as bar:
        bar.show(9, ok=9)
    sys.stderr.seek(0)
    assert "9/9, ok=9 [" in sys.stderr.read()
