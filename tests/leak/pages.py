"""Every page of a Parquet file, decompressed: dictionaries, data and what the footer holds, as raw bytes.

A page header is Thrift (compact protocol). Only what is needed to find and decompress the page is read.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

_DATA_V2 = 3
# Field ids of parquet.thrift: FileMetaData, RowGroup, ColumnChunk, ColumnCryptoMetaData, EncryptionWithColumnKey.
_ROW_GROUPS, _COLUMNS, _METADATA, _CRYPTO, _BY_COLUMN_KEY = 4, 1, 3, 8, 2
_PATH_IN_METADATA, _PATH = 3, 1


@dataclass
class Thrift:
    """A reader of Thrift's compact protocol: structs as `{field id: value}`."""

    data: bytes
    at: int = 0

    def varint(self) -> int:
        value = shift = 0
        while True:
            byte = self.data[self.at]
            self.at += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if not byte & 0x80:
                return value

    def zigzag(self) -> int:
        value = self.varint()
        return (value >> 1) ^ -(value & 1)

    def struct(self) -> dict[int, Any]:
        fields: dict[int, Any] = {}
        number = 0
        while True:
            head = self.data[self.at]
            self.at += 1
            if head == 0:
                return fields
            number = number + (head >> 4) if head >> 4 else self.zigzag()
            fields[number] = self.value(head & 0x0F)

    def value(self, kind: int) -> Any:
        if kind in (1, 2):
            return kind == 1
        if kind == 3:
            self.at += 1
            return self.data[self.at - 1]
        if kind in (4, 5, 6):
            return self.zigzag()
        if kind == 7:
            self.at += 8
            return None
        if kind == 8:
            size = self.varint()
            self.at += size
            return self.data[self.at - size : self.at]
        if kind in (9, 10):
            return self._list()
        if kind == 12:
            return self.struct()
        raise ValueError(f"no such Thrift type: {kind}")

    def _list(self) -> list[Any]:
        head = self.data[self.at]
        self.at += 1
        size = head >> 4 if head >> 4 != 15 else self.varint()
        return [self.value(head & 0x0F) for _ in range(size)]


def encrypted_columns(path: Path) -> set[str]:
    """The top-level columns that are encrypted, read from the footer. Needs no key."""
    data = path.read_bytes()
    length = int.from_bytes(data[-8:-4], "little")
    groups = Thrift(data[len(data) - 8 - length : -8]).struct().get(_ROW_GROUPS) or []
    chunks = [chunk for group in groups for chunk in group[_COLUMNS] if _CRYPTO in chunk]
    paths = [
        chunk[_CRYPTO][_BY_COLUMN_KEY][_PATH]
        if _BY_COLUMN_KEY in chunk[_CRYPTO]
        else chunk[_METADATA][_PATH_IN_METADATA]
        for chunk in chunks
    ]
    return {parts[0].decode() for parts in paths}


def pages(path: Path) -> Iterator[bytes]:
    """Every page of every column chunk, decompressed."""
    data = path.read_bytes()
    metadata = pq.ParquetFile(path).metadata
    encrypted = encrypted_columns(path)
    for group in range(metadata.num_row_groups):
        for column in range(metadata.num_columns):
            if metadata.schema.column(column).path.partition(".")[0] in encrypted:
                continue  # nobody without its key has more of it than its bytes as they are
            chunk = metadata.row_group(group).column(column)
            start = chunk.dictionary_page_offset if chunk.has_dictionary_page else chunk.data_page_offset
            yield from _chunk_pages(data[start : start + chunk.total_compressed_size], chunk.compression)


def _chunk_pages(data: bytes, codec: str) -> Iterator[bytes]:
    at = 0
    while at < len(data):
        reader = Thrift(data, at)
        header = reader.struct()
        body = data[reader.at : reader.at + header[3]]
        yield data[at : reader.at]
        yield _decompressed(body, header, codec)
        at = reader.at + header[3]


def _decompressed(body: bytes, header: dict[int, Any], codec: str) -> bytes:
    levels = 0
    if header[1] == _DATA_V2:
        levels = header[8][5] + header[8][6]
        if not header[8].get(7, True):
            return body
    if codec == "UNCOMPRESSED" or len(body) == levels:
        return body
    name = {"LZ4": "lz4_raw"}.get(codec, codec.lower())
    rest = pa.Codec(name).decompress(body[levels:], header[2] - levels)
    return body[:levels] + bytes(rest)
