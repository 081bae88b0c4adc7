"""Plan for one tenant at one time: settings are applied to gates and conditions, with explanations."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime

import pyarrow as pa

from minimize.plan.model import CaseBranch, FieldPlan, Plan, case_branches
from minimize.policy.condition import ALWAYS, NEVER, Atom, Condition, FeatureOn, LevelAtLeast, RowFacts
from minimize.policy.describe import condition_text, treatment_text
from minimize.policy.model import RecordsGate
from minimize.settings.evaluation import ExplainableSettings, SettingRow
from minimize.times import seconds_text

USER_HOLDER = ("user",)
"""The holders of a feature that each subject turns on individually."""


def plan_for_tenant(plan: Plan, settings: ExplainableSettings | None, tenant: str, at: datetime) -> Plan:
    """The plan for one tenant with its settings at a time: features that are off are dropped, conditions are simplified.

    Settings of single subjects are not applied: a feature that is on for the tenant may be off for one of its subjects.
    """
    tenant_plan = TenantPlan(plan, settings, tenant, at)
    whole = list(tenant_plan.closed_records())
    fields = {key: tenant_plan.field(field, whole) for key, field in plan.fields.items()}
    return replace(plan, fields=fields)


@dataclass(frozen=True, slots=True)
class TenantPlan:
    """Evaluates the parts of a plan for one tenant."""

    plan: Plan
    settings: ExplainableSettings | None
    name: str
    at: datetime

    def field(self, field: FieldPlan, whole: list[str]) -> FieldPlan:
        """The field for this tenant; `whole` has the reasons why no record is collected."""
        if field.action == "drop":
            return field
        closed = [*whole, *self.closed_reasons(field)]
        if closed:
            why = f"{' and '.join(closed)} for this tenant at {seconds_text(self.at)}"
            return replace(field, action="drop", technique=("drop",), why=why, residual=None)
        conditions = "; ".join(self.remaining_conditions(field))
        return replace(field, why=conditions) if conditions else field

    def closed_reasons(self, field: FieldPlan) -> Iterator[str]:
        """Why no value of the field is collected."""
        closed = [why for key in (field.key, *field.field.from_) for why in self.shut(key)]
        yield from dict.fromkeys(closed)
        if not closed and all(branch.steps is None for branch in self.branches(field)):
            yield "every case drops the value"

    def shut(self, key: str) -> Iterator[str]:
        """Why the gate of a field is closed to all of this tenant's values."""
        field = self.plan.policy.fields[key]
        yield from self.settings_off(field.feature, field.level)
        if field.collect_if is not None and self.simplify(field.collect_if) == NEVER:
            yield f"the condition is not met: {condition_text(field.collect_if)}"

    def closed_records(self) -> Iterator[str]:
        """Why no record is collected."""
        records: RecordsGate = self.plan.policy.records
        yield from self.settings_off(records.feature, records.level)
        pipeline = None if self.plan.pipeline is None else self.plan.pipeline.records
        for condition in (records.collect_if, None if pipeline is None else pipeline.collect_if):
            if condition is not None and self.simplify(condition) == NEVER:
                yield f"no record is collected because the condition is not met: {condition_text(condition)}"

    def settings_off(self, feature: str | None, level: str | None) -> Iterator[str]:
        """Reasons why a feature or a level is not on."""
        if feature is not None and not self.is_on(feature):
            yield f"feature {feature} is off{self.setting_lines(feature)}"
        if level is not None and not self.reaches(level):
            yield f"level is below {level}{self.setting_lines('level')}"

    def remaining_conditions(self, field: FieldPlan) -> Iterator[str]:
        """The conditions that remain for each value after settings are applied; none for a field without conditions and cases."""
        if field.field.collect_if is None and not field.field.cases:
            return
        if field.field.feature is not None:
            also = ", and must be on for the subject itself" if self.asks_subjects(field.field.feature) else ""
            yield f"feature {field.field.feature} is on for this tenant{also}"
        if field.field.level is not None:
            yield f"level is {field.field.level} or higher for this tenant"
        condition = None if field.field.collect_if is None else self.simplify(field.field.collect_if)
        if condition in (ALWAYS, NEVER):
            yield "collected"
        elif condition is not None:
            yield f"collected if {condition_text(condition)}"
        for branch in self.branches(field):
            treatment = treatment_text(branch.steps or "drop")
            if branch.when is not None:
                yield f"if {condition_text(branch.when)}: {treatment}"
            else:
                yield f"otherwise {treatment}" if field.field.cases else treatment

    def branches(self, field: FieldPlan) -> Iterator[CaseBranch]:
        """The cases that can still be taken."""
        for branch in field.branches or case_branches(field.field):
            when = ALWAYS if branch.when is None else self.simplify(branch.when)
            if when != NEVER:
                yield CaseBranch(None if when == ALWAYS else when, branch.steps)
            if when == ALWAYS:
                return

    def simplify(self, condition: Condition) -> Condition:
        """The part of a condition that features and levels leave open; `ALWAYS` or `NEVER` if they decide it."""
        return RowFacts(self._truth).simplify(condition)

    def _truth(self, atom: Atom) -> bool | None:
        match atom:
            case FeatureOn(name):
                is_on = self.is_on(name)
                return None if is_on and self.asks_subjects(name) else is_on
            case LevelAtLeast(name):
                return self.reaches(name)
            case _:
                return None

    def is_on(self, feature: str) -> bool:
        """Whether the feature permits collection for at least one subject."""
        switch = self.plan.policy.switch(feature)
        if self.settings is None or switch is None:
            return False
        own_is_enough = switch.holders == USER_HOLDER and not switch.per_subject
        if own_is_enough and not any(row.value != "on" for row in self.rows(feature)):
            return True
        return bool(self.settings.feature_on(switch.of_tenants, self.tenants, None, None)[0].as_py())

    def asks_subjects(self, feature: str) -> bool:
        """Whether a feature that is on for the tenant also needs the subject's own setting."""
        return self.plan.policy.features[feature].per_subject

    def reaches(self, level: str) -> bool:
        """Whether the level is in force, or a higher one."""
        levels = self.plan.policy.levels
        if level == levels[0]:
            return True
        return self.settings is not None and bool(
            self.settings.level_at_least(level, levels, self.tenants, None, None)[0].as_py()
        )

    def rows(self, setting: str) -> tuple[SettingRow, ...]:
        """The rows of the settings that decide for the whole tenant."""
        if self.settings is None:
            return ()
        return self.settings.deciding_rows(self.name, setting, self.at, levels=self.plan.policy.levels)

    def setting_lines(self, setting: str) -> str:
        """The lines of the settings that turn it off, in words; empty if there are none."""
        lines = sorted(row.line for row in self.rows(setting) if row.value != "on" and row.line is not None)
        return f" (settings, line {', '.join(map(str, lines))})" if lines else ""

    @property
    def tenants(self) -> pa.Array:
        """The tenant as a column, for the evaluation of settings."""
        return pa.array([self.name], pa.string())
