"""A field's values as they came in: one tidy array, closed values out of it, and what stands beside them."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from minimize.nested import Leaf, leaf, spread
from minimize.plan.model import FieldPlan
from minimize.pointer import Pointer
from minimize.stage import Batch
from minimize.stages.places import place_of
from minimize.techniques.distinct import decoded


def raw_values(field: FieldPlan, raw: pa.RecordBatch) -> pa.Array:
    """The values that a field is made from: its own leaf, or a struct of its inputs, null where all of them are."""
    if not field.field.from_:
        return tidy(leaf(raw, field.pointer).values)
    place = leaf(raw, place_of(field))
    inputs = [_spread_plain(leaf(raw, pointer), place) for pointer in field.inputs]
    bare = np.logical_and.reduce([values.is_null().to_numpy(zero_copy_only=False) for values in inputs])
    return pa.StructArray.from_arrays(inputs, names=list(field.field.from_), mask=pa.array(bare))


def companion(batch: Batch, key: str, place: Leaf) -> pa.Array:
    """Another field's values as they came in, one per value at a place; null where its own gate is closed."""
    own = leaf(batch.raw, Pointer.parse(key))
    return spread(without(tidy(own.values), batch.closed.get(key)), own, place)


def without(values: pa.Array, closed: pa.BooleanArray | None) -> pa.Array:
    """The values with null where the mask is true, and nothing hidden behind those nulls."""
    if closed is None or not closed.true_count:
        return values
    if pa.types.is_dictionary(values.type):
        indices = pc.if_else(closed, pa.nulls(len(values), values.type.index_type), values.indices)
        return pa.DictionaryArray.from_arrays(indices, values.dictionary)
    return pc.if_else(closed, pa.nulls(len(values), values.type), values)


def tidy(values: pa.Array) -> pa.Array:
    """The values without nulls among dictionary entries, and without many entries that no value uses."""
    if not pa.types.is_dictionary(values.type):
        return values
    if values.dictionary.null_count or len(values.dictionary) > 2 * len(values):
        return values.dictionary_decode().dictionary_encode()
    return values


def _spread_plain(own: Leaf, place: Leaf) -> pa.Array:
    return spread(decoded(own.values), own, place)
