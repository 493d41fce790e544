"""Errors of the parser, such as an unknown option, in the form of all other errors: one line, and exit code 2."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import takewhile
from typing import Any, Final

import typer
import typer.core

from orstats.cli.errors import USAGE, print_error
from orstats.cli.shell import quoted
from orstats.text.suggest import did_you_mean, similar

#: The class of all errors of the parser. It has no public name: typer brings a parser of its own.
_UsageError: Any = typer.BadParameter.__base__
#: How a value of the wrong kind is explained by pydantic, with which typer converts; its error is the cause.
_RULE: Final = "Input should be "

#: Functions of the library whose command has another name.
_COMMANDS: Final = {
    **dict.fromkeys(("cost_by", "tokens_by", "latency_by", "failures_by", "compare", "write_report"), "report"),
    **dict.fromkeys(("get", "view", "generation", "content"), "show"),
    "budgets": "key",
    "list_ids": "ids",
}
#: What options are called that take several names, separated by commas.
_LISTS: Final = ("COLUMNS", "NAMES")
#: At most so many other commands are named that have an option.
_FEW_COMMANDS: Final = 2


class Program(typer.core.TyperGroup):
    """Commands whose wrong usage is an error in one line."""

    def make_context(self, *args: Any, **options: Any) -> Any:
        """Parse the options before the command."""
        with _one_line():
            return super().make_context(*args, **options)

    def invoke(self, ctx: Any) -> Any:
        """Parse the rest, and run the command."""
        with _one_line():
            return super().invoke(ctx)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Find the command, or suggest similar ones."""
        if self.get_command(ctx, args[0]) is None and not args[0].startswith("-"):
            if os.path.isfile(args[0]):  # noqa: PTH113 - any text
                ctx.fail(f"{args[0]!r} is a file, not a command. Use `orstats fetch --ids-from {quoted(args[0])}`.")
            commands = self.list_commands(ctx)
            named = _COMMANDS.get(args[0].replace("-", "_"))
            near = [named] if named in commands else similar(args[0], commands)
            ctx.fail(f"Unknown command {args[0][:100]!r}.{did_you_mean(near)}")
        name, command, rest = super().resolve_command(ctx, args)
        wrong = None
        if not ctx.resilient_parsing:
            wrong = _loose_values(command, rest) or _repeated(command, rest) or _stray_file(command, rest)
        if wrong is not None:
            print_error(wrong)
            raise typer.Exit(USAGE)
        return name, command, rest


def _loose_values(command: Any, args: Sequence[str]) -> str | None:
    """Say how to write several values of an option that are separated by spaces, as in ``--by model provider_name``."""
    from orstats.cli.report_labels import names_columns

    takes_ids = bool(_arguments(command))
    options = {name: one for one in command.params for name in one.opts if name.startswith("--")}
    for at, word in enumerate(args):
        name, has_value, value = word.partition("=")
        option = options.get(name)
        if option is None or not (_is_list(option) or (option.multiple and not takes_ids)):
            continue
        first = at + (1 if has_value else 2)
        is_loose = names_columns if takes_ids else _is_value
        loose = list(takewhile(is_loose, args[first:]))
        if loose:
            values = [value] * bool(has_value) + [*args[at + 1 : first], *loose]
            what = "is a column, not an id" if takes_ids else "is an unexpected argument"
            return f"{loose[0][:100]!r} {what}. Did you mean {_written(name, option, values)}?"
    return None


def _repeated(command: Any, args: Sequence[str]) -> str | None:
    """Name an option that is given again, where the parser would silently take the last value."""
    single = [one for one in command.params if one.param_type_name == "option" and not (one.multiple or one.is_flag)]
    for option in single:
        given = [word for word in takewhile(lambda word: word != "--", args) if word.partition("=")[0] in option.opts]
        if len(given) > 1:
            form = f" as {max(option.opts, key=len)} {option.metavar}, separated by commas" if _is_list(option) else ""
            return f"{given[1].partition('=')[0]} was given {len(given)} times. Pass it once{form}."
    return None


def _stray_file(command: Any, args: Sequence[str]) -> str | None:
    """Say which command reads the ids of a file, where one is given to a command that takes no ids."""
    is_group = hasattr(command, "list_commands")
    if is_group or _arguments(command) or not args or not os.path.isfile(args[0]):  # noqa: PTH113 - any text
        return None
    file = quoted(args[0])
    return f"{args[0]!r} is a file; orstats {command.name} takes none. `orstats fetch --ids-from {file}` reads its ids."


def _arguments(command: Any) -> list[Any]:
    return [one for one in command.params if one.param_type_name == "argument"]


def _is_list(option: Any) -> bool:
    return option.metavar in _LISTS


def _is_value(word: str) -> bool:
    return not word.startswith("-")


def _written(name: str, option: Any, values: Sequence[str]) -> str:
    """Write an option with several values."""
    if not _is_list(option):
        return " ".join(f"{name} {quoted(value)}" for value in values)
    return f"{name} {','.join(one for value in values for one in value.split(',') if one)}"


@contextmanager
def _one_line() -> Iterator[None]:
    try:
        yield
    except _UsageError as error:
        if type(error).__name__ == "NoArgsIsHelpError":  # a group without a command prints its help page
            raise
        advice = "" if error.ctx is None else f" Run `{error.ctx.command_path} --help` for its usage."
        print_error(f"{_describe(error)}{advice}")
        raise typer.Exit(USAGE) from None


def _options(command: Any) -> list[str]:
    return [one for param in command.params for one in param.opts if one.startswith("-")]


def _elsewhere(group: Any, option: str) -> str:
    """Name the other commands that have an option, if there are few."""
    commands = getattr(getattr(group, "command", None), "commands", {})
    having = [f"`{group.command_path} {name}`" for name, one in commands.items() if option in _options(one)]
    return f" It is an option of {' and '.join(having)}." if 1 <= len(having) <= _FEW_COMMANDS else ""


def _describe(error: Any) -> str:
    name = getattr(error, "option_name", None)
    if name is not None and hasattr(error, "possibilities"):
        options = {one.lstrip("-"): one for one in _options(error.ctx.command)}
        near = [options[one] for one in similar(name.lstrip("-"), options)]  # all begin with dashes
        return f"Unknown option {name[:100]!r}.{did_you_mean(near) or _elsewhere(error.ctx.parent, name)}"
    param = getattr(error, "param", None)
    if param is None:
        message: str = error.format_message()
        arguments = [] if error.ctx is None else _arguments(error.ctx.command)
        if arguments and message.startswith("Got unexpected extra argument"):
            return f"{error.ctx.command_path} takes one {arguments[0].metavar}: run it once for each."
        return message if message.endswith("?") else f"{message.rstrip('.')}."
    label = max(param.opts, key=len) if param.param_type_name == "option" else param.metavar
    if hasattr(error, "param_type"):  # what the error for a missing parameter alone has
        return f"{label} is missing. {param.help}"
    rule, is_rule = error.message.partition(", unable")[0], error.message.startswith(_RULE)
    if is_rule and error.__cause__ is not None:
        value = str(error.__cause__.errors()[0]["input"])
        return f"{label} must be {rule.removeprefix(_RULE)}, got {value[:100]!r}."
    return f"{label}: {error.message.rstrip('.')}."
