"""What must go of one batch of a file: whole records, values, and values in a coarser form instead."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from minimize.governance.retention.clock import Bools, Clock, Moments, limit
from minimize.governance.retention.events import Event
from minimize.governance.retention.personal import PERSONAL, Reduced, owner_of
from minimize.governance.retention.rules import FieldRule, Rules, features_in
from minimize.governance.retention.sure import Changed, Sure
from minimize.governance.retention.whose import Whose
from minimize.nested import leaf
from minimize.pointer import Pointer
from minimize.policy.condition import Atom, Condition, Equals, Feature
from minimize.policy.model import Policy
from minimize.stages.chain import run_chain
from minimize.techniques import Context

RECORD = Pointer(())


@dataclass(frozen=True, slots=True)
class Verdict:
    """What must go of a batch.

    gone     per reason the records that go, each counted once
    closed   per key of a field the values that go, in records that stay or not
    instead  per key the values in the form that they must have
    hollow   per key whose values can all go the records in which they do
    """

    gone: Mapping[str, Bools] = field(default_factory=dict, repr=False)
    closed: Mapping[str, Bools] = field(default_factory=dict, repr=False)
    instead: Mapping[str, pa.Array] = field(default_factory=dict, repr=False)
    hollow: Mapping[str, Bools] = field(default_factory=dict, repr=False)

    def stays(self, rows: int) -> Bools:
        """The records that stay."""
        return np.asarray(~np.logical_or.reduce([np.zeros(rows, np.bool_), *self.gone.values()]), np.bool_)


@dataclass(frozen=True, slots=True)
class Orders:
    """Everything that counts for one file.

    policy   the one that it was written under
    clock    how it tells event times; without one `born` stands for all of them (microseconds; None: nothing is known)
    erased   whose records go, and `others` by other fields than the subject
    handed   whose device became personal, and `reduced` what that does to fields
    owner    the field that says who owns a device, where the file shows it
    """

    policy: Policy
    rules: Rules
    at: datetime
    clock: Clock | None = None
    born: int | None = None
    erased: Whose = field(default_factory=Whose)
    handed: Whose = field(default_factory=Whose)
    reduced: Mapping[str, Reduced] = field(default_factory=dict)
    owner: str | None = None
    others: tuple[Whose, ...] = ()

    @property
    def going(self) -> tuple[Whose, ...]:
        """Whose records go, by whatever field they are named."""
        return (self.erased, *self.others)

    @property
    def everybody(self) -> tuple[Whose, ...]:
        """Everybody whom an event is about."""
        return (*self.going, self.handed)

    @property
    def pointers(self) -> Mapping[str, Pointer]:
        """Where the fields of the file stand, by key."""
        return self.rules.pointers

    @property
    def knows_times(self) -> bool:
        """Whether ages can be told."""
        return self.clock is not None or self.born is not None

    def names(self, event: Event) -> bool:
        """Whether an event is about somebody who may stand in the file."""
        return any(event in whose.named for whose in self.everybody)

    def __call__(self, batch: pa.RecordBatch) -> Verdict:
        """The verdict on one batch."""
        return _Look(self, batch, self._oldest(batch)).verdict()

    def _oldest(self, batch: pa.RecordBatch) -> Moments:
        if self.clock is not None:
            return self.clock.oldest(batch)
        return np.full(batch.num_rows, np.iinfo(np.int64).min if self.born is None else self.born)


@dataclass(frozen=True)
class _Look:
    """One batch under its orders; `oldest` is per record the oldest instant that its event may have happened at."""

    orders: Orders
    batch: pa.RecordBatch = field(repr=False)
    oldest: Moments = field(repr=False)

    def verdict(self) -> Verdict:
        """What must go."""
        gone = self._gone()
        handed = self._handed()
        closed: dict[str, Bools] = {}
        hollow: dict[str, Bools] = {}
        for key, mask, rows in (*self._outlived(), *self._asked_again(handed)):
            closed[key] = closed.get(key, False) | mask
            hollow[key] = hollow.get(key, False) | rows
        return Verdict(gone, closed, dict(self._instead(handed)), hollow)

    def _gone(self) -> dict[str, Bools]:
        past = self._past_records()
        erased = np.logical_or.reduce([each.concerns(self.batch, self.oldest) for each in self.orders.going])
        return {"retention": past, "erased": erased & ~past}

    def _past_records(self) -> Bools:
        rules = self.orders.rules
        past = self._older(limit(self.orders.at, rules.age)) if rules.age is not None else self._nowhere()
        for condition in rules.records:
            outlived = self._outlived_by(condition)
            if outlived.any():
                past = past | (outlived & ~self._sure(RECORD, self._features).holds(condition))
        return past

    def _outlived(self) -> Iterator[tuple[str, Bools, Bools]]:
        """Per field the values that go because a feature is not kept that long."""
        for rule in self.orders.rules.fields:
            rows = np.logical_or.reduce([self._outlived_by(each) for each in rule.conditions])
            if rows.any():
                yield rule.key, self._going(rule, rows), rows

    def _going(self, rule: FieldRule, rows: Bools) -> Bools:
        sure = self._sure(rule.pointer, self._features)
        going = [sure.spread(self._outlived_by(each)) & ~sure.holds(each) for each in rule.conditions]
        return np.asarray(np.logical_or.reduce(going), np.bool_)

    def _features(self, atom: Atom) -> Bools | None:
        if isinstance(atom, Feature) and atom.name in self.orders.rules.features:
            return ~self._past(atom.name)
        return None

    def _outlived_by(self, condition: Condition) -> Bools:
        names = [name for name in features_in(condition) if name in self.orders.rules.features]
        return np.asarray(np.logical_or.reduce([self._nowhere(), *map(self._past, names)]), np.bool_)

    def _past(self, feature: str) -> Bools:
        return self._older(limit(self.orders.at, self.orders.rules.features[feature]))

    def _older(self, than: int) -> Bools:
        return np.asarray(self.oldest <= than, np.bool_) if self.orders.knows_times else self._nowhere()

    def _handed(self) -> Bools:
        """The records of devices that became personal since, and do not say so."""
        rows = self.orders.handed.concerns(self.batch, self.oldest)
        owner = self._owner()
        if owner is None:
            return rows
        return np.asarray(rows & ~pc.equal(owner, PERSONAL).fill_null(False).to_numpy(zero_copy_only=False), np.bool_)

    def _asked_again(self, handed: Bools) -> Iterator[tuple[str, Bools, Bools]]:
        for key, each in self.orders.reduced.items() if handed.any() else ():
            sure = self._sure(self.orders.rules.pointers[key], self._personal)
            holding = [sure.holds(gate) for gate in each.gates]
            if each.into is None or (not each.again and self._owner() is None):
                yield key, sure.spread(handed), handed
            elif holding:
                yield key, sure.spread(handed) & ~np.logical_and.reduce(holding), handed

    def _personal(self, atom: Atom) -> Bools | None:
        if isinstance(atom, Equals) and atom.field == owner_of(self.orders.policy):
            return np.full(self.batch.num_rows, PERSONAL in atom.values)
        return None

    def _instead(self, handed: Bools) -> Iterator[tuple[str, pa.Array]]:
        if not handed.any():
            return
        for key, each in self.orders.reduced.items():
            if each.into:
                yield key, self._reduced(key, each, handed)
        owner = self._owner()
        if self.orders.owner is not None and owner is not None:
            yield self.orders.owner, pc.if_else(pa.array(handed), pa.scalar(PERSONAL, owner.type), owner)

    def _reduced(self, key: str, each: Reduced, handed: Bools) -> pa.Array:
        pointer = self.orders.rules.pointers[key]
        values = _plain(leaf(self.batch, pointer).values)
        mask = pa.array(self._sure(pointer, self._personal).spread(handed))
        made = _plain(run_chain(each.into or (), values, Context(key, self.orders.at)).values)
        return pc.if_else(mask, made.cast(values.type), values)

    def _owner(self) -> pa.Array | None:
        if self.orders.owner is None:
            return None
        return _plain(leaf(self.batch, self.orders.rules.pointers[self.orders.owner]).values)

    def _sure(self, place: Pointer, changed: Changed) -> Sure:
        return Sure(self.batch, self.orders.policy, dict(self.orders.rules.pointers), place, changed)

    def _nowhere(self) -> Bools:
        return np.zeros(self.batch.num_rows, np.bool_)


def _plain(values: pa.Array) -> pa.Array:
    return values.dictionary_decode() if pa.types.is_dictionary(values.type) else values
