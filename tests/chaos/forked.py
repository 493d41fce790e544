"""Commands in forks of one process that has everything loaded: real processes that take no CPU time to start."""

import multiprocessing
import os
import sys
from functools import cache

import orstats.cli

#: What `orstats fetch` imports, most of it when it is used. Modules of tests are not found by the process that forks.
LOADED = [
    *("orstats.cli.app", "orstats.cli.commands.fetch", "orstats.cli.inputs", "orstats.cli.resumable"),
    *("orstats.cli.archive_records", "orstats.cli.summary"),
    *("orstats.fetching.fetch", "orstats.archive.archive", "orstats.export.write_csv"),
    *("pyarrow.parquet", "pyarrow.pandas_compat", "rich.progress", "typer.rich_utils", "typer._adapters"),
]


@cache
def _forks():
    context = multiprocessing.get_context("forkserver")  # which Windows does not have
    context.set_forkserver_preload(LOADED)
    return context


def start(argv, errors, **variables):
    """Start a command with these environment variables, and with its standard error in a file."""
    process = _forks().Process(target=_run, args=([str(one) for one in argv], str(errors), variables))
    process.start()
    return process


def _run(argv, errors, variables):
    os.dup2(os.open(errors, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), 2)
    os.environ |= variables
    sys.argv = ["orstats", *argv]
    orstats.cli.main()
