"""Views of a batch for an aggregate: small batches combined, records selected, records or list elements in groups."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from minimize.aggregates.definition import AggregateDefinition
from minimize.aggregates.dictionaries import GroupDictionary
from minimize.arrow.dictionaries import Codes, decode_dictionary, has_null_entry, pack_codes, unpack_codes
from minimize.arrow.nested import leaf, row_indices
from minimize.arrow.pointers import Pointer
from minimize.arrow.value_dictionary import stored_type
from minimize.records import Batch
from minimize.spill import HashWords


class BatchBuffer:
    """Buffer of batches, reduced to the columns that an aggregate reads."""

    def __init__(self, definition: AggregateDefinition) -> None:
        measured = [each.measure.of for each in definition.measures.values() if each.measure.of is not None]
        self._keys = frozenset([*(key.key for key in definition.keys.values()), *measured])
        self._elements = frozenset(key.key for key in definition.keys.values() if key.star is not None)
        nested = [Pointer.parse(key).top for key in self._keys if Pointer.parse(key).stars]
        self._columns = sorted({definition.counting.top, *nested})
        self._batches: list[Batch] = []
        self.rows = 0

    def add(self, batch: Batch) -> None:
        """Adds a batch."""
        self.rows += batch.raw.num_rows
        self._batches.append(
            Batch(
                batch.raw.select(self._columns),
                closed={key: mask for key, mask in batch.closed.items() if key in self._elements},
                released=self._cut(batch.released),
                measured=self._cut(batch.measured),
                ranks=self._cut(batch.ranks),
            )
        )

    def take(self) -> list[Batch]:
        """Removes and returns all batches, combined into one if possible."""
        batches, self._batches, self.rows = self._batches, [], 0
        try:
            return batches if len(batches) < 2 else [_combine_batches(batches)]
        except pa.ArrowException:
            return batches

    def _cut(self, leaves: Mapping[str, pa.Array]) -> dict[str, pa.Array]:
        return {key: leaf for key, leaf in leaves.items() if key in self._keys}


def split_batch(batch: Batch, definition: AggregateDefinition, rows: int) -> Iterator[Batch]:
    """The batch in slices of this number of rows; not divided if leaves are in lists. Slices share their dictionaries."""
    total = batch.raw.num_rows
    if total <= rows or not _is_flat(definition):
        yield from [batch] if total else []
        return
    for first in range(0, total, rows):
        yield Batch(
            batch.raw.slice(first, rows),
            released=_slice_leaves(batch.released, first, rows),
            measured=_slice_leaves(batch.measured, first, rows),
            ranks=_slice_leaves(batch.ranks, first, rows),
        )


def _slice_leaves(leaves: Mapping[str, pa.Array], first: int, rows: int) -> dict[str, pa.Array]:
    return {key: leaf.slice(first, rows) for key, leaf in leaves.items()}


def _is_flat(definition: AggregateDefinition) -> bool:
    measured = [each.star for each in definition.measures.values()]
    return not any([definition.star, *measured])


def _combine_batches(batches: Sequence[Batch]) -> Batch:
    names = batches[0].raw.schema.names
    raw = [_concatenate_arrays([batch.raw.column(name) for batch in batches]) for name in names]
    return Batch(
        pa.RecordBatch.from_arrays(raw, names=names),
        closed=_combine_closed(batches),
        released=_combine_leaves([batch.released for batch in batches]),
        measured=_combine_leaves([batch.measured for batch in batches]),
        ranks=_combine_leaves([batch.ranks for batch in batches]),
    )


def _combine_leaves(parts: Sequence[Mapping[str, pa.Array]]) -> dict[str, pa.Array]:
    return {key: _concatenate_arrays([leaves[key] for leaves in parts]) for key in parts[0]}


def _combine_closed(batches: Sequence[Batch]) -> dict[str, pa.Array]:
    """Combines the masks. A missing field has nothing closed in its batch."""
    keys = {key for batch in batches for key in batch.closed}
    return {key: _concatenate_arrays([_closed_mask(batch, key) for batch in batches]) for key in keys}


def _closed_mask(batch: Batch, key: str) -> pa.Array:
    closed = batch.closed.get(key)
    return pa.repeat(False, len(batch.released[key])) if closed is None else closed


def _concatenate_arrays(arrays: Sequence[pa.Array]) -> pa.Array:
    alike = len({array.type for array in arrays}) == 1 and not any(has_null_entry(array) for array in arrays)
    return pa.concat_arrays(arrays if alike else list(_decode_arrays(arrays)))


def _decode_arrays(arrays: Iterable[pa.Array]) -> Iterable[pa.Array]:
    for array in arrays:
        yield decode_dictionary(array).cast(stored_type(array.type))


@dataclass(frozen=True, slots=True)
class RowView:
    """Rows in groups: the group and the hash of the subject of each row, and the index of its value in a leaf.

    Without `places` there is one row per value.
    """

    groups: Codes
    subjects: HashWords
    places: Codes | None = None

    def values(self, values: pa.Array) -> pa.Array:
        """A leaf's values, one per row."""
        return values if self.places is None else values.take(pa.array(self.places))

    def select(self, rows: npt.NDArray[np.bool_]) -> RowView:
        """Some of the rows, without `places`: the caller has taken the values already."""
        kept = np.flatnonzero(rows)
        return RowView(self.groups.take(kept), self.subjects.take(kept, axis=0))


@dataclass(frozen=True, slots=True)
class BatchViews:
    """The views of one batch.

    rows      each record once in each of its groups
    elements  the elements of the list of the group keys
    outside   the number of records in no group, because their list has no element
    """

    batch: Batch
    subjects: HashWords
    star: Pointer | None
    rows: RowView
    elements: RowView | None
    outside: int

    def view_for(self, star: Pointer | None) -> RowView:
        """The view for fields in this list, or (None) for fields of the record."""
        if star is None:
            return self.rows
        if star == self.star and self.elements is not None:
            return self.elements
        records = element_records(self.batch, star)
        return RowView(self.rows.groups[records], self.subjects[records])


def group_batch(
    definition: AggregateDefinition, groups: GroupDictionary, batch: Batch, subjects: HashWords
) -> BatchViews:
    """The views of a batch. New groups are added to the dictionary."""
    star, records = definition.star, batch.raw.num_rows
    if star is None:
        rows = RowView(_group_codes(definition, groups, batch, np.arange(records)), subjects)
        return BatchViews(batch=batch, subjects=subjects, star=None, rows=rows, elements=None, outside=0)
    of_element = element_records(batch, star)
    kept = np.flatnonzero(_open_elements(definition, batch, len(of_element)))
    owners = of_element[kept]
    codes = _group_codes(definition, groups, batch, owners, kept)
    record, group = unpack_codes(np.unique(pack_codes(owners, codes)))
    rows = RowView(group, subjects[record], record)
    outside = records - len(np.unique(record))
    return BatchViews(
        batch=batch,
        subjects=subjects,
        star=star,
        rows=rows,
        elements=RowView(codes, subjects[owners], kept),
        outside=outside,
    )


def element_records(batch: Batch, star: Pointer) -> Codes:
    """The record of each element of a list."""
    return np.asarray(row_indices(leaf(batch.raw, star), batch.raw.num_rows), np.int64)


def _group_codes(
    definition: AggregateDefinition, book: GroupDictionary, batch: Batch, records: Codes, elements: Codes | None = None
) -> Codes:
    columns = []
    for position, key in enumerate(definition.keys.values()):
        codes = book.encode_key(position, batch.released[key.key])
        columns.append(codes[records if key.star is None or elements is None else elements])
    return book.encode(columns, len(records))


def _open_elements(definition: AggregateDefinition, batch: Batch, elements: int) -> npt.NDArray[np.bool_]:
    """Elements with at least one key that the gate has not closed. The others are removed from the records too."""
    left = np.zeros(elements, np.bool_)
    for key in definition.keys.values():
        closed = batch.closed.get(key.key)
        if key.star is not None:
            left |= True if closed is None else ~closed.to_numpy(zero_copy_only=False)
    return left


def select_records(batch: Batch, mask: npt.NDArray[np.bool_]) -> Batch:
    """Some of the records of a batch, by a mask over them."""

    def rows(leaves: Mapping[str, pa.Array]) -> dict[str, pa.Array]:
        return {
            key: values.filter(pa.array(_selected_elements(batch.raw, key, mask))) for key, values in leaves.items()
        }

    return Batch(
        batch.raw.filter(pa.array(mask)),
        closed=rows(batch.closed),
        cases=rows(batch.cases),
        released=rows(batch.released),
        measured=rows(batch.measured),
        ranks=rows(batch.ranks),
    )


def _selected_elements(raw: pa.RecordBatch, key: str, mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """The mask over the values of a field: each value has the mask of its record."""
    pointer = Pointer.parse(key)
    return mask[row_indices(leaf(raw, pointer), raw.num_rows)] if pointer.stars else mask
