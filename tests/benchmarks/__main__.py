"""Run the benchmarks one after the other.

python tests/benchmarks               all of them, as `make bench` does; figures go to standard output only
python tests/benchmarks --write       those of docs/explanation/speed.md; renew its tables and picture (make speed)
python tests/benchmarks --only NAME   one of them; may be given several times

A benchmark that fails does not stop the others, and what they wrote stays. Measure on a machine that does nothing else.
"""

import argparse
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).parent
#: The benchmarks of docs/explanation/speed.md, the longest last: together a quarter of an hour on two cores.
WRITTEN = ("start", "warm", "peers", "scale")
NAMES = (*WRITTEN, *sorted({path.stem.removeprefix("bench_") for path in HERE.glob("bench_*.py")} - set(WRITTEN)))


def main() -> str:
    parser = argparse.ArgumentParser(
        prog="tests/benchmarks", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--only", action="append", metavar="NAME", choices=NAMES, help=f"one of: {', '.join(NAMES)}")
    parser.add_argument(
        "--write", action="store_true", help="renew docs/explanation/speed.md and docs/images/peers.png"
    )
    parser.add_argument("--quick", action="store_true", help="with --write or --only: few ids, to see that all runs")
    chosen = parser.parse_args()
    names = chosen.only or (WRITTEN if chosen.write else NAMES)
    if chosen.write and set(names) - set(WRITTEN):
        parser.error(f"--write renews only: {', '.join(WRITTEN)}")
    if chosen.quick and set(names) - set(WRITTEN):
        parser.error(f"--quick is for: {', '.join(WRITTEN)}")
    options = [f"--{name}" for name in ("write", "quick") if getattr(chosen, name)]
    failed = []
    for number, name in enumerate(names, 1):
        print(f"\n== {name} ({number} of {len(names)})", flush=True)
        started = time.monotonic()
        if subprocess.run([sys.executable, HERE / f"bench_{name}.py", *options], check=False).returncode:
            failed.append(name)
        print(f"== {name}: {time.monotonic() - started:.0f} s", file=sys.stderr, flush=True)
    return f"failed: {', '.join(failed)}" if failed else ""


if __name__ == "__main__":
    sys.exit(main() or None)
