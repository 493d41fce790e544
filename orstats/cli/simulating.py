"""``orstats sim``: the simulator in the foreground."""

from __future__ import annotations

import errno
from datetime import UTC, datetime
from pathlib import Path

from orstats.api.errors import ConfigError
from orstats.cli.console import Failure, WrongUsage, data, say
from orstats.cli.text import plural
from orstats.data.account.timespan import moment
from orstats.sim import SimServer


def run(
    *,
    port: int,
    generations: int,
    faults: float,
    rate: float | None,
    latency: float,
    seed: int,
    until: str | None,
    ids_out: str | None,
) -> int:
    """Serve until Ctrl-C or SIGTERM; the options are those of the command."""
    try:
        end = None if until is None else moment(until, now=datetime.now(UTC))
    except ConfigError as error:
        raise WrongUsage(f"--until: {error}") from error
    server = SimServer(generations, seed=seed, faults=faults, rate_limit=rate, latency=latency, port=port, until=end)
    if ids_out is not None:
        with Path(ids_out).open("w", encoding="utf-8") as file:
            file.writelines(f"{one}\n" for one in server.ids)
    try:
        server.serve_forever(lambda running: _greet(running, generations, ids_out))
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise
        raise Failure(f"port {port} is in use; choose another with --port, or --port 0 for a free one.") from None
    say("The simulator has ended.")
    return 0


def _greet(server: SimServer, generations: int, ids_out: str | None) -> None:
    say(f"Simulating {plural(generations, 'generation')} at {server.base_url} (Ctrl-C ends it).", "bold green")
    if ids_out is not None:
        say(f"Their ids are in {ids_out}.")
    say("In another terminal:")
    out = data()
    for name, value in (
        ("BASE_URL", server.base_url),
        ("API_KEY", server.key),
        ("MANAGEMENT_KEY", server.management_key),
    ):
        out.write(f"export OPENROUTER_{name}={value}\n")
    out.flush()
    say(
        f"orstats fetch --ids-from {ids_out}"
        if ids_out is not None
        else "orstats fetch ID…   (ids: start with --ids-out)"
    )
