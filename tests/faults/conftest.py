"""What tests of faults share: a project, an output in two versions, a small disk."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.small_disk import Disk, mounted
from tests.faults.versions import Versions, versions_in
from tests.project import Project, events


@pytest.fixture(scope="session", name="versions")
def _versions(tmp_path_factory: pytest.TempPathFactory) -> Versions:
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MINIMIZE_KEYS", raising=False)
        return versions_in(tmp_path_factory.mktemp("versions"))


@pytest.fixture(name="out")
def _out(versions: Versions, tmp_path: Path) -> Path:
    """An output of the old version."""
    return versions.out(tmp_path)


@pytest.fixture(name="project")
def _project(project: Project, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A project with data, whose ledger is in its output."""
    monkeypatch.delenv("MINIMIZE_LEDGER")
    project.records(events(40))
    return project


@pytest.fixture(name="disk")
def _disk(tmp_path: Path) -> Iterator[Disk]:
    """A file system of a few megabytes. Skips where none can be mounted; in CI it fails then."""
    (tmp_path / "disk").mkdir()
    try:
        with mounted(tmp_path / "disk") as disk:
            yield disk
    except (OSError, subprocess.CalledProcessError):
        if os.environ.get("CI", "").lower() in ("true", "1"):
            pytest.fail("in CI a small disk can be mounted")
        pytest.skip("a small disk wants somebody who may mount one (root)")
