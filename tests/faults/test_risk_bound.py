"""A run with a bound on disclosure risk is killed at each step, and the same command gives the output of an undisturbed run."""

from __future__ import annotations

from pathlib import Path

import pytest

import minimize
from minimize.checkpoints import FAIL_POINTS, LEDGER_POINTS
from minimize.datasets.reader import load_receipts
from tests.faults.child import killed
from tests.faults.process import KILLED
from tests.project import AT, DAY, Project, enter, new_project
from tests.risk_bounds import check_ins, with_bound

pytestmark = pytest.mark.slow

PASSES = ("gate#0", "gate#1", "gate#2", "gate#3")
"""A batch of each of two files, in the pass that counts combinations and in the one that writes."""
NOT_PASSED = ("back.", "clean.between", "swap.between")
STEPS = [point for point in (*FAIL_POINTS, *LEDGER_POINTS) if not point.startswith(NOT_PASSED)]


@pytest.fixture(name="home")
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in which configuration is found."""
    enter(tmp_path, monkeypatch)
    return tmp_path


def published_before(project: Project, name: str) -> None:
    """An output whose records a further run replaces: that run also reads a second file."""
    with_bound(project, name)
    project.records(check_ins())
    project.run()
    project.records(check_ins([("17.1.1", 2), ("20.1.1", 1), ("19.0.7", 2)], first=50), name="b")


def recovers(project: Project, name: str, point: str) -> None:
    """Kills the run at a point and repeats it. Compares it with a run into another folder."""
    published_before(project, name)
    expected = project.run(output=project.folder / "undisturbed")
    places = ["--output", project.out, "--keys", project.keys, "--ledger", project.out / "ledger.db"]
    words = ["run", project.folder, "--date", DAY, "--at", AT.isoformat(), *places]
    assert killed(words, point) == KILLED
    minimize.verify(project.out, keys=project.keys)
    assert killed(words, None) == 0
    receipt = load_receipts(project.out)[-1]
    assert receipt.risk is not None
    assert (receipt.risk, receipt.rows) == (expected.risk, expected.rows)
    assert project.rows() == project.rows(output=project.folder / "undisturbed")
    minimize.verify(project.out, keys=project.keys)


@pytest.mark.parametrize("point", ["gate#1", "gate#2", "file.closed", "swap.after", "receipt.written"])
def test_a_run_that_searches_levels_recovers(home: Path, point: str) -> None:
    recovers(new_project(home), "generalize", point)


@pytest.mark.nightly
@pytest.mark.parametrize("point", [*PASSES, *STEPS])
@pytest.mark.parametrize("name", ["suppress", "recode"])
def test_a_run_that_removes_records_recovers(home: Path, name: str, point: str) -> None:
    recovers(new_project(home), name, point)
