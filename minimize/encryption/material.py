"""What a Parquet file says of its encrypted columns: read from the footer's bytes, without a key and without touching a column.

pyarrow tells none of it, and ends the process where a column's metadata is asked for without its key.
Source: parquet-format, parquet.thrift (FileMetaData, RowGroup, ColumnChunk, ColumnCryptoMetaData); Thrift's compact protocol.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import IO, Any, Final

from minimize.encryption.thrift import Compact, Struct
from minimize.stores import Place, length_of

TAIL: Final = 8
"""Bytes at the end of a file: the footer's length, and `PAR1`."""
ROW_GROUPS: Final = 4
COLUMNS: Final = 1
METADATA, CRYPTO = 3, 8
METADATA_PATH: Final = 3
BY_COLUMN: Final = 2
PATH, KEY_METADATA = 1, 2


@dataclass(frozen=True, slots=True)
class Material:
    """The encrypted columns of a file.

    masters  by top-level column the id of the master key
    wrapped  by that id the keys of this file that it wraps
    """

    masters: Mapping[str, str] = field(default_factory=dict)
    wrapped: Mapping[str, frozenset[str]] = field(default_factory=dict, repr=False)

    def of(self, columns: Iterable[str] | None = None) -> dict[str, list[str]]:
        """The ids of the master keys that these columns need (all where none are named), each with its columns."""
        wanted = None if columns is None else {*columns}
        found: dict[str, list[str]] = {}
        for column, master in self.masters.items():
            if wanted is None or column in wanted:
                found.setdefault(master, []).append(column)
        return found


def material_of(place: Place) -> Material:
    """What a file says, by its first row group; nothing where it is no Parquet file, or nothing in it is encrypted."""
    footer = _footer(place)
    with suppress(ValueError, LookupError, TypeError, AttributeError):
        groups = Compact(footer).struct(until=ROW_GROUPS).get(ROW_GROUPS) or [{}]
        chunks = groups[0].get(COLUMNS, [])
        return _material([chunk for chunk in chunks if CRYPTO in chunk])
    return Material()


def _material(encrypted: Iterable[Struct]) -> Material:
    masters: dict[str, str] = {}
    wrapped: dict[str, set[str]] = {}
    for chunk in encrypted:
        each = chunk[CRYPTO].get(BY_COLUMN)
        said = _said(each)
        column = (chunk[METADATA][METADATA_PATH] if each is None else each[PATH])[0].decode()
        masters[column] = str(said.get("masterKeyID", ""))
        wrapped.setdefault(masters[column], set()).add(str(said.get("wrappedKEK", said.get("wrappedDEK", ""))))
    return Material(masters, {master: frozenset(keys) for master, keys in wrapped.items()})


def _said(each: Struct | None) -> dict[str, Any]:
    """The key material in JSON that pyarrow and Spark write; nothing where another writer has other words."""
    with suppress(ValueError, TypeError, AttributeError):
        said = json.loads((each or {}).get(KEY_METADATA, b""))
        return said if isinstance(said, dict) else {}
    return {}


def _footer(place: Place) -> bytes:
    with suppress(OSError), place.open("rb") as file:
        return _read(file)
    return b""


def _read(file: IO[bytes]) -> bytes:
    size = length_of(file)
    if size < TAIL:
        return b""
    file.seek(size - TAIL)
    tail = file.read(TAIL)
    length = int.from_bytes(tail[:4], "little")
    if tail[4:] != b"PAR1" or length > size - TAIL:
        return b""
    file.seek(size - TAIL - length)
    return bytes(file.read(length))
