"""Whatever is invalid in a command ends with 2 and one line, whichever part of the program refuses it."""

import re
from importlib import metadata
from pathlib import Path

import pytest
from typer.main import get_command

from orstats.cli.app import app

IDS = "gen-1790000000-AbCdEfGhIjKlMnOpQrSt,gen-1790000001-AbCdEfGhIjKlMnOpQrSt"
WRONG = {
    # refused by the parser
    "usage": "--since is missing. Start of the range: 2026-03-01",
    "reconcile": "--since is missing. Start of the range: 2026-03-01",
    "show": "ID is missing.",
    "feedback gen-1": "--category is missing.",
    "reprot": "Unknown command 'reprot'. Did you mean 'report'? Run `orstats --help`",
    "sessions ticket-4": "'ticket-4' is not a generation id. Without ids, `orstats sessions` lists every session",
    "budgets": "Unknown command 'budgets'. Did you mean 'key'?",
    "archive exprt": "Unknown command 'exprt'. Did you mean 'export'? Run `orstats archive --help`",
    "usage --sicne 7d": "Unknown option '--sicne'. Did you mean '--since'",
    "fetch --ids app.log": "Unknown option '--ids'. Did you mean '--ids-from'?",
    "keys --warn 0.8": "Unknown option '--warn'. It is an option of `orstats key`. Run",
    "app.log": "'app.log' is a file, not a command. Use `orstats fetch --ids-from app.log`.",
    "report --json": "Unknown option '--json'. Run",
    "ids app.log": "'app.log' is a file; orstats ids takes none. `orstats fetch --ids-from app.log` reads its ids.",
    "report --top x": "--top",
    "fetch --workers 0": "--workers",
    "report --quiet=3": "'--quiet' does not take a value",
    "show a b": "orstats show takes one ID: run it once for each.",
    "report --by model --by provider_name": "given 2 times. Pass it once as --by COLUMNS, separated by commas.",
    "fetch gen-1 -o a.csv --output=b.csv": "--output was given 2 times. Pass it once.",
    "fetch gen-1 -o a.csv --excel eu": "Pass --excel=eu, with an equals sign.",
    "usage --since 7d --by model provider": "'provider' is an unexpected argument. Did you mean --by model,provider?",
    "usage --since 7d --by=model, provider -q": "Did you mean --by model,provider?",
    "usage --since 7d --metric request_count x": "Did you mean --metric request_count,x?",
    "ids --labels api_key user --since 7d": "Did you mean --labels api_key,user?",
    "ids --since 7d --model a/b c/d": "Did you mean --model a/b --model c/d?",
    "report --by model provider_name": "'provider_name' is a column, not an id. Did you mean --by model,provider_name?",
    "report --by model key,user gen-1": "Did you mean --by model,key,user?",
    # by the commands
    "report provider_name": "'provider_name' is a column, not an id.",
    "sessions --by session_id model": "'model' is a column, not an id.",
    "fetch app.log": "'app.log' is a file, not an id. Use --ids-from app.log.",
    "archive forget nope.log": "'nope.log' is the name of a file, not an id. Use --ids-from nope.log.",
    "explore -": "'-' is standard input, not an id. Use --ids-from -.",
    "show app.log": "'app.log' is a file, not an id. `orstats fetch --ids-from app.log` lists its ids",
    "show nope.log": "'nope.log' is the name of a file, not an id.",
    "feedback . --category other": "'.' is a folder, not an id.",
    "feedback chatcmpl-1 --category other": "Not a generation id: chatcmpl-",
    f"show {IDS}": "This command takes one id. Run it once for each.",
    "demo --out app.log": "--out must be a directory, got the file 'app.log'.",
    "fetch gen-1 --base-url localhost:8377": "(scheme and host). Did you mean 'http://localhost:8377'?",
    "fetch": "no ids.",
    "fetch gen-1 --column id": "--ids-from",
    "report --freq X": "--freq",
    "report --by day": "--by: Unknown column 'day'. Reports over time take --freq day.",
    "usage --since 7d --by model,date": "--by: Unknown dimension 'date'. Reports over time take --freq day.",
    "report --by mdoel": "Did you mean 'model'?",
    "report --excel": "--excel needs a file",
    "archive forget": "pass what to delete",
    # by the library
    "report gen-1 -o x.txt": "x.txt: the file's name must end in one of",
    "fetch gen-1 -o .": "is a directory",
    "fetch gen-1 -o -": "'-' is not a file name; leave -o out",
    "ids --since 7d -o -": "'-' is not a file name; leave -o out",
    "fetch --ids-from stored.csv --join -o ./stored.csv": "./stored.csv is also the file to read",
    "report --ids-from stored.csv --ids-from two.csv -o two.csv": "two.csv is also the file to read",
    "sessions --ids-from stored.csv -o stored.csv": "stored.csv is also the file to read",
    "reconcile --ids-from stored.csv --since 7d -o stored.csv": "stored.csv is also the file to read",
    "reconcile --activity stored.csv -o stored.csv": "stored.csv is also the file to read",
    "fetch gen-1 --base-url ftp://x": "https://",
    "report stored.csv": "--ids-from stored.csv",
    "report --archive a --by cost_usd": "Cannot group by 'cost_usd'",
    "feedback gen-1 --category slow": "Unknown category 'slow'",
    "usage --since 7d --metric foo": "Unknown metric 'foo'",
    "ids --since 7d --labels foo": "Unknown label 'foo'",
    "sessions --archive a --by foo": "Unknown column 'foo'",
    "fields foo": "Unknown column 'foo'",
    "fields latncy": "Did you mean 'latency'?",
    "fields cost_us": "Did you mean 'cost_usd'",
    "fields cost": "Columns about it: cost_usd",
    "fields api_key": "orstats report --by api_key --since 30d",
    "usage --since 7x": "today, yesterday, now, or a time ago: 90min, 24h, 7d, 2w or 3mo.",
    "archive export --archive a": "-o FILE",
    "archive export x.csv -o y.csv --archive a": "-o FILE",
    # by a look at the file
    "fetch --ids-from stored.csv --column foo": "Unknown column 'foo'",
    "fetch --ids-from stored.csv --column model --join": "column 'model' contains no generation ids",
    "fetch --ids-from stored.csv --column model": "Ids are in 'id'.",
    "fetch --ids-from other.csv --column id": "column 'id' contains no generation ids",
    "fetch --ids-from app.log --column foo": "app.log: has no columns",
    "fetch --ids-from app.log --column foo --join": "app.log: has no columns",
    "report --ids-from two.csv": "several columns contain generation ids ('a', 'b'); pass --column.",
}
NOT_WRONG = {
    "fetch gen-1": "OPENROUTER_API_KEY",
    "report gen-1 --ids-from stored.csv --archive a": "`orstats fetch --deadline 0` needs no key for those.",
    "fetch gen-1 -o nowhere/x.csv": "there is no directory",
    "ids --since 7d -o nowhere/x.txt": "there is no directory",
    "ids --since 7d --labels user -o nowhere/x.csv": "there is no directory",
    "fetch --ids-from other.txt": "other.txt contains no generation id, but 1 x chatcmpl-",
    "fetch --ids-from other.csv": "column 'id' contains no generation ids (first value: 'chatcmpl-8xYzAbC123')",
    "fetch --ids-from other.csv --join": "column 'id' contains no generation ids (first value: 'chatcmpl-8xYzAbC123')",
    "fetch --ids-from costs.csv": "no id column found; pass --column.",
    "fetch --ids-from nope.log": "no such file: 'nope.log'. Did you mean 'app.log'?",
    f"fetch --ids-from {'x' * 300} -o stored.csv": "no such file: 'xxx",
    "fetch --ids-from nope.csv --join": "no such file: 'nope.csv'.",
    "fetch --ids-from app.log --join": "app.log: not a table that can be joined; it must be .csv",
    "fetch --ids-from logs/*.zst": "nothing matches 'logs/*.zst'.",
    "report --archive none": "does not exist",
}


@pytest.fixture
def files(online, orstats, monkeypatch):
    """A stored archive, and files to read ids from; no key."""
    assert orstats("fetch", *online.ids[:3], "--archive", "a", "-o", "stored.csv").exit_code == 0
    Path("two.csv").write_text("a,b\n{},{}\n".format(*online.ids))
    Path("app.log").write_text(f"2026-03-01 08:00:01,592 INFO done {online.ids[0]}\n2026-03-01 08:00:02,101 INFO end\n")
    Path("other.txt").write_text("chatcmpl-8xYzAbC123\n")
    Path("other.csv").write_text("id,cost\nchatcmpl-8xYzAbC123,0.5\n")
    Path("costs.csv").write_text("model,cost\na,0.5\n")
    monkeypatch.delenv("OPENROUTER_API_KEY")
    return online


def test_wrong_usage_is_2_and_one_line_everywhere(orstats, files):
    before = files.requests
    for commands, code in ((WRONG, 2), (NOT_WRONG, 1)):
        for command, words in commands.items():
            done = orstats(*command.split())
            assert (done.exit_code, done.stdout) == (code, ""), f"{command}: {done.output}"
            assert done.stderr.startswith("orstats: error: "), command
            assert words in done.stderr, f"{command}: {done.stderr}"
            assert done.stderr.count("\n") == 1, command
            assert not re.search(r"[a-z]=(?![a-z])", done.stderr), f"{command} names an argument of Python"
    assert files.requests == before


def test_values_of_the_wrong_kind_are_quoted(orstats):
    if not any(one.startswith("pydantic") for one in metadata.requires("typer")):
        pytest.skip("typer 0.26 words these errors itself, with the value")
    for command, message in {
        "report --top x": "--top must be a valid integer, got 'x'.",
        "fetch --workers 0": "--workers must be greater than or equal to 1, got '0'.",
        "key --warn 80": "--warn must be less than or equal to 1, got '80'.",
    }.items():
        assert message in orstats(*command.split()).stderr


#: Every command that writes a table.
WRITERS = ("fetch gen-1", "report gen-1", "sessions gen-1", "usage --since 7d", "reconcile gen-1", "fields")


@pytest.mark.usefixtures("online")
@pytest.mark.parametrize("command", [*WRITERS, "archive export"])
def test_help_names_the_endings_that_are_accepted(command, orstats):
    shown = get_command(app)
    for word in command.removesuffix("gen-1").partition(" --")[0].split():
        shown = shown.commands[word]
    text = next(option.help for option in shown.params if "--output" in option.opts)
    refused = orstats(*command.split(), "-o", "x.txt").stderr
    endings = set(re.findall(r"\.[a-z.]+[a-z]", refused.partition("one of")[2]))
    aliases = {".ndjson", ".htm"}
    assert set(re.findall(r"\.[a-z.]+[a-z]", text)) == endings - aliases, refused
