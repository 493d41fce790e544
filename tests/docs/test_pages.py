import os
import re
import shutil
import subprocess
import tomllib

import pytest
import sessions
import typer.main
from dictionary import PAGES, README, ROOT, WRITTEN, split

import orstats
from orstats.cli.app import app
from orstats.cli.errors import FAILED, SOME_FAILED, USAGE
from orstats.cli.options import EXIT_CODES
from orstats.frame.status import STATUSES

TEXTS = {page.relative_to(ROOT).as_posix(): page.read_text("utf-8") for page in PAGES}
#: All pages as one text: where it does not matter on which page something stands.
EVERYTHING = "\n".join(TEXTS.values())


def blocks(languages):
    """Return the code blocks in some languages: language, code, page and line."""
    pattern = re.compile(rf"^```({languages})\n(.*?)^```", re.DOTALL | re.MULTILINE)
    return [
        (block[1], block[2], page, text.count("\n", 0, block.start()) + 1)
        for page, text in TEXTS.items()
        for block in pattern.finditer(text)
    ]


def scripts():
    """Return the Python blocks: each stands alone, with those after it on the page that continue it."""
    found = []
    for language, code, page, line in blocks("python|py"):
        if language == "python":
            found.append([page, line, code, ""])
        elif "OpenAI(" not in code and "SparkSession" not in code and "ids.jsonl" not in code:  # not here
            assert found[-1][0] == page, f"{page}:{line}: there is no block before it on the page"
            found[-1][3] += code
    return [pytest.param(code, more, id=f"{page}:{line}") for page, line, code, more in found]


#: Commands that end on a signal or install packages; the tests of the command line and of the Makefile have them.
NOT_RUN = ("make ", "pip install", "orstats sim", "orstats explore", "mkdir /shared")
COMMANDS = [
    pytest.param(line, id=line.partition("  ")[0])
    for line in dict.fromkeys(line for _, code, _, _ in blocks("bash|sh") for line in code.splitlines())
    if not line.startswith(NOT_RUN)
]
SESSIONS = [
    pytest.param(*session.groups(), id=session[1])
    for text in TEXTS.values()
    for session in sessions.SESSION.finditer(text)
]


@pytest.fixture(scope="module")
def simulated():
    """The account of ``orstats sim``, its log, and an archive of it."""
    with sessions.account() as (folder, variables), pytest.MonkeyPatch.context() as environment:
        for name, value in variables.items():
            environment.setenv(name, value)
        orstats.fetch(orstats.read_ids(folder / "app.log"))
        yield folder


@pytest.fixture
def account(simulated, tmp_path, monkeypatch):
    """A directory with the log and the archive, as a reader of the page has it."""
    shutil.copytree(simulated, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ORSTATS_ARCHIVE", str(tmp_path / "archive"))
    return tmp_path


def test_readme_is_short():
    assert len(README.read_text("utf-8").splitlines()) <= 200


def test_there_are_examples():
    assert len(scripts()) >= 5
    assert len(COMMANDS) >= 10
    assert len(SESSIONS) >= 3


@pytest.mark.usefixtures("account")
@pytest.mark.parametrize(("block", "more"), scripts())
def test_examples_run(block, more, capsys):
    names = {"__name__": "page"}
    exec(compile(block, "page", "exec"), names)
    printed = capsys.readouterr().out
    assert printed
    assert "Empty DataFrame" not in printed
    assert "Series([]" not in printed
    assert max(map(len, printed.splitlines())) <= 200
    exec(compile(more, "page", "exec"), names)


@pytest.mark.skipif(os.name == "nt", reason="POSIX shell")
@pytest.mark.usefixtures("account")
@pytest.mark.parametrize("command", COMMANDS)
def test_commands_run(command):
    if done := sessions.in_process(command):
        code, out, err = done.exit_code, done.stdout, done.stderr
    else:
        code, out, err = at_a_terminal(command)
    # 3: the log contains two ids that the account does not have
    may_be_incomplete = any(word in command for word in ("reconcile", "fetch", "--ids-from"))
    assert code in ((0, 3) if may_be_incomplete else (0,)), err
    assert "Traceback" not in err
    assert out or err or "-q" in command or command.startswith("rm ")


def at_a_terminal(command):
    """Run a command in a shell whose user answers yes; return its exit code and what it prints."""
    keyboard, terminal = os.openpty()
    try:
        os.write(keyboard, b"y\n")
        done = subprocess.run(["bash", "-c", command], stdin=terminal, capture_output=True, text=True, check=False)
    finally:
        os.close(keyboard)
        os.close(terminal)
    return done.returncode, done.stdout, done.stderr


@pytest.mark.skipif(os.name == "nt", reason="POSIX shell")
@pytest.mark.parametrize(("command", "shown"), SESSIONS)
def test_sessions_print_what_the_page_shows(command, shown, account, monkeypatch):
    monkeypatch.setenv("ORSTATS_ARCHIVE", str(account / "new"))
    actual = sessions.without_numbers(sessions.run(command, account, shown=shown))
    for part in sessions.without_numbers(shown).split(" … "):
        assert part in actual, "run: python tests/docs/sessions.py"
        actual = actual[actual.index(part) + len(part) :]


#: The commands of the README's questions, with the beginning of what they print; runs.csv is the reader's own.
QUESTIONS = re.findall(
    r"^\*\*.+\*\* `orstats ((?!fetch).+)`\n\n```text\n(.+\n.*)\n", README.read_text("utf-8"), re.MULTILINE
)


@pytest.mark.parametrize(("command", "shown"), QUESTIONS)
def test_questions_have_the_answers_of_the_simulator(command, shown, account, monkeypatch):
    monkeypatch.setenv("COLUMNS", "118")
    actual = sessions.without_numbers(sessions.run(f"orstats {command}", account))
    header, first = shown.replace("```", "").split("\n")
    assert sessions.without_numbers(header) in actual
    assert sessions.without_numbers(first).split("0")[0] in actual


@pytest.mark.parametrize("path", WRITTEN, ids=lambda path: path.name)
def test_dictionary_is_the_field_table(path):
    assert split(path)[1] == WRITTEN[path][1](), "run: python tests/docs/dictionary.py"


@pytest.mark.parametrize("name", orstats.__all__)
def test_every_public_name_is_documented_and_has_a_docstring_that_says_more(name):
    assert re.search(rf"\borstats\.{name}\b|`{name}\b", EVERYTHING)
    assert len((getattr(orstats, name).__doc__ or "").strip()) > 30


def test_every_command_is_documented_and_no_other():
    commands = typer.main.get_command(app).commands
    named = set(re.findall(r"`orstats ([a-z]+)", EVERYTHING))
    assert named == set(commands)


def test_every_status_is_explained():
    for status in STATUSES:
        assert f"`{status}`" in TEXTS["docs/reference/failures.md"]


def test_every_environment_variable_is_documented():
    sources = "\n".join(path.read_text("utf-8") for path in (ROOT / "orstats").rglob("*.py"))
    names = set(re.findall(r"\b(?:OPENROUTER|ORSTATS|SSL_CERT|REQUESTS_CA|CURL_CA|HTTPS_PROXY|ALL_PROXY)\w*", sources))
    names -= {"OPENROUTER", "SSL_CERT"}
    documented = set(re.findall(r"`([A-Z_]+)`", TEXTS["docs/reference/environment.md"]))
    assert len(names) >= 8
    assert names <= documented


def test_exit_codes_are_those_of_the_command_line():
    named = set(re.findall(r"`(\d+)`", TEXTS["docs/reference/exit-codes.md"]))
    said = re.findall(r"(\d+) [a-z]", EXIT_CODES)
    assert set(said) <= named
    assert {str(code) for code in (FAILED, USAGE, SOME_FAILED)} < named


def test_extras_are_those_of_the_project():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    named = re.findall(r"^\| `(\w+)` \| ", TEXTS["docs/reference/install.md"], re.MULTILINE)
    assert sorted(named) == sorted(project["optional-dependencies"])


@pytest.mark.parametrize("page", PAGES, ids=TEXTS)
def test_links_point_to_existing_targets(page):
    for target, place in re.findall(r"\]\(([^)#]*)(?:#([^)]+))?\)", page.read_text("utf-8")):
        if "://" in target:
            continue
        file = (page.parent / target).resolve() if target else page
        assert file.exists(), target
        assert not place or place in headings(file), place


def test_every_page_notebook_and_picture_is_linked():
    named = {
        (page.parent / target).resolve()
        for page in PAGES
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text("utf-8"))
    }
    pictures = (ROOT / "docs" / "images").glob("*")
    assert {*(ROOT / "notebooks").glob("*.ipynb"), *pictures, *PAGES} - {README, ROOT / "docs" / "index.md"} <= named


def headings(page):
    """The anchors that the headings of a page get where Markdown is shown."""
    named = re.findall(r"^#+ (.+)$", page.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", name.lower()).replace(" ", "-") for name in named}


def test_files_that_the_architecture_page_names_are_there():
    text = TEXTS["docs/explanation/architecture.md"]
    rooms = [ROOT / "orstats", *(room for room in (ROOT / "orstats").glob("*") if room.is_dir())]
    for name in re.findall(r"`((?:[a-z_]+/)*[a-z_]+\.py)`", text):
        assert any((room / name).exists() for room in (ROOT, *rooms)), name
    named = re.findall(r"^\| `orstats/([a-z]+)` \|", text, re.MULTILINE)
    assert sorted(named) == sorted(path.parent.name for path in (ROOT / "orstats").glob("*/__init__.py"))
