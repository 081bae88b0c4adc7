"""Docstrings of the public names, and of what their functions return: arguments, results, errors, and an example that runs."""

from __future__ import annotations

import doctest
import inspect
import re
from collections.abc import Callable, Iterator
from dataclasses import is_dataclass
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

import minimize
from minimize.disclosure_risk.risk import Risk
from minimize.errors import Finding
from minimize.governance.sharing.disclosures import ShareSummary
from minimize.plan import Plan
from minimize.plan.model import FieldPlan
from minimize.policy.pipeline import Pipeline
from minimize.server.client import DatasetReader

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "python.md"
PUBLIC: dict[str, Any] = {name: getattr(minimize, name) for name in minimize.__all__}
RETURNED = (DatasetReader, FieldPlan, Finding, Pipeline, Plan, Risk, ShareSummary)
"""What public functions return, apart from public classes and types of other libraries."""
FUNCTIONS = {name: value for name, value in PUBLIC.items() if inspect.isfunction(value)}
CLASSES = {value.__name__: value for value in (*PUBLIC.values(), *RETURNED) if inspect.isclass(value)}
SECTIONS = ("Args", "Returns", "Raises", "Example")


def sections(documented: Any) -> dict[str, str]:
    """The sections of a docstring by their heading; the text before them under an empty one."""
    parts = re.split(rf"^({'|'.join(SECTIONS)}):\n", inspect.getdoc(documented) or "", flags=re.MULTILINE)
    return {"": parts[0], **dict(zip(parts[1::2], parts[2::2], strict=True))}


def described(section: str) -> list[str]:
    """The names that a section describes."""
    return re.findall(r"^    (\w+): \S", section, flags=re.MULTILINE)


def parameters(function: Callable[..., Any]) -> list[str]:
    """The names of the parameters, without the object itself."""
    return [name for name in inspect.signature(function).parameters if name not in ("self", "cls")]


def examples(documented: Any) -> list[doctest.Example]:
    """The statements of the examples of a docstring."""
    return doctest.DocTestParser().get_examples(inspect.getdoc(documented) or "")


def own_methods(kind: type) -> Iterator[tuple[str, Callable[..., Any]]]:
    """The public methods that a class of the package defines itself and that take arguments."""
    for name, value in vars(kind).items():
        function = value.__func__ if isinstance(value, classmethod | staticmethod) else value
        is_called = not name.startswith("_") or name == "__call__"
        if is_called and inspect.isfunction(function) and parameters(function):
            yield name, function


INTERNAL = {"Minimizer.run_source", "Minimizer.job"}
"""Methods that the package calls and the reference does not list, as those of policies and pipelines, which are read as files."""
METHODS = {
    f"{kind}.{name}": method
    for kind, value in CLASSES.items()
    if not issubclass(value, BaseModel)
    for name, method in own_methods(value)
    if f"{kind}.{name}" not in INTERNAL
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_describes_each_parameter_its_result_and_its_errors(name: str) -> None:
    function, parts = FUNCTIONS[name], sections(FUNCTIONS[name])
    assert described(parts["Args"]) == parameters(function)
    assert described(parts["Raises"])
    assert ("Returns" in parts) is (inspect.signature(function).return_annotation != "None")
    assert parts[""].count("\n\n") >= 1


@pytest.mark.parametrize("name", METHODS)
def test_a_method_describes_each_parameter(name: str) -> None:
    assert described(sections(METHODS[name])["Args"]) == parameters(METHODS[name])


@pytest.mark.parametrize("name", CLASSES)
def test_a_class_describes_how_it_is_made(name: str) -> None:
    kind = CLASSES[name]
    if not (is_dataclass(kind) or issubclass(kind, BaseModel) or "__init__" not in vars(kind)):
        assert described(sections(kind)["Args"]) == parameters(kind.__init__)


@pytest.mark.parametrize("name", [*FUNCTIONS, *CLASSES])
def test_each_has_an_example_that_imports_what_it_uses_and_shows_a_result(name: str) -> None:
    statements = examples({**FUNCTIONS, **CLASSES}[name])
    assert "Example" in sections({**FUNCTIONS, **CLASSES}[name])
    assert re.match(r"import minimize\n|from minimize\.", statements[0].source)
    shows_nothing = {"verify", "connect"}  # one returns nothing, the other sends nothing before the first read
    assert any(each.want for each in statements) or name in shows_nothing


def test_errors_that_a_docstring_names_exist() -> None:
    known = {name for name, value in vars(minimize.errors).items() if inspect.isclass(value)} | {"KeyError"}
    for documented in (*FUNCTIONS.values(), *METHODS.values()):
        assert set(described(sections(documented).get("Raises", ""))) <= known, documented


def test_the_page_lists_every_public_name_and_what_functions_return() -> None:
    listed = {path.rpartition(".")[2] for path in re.findall(r"^::: (\S+)$", PAGE.read_text(), flags=re.MULTILINE)}
    assert {*PUBLIC, *CLASSES} <= listed


@pytest.mark.parametrize("path", re.findall(r"^::: (\S+)$", PAGE.read_text(), flags=re.MULTILINE))
def test_each_path_of_the_page_exists(path: str) -> None:
    module, _, name = path.rpartition(".")
    assert path == "minimize.errors" or inspect.getdoc(getattr(__import__(module, fromlist=[name]), name))
