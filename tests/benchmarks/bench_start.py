"""What it takes to begin: ``import orstats`` beside ``import pandas, requests``, and ``orstats --help``."""

from __future__ import annotations

import resource
import statistics
import subprocess
import sys
from pathlib import Path


def cpu(*command: str) -> float:
    """Return the median CPU seconds of seven runs."""
    times = []
    for _ in range(7):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        times.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return statistics.median(times)


if __name__ == "__main__":
    both = cpu(sys.executable, "-c", "import pandas, requests")
    alone = cpu(sys.executable, "-c", "import orstats")
    fetch = cpu(sys.executable, "-c", "import orstats; orstats.fetch")
    teach = cpu(str(Path(sys.executable).parent / "orstats"), "--help")
    print(f"import pandas, requests: {both:.2f} s of CPU")
    print(f"import orstats:          {alone:.2f} s, {alone / both:.2f} of it (<= 1.15)")
    print(f"with fetch loaded:       {fetch:.2f} s, {fetch / both:.2f} of it")
    print(f"orstats --help:          {teach:.2f} s (< 0.5)")
