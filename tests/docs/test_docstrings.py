"""Public names document their arguments and what they return."""

import inspect
import re

import pytest

import orstats


def public():
    """All public functions, classes and their public methods, by name."""
    names = {name: getattr(orstats, name) for name in orstats.__all__}
    for module in ("errors", "sim"):
        names |= {f"{module}.{name}": getattr(names[module], name) for name in names[module].__all__}
        del names[module]
    for name, thing in list(names.items()):
        if inspect.isclass(thing) and not issubclass(thing, Exception):
            methods = inspect.getmembers(thing, callable)
            names |= {f"{name}.{method}": value for method, value in methods if not method.startswith("_")}
    return names


PUBLIC = public()
CALLS = {name: thing for name, thing in PUBLIC.items() if not (inspect.isclass(thing) and issubclass(thing, Exception))}


@pytest.mark.parametrize("name", PUBLIC)
def test_docstring_begins_with_a_sentence(name):
    first = inspect.getdoc(PUBLIC[name]).partition("\n")[0]
    assert first.endswith(".")
    assert first[0].isupper() or first[0].isdigit() or first.startswith("`")


@pytest.mark.parametrize("name", CALLS)
def test_every_argument_is_explained(name):
    if name == "Generation":
        return  # its arguments are the columns: the field table explains them
    documented = re.findall(r"^(\*{0,2}[a-z_]+(?:, [a-z_]+)*)(?: : .+)?$", inspect.getdoc(CALLS[name]), re.MULTILINE)
    named = {argument.lstrip("*") for line in documented for argument in line.split(", ")}
    arguments = {one for one in inspect.signature(CALLS[name]).parameters if not one.startswith("_")}
    assert arguments - {"self", "cls"} <= named


@pytest.mark.parametrize("name", [name for name, thing in CALLS.items() if not inspect.isclass(thing)])
def test_return_value_is_documented(name):
    returns = inspect.signature(CALLS[name]).return_annotation
    assert (returns in ("None", None)) != bool(re.search(r"^Returns\n---", inspect.getdoc(CALLS[name]), re.MULTILINE))


@pytest.mark.parametrize("name", [name for name in orstats.__all__ if name not in ("errors", "sim")])
def test_every_public_name_has_an_example(name):
    if name == "Content":
        return  # by its methods
    assert ">>> " in inspect.getdoc(PUBLIC[name])
