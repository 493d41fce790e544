"""How long the explorer takes to open, filter, sort and page, and how much it sends to the browser."""

import json
import time

import comm
import numpy as np
import pandas as pd

from orstats.data.fetch.fetch import fetch
from orstats.notebook.explore import explore
from orstats.sim import SimServer

SENT = [0]


class CountingComm(comm.base_comm.BaseComm):
    """Counts what a kernel would send."""

    def publish_msg(self, _kind, data=None, metadata=None, buffers=None, **keys):
        SENT[0] += len(json.dumps([data, metadata, keys], default=str)) + sum(len(b) for b in buffers or ())


def frame(rows):
    """Make a frame of one simulated account, repeated with ids of its own."""
    with SimServer(2_000, seed=1) as sim:
        part = fetch(sim.ids, client=sim.client(), progress=False)
    whole = pd.concat([part] * (rows // len(part) + 1)).head(rows)
    numbers = pd.Series(np.arange(rows)).astype("string[pyarrow]").to_numpy()
    whole.index = pd.Index(whole.index.to_numpy() + "-" + numbers, name="id", dtype=part.index.dtype)
    return whole


def timed(name, work):
    before, start = SENT[0], time.perf_counter()
    work()
    took = (time.perf_counter() - start) * 1000
    print(f"  {name:<34}{took:8.0f} ms {(SENT[0] - before) / 1000:9.1f} kB sent")


def measure(rows):
    df = frame(rows)
    print(f"{rows:,} rows, {len(df.columns)} columns")
    made = []
    timed("open", lambda: made.append(explore(df)))
    one = made[0]
    timed("next page", one.listing.forward.click)
    timed("text in ids, users, sessions", lambda: setattr(one.controls.text, "value", "platform"))
    timed("clear", one.controls.clear.click)
    timed("one model", lambda: setattr(one.controls.model, "index", 1))
    timed("cost from", lambda: setattr(one.controls.cost_min, "value", "0.001"))
    timed("clear", one.controls.clear.click)
    timed("sort by cost", lambda: setattr(one.listing.sort_by, "value", "cost_usd"))
    timed("the other way", lambda: setattr(one.listing.descending, "value", False))
    timed("sort by user (text)", lambda: setattr(one.listing.sort_by, "value", "external_user"))
    timed("100 rows a page", lambda: setattr(one.listing.page_size, "value", 100))
    timed("select the next", one.next.click)
    timed("select the next", one.next.click)


if __name__ == "__main__":
    comm.create_comm = CountingComm
    measure(1_000)
    measure(100_000)
