"""Why a setting is in effect: the decision of a time, and what it depends on (`settings explain`)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import pyarrow as pa

from minimize.datasets.pipelines import LEDGER_SETTINGS
from minimize.governance.settings import PER_SUBJECT, RAN_OUT, names_by_word, not_in_policy_error, warn_if_unchecked
from minimize.identifiers import canonical_word
from minimize.policy.pipeline import Pipeline
from minimize.results import json_object
from minimize.settings import (
    ExplainableSettings,
    FeatureSwitch,
    SettingRow,
    SettingsRows,
    load_settings,
)
from minimize.settings.evaluation import LEVEL_SETTING
from minimize.settings.tenants import UnknownTenant, find_unknown_tenant, unknown_tenant_json
from minimize.settings.timeline import NO_FIELDS, FieldIds
from minimize.settings.tokenized import load_ledger_settings
from minimize.times import epoch_microseconds, seconds_text
from minimize.workspace import Workspace


@dataclass(frozen=True, slots=True)
class SettingDecision:
    """The effective value of a setting at one time, and the rows that decide it."""

    time: datetime
    holds: bool
    rows: tuple[SettingRow, ...]
    switch: FeatureSwitch

    def to_json(self) -> dict[str, Any]:
        """The decision as JSON. The subject's own rows do not repeat its id, which is in the question."""
        rows = [
            json_object(replace(row, subject=None if row.subject is None else "the subject"))
            | ({"ran_out": True} if self.ran_out(row) else {})
            for row in self.rows
        ]
        return json_object({"time": self.time, "on": self.holds, "rows": rows})

    def lines(self, moment: str) -> Iterator[str]:
        """The value and the rows that decide it. `moment` describes the time."""
        head = f"{moment}, {seconds_text(self.time)}: {'on' if self.holds else 'off'}"
        yield head if self.rows else f"{head}: no setting"
        for row in self.rows:
            subject = "" if row.subject is None else " for the subject"
            times = f"valid from {seconds_text(row.valid_from)}, recorded {seconds_text(row.recorded_at)}"
            line = "" if row.line is None else f", line {row.line}"
            yield f"  {row.value} by {row.holder}{subject}: {times}{line}{RAN_OUT if self.ran_out(row) else ''}"

    def ran_out(self, row: SettingRow) -> bool:
        """Whether the row is a subject's own `on` that no longer counts at this time."""
        return row.ran_out(self.switch, self.time)


@dataclass(frozen=True, slots=True)
class SettingExplanation:
    """Whether a value is collected: the setting must hold at the event time and at the time of the run."""

    tenant: str
    setting: str
    event: SettingDecision
    run: SettingDecision
    file: str | None
    unknown_tenant: UnknownTenant | None = None
    """Set if no row names the tenant."""
    per_subject: bool = False
    """Whether the tenant's setting and the subject's own must both be on."""

    @property
    def is_collected(self) -> bool:
        """Whether the value is collected."""
        return self.event.holds and self.run.holds

    def to_json(self) -> dict[str, Any]:
        """The answer as `settings explain --json` prints it."""
        head = {"tenant": self.tenant, "setting": self.setting, "collected": self.is_collected, "settings": self.file}
        head |= unknown_tenant_json(self.unknown_tenant) | ({"per_subject": True} if self.per_subject else {})
        return {**head, "event": self.event.to_json(), "run": self.run.to_json()}

    def lines(self) -> Iterator[str]:
        """The answer, and the rows that decide at each time."""
        source = f" (settings: {self.file})" if self.file else ""
        yield f"{self.setting} of {self.tenant}: {'collected' if self.is_collected else 'not collected'}{source}"
        if self.unknown_tenant is not None:
            yield str(self.unknown_tenant)
        if self.per_subject:
            yield PER_SUBJECT
        yield from self.event.lines("at the event time")
        yield from self.run.lines("at the run time")


def explain_setting(
    tenant: str,
    setting: str,
    event: datetime,
    workspace: Workspace,
    *,
    run: datetime,
    subject: str | None = None,
    settings: Any = None,
    field: str | None = None,
) -> SettingExplanation:
    """Explains a setting of a tenant to the current actor, who may read it. See `find_setting_reasons`."""
    workspace.require("settings/read", tenant=tenant)
    return find_setting_reasons(
        tenant, setting, event, workspace, run=run, subject=subject, settings=settings, field=field
    )


def find_setting_reasons(
    tenant: str,
    setting: str,
    event: datetime,
    workspace: Workspace,
    *,
    run: datetime,
    subject: str | None = None,
    settings: Any = None,
    field: str | None = None,
) -> SettingExplanation:
    """Explains why a value of this event time is collected or not.

    Takes a feature or a level, the event time and the time of the run. `field` names the field that contains the subject's id, if
    it is not the policy's subject. `settings` is a path, a table or `ledger`; by default the
    pipeline's settings are used, else the ledger's. Levels and the holders of a feature are defined in the policy, so they need
    the pipeline. Raises PolicyError for a name that the policy does not declare.
    """
    rows = _load_rows(workspace, settings)
    job = workspace.loaded_pipeline
    if job is None:
        warn_if_unchecked("levels, and who may turn the feature on,")
    question = _SettingQuestion.for_setting(setting, job)
    effective = rows.effective_at(run)
    at_event, at_run = (
        SettingDecision(
            when,
            question.holds(effective, when, tenant, subject, field),
            question.deciding_rows(effective, when, tenant, subject, field),
            question.switch,
        )
        for when in (event, run)
    )
    unknown = find_unknown_tenant(tenant, rows, workspace.config)
    return SettingExplanation(
        tenant=tenant,
        setting=setting,
        event=at_event,
        run=at_run,
        file=rows.file,
        unknown_tenant=unknown,
        per_subject=question.switch.per_subject,
    )


@dataclass(frozen=True, slots=True)
class _SettingQuestion:
    """A feature and how settings decide it, or a level among the levels."""

    name: str
    switch: FeatureSwitch
    levels: tuple[str, ...] = ()

    @classmethod
    def for_setting(cls, name: str, job: Pipeline | None) -> _SettingQuestion:
        if job is None:
            return cls(name, FeatureSwitch(name))
        word = canonical_word(name)
        level = names_by_word(job.policy.levels).get(word)
        if level is not None:
            return cls(level, FeatureSwitch(level, subject=job.policy.subject), job.policy.levels)
        switch = job.policy.switch(names_by_word(job.policy.features).get(word, name))
        if switch is None:
            message = f"the policy has no feature or level `{name}`"
            raise not_in_policy_error(job, message, name, job.policy.features, job.policy.levels)
        return cls(switch.name, switch)

    def holds(
        self, effective: ExplainableSettings, when: datetime, tenant: str, subject: str | None, field: str | None
    ) -> bool:
        effective_then, tenants = effective.as_of(epoch_microseconds(when)), pa.array([tenant], pa.string())
        ids = None if subject is None else pa.array([subject], pa.string())
        subjects = ids if field in (None, self.switch.subject) else None
        named = field or self.switch.subject
        others = NO_FIELDS if named is None or ids is None else {named: FieldIds(ids)}
        if self.levels:
            return bool(
                effective_then.level_at_least(self.name, self.levels, tenants, subjects, None, others)[0].as_py()
            )
        return bool(effective_then.feature_on(self.switch, tenants, subjects, None, others)[0].as_py())

    def deciding_rows(
        self, effective: ExplainableSettings, when: datetime, tenant: str, subject: str | None, field: str | None
    ) -> tuple[SettingRow, ...]:
        name = LEVEL_SETTING if self.levels else self.name
        fields = (None, self.switch.subject) if field in (None, self.switch.subject) else (field,)
        rows_by_field = (effective.deciding_rows(tenant, name, when, subject, self.levels, each) for each in fields)
        return tuple(dict.fromkeys(row for rows in rows_by_field for row in rows))


def _load_rows(workspace: Workspace, settings: Any) -> SettingsRows:
    """The settings to explain."""
    job = workspace.loaded_pipeline
    source = settings if settings is not None else None if job is None else job.settings
    if workspace.ledger is None and source is not None and source != LEDGER_SETTINGS:
        loaded = load_settings(source) if settings is not None else workspace.load_settings() if job else None
        rows = load_settings(None) if loaded is None else loaded
    else:
        with workspace.open_ledger() as ledger:
            rows = load_ledger_settings(ledger)
    return rows if job is None else rows.with_folding(job.policy.settings_folding, job.policy.levels)
