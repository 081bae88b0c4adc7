"""Digest of a payload: SHA-256 of its values. It does not depend on batches, buffers or offsets."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from minimize.arrow.hashing import text_bytes, text_offsets

LONG_LENGTH: Final = 255
_NUMBERS: Final = MappingProxyType({8: pa.int8(), 16: pa.int16(), 32: pa.int32(), 64: pa.int64()})
ByteArray = npt.NDArray[np.uint8]


class PayloadDigest:
    """SHA-256 over a payload, column by column: which values are null, how long the others are, and their bytes.

    Takes batches of one schema, in order. The same rows give the same digest, however they are cut into batches.
    """

    def __init__(self, schema: pa.Schema) -> None:
        self._schema = schema
        self._parts = [[_DigestStream() for _ in _column_streams(_empty_array(each.type))] for each in schema]
        self._rows = 0

    def update(self, batch: pa.RecordBatch) -> None:
        """Takes the next rows in."""
        self._rows += batch.num_rows
        for parts, column in zip(self._parts, batch.columns, strict=True):
            for part, piece in zip(parts, _column_streams(column), strict=True):
                part.update(piece)

    @property
    def digest(self) -> str:
        """`sha256:` of all that was taken in."""
        names = [[each.name, str(each.type)] for each in self._schema]
        whole = hashlib.sha256(json.dumps([self._rows, names]).encode())
        for parts in self._parts:
            for each in parts:
                whole.update(each.digest)
        return f"sha256:{whole.hexdigest()}"


@dataclass(frozen=True, slots=True)
class _NullPositions:
    """Where a column is null, and how many values it has."""

    places: npt.NDArray[np.int64]
    values: int


class _DigestStream:
    """One stream of a column; the places of nulls count on from batch to batch."""

    def __init__(self) -> None:
        self._hash, self._values = hashlib.sha256(), 0

    def update(self, piece: ByteArray | _NullPositions) -> None:
        """Takes the next piece in."""
        if isinstance(piece, _NullPositions):
            self._hash.update((piece.places + self._values).view(np.uint8).data)
            self._values += piece.values
        else:
            self._hash.update(np.ascontiguousarray(piece).data)

    @property
    def digest(self) -> bytes:
        """Of all that was taken in, and of how many values there were."""
        return self._hash.digest() + self._values.to_bytes(8, "little")


def digest_table(table: pa.Table) -> str:
    """The digest of a payload that is here whole.

    >>> rows = pa.table({"a": ["x", None, "y"]})
    >>> digest_table(rows) == digest_table(pa.concat_tables([rows.slice(0, 1), rows.slice(1)])) != digest_table(rows.slice(1))
    True
    """
    found = PayloadDigest(table.schema)
    for batch in table.to_batches():
        found.update(batch)
    return found.digest


def _empty_array(kind: pa.DataType) -> pa.Array:
    return pa.array([], kind)


def _column_streams(column: pa.Array) -> Iterator[ByteArray | _NullPositions]:
    """The parts of a column as bytes, each of which goes on where that of the batch before ended."""
    kind = column.type
    if kind in (pa.string_view(), pa.binary_view()):
        column = column.cast(pa.large_binary())
        kind = column.type
    yield _null_positions(column)
    if pa.types.is_struct(kind):
        for child in column.flatten():
            yield from _column_streams(child)
    elif pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_map(kind):
        yield from _list_lengths(pc.list_value_length(column) if not pa.types.is_map(kind) else _map_lengths(column))
        yield from _column_streams(_list_values(column))
    elif pa.types.is_boolean(kind):
        yield column.fill_null(False).to_numpy(zero_copy_only=False).view(np.uint8)
    elif pa.types.is_string(kind) or pa.types.is_binary(kind) or _is_large(kind):
        yield from _text_bytes(column)
    else:
        yield _fixed_width_bytes(column)


def _is_large(kind: pa.DataType) -> bool:
    return kind in (pa.large_string(), pa.large_binary())


def _null_positions(column: pa.Array) -> _NullPositions:
    there = np.asarray(column.is_null()) if column.null_count else np.empty(0, np.bool_)
    return _NullPositions(np.flatnonzero(there).astype(np.int64), len(column))


def _list_lengths(lengths: pa.Array) -> Iterator[ByteArray]:
    """Short lengths in a byte each; those of 255 and more once more, whole."""
    yield from _encode_lengths(np.asarray(lengths.cast(pa.int64()).fill_null(0), np.int64))


def _encode_lengths(lengths: npt.NDArray[np.integer[Any]]) -> Iterator[ByteArray]:
    """Short lengths in a byte each; those of 255 and more once more, whole."""
    if not len(lengths) or lengths.max() < LONG_LENGTH:
        yield lengths.astype(np.uint8)
        yield np.empty(0, np.uint8)
    else:
        yield np.minimum(lengths, LONG_LENGTH).astype(np.uint8)
        yield lengths[lengths >= LONG_LENGTH].astype(np.int64).view(np.uint8)


def _map_lengths(column: pa.MapArray) -> pa.Array:
    return pa.array(np.diff(column.offsets.to_numpy()))


def _list_values(column: pa.Array) -> pa.Array:
    if not pa.types.is_map(column.type):
        return column.flatten()
    first, last = column.offsets[0].as_py(), column.offsets[-1].as_py()
    entries = pa.StructArray.from_arrays([column.keys, column.items], ["key", "value"])
    return entries.slice(first, last - first)


def _text_bytes(column: pa.Array) -> Iterator[ByteArray]:
    """How long the texts are, null ones 0, and their bytes, one after another; nothing of what stands under nulls."""
    ends = text_offsets(column)
    lengths = np.diff(ends)
    if column.null_count:
        there = np.asarray(column.is_valid())
        if lengths[~there].any():
            column = column.drop_null()
            lengths[there], lengths[~there] = np.diff(text_offsets(column)), 0
            ends = text_offsets(column)
    yield from _encode_lengths(lengths)
    yield text_bytes(column)[ends[0] : ends[-1]] if len(column) else np.empty(0, np.uint8)


def _fixed_width_bytes(column: pa.Array) -> ByteArray:
    """Values of one width; null ones are zeros, or left out where the width is no number's."""
    number = None if pa.types.is_null(column.type) else _NUMBERS.get(column.type.bit_width)
    if column.null_count and number is not None:
        dense = column.view(number).fill_null(0)
    else:
        dense = column.drop_null() if column.null_count else column
    if pa.types.is_null(dense.type) or not len(dense):
        return np.empty(0, np.uint8)
    width = dense.type.bit_width // 8
    data = dense.buffers()[1]
    return np.frombuffer(data, np.uint8)[dense.offset * width : (dense.offset + len(dense)) * width]
