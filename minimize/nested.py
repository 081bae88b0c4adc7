"""Leaves of nested Arrow columns: taking them out flat, spreading masks down to them, and putting them back.

The order of a leaf's values is the order of a depth-first walk, null lists skipped, so that leaves under the same list are
aligned. Lists and maps contribute one step to `parents` each; structs contribute none.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from minimize.pointer import Pointer


@dataclass(frozen=True, slots=True)
class Leaf:
    """A leaf's values, and for each star of its pointer (outermost first) the slot above that each element belongs to."""

    values: pa.Array
    parents: tuple[npt.NDArray[np.int64], ...] = ()


def leaf_type(schema: pa.Schema, pointer: Pointer) -> pa.DataType:
    """The type that the pointer names (plain or dictionary-encoded). Raises KeyError where the schema has no such path."""
    raise KeyError(str(pointer))


def leaf(records: pa.RecordBatch, pointer: Pointer) -> Leaf:
    """The values that the pointer names. A value below a null struct or list is null or not there."""
    raise KeyError(str(pointer))


def spread(values: pa.Array, above: Leaf, below: Leaf) -> pa.Array:
    """Values that stand one per value of `above`, repeated for each value of `below`, whose stars begin with those of `above`."""
    raise KeyError


def rows_of(below: Leaf, rows: int) -> npt.NDArray[np.int64]:
    """For each value of a leaf the index of its record."""
    raise KeyError


def assemble(
    records: pa.RecordBatch,
    released: Mapping[Pointer, pa.Array],
    closed: Mapping[Pointer, pa.BooleanArray],
    hollow: Mapping[Pointer, pa.BooleanArray],
    schema: pa.Schema,
) -> pa.RecordBatch:
    """The released leaves as nested columns of this schema, in the shape of the source, kept leaves only.

    An element in which a leaf is closed and nothing is left is removed; a list from which gating took everything is null; an
    empty list where `hollow` (by the list's pointer, ending in a star) is true is null; a struct without a non-null leaf
    is null, so that gated and absent look alike.
    """
    raise KeyError


__all__ = ["Leaf", "Sequence", "assemble", "leaf", "leaf_type", "rows_of", "spread"]
