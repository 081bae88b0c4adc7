"""The commands of `console` blocks, which set up an environment: they run as shown, in a copy of the project."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.pages import ROOT
from tests.docs.test_pages import PAGES

CONSOLE = re.compile(r"^```console\n(.*?)^```", re.MULTILINE | re.DOTALL)
INSTALL = ROOT / "docs" / "install.md"
TARGET = re.compile(r"^make ([\w-]+)", re.MULTILINE)


def blocks(page: Path) -> list[str]:
    """The console blocks of a page."""
    return CONSOLE.findall(page.read_text())


def test_pages_with_console_blocks_are_those_whose_commands_are_run_here() -> None:
    others = {page for page in PAGES if blocks(page)} - {INSTALL}
    assert {page.name for page in others} == {"README.md"}
    assert all(TARGET.match(line) for page in others for block in blocks(page) for line in block.splitlines())


@pytest.mark.parametrize("target", TARGET.findall("\n".join(blocks(ROOT / "README.md"))))
def test_make_has_the_targets_that_the_readme_names(target: str) -> None:
    assert subprocess.run(["make", "-n", target], cwd=ROOT, capture_output=True, check=False).returncode == 0


@pytest.mark.slow
def test_the_installation_runs_as_shown(tmp_path: Path) -> None:
    copy = tmp_path / "minimize"
    copy.mkdir()
    for name in ("LICENSE", "pyproject.toml", "README.md", "constraints.txt", "minimize", "sample_data", "pipelines"):
        source = ROOT / name
        shutil.copytree(source, copy / name) if source.is_dir() else shutil.copy(source, copy / name)
    script = "\n".join(blocks(INSTALL)).replace("/opt/minimize", str(tmp_path / "installed"))
    variables = {**os.environ, "PATH": f"{sys.base_prefix}/bin:{os.environ['PATH']}"}
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script], cwd=copy, env=variables, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert "does not provide the extra" not in done.stdout + done.stderr
    installed = subprocess.run(
        [tmp_path / "installed" / "bin" / "minimize", "--version"], capture_output=True, text=True, check=True
    )
    assert installed.stdout
