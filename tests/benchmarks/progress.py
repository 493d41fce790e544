"""Progress of the benchmarks, on standard error: what is being measured, and since when."""

from __future__ import annotations

import sys
import time

_STARTED = time.monotonic()


def progress(text: str) -> None:
    """Print one line with the minutes since the benchmark began."""
    minutes, seconds = divmod(int(time.monotonic() - _STARTED), 60)
    print(f"  [{minutes}:{seconds:02d}] {text}", file=sys.stderr, flush=True)
