"""``orstats sim``: the simulator in the foreground."""

from __future__ import annotations

import errno
import shlex
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, cast, get_args

from orstats.account.time_range import moment
from orstats.cli.app_log import write_app_log
from orstats.cli.console import Failure, WrongUsage, command_prefix, data, print_status
from orstats.errors import ConfigError
from orstats.sim import RateLimit, SimServer
from orstats.sim.faults import RetryAfter
from orstats.text.format import plural


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
    log_out: str | None,
    tls: bool,
) -> int:
    """Serve until Ctrl-C or SIGTERM; the options are those of the command."""
    try:
        now = datetime.now(UTC)
        end = now if until is None else moment(until, now=now)
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
    if log_out is not None:
        write_app_log(server, Path(log_out))
    # Each account has an archive of its own: another one has other ids, and its costs must not be added.
    archive = Path("orstats-sim", f"{end:%Y%m%dT%H%M%S}-{generations}-{seed}").absolute()
    try:
        server.serve_forever(lambda running: _greet(running, generations, archive, ids_out, log_out))
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise
        raise Failure(f"port {port} is in use; choose another with --port, or --port 0 for a free one.") from None
    print_status("Simulator stopped.")
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


def _greet(server: SimServer, generations: int, archive: Path, ids_out: str | None, log_out: str | None) -> None:
    print_status(
        f"Simulating {plural(generations, 'generation')} at {server.base_url} (press Ctrl-C to stop).", "bold green"
    )
    if ids_out is not None:
        print_status(f"Their ids are in {ids_out}.")
    if log_out is not None:
        print_status(f"The log of an application that made them is in {log_out}.")
    print_status("In another terminal:")
    variables = {
        "OPENROUTER_BASE_URL": server.base_url,
        "OPENROUTER_API_KEY": server.key,
        "OPENROUTER_MANAGEMENT_KEY": server.management_key,
        "ORSTATS_ARCHIVE": str(archive),
    }
    if server.base_url.startswith("https:"):
        variables["REQUESTS_CA_BUNDLE"] = server.ca_file
    out = data()
    out.writelines(f"export {name}={shlex.quote(value)}\n" for name, value in variables.items())
    out.flush()
    source = log_out or ids_out
    ids = (
        "ID…   (--log-out and --ids-out write files with ids)"
        if source is None
        else f"--ids-from {shlex.quote(source)}"
    )
    print_status(f"{command_prefix()} fetch {ids}")
