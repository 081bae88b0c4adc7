"""Where outputs may stand, and what belongs to whom."""

from __future__ import annotations

from pathlib import Path

import pytest

from minimize.errors import OutputError
from minimize.output.folder import check_apart, check_partition, is_date, is_run_id, output_and_date


@pytest.mark.parametrize(
    ("path", "place"),
    [
        ("records/date=2026-11-24/run-0.parquet", ("records", "2026-11-24")),
        ("records/date=2026-11-24/tenant=date%3D1/run-0.parquet", ("records", "2026-11-24")),
        ("fleet/run-0.parquet", ("fleet", None)),
        ("fleet/tenant=7/run-0.parquet", ("fleet", None)),
    ],
)
def test_a_files_output_and_date_are_in_its_path(path: str, place: tuple[str, str | None]) -> None:
    assert output_and_date(path) == place


@pytest.mark.parametrize("text", ["2026-02-30", "2026-1-1", "26-01-01", "2026-01-01T00", "", "2026-01-01/.."])
def test_a_text_that_is_no_date_is_none(text: str) -> None:
    assert not is_date(text)


@pytest.mark.parametrize("text", ["", ".", "..", "a/b", "-a", "a_b", "a.b", "a" * 200])
def test_a_text_that_cannot_name_files_is_no_run_id(text: str) -> None:
    assert not is_run_id(text)


def test_a_link_does_not_hide_that_output_and_source_are_one(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "data")
    with pytest.raises(OutputError):
        check_apart(tmp_path / "link/out", tmp_path / "data")


def test_a_place_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "records").touch()
    with pytest.raises(OutputError):
        check_partition(tmp_path, "records", None)


def test_a_place_that_is_not_there_yet_is_free(tmp_path: Path) -> None:
    check_partition(tmp_path, "records", "2026-11-24")
    assert [*tmp_path.iterdir()] == []
