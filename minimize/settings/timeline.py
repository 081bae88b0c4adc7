"""Timelines of settings: the changes of several holders are summed up once and looked up for whole columns of a batch.

The values of a setting have a few classes (off, on; or the levels). For every entity (a tenant, or a subject of one) and every
time, a timeline has the classes of the holders' latest rows, as a bit mask.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType
from typing import Final

import numpy as np
import pyarrow as pa

from minimize.arrow.columns import KnownNames, column_microseconds, microsecond_bounds, nameable_mask
from minimize.arrow.dictionaries import Bools, Integers, valid_mask
from minimize.identifiers import NO_FOLDING, CaseFolding, canonical_column


@dataclass(frozen=True, slots=True)
class Changes:
    """The rows of one setting as numbers, of equal length: entity, holder, valid from, recorded at, class."""

    entities: Integers
    holders: Integers
    valid_from: Integers
    recorded_at: Integers
    classes: Integers

    def take(self, places: Integers | Bools) -> Changes:
        """Some of the rows, in this order."""
        return Changes(
            self.entities[places],
            self.holders[places],
            self.valid_from[places],
            self.recorded_at[places],
            self.classes[places],
        )

    def followed(self, setting_class: int, *, after: int, span: int) -> Changes:
        """The effective rows, and a row of class `setting_class` at the end of the span after each row of class `after`.

        No row is added if the next row of the same entity and holder begins within the span (in microseconds).
        """
        kept = _latest_changes(self)
        ends = np.minimum(kept.valid_from, np.iinfo(np.int64).max - span) + span
        replaced = np.zeros(len(ends), np.bool_)
        same = (kept.entities[1:] == kept.entities[:-1]) & (kept.holders[1:] == kept.holders[:-1])
        replaced[:-1] = same & (kept.valid_from[1:] <= ends[:-1])
        places = np.flatnonzero((kept.classes == after) & ~replaced)
        return Changes(
            np.append(kept.entities, kept.entities[places]),
            np.append(kept.holders, kept.holders[places]),
            np.append(kept.valid_from, ends[places]),
            np.append(kept.recorded_at, kept.recorded_at[places]),
            np.append(kept.classes, np.full(len(places), setting_class, np.int64)),
        )


@dataclass(frozen=True, slots=True)
class Timeline:
    """The classes in force per entity from each time on."""

    moments: Integers
    """The distinct times of changes, ascending."""
    slots: Integers
    """Entity and time as one ascending integer."""
    masks: Integers
    """In each mask, bit c is set if a holder's latest row is of class c."""

    @classmethod
    def from_changes(cls, changes: Changes) -> Timeline:
        """The timeline of a setting. Of rows that differ only in their class, the lowest class applies, regardless of their
        order."""
        kept = _latest_changes(changes)
        moments = np.unique(kept.valid_from)
        slots = kept.entities * (len(moments) + 1) + np.searchsorted(moments, kept.valid_from) + 1
        masks = _masks_after_changes(kept, slots)
        order = np.argsort(slots, kind="stable")
        last = _ends_of_groups(slots[order])
        return cls(moments, slots[order][last], masks[last])

    def masks_at(self, entities: Integers, moments: Integers) -> Integers:
        """The mask in force for each entity (-1: none) at each time; 0 without a row.

        Most entities do not change between the first and the last time; they are looked up once.
        """
        if not len(self.slots) or not len(moments):
            return np.zeros(len(entities), np.int64)
        first, last = moments.min(), moments.max()
        everyone = np.arange(entities.max(initial=-1) + 1)
        masks = np.append(self._values_at(everyone, np.full(len(everyone), first)), 0)[entities]
        changing = np.append(self._changing(everyone, first, last), False)
        if not changing.any():
            return masks
        rows = np.flatnonzero(changing[entities])
        masks[rows] = self._values_at(entities[rows], moments[rows])
        return masks

    def period(self, moment: int) -> int:
        """The period between two changes that contains a time."""
        return int(self.moments.searchsorted(moment, side="right"))

    def constant_masks(self, count: int, first: int, last: int) -> Integers | None:
        """The mask of each entity, and of an unknown one, if it is constant from the first time to the last; None if
        any changes."""
        everyone = np.arange(count)
        if not len(self.slots):
            return np.zeros(count + 1, np.int64)
        if self._changing(everyone, first, last).any():
            return None
        return np.append(self._values_at(everyone, np.full(count, first)), 0)

    def _values_at(self, entities: Integers, moments: Integers) -> Integers:
        width = len(self.moments) + 1
        searched = entities * width + np.searchsorted(self.moments, moments, side="right")
        place = np.searchsorted(self.slots, searched, side="right") - 1
        is_entity = (place >= 0) & (self.slots[place] // width == entities)
        return np.where(is_entity, self.masks[place], 0)

    def _changing(self, entities: Integers, first: int, last: int) -> Bools:
        """Which entities have a change after the first time, up to the last."""
        width = len(self.moments) + 1
        slots = [entities * width + np.searchsorted(self.moments, moment, side="right") for moment in (first, last)]
        until_first, until_last = (np.searchsorted(self.slots, each, side="right") for each in slots)
        return np.asarray(until_last > until_first, np.bool_)


def _latest_changes(changes: Changes) -> Changes:
    """The effective row per entity, holder and `valid_from`; in this order."""
    order = np.lexsort((-changes.classes, changes.recorded_at, changes.valid_from, changes.holders, changes.entities))
    rows = changes.take(order)
    return rows.take(_ends_of_groups(rows.entities, rows.holders, rows.valid_from))


def _masks_after_changes(rows: Changes, slots: Integers) -> Integers:
    """The mask after each row, in the order of the slots. A row adds its class and removes the class of the previous one."""
    count = int(rows.classes.max(initial=0)) + 1
    enters = np.zeros((len(rows.classes), count), np.int64)
    enters[np.arange(len(rows.classes)), rows.classes] = 1
    follows = np.zeros(len(rows.classes), np.bool_)
    follows[1:] = (rows.entities[1:] == rows.entities[:-1]) & (rows.holders[1:] == rows.holders[:-1])
    steps = enters.copy()
    steps[1:] -= enters[:-1] * follows[1:, None]
    order = np.argsort(slots, kind="stable")
    totals = np.cumsum(steps[order], axis=0)
    entities = rows.entities[order]
    starts = np.searchsorted(entities, entities)
    before = np.vstack([np.zeros((1, count), np.int64), totals])[starts]
    masks: Integers = ((totals - before) > 0) @ (np.int64(1) << np.arange(count, dtype=np.int64))
    return masks


def _ends_of_groups(*columns: Integers) -> Bools:
    """Where a run of equal rows ends."""
    ends = np.ones(len(columns[0]), np.bool_)
    ends[:-1] = np.logical_or.reduce([column[1:] != column[:-1] for column in columns])
    return ends


@dataclass(frozen=True, slots=True)
class FieldIds:
    """The ids that one field of the records holds."""

    values: pa.Array = field(repr=False)
    rows: Integers | None = field(default=None, repr=False)
    """For each id, the index of its record; None if every record has one id."""


NO_FIELDS: Final[Mapping[str, FieldIds]] = MappingProxyType({})


Bounds = tuple[int, int]


@dataclass(frozen=True, slots=True)
class KnownSubjects:
    """The subjects with rows of their own that one field names."""

    names: KnownNames
    pairs: Integers
    """Tenant and subject, by code, of every pair with rows of its own, ascending."""
    fold: bool = False

    def positions(self, tenants: Integers, ids: pa.Array) -> Integers:
        """For each id, with the code of its tenant, the index of their pair; -1 if the pair has no rows."""
        pairs = pair_codes(tenants, self.names.codes(ids))
        places = np.minimum(np.searchsorted(self.pairs, pairs), len(self.pairs) - 1)
        return np.where(self.pairs[places] == pairs, places, -1)


@dataclass(frozen=True, slots=True)
class KnownEntities:
    """The tenants and subjects that settings name."""

    tenants: KnownNames
    """The names of the tenants."""
    subjects: Mapping[str | None, KnownSubjects]
    """Subjects with rows of their own, by the field that names them; None for the policy's subject."""


@dataclass(frozen=True, slots=True)
class OwnPositions:
    """The ids of a batch that have settings of their own: their records, and the index of the pair of tenant and id."""

    field: str | None
    rows: Integers
    positions: Integers
    is_single: bool
    """Whether no record has two ids."""


@dataclass(frozen=True)
class SettingsQuery:
    """The columns of a batch that decide. Derived values are computed on first use."""

    entities: KnownEntities
    tenants: pa.Array
    subjects: pa.Array | None
    times: pa.Array | None
    folding: CaseFolding = NO_FOLDING
    others: Mapping[str, FieldIds] = field(default_factory=lambda: NO_FIELDS)

    @cached_property
    def _tenants(self) -> pa.Array:
        return canonical_column(self.tenants, fold=self.folding.tenant)

    @cached_property
    def _subjects(self) -> pa.Array | None:
        return None if self.subjects is None else canonical_column(self.subjects, fold=self.folding.subject)

    @cached_property
    def codes(self) -> Integers:
        """For each record the code of its tenant; -1 for a tenant that settings do not name."""
        return self.entities.tenants.codes(self._tenants)

    @cached_property
    def own(self) -> tuple[OwnPositions, ...] | None:
        """The ids with rows of their own, by field; None if settings name no id of these fields."""
        known = self.entities.subjects
        positions = []
        if None in known and self._subjects is not None:
            positions.append(_own_positions(None, known[None].positions(self.codes, self._subjects), None))
        for name, ids in self.others.items():
            if name in known:
                tenants = self.codes if ids.rows is None else self.codes[ids.rows]
                values = canonical_column(ids.values, fold=known[name].fold)
                positions.append(_own_positions(name, known[name].positions(tenants, values), ids.rows))
        return tuple(positions) or None

    @cached_property
    def complete(self) -> Bools | None:
        """Which records have tenant, subject and event time, so that settings can be evaluated; None if all do."""
        masks = [nameable_mask(self._tenants)]
        masks += [] if self._subjects is None else [nameable_mask(self._subjects)]
        masks += [] if self.times is None else [valid_mask(self.times)]
        partial_masks = [mask for mask in masks if mask is not None]
        return np.logical_and.reduce(partial_masks) if partial_masks else None

    @cached_property
    def moments(self) -> Integers | None:
        """The event times in microseconds."""
        return None if self.times is None else column_microseconds(self.times)

    @cached_property
    def bounds(self) -> Bounds | None:
        """The first and the last event time in microseconds; None without event times."""
        return None if self.times is None else microsecond_bounds(self.times)

    def spread(self, truths: Bools) -> pa.BooleanArray:
        """Maps the results per tenant code to records. The last result is for tenants that settings do not name."""
        if pa.types.is_dictionary(self._tenants.type):
            entries = np.append(truths[self.entities.tenants.codes(self._tenants.dictionary)], False)
            if entries[:-1].all() and self.complete is None:
                return pa.repeat(pa.scalar(True), len(self.tenants))
            indices = self._tenants.indices
            filled = indices.fill_null(-1) if indices.null_count else indices
            answer = entries[filled.to_numpy(zero_copy_only=False)]
        else:
            answer = truths[self.codes]
        return pa.array(answer if self.complete is None else answer & self.complete)


def _own_positions(name: str | None, positions: Integers, rows: Integers | None) -> OwnPositions:
    places = np.flatnonzero(positions >= 0)
    return OwnPositions(name, places if rows is None else rows[places], positions[places], rows is None)


def pair_codes(tenants: Integers, subjects: Integers) -> Integers:
    """A tenant and a subject as one integer; -1 if either is unknown."""
    return np.where((tenants >= 0) & (subjects >= 0), (tenants << np.int64(32)) | subjects, -1)
