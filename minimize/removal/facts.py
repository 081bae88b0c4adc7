"""Retention rules for a file: ages and conditions of today's policy, certainty of a condition.

A condition held when a value was written. If one of its facts changes, the others are taken as they were. Under `any` it is
not known which fact held, so only what the file shows counts. In doubt the condition does not hold.

Effective settings and consents for a published file.

Today's settings and consents at the time of each record, with tenants and subjects in the forms that the file has of them.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any, Final, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from minimize.arrow.columns import column_microseconds
from minimize.arrow.dictionaries import Bools
from minimize.arrow.nested import Leaf, leaf, repeat_for_leaf, row_indices
from minimize.arrow.pointers import Pointer
from minimize.consent import ConsentPeriods
from minimize.datasets.event_times import UNKNOWN_TIME, EventTimeBounds, Moments
from minimize.datasets.lifecycle_events import EventKind
from minimize.policy.condition import (
    AllOf,
    Atom,
    Condition,
    FeatureOn,
    FieldEquals,
    LevelAtLeast,
    TimeWithin,
    atoms,
    conjuncts,
    constant_truth,
    evaluate,
    setting_atoms,
    surely,
)
from minimize.policy.fields import gate_condition, treatments_of
from minimize.policy.model import Field, Policy
from minimize.policy.treatments import DROP
from minimize.runs.deciding_function import ConsentChange
from minimize.settings import SettingsRows
from minimize.settings.evaluation import ROW_SCHEMA, Settings
from minimize.settings.timeline import FieldIds
from minimize.stages.conditions import match_values
from minimize.stages.identifier_forms import LookupColumn


@dataclass(frozen=True, slots=True)
class FieldRule:
    """A field of the file, and the conditions on its values that depend on features with a shorter retention."""

    key: str
    pointer: Pointer
    conditions: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class RetentionRules:
    """The rules for one file: maximum age of records, conditions on records and on values, retention of features."""

    age: timedelta | None = None
    records: tuple[Condition, ...] = ()
    fields: tuple[FieldRule, ...] = ()
    features: Mapping[str, timedelta] = field(default_factory=dict)
    pointers: Mapping[str, Pointer] = field(default_factory=dict)
    """Pointers of the file's fields, by key."""

    @classmethod
    def for_file(cls, older_policy: Policy, today: Policy, pointers: Mapping[str, Pointer]) -> RetentionRules:
        """The rules of today's policy for a file of an older policy.

        A field that today's policy no longer declares follows the older policy, with today's retention of its features.
        """
        features = dict(_feature_retentions(older_policy, today))
        rules = (
            FieldRule(
                key,
                pointer,
                tuple(
                    _depending_on(_all_written_conditions(key, _declaring_policy(key, older_policy, today)), features)
                ),
            )
            for key, pointer in pointers.items()
        )
        return cls(
            age=today.retention,
            records=tuple(_depending_on(gate_condition(today.records).parts, features)),
            fields=tuple(rule for rule in rules if rule.conditions),
            features=features,
            pointers=pointers,
        )

    @property
    def shortest_age(self) -> timedelta | None:
        """The lowest age at which data of the file can be due."""
        kept = {name for rule in self.fields for condition in rule.conditions for name in features_in(condition)}
        kept |= {name for condition in self.records for name in features_in(condition)}
        ages = [self.features[name] for name in kept & self.features.keys()]
        return min([*ages, *([] if self.age is None else [self.age])], default=None)


def features_in(condition: Condition) -> Iterator[str]:
    """The features in a condition."""
    yield from (atom.name for atom in atoms(condition) if isinstance(atom, FeatureOn))


def written_conditions(field: Field) -> Iterator[Condition]:
    """The conditions of a value when it was written: its gate, and the cases that release a value."""
    gate = gate_condition(field)
    if gate.parts:
        yield gate
    yield from (case.when for case in field.cases if case.do != DROP)


def current_conditions(key: str, policy: Policy) -> Iterator[Condition]:
    """The conditions for collecting a value today: gates of all its source fields, and cases that depend on settings.

    The case that decided is unknown, so all of them must hold.
    """
    field = policy.fields[key]
    gate = gate_condition(field)
    if gate.parts:
        yield gate
    for case in field.cases:
        if case.do != DROP and any(setting_atoms(case.when)):
            yield case.when
    for source_key in field.from_:
        yield from current_conditions(source_key, policy)


def _declaring_policy(key: str, older_policy: Policy, today: Policy) -> Policy:
    return today if key in today.fields else older_policy


def _all_written_conditions(key: str, policy: Policy) -> Iterator[Condition]:
    yield from written_conditions(policy.fields[key])
    for source_key in policy.fields[key].from_:
        yield from _all_written_conditions(source_key, policy)


def _depending_on(conditions: Iterable[Condition], features: Collection[str]) -> Iterator[Condition]:
    yield from (each for each in conditions if any(name in features for name in features_in(each)))


def _feature_retentions(older_policy: Policy, today: Policy) -> Iterator[tuple[str, timedelta]]:
    for name, feature in {**older_policy.features, **today.features}.items():
        if feature.retention is not None:
            yield name, feature.retention


ChangedFacts = Callable[[Atom], Bools | None]
"""Per record whether a fact surely holds now, if it changed; None for an unchanged fact."""


@dataclass(frozen=True)
class StoredFacts:
    """The facts about the values at one place (a leaf) in a batch of a file, as defined by `Facts`.

    What has not changed is unknown unless the file shows it.
    """

    batch: pa.RecordBatch = field(repr=False)
    policy: Policy
    pointers: Mapping[str, Pointer]
    """The fields of the file, by key."""
    place: Pointer
    changed: ChangedFacts
    """The facts that changed."""

    def holds(self, condition: Condition) -> Bools:
        """Whether the condition surely holds: one truth value per leaf value."""
        return np.asarray(surely(evaluate(condition, self)).to_numpy(zero_copy_only=False), np.bool_)

    def still_holds(self, condition: Condition) -> Bools:
        """Whether a condition that held when a value was written surely holds now. The parts that did not change hold."""
        parts = (part for part in conjuncts(condition) if any(self.changed(atom) is not None for atom in atoms(part)))
        return self.holds(AllOf(tuple(parts)))

    def spread(self, rows: Bools) -> Bools:
        """Repeats a truth value of each record for its leaf values."""
        return rows[row_indices(self._leaf, self.batch.num_rows)] if self.place.stars else rows

    def __len__(self) -> int:
        return len(self._leaf.values)

    def setting(self, atom: Atom) -> pa.BooleanArray:
        """Whether the fact holds now, if it changed."""
        now = self.changed(atom)
        return constant_truth(None, len(self)) if now is None else _true_or_unknown(self.spread(now))

    def equals(self, atom: FieldEquals) -> pa.BooleanArray:
        """Whether the field has one of the values: now, if that changed, else if the file has its original values."""
        pointer = self.pointers.get(atom.field)
        if self.changed(atom) is not None or pointer is None or len(pointer.stars) > len(self.place.stars):
            return self.setting(atom)
        if not shows_original(self.policy.fields[atom.field]):
            return constant_truth(None, len(self))
        field_leaf = leaf(self.batch, pointer)
        matches = pc.if_else(
            field_leaf.values.is_valid(), match_values(field_leaf.values, atom.values), pa.scalar(None, pa.bool_())
        )
        return repeat_for_leaf(matches, field_leaf, self._leaf)

    def within(self, atom: TimeWithin) -> pa.BooleanArray:
        """Whether the largest possible age between the two times is within the limit. Unknown otherwise."""
        return _true_or_unknown(self.spread(self._certainly_within(atom)))

    @cached_property
    def _leaf(self) -> Leaf:
        return leaf(self.batch, self.place)

    def _certainly_within(self, atom: TimeWithin) -> Bools:
        keys = (atom.field, atom.reference)
        fields = [self.policy.fields[key] for key in keys if key in self.pointers and key in self.policy.fields]
        clocks = [
            clock for field in fields if (clock := EventTimeBounds.for_field(field, self.batch.schema)) is not None
        ]
        if len(clocks) < len(keys):
            return np.zeros(self.batch.num_rows, np.bool_)
        oldest, newest = clocks[0].oldest(self.batch), clocks[1].newest(self.batch)
        known = (oldest != UNKNOWN_TIME) & (newest != UNKNOWN_TIME)
        age = np.where(known, newest, 0) - np.where(known, oldest, 0)
        return np.asarray(known & (age < atom.age // timedelta(microseconds=1)), np.bool_)


def _true_or_unknown(certain: Bools) -> pa.BooleanArray:
    return pa.array(certain, mask=~certain)


def shows_original(field: Field) -> bool:
    """Whether the file has every value of a field as received."""
    ways = list(treatments_of(field))
    return len(ways) == 1 and not isinstance(ways[0], str) and all(step.changes_nothing for step in ways[0])


USER: Final = "user"
"""The holder of a feature that is the user's own."""


def own_fields(policy: Policy) -> frozenset[str]:
    """The fields of features that only the user may turn on. They are the user's own, and not the organization's."""
    user_features = {name for name, feature in policy.features.items() if feature.holders == (USER,)}
    return frozenset(key for key, field in policy.fields.items() if field.feature in user_features)


def removes_records(kind: EventKind, policy: Policy) -> bool:
    """Whether an event removes whole records under a policy. Other events remove or replace values."""
    return kind != "became_personal" and not (kind == "company_data_removed" and own_fields(policy))


_TIMESTAMP: Final = pa.timestamp("us", "UTC")
SettingLookup = Callable[[pa.Array], pa.BooleanArray]


@dataclass(frozen=True, slots=True)
class FileSettings:
    """The settings that apply to one file."""

    policy: Policy
    effective: Settings | None
    """Today's settings, with tenants and subjects in the forms that the file has of them."""
    changes: Moments
    """Instants at which any setting changes, in microseconds, ascending."""
    tenant: LookupColumn | None
    subject: LookupColumn | None
    clock: EventTimeBounds | None
    others: Mapping[str, LookupColumn] = field(default_factory=dict)
    """The columns of the other fields by which settings name subjects, by field."""

    @classmethod
    def for_file(
        cls,
        rows: SettingsRows | None,
        policy: Policy,
        at: datetime,
        tenant: LookupColumn | None,
        subject: LookupColumn | None,
        clock: EventTimeBounds | None,
        column: Callable[[str], LookupColumn | None] = lambda _: None,
    ) -> FileSettings:
        """The settings with tenants and subjects in the forms of a file.

        `column` gives the column of the file for a field by which settings name subjects, if the file has it. A field that the
        policy lacks names no record. If the file does not show a subject, its opt-outs count against its tenant, and its own `on`
        does not count. A subject's `on` does not count either if other subjects may have its form.
        """
        if rows is None or tenant is None:
            return cls(
                policy=policy,
                effective=None,
                changes=np.empty(0, np.int64),
                tenant=tenant,
                subject=subject,
                clock=clock,
            )
        columns_by_field = {name: column(name) for name in sorted(rows.fields & policy.fields.keys())}
        others = {name: each for name, each in columns_by_field.items() if each is not None}
        declared: dict[str | None, LookupColumn | None] = {None: subject}
        declared.update(columns_by_field.items())
        table = pa.Table.from_pylist(list(_setting_rows(rows, tenant, declared)), ROW_SCHEMA)
        return cls(
            policy=policy,
            effective=SettingsRows(table).effective_at(at),
            changes=np.unique(column_microseconds(table["valid_from"].combine_chunks())),
            tenant=tenant,
            subject=subject,
            clock=clock,
            others=others,
        )

    def is_on(self, atom: FeatureOn | LevelAtLeast, batch: pa.RecordBatch) -> Bools:
        """Per record, whether the setting was on at every possible instant of the event, and is on now."""
        if isinstance(atom, LevelAtLeast) and atom.name in self.policy.levels[:1]:
            return np.ones(batch.num_rows, np.bool_)
        if self.effective is None or self.tenant is None or self.clock is None:
            return np.zeros(batch.num_rows, np.bool_)
        ask, first = self._lookup(atom, batch), self.clock.oldest(batch)
        last = self.clock.newest(batch)
        on_mask = self._look_up(ask, first) & self._look_up(ask, last)
        within = self.changes[(self.changes >= first.min(initial=0)) & (self.changes <= last.max(initial=0))]
        for moment in within.tolist():  # settings change rarely: few moments per batch
            inside = (first <= moment) & (moment <= last)
            on_mask &= ~inside | self._look_up(ask, np.where(inside, moment, first))
        return on_mask

    def _lookup(self, atom: FeatureOn | LevelAtLeast, batch: pa.RecordBatch) -> SettingLookup:
        assert self.effective is not None
        assert self.tenant is not None
        tenants = leaf(batch, self.tenant.pointer).values
        subjects = None if self.subject is None else leaf(batch, self.subject.pointer).values
        others = {name: _field_ids(batch, each.pointer) for name, each in self.others.items()}
        effective, policy = self.effective, self.policy
        if isinstance(atom, LevelAtLeast):
            return lambda times: effective.level_at_least(atom.name, policy.levels, tenants, subjects, times, others)
        switch = policy.switch(atom.name)
        if switch is None:
            return lambda times: pa.repeat(pa.scalar(False), len(times))
        return lambda times: effective.feature_on(switch, tenants, subjects, times, others)

    def _look_up(self, lookup: SettingLookup, instants: Moments) -> Bools:
        return np.asarray(lookup(pa.array(instants).cast(_TIMESTAMP)).to_numpy(zero_copy_only=False), np.bool_)


def _field_ids(batch: pa.RecordBatch, pointer: Pointer) -> FieldIds:
    ids = leaf(batch, pointer)
    return FieldIds(ids.values, row_indices(ids, batch.num_rows) if ids.parents else None)


def _setting_rows(
    rows: SettingsRows, tenant: LookupColumn, declared: Mapping[str | None, LookupColumn | None]
) -> Iterator[Mapping[str, Any]]:
    known: dict[str, Sequence[str]] = {}
    for row in rows.effective_table.to_pylist():
        name = row["tenant_id"]
        if name not in known:
            known[name] = sorted(tenant.column.forms(name, name) or ())
        for form in known[name]:
            if row["field"] in declared:
                yield from _subject_rows({**row, "tenant_id": form}, name, declared[row["field"]])


def _subject_rows(row: dict[str, Any], tenant: str, subject: LookupColumn | None) -> Iterator[Mapping[str, Any]]:
    subject_id = row["subject"]
    forms = (
        None
        if subject_id is None or subject is None or _is_token(subject_id)
        else subject.column.forms(subject_id, tenant)
    )
    if subject_id is None:
        yield row
    elif forms is not None and row["value"] == "on" and subject is not None and not subject.column.is_injective:
        return
    elif forms is not None:
        yield from ({**row, "subject": form} for form in sorted(forms))
    elif row["value"] != "on":  # the subject is unknown: its objection counts for the whole tenant
        yield {**row, "subject": None, "field": None, "holder": f"{row['holder']} {subject_id}"}


def _is_token(subject: str) -> bool:
    """Whether a subject is a token of the ledger. The forms of such a subject in a file cannot be computed."""
    return subject.startswith("subject/")


@dataclass(frozen=True, slots=True)
class FileConsents:
    """The consents that apply to one file, with tenants in the forms that the file has of them.

    In doubt there is no consent. If `change` is given, the run decided with the exact time of each record: of tenants whose
    consents are unchanged, a record is in doubt only if none of them covers any instant that its time can mean.
    """

    periods: ConsentPeriods = field(repr=False)
    tenant: LookupColumn | None
    clock: EventTimeBounds | None
    change: ConsentChange | None = field(default=None, repr=False)

    @classmethod
    def for_file(
        cls,
        periods: ConsentPeriods,
        tenant: LookupColumn | None,
        clock: EventTimeBounds | None,
        change: ConsentChange | None = None,
    ) -> Self:
        """The consents with tenants in the forms of a file."""
        if change is not None:
            change = replace(change, unchanged=_as_in_file(change.unchanged, tenant))
        return cls(_as_in_file(periods, tenant), tenant, clock, change)

    def __call__(self, batch: pa.RecordBatch) -> Bools:
        """Per record, whether the consent certainly held at the event time, and holds now."""
        change = self.change
        if self.tenant is None:
            return np.full(batch.num_rows, change is not None and not change.has_ended)
        tenants = leaf(batch, self.tenant.pointer).values
        if self.clock is None:
            covered = None if change is None else change.unchanged.consent_mask(tenants, None)
            return np.zeros(batch.num_rows, np.bool_) if covered is None else np.asarray(covered, np.bool_)
        oldest, newest = self.clock.oldest(batch), self.clock.newest(batch)
        covers = self.periods.agreed_throughout(tenants, oldest, newest)
        if change is not None:
            covers |= change.unchanged.agreed_at_some_time(tenants, oldest, newest)
        return np.asarray(covers & (oldest != UNKNOWN_TIME), np.bool_)


def _as_in_file(periods: ConsentPeriods, tenant: LookupColumn | None) -> ConsentPeriods:
    """The periods of the tenants in the forms that a file has of them."""
    forms = [] if tenant is None else list(_tenant_forms(periods, tenant))
    places = np.array([place for place, _ in forms], np.int64)
    return replace(
        periods,
        tenants=tuple(form for _, form in forms),
        starts=periods.starts[places],
        ends=periods.ends[places],
        fold=False,
    )


def _tenant_forms(periods: ConsentPeriods, tenant: LookupColumn) -> Iterator[tuple[int, str]]:
    for place, name in enumerate(periods.tenants):
        yield from ((place, form) for form in sorted(tenant.column.forms(name, name) or ()))
