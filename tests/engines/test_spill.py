"""What is set aside until everything was seen: in order, as often as wanted, and nobody else's."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from minimize.stages.raw_values import spill_records

SCHEMA = pa.schema([("a", pa.int64()), ("m", pa.dictionary(pa.int32(), pa.string()))])


def batch(numbers: list[int | None], words: list[str | None]) -> pa.RecordBatch:
    return pa.RecordBatch.from_arrays(
        [pa.array(numbers, pa.int64()), pa.array(words, SCHEMA.field("m").type)], schema=SCHEMA
    )


BATCHES = [batch([1, None], ["x", "y"]), batch([3], [None]), batch([4, 5], ["z", "x"])]


def test_batches_are_read_in_order_as_often_as_wanted() -> None:
    with spill_records(iter(BATCHES), SCHEMA) as again:
        for _ in range(3):
            rows = [row for one in again() for row in one.to_pylist()]
            assert rows == [row for one in BATCHES for row in one.to_pylist()]


def test_nothing_spilled_is_nothing_read() -> None:
    with spill_records(iter(()), SCHEMA) as again:
        assert list(again()) == []


def test_a_slice_is_spilled_without_the_rest() -> None:
    with spill_records(iter([BATCHES[0].slice(1, 1)]), SCHEMA) as again:
        (only,) = again()
        assert only.to_pylist() == [{"a": None, "m": "y"}]
        assert only.column("m").dictionary.to_pylist() == ["y"]


def test_the_file_has_no_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with spill_records(iter(BATCHES), SCHEMA) as again:
        assert list(tmp_path.iterdir()) == []
        assert len(list(again())) == 3
