"""The records of some subjects in one file: of row groups that may hold any, those rows alone."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from minimize.errors import OutputError
from minimize.io.index.lens import Value, can_be_indexed
from minimize.io.stored import Stored
from minimize.nested import leaf, leaf_type, rows_of
from minimize.pointer import STAR, Pointer
from minimize.words import number_type


def rows_about(stored: Stored, subject: Pointer, values: Collection[Value], groups: Sequence[int] | None) -> pa.Table:
    """The rows whose subject is one of these values, of the row groups named; of all where nothing is known.

    Then the subject's column is looked at first, and the others are read only of row groups that hold any.
    Raises OutputError where the file does not have the subject's column, or is damaged.
    """
    wanted = _wanted(stored, subject, values)
    found = _looked_at(stored, subject, wanted) if groups is None else groups
    batches = (_only(batch, subject, wanted) for batch in stored.batches(found)) if len(found) else ()
    return pa.Table.from_batches(batches, stored.whole)


def _wanted(stored: Stored, subject: Pointer, values: Collection[Value]) -> pa.Array:
    try:
        type_ = leaf_type(stored.whole, subject)
    except KeyError:
        type_ = None
    if type_ is None or not can_be_indexed(type_):
        raise OutputError(f"{stored.path} does not hold its subject", hint="it was dropped: nothing can be found by it")
    return _of_type(values, type_.value_type if pa.types.is_dictionary(type_) else type_)


def _of_type(values: Collection[Value], type_: pa.DataType) -> pa.Array:
    """The values that a column of the type can hold."""
    kind: Any = bytes if pa.types.is_binary(type_) or pa.types.is_large_binary(type_) else str
    if pa.types.is_integer(type_):
        whole = [int(value) for value in values if _is_whole(value, type_)]
        return pa.array(whole, type_)
    return pa.array([value for value in values if isinstance(value, kind)], type_)


def _is_whole(value: Value, type_: pa.DataType) -> bool:
    info = np.iinfo(number_type(type_))
    return isinstance(value, int) and not isinstance(value, bool) and info.min <= value <= info.max


def _looked_at(stored: Stored, subject: Pointer, wanted: pa.Array) -> list[int]:
    """The row groups that hold any of the values."""
    groups = range(stored.file.metadata.num_row_groups)
    if subject.top not in stored.schema.names:
        return [*groups]
    return [group for group in groups if _has_any(stored.column(subject.top, group), subject, wanted)]


def _has_any(batches: Iterator[pa.RecordBatch], subject: Pointer, wanted: pa.Array) -> bool:
    return any(_mask(batch, subject, wanted).any() for batch in batches)


def _only(batch: pa.RecordBatch, subject: Pointer, wanted: pa.Array) -> pa.RecordBatch:
    return batch.filter(pa.array(_mask(batch, subject, wanted)))


def _mask(batch: pa.RecordBatch, subject: Pointer, wanted: pa.Array) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Which rows are about one of the values; of a list, any element."""
    found = leaf(batch, subject)
    hits = pc.is_in(found.values, value_set=wanted).to_numpy(zero_copy_only=False)
    if STAR not in subject.parts:
        return np.asarray(hits, np.bool_)
    mask = np.zeros(batch.num_rows, np.bool_)
    mask[rows_of(found, batch.num_rows)[hits]] = True
    return mask
