"""The part that measures what an expiry costs."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benchmarks import copying, expiring


def test_the_goal_is_the_cpu_of_an_expiry_over_that_of_a_copy() -> None:
    [goal] = expiring.goals({"expire s": 2.2, "copy s": 2.0})
    assert goal["reached"] == pytest.approx(1.1)


def test_its_lines_have_every_figure() -> None:
    assert expiring.lines({"files": 3, "copy s": 0.25}).split() == ["files", "3.000", "copy", "s", "0.250"]


def test_a_copy_has_the_files_of_every_partition(tmp_path: Path) -> None:
    for day in ("date=2026-11-24", "date=2026-11-25"):
        (tmp_path / "records" / day).mkdir(parents=True)
        pq.write_table(pa.table({"x": [1]}), tmp_path / "records" / day / "a.parquet")
    copying.main(tmp_path / "records", tmp_path / "copied")
    assert [pq.read_table(path).num_rows for path in sorted((tmp_path / "copied").iterdir())] == [1, 1]
