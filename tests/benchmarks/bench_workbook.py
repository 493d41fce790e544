"""A workbook of fetched generations against ``pandas.to_excel`` of the same columns by the same engine."""

from __future__ import annotations

import io
import time

import pandas as pd

import orstats
from orstats.export.workbook import write_workbook

ROWS = 100_000
MOST = 2.0


def seconds(work):
    started = time.process_time()
    work(io.BytesIO())
    return time.process_time() - started


def main():
    with orstats.sim.SimServer(2000, seed=1) as sim:
        some = orstats.fetch(sim.ids, client=sim.client(), progress=False)
    frame = pd.concat([some] * (ROWS // len(some)))
    frame.index = pd.Index([f"{one}-{at}" for at, one in enumerate(frame.index)], name="id")
    plain = frame.copy()
    for name, values in plain.items():
        if isinstance(values.dtype, pd.DatetimeTZDtype):
            plain[name] = values.dt.tz_localize(None)  # pandas writes no others
    ours = seconds(lambda file: write_workbook(frame, file, "x.xlsx"))
    theirs = seconds(lambda file: plain.to_excel(file, engine="xlsxwriter"))
    print(
        f"{len(frame):,} rows x {frame.shape[1]}: {ours:.1f} s, pandas {theirs:.1f} s; {ours / theirs:.2f} of <= {MOST}"
    )


if __name__ == "__main__":
    main()
