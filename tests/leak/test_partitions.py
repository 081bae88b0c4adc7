"""The files of one partition hold no value of another."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa

from minimize.output.sink import ParquetSink
from tests.leak.canary import Canary
from tests.leak.sweep import found

NORTH = Canary("note of north", "CANARY-note-of-north-41")
SCHEMA = pa.schema([("tenant_id", pa.string()), ("note", pa.string())])


def written(folder: Path) -> Path:
    """One batch of two tenants whose notes share a dictionary, written to a folder for each tenant."""
    notes = pa.array([NORTH.value, "fine"]).dictionary_encode()
    sink = ParquetSink(folder, "records", "run1-0", SCHEMA, partition_by=["tenant_id"])
    sink.write(pa.RecordBatch.from_arrays([pa.array(["north", "south"]), notes], names=SCHEMA.names))
    sink.close()
    return folder / "records"


def test_a_partition_holds_no_dictionary_entry_of_another(tmp_path: Path) -> None:
    assert found([NORTH], written(tmp_path) / "tenant_id=south") == set()


def test_the_control_finds_the_value_in_its_own_partition(tmp_path: Path) -> None:
    assert found([NORTH], written(tmp_path) / "tenant_id=north") == {NORTH.place}
