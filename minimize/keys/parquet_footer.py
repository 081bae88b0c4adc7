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
StructFields = Mapping[int, "StructFields"]
"""The fields of a struct that are read, by number, each with the fields of its own structs."""
TRUE, FALSE, BYTE, DOUBLE, BINARY, LIST, SET, MAP, STRUCT = 1, 2, 3, 7, 8, 9, 10, 11, 12
FIXED_SIZES: Final = {TRUE: 1, FALSE: 1, BYTE: 1, DOUBLE: 8}


def read_struct(content: bytes, fields: StructFields, at: int = 0) -> tuple[ThriftStruct, int]:
    """These fields of the struct at a position, which are structs, bytes, or lists of them; and the position after the struct.

    Raises ValueError, LookupError or RecursionError for other bytes than those of Thrift's compact protocol.

    >>> read_struct(bytes([0x15, 0x02, 0x18, 0x01, 0x61, 0x00]), {2: {}})
    ({2: b'a'}, 6)
    """
    found: ThriftStruct = {}
    number = 0
    while head := content[at]:
        step, kind, at = head >> 4, head & 15, at + 1
        number += step
        if not step:
            number, at = _varint(content, at)
            number >>= 1
        if number in fields:
            found[number], at = _read_value(content, fields[number], at, kind)
        elif kind > FALSE:
            at = _skip_value(content, at, kind)
    return found, at + 1


def _read_value(content: bytes, fields: StructFields, at: int, kind: int) -> tuple[Any, int]:
    if kind == STRUCT:
        return read_struct(content, fields, at)
    if kind == BINARY:
        size, at = _size(content, at)
        return content[at : at + size], at + size
    if kind != LIST:
        raise ValueError("a field has another type")
    kind, size, at = _list_head(content, at)
    items = []
    for _ in range(size):
        item, at = _read_value(content, fields, at, kind)
        items.append(item)
    return items, at


def _skip_struct(content: bytes, at: int) -> int:
    """The position after a struct. Numbers and bytes are skipped without a call, in a third of the time."""
    while head := content[at]:
        at += 1
        if head < 16:  # the number of the field follows
            _, at = _varint(content, at)
        kind = head & 15
        if BYTE < kind < DOUBLE:
            while content[at] & 0x80:
                at += 1
            at += 1
        elif kind == BINARY:
            size, at = _size(content, at)
            at += size
        elif kind > FALSE:
            at = _skip_value(content, at, kind)
    return at + 1


def _skip_value(content: bytes, at: int, kind: int) -> int:
    """The position after a value, which can be past the end of the bytes."""
    if kind == STRUCT:
        return _skip_struct(content, at)
    if kind in FIXED_SIZES:
        return at + FIXED_SIZES[kind]
    if kind in (LIST, SET):
        kind, size, at = _list_head(content, at)
        for _ in range(size):
            at = _skip_value(content, at, kind)
        return at
    if kind == MAP:
        return _skip_map(content, at)
    size, at = _varint(content, at)
    return at + size if kind == BINARY else at


def _skip_map(content: bytes, at: int) -> int:
    size, at = _size(content, at)
    kinds = content[at : at + 1] if size else b""
    at += len(kinds)
    for both in kinds * size:
        at = _skip_value(content, _skip_value(content, at, both >> 4), both & 15)
    return at


def _list_head(content: bytes, at: int) -> tuple[int, int, int]:
    """The type of a list's items, their number, and the position of the first."""
    head = content[at]
    size, at = (head >> 4, at + 1) if head >> 4 < 15 else _size(content, at + 1)
    return head & 15, size, at


def _size(content: bytes, at: int) -> tuple[int, int]:
    size, at = _varint(content, at)
    if size > len(content) - at:
        raise IndexError("past the end")
    return size, at


def _varint(content: bytes, at: int) -> tuple[int, int]:
    """An unsigned number, and the position after it."""
    value = shift = 0
    while (byte := content[at]) & 0x80:
        value, shift, at = value | (byte & 0x7F) << shift, shift + 7, at + 1
        if shift > 63:
            raise ValueError("a number is too long")
    return value | byte << shift, at + 1


TAIL_BYTES: Final = 8
"""Bytes at the end of a file: the footer's length, and `PAR1`."""
ROW_GROUPS: Final = 4
COLUMNS: Final = 1
METADATA, CRYPTO = 3, 8
METADATA_PATH: Final = 3
BY_COLUMN: Final = 2
PATH, KEY_METADATA = 1, 2
ENCRYPTED_CHUNK: Final[StructFields] = {
    METADATA: {METADATA_PATH: {}},
    CRYPTO: {BY_COLUMN: {PATH: {}, KEY_METADATA: {}}},
}


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
    """The encrypted columns; none if it is not a Parquet file or not encrypted."""
    footer = _read_footer(place)
    with suppress(ValueError, LookupError, TypeError, AttributeError, RecursionError):
        if any(CRYPTO in chunk for chunk in _column_chunks(footer, {CRYPTO: {}})):
            return _encrypted_columns(each for each in _column_chunks(footer, ENCRYPTED_CHUNK) if CRYPTO in each)
    return EncryptedColumns()


def _column_chunks(footer: bytes, fields: StructFields) -> list[ThriftStruct]:
    """These fields of all column chunks."""
    groups = read_struct(footer, {ROW_GROUPS: {COLUMNS: fields}})[0].get(ROW_GROUPS, [])
    return [chunk for group in groups for chunk in group.get(COLUMNS, [])]


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
