"""Quarantine files hold codes and pointers, nothing else."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from minimize.output.sink import QUARANTINE_SCHEMA, ParquetSink, QuarantineWriter
from minimize.records import Reject


def quarantine(root: Path) -> QuarantineWriter:
    return QuarantineWriter(
        ParquetSink(root, "quarantine/date=2026-11-24", "run", QUARANTINE_SCHEMA, empty=False), "run"
    )


def test_each_reject_is_one_row(tmp_path: Path) -> None:
    made = quarantine(tmp_path)
    made.write("a.ndjson", [Reject(0, "byte", None, "malformed"), Reject(90, "byte", "/apps/*/name", "wrong_type")])
    made.write("b.csv", [Reject(3, "row", "/time", "bad_time")])
    [written] = made.close()
    assert written.path == "quarantine/date=2026-11-24/run.parquet"
    assert pq.read_table(tmp_path / written.path, partitioning=None).to_pylist() == [
        dict(zip(QUARANTINE_SCHEMA.names, row, strict=True))
        for row in (
            ("run", "a.ndjson", 0, "byte", None, "malformed"),
            ("run", "a.ndjson", 90, "byte", "/apps/*/name", "wrong_type"),
            ("run", "b.csv", 3, "row", "/time", "bad_time"),
        )
    ]


def test_codes_are_counted(tmp_path: Path) -> None:
    made = quarantine(tmp_path)
    made.write("a", [Reject(1, "byte", None, "too_large"), Reject(2, "byte", None, "malformed")])
    made.write("b", [Reject(1, "byte", None, "malformed")])
    assert made.by_code == {"malformed": 2, "too_large": 1}


def test_without_rejects_there_is_no_file(tmp_path: Path) -> None:
    made = quarantine(tmp_path)
    made.write("a", [])
    assert made.close() == ()
    assert made.by_code == {}


def test_there_is_no_column_that_could_hold_a_value() -> None:
    assert QUARANTINE_SCHEMA.names == ["run_id", "source", "position", "unit", "field", "code"]
    assert QUARANTINE_SCHEMA.field("position").type == pa.int64()
