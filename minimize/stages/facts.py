"""What is known of one batch before anything is released: leaves, settings, ages and gates, each worked out once."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import reduce
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from minimize.canonical import Folding
from minimize.consent.periods import ConsentPeriods
from minimize.nested import Leaf, leaf, rows_of
from minimize.pointer import Pointer
from minimize.policy.condition import All, Condition, Feature, Level
from minimize.policy.model import Field, Policy
from minimize.settings.base import Settings
from minimize.settings.erased import Erased
from minimize.stages.conditions import Mode, everywhere, truth
from minimize.stages.places import RECORD
from minimize.techniques.distinct import decoded

T = TypeVar("T")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
PER_SECOND = {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}


@dataclass(frozen=True, slots=True)
class BatchFacts:
    """The facts of one batch, as `conditions.Facts` asks for them.

    settings  None where nobody said anything: features are off, the level is the first one
    at        the run's time, aware UTC
    """

    raw: pa.RecordBatch
    policy: Policy
    settings: Settings | None
    at: datetime
    known: dict[Hashable, Any] = field(default_factory=dict)

    def leaf(self, place: Pointer) -> Leaf:
        """The raw values at a place; for `RECORD` one (null) value per record."""
        if place == RECORD:
            return Leaf(pa.nulls(self.raw.num_rows))
        return self._once(("leaf", place), lambda: leaf(self.raw, place))

    def setting(self, atom: Feature | Level) -> pa.BooleanArray:
        """Per record: whether the level is set, or the feature is on and its retention has not passed."""
        return self._once(atom, lambda: self._level(atom.name) if isinstance(atom, Level) else self._feature(atom.name))

    def opens(self, key: str, place: Pointer, mode: Mode) -> pa.BooleanArray:
        """Whether a field's gate is open, and the gates of all that it is made from."""
        return self._once(("opens", key, place, mode), lambda: self._opens(self.policy.fields[key], place, mode))

    def past(self, retention: timedelta | None) -> pa.BooleanArray:
        """Per record: whether it is as old as this, or has no event time to say so; never where there is no retention."""
        if retention is None:
            return everywhere(False, self, RECORD)
        times = self.times()
        if times is None:
            return everywhere(True, self, RECORD)
        return pc.less_equal(times.view(pa.int64()), self._limit(retention, times.type)).fill_null(True)

    def gone(self, erased: Erased, source: str | None = None) -> pa.BooleanArray | None:
        """Per record: whether its tenant or its subject was erased after it happened; None where nobody was.

        Takes the name of the file that the records were read from: those of a file that was read before count as that old.
        """
        tenants, latest = self._tenants(), erased.files.get(source or "")
        if tenants is None:
            return None
        times = self.times()
        times = times if times is None or latest is None else _at_most(times, latest)
        found = [erased.gone(tenants, self._subjects(), times, self.policy.folding)]
        found += [self._gone_by(name, each, tenants, times) for name, each in erased.others.items()]
        masks = [each for each in found if each is not None]
        return reduce(pc.or_, masks) if masks else None

    def agreed(self, consents: ConsentPeriods | None) -> pa.BooleanArray:
        """Per record: whether its tenant's consent held when it happened, and holds at the run's time; never without consents."""
        tenants = self._tenants()
        if consents is None or tenants is None:
            return everywhere(False, self, RECORD)
        return consents.agreed(tenants, self.times())

    def _gone_by(
        self, name: str, erased: Erased, tenants: pa.Array, times: pa.TimestampArray | None
    ) -> pa.BooleanArray | None:
        """The same of those who are named by another field: one that stands anywhere in a record is enough."""
        declared = self.policy.fields.get(name)
        if declared is None or declared.from_ or declared.pointer.top not in self.raw.schema.names:
            return None
        found = self.leaf(declared.pointer)
        rows = rows_of(found, self.raw.num_rows)
        folding = Folding(self.policy.folding.tenant, self.policy.folds(name))
        times = None if times is None else times.take(pa.array(rows))
        gone = erased.gone(tenants.take(pa.array(rows)), found.values, times, folding)
        if gone is None:
            return None
        mask = np.zeros(self.raw.num_rows, np.bool_)
        mask[rows[gone.to_numpy(zero_copy_only=False)]] = True
        return pa.array(mask)

    def any_past(self, retention: timedelta | None) -> bool:
        """Whether that is so for any record: by the earliest event time."""
        times = None if retention is None else self.times()
        if retention is None or times is None or times.null_count:
            return retention is not None and self.raw.num_rows > 0
        first = self._once("first", lambda: _first(times))
        return first is not None and first <= self._limit(retention, times.type)

    def _limit(self, retention: timedelta, type_: pa.DataType) -> int:
        """The last event time, in the unit of the type, that is as old as this."""
        return ((self.at - retention - EPOCH) // timedelta(microseconds=1)) * PER_SECOND[type_.unit] // 1_000_000

    def closed(self, key: str, place: Pointer, gate: All | None) -> pa.BooleanArray | None:
        """Where a field's gate is closed; None for nowhere. Fields whose whole gate is the same settings share the answer."""
        if gate is None:
            return _closing(self.opens(key, place, "is"))
        if place.stars or not gate.of:
            return self._once(("closed", gate, place), lambda: _closing(truth(gate, self, place, "is")))
        return self._once(("closed", gate), lambda: _closing(reduce(pc.and_, map(self.setting, _settings(gate)))))

    def times(self) -> pa.TimestampArray | None:
        """The event times; None where the policy has none."""
        if self.policy.time is None:
            return None
        values = self._once("times", lambda: decoded(self.leaf(Pointer.parse(str(self.policy.time))).values))
        return values.cast(pa.timestamp("ms", "UTC")) if pa.types.is_date(values.type) else values

    def kept(self, keep: pa.BooleanArray) -> BatchFacts:
        """The facts of the records that are kept; what was asked of the settings need not be asked again."""
        known: dict[Hashable, Any] = {
            key: value.filter(keep) for key, value in self.known.items() if isinstance(key, Feature | Level)
        }
        return BatchFacts(self.raw.filter(keep), self.policy, self.settings, self.at, known)

    def _once(self, key: Hashable, work: Callable[[], T]) -> T:
        if key not in self.known:
            self.known[key] = work()
        found: T = self.known[key]
        return found

    def _opens(self, field: Field, place: Pointer, mode: Mode) -> pa.BooleanArray:
        found = truth(gate_of(field), self, place, mode)
        for key in field.from_:
            found = pc.and_(found, self.opens(key, place, mode))
        return found

    def _feature(self, name: str) -> pa.BooleanArray:
        switch, tenants = self.policy.switch(name), self._tenants()
        if self.settings is None or tenants is None or switch is None:
            return everywhere(False, self, RECORD)
        on = self.settings.feature_on(switch, tenants, self._subjects(), self.times())
        retention = self.policy.features[name].retention
        return on if retention is None else pc.and_not(on, self.past(retention))

    def _level(self, name: str) -> pa.BooleanArray:
        levels, tenants = self.policy.levels, self._tenants()
        if name not in levels or name == levels[0] or self.settings is None or tenants is None:
            return everywhere(name in levels[:1], self, RECORD)
        return self.settings.level_at_least(name, levels, tenants, self._subjects(), self.times())

    def _tenants(self) -> pa.Array | None:
        return None if self.policy.tenant is None else self.leaf(Pointer.parse(self.policy.tenant)).values

    def _subjects(self) -> pa.Array | None:
        return None if self.policy.subject is None else self.leaf(Pointer.parse(self.policy.subject)).values


def _settings(gate: All) -> list[Feature | Level]:
    return [atom for atom in gate.of if isinstance(atom, Feature | Level)]


def _closing(opens: pa.BooleanArray) -> pa.BooleanArray | None:
    return None if opens.true_count == len(opens) else pc.invert(opens)


def _at_most(times: pa.TimestampArray, latest: int) -> pa.TimestampArray:
    """The times, none later than this, in microseconds since 1970."""
    limit = latest * PER_SECOND[times.type.unit] // 1_000_000
    return pc.min_element_wise(times.view(pa.int64()), limit, skip_nulls=False).view(times.type)


def _first(times: pa.TimestampArray) -> int | None:
    """The earliest time, in its own unit, of times without nulls; None where there are none."""
    return int(times.view(pa.int64()).to_numpy().min()) if len(times) else None


def gate_of(field: Field) -> All:
    """Everything that a field's own gate wants."""
    wanted: list[Condition] = []
    if field.feature is not None:
        wanted.append(Feature(field.feature))
    if field.level is not None:
        wanted.append(Level(field.level))
    if field.collect_if is not None:
        wanted.append(field.collect_if)
    return All(tuple(wanted))
