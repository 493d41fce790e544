"""The progress bar of long calls."""

from __future__ import annotations

import logging
import os
import sys
from types import TracebackType
from typing import Any, Final, Self

from orstats.api.clock import SYSTEM_CLOCK, Clock

#: Reports the progress where no bar can be shown, such as in cron jobs, containers and pipes.
log = logging.getLogger("orstats.progress")

_REFRESH_S: Final = 0.1
#: Without a bar: the wait for a first result that is reported, and the time between two reports, in seconds.
_STALLED_S: Final = 1.0
_REPORT_S: Final = 30.0
#: The rate is last: in a narrow terminal tqdm cuts the end of the line, and a count without its last digits is wrong.
_FORMAT: Final = "{desc}: {percentage:3.0f}%|{bar}| {n_fmt}/{total_fmt}{postfix} [{elapsed}<{remaining}, {rate_fmt}]"


class Progress:
    """A tqdm bar that is cheap to update. In a notebook it is a widget.

    ``visible`` None shows it when stderr is a terminal or in a notebook; ``options`` are those of tqdm. Where it is not
    shown, the log ``orstats.progress`` has a line as soon as requests are retried without a result, then every 30 s.
    """

    def __init__(self, total: int, visible: bool | None, clock: Clock = SYSTEM_CLOCK, **options: Any) -> None:
        self._total = total
        self._visible = visible
        self._clock = clock
        self._options = options
        self._next = 0.0
        self._done = 0
        self._advanced_at = self._reported_at = clock.monotonic()
        self._has_reported = False
        self._bar: Any = None
        self._widget: Any = None

    def __enter__(self) -> Self:
        if self._visible is not False:
            from tqdm.auto import tqdm  # noqa: PLC0415 - it loads asyncio and, in a notebook, widgets

            disable = None if self._visible is None else False
            options = {"bar_format": _FORMAT, **_usual_size(), **self._options}
            if any(base.__module__ == "tqdm.notebook" for base in tqdm.__mro__):
                options["display"] = False
            self._bar = tqdm(total=self._total, desc="orstats", leave=True, disable=disable, **options)
            if "display" in options and not self._bar.disable:
                from IPython.display import display  # noqa: PLC0415 - only there in a notebook

                self._widget = display(self._bar.container, display_id=True)  # type: ignore[no-untyped-call]
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        if self._bar is not None:
            self._bar.close()
        if self._widget is not None:
            # Exports and other pages without the widget's state show its text, which is that of the last display.
            self._widget.update(self._bar.container)

    def show(self, done: int, *, waiting_for: object = None, wait: float = 0.0, **counts: int | str) -> None:
        """Update the bar, at most ten times a second, and always at the end; counts of 0 are not shown.

        ``waiting_for`` is the latest error that is retried, shown while no result arrives; ``wait`` the seconds until
        the next call.
        """
        now = self._clock.monotonic()
        if self._bar is None or (now + wait < self._next and done < self._total):
            return
        self._next = now + _REFRESH_S
        if done != self._done:
            self._done, self._advanced_at = done, now
        is_stalled = waiting_for is not None and now + wait - self._advanced_at >= _STALLED_S
        if self._bar.disable:
            self._report(done, now, wait, waiting_for, is_stalled=is_stalled)
            return
        shown = [f"{name}={count}" for name, count in counts.items() if count]
        if is_stalled:
            shown.append(_reason(waiting_for))
        self._bar.set_postfix_str(", ".join(shown), refresh=False)
        self._bar.update(done - self._bar.n)
        if is_stalled:
            self._bar.refresh()  # without a new result, update shows nothing

    def _report(self, done: int, now: float, wait: float, waiting_for: object, *, is_stalled: bool) -> None:
        is_first = is_stalled and not self._has_reported
        if done >= self._total or not (is_first or now + wait - self._reported_at >= _REPORT_S):
            return
        self._has_reported, self._reported_at = True, now + wait
        share = (
            f"{done:,} of {self._total:,} {self._options['unit']}s"
            if "unit" in self._options
            else (f"{done / self._total:.0%} of the time range")
        )
        waiting = f"; retrying after: {waiting_for}" if is_stalled else ""
        log.info("%s done%s", share, waiting)


def _reason(error: object) -> str:
    """Return what the errors of all ids have in common, in a few words."""
    if status := getattr(error, "status", None):
        return f"HTTP {status}"
    text = str(error)
    return text.partition(": ")[2].rstrip(".") or text


def _usual_size() -> dict[str, int]:
    """Return a size for a terminal that does not say its own, for which tqdm shows nothing."""
    try:
        width, height = os.get_terminal_size(sys.stderr.fileno())
    except (AttributeError, OSError, ValueError):  # no terminal, or one without a file
        return {}
    return {} if width and height else {"ncols": width or 80, "nrows": height or 24}
