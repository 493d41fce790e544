"""The terminal sessions of the README and the documentation: what their commands print.

``python tests/docs/sessions.py`` renews them.
"""

import os
import re
import shlex
import subprocess
import sys
import tempfile
import textwrap
from contextlib import chdir, contextmanager
from pathlib import Path

from dictionary import PAGES
from typer.testing import CliRunner

from orstats.cli.app import app
from orstats.cli.demo_log import write_app_log
from orstats.sim import SimServer

#: A command of a session, and what it prints.
SESSION = re.compile(r"^\$ (.+)\n((?:(?!\$ |```).*\n)*)", re.MULTILINE)
_WIDTH = 118


@contextmanager
def account():
    """Run the simulator as ``orstats sim --log-out app.log`` does; give a directory with the log, and the variables."""
    with SimServer(1000) as sim, tempfile.TemporaryDirectory() as folder:
        write_app_log(sim, Path(folder) / "app.log")
        Path(folder, "activity.csv").write_text(sim.activity_export(), "utf-8")
        write_runs(sim, Path(folder) / "runs.csv")
        yield (
            Path(folder),
            {
                "OPENROUTER_API_KEY": sim.key,
                "OPENROUTER_MANAGEMENT_KEY": sim.management_key,
                "OPENROUTER_BASE_URL": sim.base_url,
                "ORSTATS_ARCHIVE": str(Path(folder) / "archive"),
                "COLUMNS": "80",
                "NO_COLOR": "1",
                "MPLBACKEND": "agg",
                "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            },
        )


def write_runs(sim, path):
    """Write the table of a user of the API, as a European spreadsheet saves it: one id twice, one row without."""
    ids = [sim.ids[-20], sim.ids[-12], sim.ids[-20], "", sim.ids[-4]]
    rows = [f"{at:04d};{'AB'[at % 2]};{at},5;{one}" for at, one in enumerate(ids, start=1)]
    path.write_text("\n".join(["run;customer;score;generation_id", *rows]) + "\n")


def in_process(command):
    """Run a command that is only ``orstats …`` in this process, and return its result; None where it needs a shell."""
    program, *arguments = shlex.split(command, comments=True)
    confirms = arguments[:2] == ["archive", "forget"] and "--yes" not in arguments  # at a terminal only
    if program != "orstats" or confirms or re.search(r"[|<>$&;*`]", " ".join(arguments)):
        return None
    return CliRunner().invoke(app, arguments, prog_name="orstats", catch_exceptions=False)


def run(command, folder, *, shown=""):
    """Run a command; return what it prints, with its messages unless only the table is shown."""
    table_only = shown.startswith(("model", "period"))
    with chdir(folder):
        done = in_process(command)
    if done is not None:
        assert done.exit_code in (0, 3), done.output
        return done.stdout if table_only else done.output
    errors = subprocess.DEVNULL if table_only else subprocess.STDOUT
    done = subprocess.run(["bash", "-c", command], cwd=folder, stdout=subprocess.PIPE, stderr=errors, check=False)
    assert done.returncode in (0, 3), done.stdout
    return done.stdout.decode()


def shortened(shown, printed):
    """Return what is printed, as long as what is shown now: lines wrapped, and omitted where ``…`` stands."""
    lines = []
    for line in printed.splitlines():
        indent = re.match(" *", line)[0]
        lines += textwrap.wrap(line, _WIDTH, subsequent_indent=indent) or [""]
    lines = [line.rstrip() for line in lines]
    old = shown.rstrip("\n").split("\n")
    if "…" in old:
        at = old.index("…")
        lines = [*lines[:at], "…", *lines[at + 1 - len(old) :]]
    return "".join(f"{line}\n" for line in lines) + "\n" * (len(shown) - len(shown.rstrip("\n")) - 1)


def without_numbers(text):
    """Replace ids and numbers, which differ from day to day, and white space."""
    text = re.sub(r"gen-\w+-\w+", "gen-0", text)
    return " ".join(re.sub(r"\d[\d,.]*", "0", text).split())


def main():
    """Renew the sessions of all pages."""
    with account() as (folder, variables):
        os.environ.update(variables)

        def renew(session):
            command, shown = session.groups()
            if not shown.strip():
                return session[0]
            return f"$ {command}\n{shortened(shown, run(command, folder, shown=shown))}"

        for page in PAGES:
            page.write_text(SESSION.sub(renew, page.read_text("utf-8")), "utf-8")


if __name__ == "__main__":
    main()
