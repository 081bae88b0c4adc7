"""The tenant and the subject of records in their canonical form: brought to it once, where they are read."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import pyarrow as pa

from minimize.canonical import canonical, is_blank
from minimize.pointer import STAR, Part, Pointer


def with_canonical_ids(records: pa.RecordBatch, ids: Collection[Pointer], *, fold: bool = False) -> pa.RecordBatch:
    """The records with these ids in their canonical form, null where nothing is left of one."""
    for pointer in ids:
        index = records.schema.get_field_index(pointer.top)
        if index >= 0:
            column = records.column(index)
            found = _below(column, pointer.parts[1:], fold=fold)
            if found is not column:
                records = records.set_column(index, records.schema.field(index), found)
    return records


def _below(values: pa.Array, parts: Sequence[Part], *, fold: bool) -> pa.Array:
    """The values with the ids at a path below them in their canonical form; the same array where nothing changed."""
    if not parts:
        return canonical(values, fold=fold)
    index = (
        values.type.get_field_index(str(parts[0])) if pa.types.is_struct(values.type) and parts[0] is not STAR else -1
    )
    if index < 0:
        return values
    children = [values.field(place) for place in range(values.type.num_fields)]
    found = _below(children[index], parts[1:], fold=fold)
    if found is children[index]:
        return values
    children[index] = found
    return pa.StructArray.from_arrays(children, fields=list(values.type), mask=values.is_null())


def blank_ids(record: Mapping[str, Any], ids: Collection[Pointer]) -> bool:
    """Whether a parsed record has an id of which nothing is left."""
    return any(is_blank(value_at(record, pointer)) for pointer in ids)


def value_at(record: Mapping[str, Any], pointer: Pointer) -> Any:
    """The value at a path that goes through no list."""
    value: Any = record
    for part in pointer.parts:
        value = value.get(part) if isinstance(value, dict) else None
    return value
