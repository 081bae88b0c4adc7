"""Parquet footer: which columns are encrypted and with which master keys, and whether the column chunks fit the schema.

pyarrow reports none of this. It ends the process if a column's metadata is read without its key, or if the metadata contradicts
the schema, which one changed byte is enough for. Thrift's compact protocol is read as far as a footer needs it: structs by field
number, nothing interpreted.
Source: parquet-format, parquet.thrift (FileMetaData, SchemaElement, RowGroup, ColumnChunk, Statistics, SizeStatistics,
ColumnCryptoMetaData);
https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import IO, Any, Final

import pyarrow as pa

from minimize.stores import Location, byte_length

ThriftStruct = dict[int, Any]
StructFields = Mapping[int, "StructFields | int"]
"""The fields of a struct that are read, by number: each with the fields of its own structs, or with the type of its integers."""
TRUE, FALSE, BYTE, INT32, INT64, DOUBLE, BINARY, LIST, SET, MAP, STRUCT = 1, 2, 3, 5, 6, 7, 8, 9, 10, 11, 12
FIXED_SIZES: Final = {TRUE: 1, FALSE: 1, BYTE: 1, DOUBLE: 8}


def read_struct(content: bytes, fields: StructFields, at: int = 0) -> tuple[ThriftStruct, int]:
    """These fields of the struct at a position, which are structs, bytes, integers, or lists of them; and the position after it.

    Raises ValueError, LookupError or RecursionError for other bytes than those of Thrift's compact protocol.

    >>> read_struct(bytes([0x15, 0x02, 0x18, 0x01, 0x61, 0x00]), {2: {}})
    ({2: b'a'}, 6)
    """
    values: ThriftStruct = {}
    number = 0
    while head := content[at]:
        step, kind, at = head >> 4, head & 15, at + 1
        number += step
        if not step:
            number, at = _varint(content, at)
            number >>= 1
        if number in fields:
            values[number], at = _read_value(content, fields[number], at, kind)
        elif kind > FALSE:
            at = _skip_value(content, at, kind)
    return values, at + 1


def _read_value(content: bytes, fields: StructFields | int, at: int, kind: int) -> tuple[Any, int]:
    if kind == fields:
        value, at = _varint(content, at)
        return value >> 1 ^ -(value & 1), at
    if kind == STRUCT and not isinstance(fields, int):
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


SCHEMA, ROW_COUNT = 2, 3
ELEMENT_TYPE, TYPE_LENGTH, REPETITION, CHILDREN = 1, 2, 3, 5
OPTIONAL, REPEATED = 1, 2
GROUP_ROWS: Final = 3
CHUNK_TYPE, CHUNK_VALUES, STATISTICS, SIZE_STATISTICS = 1, 5, 12, 16
LIMITS: Final = (1, 2, 5, 6)
"""The fields of statistics that are values: the largest and the smallest, in their old and in their new form."""
UNENCODED_BYTES, REPETITION_LEVELS, DEFINITION_LEVELS = 1, 2, 3
BYTE_ARRAY, FIXED_LENGTH = 6, 7
VALUE_BYTES: Final = {0: 1, 1: 4, 2: 8, 3: 12, 4: 4, 5: 8}
"""Bytes of a value of each physical type of fixed length."""
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


CHECKED_FOOTER: Final[StructFields] = {
    SCHEMA: {ELEMENT_TYPE: INT32, TYPE_LENGTH: INT32, REPETITION: INT32, CHILDREN: INT32},
    ROW_COUNT: INT64,
    ROW_GROUPS: {
        COLUMNS: {
            METADATA: {
                CHUNK_TYPE: INT32,
                CHUNK_VALUES: INT64,
                STATISTICS: {limit: {} for limit in LIMITS},
                SIZE_STATISTICS: {UNENCODED_BYTES: INT64, REPETITION_LEVELS: INT64, DEFINITION_LEVELS: INT64},
            },
            CRYPTO: {},
        },
        GROUP_ROWS: INT64,
    },
}


@dataclass(frozen=True, slots=True)
class EncryptedColumns:
    """The encrypted columns of a file."""

    masters: Mapping[str, str] = field(default_factory=dict)
    """The id of the master key of each top-level column."""
    wrapped: Mapping[str, frozenset[str]] = field(default_factory=dict, repr=False)
    """The wrapped keys of the file, by id of the master key."""

    def columns_by_master_key(self, columns: Iterable[str] | None = None) -> dict[str, list[str]]:
        """The ids of the master keys of these columns (default: all), each with its columns."""
        selected = None if columns is None else {*columns}
        columns_by_master: dict[str, list[str]] = {}
        for column, master in self.masters.items():
            if selected is None or column in selected:
                columns_by_master.setdefault(master, []).append(column)
        return columns_by_master


def read_encrypted_columns(place: Location | bytes) -> EncryptedColumns:
    """The encrypted columns; none if it is not a Parquet file or not encrypted."""
    return _read_encrypted_columns(_read_footer(place))


def _read_encrypted_columns(footer: bytes) -> EncryptedColumns:
    with suppress(ValueError, LookupError, TypeError, AttributeError, RecursionError):
        if any(CRYPTO in chunk for chunk in _column_chunks(footer, {CRYPTO: {}})):
            return _encrypted_columns(each for each in _column_chunks(footer, ENCRYPTED_CHUNK) if CRYPTO in each)
    return EncryptedColumns()


def has_encrypted_footer(place: Location | bytes) -> bool:
    """Whether the footer itself is encrypted, so that not even the names of columns can be read without a key."""
    with suppress(OSError), io.BytesIO(place) if isinstance(place, bytes) else place.open("rb") as file:
        return _tail(file)[4:] == b"PARE"
    return False


def check_footer(place: Location | bytes) -> EncryptedColumns:
    """The encrypted columns of a file whose metadata pyarrow can read without ending the process.

    Raises pyarrow's ArrowInvalid for a footer whose column chunks contradict its schema, or whose numbers of rows disagree. Bytes
    that are no Parquet file have no encrypted columns: pyarrow refuses them.
    """
    footer = _read_footer(place)
    with suppress(ValueError, LookupError, TypeError, AttributeError, RecursionError):
        if not footer:
            return EncryptedColumns()
        metadata = read_struct(footer, CHECKED_FOOTER)[0]
        if _is_consistent(metadata):
            encrypted = any(
                CRYPTO in chunk for group in metadata.get(ROW_GROUPS, []) for chunk in group.get(COLUMNS, [])
            )
            return _read_encrypted_columns(footer) if encrypted else EncryptedColumns()
    raise pa.ArrowInvalid("the footer is damaged")


@dataclass(frozen=True, slots=True)
class _Leaf:
    """A column of the schema: its physical type, the bytes of a value (0: any number), and its maximum levels."""

    physical_type: int
    value_bytes: int
    repeated: int
    defined: int

    def fits(self, chunk: ThriftStruct, rows: int) -> bool:
        """Whether the metadata of a chunk has this type, possible statistics, and a value for each row."""
        levels = chunk.get(SIZE_STATISTICS, {})
        limits = [limit for name, limit in chunk.get(STATISTICS, {}).items() if limit and name in LIMITS]
        return (
            chunk[CHUNK_TYPE] == self.physical_type
            and (self.repeated > 0 or chunk[CHUNK_VALUES] == rows)
            and all(len(limit) >= self.value_bytes for limit in limits)
            and len(levels.get(REPETITION_LEVELS) or range(self.repeated + 1)) == self.repeated + 1
            and len(levels.get(DEFINITION_LEVELS) or range(self.defined + 1)) == self.defined + 1
            and (self.physical_type == BYTE_ARRAY or UNENCODED_BYTES not in levels)
        )


def _is_consistent(footer: ThriftStruct) -> bool:
    elements = iter(footer[SCHEMA])
    root = next(elements)
    leaves = [leaf for _ in range(root.get(CHILDREN, 0)) for leaf in _leaves(elements, 0, 0)]
    groups = footer.get(ROW_GROUPS, [])
    return (
        next(elements, None) is None
        and sum(group[GROUP_ROWS] for group in groups) == footer[ROW_COUNT]
        and all(_fits_group(group, leaves) for group in groups)
    )


def _leaves(elements: Iterator[ThriftStruct], repeated: int, defined: int) -> Iterator[_Leaf]:
    """The columns at and below the next element of a schema."""
    element = next(elements, None)
    if element is None:
        raise IndexError("past the end")
    repetition = element.get(REPETITION, 0)
    repeated, defined = repeated + (repetition == REPEATED), defined + (repetition in (OPTIONAL, REPEATED))
    if CHILDREN not in element:
        kind = element[ELEMENT_TYPE]
        size = element[TYPE_LENGTH] if kind == FIXED_LENGTH else VALUE_BYTES.get(kind, 0)
        yield _Leaf(kind, size, repeated, defined)
    for _ in range(element.get(CHILDREN, 0)):
        yield from _leaves(elements, repeated, defined)


def _fits_group(group: ThriftStruct, leaves: list[_Leaf]) -> bool:
    """Whether a row group has a chunk for each column. Encrypted metadata is not checked: pyarrow decrypts it."""
    chunks, rows = group.get(COLUMNS, []), group[GROUP_ROWS]
    return len(chunks) == len(leaves) and all(
        leaf.fits(chunk[METADATA], rows) for leaf, chunk in zip(leaves, chunks, strict=True) if CRYPTO not in chunk
    )


def _column_chunks(footer: bytes, fields: StructFields) -> list[ThriftStruct]:
    """These fields of all column chunks."""
    groups = read_struct(footer, {ROW_GROUPS: {COLUMNS: fields}})[0].get(ROW_GROUPS, [])
    return [chunk for group in groups for chunk in group.get(COLUMNS, [])]


def _encrypted_columns(encrypted: Iterable[ThriftStruct]) -> EncryptedColumns:
    masters: dict[str, str] = {}
    wrapped: dict[str, set[str]] = {}
    for chunk in encrypted:
        crypto = chunk[CRYPTO].get(BY_COLUMN)
        material = _key_material(crypto)
        column = (chunk[METADATA][METADATA_PATH] if crypto is None else crypto[PATH])[0].decode()
        masters[column] = str(material.get("masterKeyID", ""))
        wrapped.setdefault(masters[column], set()).add(str(material.get("wrappedKEK", material.get("wrappedDEK", ""))))
    return EncryptedColumns(masters, {master: frozenset(keys) for master, keys in wrapped.items()})


def _key_material(crypto: ThriftStruct | None) -> dict[str, Any]:
    """The key material in the JSON of pyarrow and Spark; empty for the format of another writer."""
    with suppress(ValueError, TypeError, AttributeError):
        material = json.loads((crypto or {}).get(KEY_METADATA, b""))
        return material if isinstance(material, dict) else {}
    return {}


def _read_footer(place: Location | bytes) -> bytes:
    if isinstance(place, bytes):
        return _footer_bytes(io.BytesIO(place))
    with suppress(OSError), place.open("rb") as file:
        return _footer_bytes(file)
    return b""


def _tail(file: IO[bytes]) -> bytes:
    """The last eight bytes; none of a shorter file."""
    size = byte_length(file)
    file.seek(max(size - TAIL_BYTES, 0))
    return bytes(file.read(TAIL_BYTES)) if size >= TAIL_BYTES else b""


def _footer_bytes(file: IO[bytes]) -> bytes:
    size, tail = byte_length(file), _tail(file)
    if not tail:
        return b""
    length = int.from_bytes(tail[:4], "little")
    if tail[4:] != b"PAR1" or length > size - TAIL_BYTES:
        return b""
    file.seek(size - TAIL_BYTES - length)
    return bytes(file.read(length))
