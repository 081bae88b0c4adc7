"""The page of formats on disk names each version as the code has it, and leaves no version out."""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path

import pytest

from tests.project import CHECKOUT

PAGE = CHECKOUT / "docs" / "reference" / "file-formats.md"
ROW = re.compile(r"^\| [^|]+ \| [^|]+ \| `([^`]+)` \| `(minimize\.[\w.]+)` \|$", re.MULTILINE)
CONSTANT = re.compile(
    r"^([A-Z_]*(?:FORMAT|MAGIC|NEWEST_VERSION|BASELINE_VERSION|_HASH)): Final = (?:\d|b?\"|BASE)", re.MULTILINE
)
NOT_ON_DISK = {"minimize.output.subject_index.EARLIER_MAGIC"}
"""Versions that are read and never written."""


def listed() -> dict[str, str]:
    return {name: version for version, name in ROW.findall(PAGE.read_text())}


def in_code() -> set[str]:
    """The constants of the package that state a format's version; the checks of `verify` state them again on purpose."""
    found = set()
    for path in sorted((CHECKOUT / "minimize").rglob("*.py")):
        module = ".".join(path.relative_to(CHECKOUT).with_suffix("").parts)
        if not module.startswith("minimize.verification"):
            found |= {f"{module}.{name}" for name in CONSTANT.findall(path.read_text()) if not name.startswith("_")}
    return found - NOT_ON_DISK


def value(name: str) -> str:
    module, _, constant = name.rpartition(".")
    found = getattr(import_module(module), constant)
    return found.decode() if isinstance(found, bytes) else str(found)


@pytest.mark.parametrize("name", sorted(listed()))
def test_a_version_is_the_one_of_the_code(name: str) -> None:
    assert listed()[name] == value(name)


def test_every_version_in_the_code_is_on_the_page() -> None:
    assert in_code() == listed().keys()


def test_verify_and_the_page_state_the_same_index_format() -> None:
    """`verify` reads indexes without the code that writes them, so that a change of one must be made in both."""
    from minimize.verification import indexes

    page = listed().values()
    assert {indexes.MAGIC.decode(), indexes.HASH_NAME} <= {*page}


def test_the_index_of_the_documentation_points_to_the_page() -> None:
    assert Path(PAGE).name in (CHECKOUT / "docs" / "index.md").read_text()
