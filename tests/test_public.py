"""The public face: what the package offers, and that having it costs nothing."""

from __future__ import annotations

import inspect
import pkgutil
import subprocess
import sys

import pyarrow as pa
import pytest

import minimize
from minimize.text import load_object

HEAVY = (
    "pandas",
    "pyspark",
    "sqlalchemy",
    "pyarrow",
    "numpy",
    "pydantic",
    "polars",
    "duckdb",
    "cryptography",
    "rich",
    "jinja2",
)


def python(text: str) -> str:
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_importing_the_package_imports_nothing_heavy() -> None:
    assert python(f"import sys, minimize; print(sorted({set(HEAVY)} & set(sys.modules)))") == "[]\n"


def test_the_core_imports_no_data_frames() -> None:
    text = "import sys, minimize; [getattr(minimize, name) for name in minimize.__all__]; "
    assert python(text + "print(sorted({'pandas', 'polars', 'duckdb', 'rich', 'faker'} & set(sys.modules)))") == "[]\n"


def test_the_names_are_few_and_sorted() -> None:
    assert minimize.__all__ == sorted(minimize.__all__)
    assert len(set(minimize.__all__)) == len(minimize.__all__) <= 25


def test_the_names_are_what_completion_shows() -> None:
    assert dir(minimize) == sorted([*minimize.__all__, "__version__"])


def test_no_name_is_that_of_a_module() -> None:
    assert {module.name for module in pkgutil.iter_modules(minimize.__path__)} & {*minimize.__all__} == set()


@pytest.mark.parametrize(
    ("former", "current"), [("Account", "RowCounts"), ("open", "open_dataset"), ("plan_for", "make_plan")]
)
def test_a_former_name_works_and_names_the_current_one(former: str, current: str) -> None:
    with pytest.warns(DeprecationWarning, match=rf"^`minimize\.{former}` is now `minimize\.{current}`$") as warned:
        value = getattr(minimize, former)
    assert value is getattr(minimize, current)
    assert [warning.filename for warning in warned] == [__file__]


def test_the_former_argument_for_counts_works_and_names_the_current_one() -> None:
    policy = {
        "policy": "p",
        "version": 1,
        "purposes": ["operations"],
        "fields": {"x": {"type": "integer", "do": "keep"}},
    }
    table = pa.table({"x": [1]})
    with pytest.warns(DeprecationWarning, match="^`account` is now `counts`$") as warned:
        _, counts = minimize.apply(policy, table, account=True)
    assert [warning.filename for warning in warned] == [__file__]
    assert counts.to_json() == minimize.apply(policy, table, counts=True)[1].to_json()
    with pytest.warns(DeprecationWarning, match="^`left_out` is now `quarantined`$"):
        assert counts.left_out == counts.quarantined


@pytest.mark.parametrize("name", minimize.__all__)
def test_every_name_exists_and_is_documented(name: str) -> None:
    value = getattr(minimize, name)
    assert inspect.getdoc(value)
    assert callable(value)
    assert not inspect.ismodule(value)


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    name = "minimise"
    with pytest.raises(AttributeError, match="no attribute 'minimise'"):
        getattr(minimize, name)


def test_no_module_of_the_package_shadows_a_public_name() -> None:
    text = (
        "import importlib, inspect, pkgutil, minimize\n"
        "for module in pkgutil.walk_packages(minimize.__path__, 'minimize.'):\n"
        "    if module.name != 'minimize.__main__':\n"
        "        importlib.import_module(module.name)\n"
        "print([name for name in minimize.__all__ if inspect.ismodule(getattr(minimize, name))])"
    )
    assert python(text) == "[]\n"


@pytest.mark.parametrize("path", sorted(minimize._HOMES.values()))
def test_a_public_name_is_the_same_object_after_any_first_import(path: str) -> None:
    assert load_object(path) is getattr(minimize, path.rpartition(".")[2])


def test_the_version_is_the_distributions() -> None:
    from importlib.metadata import version

    assert minimize.__version__ == version("minimize")


def test_star_gives_the_public_names() -> None:
    assert python("from minimize import *; print(run.__name__, Keyring.__name__)") == "run Keyring\n"
