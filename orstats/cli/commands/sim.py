"""``orstats sim``: the simulator in the foreground."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from orstats.cli.console import data_stream, print_status
from orstats.cli.errors import Failure, WrongUsage, handle_errors
from orstats.cli.options import Port, epilog
from orstats.cli.shell import assignment, command_prefix, quoted

if TYPE_CHECKING:
    from orstats.sim import RateLimit, SimServer

app = typer.Typer(rich_markup_mode="rich")


@app.command(
    help="Run a simulated API on this machine until Ctrl-C, to try things without a key and without cost.",
    epilog=epilog(
        "orstats sim --log-out app.log",
        "orstats sim --faults 0.3 --rate 50 --latency 0.2 --port 0",
        "orstats sim --rate 20 --rate-status 503 --retry-after none",
        "orstats sim --seed 7 --until 2026-06-30",
    ),
)
@handle_errors
def sim(
    port: Port = 8377,
    generations: Annotated[
        int, typer.Option(metavar="N", min=0, max=10_000_000, help="Number of generations in the simulated account.")
    ] = 1000,
    faults: Annotated[
        float, typer.Option(metavar="SHARE", min=0, max=1, help="Share of ids whose first request fails.")
    ] = 0.0,
    rate: Annotated[
        float | None,
        typer.Option(metavar="N", min=0.1, help="Maximum number of requests per second.", show_default=False),
    ] = None,
    rate_status: Annotated[
        int, typer.Option(metavar="STATUS", help="Status of requests above --rate: 429, or 503 as proxies send.")
    ] = 429,
    retry_after: Annotated[
        str,
        typer.Option(
            metavar="STYLE",
            help="Retry-After of requests above --rate: seconds, date, ms, both, reset, none, or a number of seconds.",
        ),
    ] = "seconds",
    latency: Annotated[float, typer.Option(metavar="SECONDS", min=0, help="Duration of each response.")] = 0.0,
    seed: Annotated[int, typer.Option(metavar="N", help="Random seed; each seed simulates a different account.")] = 0,
    until: Annotated[
        str | None,
        typer.Option(
            metavar="TIME",
            help="End of the simulated period, such as 2026-06-30 (default: now). "
            "The same seed and end always produce the same ids.",
            show_default=False,
        ),
    ] = None,
    awkward: Annotated[
        bool,
        typer.Option(
            "--awkward",
            metavar="",
            help="Simulate an account with content in other APIs' formats, calls across midnight and late analytics.",
        ),
    ] = False,
    ids_out: Annotated[
        str | None, typer.Option(metavar="FILE", help="Write the account's ids, one per line.", show_default=False)
    ] = None,
    log_out: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="Write an application's log with the account's ids, and two that it does not have.",
            show_default=False,
        ),
    ] = None,
    activity_out: Annotated[
        str | None,
        typer.Option(
            metavar="FILE", help="Write the CSV that the web page's Activity would export.", show_default=False
        ),
    ] = None,
    tls: Annotated[
        bool,
        typer.Option("--tls", metavar="", help="Serve https with a certificate of a private authority. [extra: sim]"),
    ] = False,
) -> int:
    import errno
    from datetime import UTC, datetime

    from orstats.account.time_range import moment
    from orstats.errors import ConfigError
    from orstats.sim import SimServer

    try:
        now = datetime.now(UTC)
        end = now if until is None else moment(until, now=now)
    except ConfigError as error:
        raise WrongUsage(f"--until: {error}") from error
    server = SimServer(
        generations,
        seed=seed,
        faults=faults,
        rate_limit=None if rate is None else _rate_limit(rate, rate_status, retry_after),
        latency=latency,
        account="awkward" if awkward else "plain",
        port=port,
        until=end,
        tls=tls,
    )
    # Each account has an archive of its own: another one has other ids, and their costs must not be added.
    archive = Path("orstats-sim", f"{end:%Y%m%dT%H%M%S}-{generations}-{seed}").absolute()

    def greet(running: SimServer) -> None:
        # Not earlier: the files of a simulator that runs on this port must stay.
        written = _write_files(running, ids_out, log_out, activity_out)
        number = f"{generations:,} generation{'' if generations == 1 else 's'}"
        print_status(f"Simulating {number} at {running.base_url} (press Ctrl-C to stop).", "bold green")
        for text in written:
            print_status(text)
        print_status("In another terminal:")
        out = data_stream()
        out.writelines(f"{assignment(*pair)}\n" for pair in _variables(running, archive).items())
        out.flush()
        file = log_out or ids_out
        source = f"--ids-from {quoted(file)}" if file else "ID…   (--log-out and --ids-out write files with ids)"
        print_status(f"{command_prefix()} fetch {source}", is_command=True)

    try:
        server.serve_forever(greet)
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise
        raise Failure(f"port {port} is in use; choose another with --port, or --port 0 for a free one.") from None
    print_status("Simulator stopped.")
    return 0


def _write_files(server: SimServer, ids: str | None, log: str | None, activity: str | None) -> list[str]:
    """Write the files that the options name, and say what is in them."""
    from orstats.cli.demo_log import write_app_log

    written = []
    if ids is not None:
        Path(ids).write_text("".join(f"{one}\n" for one in server.ids), "utf-8")
        written.append(f"Their ids are in {ids}.")
    if log is not None:
        write_app_log(server, Path(log))
        written.append(f"The log of an application that made them is in {log}.")
    if activity is not None:
        Path(activity).write_text(server.activity_export(), "utf-8")
        written.append(f"Their Activity export is in {activity}.")
    return written


def _variables(server: SimServer, archive: Path) -> dict[str, str]:
    variables = {
        "OPENROUTER_BASE_URL": server.base_url,
        "OPENROUTER_API_KEY": server.key,
        "OPENROUTER_MANAGEMENT_KEY": server.management_key,
        "ORSTATS_ARCHIVE": str(archive),
    }
    return variables | ({"REQUESTS_CA_BUNDLE": server.ca_file} if server.base_url.startswith("https:") else {})


def _rate_limit(rate: float, status: int, retry_after: str) -> RateLimit:
    from typing import Literal, cast, get_args

    from orstats.sim import RateLimit
    from orstats.sim.fault_replies import RetryAfter

    if status not in (429, 503):
        raise WrongUsage(f"--rate-status must be 429 or 503, got {status}.")
    style, seconds = ("seconds", int(retry_after)) if retry_after.isdecimal() else (retry_after, None)
    if style not in get_args(RetryAfter):
        styles = ", ".join(get_args(RetryAfter))
        raise WrongUsage(f"--retry-after must be one of {styles} or a number of seconds, got {retry_after!r}.")
    return RateLimit(
        rate, status=cast("Literal[429, 503]", status), retry_after=cast("RetryAfter", style), retry_after_s=seconds
    )
