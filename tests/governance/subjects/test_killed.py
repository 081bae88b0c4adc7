"""A deletion that is killed on its way is gone on with by the same command, as the same request."""

from __future__ import annotations

import subprocess
import sys

import pytest

import minimize
from minimize.governance.subjects import DataSubject, request_statuses, view_subjects
from minimize.ledger import find_ledger
from minimize.ledger.ledger import open_ledger
from minimize.workspace import Workspace as Places
from tests.faults.child import killed
from tests.faults.process import KILLED
from tests.governance.outputs import RECORDS, run, two_days
from tests.governance.subjects.test_delete import NOW, count
from tests.project import Project

pytestmark = pytest.mark.nightly

D3 = DataSubject("d3", "north")


@pytest.mark.parametrize("point", ["ledger.after#1", "swap.after#2"])
def test_killed_on_its_way_it_is_gone_on_with(project: Project, point: str) -> None:
    two_days(project)
    other = project.folder / "other"
    run(project, output=other)
    ledger = project.folder / "organization.db"
    words = ["subject", "delete", "d3", "--tenant", "north", "--ledger", ledger, "--keys", project.keys, "--yes"]
    command = [sys.executable, "-m", "minimize", *map(str, words)]
    assert killed(words, point) == KILLED
    done = subprocess.run(command, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    with open_ledger(find_ledger(ledger)) as book:
        (status,) = request_statuses(book)
    assert status.last.state == "done"
    assert status.last.asked_at < status.last.recorded_at
    for output in (project.out, other):
        minimize.verify(output, keys=project.keys)
        assert len(project.rows(output=output)) == 2 * (len(RECORDS) - count(RECORDS, D3))
    assert view_subjects([D3], Places(ledger, keys=project.keys), NOW)[0].rows == 0
