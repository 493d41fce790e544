"""Signals that end the program like Ctrl-C, and their exit codes."""

from __future__ import annotations

import signal
from types import FrameType
from typing import NoReturn


class Terminated(KeyboardInterrupt):
    """SIGTERM or SIGHUP, handled like Ctrl-C."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number


def exit_code(interrupt: BaseException | None) -> int:
    """Return 128 plus the number of the signal that interrupted the program, as shells do."""
    return 128 + (interrupt.number if isinstance(interrupt, Terminated) else signal.SIGINT)


def handle_signals() -> None:
    """Handle SIGTERM and SIGHUP like Ctrl-C, unless the parent process (nohup) has set them to be ignored."""

    def end(number: int, _frame: FrameType | None) -> NoReturn:
        raise Terminated(number)

    for name in ("SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)  # Windows has no SIGHUP
        if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, end)
