"""The sweep: searches every file of a folder for planted values, below compression.

Parquet is searched page by page after decompression, its values once more after decoding (delta and byte-stream-split
encodings scatter bytes), and its key-value metadata after Base64; gzip and Zstandard streams are unpacked first.
"""

from __future__ import annotations

import base64
import binascii
import gzip
import io
import re
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.ipc as ipc
import pyarrow.parquet as pq
import zstandard

from tests.leak.canary import Canary
from tests.leak.pages import encrypted_columns, pages

_BASE64 = re.compile(rb"[A-Za-z0-9+/]{40,}={0,2}")


def found(canaries: Iterable[Canary], where: Path | bytes) -> set[str]:
    """The places of the canaries that stand in a folder, a file or some bytes, in whatever form."""
    needles = [(canary.place, form) for canary in canaries for form in set(canary.forms()) if len(form) >= 6]
    hits: set[str] = set()
    for text in _layers(where):
        hits |= {place for place, form in needles if form in text}
    return hits


def _layers(where: Path | bytes) -> Iterator[bytes]:
    if isinstance(where, bytes):
        yield from _of_bytes(where)
    elif where.is_dir():
        for path in sorted(where.rglob("*")):
            yield str(path.relative_to(where)).encode()
            if path.is_file():
                yield from _of_file(path)
    elif where.exists():
        yield from _of_file(where)


def _of_file(path: Path) -> Iterator[bytes]:
    data = path.read_bytes()
    yield from _of_bytes(data)
    if data[:4] == data[-4:] == b"PAR1":
        yield from pages(path)
        yield from _decoded(path)


def _of_bytes(data: bytes) -> Iterator[bytes]:
    yield data
    for coded in _BASE64.findall(data):
        try:
            yield base64.b64decode(coded + b"=" * (-len(coded) % 4))
        except binascii.Error:
            continue
    if data[:2] == b"\x1f\x8b":
        yield _tolerant_gunzip(data)
    if data[:4] == b"\x28\xb5\x2f\xfd":
        yield zstandard.ZstdDecompressor().stream_reader(io.BytesIO(data), read_across_frames=True).read()


def _tolerant_gunzip(data: bytes) -> bytes:
    try:
        return gzip.decompress(data)
    except (EOFError, OSError):
        return zlib.decompressobj(31).decompress(data)


def _decoded(path: Path) -> Iterator[bytes]:
    file, encrypted = pq.ParquetFile(path), encrypted_columns(path)
    names = [name for name in file.schema_arrow.names if name not in encrypted]
    schema = pa.schema([file.schema_arrow.field(name) for name in names], file.schema_arrow.metadata)
    table = pa.Table.from_batches(file.iter_batches(columns=names), schema)
    sink = pa.BufferOutputStream()
    with ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    yield sink.getvalue().to_pybytes()
