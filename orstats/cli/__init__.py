"""The command line: ``orstats``. Data goes to standard output or ``-o``, words and progress to standard error.

Exit codes: 0 all is well · 1 failure · 2 wrong usage · 3 some ids failed · 130 interrupted.
"""

from __future__ import annotations

import io
import os
import signal
import sys


def main() -> None:
    """Run the command that ``sys.argv`` asks for, and exit with its code."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:  # closed by whoever started us
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115, PTH123 - open to the end
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # --help has dots and dashes that not every encoding has
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # whoever ends us: what was fetched is kept
    try:
        from orstats.cli.app import app  # noqa: PLC0415 - so that Ctrl-C during loading ends quietly, too

        app(prog_name="orstats")
    except KeyboardInterrupt:
        sys.stderr.write("orstats: interrupted.\n")
        sys.exit(130)
