"""Standard streams where this machine cannot show them: the console of Windows."""

import io
import os
import sys

from orstats.cli import streams


class Console(io.TextIOWrapper):
    def isatty(self):
        return True


def test_console_of_windows_keeps_pythons_own_stream(monkeypatch):
    read, write = os.pipe()
    with os.fdopen(read), Console(os.fdopen(write, "wb"), encoding="utf-8") as console:
        monkeypatch.setattr(sys, "stdout", console)
        monkeypatch.setattr(streams, "_IS_WINDOWS", True)
        streams._protect("stdout", console.fileno())
        assert sys.stdout is console, "other streams show dashes and dots as two or three wrong characters"
        assert console.errors == "replace"
