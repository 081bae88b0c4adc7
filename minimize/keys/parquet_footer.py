"""Parquet footer: which columns are encrypted and with which master keys, read without a key and without touching a column.

pyarrow reports none of this, and ends the process if a column's metadata is read without its key. Thrift's compact protocol is
read as far as a footer needs it: structs by field number, nothing interpreted.
Source: parquet-format, parquet.thrift (FileMetaData, RowGroup, ColumnChunk, ColumnCryptoMetaData);
https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import IO, Any, Final

from minimize.stores import Location, byte_length

ThriftStruct = dict[int, Any]
TRUE, FALSE, BYTE, DOUBLE, BINARY, LIST, SET, MAP, STRUCT = 1, 2, 3, 7, 8, 9, 10, 11, 12
INTEGERS: Final = frozenset((4, 5, 6))
MAX_DEPTH: Final = 32


class ThriftReader:
    """A cursor over bytes of the compact protocol of Thrift. Raises ValueError or IndexError for other bytes.

    >>> ThriftReader(bytes([0x15, 0x02, 0x18, 0x01, 0x61, 0x00])).struct()
    {1: 1, 2: b'a'}
    """

    def __init__(self, content: bytes) -> None:
        self._content, self._at = content, 0

    def struct(self, depth: int = 0, until: int | None = None) -> ThriftStruct:
        """The struct at the cursor, optionally only up to one of its fields. If that field is a list of structs, only its first
        item is read."""
        if depth > MAX_DEPTH:
            raise ValueError("nested too deeply")
        found: ThriftStruct = {}
        number = 0
        while head := self._byte():
            step, kind = head >> 4, head & 15
            number = number + step if step else self._zigzag()
            if kind in (TRUE, FALSE):
                found[number] = kind == TRUE
                continue
            found[number] = self._value(kind, depth, first=number == until)
            if number == until:
                break
        return found

    def _value(self, kind: int, depth: int, *, first: bool = False) -> Any:
        if kind in INTEGERS:
            return self._zigzag()
        if kind == BINARY:
            return self._take(self._varint())
        if kind == STRUCT:
            return self.struct(depth + 1)
        if kind in (LIST, SET):
            return self._list(depth, first=first)
        if kind == MAP:
            return self._map(depth)
        return self._take({TRUE: 1, FALSE: 1, BYTE: 1, DOUBLE: 8}[kind])

    def _list(self, depth: int, *, first: bool) -> list[Any]:
        head = self._byte()
        size = head >> 4 if head >> 4 < 15 else self._varint()
        if size > len(self._content):
            raise ValueError("a list is longer than its bytes")
        return [self._value(head & 15, depth + 1) for _ in range(min(size, 1) if first else size)]

    def _map(self, depth: int) -> dict[Any, Any]:
        size = self._varint()
        if not size:
            return {}
        if size > len(self._content):
            raise ValueError("a map is longer than its bytes")
        kinds = self._byte()
        pairs = ((self._value(kinds >> 4, depth + 1), self._value(kinds & 15, depth + 1)) for _ in range(size))
        return {str(key): value for key, value in pairs}

    def _byte(self) -> int:
        self._at += 1
        return self._content[self._at - 1]

    def _take(self, size: int) -> bytes:
        if size > len(self._content) - self._at:
            raise IndexError("past the end")
        self._at += size
        return self._content[self._at - size : self._at]

    def _varint(self) -> int:
        value = shift = 0
        while (byte := self._byte()) & 0x80:
            value, shift = value | (byte & 0x7F) << shift, shift + 7
            if shift > 63:
                raise ValueError("a number is too long")
        return value | byte << shift

    def _zigzag(self) -> int:
        value = self._varint()
        return (value >> 1) ^ -(value & 1)


TAIL_BYTES: Final = 8
"""Bytes at the end of a file: the footer's length, and `PAR1`."""
ROW_GROUPS: Final = 4
COLUMNS: Final = 1
METADATA, CRYPTO = 3, 8
METADATA_PATH: Final = 3
BY_COLUMN: Final = 2
PATH, KEY_METADATA = 1, 2


@dataclass(frozen=True, slots=True)
class EncryptedColumns:
    """The encrypted columns of a file.

    masters  the id of the master key of each top-level column
    wrapped  the wrapped keys of the file, by id of the master key
    """

    masters: Mapping[str, str] = field(default_factory=dict)
    wrapped: Mapping[str, frozenset[str]] = field(default_factory=dict, repr=False)

    def columns_by_master_key(self, columns: Iterable[str] | None = None) -> dict[str, list[str]]:
        """The ids of the master keys of these columns (default: all), each with its columns."""
        wanted = None if columns is None else {*columns}
        found: dict[str, list[str]] = {}
        for column, master in self.masters.items():
            if wanted is None or column in wanted:
                found.setdefault(master, []).append(column)
        return found


def read_encrypted_columns(place: Location | bytes) -> EncryptedColumns:
    """The encrypted columns of the first row group; none if it is not a Parquet file or not encrypted."""
    footer = _read_footer(place)
    with suppress(ValueError, LookupError, TypeError, AttributeError):
        groups = ThriftReader(footer).struct(until=ROW_GROUPS).get(ROW_GROUPS) or [{}]
        chunks = groups[0].get(COLUMNS, [])
        return _encrypted_columns([chunk for chunk in chunks if CRYPTO in chunk])
    return EncryptedColumns()


def _encrypted_columns(encrypted: Iterable[ThriftStruct]) -> EncryptedColumns:
    masters: dict[str, str] = {}
    wrapped: dict[str, set[str]] = {}
    for chunk in encrypted:
        each = chunk[CRYPTO].get(BY_COLUMN)
        material = _key_material(each)
        column = (chunk[METADATA][METADATA_PATH] if each is None else each[PATH])[0].decode()
        masters[column] = str(material.get("masterKeyID", ""))
        wrapped.setdefault(masters[column], set()).add(str(material.get("wrappedKEK", material.get("wrappedDEK", ""))))
    return EncryptedColumns(masters, {master: frozenset(keys) for master, keys in wrapped.items()})


def _key_material(each: ThriftStruct | None) -> dict[str, Any]:
    """The key material in the JSON of pyarrow and Spark; empty for the format of another writer."""
    with suppress(ValueError, TypeError, AttributeError):
        material = json.loads((each or {}).get(KEY_METADATA, b""))
        return material if isinstance(material, dict) else {}
    return {}


def _read_footer(place: Location | bytes) -> bytes:
    if isinstance(place, bytes):
        return _footer_bytes(io.BytesIO(place))
    with suppress(OSError), place.open("rb") as file:
        return _footer_bytes(file)
    return b""


def _footer_bytes(file: IO[bytes]) -> bytes:
    size = byte_length(file)
    if size < TAIL_BYTES:
        return b""
    file.seek(size - TAIL_BYTES)
    tail = file.read(TAIL_BYTES)
    length = int.from_bytes(tail[:4], "little")
    if tail[4:] != b"PAR1" or length > size - TAIL_BYTES:
        return b""
    file.seek(size - TAIL_BYTES - length)
    return bytes(file.read(length))
