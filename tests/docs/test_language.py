"""Text that a person reads is plain technical English: none of these words, which read as translated."""

import ast
import re

import nbformat
import pytest
from dictionary import PAGES, POLICIES, ROOT

#: Regular expressions, and what to write instead.
WORDS = {
    r"\bwhoever\b": "name the person or program: the caller, the user",
    r"\banew\b": "again",
    r"\bstrangers?\b": "untrusted text, untrusted files",
    r"\bdearest\b": "most expensive",
    r"\b(too )?young\b": "(too) recent",
    r"\bfor ever\b": "indefinitely, without a limit",
    r"\bat once\b": "immediately, concurrently, in one pass",
    r"\bodd\b": "malformed, unusual",
    r"(?<!there )\b(is|are|was|were) no (?!longer|more\b|less\b)\w": "is not a, are not",
    r"\basked for\b": "requested",
    r"\b(is|was|are|were|be|been) asked\b": "requested",
    r"\b(is|was|are|were) told\b": "is given, learns",
    r"\btells\b": "says, names, returns, reports",
    r"\bsaid\b": "reported, returned",
    r"\bwanted\b": "requested, expected",
    r"\bpassed over\b": "skipped",
    r"\bleft out\b": "omitted, excluded, skipped",
    r"\btaken for\b": "treated as",
    r"\bsurely\b": "certainly",
    r"\b(of )?ours\b": "name the owner: an orstats workbook, your totals",
    r"\bexcludes? each other\b": "mutually exclusive",
    r"\bas far as (it|they) (says?|tells?)\b": "where known",
    r"\bnobody knows\b": "unknown",
    r"\bcannot be had\b": "is not available",
    r"\bwhat came in\b": "the results, partial results",
    r"\bmade good\b": "retried",
    r"\bthe same again\b": "the same command again",
    r"\bset apart\b": "separate",
    r"\bwent by\b": "was spent",
    r"\bput (down|off)\b": "save, postpone",
    r"\bits own words\b": "verbatim",
    r"\b(looked|look) again\b": "retry",
    r"\bnot ok in all\b": "in total",
}

#: Passages that keep such a word, and why.
EXCEPTIONS = {
    "what was said in this one": "the content of a conversation is speech",
    "upstream said no": "an error message as providers send it",
    "Weighing what the user asked for": "simulated reasoning of a model",
}


def literals(path):
    """All strings of a module, docstrings included, with their lines."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.lineno, node.value


def texts(path):
    if path.suffix == ".py":
        yield from literals(path)
    elif path.suffix == ".ipynb":
        for number, cell in enumerate(nbformat.read(path, as_version=4).cells):
            yield number, cell.source
    else:
        yield 1, path.read_text("utf-8")


FILES = [
    *PAGES,
    *POLICIES,
    *sorted((ROOT / "notebooks").glob("*.ipynb")),
    *sorted((ROOT / "orstats").rglob("*.py")),
]


def found(text):
    """Passages that hold one of the words and are not excepted."""
    for passage in EXCEPTIONS:
        text = text.replace(passage, "")
    for pattern, instead in WORDS.items():
        for match in re.finditer(pattern, text, re.IGNORECASE):
            passage = " ".join(text[max(0, match.start() - 30) : match.end() + 30].split())
            yield f"{match[0]!r} in {passage!r}: write {instead}"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_text_is_plain_english(path):
    remarks = [f"{path}:{line}: {remark}" for line, text in texts(path) for remark in found(text)]
    assert not remarks, "\n".join(remarks)


def test_every_exception_is_needed():
    everything = "\n".join(text for path in FILES for _, text in texts(path))
    assert [passage for passage in EXCEPTIONS if passage not in everything] == []
