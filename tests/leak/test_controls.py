"""The sweep itself: controls that leak on purpose must be caught, in each format and codec."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.ipc as ipc
import pyarrow.parquet as pq
import pytest
import zstandard

from tests.leak.canary import Canary
from tests.leak.sweep import found

TEXT = Canary("text", "CANARY-zürich-7f3a9b")
WHOLE = Canary("integer", 7_405_112_633_911_021)
REAL = Canary("double", 48.856613371337)
CODECS = ["none", "snappy", "gzip", "brotli", "zstd", "lz4"]
FILLER = [f"filler {number % 50}" for number in range(500)]


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("version", ["1.0", "2.0"])
@pytest.mark.parametrize("dictionary", [True, False])
def test_a_value_in_a_parquet_page_is_found(tmp_path: Path, codec: str, version: str, dictionary: bool) -> None:
    table = pa.table(
        {
            "text": [*FILLER, TEXT.value],
            "whole": pa.array([*range(500), WHOLE.value], pa.int64()),
            "real": [*map(float, range(500)), REAL.value],
        }
    )
    path = tmp_path / "leak.parquet"
    pq.write_table(
        table, path, compression=codec, data_page_version=version, use_dictionary=dictionary, write_statistics=False
    )
    assert found([TEXT, WHOLE, REAL], tmp_path) == {"text", "integer", "double"}


@pytest.mark.parametrize("codec", CODECS)
def test_a_value_that_only_an_unused_dictionary_entry_holds_is_found(tmp_path: Path, codec: str) -> None:
    array = pa.DictionaryArray.from_arrays(pa.array([0, 0, 0], pa.int32()), pa.array(["fine", str(TEXT.value)]))
    pq.write_table(pa.table({"column": array}), tmp_path / "leak.parquet", compression=codec, write_statistics=False)
    assert found([TEXT], tmp_path) == {"text"}


@pytest.mark.parametrize("encoding", ["DELTA_BYTE_ARRAY", "DELTA_LENGTH_BYTE_ARRAY"])
def test_a_value_that_a_delta_encoding_scatters_is_found(tmp_path: Path, encoding: str) -> None:
    values = [f"{TEXT.value}{number}" for number in range(20)]
    pq.write_table(
        pa.table({"column": values}),
        tmp_path / "leak.parquet",
        use_dictionary=False,
        column_encoding={"column": encoding},
    )
    assert found([TEXT], tmp_path) == {"text"}


def test_a_double_that_byte_stream_split_scatters_is_found(tmp_path: Path) -> None:
    table = pa.table({"column": [REAL.value, 1.0, 2.0]})
    pq.write_table(table, tmp_path / "leak.parquet", use_dictionary=False, use_byte_stream_split=True)
    assert found([REAL], tmp_path) == {"double"}


def test_a_value_in_statistics_alone_is_found(tmp_path: Path) -> None:
    pq.write_table(pa.table({"column": [TEXT.value]}), tmp_path / "leak.parquet", compression="zstd")
    assert found([TEXT], (tmp_path / "leak.parquet").read_bytes()) == {"text"}


def test_a_value_in_schema_metadata_is_found(tmp_path: Path) -> None:
    schema = pa.schema([pa.field("column", pa.int64(), metadata={"note": f"was {TEXT.value}"})])
    pq.write_table(pa.table({"column": [1]}, schema=schema), tmp_path / "leak.parquet")
    assert found([TEXT], tmp_path) == {"text"}


def test_a_value_under_a_null_that_ipc_ships_is_found() -> None:
    data = pa.py_buffer(str(TEXT.value).encode())
    offsets = pa.array([0, data.size], pa.int32()).buffers()[1]
    hidden = pa.Array.from_buffers(pa.string(), 1, [pa.py_buffer(b"\0"), offsets, data])
    sink = pa.BufferOutputStream()
    with ipc.new_stream(sink, pa.schema([("column", pa.string())])) as writer:
        writer.write_batch(pa.record_batch([hidden], names=["column"]))
    assert hidden.to_pylist() == [None]
    assert found([TEXT], sink.getvalue().to_pybytes()) == {"text"}


@pytest.mark.parametrize("pack", [gzip.compress, zstandard.ZstdCompressor().compress], ids=["gzip", "zstd"])
def test_a_value_in_a_compressed_stream_is_found(tmp_path: Path, pack: object) -> None:
    assert callable(pack)
    (tmp_path / "leak.bin").write_bytes(pack(f"before {TEXT.value} after".encode()))
    assert found([TEXT], tmp_path) == {"text"}


@pytest.mark.parametrize(
    "text",
    [
        str(TEXT.value).encode(),
        str(TEXT.value).encode("utf-16-le"),
        json.dumps({"a": TEXT.value}).encode(),
        str(TEXT.value).encode().hex().encode(),
    ],
    ids=["utf-8", "utf-16", "json", "hex"],
)
def test_a_value_in_a_log_is_found_in_any_text_form(text: bytes) -> None:
    assert found([TEXT], b"2026-11-24 error: " + text + b" was refused") == {"text"}


@pytest.mark.parametrize("shift", [0, 1, 2])
def test_a_value_in_base64_is_found_at_any_alignment(shift: int) -> None:
    import base64

    assert found([TEXT], b"x=" + base64.b64encode(b"." * shift + str(TEXT.value).encode() + b"...")) == {"text"}


def test_a_value_in_a_file_name_is_found(tmp_path: Path) -> None:
    (tmp_path / f"key={TEXT.value}").mkdir()
    assert found([TEXT], tmp_path) == {"text"}


def test_unplanted_text_is_not_found(tmp_path: Path) -> None:
    pq.write_table(pa.table({"column": FILLER}), tmp_path / "fine.parquet")
    assert found([TEXT, WHOLE, REAL], tmp_path) == set()
