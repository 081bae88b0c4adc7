"""Samples as files: NDJSON (plain, gzip, zstd) and Parquet, the same bytes each time."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet

from minimize.samples.base import Records
from minimize.samples.faults import Faults, spoil
from minimize.samples.values import Random

SMALL = 1 << 22
"""Bytes of a file that is compressed as well as possible."""


@dataclass(frozen=True, slots=True)
class File:
    """The records of one file, and how some of its lines are spoilt."""

    records: Records
    faults: Faults
    sequence: int
    random: Random

    def spoilt(self) -> bytes:
        """The bytes of the NDJSON file, spoilt lines among them."""
        spoilt = spoil(self.records.lines(), self.faults, self.random, self.sequence)
        return text(pc.binary_join_element_wise(spoilt, b"", b"\n"))


def text(lines: pa.Array) -> bytes:
    """The values of a string or binary column, end to end."""
    if not len(lines):
        return b""
    offsets = pa.Array.from_buffers(pa.int32(), len(lines) + 1, [None, lines.buffers()[1]], offset=lines.offset)
    first, last = offsets[0].as_py(), offsets[-1].as_py()
    return bytes(lines.buffers()[2].slice(first, last - first).to_pybytes())


def _plain(file: File, path: Path) -> None:
    path.write_bytes(file.spoilt())


def _gzip(file: File, path: Path) -> None:
    """Small files are an eighth smaller, large ones are written twice as fast."""
    content = file.spoilt()
    packer = zlib.compressobj(9 if len(content) < SMALL else 4, zlib.DEFLATED, 31)
    path.write_bytes(packer.compress(content) + packer.flush())


def _zstd(file: File, path: Path) -> None:
    path.write_bytes(pa.Codec("zstd", 3).compress(file.spoilt(), asbytes=True))


def _parquet(file: File, path: Path) -> None:
    pa.parquet.write_table(file.records.table(), path, compression="zstd")


WRITERS: Mapping[str, Callable[[File, Path], None]] = {
    "ndjson": _plain,
    "ndjson.gz": _gzip,
    "ndjson.zst": _zstd,
    "parquet": _parquet,
}
"""How each format is written; its name is the file's ending."""
