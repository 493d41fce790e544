"""Feed many spoilt answers to everything that reads answers: ``python tests/fuzz --payloads 100000 [--seed N]``.

``--atheris SECONDS`` lets coverage choose the payloads instead; it needs ``pip install atheris``.
"""

# ruff: noqa: T201 - a command prints its figures

import argparse
import contextlib
import random
import sys
import time
import traceback
from collections import Counter

import fuzz_payloads
import fuzz_targets


def feed(rng, seeds):
    """Spoil one answer and feed it; returns its path and whether it was taken for good."""
    requested = rng.choice(["/generation", "/generation", "/generation/content", "/analytics/query", "/activity", None])
    path, generation_id, payload = rng.choice([one for one in seeds if requested in (one[0], None)])
    body = fuzz_payloads.spoil(rng, payload)
    status, headers = rng.choice(fuzz_targets.STATUSES), rng.choice(fuzz_targets.HEADERS)
    return path, fuzz_targets.run(path, generation_id, status, headers, body)


def many(payloads, first):
    """Feed payloads number ``first`` and on; returns how many made something other than a typed error."""
    seeds, counts, wrong, started = fuzz_payloads.seeds(), Counter(), Counter(), time.monotonic()
    for number in range(first, first + payloads):
        try:
            path, good = feed(random.Random(number), seeds)
        except Exception as error:  # noqa: BLE001 - that is what is looked for
            ours = [one for one in traceback.extract_tb(error.__traceback__) if "/orstats/" in one.filename]
            where = (ours or traceback.extract_tb(error.__traceback__))[-1]
            defect = f"{type(error).__name__} at {where.filename}:{where.lineno}"
            if not wrong[defect]:
                print(f"payload {number}: {defect}: {str(error)[:200]}", flush=True)
            wrong[defect] += 1
        else:
            counts[path, "read" if good else "refused"] += 1
    for (path, what), count in sorted(counts.items()):
        print(f"{path:22} {what:8} {count:8,}")
    for defect, count in wrong.most_common():
        print(f"UNTYPED {count:6,} x {defect}")
    print(f"{payloads:,} payloads in {time.monotonic() - started:.0f} s: {wrong.total():,} untyped errors")
    return wrong.total()


def by_coverage(seconds):
    """Let atheris look for payloads that reach new code; the decoder and the frame see its bytes as they are."""
    try:
        import atheris  # noqa: PLC0415 - not needed otherwise
    except ImportError:
        sys.exit("This needs atheris, which is not among the extras: pip install atheris")
    seeds = fuzz_payloads.seeds()
    atheris.instrument_all()

    def one(data):
        chosen = atheris.FuzzedDataProvider(data)
        path, generation_id, _ = seeds[chosen.ConsumeIntInRange(0, len(seeds) - 1)]
        status = fuzz_targets.STATUSES[chosen.ConsumeIntInRange(0, len(fuzz_targets.STATUSES) - 1)]
        headers = fuzz_targets.HEADERS[chosen.ConsumeIntInRange(0, len(fuzz_targets.HEADERS) - 1)]
        body = chosen.ConsumeBytes(1 << 16)
        if chosen.ConsumeBool():
            body = b'{"data":' + body + b"}"
        with contextlib.suppress(RecursionError):  # of the fuzzer's own tracing
            fuzz_targets.run(path, generation_id, status, headers, body)

    atheris.Setup([sys.argv[0], f"-max_total_time={seconds}"], one)
    atheris.Fuzz()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--payloads", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0, help="number of the first payload")
    parser.add_argument("--atheris", type=int, metavar="SECONDS", default=0)
    options = parser.parse_args()
    if options.atheris:
        by_coverage(options.atheris)
    sys.exit(1 if many(options.payloads, options.seed) else 0)
