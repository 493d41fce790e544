"""``orstats sim``: the simulator in the foreground."""

from __future__ import annotations

import errno
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, cast, get_args

from orstats.api.errors import ConfigError
from orstats.cli.console import Failure, WrongUsage, data, say
from orstats.cli.text import plural
from orstats.data.account.timespan import moment
from orstats.sim import RateLimit, SimServer
from orstats.sim.faults import RetryAfter


def run(
    *,
    port: int,
    generations: int,
    faults: float,
    rate: float | None,
    rate_status: int,
    retry_after: str,
    latency: float,
    seed: int,
    until: str | None,
    awkward: bool,
    ids_out: str | None,
    tls: bool,
) -> int:
    """Serve until Ctrl-C or SIGTERM; the options are those of the command."""
    try:
        end = None if until is None else moment(until, now=datetime.now(UTC))
    except ConfigError as error:
        raise WrongUsage(f"--until: {error}") from error
    limit = None if rate is None else _rate_limit(rate, rate_status, retry_after)
    server = SimServer(
        generations,
        seed=seed,
        faults=faults,
        rate_limit=limit,
        latency=latency,
        account="awkward" if awkward else "plain",
        port=port,
        until=end,
        tls=tls,
    )
    if ids_out is not None:
        with Path(ids_out).open("w", encoding="utf-8") as file:
            file.writelines(f"{one}\n" for one in server.ids)
    try:
        server.serve_forever(lambda running: _greet(running, generations, ids_out))
    except ImportError as error:
        raise Failure(str(error)) from error
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise
        raise Failure(f"port {port} is in use; choose another with --port, or --port 0 for a free one.") from None
    say("The simulator has ended.")
    return 0


def _rate_limit(rate: float, status: int, retry_after: str) -> RateLimit:
    if status not in (429, 503):
        raise WrongUsage(f"--rate-status must be 429 or 503, got {status}.")
    style, seconds = ("seconds", int(retry_after)) if retry_after.isdecimal() else (retry_after, None)
    if style not in get_args(RetryAfter):
        raise WrongUsage(
            f"--retry-after must be one of {', '.join(get_args(RetryAfter))} or a number of seconds, "
            f"got {retry_after!r}."
        )
    return RateLimit(
        rate,
        status=cast("Literal[429, 503]", status),
        retry_after=cast("RetryAfter", style),
        retry_after_s=seconds,
    )


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
    if server.base_url.startswith("https:"):
        out.write(f"export REQUESTS_CA_BUNDLE={server.ca_file}\n")
    out.flush()
    say(
        f"orstats fetch --ids-from {ids_out}"
        if ids_out is not None
        else "orstats fetch ID…   (ids: start with --ids-out)"
    )
