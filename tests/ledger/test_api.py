"""The facade: modules that use the database are imported when they are first used."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import minimize
from minimize.ledger import api

PACKAGE = Path(str(minimize.__file__)).parent
SQL = "sqlite3"


def imported(node: ast.AST) -> Iterator[str]:
    """The modules and names that a syntax tree imports, except those for type checking alone."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING":
            continue
        if isinstance(child, ast.Import):
            yield from (each.name for each in child.names)
        elif isinstance(child, ast.ImportFrom):
            yield from (str(child.module), *(f"{child.module}.{each.name}" for each in child.names))
        yield from imported(child)


def module_name(file: Path) -> str:
    return ".".join(file.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__")


IMPORTS = {module_name(file): set(imported(ast.parse(file.read_text()))) for file in PACKAGE.rglob("*.py")}


def modules_with_sql() -> set[str]:
    """The modules of the package that import the driver of SQLite, or a module that does."""
    found = set[str]()
    while more := {name for name, names in IMPORTS.items() if names & {SQL, *found}} - found:
        found |= more
    return found


def loads_sql(code: str) -> bool:
    text = f"import sys; {code}; print({SQL!r} in sys.modules)"
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=True)
    return done.stdout == "True\n"


@pytest.mark.parametrize("name", api.__all__)
def test_every_name_is_one_of_a_module_that_uses_the_database(name: str) -> None:
    assert getattr(api, name).__module__ in modules_with_sql()


def test_an_unknown_name_is_an_attribute_error() -> None:
    name = "disclosure"
    with pytest.raises(AttributeError, match="no attribute 'disclosure'"):
        getattr(api, name)


def test_the_facade_alone_leads_to_the_database() -> None:
    assert {name for name in modules_with_sql() if not name.startswith("minimize.ledger.")} == set()
    assert len(modules_with_sql()) > 5


def test_no_other_module_imports_a_driver() -> None:
    others = sorted(set(IMPORTS) - modules_with_sql() - {"minimize.__main__"})
    assert not loads_sql(f"import {', '.join(others)}")


def test_the_first_use_imports_the_driver() -> None:
    assert not loads_sql("from minimize.ledger import api")
    assert loads_sql("from minimize.ledger import api; api.open_ledger")
