"""The progress bar of a fetch: done, ok, failed, from the archive, tried again, rate and time left."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Any, Final, Self

_REFRESH_S: Final = 0.1


class Progress:
    """A tqdm bar that is cheap to feed. In a notebook it is a widget."""

    def __init__(self, total: int, archived: int, visible: bool | None) -> None:
        self._total, self._archived = total, archived
        self._disable = None if visible is None else not visible
        self._ok = self._failed = self._shown = 0
        self._next = 0.0
        self._bar: Any = None

    def __enter__(self) -> Self:
        if self._disable is not True:
            from tqdm.auto import tqdm  # noqa: PLC0415 - it loads asyncio and, in a notebook, widgets

            self._bar = tqdm(
                total=self._total, initial=self._archived, disable=self._disable, unit="id", desc="orstats", leave=True
            )
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        if self._bar is not None:
            self._bar.close()

    def add(self, *, ok: bool) -> None:
        """Count one id that is done."""
        self._ok += ok
        self._failed += not ok

    def show(self, retries: int) -> None:
        """Bring the bar up to date, at most ten times a second, and always with the last id."""
        done = self._ok + self._failed
        now = time.monotonic()
        if self._bar is None or (now < self._next and done + self._archived < self._total):
            return
        self._next = now + _REFRESH_S
        counts = {"ok": self._ok, "failed": self._failed, "archived": self._archived, "retries": retries}
        self._bar.set_postfix({k: v for k, v in counts.items() if v}, refresh=False)
        self._bar.update(done - self._shown)
        self._shown = done
