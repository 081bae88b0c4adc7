"""Verdict of a rewrite on one batch: the rows and values to remove or replace, their counts, and the stage that applies it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from minimize.arrow.dictionaries import Bools, decode_dictionary
from minimize.arrow.nested import assemble, leaf, row_indices
from minimize.arrow.pointers import Pointer
from minimize.records import Batch, BatchCounts, FieldCounts
from minimize.stages.raw_values import mask_values


@dataclass(frozen=True, slots=True)
class BatchVerdict:
    """Rows and values of one batch that a rewrite removes or replaces."""

    removed_records: Mapping[str, Bools] = field(default_factory=dict, repr=False)
    """Per reason, the records to remove, each counted once."""
    removed_values: Mapping[str, Bools] = field(default_factory=dict, repr=False)
    """Per field key, the values to remove, in remaining and removed records."""
    replacements: Mapping[str, pa.Array] = field(default_factory=dict, repr=False)
    """Per field key, the values in the required form."""
    emptied_records: Mapping[str, Bools] = field(default_factory=dict, repr=False)
    """Per field key of which every value can be removed, the records in which that happens."""

    def remaining_rows(self, rows: int) -> Bools:
        """The remaining records."""
        return np.asarray(~np.logical_or.reduce([np.zeros(rows, np.bool_), *self.removed_records.values()]), np.bool_)


class BatchJudge(Protocol):
    """Decides on each batch of a file. Also has the pointers of the file's fields."""

    @property
    def pointers(self) -> Mapping[str, Pointer]:
        """The pointers of the file's fields, by key."""
        ...

    def __call__(self, batch: pa.RecordBatch) -> BatchVerdict:
        """The verdict on one batch."""
        ...


@dataclass(frozen=True, slots=True)
class SuccessiveJudges:
    """The verdict of one judge, then that of a second one on the remaining records and values."""

    first: BatchJudge
    second: BatchJudge

    @property
    def pointers(self) -> Mapping[str, Pointer]:
        """The pointers of the file's fields, by key."""
        return self.first.pointers

    def __call__(self, batch: pa.RecordBatch) -> BatchVerdict:
        """Both verdicts. A record that both remove is counted by the first one."""
        first, second = self.first(batch), self.second(batch)
        stays = first.remaining_rows(batch.num_rows)
        removed = dict(first.removed_records)
        for reason, rows in second.removed_records.items():
            removed[reason] = removed.get(reason, False) | (rows & stays)
        return BatchVerdict(
            removed,
            _either(first.removed_values, second.removed_values),
            {**second.replacements, **first.replacements},
            _either(first.emptied_records, second.emptied_records),
        )


def _either(first: Mapping[str, Bools], second: Mapping[str, Bools]) -> dict[str, Bools]:
    both = {key: np.asarray(first[key] | second[key], np.bool_) for key in first.keys() & second.keys()}
    return {**first, **second, **both}


@dataclass(frozen=True, slots=True)
class ApplyVerdict:
    """Applies verdicts: takes a batch of a file's columns and returns it without the removed rows and values.

    Counts whole records by reason. Per field, counts values of remaining records: removed ones as `gated`, replaced ones
    as `changed`.
    """

    judge: BatchJudge

    def __call__(self, batch: Batch) -> Batch:
        """The remaining batch."""
        verdict = self.judge(batch.raw)
        stays = verdict.remaining_rows(batch.raw.num_rows)
        counts = verdict_counts(batch.raw, verdict, stays, self.judge.pointers)
        remaining = _RemainingBatch(batch.raw, verdict, stays, self.judge.pointers)
        return Batch(raw=remaining.raw, released=dict(remaining.columns()), counts=batch.counts + counts)


def verdict_counts(
    raw: pa.RecordBatch, verdict: BatchVerdict, stays: Bools, pointers: Mapping[str, Pointer]
) -> BatchCounts:
    """The counts of what a verdict removes from a batch: records by reason, and values by field."""
    gated = {reason: int(mask.sum()) for reason, mask in verdict.removed_records.items() if mask.any()}
    present = {key: place for key, place in pointers.items() if place.top in raw.schema.names}
    remaining_count = int(stays.sum())
    fields = {key: _field_counts(raw, verdict, stays, remaining_count, key, place) for key, place in present.items()}
    return BatchCounts(gated=gated, fields=fields)


def _field_counts(
    raw: pa.RecordBatch, verdict: BatchVerdict, stays: Bools, remaining_count: int, key: str, place: Pointer
) -> FieldCounts:
    field_leaf = leaf(raw, place)
    if key not in verdict.removed_values and key not in verdict.replacements:
        if remaining_count == raw.num_rows:
            return FieldCounts(len(field_leaf.values) - field_leaf.values.null_count)
        if not field_leaf.parents and not field_leaf.values.null_count:
            return FieldCounts(remaining_count)
    present = field_leaf.values.is_valid().to_numpy(zero_copy_only=False)
    if remaining_count < raw.num_rows:
        present = present & stays[row_indices(field_leaf, raw.num_rows)]
    closed = verdict.removed_values.get(key, np.zeros(len(present), np.bool_))
    changed = 0
    if key in verdict.replacements:
        same = (
            pc.equal(decode_dictionary(field_leaf.values), verdict.replacements[key])
            .fill_null(False)
            .to_numpy(zero_copy_only=False)
        )
        changed = int((present & ~closed & ~same).sum())
    return FieldCounts(int(present.sum()), changed, int((present & closed).sum()))


@dataclass(frozen=True)
class _RemainingBatch:
    """The rest of a batch. Only columns with removed or replaced values are rebuilt."""

    whole: pa.RecordBatch = field(repr=False)
    verdict: BatchVerdict = field(repr=False)
    stays: Bools = field(repr=False)
    pointers: Mapping[str, Pointer]

    @property
    def raw(self) -> pa.RecordBatch:
        """The remaining records, with unchanged values."""
        return self._filter_batch(self.whole)

    def columns(self) -> Iterator[tuple[str, pa.Array]]:
        """The columns with removed or replaced values, by name."""
        touched = {self.pointers[key].top for key in (*self.verdict.removed_values, *self.verdict.replacements)}
        schema = pa.schema([each for each in self.whole.schema if each.name in touched])
        if not len(schema):
            return
        keys = {key: place for key, place in self.pointers.items() if place.top in touched}
        closed = {
            place: pa.array(self.verdict.removed_values[key])
            for key, place in keys.items()
            if key in self.verdict.removed_values
        }
        released = {place: self._values(key, place) for key, place in keys.items()}
        batch = assemble(self.whole, released, closed, dict(self._emptied_lists(keys)), schema)
        yield from zip(batch.schema.names, self._filter_batch(batch).columns, strict=True)

    def _values(self, key: str, place: Pointer) -> pa.Array:
        values = self.verdict.replacements.get(key, leaf(self.whole, place).values)
        closed = self.verdict.removed_values.get(key)
        return values if closed is None else mask_values(values, pa.array(closed))

    def _emptied_lists(self, keys: Mapping[str, Pointer]) -> Iterator[tuple[Pointer, pa.BooleanArray]]:
        """The lists of which every leaf can be removed. If all are removed, even an empty list must not remain visible."""
        for star in dict.fromkeys(star for place in keys.values() for star in place.stars):
            below = [self.verdict.emptied_records.get(key) for key, place in keys.items() if place.within(star)]
            masks = [mask for mask in below if mask is not None]
            if len(masks) == len(below):
                slots = row_indices(leaf(self.whole, Pointer(star.parts[:-1])), self.whole.num_rows)
                yield star, pa.array(np.logical_and.reduce(masks)[slots])

    def _filter_batch(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        return batch if self.stays.all() else batch.filter(pa.array(self.stays))
