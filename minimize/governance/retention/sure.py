"""Where a condition surely holds of what stands in a file.

A value that stands was let through: its condition did hold. When one of the facts that it asks for changes, the others are as
they were; under `any` it is not known which of them held, so there only what the file shows counts. When in doubt it does not.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta

import numpy as np
import pyarrow as pa

from minimize.governance.retention.clock import UNKNOWN, Bools, Clock
from minimize.nested import leaf, rows_of, spread
from minimize.pointer import Pointer
from minimize.policy.condition import All, AnyOf, Atom, Condition, Equals, Within, atoms
from minimize.policy.fields import ways_of
from minimize.policy.model import Field, Policy
from minimize.stages.conditions import matches
from minimize.techniques.keep import Keep

Changed = Callable[[Atom], Bools | None]
"""Per record whether a fact holds now, where it changed; None for one that is as it was."""


@dataclass(frozen=True)
class Sure:
    """What one batch of a file shows of conditions at one place (a leaf).

    pointers  the fields of the file, by key
    changed   the facts that changed
    """

    batch: pa.RecordBatch = field(repr=False)
    policy: Policy
    pointers: dict[str, Pointer]
    place: Pointer
    changed: Changed

    def holds(self, condition: Condition, known: bool = True) -> Bools:
        """One truth per value at the place. `known` says that the condition did hold when the value was written."""
        if known and not any(self.changed(atom) is not None for atom in atoms(condition)):
            return self._everywhere(True)
        match condition:
            case All(of):
                return np.asarray(
                    np.logical_and.reduce([self._everywhere(True), *(self.holds(part, known) for part in of)]), np.bool_
                )
            case AnyOf(of):
                alone = known and len(of) == 1
                return np.asarray(
                    np.logical_or.reduce([self._everywhere(False), *(self.holds(part, alone) for part in of)]), np.bool_
                )
            case atom:
                return self._atom(atom)

    def spread(self, rows: Bools) -> Bools:
        """What is true of records, for each value at the place."""
        if not self.place.stars:
            return rows
        spread_: Bools = rows[rows_of(leaf(self.batch, self.place), self.batch.num_rows)]
        return spread_

    def _atom(self, atom: Atom) -> Bools:
        now = self.changed(atom)
        if now is not None:
            return self.spread(now)
        if isinstance(atom, Within):
            return self.spread(self._within(atom))
        pointer = self.pointers.get(atom.field) if isinstance(atom, Equals) else None
        if not isinstance(atom, Equals) or pointer is None or not is_shown(self.policy.fields[atom.field]):
            return self._everywhere(False)
        own = leaf(self.batch, pointer)
        found = matches(own.values, atom.values)
        if self.place.parts:
            found = spread(found, own, leaf(self.batch, self.place))
        elif own.parents:  # a whole record, and a field of its elements
            return self._everywhere(False)
        return np.asarray(found.to_numpy(zero_copy_only=False), np.bool_)

    def _within(self, atom: Within) -> Bools:
        """Per record whether even the oldest time that may be meant is within the age of even the newest other one."""
        keys = (atom.field, atom.of)
        fields = [self.policy.fields[key] for key in keys if key in self.pointers and key in self.policy.fields]
        clocks = [clock for field in fields if (clock := Clock.of_field(field, self.batch.schema)) is not None]
        if len(clocks) < len(keys):
            return np.zeros(self.batch.num_rows, np.bool_)
        oldest, newest = clocks[0].oldest(self.batch), clocks[1].newest(self.batch)
        known = (oldest != UNKNOWN) & (newest != UNKNOWN)
        age = np.where(known, newest, 0) - np.where(known, oldest, 0)
        return np.asarray(known & (age < atom.age // timedelta(microseconds=1)), np.bool_)

    def _everywhere(self, truth: bool) -> Bools:
        length = len(leaf(self.batch, self.place).values) if self.place.parts else self.batch.num_rows
        return np.full(length, truth)


def is_shown(field: Field) -> bool:
    """Whether every value of a field stands in the file as it came in."""
    ways = list(ways_of(field))
    return len(ways) == 1 and not isinstance(ways[0], str) and all(isinstance(step, Keep) for step in ways[0])
