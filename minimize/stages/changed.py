"""Where a released value differs from the one that came in: per distinct value where the column is dictionary-encoded."""

from __future__ import annotations

from functools import reduce

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from minimize.stages.chain import Branched
from minimize.techniques import family, plain


def changes(values: pa.Array, out: Branched, among: pa.BooleanArray | None) -> int:
    """How many of these values (of all where no mask is given) were changed: as the technique tells, or by comparing."""
    if values is out.values:
        return 0
    if out.changed is not None:
        return out.changed
    if among is None and _are_whole(values, out.values):
        return int(np.count_nonzero(_numbers(values) != _numbers(out.values)))
    mask = _told(values, out)
    count: int = mask.true_count if among is None else pc.and_(mask, among).true_count
    return count


def _are_whole(values: pa.Array, others: pa.Array) -> bool:
    """Whether both are 64-bit integers or times of one type, and none of them is null."""
    type_ = values.type
    wide = pa.types.is_int64(type_) or pa.types.is_timestamp(type_)
    return bool(wide and type_ == others.type and not values.null_count and not others.null_count and len(values))


def _numbers(values: pa.Array) -> npt.NDArray[np.int64]:
    return np.frombuffer(values.buffers()[1], np.int64, len(values), values.offset * 8)


def _told(values: pa.Array, out: Branched) -> pa.BooleanArray:
    """By the entries of the dictionary that came in, where it is known what became of each of them."""
    if out.entries is None or not pa.types.is_dictionary(values.type):
        return changed(values, out.values)
    entries = changed(values.dictionary, out.entries)
    if not entries.true_count:
        return _never(values)
    if entries.true_count == len(entries):
        return values.is_valid()
    return entries.take(values.indices).fill_null(False)


def changed(raw: pa.Array, released: pa.Array) -> pa.BooleanArray:
    """Per value whether it was changed. Null that came in is not; a value that left as null, or as another type, is.

    >>> changed(pa.array(["a", "b", None]), pa.array(["a", None, None])).to_pylist()
    [False, True, False]
    """
    if raw is released:
        return _never(raw)
    if not _comparable(raw.type, released.type):
        return raw.is_valid()
    if pa.types.is_dictionary(raw.type):
        return _by_entry(raw, released)
    if pa.types.is_dictionary(released.type):
        released = released.dictionary_decode()
    return pc.and_(_differs(raw, released).fill_null(True), raw.is_valid())


def _by_entry(raw: pa.DictionaryArray, released: pa.Array) -> pa.BooleanArray:
    """Both sides as the place of their value among the entries that came in."""
    out = released if pa.types.is_dictionary(released.type) else released.dictionary_encode()
    entries = raw.dictionary
    before = pc.index_in(entries, value_set=entries).take(raw.indices)
    after = pc.index_in(out.dictionary.cast(entries.type), value_set=entries).take(out.indices)
    return pc.and_(pc.not_equal(before, after).fill_null(True), raw.is_valid())


def _differs(raw: pa.Array, released: pa.Array) -> pa.BooleanArray:
    """Per pair whether the values differ, null where one of them is."""
    if pa.types.is_struct(raw.type):
        return _structs_differ(raw, released)
    if pa.types.is_nested(raw.type):
        return _never(raw) if raw.equals(released) else pa.repeat(pa.scalar(True), len(raw))
    if pa.types.is_float16(raw.type):
        return _differs(raw.cast(pa.float32()), released.cast(pa.float32()))
    if pa.types.is_floating(raw.type):
        same = pc.and_(pc.is_nan(raw), pc.is_nan(released))
        return pc.and_not(pc.not_equal(raw, released), same)
    return pc.not_equal(raw, released.cast(raw.type))


def _structs_differ(raw: pa.StructArray, released: pa.StructArray) -> pa.BooleanArray:
    if len(raw.type.fields) != len(released.type.fields):
        return raw.is_valid()
    pairs = zip(raw.flatten(), released.flatten(), strict=True)
    return reduce(pc.or_, (_parts_differ(one, other) for one, other in pairs))


def _parts_differ(one: pa.Array, other: pa.Array) -> pa.BooleanArray:
    if not _comparable(one.type, other.type):
        return pa.repeat(pa.scalar(True), len(one))
    return pc.or_(_differs(one, other).fill_null(False), pc.xor(one.is_null(), other.is_null()))


def _comparable(one: pa.DataType, other: pa.DataType) -> bool:
    """Whether values of both types can be equal: of one type, or text or bytes of another width, or structs."""
    same_family = family(one) == family(other)
    return plain(one) == plain(other) or (same_family and family(one) in ("string", "binary", "struct"))


def _never(raw: pa.Array) -> pa.BooleanArray:
    return pa.repeat(pa.scalar(False), len(raw))
