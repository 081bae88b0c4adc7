"""What tallies set aside on disk while they work: nothing of it can be read, and nothing of it stays."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.leak.canary import Canary
from tests.leak.opened import named, unsealed
from tests.leak.sweep import found
from tests.project import AT, Project, events, new_project

MODELS = [Canary(f"model {number}", f"CANARY-model-{number:04}") for number in range(300)]
DEVICES = [Canary(f"device {number}", f"CANARY-device-{number:04}") for number in range(400)]
PLANTED = [*MODELS, *DEVICES]


@pytest.fixture(name="project")
def _project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.setenv("MINIMIZE_MEMORY", "1")
    project = new_project(tmp_path)
    rows = [
        {**event, "device_id": DEVICES[number % 400].value, "model": MODELS[number % 300].value}
        for number, event in enumerate(events(2000))
    ]
    for part in range(4):
        project.records(rows[500 * part : 500 * (part + 1)], name=f"f{part}")
    return project


def test_nothing_that_is_set_aside_can_be_read(project: Project, tmp_path: Path) -> None:
    with named(tmp_path / "spill"):
        project.run()
    assert (tmp_path / "spill").stat().st_size > 10_000
    assert found(PLANTED, tmp_path / "spill") == set()


def test_the_control_reads_what_is_set_aside_without_a_seal(
    project: Project, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    unsealed(monkeypatch)
    with named(tmp_path / "spill"):
        project.run()
    hits = found(PLANTED, tmp_path / "spill")
    assert {canary.place for canary in MODELS} <= hits
    assert not {canary.place for canary in DEVICES} & hits, "of subjects there are hashes only"


@pytest.mark.nightly
def test_nothing_is_left_by_a_run_that_is_killed_while_it_spills(project: Project, tmp_path: Path) -> None:
    (tmp_path / "tmp").mkdir()
    code = (
        "import os, sys; from minimize.spill import Accumulator; spill = Accumulator._spill\n"
        "def dies(self):\n    spill(self)\n    print(os.listdir('tmp'), flush=True)\n    os._exit(9)\n"
        "Accumulator._spill = dies\n"
        f"from minimize.runs import run\n"
        f"run({str(project.folder)!r}, keys={str(project.keys)!r}, at={AT.isoformat()!r}, output='killed')\n"
    )
    env = {**os.environ, "TMPDIR": str(tmp_path / "tmp")}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, env=env, cwd=tmp_path, check=False)
    assert done.returncode == 9, done.stderr.decode()
    assert done.stdout.strip() == b"[]"
    assert list((tmp_path / "tmp").iterdir()) == []
    assert found(PLANTED, done.stdout + done.stderr) == set()
