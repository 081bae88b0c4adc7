"""Raw values of a batch: the place of a field, filters for records, a field's values, and records spilled to disk.

Until a tally has seen all records, gated records wait in an unnamed encrypted file that only this process can read. It
contains no value that the gate closed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from minimize.arrow.dictionaries import decode_dictionary
from minimize.arrow.nested import (
    Leaf,
    assemble,
    has_leaf,
    leaf,
    leaf_type,
    leaf_values,
    pruned_schema,
    repeat_for_leaf,
    row_indices,
)
from minimize.arrow.pointers import Pointer
from minimize.arrow.scrub import scrub
from minimize.plan.model import FieldPlan, Plan
from minimize.records import Batch
from minimize.spill import SpillFile

RECORD_PLACE = Pointer(())
"""The place of a record itself: below no list."""


def field_place(field: FieldPlan) -> Pointer:
    """The raw leaf with one value for each value of the field: the field itself, or the innermost of its inputs."""
    return field.place


def list_container(star: Pointer) -> Pointer:
    """The list or map whose elements a pointer that ends in a star names.

    >>> str(list_container(Pointer.parse("/apps/*")))
    '/apps'
    """
    return Pointer(star.parts[:-1])


def filter_records(batch: Batch, keep: npt.NDArray[np.bool_], plan: Plan) -> Batch:
    """The batch with only these records, in all of its parts."""
    if keep.all():
        return batch
    places = {key: field_place(field) for key, field in plan.fields.items()}

    def leaves(values: pa.Array, place: Pointer) -> pa.Array:
        rows = row_indices(leaf(batch.raw, place), batch.raw.num_rows)
        return values.filter(pa.array(keep[rows]))

    return batch.with_(
        raw=batch.raw.filter(pa.array(keep)),
        gated_lists={
            star: leaves(mask, list_container(Pointer.parse(star))) for star, mask in batch.gated_lists.items()
        },
        **{
            part: {key: leaves(values, places[key]) for key, values in getattr(batch, part).items()}
            for part in ("closed", "cases", "released", "measured", "ranks")
        },
    )


def raw_values(field: FieldPlan, raw: pa.RecordBatch) -> pa.Array:
    """The values that a field is computed from: its own leaf, or a struct of its inputs, null if all of them are null."""
    if not field.field.from_:
        return tidy_dictionary(leaf_values(raw, field.pointer))
    place = leaf(raw, field_place(field))
    inputs = [_spread_decoded(leaf(raw, pointer), place) for pointer in field.inputs]
    bare = np.logical_and.reduce([values.is_null().to_numpy(zero_copy_only=False) for values in inputs])
    return pa.StructArray.from_arrays(inputs, names=list(field.field.from_), mask=pa.array(bare))


def companion_values(batch: Batch, key: str, place: Leaf) -> pa.Array:
    """Another field's raw values, one per value at a place; null if its own gate is closed."""
    companion = leaf(batch.raw, Pointer.parse(key))
    return repeat_for_leaf(mask_values(tidy_dictionary(companion.values), batch.closed.get(key)), companion, place)


def mask_values(values: pa.Array, closed: pa.BooleanArray | None) -> pa.Array:
    """The values, null if the mask is true, without hidden content behind those nulls."""
    if closed is None or not closed.true_count:
        return values
    if pa.types.is_dictionary(values.type):
        indices = pc.if_else(closed, pa.nulls(len(values), values.type.index_type), values.indices)
        return pa.DictionaryArray.from_arrays(indices, values.dictionary)
    return pc.if_else(closed, pa.nulls(len(values), values.type), values)


def tidy_dictionary(values: pa.Array) -> pa.Array:
    """The values without nulls among dictionary entries, and without a large number of unused entries."""
    if not pa.types.is_dictionary(values.type):
        return values
    if values.dictionary.null_count or len(values.dictionary) > 2 * len(values):
        return values.dictionary_decode().dictionary_encode()
    return values


def _spread_decoded(input_leaf: Leaf, place: Leaf) -> pa.Array:
    return repeat_for_leaf(decode_dictionary(input_leaf.values), input_leaf, place)


def mask_closed_values(batch: Batch, plan: Plan) -> pa.RecordBatch:
    """The raw records with null for every value that the gate closed. The gate computes the same masks from them.

    Takes a gated batch. Tenant, subject and event time are not masked, because settings depend on them. Neither are containers
    whose presence or size is needed.
    """
    closed = {plan.policy.fields[key].pointer: mask for key, mask in batch.closed.items()}
    for name in (plan.policy.tenant, plan.policy.subject, plan.policy.time):
        closed.pop(Pointer.parse(name or "_"), None)
    values = {
        pointer: mask_values(leaf(batch.raw, pointer).values, closed.get(pointer))
        for pointer in _declared_leaves(batch.raw.schema, plan)
    }
    return assemble(batch.raw, values, {}, {}, masked_schema(batch.raw.schema, plan))


def masked_schema(schema: pa.Schema, plan: Plan) -> pa.Schema:
    """The schema of spilled records of this schema."""
    return pruned_schema(schema, {pointer: leaf_type(schema, pointer) for pointer in _declared_leaves(schema, plan)})


def _declared_leaves(schema: pa.Schema, plan: Plan) -> list[Pointer]:
    """The declared places in these records, outer ones before those below them."""
    pointers = [
        field.pointer for field in plan.policy.fields.values() if not field.from_ and has_leaf(schema, field.pointer)
    ]
    return [
        pointer for pointer in pointers if not any(pointer != outer and pointer.within(outer) for outer in pointers)
    ]


ReadSpilled = Callable[[], Iterator[pa.RecordBatch]]


@contextmanager
def spill_records(batches: Iterable[pa.RecordBatch], schema: pa.Schema) -> Iterator[ReadSpilled]:
    """Write the batches, all of this schema, to a spill file. Returns a function that reads them, in order, any number of times.

    The file is removed when the block ends, even after an error. Hidden content of the batches (values under nulls, entries of
    dictionaries that no row uses) is not written. Everything that is written is encrypted.
    """
    with SpillFile() as spill_file:
        pieces = [spill_file.put(_write_records(scrub(batch, schema))) for batch in batches]
        yield lambda: (_read_records(spill_file.get(piece)) for piece in pieces)


def _write_records(batch: pa.RecordBatch) -> pa.Buffer:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)
    return sink.getvalue()


def _read_records(content: bytes) -> pa.RecordBatch:
    with pa.ipc.open_stream(pa.py_buffer(content)) as stream:
        return stream.read_next_batch()
