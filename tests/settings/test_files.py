"""Settings files, by their suffix."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.settings.test_csv import faults


@pytest.mark.parametrize("name", ["missing.csv", "missing.parquet"])
def test_a_file_that_is_not_there_is_a_fault(tmp_path: Path, name: str) -> None:
    assert faults(tmp_path / name) == [("C001", None)]


@pytest.mark.parametrize("name", ["settings.csv", "settings.parquet"])
def test_a_file_that_is_something_else_is_a_fault(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"\xff\xfe\x00canary")
    assert faults(tmp_path / name) == [("C001", None)]
