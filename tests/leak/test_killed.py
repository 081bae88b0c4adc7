"""What a run leaves behind when it is killed while it writes: staging, folders for temporary files, and after the next run."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.leak.canary import Canary
from tests.leak.planted import ALL, AT, build
from tests.leak.printed import printed_by
from tests.leak.sweep import found

pytestmark = pytest.mark.nightly

DIES = {
    "after the first batch is written": (
        "import minimize.output.sink as sink\n"
        "write = sink.ParquetSink.write\n"
        "def dies(self, batch):\n"
        "    write(self, batch)\n"
        "    if 'owner_type' in batch.schema.names:\n"
        "        self.close()\n"
        "        os._exit(9)\n"
        "sink.ParquetSink.write = dies\n"
    ),
    "while records are generalized": (
        "import minimize.stages.generalize as stage\nstage.GeneralizeFields.__call__ = lambda self, batch: os._exit(9)\n"
    ),
    "before the receipt is signed": (
        "import minimize.runs.receipt_builder as told\ntold.software_versions = lambda: os._exit(9)\n"
    ),
}
GO = (
    f"sys.argv = ['minimize', '--verbose', 'run', '.', '--at', '{AT}', '--output', 'out']\n"
    "from minimize.cli import main; main()\n"
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A pipeline in a folder, and one for temporary files."""
    folder = build(tmp_path)
    (folder / "tmp").mkdir()
    printed_by(folder, ("keys", "new", "keys", "--name", "device", "--name", "ticket"))
    return folder


def killed(folder: Path, how: str) -> bytes:
    """Runs and dies; gives what was printed until then."""
    code = f"import os, sys\n{DIES[how]}{GO}"
    env = {**os.environ, "MINIMIZE_KEYS": str(folder / "keys"), "TMPDIR": str(folder / "tmp")}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, env=env, cwd=folder, check=False)
    assert done.returncode == 9, done.stderr.decode()
    return done.stdout + done.stderr


@pytest.mark.parametrize("how", DIES)
def test_nothing_planted_is_left_behind_by_a_run_that_dies(folder: Path, how: str) -> None:
    said = killed(folder, how)
    assert found(ALL, said) == set()
    assert found(ALL, folder / "out") == set()
    assert found(ALL, folder / "tmp") == set()


def test_the_control_finds_what_is_kept_in_what_a_run_that_dies_leaves_behind(folder: Path) -> None:
    killed(folder, "after the first batch is written")
    assert found([Canary("kept", "corporate")], folder / "out") == {"kept"}


def test_the_next_run_clears_away_what_was_left_behind(folder: Path) -> None:
    killed(folder, "after the first batch is written")
    printed_by(folder, ("run", ".", "--at", AT, "--output", "out"))
    assert len(list((folder / "out").rglob("receipt.json"))) == 1
    assert found(ALL, folder / "out") == set()
