"""Does it work elsewhere? Run it by ``make compat``, or ``python tests/compat [--quick] [PART …]``.

smoke    the wheel, without extras, in an empty environment
oldest   the tests with the oldest versions of all dependencies that pyproject.toml allows
pythons  the tests with the newest versions, on each Python from 3.11 on that this machine has
canary   the tests of the transport with the newest requests and urllib3, pre-releases included (make canary)
audit    known vulnerabilities of what users install, extras included (make audit); needs access to an advisory database

``--quick`` leaves out what takes minutes: a real browser, Spark, Jupyter, long chaos and fuzzing.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).parent
PARTS = ("smoke", "oldest", "pythons", "canary", "audit")
PYTHONS = ("3.11", "3.12", "3.13", "3.14")
#: What users install; the others are for development.
EXTRAS = ("excel", "markdown", "notebook", "plot", "sim", "spark", "sql")
#: What reaches requests and urllib3.
TRANSPORT = ("tests/api", "tests/fetching")
#: Left out by --quick: what starts browsers, kernels and processes, what needs no dependency, what needs Spark.
SLOW = (
    "browser",
    "chaos",
    "fuzz",
    "docs",
    "sim",
    "packaging",
    "cli/test_conditions.py",
    "cli/test_explore.py",
    "cli/test_processes.py",
)
SLOW_REPORTS = "not spark and not empty_frames_of_every_engine and not newest_of_each_id and not parts_without_a_column"
#: Old packages beside the newest of those they need warn about each other, and Spark 4.0 about its own sockets.
THEIR_WARNINGS = (
    "ignore::DeprecationWarning",
    "ignore::PendingDeprecationWarning",
    "ignore::pytest.PytestUnraisableExceptionWarning",
    "ignore:invalid value encountered in cast:RuntimeWarning",  # DataFrame.convert_dtypes of pandas 2.2
    "ignore:Mismatched null-like values:FutureWarning",  # assert_frame_equal of pandas 2.2
)


def run(*command, **environment):
    environment = {name: value for name, value in os.environ.items() if name != "VIRTUAL_ENV"} | environment
    subprocess.run([str(part) for part in command], check=True, cwd=ROOT, env=environment)


def index():
    """The package index that pip is set to, for uv, which does not read pip's settings."""
    ask = [sys.executable, "-m", "pip", "config", "get", "global.index-url"]
    printed = os.environ.get("PIP_INDEX_URL") or subprocess.run(ask, capture_output=True, text=True, check=False).stdout
    return {"UV_DEFAULT_INDEX": printed.strip()} if printed.strip() else {}


def environment(uv, folder, python, *requirements):
    """Make an environment, and return its interpreter."""
    run(uv, "venv", "--quiet", "--python", python, folder)
    run(uv, "pip", "install", "--quiet", *requirements, VIRTUAL_ENV=str(folder), **index())
    return folder / "bin" / "python"


def tests(python, *options, quick):
    left_out = [f"--ignore=tests/{name}" for name in SLOW] + ["-k", SLOW_REPORTS] if quick else []
    run(python, "-m", "pytest", "-q", "-p", "no:cacheprovider", *options, *left_out, PYSPARK_PYTHON=str(python))


def smoke(uv, work, *, quick):  # noqa: ARG001 - it is quick
    run(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", work / "wheel", ".")
    (wheel,) = (work / "wheel").glob("orstats-*.whl")
    python = environment(uv, work / "bare", sys.executable, wheel)
    run(python, "-I", HERE / "smoke.py", "bare")
    run(uv, "pip", "install", "--quiet", f"orstats[sim] @ {wheel.as_uri()}", VIRTUAL_ENV=str(work / "bare"), **index())
    run(python, "-I", HERE / "smoke.py")


def oldest(uv, work, *, quick):
    python = environment(uv, work / "oldest", sys.executable, "--resolution", "lowest-direct", "-e", ".[dev]")
    tests(python, *(part for name in THEIR_WARNINGS for part in ("-W", name)), quick=quick)


def canary(uv, work, *, quick):  # noqa: ARG001 - it is quick
    newest = ("requests>=0.dev0", "urllib3>=0.dev0", "pytest", "hypothesis")  # .dev0 admits pre-releases
    python = environment(uv, work / "canary", sys.executable, *newest, "-e", ".[sim]")
    run(uv, "pip", "list", VIRTUAL_ENV=str(work / "canary"))
    run(python, "-m", "pytest", "-q", "-p", "no:cacheprovider", *TRANSPORT)


def audit(uv, work, *, quick):  # noqa: ARG001 - it is quick
    extras = [part for extra in EXTRAS for part in ("--extra", extra)]
    pinned = work / "pinned.txt"
    run(uv, "pip", "compile", "--quiet", "--output-file", pinned, *extras, "pyproject.toml", **index())
    python = environment(uv, work / "audit", sys.executable, "pip-audit")
    # Strict: without it, a package that the database does not answer for is skipped, and the audit passes.
    run(python, "-m", "pip_audit", "--strict", "--no-deps", "--disable-pip", "--requirement", pinned)


def on(version, python):
    """Return the check of one Python."""

    def newest(uv, work, *, quick):
        tests(environment(uv, work / version, python, "-e", ".[dev]"), quick=quick)

    return newest


def found_pythons():
    """Each Python of the versions that is there and starts, by its version."""
    found = {}
    for version in PYTHONS:
        installed = sorted(Path.home().glob(f".pyenv/versions/{version}.*/bin/python{version}"))
        for python in (f"python{version}", *installed):
            try:
                ask = [str(python), "-c", "import sys; print('%d.%d' % sys.version_info[:2])"]
                is_it = subprocess.run(ask, capture_output=True, text=True, check=True).stdout.strip() == version
            except (OSError, subprocess.CalledProcessError):
                continue
            if is_it:
                found[version] = python
                break
    return found


def main():
    parser = argparse.ArgumentParser(
        prog="tests/compat", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="leave out what takes minutes")
    parser.add_argument("parts", nargs="*", help=f"of: {', '.join(PARTS)}; all when none is named")
    chosen = parser.parse_args()
    unknown = set(chosen.parts) - set(PARTS)
    if unknown:
        parser.error(f"no such part: {', '.join(sorted(unknown))}")
    checks = {"smoke": smoke, "oldest": oldest, "canary": canary, "audit": audit}
    checks |= {f"pythons {version}": on(version, python) for version, python in found_pythons().items()}
    failed = []
    with tempfile.TemporaryDirectory(prefix="orstats-compat-") as folder:
        work = Path(folder)
        run(sys.executable, "-m", "venv", work / "tools")
        run(work / "tools/bin/python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "uv")
        for name, check in checks.items():
            if name.split()[0] not in (chosen.parts or PARTS):
                continue
            print(f"\n== {name}", flush=True)
            started = time.monotonic()
            try:
                check(work / "tools/bin/uv", work, quick=chosen.quick)
            except subprocess.CalledProcessError as error:
                failed.append(f"{name} failed: {' '.join(map(str, error.cmd))}")
            print(f"{name}: {time.monotonic() - started:.0f} s", flush=True)
    return "\n".join(failed)  # for people; anything but an empty text is a failure


if __name__ == "__main__":
    sys.exit(main() or None)
