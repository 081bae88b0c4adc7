"""The shipped access file: nothing is amiss with it, and it fits the pipelines beside it."""

from __future__ import annotations

import pytest

from minimize.governance.access.lint import is_access, lint
from minimize.switching import House

from .shipped import NAMES, PIPELINES

FILE = PIPELINES / "access.yaml"


@pytest.mark.parametrize("name", NAMES)
def test_the_shipped_access_file_has_no_faults_and_fits_each_pipeline(name: str) -> None:
    assert lint(FILE, House(pipeline=PIPELINES / name)) == []


def test_it_is_told_from_other_files() -> None:
    assert is_access(FILE)
    assert not any(is_access(path) for path in (PIPELINES, PIPELINES / "minimize.yaml", PIPELINES / NAMES[0]))
