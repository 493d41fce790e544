"""How long the explorer takes to open, filter, sort and page, and how much it sends to the browser.

With a Chromium on this machine also: how long a person waits, from running the cell to the first row on the screen.
"""

import json
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import comm
import numpy as np
import pandas as pd

from orstats.fetching.fetch import fetch
from orstats.notebook.explorer import explore
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
    before, start, busy = SENT[0], time.perf_counter(), time.process_time()
    work()
    took, used = (time.perf_counter() - start) * 1000, (time.process_time() - busy) * 1000
    print(f"  {name:<36}{took:6.0f} ms {used:6.0f} ms of CPU {(SENT[0] - before) / 1000:9.1f} kB sent")


def measure(rows):
    df = frame(rows)
    print(f"{rows:,} rows, {len(df.columns)} columns")
    made = []
    timed("open", lambda: made.append(explore(df)))
    one = made[0]
    press = one.table.receive

    def fill_in(**inputs):
        press({"type": "filter", "inputs": inputs})

    timed("next page", lambda: press({"type": "page", "to": 1}))
    timed("text in ids, users, sessions, models", lambda: fill_in(text="platform"))
    timed("clear", lambda: press({"type": "clear"}))
    timed("one model", lambda: fill_in(model="0"))
    timed("cost from", lambda: fill_in(cost_min="0.001"))
    timed("clear", lambda: press({"type": "clear"}))
    for name, column in (("cost", "cost_usd"), ("cost, the other way", "cost_usd"), ("user (text)", "external_user")):
        timed(f"sort by {name}", lambda column=column: press({"type": "sort", "column": column}))
    timed("sort by status", lambda: press({"type": "sort", "column": "status"}))
    timed("100 rows a page", lambda: press({"type": "size", "rows": 100}))
    timed("select the next", lambda: press({"type": "next"}))
    timed("select the next", lambda: press({"type": "next"}))


def watched(sizes):
    """Open explorers in JupyterLab, several times for each size, and look when the first row can be seen."""
    sys.path.insert(0, str(Path(__file__).parents[1] / "browser"))
    from conftest import BROWSERS, FLAGS, jupyter
    from playwright.sync_api import sync_playwright

    path = next((found for name in BROWSERS if (found := shutil.which(name))), None)
    if path is None:
        print("no Chromium on this machine: the time in the browser is not measured")
        return
    medians = []
    with tempfile.TemporaryDirectory() as name, sync_playwright() as play:
        folder = Path(name)
        browser = play.chromium.launch(executable_path=path, args=FLAGS)
        with jupyter(folder, "jupyterlab", "lab/workspaces/{space}/tree/{name}", "JupyterLab Light") as open_in:
            for rows in sizes:
                frame(rows).to_parquet(folder / f"{rows}.parquet")
                load = f"import orstats, pandas as pd\ndf = pd.read_parquet('{rows}.parquet')"
                medians.append(opened(browser, open_in, load, rows))
        browser.close()
    print(f"  the large one is visible {medians[-1] - medians[0]:+,.0f} ms after the small one")


def opened(browser, open_in, load, rows, times=6):
    page = browser.new_page(viewport={"width": 1500, "height": 1100})
    received = [0]
    page.on(
        "websocket", lambda ws: ws.on("framereceived", lambda data: received.__setitem__(0, received[0] + len(data)))
    )
    open_in(page, load, *["orstats.explore(df)"] * times)
    page.locator(".jp-InputPrompt").get_by_text("[1]:").wait_for()
    took, sent = [], []
    for number in range(times):
        before, start = received[0], time.perf_counter()
        page.keyboard.press("Shift+Enter")
        page.locator(".orstats-explorer").nth(number).locator("tbody tr").first.wait_for()
        took.append((time.perf_counter() - start) * 1000)
        page.wait_for_timeout(500)  # what else is still on its way
        sent.append(received[0] - before)
    page.close()
    first, median = took[0], statistics.median(took[1:])  # the first one also loads ipywidgets
    print(
        f"{rows:,} rows in JupyterLab: first row visible after {first:,.0f} ms at first, then "
        f"{median:,.0f} ms ({min(took[1:]):,.0f} to {max(took[1:]):,.0f}); {max(sent) / 1000:,.0f} kB received"
    )
    return median


def as_page(times=5):
    """Run ``orstats explore`` on an archive: until it prints the address, and until a browser shows the first row."""
    sys.path.insert(0, str(Path(__file__).parents[1] / "browser"))
    from conftest import BROWSERS, FLAGS
    from playwright.sync_api import sync_playwright

    path = next((found for name in BROWSERS if (found := shutil.which(name))), None)
    if path is None:
        return
    took = []
    with tempfile.TemporaryDirectory() as archive, sync_playwright() as play:
        with SimServer(2_000, seed=1) as sim:
            fetch(sim.ids, client=sim.client(), progress=False, archive=archive)
        browser = play.chromium.launch(executable_path=path, args=FLAGS)
        command = [sys.executable, "-m", "orstats", "explore", "--no-browser", "--quiet", "--archive", archive]
        for _ in range(times):
            start = time.perf_counter()
            with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
                address = server.stdout.readline().strip()
                printed = time.perf_counter() - start
                page = browser.new_page()
                page.goto(address)
                page.locator(".orstats-grid tbody tr").first.wait_for()
                took.append((printed, time.perf_counter() - start))
                page.close()
                server.send_signal(signal.SIGINT)
        browser.close()
    address, row = (statistics.median(column) for column in zip(*took, strict=True))
    print(f"orstats explore: address after {address:.1f} s, first row after {row:.1f} s (medians of {times})")


if __name__ == "__main__":
    comm.create_comm = CountingComm
    measure(1_000)
    measure(100_000)
    watched([1_000, 100_000])
    as_page()
