"""What contributors read is true: make targets, files and workflows exist; templates ask for ``orstats doctor``."""

import re
import subprocess
import sys

import pytest
import yaml
from dictionary import DOCS, POLICIES, ROOT

import orstats

GITHUB = ROOT / ".github"


@pytest.mark.parametrize("path", POLICIES, ids=lambda path: path.name)
def test_named_files_and_targets_exist(path):
    text = path.read_text("utf-8")
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    assert set(re.findall(r"\bmake ([a-z-]+)", text)) <= targets
    for name in re.findall(r"\b((?:orstats|tests|docs)/[\w/.-]*\w)", text):
        assert (ROOT / name).exists(), name


def test_templates_ask_for_the_doctor():
    for name in ("ISSUE_TEMPLATE/bug.yml", "ISSUE_TEMPLATE/request.yml", "PULL_REQUEST_TEMPLATE.md"):
        assert "orstats doctor" in (GITHUB / name).read_text("utf-8"), name


def test_workflow_runs_what_people_run_on_three_systems():
    jobs = yaml.safe_load((GITHUB / "workflows" / "tests.yml").read_text("utf-8"))["jobs"]
    steps = {name: [step.get("run", "") for step in job["steps"]] for name, job in jobs.items()}
    assert ".ci/run" in steps["linux"]
    assert jobs["others"]["strategy"]["matrix"]["os"] == ["macos-latest", "windows-latest"]
    (tests,) = [run for run in steps["others"] if "pytest" in run]
    assert "not browser" in tests


def test_dependencies_are_checked_weekly():
    workflow = yaml.safe_load((GITHUB / "workflows" / "dependencies.yml").read_text("utf-8"))
    assert "schedule" in workflow[True], "YAML reads `on` as true"
    targets = workflow["jobs"]["check"]["strategy"]["matrix"]["target"]
    assert [target.split()[0] for target in targets] == ["canary", "audit", "compat"]
    makefile = (ROOT / "Makefile").read_text("utf-8")
    assert all(f"\n{target.split()[0]}: " in makefile for target in targets)


def test_commits_run_the_checks():
    (repo,) = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text("utf-8"))["repos"]
    assert [hook["entry"] for hook in repo["hooks"]] == ["make check"]


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="not a clone")
def test_nothing_strays_into_the_top_level():
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    usual = {"README.md", "Makefile", "environment.yml", "pyproject.toml", "orstats", "tests", "docs", "notebooks"}
    assert {name.split("/")[0] for name in listed.splitlines() if name[0] != "."} == usual


def test_changelog_begins_with_this_version():
    versions = re.findall(r"^## (\S+)", (DOCS / "changelog.md").read_text("utf-8"), re.MULTILINE)
    assert versions == ["0.2.0", "0.1.0"]
    assert versions[0] == orstats.__version__


def test_benchmarks_find_the_places_of_their_tables():
    page = (DOCS / "explanation" / "speed.md").read_text("utf-8")
    places = re.findall(r"<!-- (\w+): written by tests/benchmarks -->\n[^<]*<!-- /\1 -->", page)
    sources = "".join(path.read_text("utf-8") for path in (ROOT / "tests" / "benchmarks").glob("*.py"))
    assert set(places) == set(re.findall(r'write_section\(\s*"(\w+)"', sources)) != set()


def test_module_runs_as_the_program_does():
    done = subprocess.run([sys.executable, "-m", "orstats", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout == f"orstats {orstats.__version__}\n"
