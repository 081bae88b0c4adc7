"""Samples as files: NDJSON (plain, gzip, zstd) and Parquet, the same bytes each time."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json
import pyarrow.parquet

from minimize.samples.faults import Faults, spoil
from minimize.samples.values import Random


@dataclass(frozen=True, slots=True)
class Records:
    """The records of one file as clean JSON lines, and what is needed to spoil some of them or to read them."""

    lines: pa.StringArray
    schema: pa.Schema
    faults: Faults
    random: Random

    def spoilt(self) -> bytes:
        """The bytes of the NDJSON file, spoilt lines among them."""
        spoilt = spoil(self.lines, self.faults, self.random)
        return text(pc.binary_join_element_wise(spoilt, b"", b"\n"))

    def table(self) -> pa.Table:
        """The clean records as a table: a columnar file cannot hold a spoilt one."""
        if not len(self.lines):
            return self.schema.empty_table()
        clean = text(pc.binary_join_element_wise(self.lines, "", "\n"))
        options = pa.json.ParseOptions(explicit_schema=_readable(self.schema), unexpected_field_behavior="ignore")
        return pa.json.read_json(pa.py_buffer(clean), parse_options=options).cast(self.schema)


def _readable(schema: pa.Schema) -> pa.Schema:
    """The schema as Arrow's JSON reader knows it: dates are strings to it."""
    return pa.schema([field.with_type(pa.string()) if pa.types.is_date(field.type) else field for field in schema])


def text(lines: pa.Array) -> bytes:
    """The values of a string or binary column, end to end."""
    if not len(lines):
        return b""
    offsets = pa.Array.from_buffers(pa.int32(), len(lines) + 1, [None, lines.buffers()[1]], offset=lines.offset)
    first, last = offsets[0].as_py(), offsets[-1].as_py()
    return bytes(lines.buffers()[2].slice(first, last - first).to_pybytes())


def _plain(records: Records, path: Path) -> None:
    path.write_bytes(records.spoilt())


def _gzip(records: Records, path: Path) -> None:
    packer = zlib.compressobj(4, zlib.DEFLATED, 31)
    path.write_bytes(packer.compress(records.spoilt()) + packer.flush())


def _zstd(records: Records, path: Path) -> None:
    path.write_bytes(pa.Codec("zstd", 3).compress(records.spoilt(), asbytes=True))


def _parquet(records: Records, path: Path) -> None:
    pa.parquet.write_table(records.table(), path, compression="zstd")


WRITERS: Mapping[str, Callable[[Records, Path], None]] = {
    "ndjson": _plain,
    "ndjson.gz": _gzip,
    "ndjson.zst": _zstd,
    "parquet": _parquet,
}
"""How each format is written; its name is the file's ending."""
