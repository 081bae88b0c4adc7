"""Files read back batch by batch, with the columns that are folders."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from minimize.errors import OutputError
from minimize.output.sink import ParquetSink
from minimize.output.stored_file import open_stored_file, with_dictionaries

SCHEMA = pa.schema([("n", pa.int64()), ("tenant", pa.string()), ("flag", pa.bool_()), ("day", pa.date32())])


def test_folders_come_back_as_columns_of_their_type(tmp_path: Path) -> None:
    sink = ParquetSink(tmp_path, "records", "run-0", SCHEMA, partition_by=["tenant", "flag", "day"])
    sink.write(pa.record_batch([[1], ["a/b"], [True], pa.array([7], pa.date32())], schema=SCHEMA))
    [written] = sink.close()
    stored = open_stored_file(tmp_path, written.path)
    assert stored.schema.names == ["n"]
    assert stored.whole.equals(SCHEMA)
    assert [batch.to_pylist() for batch in stored.batches()] == [stored.table().to_pylist()]
    assert stored.table().column("tenant").to_pylist() == ["a/b"]
    assert (
        stored.table().select(["flag", "day"]).to_pydict()
        == pa.table({"flag": [True], "day": pa.array([7], pa.date32())}).to_pydict()
    )


def test_a_unit_that_parquet_does_not_have_comes_back_as_the_next_finer(tmp_path: Path) -> None:
    schema = pa.schema([("t", pa.timestamp("s", "UTC")), ("tenant", pa.string())])
    sink = ParquetSink(tmp_path, "records", "run-0", schema, partition_by=["tenant"])
    sink.write(pa.record_batch([pa.array([7], pa.timestamp("s", "UTC")), ["a"]], schema=schema))
    [written] = sink.close()
    table = open_stored_file(tmp_path, written.path).table()
    assert table.schema.field("t").type == pa.timestamp("ms", "UTC")
    assert table["t"].cast(pa.int64()).to_pylist() == [7000]


def test_batches_are_bounded(tmp_path: Path) -> None:
    schema = pa.schema([("n", pa.int64())])
    sink = ParquetSink(tmp_path, "records", "run-0", schema)
    sink.write(pa.record_batch([range(300_000)], schema=schema))
    [written] = sink.close()
    sizes = [batch.num_rows for batch in open_stored_file(tmp_path, written.path).batches()]
    assert sum(sizes) == 300_000
    assert max(sizes) <= 1 << 17


def test_requested_texts_are_dictionaries_and_small_row_groups_are_one_batch(tmp_path: Path) -> None:
    schema = pa.schema([("n", pa.int64()), ("device", pa.string())])
    sink = ParquetSink(tmp_path, "records", "run-0", schema)
    devices = [f"device {number % 90_000}" for number in range(300_000)]
    sink.write(pa.record_batch([range(300_000), pa.array(devices).dictionary_encode()], names=schema.names))
    [written] = sink.close()
    plain = open_stored_file(tmp_path, written.path)
    [batch] = with_dictionaries(plain, tmp_path, None, ["device", "n"]).batches()
    assert [pa.types.is_dictionary(each.type) for each in batch.columns] == [False, True]
    assert batch.column("device").to_pylist() == devices
    assert with_dictionaries(plain, tmp_path, None, ["n"]) is plain
    [again] = open_stored_file(tmp_path, written.path, encoded=True, also=["device"]).batches(columns=["device"])
    assert again.column("device").equals(batch.column("device"))


def test_a_large_row_group_comes_in_bounded_batches_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    schema = pa.schema([("device", pa.string())])
    sink = ParquetSink(tmp_path, "records", "run-0", schema)
    sink.write(pa.record_batch([pa.array(["a", "b"] * 150_000).dictionary_encode()], names=schema.names))
    [written] = sink.close()
    monkeypatch.setattr("minimize.output.stored_file.MAX_GROUP_BYTES", 10)
    sizes = [batch.num_rows for batch in open_stored_file(tmp_path, written.path, encoded=True).batches()]
    assert (sum(sizes), max(sizes)) == (300_000, 1 << 17)


def test_a_missing_file_is_reported(tmp_path: Path) -> None:
    with pytest.raises(OutputError) as caught:
        open_stored_file(tmp_path, "records/none.parquet")
    assert caught.value.__context__ is None
