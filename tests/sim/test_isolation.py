"""The simulator shares nothing with the client that it serves to test."""

import ast
import subprocess
import sys
from pathlib import Path

import orstats.sim

FILES = sorted(Path(orstats.sim.__file__).parent.rglob("*.py"))


def imported(path):
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield "." * node.level + (node.module or "")


def test_simulator_imports_nothing_else_of_the_package():
    assert len(FILES) > 15
    for path in FILES:
        foreign = [name for name in imported(path) if name.startswith((".", "orstats")) and "orstats.sim" not in name]
        assert foreign == [], path.name


def test_simulator_requires_only_orjson_and_its_extra():
    allowed = {*sys.stdlib_module_names, "orstats", "orjson", "cryptography", "httptools"}
    assert {name.partition(".")[0] for path in FILES for name in imported(path)} <= allowed


def test_simulator_loads_nothing_heavy():
    heavy = {"pandas", "pyarrow", "requests", "numpy", "cryptography", "httptools"}
    program = f"import sys, orstats.sim; print(sorted({heavy} & sys.modules.keys()))"
    out = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert out == "[]\n"
