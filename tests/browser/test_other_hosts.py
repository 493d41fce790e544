"""The explorer outside Jupyter's notebooks: marimo, and the page of ``orstats explore``."""

import os
import signal
import subprocess
import sys
import time

import psutil
import pytest
from playwright.sync_api import expect

APP = """
import marimo

app = marimo.App(width="full")


@app.cell
def _():
    import orstats

    client = orstats.Client("{key}", base_url="{url}")
    explorer = orstats.explore(orstats.fetch({ids!r}, client=client, progress=False), client=client)
    explorer
    return


if __name__ == "__main__":
    app.run()
"""


def test_marimo_shows_the_table_and_the_content_of_a_row(page, sim, tmp_path, serve, port, pictures):
    pytest.importorskip("marimo")
    stored = next(one for one in sim.ids if sim.content_reason(one) == "stored")
    completion = sim.content(stored)["output"]["completion"]
    (tmp_path / "app.py").write_text(APP.format(key=sim.key, url=sim.base_url, ids=[*sim.ids[:9], stored]), "utf-8")
    command = ["marimo", "-q", "run", "app.py", "--headless", "--no-token", "--host", "127.0.0.1", "--port", str(port)]
    with serve(command, tmp_path, port, "/health"):
        page.goto(f"http://127.0.0.1:{port}/")
        rows = page.locator(".orstats-grid tbody tr")
        rows.first.wait_for()
        page.get_by_role("searchbox").press_sequentially(stored)
        expect(rows).to_have_count(1)
        rows.first.click()
        detail = page.locator(".orstats-detail")
        expect(detail.locator("h2")).to_have_text(stored)
        page.keyboard.press("Enter")
        expect(detail.locator("pre").last).to_have_text(completion, use_inner_text=True)
        pictures(page, "marimo")
        page.get_by_role("button", name="Keep to compare").click()
        page.get_by_role("button", name="Clear", exact=True).click()
        page.get_by_role("button", name="↓ Next").click()
        page.get_by_role("button", name="Compare", exact=True).click()
        expect(page.locator(".orstats-head-kept")).to_contain_text(stored)
        page.get_by_role("button", name="Load and compare prompts and completions").click()
        expect(page.locator(".orstats-lines, .orstats-problem").first).to_be_visible()
        pictures(page, "marimo-compare")
        page.get_by_role("button", name="Back to the card").click()
        expect(detail.locator("h2")).not_to_have_text(stored)


def kernels(server):
    """The processes of a server that run notebooks."""
    processes = psutil.Process(server.pid).children(recursive=True)
    return [one for one in processes if one.status() != psutil.STATUS_ZOMBIE and "ipykernel_launcher" in one.cmdline()]


def test_orstats_explore_shows_table_and_card(page, sim, tmp_path, pictures):
    """Its Content-Security-Policy must allow what the table needs."""
    pytest.importorskip("voila")
    env = {**os.environ, "OPENROUTER_API_KEY": sim.key, "OPENROUTER_BASE_URL": sim.base_url, "HOME": str(tmp_path)}
    command = [sys.executable, "-m", "orstats", "explore", "--no-browser", "--no-archive", *sim.ids[:30]]
    with subprocess.Popen(command, env=env, cwd=tmp_path, stdout=subprocess.PIPE, text=True) as server:
        try:
            page.goto(server.stdout.readline().strip())
            rows = page.locator(".orstats-grid tbody tr")
            rows.nth(1).wait_for()
            fits = "document.documentElement.scrollHeight <= innerHeight"
            assert page.evaluate(fits)
            assert page.locator(".orstats-right").bounding_box()["height"] == 1100 - 48
            page.keyboard.press("?")  # keys need no click before them
            expect(page.get_by_text("keep the row to compare another with it")).to_be_visible()
            for _ in range(2):
                page.keyboard.press("ArrowDown")
            expect(page.locator(".orstats-card .orstats-id")).to_have_text(
                rows.nth(1).locator("td").last.get_attribute("title")
            )
            pictures(page, "orstats-explore")
            assert len(kernels(server)) == 1
            page.goto("about:blank")  # a page that is closed needs no kernel
            until = time.monotonic() + 60
            while kernels(server) and time.monotonic() < until:
                time.sleep(0.1)
            assert not kernels(server)
        finally:
            server.send_signal(signal.SIGINT)
    assert server.returncode == 0
