"""What waits until there is enough for a row group.
What a Parquet sink leaves on the disk: files that others read, digests that hold, nothing that was not shown.
What a sink wrote, as receipts say it.
"""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from minimize.arrow.scrub import scrub
from minimize.errors import SchemaError
from minimize.output.sink import FileLayout, ParquetSink, PendingBatches, index_files, output_files
from minimize.receipts import CompanionFile, ReceiptFile, WrittenOutput, files_with_companions
from minimize.records import FileRef, WrittenFile
from minimize.stores.durable_files import file_digest


def test_waiting_rows_and_bytes_are_counted() -> None:
    waiting = PendingBatches()
    for _ in range(2):
        waiting.add(pa.RecordBatch.from_pydict({"a": pa.array([1, 2, 3], pa.int64())}))
    assert (len(waiting.batches), waiting.rows, waiting.bytes) == (2, 6, 48)


SCHEMA = pa.schema(
    [
        pa.field("device", pa.string(), metadata={"minimize:key": "device/1"}),
        pa.field("battery", pa.float64()),
        pa.field("time", pa.timestamp("us", "UTC")),
    ]
)


def batch(*devices: str | None, coded: bool = False) -> pa.RecordBatch:
    names = pa.array(devices, pa.string())
    columns = [
        names.dictionary_encode() if coded else names,
        pa.array([80.0] * len(devices)),
        pa.array(range(len(devices)), pa.timestamp("us", "UTC")),
    ]
    return pa.record_batch(columns, names=SCHEMA.names)


def sink(root: Path, schema: pa.Schema = SCHEMA, **options: Any) -> ParquetSink:
    return ParquetSink(root, "records/date=2026-11-24", "run-0", schema, **options)


def test_readers_see_the_plain_schema_with_field_metadata(tmp_path: Path) -> None:
    for coded in (False, True):
        made = sink(tmp_path / str(coded))
        made.write(batch("a", "b", None, coded=coded))
        [written] = made.close()
        table = pq.read_table(tmp_path / str(coded) / written.path, partitioning=None)
        assert table.schema.equals(SCHEMA, check_metadata=True)
        assert table.column("device").to_pylist() == ["a", "b", None]


def test_the_digest_is_that_of_the_file(tmp_path: Path) -> None:
    made = sink(tmp_path)
    made.write(batch("a"))
    [written] = made.close()
    path = tmp_path / "records/date=2026-11-24/run-0.parquet"
    assert written.path == "records/date=2026-11-24/run-0.parquet"
    assert written.rows == 1
    assert written.digest == file_digest(path.read_bytes())


def test_no_rows_make_an_empty_typed_file(tmp_path: Path) -> None:
    made = sink(tmp_path)
    made.write(batch())
    [written] = made.close()
    assert written.rows == 0
    assert pq.read_schema(tmp_path / written.path).equals(SCHEMA, check_metadata=True)


def test_no_rows_make_no_file_where_none_is_wanted(tmp_path: Path) -> None:
    assert sink(tmp_path, empty=False).close() == ()
    assert [*tmp_path.iterdir()] == []


def test_small_batches_become_large_row_groups(tmp_path: Path) -> None:
    made = sink(tmp_path, shape=FileLayout(row_group=100))
    for _ in range(25):
        made.write(batch(*["a"] * 10))
    [written] = made.close()
    meta = pq.read_metadata(tmp_path / written.path)
    assert [meta.row_group(index).num_rows for index in range(meta.num_row_groups)] == [100, 100, 50]


def test_a_large_batch_becomes_even_row_groups(tmp_path: Path) -> None:
    made = sink(tmp_path, shape=FileLayout(row_group=100))
    made.write(batch(*["a"] * 205))
    [written] = made.close()
    meta = pq.read_metadata(tmp_path / written.path)
    assert [meta.row_group(index).num_rows for index in range(meta.num_row_groups)] == [103, 102]


def test_rows_that_are_enough_are_a_row_group_and_wait_for_no_others(tmp_path: Path) -> None:
    made = sink(tmp_path, shape=FileLayout(row_group=100, enough=50))
    for _ in range(2):
        made.write(batch(*["a"] * 80))
    [written] = made.close()
    meta = pq.read_metadata(tmp_path / written.path)
    assert [meta.row_group(index).num_rows for index in range(meta.num_row_groups)] == [80, 80]


def test_files_are_zstd(tmp_path: Path) -> None:
    made = sink(tmp_path)
    made.write(batch("a"))
    [written] = made.close()
    assert pq.read_metadata(tmp_path / written.path).row_group(0).column(0).compression == "ZSTD"


def test_statistics_are_kept_of_numbers_and_times_and_not_of_coded_texts(tmp_path: Path) -> None:
    made = sink(tmp_path)
    made.write(batch("a", "b", coded=True))
    [written] = made.close()
    group = pq.read_metadata(tmp_path / written.path).row_group(0)
    known = {group.column(place).path_in_schema: group.column(place).is_stats_set for place in range(group.num_columns)}
    assert known == {name: name != "device" for name in SCHEMA.names}


@pytest.mark.parametrize("first", [False, True])
def test_plain_and_dictionary_batches_mix(tmp_path: Path, first: bool) -> None:
    made = sink(tmp_path)
    made.write(batch("a", None, coded=first))
    made.write(batch("b", "a", coded=not first))
    made.write(batch("c", coded=True))
    [written] = made.close()
    table = pq.read_table(tmp_path / written.path, partitioning=None)
    assert table.column("device").to_pylist() == ["a", None, "b", "a", "c"]
    assert table.schema.field("device").type == pa.string()


def test_codes_of_any_width_are_taken(tmp_path: Path) -> None:
    made = sink(tmp_path)
    for code in (pa.int8(), pa.uint16(), pa.int64()):
        column = pa.DictionaryArray.from_arrays(pa.array([0, None], code), pa.array(["a"]))
        made.write(batch("x", "y").set_column(0, "device", column))
    [written] = made.close()
    assert pq.read_table(tmp_path / written.path, partitioning=None)["device"].to_pylist() == ["a", None] * 3


def test_nested_columns_with_dictionaries_inside_come_out_plain(tmp_path: Path) -> None:
    inner = pa.struct([("name", pa.string())])
    schema = pa.schema([pa.field("apps", pa.list_(inner)), pa.field("labels", pa.map_(pa.string(), pa.string()))])
    coded = pa.list_(pa.struct([("name", pa.dictionary(pa.int32(), pa.string()))]))
    rows = [[{"name": "word"}, {"name": None}], None, []]
    labels = pa.array([[("k", "v")], None, []], schema.field("labels").type)
    made = sink(tmp_path, schema)
    made.write(pa.record_batch([pa.array(rows, coded), labels], names=["apps", "labels"]))
    [written] = made.close()
    table = pq.read_table(tmp_path / written.path, partitioning=None)
    assert table["apps"].to_pylist() == rows
    assert table.schema.field("apps").type == pa.list_(inner)


def test_columns_come_out_in_the_schemas_order(tmp_path: Path) -> None:
    made = sink(tmp_path)
    made.write(batch("a").select(["time", "battery", "device"]))
    [written] = made.close()
    assert pq.read_schema(tmp_path / written.path).names == SCHEMA.names


@pytest.mark.parametrize(
    "wrong",
    [
        pa.record_batch({"device": ["a"]}),
        batch("a").append_column("more", pa.array([1])),
        batch("a").set_column(1, "battery", pa.array(["80"])),
        batch("a").set_column(0, "device", pa.array([7])),
    ],
    ids=["missing", "undeclared", "text for a number", "number for text"],
)
def test_a_batch_of_another_schema_is_refused(tmp_path: Path, wrong: pa.RecordBatch) -> None:
    with pytest.raises(SchemaError) as caught:
        sink(tmp_path).write(wrong)
    assert caught.value.__context__ is None


def test_files_never_overwrite_each_other(tmp_path: Path) -> None:
    for expected in (True, False):
        made = sink(tmp_path)
        made.write(batch("a"))
        if expected:
            assert len(made.close()) == 1
        else:
            with pytest.raises(FileExistsError):
                made.close()


def test_a_value_that_arrow_refuses_is_reported_with_its_column(tmp_path: Path) -> None:
    schema = pa.schema([pa.field("n", pa.int64(), nullable=False)])
    made = sink(tmp_path, schema)
    made.write(pa.record_batch([pa.array([None, 7])], names=["n"]))
    with pytest.raises(SchemaError) as caught:
        made.close()
    assert caught.value.message == "the column n contains a null or a time that its type does not allow"
    assert caught.value.__context__ is None
    made.abandon()


PARTITIONED = pa.schema([pa.field("tenant", pa.string(), metadata={"about": "who"}), pa.field("n", pa.int64())])


def tenants(*names: str | None, start: int = 0) -> pa.RecordBatch:
    return pa.record_batch(
        [pa.array(names, pa.string()), pa.array(range(start, start + len(names)))], names=["tenant", "n"]
    )


def test_partition_columns_become_folders(tmp_path: Path) -> None:
    made = sink(tmp_path, PARTITIONED, partition_by=["tenant"])
    made.write(tenants("b", "a/c", None, "b"))
    found = {written.path: written.rows for written in made.close()}
    assert found == {
        "records/date=2026-11-24/tenant=__HIVE_DEFAULT_PARTITION__/run-0.parquet": 1,
        "records/date=2026-11-24/tenant=a%2Fc/run-0.parquet": 1,
        "records/date=2026-11-24/tenant=b/run-0.parquet": 2,
    }
    assert pq.read_schema(tmp_path / "records/date=2026-11-24/tenant=b/run-0.parquet").names == ["n"]


def test_an_empty_partitioned_output_keeps_its_depth_and_type(tmp_path: Path) -> None:
    made = sink(tmp_path, PARTITIONED, partition_by=["tenant"])
    [written] = made.close()
    assert written.path == "records/date=2026-11-24/tenant=__HIVE_DEFAULT_PARTITION__/run-0.parquet"


def test_only_so_many_files_are_open_and_all_rows_arrive(tmp_path: Path) -> None:
    made = sink(tmp_path, PARTITIONED, partition_by=["tenant"], shape=FileLayout(row_group=10, open=3))
    for turn in range(20):
        made.write(tenants(*[f"t{number}" for number in range(7)], start=7 * turn))
        assert len(made._open) <= 3
    written = made.close()
    assert sum(each.rows for each in written) == 140
    values = pa.concat_tables(pq.read_table(tmp_path / each.path, partitioning=None) for each in written)
    assert sorted(values["n"].to_pylist()) == list(range(140))


def test_a_partition_does_not_carry_words_of_another(tmp_path: Path) -> None:
    schema = pa.schema([("tenant", pa.string()), ("model", pa.string())])
    models = pa.array(["model-of-a", "model-of-b"]).dictionary_encode()
    made = sink(tmp_path, schema, partition_by=["tenant"])
    made.write(pa.record_batch([pa.array(["a", "b"]), models], names=["tenant", "model"]))
    made.close()
    ours = (tmp_path / "records/date=2026-11-24/tenant=a/run-0.parquet").read_bytes()
    theirs = (tmp_path / "records/date=2026-11-24/tenant=b/run-0.parquet").read_bytes()
    for name, content, other in (("model-of-a", ours, theirs), ("model-of-b", theirs, ours)):
        assert name.encode() in decompressed(content)
        assert name.encode() not in decompressed(other)


def decompressed(content: bytes) -> bytes:
    """A file's bytes with every zstd frame in it opened (data and dictionary pages)."""
    import zstandard

    found, start = [content], content.find(b"\x28\xb5\x2f\xfd")
    while start >= 0:
        reader = zstandard.ZstdDecompressor().decompressobj()
        found.append(reader.decompress(content[start:]))
        start = content.find(b"\x28\xb5\x2f\xfd", start + 4)
    return b"".join(found)


def test_a_partition_value_too_long_for_a_folder_is_refused_without_showing_it(tmp_path: Path) -> None:
    with pytest.raises(SchemaError) as caught:
        sink(tmp_path, PARTITIONED, partition_by=["tenant"]).write(tenants("x" * 300))
    assert "xxx" not in str(caught.value)


def test_a_number_with_fraction_names_no_folder(tmp_path: Path) -> None:
    with pytest.raises(SchemaError):
        sink(tmp_path, SCHEMA, partition_by=["battery"])


class Plaintext:
    """An implementation of the seam that only notes that it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, list[str]]] = []

    def for_file(self, path: str, schema: pa.Schema) -> Any:
        self.asked.append((path, schema.names))


def test_encryption_is_asked_for_each_file(tmp_path: Path) -> None:
    seam = Plaintext()
    made = sink(tmp_path, encryption=seam)
    made.write(batch("a"))
    made.close()
    assert seam.asked == [("records/date=2026-11-24/run-0.parquet", SCHEMA.names)]


def test_the_dictionary_of_a_filtered_column_does_not_reach_the_file(tmp_path: Path) -> None:
    leaky = batch("kept", "CANARY", coded=True).filter(pa.array([True, False]))
    for name, rows, leaks in (("control", leaky, True), ("scrubbed", scrub(leaky), False)):
        made = sink(tmp_path / name)
        made.write(rows)
        [written] = made.close()
        assert (b"CANARY" in decompressed((tmp_path / name / written.path).read_bytes())) is leaks


def test_the_output_half_imports_no_pandas() -> None:
    import sys

    code = "import sys, minimize.removal.rewrite, minimize.datasets.reader; sys.exit('pandas' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


PLAIN = WrittenFile("records/a.parquet", 3, "sha256:1")
INDEXED = WrittenFile("records/b.parquet", 2, "sha256:2", FileRef("index/b.index", "sha256:3"))


def test_files_are_stated_without_their_indexes() -> None:
    assert output_files([PLAIN, INDEXED]) == (
        ReceiptFile("records/a.parquet", 3, "sha256:1"),
        ReceiptFile("records/b.parquet", 2, "sha256:2"),
    )


def test_indexes_are_stated_with_the_files_that_they_are_of() -> None:
    assert index_files([PLAIN, INDEXED]) == (CompanionFile("index/b.index", "sha256:3", "records/b.parquet"),)
    assert index_files([PLAIN]) is None


def test_files_and_indexes_find_each_other_again() -> None:
    written = [PLAIN, INDEXED]
    output = WrittenOutput("pseudonymized", 5, files=output_files(written), index=index_files(written))
    assert [file.index for file in files_with_companions(output)] == [None, INDEXED.index]
