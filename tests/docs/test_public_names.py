"""The names, arguments, defaults and options that users rely on: more may be added, none may change."""

import ast
import inspect

import pytest
import typer.main

import orstats
from orstats.cli.app import app

#: A default of ``...`` is left open.
PYTHON = """
read_ids(source, *, column=None)
list_ids(start, end="now", *, filters=None, client=None)
list_generations(start, end="now", *, labels=("api_key", "user", "app"), filters=None, client=None)
fetch(ids, *, client=None, archive=None, workers=16, refresh=False, errors="coerce", pending_wait=30.0, progress=None)
get(generation_id, *, client=None, archive=None)
attempts(df)
failures(df)
cost_by(frame, by="model", *, freq=None, tz="UTC")
tokens_by(frame, by="model", *, freq=None, tz="UTC")
latency_by(frame, by="model", *, freq=None, tz="UTC")
failures_by(frame, by="model", *, freq=None, tz="UTC")
coverage(frame)
summary(df)
what_if(df, prices)
usage(by="model", *, metrics=None, freq=None, tz="UTC", start, end="now", filters=None, client=None)
budgets(*, client=None)
compare(before, after, by="model")
sessions(df, by="session_id")
reconcile(df, *, start, end, client=None)
plot_change(compared, ax=None, *, by="cause")
plot_cost(df, *, by=None, freq=None, tz="UTC", ax=None)
plot_latency(df, *, by=None, freq=None, tz="UTC", ax=None)
plot_tokens(df, *, by=None, freq=None, tz="UTC", ax=None)
write_csv(frame, path, *, spreadsheet_safe=True, dialect="plain")
write_html(df, path)
write_report(report, path, *, dialect="plain")
explore(df, *, client=None, archive=None)
view(generation_id, *, client=None, archive=None)
view_session(df, session_id, *, by="session_id", client=None, archive=None)
fetch_contents(ids, *, client=None, archive=None, store_content=False)
record(path, session_or_client)
unrecord(session_or_client)
litellm_callback(path)
labels(path)
field_table()
read(path)
combine(*frames)
join(table, df, column=None)
Archive(path)
Archive.forget(self, *, ids=None, user=None, model=None, before=None, after=None, dry_run=False)
Client(api_key=None, *, management_key=None, base_url=None, timeout=..., retry=...)
Client.generation(self, generation_id)
Client.content(self, generation_id)
Client.analytics(self, query)
Client.activity(self)
Client.key(self)
Client.keys(self)
Client.credits(self)
Client.feedback(self, generation_id, category, comment=None)
Generation.content(self)
Retry()
sim.SimServer(generations=1000, *, seed=0, faults=...)
sim.SimServer.client(self)
"""

COMMANDS = {
    "demo": "",
    "fetch": "ids --ids-from --column -o --output --excel --workers --base-url --archive --no-archive --refresh",
    "show": "generation_id --content --json",
    "report": "ids --ids-from --by --freq --tz --since --until --compare --top -o --output --excel",
    "sessions": "ids --ids-from --by --tz --since --until --top -o --output --excel",
    "ids": "--since --until --model --user --key --labels -o --output",
    "usage": "--by --since --until --freq --tz -o --output --json",
    "reconcile": "--since --until --ids-from",
    "key": "--json --warn",
    "keys": "--json --disabled",
    "feedback": "generation_id --category --comment",
    "explore": "ids --ids-from",
    "doctor": "--offline --base-url --archive",
    "fields": "names",
    "sim": "--port --generations --faults --rate",
    "archive path": "--archive",
    "archive info": "--archive",
    "archive compact": "--archive",
    "archive export": "output -o --output --archive",
    "archive forget": "ids --ids-from --user --model --before --after --contents --archive --dry-run --yes",
}


def found(name):
    thing = orstats
    for part in name.split("."):
        thing = getattr(thing, part)
    return thing


def promised(line):
    """Name, parameters in order as (name, keyword only, default), of a line of the contract."""
    call, _, rest = line.partition("(")
    arguments = ast.parse(f"def f({rest}: pass").body[0].args
    defaults = [inspect.Parameter.empty] * (len(arguments.args) - len(arguments.defaults))
    defaults += [ast.literal_eval(value) for value in arguments.defaults]
    given = [(one.arg, False, value) for one, value in zip(arguments.args, defaults, strict=True)]
    for one, value in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True):
        given.append((one.arg, True, inspect.Parameter.empty if value is None else ast.literal_eval(value)))
    return call, given


@pytest.mark.parametrize("line", PYTHON.strip().splitlines(), ids=lambda line: line.partition("(")[0])
def test_signature_matches_the_contract(line):
    name, requested = promised(line)
    thing = found(name)
    real = inspect.signature(thing).parameters
    by_place = [one for one, parameter in real.items() if parameter.kind < inspect.Parameter.VAR_POSITIONAL]
    assert by_place[: len([one for one in requested if not one[1]])] == [one[0] for one in requested if not one[1]]
    for parameter, keyword_only, default in requested:
        assert (real[parameter].kind is inspect.Parameter.KEYWORD_ONLY) == keyword_only, parameter
        if default is not ... and default is not inspect.Parameter.empty:
            assert real[parameter].default == default, parameter
    known = {one[0] for one in requested}
    for parameter in real.values():  # what was added may be left out
        added = parameter.name not in known and parameter.kind not in (
            inspect.Parameter.VAR_POSITIONAL,
            inspect.Parameter.VAR_KEYWORD,
        )
        assert not added or parameter.default is not inspect.Parameter.empty, parameter.name


def test_every_public_name_is_in_the_contract():
    lines = {line.partition("(")[0].partition(".")[0] for line in PYTHON.strip().splitlines()}
    assert lines | {"Content", "errors"} == set(orstats.__all__)
    assert inspect.isclass(orstats.Content)
    assert issubclass(orstats.errors.IncompleteFetchError, orstats.errors.OrstatsError)


@pytest.mark.parametrize("name", COMMANDS)
def test_command_has_the_options_of_the_contract(name):
    command = typer.main.get_command(app)
    for part in name.split():
        command = command.commands[part]
    have = {option for one in command.params for option in ([*one.opts, *one.secondary_opts] or [one.name])}
    assert set(COMMANDS[name].split()) <= have | {one.name for one in command.params if not one.opts[0].startswith("-")}


def test_no_command_takes_a_key():
    """It would stay in the shell's history; ``ids --key`` filters by the name of one."""

    def options(command):
        yield from (option for one in command.params for option in one.opts)
        for below in getattr(command, "commands", {}).values():
            yield from options(below)

    assert not {"--api-key", "--management-key", "--token"} & set(options(typer.main.get_command(app)))


def test_defaults_of_the_command_line_are_those_of_the_library():
    fetch = {one.name: one.default for one in typer.main.get_command(app).commands["fetch"].params}
    library = inspect.signature(orstats.fetch).parameters
    for name in ("workers", "refresh", "pending_wait"):
        assert fetch[name] == library[name].default


@pytest.mark.parametrize(
    ("name", "end"), [("cost_bye", ". Did you mean 'cost_by'?"), ("zzz", "'zzz'"), ("_fetch", "h'")]
)
def test_misspelled_names_suggest_public_ones(name, end):
    with pytest.raises(AttributeError, match=f"has no attribute '{name}'") as caught:
        getattr(orstats, name)
    assert str(caught.value).endswith(end)
