"""Records whose value cannot name a folder are rejected, and no others."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import minimize
from minimize.output.partitions import MAX_FOLDER_BYTES, is_too_long
from minimize.runs.replay import recheck_quarantine
from tests.project import Project, event, new_project

ROOM = MAX_FOLDER_BYTES - len("tenant_id=")
VALUES = ["x" * ROOM, "x" * (ROOM + 1), "é" * (ROOM // 6), "é" * (ROOM // 6 + 1), None, "short"]


@pytest.mark.parametrize("encoded", [False, True])
def test_a_name_is_too_long_from_its_256th_byte_on(encoded: bool) -> None:
    values = pa.array(VALUES)
    found = is_too_long(values.dictionary_encode() if encoded else values, "tenant_id")
    assert found.tolist() == [False, True, False, True, False, False]


def test_a_record_whose_value_is_too_long_is_quarantined_and_the_others_are_written(tmp_path: Path) -> None:
    project = new_project(tmp_path)
    project.pipeline(aggregates=None, records={"partition_by": ["tenant_id"]})
    project.records(
        [*(event(number) for number in range(20)), event(20, tenant_id=VALUES[0]), event(21, tenant_id="y" * 300)]
    )
    receipt = project.run()
    assert (receipt.rows.written, receipt.quarantine.by_code) == (21, {"too_long": 1})
    minimize.verify(project.out, keys=project.keys)
    (quarantined,) = quarantine(project)
    assert (quarantined["field"], quarantined["code"], quarantined["unit"]) == ("/tenant_id", "too_long", "byte")
    (found,) = recheck_quarantine(project.out, keys=project.keys)
    assert found.rows == 0


def quarantine(project: Project) -> list[dict[str, object]]:
    (path,) = (project.out / "quarantine").rglob("*.parquet")
    found: list[dict[str, object]] = pq.read_table(path, partitioning=None).to_pylist()
    return found
