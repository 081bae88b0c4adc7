"""Reevaluation of a batch: settings and consents of a file, form changes of its fields, and today's policy.

A value stays if its condition surely holds: its features are on at every instant that its time may stand for, and now, and its
facts are shown. In doubt the value is removed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final, Literal, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from minimize.arrow.nested import leaf
from minimize.arrow.pointers import Pointer
from minimize.consent import ConsentPeriods
from minimize.governance.output_file import UNKNOWN_TIME, Bools, EventTimeBounds, Moments, age_limit
from minimize.governance.retention.affected_subjects import LookupColumn
from minimize.governance.retention.retention_rules import ConditionCertainty, current_conditions
from minimize.governance.retention.verdict import WHOLE_RECORD, BatchVerdict
from minimize.policy.condition import Atom, Condition, FeatureOn, LevelAtLeast
from minimize.policy.fields import compare_coarseness, is_dropped
from minimize.policy.model import DROP, Field, Policy, Treatment
from minimize.settings import SettingsRows
from minimize.settings.columns import column_microseconds
from minimize.settings.model import SETTINGS_SCHEMA, Settings
from minimize.stages.chains import run_chain
from minimize.techniques import Context, Technique, TechniqueStep, UnsupportedType
from minimize.techniques.keep import Keep

TIMESTAMP: Final = pa.timestamp("us", "UTC")
SettingLookup = Callable[[pa.Array], pa.BooleanArray]


@dataclass(frozen=True, slots=True)
class FileSettings:
    """The settings that count for one file.

    effective     as they are seen today, tenants and subjects in the forms that the file has of them
    changes  when anything changes, in microseconds, ascending
    """

    policy: Policy
    effective: Settings | None
    changes: Moments
    tenant: LookupColumn | None
    subject: LookupColumn | None
    clock: EventTimeBounds | None

    @classmethod
    def for_file(
        cls,
        rows: SettingsRows | None,
        policy: Policy,
        at: datetime,
        tenant: LookupColumn | None,
        subject: LookupColumn | None,
        clock: EventTimeBounds | None,
    ) -> FileSettings:
        """The settings as a file shows tenants and subjects.

        If the file does not show a subject, its opt-outs count against its tenant, and what it turned on does not count. What
        a subject turned on does not count either if other subjects may have its form.
        """
        if rows is None or tenant is None:
            return cls(policy, None, np.empty(0, np.int64), tenant, subject, clock)
        table = pa.Table.from_pylist(list(_setting_rows(rows, tenant, subject)), SETTINGS_SCHEMA)
        found = SettingsRows(table)
        return cls(
            policy,
            found.effective_at(at),
            np.unique(column_microseconds(table["valid_from"].combine_chunks())),
            tenant,
            subject,
            clock,
        )

    def is_on(self, atom: FeatureOn | LevelAtLeast, batch: pa.RecordBatch) -> Bools:
        """Per record whether it was on in every instant that the event may have happened at, and is on now."""
        if isinstance(atom, LevelAtLeast) and atom.name in self.policy.levels[:1]:
            return np.ones(batch.num_rows, np.bool_)
        if self.effective is None or self.tenant is None or self.clock is None:
            return np.zeros(batch.num_rows, np.bool_)
        ask, first = self._lookup(atom, batch), self.clock.oldest(batch)
        last = self.clock.newest(batch)
        found = self._look_up(ask, first) & self._look_up(ask, last)
        within = self.changes[(self.changes >= first.min(initial=0)) & (self.changes <= last.max(initial=0))]
        for moment in within.tolist():  # settings change seldom: a few moments a batch
            inside = (first <= moment) & (moment <= last)
            found &= ~inside | self._look_up(ask, np.where(inside, moment, first))
        return found

    def _lookup(self, atom: FeatureOn | LevelAtLeast, batch: pa.RecordBatch) -> SettingLookup:
        assert self.effective is not None
        assert self.tenant is not None
        tenants = leaf(batch, self.tenant.pointer).values
        subjects = None if self.subject is None else leaf(batch, self.subject.pointer).values
        seen, policy = self.effective, self.policy
        if isinstance(atom, LevelAtLeast):
            return lambda times: seen.level_at_least(atom.name, policy.levels, tenants, subjects, times)
        switch = policy.switch(atom.name)
        if switch is None:
            return lambda times: pa.repeat(pa.scalar(False), len(times))
        return lambda times: seen.feature_on(switch, tenants, subjects, times)

    def _look_up(self, lookup: SettingLookup, instants: Moments) -> Bools:
        return np.asarray(lookup(pa.array(instants).cast(TIMESTAMP)).to_numpy(zero_copy_only=False), np.bool_)


def _setting_rows(
    rows: SettingsRows, tenant: LookupColumn, subject: LookupColumn | None
) -> Iterator[Mapping[str, Any]]:
    known: dict[str, Sequence[str]] = {}
    for row in rows.table.to_pylist():
        name = row["tenant_id"]
        if name not in known:
            known[name] = sorted(tenant.column.forms(name, name) or ())
        for form in known[name]:
            yield from _subject_rows({**row, "tenant_id": form}, name, subject)


def _subject_rows(row: dict[str, Any], tenant: str, subject: LookupColumn | None) -> Iterator[Mapping[str, Any]]:
    own = row["subject"]
    forms = None if own is None or subject is None or _is_token(own) else subject.column.forms(own, tenant)
    if own is None:
        yield row
    elif forms is not None and row["value"] == "on" and subject is not None and not subject.column.is_injective:
        return
    elif forms is not None:
        yield from ({**row, "subject": form} for form in sorted(forms))
    elif row["value"] != "on":  # whoever that is: an objection counts for the whole tenant
        yield {**row, "subject": None, "holder": f"{row['holder']} {own}"}


def _is_token(subject: str) -> bool:
    """Whether a subject stands in the settings as the ledger has them: nobody can say how it stands in a file."""
    return subject.startswith("subject/")


@dataclass(frozen=True, slots=True)
class FileConsents:
    """The consents that count for one file, tenants in the forms that the file has of them. When in doubt there is none."""

    periods: ConsentPeriods = field(repr=False)
    tenant: LookupColumn | None
    clock: EventTimeBounds | None

    @classmethod
    def for_file(cls, periods: ConsentPeriods, tenant: LookupColumn | None, clock: EventTimeBounds | None) -> Self:
        """The consents as a file shows tenants."""
        forms = [] if tenant is None else list(_tenant_forms(periods, tenant))
        places = np.array([place for place, _ in forms], np.int64)
        own = replace(
            periods,
            tenants=tuple(form for _, form in forms),
            starts=periods.starts[places],
            ends=periods.ends[places],
            fold=False,
        )
        return cls(own, tenant, clock)

    def __call__(self, batch: pa.RecordBatch) -> Bools:
        """Per record whether the consent surely held when it happened, and holds now."""
        if self.tenant is None or self.clock is None:
            return np.zeros(batch.num_rows, np.bool_)
        oldest, newest = self.clock.oldest(batch), self.clock.newest(batch)
        tenants = leaf(batch, self.tenant.pointer).values
        return np.asarray(self.periods.agreed_throughout(tenants, oldest, newest) & (oldest != UNKNOWN_TIME), np.bool_)


def _tenant_forms(periods: ConsentPeriods, tenant: LookupColumn) -> Iterator[tuple[int, str]]:
    for place, name in enumerate(periods.tenants):
        yield from ((place, form) for form in sorted(tenant.column.forms(name, name) or ()))


FormVerdict = Literal["same", "coarser", "finer", "gone"]


@dataclass(frozen=True, slots=True)
class FormChange:
    """What today's policy makes of a field as it stands: its values go through `steps` where it became coarser."""

    verdict: FormVerdict
    steps: tuple[Technique, ...] = ()


def compare_forms(then: Field, today: Field | None, purpose: str, type_: pa.DataType) -> FormChange:
    """How the form of then compares with the one of today.

    `gone`: today's policy drops it, or has it in a form that cannot be made of the one that stands.
    """
    if today is None or is_dropped(today) or (today.purposes and purpose not in today.purposes):
        return FormChange("gone")
    if (then.cases, then.otherwise, then.do, then.from_) == (today.cases, today.otherwise, today.do, today.from_):
        return FormChange("same")
    if then.cases or today.cases or then.from_ != today.from_:
        return FormChange("gone")
    return _compare_chains(_steps_of(then.do), _steps_of(today.do), type_)


def _compare_chains(then: Sequence[TechniqueStep], today: Sequence[TechniqueStep], type_: pa.DataType) -> FormChange:
    if _is_keep(today):
        return FormChange("finer")
    if _is_keep(then) and _can_follow(today, type_):
        return FormChange("coarser", tuple(step for step in today if isinstance(step, Technique)))
    if len(then) == len(today) == 1 and type(then[0]) is type(today[0]):
        found = compare_coarseness(then[0].name, then[0].model_dump(), today[0].model_dump())
        if found == "coarser" and isinstance(today[0], Technique):
            return FormChange("coarser", (today[0],))
        if found is not None:
            return FormChange(found)
    return FormChange("gone")


def is_newly_shown(then: Field | None, today: Field) -> bool:
    """Whether today's policy shows a field that the file does not have."""
    return then is None or is_dropped(then)


def _steps_of(treatment: Treatment) -> tuple[TechniqueStep, ...]:
    return () if treatment == DROP or isinstance(treatment, str) else treatment


def _is_keep(steps: Sequence[TechniqueStep]) -> bool:
    return bool(steps) and all(isinstance(step, Keep) for step in steps)


def _can_follow(steps: Sequence[TechniqueStep], type_: pa.DataType) -> bool:
    """Whether a chain needs nothing but the value, and gives values of the type that stands."""
    given = type_
    try:
        for step in steps:
            if not isinstance(step, Technique) or step.reads() | step.key_names or step.needs_time:
                return False
            given = step.output_type(given)
    except UnsupportedType:
        return False
    return bool(given == type_)


@dataclass(frozen=True, slots=True)
class PolicyReevaluation:
    """Everything that counts for one file.

    then      the policy that it was written under; `today` the one of today
    forms     per field of the file what today's policy makes of it
    records   conditions of today on whole records
    consents    today's consents, where a third party sent the records
    """

    then: Policy
    today: Policy
    as_of: datetime
    pointers: Mapping[str, Pointer]
    forms: Mapping[str, FormChange]
    records: tuple[Condition, ...]
    settings: FileSettings = field(repr=False)
    clock: EventTimeBounds | None = None
    consents: FileConsents | None = field(default=None, repr=False)

    def __call__(self, batch: pa.RecordBatch) -> BatchVerdict:
        """The verdict on one batch."""
        closed = dict(self._removed_values(batch))
        everything = np.ones(batch.num_rows, np.bool_)
        return BatchVerdict(
            self._removed_records(batch), closed, dict(self._replacements(batch)), dict.fromkeys(closed, everything)
        )

    def _removed_records(self, batch: pa.RecordBatch) -> dict[str, Bools]:
        stays, gone = np.ones(batch.num_rows, np.bool_), dict[str, Bools]()
        if self.consents is not None:
            stays = self.consents(batch)
            gone["consent"] = ~stays
        for condition in self.records:
            holds = self._certainty(batch, WHOLE_RECORD).holds(condition, held_when_written=False)
            reason = "setting" if isinstance(condition, FeatureOn | LevelAtLeast) else "condition"
            gone[reason] = gone.get(reason, np.zeros(batch.num_rows, np.bool_)) | (stays & ~holds)
            stays &= holds
        return gone

    def _removed_values(self, batch: pa.RecordBatch) -> Iterator[tuple[str, Bools]]:
        for key, form in self.forms.items():
            if form.verdict == "gone":
                yield key, np.ones(len(leaf(batch, self.pointers[key]).values), np.bool_)
                continue
            sure = self._certainty(batch, self.pointers[key])
            holding = [sure.holds(each, held_when_written=False) for each in current_conditions(key, self.today)]
            if holding and not np.logical_and.reduce(holding).all():
                yield key, ~np.logical_and.reduce(holding)

    def _replacements(self, batch: pa.RecordBatch) -> Iterator[tuple[str, pa.Array]]:
        for key, form in self.forms.items():
            if form.verdict == "coarser":
                values = leaf(batch, self.pointers[key]).values
                made = run_chain(form.steps, values, Context(key, self.as_of)).values
                plain = made.dictionary_decode() if pa.types.is_dictionary(made.type) else made
                yield key, pc.cast(plain, values.type)

    def _certainty(self, batch: pa.RecordBatch, place: Pointer) -> ConditionCertainty:
        return ConditionCertainty(
            batch, self.then, dict(self.pointers), place, lambda atom: self._holds_now(atom, batch)
        )

    def _holds_now(self, atom: Atom, batch: pa.RecordBatch) -> Bools | None:
        if not isinstance(atom, FeatureOn | LevelAtLeast):
            return None
        on = self.settings.is_on(atom, batch)
        feature = self.today.features.get(atom.name) if isinstance(atom, FeatureOn) else None
        if feature is None or feature.retention is None:
            return on
        if self.clock is None:
            return np.zeros(batch.num_rows, np.bool_)
        return np.asarray(on & (self.clock.oldest(batch) > age_limit(self.as_of, feature.retention)), np.bool_)
