"""Effective settings and consents for a published file.

Today's settings and consents at the time of each record, with tenants and subjects in the forms that the file has of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final, Self

import numpy as np
import pyarrow as pa

from minimize.arrow.columns import column_microseconds
from minimize.arrow.dictionaries import Bools
from minimize.arrow.nested import leaf, row_indices
from minimize.arrow.pointers import Pointer
from minimize.consent import ConsentPeriods
from minimize.datasets.record_age import UNKNOWN_TIME, EventTimeBounds, Moments
from minimize.policy.condition import (
    FeatureOn,
    LevelAtLeast,
)
from minimize.policy.model import Policy
from minimize.runs.deciding_function import ConsentChange
from minimize.settings import SettingsRows
from minimize.settings.evaluation import ROW_SCHEMA, Settings
from minimize.settings.timeline import FieldIds
from minimize.stages.identifier_forms import LookupColumn

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
