"""Conditions over columns: whether one holds, could hold or must hold; and the facts of a batch that decide it."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from functools import reduce
from typing import Any, Literal, Protocol, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from minimize.arrow.dictionaries import decode_dictionary, value_type
from minimize.arrow.nested import Leaf, leaf, repeat_for_leaf, row_indices
from minimize.arrow.pointers import Pointer
from minimize.consent.evaluation import ConsentPeriods
from minimize.identifiers import CaseFolding
from minimize.policy.condition import (
    AllOf,
    AnyOf,
    Condition,
    ConditionValue,
    FeatureOn,
    FieldEquals,
    LevelAtLeast,
    TimeWithin,
)
from minimize.policy.model import Field, Policy
from minimize.settings.columns import column_microseconds
from minimize.settings.erasures import Erasures
from minimize.settings.evaluation import Settings
from minimize.stages.raw_values import RECORD_PLACE
from minimize.techniques import type_family
from minimize.times import epoch_microseconds

TruthMode = Literal["is", "could", "must"]


class ConditionFacts(Protocol):
    """The data of one batch that conditions read."""

    def leaf(self, place: Pointer) -> Leaf:
        """The raw values at a place; the place of the record itself has one value per record."""
        ...

    def setting(self, atom: FeatureOn | LevelAtLeast) -> pa.BooleanArray:
        """Per record: whether the feature or level is set, without nulls."""
        ...

    def opens(self, key: str, place: Pointer, mode: TruthMode) -> pa.BooleanArray:
        """Whether the gate of a field is open at a place."""
        ...


def holds(condition: Condition, facts: ConditionFacts, place: Pointer) -> pa.BooleanArray:
    """Whether the condition holds: one truth value per value at the place, without nulls. Null never matches."""
    return evaluate(condition, facts, place, "is")


def could_hold(condition: Condition, facts: ConditionFacts, place: Pointer) -> pa.BooleanArray:
    """Per list at the place: whether the condition could hold for some element, independent of the actual elements."""
    return evaluate(condition, facts, place, "could")


def must_hold(condition: Condition, facts: ConditionFacts, place: Pointer) -> pa.BooleanArray:
    """Per list at the place: whether the condition holds for every possible element."""
    return evaluate(condition, facts, place, "must")


def evaluate(condition: Condition, facts: ConditionFacts, place: Pointer, mode: TruthMode) -> pa.BooleanArray:
    """The condition in one of the three modes."""
    match condition:
        case AllOf(of):
            return _combine_truths(pc.and_, True, (evaluate(part, facts, place, mode) for part in of), facts, place)
        case AnyOf(of):
            return _combine_truths(pc.or_, False, (evaluate(part, facts, place, mode) for part in of), facts, place)
        case FieldEquals(key, values):
            return _evaluate_equals(key, values, facts, place, mode)
        case TimeWithin():
            return _evaluate_within(condition, facts, place, mode)
        case _:
            return repeat_for_leaf(facts.setting(condition), Leaf(pa.nulls(0)), facts.leaf(place))


def constant_truth(value: bool, facts: ConditionFacts, place: Pointer) -> pa.BooleanArray:
    """The same truth for each value at a place."""
    return pa.repeat(pa.scalar(value), len(facts.leaf(place).values))


def _combine_truths(
    join: Callable[[pa.Array, pa.Array], pa.BooleanArray],
    empty: bool,
    parts: Iterable[pa.BooleanArray],
    facts: ConditionFacts,
    place: Pointer,
) -> pa.BooleanArray:
    found: pa.BooleanArray | None = None
    for part in parts:
        found = part if found is None else join(found, part)
    return constant_truth(empty, facts, place) if found is None else found


def _evaluate_equals(
    key: str, values: tuple[ConditionValue, ...], facts: ConditionFacts, place: Pointer, mode: TruthMode
) -> pa.BooleanArray:
    pointer = Pointer.parse(key)
    unseen = len(pointer.stars) > len(place.stars)
    opens = facts.opens(key, place, mode)
    if unseen:
        return opens if mode == "could" else constant_truth(False, facts, place)
    own = facts.leaf(pointer)
    return pc.and_(repeat_for_leaf(match_values(own.values, values), own, facts.leaf(place)), opens)


def _evaluate_within(condition: TimeWithin, facts: ConditionFacts, place: Pointer, mode: TruthMode) -> pa.BooleanArray:
    """Whether a time is less than the given duration before another. Both are compared to the microsecond."""
    keys = (condition.field, condition.reference)
    pointers = [Pointer.parse(key) for key in keys]
    opens = pc.and_(*(facts.opens(key, place, mode) for key in keys))
    if any(len(pointer.stars) > len(place.stars) for pointer in pointers):
        return opens if mode == "could" else constant_truth(False, facts, place)
    below = facts.leaf(place)
    field, of = (repeat_for_leaf(decode_dictionary(own.values), own, below) for own in map(facts.leaf, pointers))
    return pc.and_(is_younger(field, of, condition.age), opens)


def is_younger(times: pa.Array, others: pa.Array, age: timedelta) -> pa.BooleanArray:
    """Whether a time is less than `age` before the other one; false for nulls and for values that are not times.

    >>> day = pa.array([datetime(2026, 11, 24), datetime(2026, 11, 25), None])
    >>> is_younger(day, pa.array([datetime(2026, 11, 26)] * 3), timedelta(days=2)).to_pylist()
    [False, True, False]
    """
    if not all(type_family(value_type(each.type)) in ("timestamp", "date") for each in (times, others)):
        return pa.repeat(pa.scalar(False), len(times))
    last, first = column_microseconds(others), column_microseconds(times)
    since = (last - first).view(np.uint64)  # two times may differ by more than a signed integer can represent
    found = (first > last) | (since < np.uint64(age // timedelta(microseconds=1)))
    return pc.and_(pa.array(found), pc.and_(times.is_valid(), others.is_valid()))


def match_values(array: pa.Array, values: Iterable[ConditionValue]) -> pa.BooleanArray:
    """Whether the array has one of these values, compared by the array's type; false for nulls.

    >>> match_values(pa.array([1, 2, None]), (2.0, "1")).to_pylist()
    [False, True, False]
    """
    if pa.types.is_dictionary(array.type):
        return match_values(array.dictionary, values).take(array.indices).fill_null(False)
    if pa.types.is_string_view(array.type):
        array = array.cast(pa.string())
    wanted = [found for value in values if (found := _typed_value(value, array.type)) is not None]
    if not wanted:
        return pa.repeat(pa.scalar(False), len(array))
    return pc.is_in(array, value_set=pa.concat_arrays(wanted), skip_nulls=True)


def _typed_value(value: ConditionValue, type_: pa.DataType) -> pa.Array | None:
    """A policy's value as an array of one value of this type; None if no value of the type equals it."""
    try:
        native = _native_value(value, type_)
        return None if native is None else pa.array([native], _parse_type(type_)).cast(type_)
    except (ValueError, OverflowError, TypeError, InvalidOperation, pa.ArrowException):
        return None


def _native_value(value: ConditionValue, type_: pa.DataType) -> object:
    match type_family(value_type(type_)):
        case "boolean":
            return value if isinstance(value, bool) else None
        case "string":
            return value if isinstance(value, str) else None
        case "integer":
            return int(value) if _is_number(value) and value == int(value) else None
        case "double":
            return float(value) if _is_number(value) and value == value else None
        case "decimal":
            return Decimal(str(value)) if _is_number(value) else None
        case "timestamp":
            return _parse_instant(value)
        case "date":
            return date.fromisoformat(value) if isinstance(value, str) else None
        case _:
            return None


def _is_number(value: ConditionValue) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _parse_instant(value: ConditionValue) -> datetime | None:
    """An ISO 8601 time; without an offset it is UTC."""
    if not isinstance(value, str):
        return None
    read = datetime.fromisoformat(value)
    return read.replace(tzinfo=UTC) if read.tzinfo is None else read.astimezone(UTC)


def _parse_type(type_: pa.DataType) -> pa.DataType:
    return pa.timestamp("us", type_.tz) if pa.types.is_timestamp(type_) else type_


T = TypeVar("T")
UNITS_PER_SECOND = {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}


@dataclass(frozen=True, slots=True)
class BatchFacts:
    """The facts of one batch, as defined by `ConditionFacts`.

    settings  None if there are no settings: features are off, the level is the first one
    at        the run's time, aware UTC
    """

    raw: pa.RecordBatch
    policy: Policy
    settings: Settings | None
    at: datetime
    cache: dict[Hashable, Any] = field(default_factory=dict)

    def leaf(self, place: Pointer) -> Leaf:
        """The raw values at a place; for `RECORD_PLACE`, one (null) value per record."""
        if place == RECORD_PLACE:
            return Leaf(pa.nulls(self.raw.num_rows))
        return self._cached(("leaf", place), lambda: leaf(self.raw, place))

    def setting(self, atom: FeatureOn | LevelAtLeast) -> pa.BooleanArray:
        """Per record: whether the level is set, or the feature is on and within its retention."""
        return self._cached(
            atom, lambda: self._level(atom.name) if isinstance(atom, LevelAtLeast) else self._feature(atom.name)
        )

    def opens(self, key: str, place: Pointer, mode: TruthMode) -> pa.BooleanArray:
        """Whether a field's gate and the gates of all its inputs are open."""
        return self._cached(("opens", key, place, mode), lambda: self._opens(self.policy.fields[key], place, mode))

    def expired(self, retention: timedelta | None) -> pa.BooleanArray:
        """Per record: whether it is at least this old, or has no event time; false for all if there is no retention."""
        if retention is None:
            return constant_truth(False, self, RECORD_PLACE)
        times = self.times()
        if times is None:
            return constant_truth(True, self, RECORD_PLACE)
        return pc.less_equal(times.view(pa.int64()), self._limit(retention, times.type)).fill_null(True)

    def erased_records(self, erased: Erasures, source: str | None = None) -> pa.BooleanArray | None:
        """Per record: whether its tenant or subject was erased after the event; None if no one was erased.

        Takes the name of the source file. The records of a file that was read before the erasure count as older than it.
        """
        tenants, latest = self._tenants(), erased.files.get(source or "")
        if tenants is None:
            return None
        times = self.times()
        times = times if times is None or latest is None else _limit_times(times, latest)
        found = [erased.erased_mask(tenants, self._subjects(), times, self.policy.folding)]
        found += [self._erased_by(name, each, tenants, times) for name, each in erased.others.items()]
        masks = [each for each in found if each is not None]
        return reduce(pc.or_, masks) if masks else None

    def consented_records(self, consents: ConsentPeriods | None) -> pa.BooleanArray:
        """Per record: whether its tenant's consent is valid at the event time and at the run's time; false without consents."""
        tenants = self._tenants()
        if consents is None or tenants is None:
            return constant_truth(False, self, RECORD_PLACE)
        return consents.consent_mask(tenants, self.times())

    def _erased_by(
        self, name: str, erased: Erasures, tenants: pa.Array, times: pa.TimestampArray | None
    ) -> pa.BooleanArray | None:
        """The mask of `erased_records` for subjects in another field. One match anywhere in a record is enough."""
        declared = self.policy.fields.get(name)
        if declared is None or declared.from_ or declared.pointer.top not in self.raw.schema.names:
            return None
        found = self.leaf(declared.pointer)
        rows = row_indices(found, self.raw.num_rows)
        folding = CaseFolding(self.policy.folding.tenant, self.policy.folds_case(name))
        times = None if times is None else times.take(pa.array(rows))
        gone = erased.erased_mask(tenants.take(pa.array(rows)), found.values, times, folding)
        if gone is None:
            return None
        mask = np.zeros(self.raw.num_rows, np.bool_)
        mask[rows[gone.to_numpy(zero_copy_only=False)]] = True
        return pa.array(mask)

    def any_expired(self, retention: timedelta | None) -> bool:
        """Whether that is true for any record, by the earliest event time."""
        times = None if retention is None else self.times()
        if retention is None or times is None or times.null_count:
            return retention is not None and self.raw.num_rows > 0
        first = self._cached("first", lambda: _earliest_time(times))
        return first is not None and first <= self._limit(retention, times.type)

    def _limit(self, retention: timedelta, type_: pa.DataType) -> int:
        """The latest event time, in the unit of the type, that is at least this old."""
        return epoch_microseconds(self.at - retention) * UNITS_PER_SECOND[type_.unit] // 1_000_000

    def closed_mask(self, key: str, place: Pointer, gate: AllOf | None) -> pa.BooleanArray | None:
        """Mask of the values whose gate is closed;

        None if all are open. Fields with the same settings as their whole gate share it.
        """
        if gate is None:
            return _closed_mask(self.opens(key, place, "is"))
        if place.stars or not gate.parts:
            return self._cached(("closed", gate, place), lambda: _closed_mask(evaluate(gate, self, place, "is")))
        return self._cached(
            ("closed", gate), lambda: _closed_mask(reduce(pc.and_, map(self.setting, _setting_atoms(gate))))
        )

    def times(self) -> pa.TimestampArray | None:
        """The event times; None if the policy has none."""
        if self.policy.time is None:
            return None
        values = self._cached(
            "times", lambda: decode_dictionary(self.leaf(Pointer.parse(str(self.policy.time))).values)
        )
        return values.cast(pa.timestamp("ms", "UTC")) if pa.types.is_date(values.type) else values

    def filter_records(self, keep: pa.BooleanArray) -> BatchFacts:
        """The facts of the records that are kept. Evaluated settings are reused."""
        known: dict[Hashable, Any] = {
            key: value.filter(keep) for key, value in self.cache.items() if isinstance(key, FeatureOn | LevelAtLeast)
        }
        return BatchFacts(self.raw.filter(keep), self.policy, self.settings, self.at, known)

    def _cached(self, key: Hashable, work: Callable[[], T]) -> T:
        if key not in self.cache:
            self.cache[key] = work()
        found: T = self.cache[key]
        return found

    def _opens(self, field: Field, place: Pointer, mode: TruthMode) -> pa.BooleanArray:
        found = evaluate(field_gate(field), self, place, mode)
        for key in field.from_:
            found = pc.and_(found, self.opens(key, place, mode))
        return found

    def _feature(self, name: str) -> pa.BooleanArray:
        switch, tenants = self.policy.switch(name), self._tenants()
        if self.settings is None or tenants is None or switch is None:
            return constant_truth(False, self, RECORD_PLACE)
        on = self.settings.feature_on(switch, tenants, self._subjects(), self.times())
        retention = self.policy.features[name].retention
        return on if retention is None else pc.and_not(on, self.expired(retention))

    def _level(self, name: str) -> pa.BooleanArray:
        levels, tenants = self.policy.levels, self._tenants()
        if name not in levels or name == levels[0] or self.settings is None or tenants is None:
            return constant_truth(name in levels[:1], self, RECORD_PLACE)
        return self.settings.level_at_least(name, levels, tenants, self._subjects(), self.times())

    def _tenants(self) -> pa.Array | None:
        return None if self.policy.tenant is None else self.leaf(Pointer.parse(self.policy.tenant)).values

    def _subjects(self) -> pa.Array | None:
        return None if self.policy.subject is None else self.leaf(Pointer.parse(self.policy.subject)).values


def _setting_atoms(gate: AllOf) -> list[FeatureOn | LevelAtLeast]:
    return [atom for atom in gate.parts if isinstance(atom, FeatureOn | LevelAtLeast)]


def _closed_mask(opens: pa.BooleanArray) -> pa.BooleanArray | None:
    return None if opens.true_count == len(opens) else pc.invert(opens)


def _limit_times(times: pa.TimestampArray, latest: int) -> pa.TimestampArray:
    """The times, limited to `latest`, in microseconds since 1970."""
    limit = latest * UNITS_PER_SECOND[times.type.unit] // 1_000_000
    return pc.min_element_wise(times.view(pa.int64()), limit, skip_nulls=False).view(times.type)


def _earliest_time(times: pa.TimestampArray) -> int | None:
    """The earliest time, in the unit of the array, of times without nulls; None if the array is empty."""
    return int(times.view(pa.int64()).to_numpy().min()) if len(times) else None


def field_gate(field: Field) -> AllOf:
    """All conditions of a field's own gate."""
    wanted: list[Condition] = []
    if field.feature is not None:
        wanted.append(FeatureOn(field.feature))
    if field.level is not None:
        wanted.append(LevelAtLeast(field.level))
    if field.collect_if is not None:
        wanted.append(field.collect_if)
    return AllOf(tuple(wanted))
