"""The same input, however it is cut and in whatever order its files come, gives the same rows and the same bits."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import minimize
from minimize.errors import SchemaError
from tests.project import BEFORE, DAY, SCHEMA, Project, events, table

COUNT = 1_000
RECORDS = events(COUNT)
Cut = Callable[[Project, list[dict[str, Any]], int], None]


def bits(output: Path) -> list[tuple[str, bytes | None]]:
    """The aggregate's columns, by name, as their bytes."""
    found = minimize.read(output, "per_model").combine_chunks()
    ordered = found.take(pa.compute.sort_indices(found, sort_keys=[("model", "ascending"), ("day", "ascending")]))
    arrays = [ordered[name].combine_chunks() for name in ordered.column_names]
    return [
        (name, None if buffer is None else buffer.to_pybytes())
        for name, array in zip(ordered.column_names, arrays, strict=True)
        for buffer in array.buffers()
    ]


def many_files(project: Project, records: list[dict[str, Any]], parts: int) -> None:
    for part in range(parts):
        project.records(records[part::parts], name=f"f{part:04}")


def row_groups(project: Project, records: list[dict[str, Any]], parts: int) -> None:
    project.columns(table(records), row_group_size=max(1, len(records) // parts))


def small_files(project: Project, records: list[dict[str, Any]], parts: int) -> None:
    for part in range(min(parts, 50)):
        project.columns(table(records[part :: min(parts, 50)]), name=f"f{part:04}")


def ran(project: Project, cut: Cut, records: list[dict[str, Any]], parts: int) -> tuple[Any, Any, Any]:
    shutil.rmtree(project.folder / "data", ignore_errors=True)
    cut(project, records, parts)
    output = project.folder / f"out-{parts}"
    shutil.rmtree(output, ignore_errors=True)
    receipt = project.run(output=output)
    assert sum(receipt.rows.by_result[name] for name in ("written", "deduplicated")) == COUNT
    return project.rows(output=output), bits(output), dict(receipt.fields)


@pytest.mark.parametrize(
    ("cut", "kind"), [(many_files, "ndjson.gz"), (row_groups, "parquet"), (small_files, "parquet")]
)
@pytest.mark.parametrize("deduplicate", [None, {"by": ["device_id"], "per": "day"}])
def test_rows_and_bits_do_not_depend_on_batches(project: Project, cut: Cut, kind: str, deduplicate: Any) -> None:
    form = kind.split(".")[0]
    records = {"must_be": "pseudonymized"} | ({} if deduplicate is None else {"deduplicate": deduplicate})
    project.source(form, pattern=f"data/{{date}}/*.{kind}", records=records)
    whole = ran(project, cut, RECORDS, 1)
    shuffled = list(RECORDS)
    random.Random(7).shuffle(shuffled)
    assert ran(project, cut, shuffled, 7) == whole
    assert ran(project, cut, RECORDS[::-1], 50) == whole


@pytest.mark.slow
def test_rows_and_bits_are_the_same_with_a_file_for_each_record(project: Project) -> None:
    whole = ran(project, many_files, RECORDS, 1)
    assert ran(project, many_files, RECORDS[::-1], COUNT) == whole


def test_the_order_of_files_decides_nothing(project: Project) -> None:
    first, second = RECORDS[:200], RECORDS[200:]

    def cut(order: list[list[dict[str, Any]]]) -> Cut:
        def write(project: Project, records: list[dict[str, Any]], parts: int) -> None:
            for number, part in enumerate(order):
                project.records(part, name=f"f{number}")

        return write

    assert ran(project, cut([first, second]), RECORDS, 2) == ran(project, cut([second, first]), RECORDS, 2)


def test_the_files_match_the_receipt(project: Project) -> None:
    project.records(RECORDS)
    receipt = project.run()
    for output in receipt.outputs.values():
        for file in output.files:
            assert pq.read_metadata(project.out / file.path).num_rows == file.rows


def test_batch_dates_with_different_types_are_not_run_together(project: Project) -> None:
    project.source("parquet")
    rows = table(events(20))
    place = SCHEMA.get_field_index("storage")
    project.columns(rows.set_column(place, "storage", rows.column("storage").cast(pa.int32())), BEFORE)
    project.columns(rows, DAY)
    with pytest.raises(SchemaError) as caught:
        project.run()
    assert [(finding.code, finding.field) for finding in caught.value.findings] == [("S010", "storage")]
    assert project.run(date=DAY).rows.written == 20
