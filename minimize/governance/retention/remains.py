"""The stage of a rewrite that leaves of each batch what may stand, and counts what went."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from minimize.governance.retention.clock import Bools
from minimize.governance.retention.look import Verdict
from minimize.nested import assemble, leaf, rows_of
from minimize.pointer import Pointer
from minimize.stage import Batch, Counts, FieldCounts
from minimize.stages.raw import without


class Judging(Protocol):
    """Says of each batch of a file what must go; knows where the file's fields stand."""

    @property
    def pointers(self) -> Mapping[str, Pointer]:
        """Where the fields of the file stand, by key."""
        ...

    def __call__(self, batch: pa.RecordBatch) -> Verdict:
        """The verdict on one batch."""
        ...


@dataclass(frozen=True, slots=True)
class Remains:
    """Takes a batch of a file's columns; gives it without what its orders take away.

    Counts whole records by reason and, per field, values that stood in records that stay: those that went as `gated`, those
    that came into another form as `changed`.
    """

    orders: Judging

    def __call__(self, batch: Batch) -> Batch:
        """The batch that may stand."""
        verdict = self.orders(batch.raw)
        stays = verdict.stays(batch.raw.num_rows)
        counts = counted(batch.raw, verdict, stays, self.orders.pointers)
        left = _Left(batch.raw, verdict, stays, self.orders.pointers)
        return Batch(raw=left.raw, released=dict(left.columns()), counts=batch.counts + counts)


def counted(raw: pa.RecordBatch, verdict: Verdict, stays: Bools, pointers: Mapping[str, Pointer]) -> Counts:
    """What a verdict takes away of a batch: records by reason, and values by field."""
    gated = {reason: int(mask.sum()) for reason, mask in verdict.gone.items() if mask.any()}
    there = {key: place for key, place in pointers.items() if place.top in raw.schema.names}
    left = int(stays.sum())
    fields = {key: _field(raw, verdict, stays, left, key, place) for key, place in there.items()}
    return Counts(gated=gated, fields=fields)


def _field(raw: pa.RecordBatch, verdict: Verdict, stays: Bools, left: int, key: str, place: Pointer) -> FieldCounts:
    found = leaf(raw, place)
    if key not in verdict.closed and key not in verdict.instead:
        if left == raw.num_rows:
            return FieldCounts(len(found.values) - found.values.null_count)
        if not found.parents and not found.values.null_count:
            return FieldCounts(left)
    standing = found.values.is_valid().to_numpy(zero_copy_only=False)
    if left < raw.num_rows:
        standing = standing & stays[rows_of(found, raw.num_rows)]
    closed = verdict.closed.get(key, np.zeros(len(standing), np.bool_))
    changed = 0
    if key in verdict.instead:
        same = pc.equal(_plain(found.values), verdict.instead[key]).fill_null(False).to_numpy(zero_copy_only=False)
        changed = int((standing & ~closed & ~same).sum())
    return FieldCounts(int(standing.sum()), changed, int((standing & closed).sum()))


@dataclass(frozen=True)
class _Left:
    """What is left of a batch; only columns of which something goes are made anew."""

    whole: pa.RecordBatch = field(repr=False)
    verdict: Verdict = field(repr=False)
    stays: Bools = field(repr=False)
    pointers: Mapping[str, Pointer]

    @property
    def raw(self) -> pa.RecordBatch:
        """The records that stay, as they were."""
        return self._kept(self.whole)

    def columns(self) -> Iterator[tuple[str, pa.Array]]:
        """The columns of which something goes, by name."""
        touched = {self.pointers[key].top for key in (*self.verdict.closed, *self.verdict.instead)}
        schema = pa.schema([each for each in self.whole.schema if each.name in touched])
        if not len(schema):
            return
        keys = {key: place for key, place in self.pointers.items() if place.top in touched}
        closed = {
            place: pa.array(self.verdict.closed[key]) for key, place in keys.items() if key in self.verdict.closed
        }
        released = {place: self._values(key, place) for key, place in keys.items()}
        made = assemble(self.whole, released, closed, dict(self._hollow(keys)), schema)
        yield from zip(made.schema.names, self._kept(made).columns, strict=True)

    def _values(self, key: str, place: Pointer) -> pa.Array:
        values = self.verdict.instead.get(key, leaf(self.whole, place).values)
        closed = self.verdict.closed.get(key)
        return values if closed is None else without(values, pa.array(closed))

    def _hollow(self, keys: Mapping[str, Pointer]) -> Iterator[tuple[Pointer, pa.BooleanArray]]:
        """Lists of which every leaf can go: where it does, even an empty one must not show."""
        for star in dict.fromkeys(star for place in keys.values() for star in place.stars):
            below = [self.verdict.hollow.get(key) for key, place in keys.items() if place.within(star)]
            masks = [mask for mask in below if mask is not None]
            if len(masks) == len(below):
                slots = rows_of(leaf(self.whole, Pointer(star.parts[:-1])), self.whole.num_rows)
                yield star, pa.array(np.logical_and.reduce(masks)[slots])

    def _kept(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        return batch if self.stays.all() else batch.filter(pa.array(self.stays))


def _plain(values: pa.Array) -> pa.Array:
    return values.dictionary_decode() if pa.types.is_dictionary(values.type) else values
