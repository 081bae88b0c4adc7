"""The facade: modules that use the database are imported when they are first used."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module

import pytest

from minimize.ledger import api


def loads_sqlalchemy(code: str) -> bool:
    text = f"import sys; {code}; print('sqlalchemy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=True)
    return done.stdout == "True\n"


@pytest.mark.parametrize("name", api.__all__)
def test_every_name_is_a_module_of_the_ledger(name: str) -> None:
    assert getattr(api, name) is import_module(f"minimize.ledger.{name}")


def test_an_unknown_name_is_an_attribute_error() -> None:
    name = "disclosure"
    with pytest.raises(AttributeError, match="no attribute 'disclosure'"):
        getattr(api, name)


def test_modules_that_may_do_without_a_ledger_do_not_import_sqlalchemy() -> None:
    modules = (
        "minimize.ledger.api",
        "minimize.runs.minimizer",
        "minimize.runs.verify",
        "minimize.policy.load",
        "minimize.server.server",
        "minimize.governance.access.enforcement",
        "minimize.governance.workspace",
    )
    assert not loads_sqlalchemy(f"import {', '.join(modules)}")


def test_the_first_use_imports_sqlalchemy() -> None:
    assert loads_sqlalchemy("from minimize.ledger import api; api.sharing")
