"""Every command and every snippet of the documentation does what its page says."""

from __future__ import annotations

import getpass
import os
import re
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from minimize.governance.access.new_file import create_access_file
from minimize.keys.listing import create_keyring
from tests.docs.pages import ROOT, Reader, path_with_ours

PAGES = [ROOT / "README.md", *sorted(page for page in (ROOT / "docs").rglob("*.md") if page.parent.name != "notebooks")]
BLOCK = re.compile(r"^(?:```(?:sh|python|text)$|<!--- invisible-code-block: (?:sh|python)$)", re.MULTILINE)
"""What begins a block that is run, or held against what was printed."""


def marked(page: Path) -> Any:
    """A page that wants Java says so."""
    return pytest.param(page, marks=pytest.mark.spark) if page.name == "spark.md" else page


@pytest.fixture(name="reader")
def _reader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Reader]:
    """A reader of a fresh checkout after `make run`; the environment is restored afterwards."""
    for name in ("pipelines", "sample_data"):
        shutil.copytree(ROOT / name, tmp_path / name)
    create_access_file(tmp_path / "out" / "demo-access.yaml", getpass.getuser(), ("contoso", "fabrikam"))
    create_keyring(tmp_path / "out" / "demo.keys", ("device", "user", "session"), datetime.now(UTC))
    monkeypatch.chdir(tmp_path)
    before = dict(os.environ)
    for name in [each for each in before if each.startswith("MINIMIZE_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PATH", path_with_ours())
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setenv("WORLD", str(ROOT / "tests" / "docs" / "world.sh"))
    yield Reader(tmp_path)
    os.environ.clear()
    os.environ.update(before)


@pytest.mark.slow
@pytest.mark.parametrize("page", [marked(page) for page in PAGES], ids=lambda page: str(page.relative_to(ROOT)))
def test_a_page_does_what_it_says(page: Path, reader: Reader) -> None:
    assert reader.reads(page) == len(BLOCK.findall(page.read_text()))
