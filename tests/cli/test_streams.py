"""Standard streams and interrupts that need no process of their own: the console of Windows, a full disk, Ctrl-C."""

import io
import os
import sys

import pytest

from orstats import cli
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


@pytest.mark.parametrize("options", [{"line_buffering": True}, {"write_through": True}])
def test_a_line_is_shown_at_once_also_with_unbuffered_streams(monkeypatch, options):
    read, write = os.pipe()
    with os.fdopen(read, "rb", buffering=0) as shown, io.TextIOWrapper(os.fdopen(write, "wb"), **options) as stream:
        monkeypatch.setattr(sys, "stderr", stream)
        streams._protect("stderr", stream.fileno())
        sys.stderr.write("\n")  # as at the end of a progress bar, before a table on standard output
        os.set_blocking(shown.fileno(), False)
        assert shown.read(10) == b"\n"


def test_full_disk_behind_help_is_an_error(capsys):
    def command(**_):
        raise streams.OutputError(28, "No space left on device")

    assert cli._run(command) == 1
    assert capsys.readouterr().err == "orstats: error: standard output: No space left on device\n"


def test_ctrl_c_before_a_command_runs_is_one_line(monkeypatch, capsys):
    def interrupted(_):
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "protect_streams", lambda: None)
    monkeypatch.setattr(cli, "handle_signals", lambda: None)
    monkeypatch.setattr(cli, "_run", interrupted)
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 130
    assert capsys.readouterr().err == "orstats: interrupted.\n"
