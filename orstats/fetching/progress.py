"""The progress bar of long calls."""

from __future__ import annotations

from types import TracebackType
from typing import Any, Final, Self

from orstats.api.clock import SYSTEM_CLOCK, Clock

_REFRESH_S: Final = 0.1


class Progress:
    """A tqdm bar that is cheap to update. In a notebook it is a widget.

    ``visible`` None shows it when stderr is a terminal or in a notebook; ``options`` are those of tqdm.
    """

    def __init__(self, total: int, visible: bool | None, clock: Clock = SYSTEM_CLOCK, **options: Any) -> None:
        self._total = total
        self._visible = visible
        self._clock = clock
        self._options = options
        self._next = 0.0
        self._bar: Any = None

    def __enter__(self) -> Self:
        if self._visible is not False:
            from tqdm.auto import tqdm  # noqa: PLC0415 - it loads asyncio and, in a notebook, widgets

            disable = None if self._visible is None else False
            self._bar = tqdm(total=self._total, desc="orstats", leave=True, disable=disable, **self._options)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        if self._bar is not None:
            self._bar.close()

    def show(self, done: int, **counts: int | str) -> None:
        """Update the bar, at most ten times a second, and always at the end; counts of 0 are not shown."""
        now = self._clock.monotonic()
        if self._bar is None or (now < self._next and done < self._total):
            return
        self._next = now + _REFRESH_S
        self._bar.set_postfix({name: count for name, count in counts.items() if count}, refresh=False)
        self._bar.update(done - self._bar.n)
