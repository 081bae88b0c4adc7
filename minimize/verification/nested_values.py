"""Values of an output's nested columns, and distinct values in the forms that rules judge."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from minimize.arrow.pointers import KEYS, STAR, Pointer, PointerPart

NANOSECONDS: Final = {"s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1}
DAY: Final = 86_400 * 10**9
_TECHNIQUE_METADATA: Final = b"minimize:technique"


@dataclass(frozen=True, slots=True)
class LeafValues:
    """The values that a pointer names, and the row that each of them stands in."""

    values: pa.Array
    rows: pa.Array


def schema_leaves(schema: pa.Schema, whole: Collection[Pointer]) -> Iterator[tuple[Pointer, pa.DataType]]:
    """Every leaf of a schema. A path of `whole` is a leaf whatever it holds."""
    for field in schema:
        yield from _leaves_below((field.name,), field.type, whole, _key_value_lists(field))


def _key_value_lists(field: pa.Field) -> frozenset[Pointer]:
    """The maps of a column that were written as lists of {key, value}, by what its metadata says of their keys."""
    said = {name.decode(): how for name, how in (field.metadata or {}).items() if name.startswith(_TECHNIQUE_METADATA)}
    pointers = {
        Pointer.parse(name.removeprefix(_TECHNIQUE_METADATA.decode())): how
        for name, how in said.items()
        if name != _TECHNIQUE_METADATA.decode()
    }
    return frozenset(Pointer(each.parts[:-1]) for each, how in pointers.items() if each.is_keys and how != b"keep")


def _leaves_below(
    parts: tuple[PointerPart, ...], type_: pa.DataType, whole: Collection[Pointer], keyed: Collection[Pointer]
) -> Iterator[tuple[Pointer, pa.DataType]]:
    pointer = Pointer(parts)
    if pointer in whole or not pa.types.is_nested(type_):
        yield pointer, type_
    elif pa.types.is_struct(type_):
        for child in type_:
            yield from _leaves_below((*parts, child.name), child.type, whole, keyed)
    elif pa.types.is_map(type_):
        yield pointer.keys, type_.key_type
        yield from _leaves_below((*parts, STAR), type_.item_type, whole, keyed)
    elif pointer in keyed:
        yield pointer.keys, type_.value_type.field("key").type
        yield from _leaves_below((*parts, STAR), type_.value_type.field("value").type, whole, keyed)
    else:
        yield from _leaves_below((*parts, STAR), type_.value_type, whole, keyed)


def leaf_values(batch: pa.RecordBatch, pointer: Pointer) -> LeafValues:
    """The values of a leaf of this batch."""
    values, keyed = batch.column(pointer.top), _key_value_lists(batch.schema.field(pointer.top))
    rows = pa.array(np.arange(batch.num_rows, dtype=np.int64))
    for depth, part in enumerate(pointer.parts[1:], 1):
        if isinstance(part, str):
            values = pc.struct_field(values, part)
            continue
        is_map = pa.types.is_map(values.type)
        lists = (
            pa.ListArray.from_arrays(values.offsets, values.keys if part is KEYS else values.items)
            if is_map
            else values
        )
        values, rows = pc.list_flatten(lists), rows.take(pc.list_parent_indices(lists))
        if not is_map and Pointer(pointer.parts[:depth]) in keyed:
            values = pc.struct_field(values, "key" if part is KEYS else "value")
    return LeafValues(_without_dictionary(values), rows)


def distinct_rows(columns: Sequence[pa.Array]) -> Iterator[tuple[Any, ...]]:
    """The distinct rows of equally long columns, in the forms of `comparable_values`, that have something in the first one."""
    parts = [_group_columns(column) for column in columns]
    flat = [each for part in parts for each in part]
    table = pa.table(flat, names=[str(index) for index in range(len(flat))]).filter(columns[0].is_valid())
    unique = table.group_by(table.column_names, use_threads=False).aggregate([])
    judges = iter(comparable_values(unique[name].combine_chunks()) for name in table.column_names)
    joined = [
        _join_columns([next(judges) for _ in part], column.type) for part, column in zip(parts, columns, strict=True)
    ]
    return zip(*joined, strict=True)


def comparable_values(values: pa.Array) -> list[Any]:
    """Values as rules judge them: times as nanoseconds since 1970, doubles as the shortest decimal that reads back."""
    kind = values.type
    if pa.types.is_timestamp(kind):
        return _scale_integers(values.cast(pa.int64()), NANOSECONDS[kind.unit])
    if pa.types.is_date32(kind):
        return _scale_integers(values.cast(pa.int32()), DAY)
    if pa.types.is_date64(kind):
        return _scale_integers(values.cast(pa.int64()), NANOSECONDS["ms"])
    if pa.types.is_floating(kind):
        narrow = numpy_float(kind)
        return [None if each is None else Decimal(str(narrow(each))) for each in values.to_pylist()]
    return list(values.to_pylist())


def numpy_float(type_: pa.DataType) -> type[np.floating[Any]]:
    """The numpy type of a floating type's values."""
    if type_.bit_width == 64:
        return np.float64
    return np.float32 if type_.bit_width == 32 else np.float16


def _scale_integers(values: pa.Array, unit: int) -> list[int | None]:
    return [None if each is None else each * unit for each in values.to_pylist()]


def _group_columns(column: pa.Array) -> list[pa.Array]:
    """A struct's children, which can be grouped; other columns as they are."""
    return list(column.flatten()) if pa.types.is_struct(column.type) else [column]


def _join_columns(columns: list[list[Any]], type_: pa.DataType) -> list[Any]:
    return list(zip(*columns, strict=True)) if pa.types.is_struct(type_) else columns[0]


def _without_dictionary(values: pa.Array) -> pa.Array:
    return values.dictionary_decode() if pa.types.is_dictionary(values.type) else values
