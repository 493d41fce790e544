"""``orstats doctor``: what a bug report needs to know, and which setting keeps requests from reaching the API."""

from __future__ import annotations

import os
import platform
import re
import sys
from collections.abc import Iterator, Mapping
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from orstats._version import __version__
from orstats.cli.console import print_pairs, print_status
from orstats.cli.errors import FAILED, handle_errors
from orstats.cli.options import ArchiveDir, BaseUrl, epilog
from orstats.cli.shell import for_shell

if TYPE_CHECKING:
    from orstats.api.config import Settings

app = typer.Typer(rich_markup_mode="rich")

#: Extras for development are of no interest to a user's report.
_OMITTED_EXTRAS: Final = re.compile(r"extra\s*==\s*['\"](dev|docs)['\"]")
_NAME: Final = re.compile(r"[A-Za-z0-9._-]+")


@app.command(
    help="Check the installation, the archive, the certificates, the proxy and the connection to the API.\n\n"
    "The report contains no key, password or home directory, so that it can be pasted into a bug report. It does name "
    "hosts and addresses of your network: read it before you publish it.",
    epilog=epilog(
        "orstats doctor",
        "orstats doctor --offline   [dim]# without the connection test[/dim]",
        more="Exit codes: 0 all checks passed · 1 a check failed.",
    ),
)
@handle_errors
def doctor(
    offline: Annotated[bool, typer.Option("--offline", metavar="", help="Use no network.")] = False,
    base_url: BaseUrl = None,
    archive: ArchiveDir = None,
) -> int:
    from orstats.api.config import Settings
    from orstats.api.connection_check import check_connection, describe_proxy
    from orstats.api.tls import make_context, trust_source
    from orstats.errors import OrstatsError

    report = _Report()
    report.add(_versions())
    try:
        settings = Settings.resolve(base_url=base_url)
    except OrstatsError as error:
        report.fail("settings", str(error))
        return report.end()
    report.add(_keys(settings))
    source = "--base-url" if base_url else "OPENROUTER_BASE_URL" if os.environ.get("OPENROUTER_BASE_URL") else "default"
    report.add({"API": f"{settings.base_url} ({source})"})
    _check_archive(report, settings, archive, offline=offline)
    try:
        report.add({"certificates": _without_home(str(trust_source()))})
        if settings.base_url.startswith("https:"):
            make_context()
        report.add({"proxy": describe_proxy(settings)})
    except OrstatsError as error:
        report.fail("certificates", _without_home(str(error)))
        return report.end()
    if offline:
        report.add({"connection": "not tested (--offline)"})
        return report.end()
    report.print()
    for step in check_connection(settings):
        if step.passed:
            report.add({step.name: step.text})
        else:
            report.fail(step.name, for_shell(step.text))
        report.print()
    return report.end("" if settings.api_key or settings.management_key else " Set OPENROUTER_API_KEY to fetch.")


class _Report:
    """Pairs that are printed as they are found, and the names of failed checks."""

    def __init__(self) -> None:
        self._pairs: dict[str, str] = {}
        self._failed: list[str] = []

    def add(self, pairs: Mapping[str, str]) -> None:
        self._pairs |= pairs

    def fail(self, name: str, text: str) -> None:
        self._pairs[name] = f"FAILED: {text}"
        self._failed.append(name)

    def print(self) -> None:
        from orstats.text.sanitize import terminal_line

        print_pairs({f"{name:<12}": terminal_line(text) for name, text in self._pairs.items()})
        self._pairs.clear()

    def end(self, advice: str = "") -> int:
        """Print the rest and the verdict; return the exit code."""
        if self._pairs:
            self.print()
        if self._failed:
            print_status(f"Failed: {', '.join(self._failed)}.", "red")
            return FAILED
        print_status(f"All checks passed.{advice}", "green")
        return 0


def _versions() -> dict[str, str]:
    environment = "in a virtual environment" if sys.prefix != sys.base_prefix else "not in a virtual environment"
    return {
        "orstats": __version__,
        "Python": f"{platform.python_version()} ({platform.python_implementation()}, {environment})",
        "platform": f"{platform.platform()}, {os.cpu_count()} CPUs, {sys.getfilesystemencoding()}",
        "packages": ", ".join(_packages()) or "unknown: orstats is not installed as a package",
    }


def _packages() -> Iterator[str]:
    """Yield the installed versions of all dependencies, with those of extras."""
    try:
        requirements = metadata.requires("orstats") or []
    except metadata.PackageNotFoundError:
        return
    names = [_NAME.match(one) for one in requirements if not _OMITTED_EXTRAS.search(one)]
    for name in dict.fromkeys(found[0] for found in names if found):
        try:
            yield f"{name} {metadata.version(name)}"
        except metadata.PackageNotFoundError:
            yield f"{name} (not installed)"


def _keys(settings: Settings) -> dict[str, str]:
    return {
        "key": f"OPENROUTER_API_KEY is {'set' if settings.api_key else 'not set'}, "
        f"OPENROUTER_MANAGEMENT_KEY is {'set' if settings.management_key else 'not set'}"
    }


def _check_archive(report: _Report, settings: Settings, given: str | None, *, offline: bool) -> None:
    from orstats.archive.archive import Archive
    from orstats.archive.location import is_remote
    from orstats.errors import OrstatsError

    source = "--archive" if given else "ORSTATS_ARCHIVE" if os.environ.get("ORSTATS_ARCHIVE") else "default"
    try:
        archive = Archive(given)
        shown = f"{_without_home(archive.path)} ({source})"
        if offline and is_remote(archive.path):
            report.add({"archive": f"{shown}: not tested (--offline)"})
            return
        if not is_remote(archive.path) and not Path(archive.path).exists():
            parent = next(one for one in Path(archive.path).parents if one.exists())
            if (problem := _cannot_create_in(parent)) is not None:
                report.fail(
                    "archive",
                    f"{shown} does not exist and cannot be created in {_without_home(str(parent))} ({problem}). "
                    "Set ORSTATS_ARCHIVE to a directory that you can write.",
                )
                return
            report.add({"archive": f"{shown}: not created yet, can be"})
            return
        archive.check_writable(settings.host)
    except OrstatsError as error:
        report.fail("archive", _without_home(str(error)))
    except OSError as error:  # such as a name that is too long
        report.fail("archive", f"{shown}: {error.strerror}")
    else:
        report.add({"archive": f"{shown}: writable"})


def _cannot_create_in(parent: Path) -> str | None:
    """Say why no directory can be created in one that exists; None if it can. Permissions alone do not tell."""
    import tempfile

    try:
        Path(tempfile.mkdtemp(prefix=".orstats-", dir=parent)).rmdir()
    except OSError as error:
        return error.strerror
    return None


def _without_home(text: str) -> str:
    """Replace the home directory, which contains the user's name."""
    home = str(Path.home())
    return re.sub(rf"{re.escape(home)}(?=[/\\]|\b)", "~", text) if len(home) > 1 else text
