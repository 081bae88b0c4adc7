"""Notebooks of the site run on a fresh clone: their commands are found without an activated environment."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from tests.docs.scripts import script

pytest.importorskip("nbclient", reason="the dependency group docs is not installed")
pytest.importorskip("jupytext", reason="the dependency group docs is not installed")

NOTEBOOK = "# Commands\n\n```python\n!minimize --version\n!command -v minimize\n```\n"


def test_a_notebook_finds_the_commands_of_its_interpreter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    notebook = tmp_path / "commands.md"
    notebook.write_text(NOTEBOOK)
    page = script("executed").executed(notebook, tmp_path / "site" / "commands.md").read_text()
    assert "minimize, version" in page
    assert str(Path(sys.executable).parent / "minimize") in page


def test_the_interpreters_folder_is_first_even_without_a_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PATH")
    folders = script("executed").kernel_environment()["PATH"].split(os.pathsep)
    assert folders == [str(Path(sys.executable).parent), *os.defpath.split(os.pathsep)]
