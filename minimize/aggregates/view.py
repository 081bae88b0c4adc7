"""The rows of a batch as an aggregate sees them: records in groups, or the elements of a list in groups."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from minimize.aggregates.base import Codes
from minimize.aggregates.definition import Definition
from minimize.aggregates.groups import GroupBook
from minimize.codebook import pack, unpack
from minimize.nested import leaf, rows_of
from minimize.pointer import Pointer
from minimize.stage import Batch


@dataclass(frozen=True, slots=True)
class View:
    """Rows in groups: the group and the subject of each, and which value of a leaf it has (None: one row a value, in order)."""

    groups: Codes
    subjects: Codes
    places: Codes | None = None

    def values(self, values: pa.Array) -> pa.Array:
        """A leaf's values, one per row."""
        return values if self.places is None else values.take(pa.array(self.places))

    def where(self, rows: npt.NDArray[np.bool_]) -> View:
        """Some of the rows; `places` then no longer tells values, which the caller has taken."""
        kept = np.flatnonzero(rows)
        return View(self.groups.take(kept), self.subjects.take(kept))


@dataclass(frozen=True, slots=True)
class Views:
    """The views of one batch.

    rows      each record once in each of its groups
    elements  the elements of the list that is grouped by
    outside   the number of records that are in no group: their list has no element
    """

    batch: Batch
    subjects: Codes
    star: Pointer | None
    rows: View
    elements: View | None
    outside: int

    def at(self, star: Pointer | None) -> View:
        """The view for fields in this list, or (None) for fields of the record."""
        if star is None:
            return self.rows
        if star == self.star and self.elements is not None:
            return self.elements
        records = records_of(self.batch, star)
        return View(self.rows.groups[records], self.subjects[records])


def views(definition: Definition, groups: GroupBook, batch: Batch, subjects: Codes) -> Views:
    """The views of a batch; new groups are entered in the book."""
    star, records = definition.star, batch.raw.num_rows
    if star is None:
        rows = View(_groups(definition, groups, batch, np.arange(records)), subjects)
        return Views(batch, subjects, None, rows, None, 0)
    of_element = records_of(batch, star)
    kept = np.flatnonzero(_open(definition, batch, len(of_element)))
    owners = of_element[kept]
    codes = _groups(definition, groups, batch, owners, kept)
    record, group = unpack(np.unique(pack(owners, codes)))
    rows = View(group, subjects[record], record)
    outside = records - len(np.unique(record))
    return Views(batch, subjects, star, rows, View(codes, subjects[owners], kept), outside)


def records_of(batch: Batch, star: Pointer) -> Codes:
    """The record of each element of a list."""
    return np.asarray(rows_of(leaf(batch.raw, star), batch.raw.num_rows), np.int64)


def present(values: pa.Array) -> npt.NDArray[np.bool_] | None:
    """Where a value is; None for everywhere."""
    if pa.types.is_dictionary(values.type) and values.dictionary.null_count:
        values = values.dictionary_decode()
    if not values.null_count:
        return None
    return np.asarray(pc.is_valid(values).to_numpy(zero_copy_only=False), np.bool_)


def _groups(
    definition: Definition, book: GroupBook, batch: Batch, records: Codes, elements: Codes | None = None
) -> Codes:
    columns = []
    for position, key in enumerate(definition.keys.values()):
        codes = book.encode_key(position, batch.released[key.key])
        columns.append(codes[records if key.star is None or elements is None else elements])
    return book.encode(columns, len(records))


def _open(definition: Definition, batch: Batch, elements: int) -> npt.NDArray[np.bool_]:
    """Which elements a gate has left something of among the keys: the others are gone from the records, too."""
    left = np.zeros(elements, np.bool_)
    for key in definition.keys.values():
        closed = batch.closed.get(key.key)
        if key.star is not None:
            left |= True if closed is None else ~closed.to_numpy(zero_copy_only=False)
    return left
