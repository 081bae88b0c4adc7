"""Rows as bytes: one unambiguous text per row, the same however the columns are encoded, and keyed digests of it.

A value is its length, a colon and its text (`3:abc`), null is `-`, a list is its number of elements and their texts, a struct
the texts of its children by name. Whole columns are encoded at once; only the digests are made one by one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

DIGEST = pa.binary(16)
_TEXT = pa.large_binary()


def row_digests(columns: Sequence[pa.Array], key: bytes) -> pa.FixedSizeBinaryArray:
    """A 128-bit keyed digest (BLAKE2b, RFC 7693) for each row of these equally long columns.

    >>> one, other = row_digests([pa.array(["ab", "a"]), pa.array(["c", "bc"])], b"k" * 32).to_pylist()
    >>> one == other
    False
    """
    texts = _joined([encoded(column) for column in columns]).to_pylist()
    secret = key if len(key) <= 64 else hashlib.blake2b(key).digest()
    return pa.array([hashlib.blake2b(text, digest_size=16, key=secret).digest() for text in texts], DIGEST)


def encoded(values: pa.Array) -> pa.LargeBinaryArray:
    """The text of each value, never null.

    >>> encoded(pa.array([[1, None], [], None])).to_pylist()
    [b'2[1:1-]', b'0[]', b'-']
    """
    if pa.types.is_dictionary(values.type):
        return encoded(values.dictionary).take(values.indices).fill_null(b"-")
    if pa.types.is_struct(values.type):
        return _where_valid(values, _struct(values))
    if pa.types.is_map(values.type):
        kind = pa.struct([("key", values.type.key_type), ("value", values.type.item_type)])
        return encoded(values.cast(pa.list_(kind)))
    if pa.types.is_nested(values.type):
        return _where_valid(values, _list(values))
    text = _text(values)
    return _joined([pc.binary_length(text).cast(pa.string()).cast(_TEXT), _literal(b":"), text]).fill_null(b"-")


def _text(values: pa.Array) -> pa.LargeBinaryArray:
    """A flat value as bytes; times and dates as their number."""
    if pa.types.is_fixed_size_binary(values.type):
        return values.cast(pa.binary()).cast(_TEXT)
    if pa.types.is_binary(values.type) or pa.types.is_large_binary(values.type):
        return values.cast(_TEXT)
    if pa.types.is_date32(values.type) or pa.types.is_time32(values.type):
        values = values.cast(pa.int32())
    elif pa.types.is_temporal(values.type):
        values = values.cast(pa.int64())
    return values.cast(pa.large_string()).cast(_TEXT)


def _struct(values: pa.StructArray) -> pa.LargeBinaryArray:
    children = dict(zip((field.name for field in values.type.fields), values.flatten(), strict=True))
    return _joined(
        [_literal(b"{"), *(encoded(children[name]) for name in sorted(children)), _literal(b"}")], len(values)
    )


def _list(values: pa.Array) -> pa.LargeBinaryArray:
    counts = pc.list_value_length(values).fill_null(0)
    ends = np.concatenate([[0], np.cumsum(counts.to_numpy(zero_copy_only=False))])
    items = pa.LargeListArray.from_arrays(pa.array(ends, pa.int64()), encoded(values.flatten()))
    numbers = counts.cast(pa.string()).cast(_TEXT)
    return _joined([numbers, _literal(b"["), pc.binary_join(items, _literal(b"")), _literal(b"]")])


def _where_valid(values: pa.Array, text: pa.LargeBinaryArray) -> pa.LargeBinaryArray:
    return pc.if_else(values.is_valid(), text, _literal(b"-"))


def _joined(parts: Sequence[pa.Array | pa.Scalar], rows: int | None = None) -> pa.LargeBinaryArray:
    joined = pc.binary_join_element_wise(*parts, _literal(b""))
    return joined if isinstance(joined, pa.Array) else pa.repeat(joined, rows or 0)


def _literal(text: bytes) -> pa.Scalar:
    return pa.scalar(text, _TEXT)
