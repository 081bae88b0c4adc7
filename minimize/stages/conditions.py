"""The facts of a batch of raw records that decide its conditions, and how a column matches values and ages.

Some erased linked ids are known to the ledger only by the forms that they take in outputs. A run makes the forms of the raw ids
of each field that can hold them, and compares their tokens with those of the erasure.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from functools import reduce
from itertools import product
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from minimize.arrow.columns import SubjectPairs, column_microseconds, time_ticks
from minimize.arrow.dictionaries import Bools, decode_dictionary, value_type
from minimize.arrow.nested import Leaf, leaf, repeat_for_leaf, row_indices
from minimize.arrow.pointers import Pointer
from minimize.consent.evaluation import ConsentPeriods
from minimize.identifiers import CaseFolding
from minimize.keys import Keyring
from minimize.keys.keyring import SUBJECT_KEY
from minimize.ledger.subject_tokens import FORMS_PURPOSE, token_forms, token_versions
from minimize.policy.condition import (
    AllOf,
    Condition,
    ConditionValue,
    FeatureOn,
    FieldEquals,
    LevelAtLeast,
    TimeWithin,
    constant_truth,
    evaluate,
    surely,
)
from minimize.policy.fields import DEVICE, USER, fields_named, gate_condition, individual_of
from minimize.policy.model import Field, Policy
from minimize.settings.erasures import NEVER, Erasures, LinkedErasure, Moments, event_microseconds
from minimize.settings.evaluation import Settings
from minimize.settings.tenants import OutputRegion
from minimize.settings.timeline import FieldIds
from minimize.stages.identifier_forms import AS_RECEIVED, AppliedChain, IdentifierColumn, PinnedKeyring, ValueInTenant
from minimize.techniques import type_family
from minimize.times import epoch_microseconds


def linked_erasure_mask(
    raw: pa.RecordBatch, policy: Policy, erased: Erasures, tenants: pa.Array, times: pa.Array | None
) -> pa.BooleanArray | None:
    """For each record, whether an erased linked id is in one of its fields and its event is not later; None for no record.

    Raises KeyringError if a key of the tokens is missing.
    """
    if erased.keys is None:
        return None
    gone = np.zeros(raw.num_rows, np.bool_)
    groups = dict.fromkeys((each.name, _is_owned_device(each)) for each in erased.linked)
    for name, is_owned in groups:
        stones = [each for each in erased.linked if (each.name, _is_owned_device(each)) == (name, is_owned)]
        stays = _shows_user(raw, policy) if is_owned else np.zeros(raw.num_rows, np.bool_)
        for key in fields_named(policy, name):
            field = policy.fields[key]
            if field.from_ or field.pointer.top not in raw.schema.names:
                continue
            id_leaf = leaf(raw, field.pointer)
            rows = row_indices(id_leaf, raw.num_rows)
            names = tenants.take(pa.array(rows))
            until = _erased_until(policy, key, stones, erased.keys, names, id_leaf.values)
            moments = event_microseconds(None if times is None else times.take(pa.array(rows)), len(rows))
            gone[rows[(until != NEVER) & (moments <= until) & ~stays[rows]]] = True
    return pa.array(gone) if gone.any() else None


def _is_owned_device(stone: LinkedErasure) -> bool:
    """Whether the id is that of a device of an erased user, and not another id of an erased device."""
    is_users = individual_of(stone.named_by) == USER or (stone.named_by is None and DEVICE in stone.names)
    return is_users and individual_of(stone.name) == DEVICE


def _shows_user(raw: pa.RecordBatch, policy: Policy) -> Bools:
    """The records that name a user. If it is the erased one, its own id decides; else the device has another user now."""
    shown = np.zeros(raw.num_rows, np.bool_)
    for key in fields_named(policy, USER):
        field = policy.fields[key]
        if not field.from_ and not field.pointer.stars and field.pointer.top in raw.schema.names:
            shown |= np.asarray(leaf(raw, field.pointer).values.is_valid())
    return shown


def _erased_until(
    policy: Policy, key: str, stones: Sequence[LinkedErasure], keys: Keyring, tenants: pa.Array, values: pa.Array
) -> Moments:
    """Per value, the event time up to which it is erased. The loops run over distinct pairs of tenants with an erasure."""
    pairs = SubjectPairs.from_columns(tenants, values, {stone.tenant for stone in stones})
    until = np.full(len(values), NEVER, np.int64)
    if pairs.names:
        values_in_tenants = [(value, tenant) for tenant, value in pairs.names]
        until[pairs.rows] = _pairs_until(policy, key, stones, keys, values_in_tenants)[pairs.places]
    return until


def _pairs_until(
    policy: Policy, key: str, stones: Sequence[LinkedErasure], keys: Keyring, pairs: Sequence[ValueInTenant]
) -> Moments:
    until = np.full(len(pairs), NEVER, np.int64)
    chains = {chain for stone in stones for chain in stone.tokens}
    for chain, forms in _forms_by_chain(policy, key, keys, pairs, chains):
        for stone in stones:
            tokens = stone.tokens.get(chain, frozenset())
            secrets = {version: keys.subkey(SUBJECT_KEY, FORMS_PURPOSE, version) for version in token_versions(tokens)}
            for place, ((_, tenant), form) in enumerate(zip(pairs, forms, strict=True)):
                if form is not None and tenant == stone.tenant and _has_token(secrets, tenant, form, tokens):
                    until[place] = max(until[place], stone.until)
    return until


def _has_token(secrets: Mapping[int, bytes], tenant: str, form: str, tokens: Collection[str]) -> bool:
    return any(
        token in tokens for version, secret in secrets.items() for token in token_forms(secret, version, tenant, form)
    )


def _forms_by_chain(
    policy: Policy, key: str, keys: Keyring, pairs: Sequence[ValueInTenant], chain_names: Collection[str]
) -> Iterator[tuple[str, Sequence[str | None]]]:
    """The forms of ids by the chains of their field, under every version of the keys; and the ids as received."""
    if AS_RECEIVED in chain_names:
        yield AS_RECEIVED, [value for value, _ in pairs]
    for column, chain in _chains(policy, key, keys):
        name = column.chain_name(chain)
        if name in chain_names and name != AS_RECEIVED:
            yield name, column.forms_by_chain(chain, pairs)


def _chains(policy: Policy, key: str, keys: Keyring) -> Iterator[tuple[IdentifierColumn, AppliedChain]]:
    today = IdentifierColumn(policy, key, PinnedKeyring(keys, {}))
    names = sorted({name for chain in today.chains or () for step in chain.steps for name in step.key_names})
    kept = {name: [each.version for each in keys.listing() if each.name == name] for name in names}
    for versions in product(*kept.values()):
        column = IdentifierColumn(policy, key, PinnedKeyring(keys, dict(zip(names, versions, strict=True))))
        yield from ((column, chain) for chain in column.chains or ())


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
    younger = (first > last) | (since < np.uint64(age // timedelta(microseconds=1)))
    return pc.and_(pa.array(younger), pc.and_(times.is_valid(), others.is_valid()))


def match_values(array: pa.Array, values: Iterable[ConditionValue]) -> pa.BooleanArray:
    """Whether the array has one of these values, compared by the array's type; false for nulls.

    >>> match_values(pa.array([1, 2, None]), (2.0, "1")).to_pylist()
    [False, True, False]
    """
    if pa.types.is_dictionary(array.type):
        return match_values(array.dictionary, values).take(array.indices).fill_null(False)
    if pa.types.is_string_view(array.type):
        array = array.cast(pa.string())
    typed_values = [typed_value for value in values if (typed_value := _typed_value(value, array.type)) is not None]
    if not typed_values:
        return pa.repeat(pa.scalar(False), len(array))
    return pc.is_in(array, value_set=pa.concat_arrays(typed_values), skip_nulls=True)


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
    """The facts of one batch of raw records: settings, consents, erasures, ages, and the conditions at each place."""

    raw: pa.RecordBatch
    policy: Policy
    settings: Settings | None
    """The settings. If there are none (None), features are off and the level is the first one."""
    at: datetime
    """The run's time, aware UTC."""
    cache: dict[Hashable, Any] = field(default_factory=dict)

    def leaf(self, place: Pointer) -> Leaf:
        """The raw values at a place; for `RECORD_PLACE`, one (null) value per record."""
        return self._cached(place, lambda: leaf(self.raw, place))

    def truth(self, condition: Condition, place: Pointer) -> pa.BooleanArray:
        """The truth of a condition, one per value at the place.

        At a list it is unknown if it depends on the elements: true or false means so for every possible element.
        """
        return evaluate(condition, _PlaceFacts(self, place))

    def holds(self, condition: Condition, place: Pointer) -> pa.BooleanArray:
        """Whether the condition is true: one value per value at the place, without nulls. Null never matches."""
        return surely(self.truth(condition, place))

    def setting(self, atom: FeatureOn | LevelAtLeast) -> pa.BooleanArray:
        """Per record: whether the level is set, or the feature is on and within its retention."""
        return self._cached(
            atom, lambda: self._level(atom.name) if isinstance(atom, LevelAtLeast) else self._feature(atom.name)
        )

    def opens(self, key: str, place: Pointer) -> pa.BooleanArray:
        """Whether a field's gate and the gates of all its inputs are open, as `truth` at the place."""
        return self._cached(("opens", key, place), lambda: self._opens(self.policy.fields[key], place))

    def expired(self, retention: timedelta) -> pa.BooleanArray:
        """Per record: whether it is at least this old, or has no event time."""
        times = self.times()
        if times is None:
            return constant_truth(True, self.raw.num_rows)
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
        optional_masks = [erased.erased_mask(tenants, self._subjects(), times, self.policy.folding)]
        for erasures in (erased, *erased.others.values()):
            keys = dict.fromkeys(fields_named(self.policy, erasures.named_by))
            others = [key for key in keys if erasures.named_by is not None or key != self.policy.subject]
            optional_masks += [self._erased_by(key, erasures, tenants, times) for key in others]
        optional_masks += (
            [] if not erased.linked else [linked_erasure_mask(self.raw, self.policy, erased, tenants, times)]
        )
        masks = [each for each in optional_masks if each is not None]
        return reduce(pc.or_, masks) if masks else None

    def consented_records(self, consents: ConsentPeriods | None) -> pa.BooleanArray:
        """Per record: whether its tenant's consent is valid at the event time and at the run's time; false without consents."""
        tenants = self._tenants()
        if consents is None or tenants is None:
            return constant_truth(False, self.raw.num_rows)
        return consents.consent_mask(tenants, self.times())

    def regional_records(self, region: OutputRegion) -> pa.BooleanArray:
        """Per record: whether its tenant belongs to the region; false without a tenant."""
        tenants = self._tenants()
        if tenants is None:
            return constant_truth(False, self.raw.num_rows)
        return pa.array(region.own_mask(tenants, fold=self.policy.folding.tenant))

    def _other_ids(self) -> Mapping[str, Mapping[str, FieldIds]]:
        """The argument with the ids of the fields, other than the policy's subject, by which settings name subjects."""
        field_ids = self._cached("other ids", lambda: dict(self._ids_of_settings()))
        return {"others": field_ids} if field_ids else {}

    def _ids_of_settings(self) -> Iterator[tuple[str, FieldIds]]:
        for name in sorted(getattr(self.settings, "fields", ())):
            id_leaf = self._ids_in(name)
            if id_leaf is not None:
                yield (
                    name,
                    FieldIds(id_leaf.values, row_indices(id_leaf, self.raw.num_rows) if id_leaf.parents else None),
                )

    def _ids_in(self, name: str) -> Leaf | None:
        """The raw values of a declared field of the records; None if there is none."""
        declared = self.policy.fields.get(name)
        if declared is None or declared.from_ or declared.pointer.top not in self.raw.schema.names:
            return None
        return self.leaf(declared.pointer)

    def _erased_by(
        self, name: str, erased: Erasures, tenants: pa.Array, times: pa.TimestampArray | None
    ) -> pa.BooleanArray | None:
        """The mask of `erased_records` for subjects in another field. One match anywhere in a record is enough."""
        id_leaf = self._ids_in(name)
        if id_leaf is None:
            return None
        rows = row_indices(id_leaf, self.raw.num_rows)
        folding = CaseFolding(self.policy.folding.tenant, self.policy.folds_case(name))
        times = None if times is None else times.take(pa.array(rows))
        gone = erased.erased_mask(tenants.take(pa.array(rows)), id_leaf.values, times, folding)
        if gone is None:
            return None
        mask = np.zeros(self.raw.num_rows, np.bool_)
        mask[rows[gone.to_numpy(zero_copy_only=False)]] = True
        return pa.array(mask)

    def any_expired(self, retention: timedelta) -> bool:
        """Whether that is true for any record, by the earliest event time."""
        times = self.times()
        if times is None or times.null_count:
            return bool(self.raw.num_rows)
        first = self._cached("first", lambda: _earliest_time(times))
        return first is not None and first <= self._limit(retention, times.type)

    def _limit(self, retention: timedelta, type_: pa.DataType) -> int:
        """The latest event time, in the unit of the type, that is at least this old."""
        return epoch_microseconds(self.at - retention) * UNITS_PER_SECOND[type_.unit] // 1_000_000

    def closed_mask(self, key: str, place: Pointer, gate: AllOf | None) -> pa.BooleanArray | None:
        """Mask of the values at a place for which a field is closed; None if it is open for all. If the whole gate of the field
        is known to be settings, takes it."""
        open_ = surely(self.opens(key, place) if gate is None else self.truth(gate, place))
        return None if open_.true_count == len(open_) else pc.invert(open_)

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
        value: T | None = self.cache.get(key)
        if value is None:
            value = self.cache[key] = work()
        return value

    def _opens(self, field: Field, place: Pointer) -> pa.BooleanArray:
        inputs = (self.opens(key, place) for key in field.from_)
        return reduce(pc.and_kleene, inputs, self.truth(gate_condition(field), place))

    def _feature(self, name: str) -> pa.BooleanArray:
        switch, tenants = self.policy.switch(name), self._tenants()
        if self.settings is None or tenants is None or switch is None:
            return constant_truth(False, self.raw.num_rows)
        on = self.settings.feature_on(switch, tenants, self._subjects(), self.times(), **self._other_ids())
        retention = self.policy.features[name].retention
        return on if retention is None else pc.and_not(on, self.expired(retention))

    def _level(self, name: str) -> pa.BooleanArray:
        levels, tenants = self.policy.levels, self._tenants()
        if name not in levels or name == levels[0] or self.settings is None or tenants is None:
            return constant_truth(name in levels[:1], self.raw.num_rows)
        return self.settings.level_at_least(name, levels, tenants, self._subjects(), self.times(), **self._other_ids())

    def _tenants(self) -> pa.Array | None:
        return None if self.policy.tenant is None else self.leaf(Pointer.parse(self.policy.tenant)).values

    def _subjects(self) -> pa.Array | None:
        return None if self.policy.subject is None else self.leaf(Pointer.parse(self.policy.subject)).values


_RECORDS = Leaf(pa.nulls(0))
"""A leaf with one value per record."""


@dataclass(frozen=True, slots=True)
class _PlaceFacts:
    """The facts of a batch about the values at a place, as defined by `Facts`. Its fields read as null if their gate is closed.

    Whether a field matches is unknown at a list above it, unless its gate is closed to every element.
    """

    batch: BatchFacts
    place: Pointer

    def __len__(self) -> int:
        return len(self.batch.leaf(self.place).values)

    def setting(self, atom: FeatureOn | LevelAtLeast) -> pa.BooleanArray:
        """Whether the level is set, or the feature is on and within its retention."""
        return self._spread(self.batch.setting(atom), _RECORDS)

    def equals(self, atom: FieldEquals) -> pa.BooleanArray:
        """Whether the field has one of the values."""
        field_leaf = self._leaf(atom.field)
        truth = None if field_leaf is None else self._spread(match_values(field_leaf.values, atom.values), field_leaf)
        return self._if_open(truth, atom.field)

    def within(self, atom: TimeWithin) -> pa.BooleanArray:
        """Whether the time is less than the given duration before the other. Both are compared to the microsecond."""
        first, last = self._leaf(atom.field), self._leaf(atom.reference)
        truth = None
        if first is not None and last is not None:
            times, others = (
                self._spread(decode_dictionary(field_leaf.values), field_leaf) for field_leaf in (first, last)
            )
            truth = is_younger(times, others, atom.age)
        return self._if_open(truth, atom.field, atom.reference)

    def _leaf(self, key: str) -> Leaf | None:
        """The raw values of a field; None if the place is a list above them."""
        pointer = Pointer.parse(key)
        return None if len(pointer.stars) > len(self.place.stars) else self.batch.leaf(pointer)

    def _spread(self, values: pa.Array, field_leaf: Leaf) -> pa.Array:
        if len(field_leaf.parents) == len(self.place.stars):
            return values
        return repeat_for_leaf(values, field_leaf, self.batch.leaf(self.place))

    def _if_open(self, truth: pa.BooleanArray | None, *keys: str) -> pa.BooleanArray:
        """The truth of an atom, false if the gate of a field that it reads is closed. None for unknown."""
        opens = (self.batch.opens(key, self.place) for key in keys)
        return reduce(pc.and_kleene, opens, constant_truth(None, len(self)) if truth is None else truth)


def _limit_times(times: pa.TimestampArray, latest: int) -> pa.TimestampArray:
    """The times, limited to `latest`, in microseconds since 1970."""
    limit = latest * UNITS_PER_SECOND[times.type.unit] // 1_000_000
    return pc.min_element_wise(times.view(pa.int64()), limit, skip_nulls=False).view(times.type)


def _earliest_time(times: pa.TimestampArray) -> int | None:
    """The earliest time, in the unit of the array, of times without nulls; None if the array is empty."""
    return int(np.minimum.reduce(time_ticks(times))) if len(times) else None
