"""Settings files, by their suffix."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from minimize.errors import PolicyError
from minimize.settings import load_settings
from tests.settings.test_files import faults


@pytest.mark.parametrize("name", ["missing.csv", "missing.parquet"])
def test_a_file_that_is_not_there_is_a_fault(tmp_path: Path, name: str) -> None:
    assert faults(tmp_path / name) == [("C001", None)]


@pytest.mark.parametrize("name", ["settings.csv", "settings.parquet"])
def test_a_file_that_is_something_else_is_a_fault(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"\xff\xfe\x00canary")
    assert faults(tmp_path / name) == [("C001", None)]


@pytest.mark.parametrize("name", ["settings.csv", "settings.parquet"])
def test_a_file_that_is_closed_to_us_is_said_to_be_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    def closed(*given: object, **options: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", "a path")

    path = tmp_path / name
    path.write_bytes(b"")
    monkeypatch.setattr(Path, "open", closed)
    monkeypatch.setattr("minimize.settings.files.check_footer", closed)
    with pytest.raises(PolicyError) as caught:
        load_settings(path)
    (finding,) = caught.value.findings
    assert (finding.code, finding.hint) == ("C001", "Check its permissions.")
    assert finding.message == "the settings cannot be read: permission is denied (EACCES)"
    assert caught.value.__context__ is None
