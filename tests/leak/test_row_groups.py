"""A Parquet file has no number or time that a null or a slice hides, although the buffers of a row group still have it."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.ipc as ipc
import pyarrow.parquet as pq
import pytest

from minimize.engines.local import RowGroupBuffer
from minimize.output.sink import FileLayout, ParquetSink
from minimize.plan import bind
from minimize.policy.load import load_policy
from minimize.records import Batch, Sink
from minimize.stages.generalize import Release
from tests.leak.canary import Canary
from tests.leak.sweep import found

POLICY = """
policy: numbers
version: 1
owner: a@example.com
purposes: [operations]
fields:
  zone: {type: string, do: keep}
  real: {type: double, do: keep}
  whole: {type: integer, do: keep}
  time: {type: timestamp, do: keep}
"""
MOMENT = datetime(2026, 11, 24, 13, 7, 31, 482_915, UTC)
SCHEMA = pa.schema(
    [("zone", pa.string()), ("real", pa.float64()), ("whole", pa.int64()), ("time", pa.timestamp("us", "UTC"))]
)
PLANTED = (
    Canary("real", 48.856613371337),
    Canary("whole", 7_405_112_633_911_021),
    Canary("time", int(MOMENT.timestamp() * 1_000_000)),
)
SECRETS = {"real": 48.856613371337, "whole": 7_405_112_633_911_021, "time": MOMENT}
PLAIN = {"real": 1.0, "whole": 1, "time": datetime(2026, 11, 24, tzinfo=UTC)}


def column(name: str) -> pa.Array:
    """A value, the secret under a null, and two values; cut from a column that ends in the secret."""
    type_ = SCHEMA.field(name).type
    whole = pa.array([PLAIN[name], SECRETS[name], PLAIN[name], PLAIN[name], SECRETS[name]], type_)
    hidden = pa.Array.from_buffers(type_, 5, [pa.py_buffer(b"\x1d"), whole.buffers()[1]])
    return hidden.slice(0, 4)


def released() -> Batch:
    leaves = {"zone": pa.array(["a", "b", "a", "b"]), **{name: column(name) for name in SECRETS}}
    return Batch(pa.RecordBatch.from_arrays([*leaves.values()], names=[*leaves]), released=leaves)


def buffered(folder: Path, sink: Sink) -> None:
    """Two batches, written as one row group."""
    path = folder / "policy.yaml"
    path.write_text(POLICY)
    out = RowGroupBuffer(Release(bind(load_policy(path), SCHEMA, purpose="operations"), schema=SCHEMA), sink)
    out.take(released())
    out.take(released())
    out.flush()
    sink.close()


@pytest.mark.parametrize("partition_by", [[], ["zone"]], ids=["one file", "a folder each"])
@pytest.mark.parametrize("shape", [FileLayout(), FileLayout(row_group=3, enough=3)], ids=["whole", "in pieces"])
def test_no_file_has_what_a_null_or_a_slice_hides(tmp_path: Path, partition_by: list[str], shape: FileLayout) -> None:
    buffered(tmp_path, ParquetSink(tmp_path / "out", "records", "r-0", SCHEMA, partition_by=partition_by, shape=shape))
    files = [*(tmp_path / "out").rglob("*.parquet")]
    assert len(files) == len(partition_by) + 1
    assert sum(pq.read_metadata(file).num_rows for file in files) == 8
    assert found(PLANTED, tmp_path / "out") == set()


class IpcSink:
    """A sink that writes whole buffers."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def write(self, batch: pa.RecordBatch) -> None:
        with ipc.new_file(str(self._path), batch.schema) as writer:
            writer.write_batch(batch)

    def close(self) -> tuple[()]:
        return ()


def test_the_control_finds_what_another_format_would_have_shipped(tmp_path: Path) -> None:
    buffered(tmp_path, IpcSink(tmp_path / "leak.arrow"))
    assert found(PLANTED, tmp_path / "leak.arrow") == {canary.place for canary in PLANTED}
