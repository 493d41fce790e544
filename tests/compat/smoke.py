"""Run in an environment without extras (`bare`), then with `sim` alone: what does not work says why."""

import importlib.metadata
import importlib.util
import io
import os
import re
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import orstats
from orstats.notebook.html.base import pre
from orstats.notebook.html.markdown import markdown

EXTRAS = {
    "plot": ["matplotlib"],
    "markdown": ["nh3"],
    "sql": ["duckdb"],
    "spark": ["pyspark"],
    "excel": ["openpyxl", "xlsxwriter"],
    "notebook": ["voila", "jupyterlab"],
}
ORSTATS = str(Path(sys.executable).with_name("orstats"))


def run(*arguments, code=0, **environment):
    done = subprocess.run(
        [ORSTATS, *arguments], capture_output=True, text=True, check=False, env=os.environ | environment
    )
    assert done.returncode == code, (arguments, done.returncode, done.stderr)
    assert "Traceback" not in done.stderr, done.stderr
    return done


def names(extra, call):
    """Check that a call ends with one sentence that names an extra."""
    caught = None
    try:
        call()
    except orstats.errors.MissingExtraError as error:
        caught = error
    assert caught is not None, f"no error for the missing extra {extra}"
    assert caught.extra == extra, caught
    assert str(caught).endswith(f"needs an extra: pip install 'orstats[{extra}]'"), caught
    assert "\n" not in str(caught)
    print(f"  {caught}")


def bare():
    """Check that what needs the simulator says so without its extra."""
    for command in ("demo", "sim"):
        message = " ".join(run(command, code=1).stderr.split())
        assert "needs an extra: pip install 'orstats[sim]'" in message, message
        print(f"  {message}")


def main():
    present = [name for extra in EXTRAS.values() for name in extra if importlib.util.find_spec(name)]
    assert not present, f"this environment is not bare: {present}"
    assert "site-packages" in orstats.__file__, orstats.__file__
    version = importlib.metadata.version("orstats")
    assert run("--version").stdout.strip() == f"orstats {version}"
    assert "Usage" in run("--help").stdout
    run("demo", "--generations", "300")
    print("  demo:", sorted(path.name for path in Path("orstats-demo").iterdir()))
    assert orstats.field_table().shape[0] > 40
    assert all(getattr(orstats, name) is not None for name in orstats.__all__)

    with orstats.sim.SimServer(50) as sim, sim.client() as client:
        df = orstats.fetch(sim.ids, client=client, archive="archive", progress=False)
        assert (df["fetch_status"] == "ok").all()
        report = orstats.cost_by(df, "model", freq="D", tz="Europe/Lisbon")
        orstats.write_csv(df, "x.csv")
        orstats.write_html(df, "x.html")
        orstats.write_report(report, "x.md")
        orstats.write_report(report, "x.json")
        assert orstats.explore(df, client=client) is not None
        assert orstats.view(sim.ids[0], client=client) is not None
        assert markdown("**b** <x>") == pre("**b** <x>")
        print("  Markdown falls back to plain text")

        archive = orstats.Archive("archive")
        for plot in (orstats.plot_cost, orstats.plot_latency, orstats.plot_tokens):
            names("plot", lambda plot=plot: plot(df))
        names("sql", archive.relation)
        names("sql", lambda: archive.sql("FROM generations"))
        names("excel", lambda: orstats.write_report(report, "x.xlsx"))
        names("excel", lambda: orstats.read_ids(io.BytesIO(workbook())))
        environment = {"OPENROUTER_API_KEY": sim.key, "OPENROUTER_BASE_URL": sim.base_url}
        message = run("explore", *sim.ids[:3], "--no-browser", code=1, **environment).stderr
        assert re.search(r"needs an extra: pip install 'orstats\[notebook\]'", " ".join(message.split())), message
        print(f"  {' '.join(message.split())}")


def workbook():
    """As much of a workbook as is looked at before openpyxl is needed."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("xl/workbook.xml", "<x/>")
    return file.getvalue()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        os.environ["XDG_DATA_HOME"] = folder
        bare() if sys.argv[1:] == ["bare"] else main()
        os.chdir("/")
