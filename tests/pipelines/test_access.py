"""The shipped access file: nothing is amiss with it, and it fits the pipelines beside it."""

from __future__ import annotations

import pytest

from minimize.governance.access_file import is_access_file, lint_access
from minimize.workspace import Workspace

from .shipped import NAMES, PIPELINES

FILE = PIPELINES / "access.yaml"


@pytest.mark.parametrize("name", NAMES)
def test_the_shipped_access_file_has_no_faults_and_fits_each_pipeline(name: str) -> None:
    assert lint_access(FILE, Workspace(pipeline=PIPELINES / name)) == []


def test_the_access_file_is_recognized_among_other_files() -> None:
    assert is_access_file(FILE)
    assert not any(is_access_file(path) for path in (PIPELINES, PIPELINES / "minimize.yaml", PIPELINES / NAMES[0]))
