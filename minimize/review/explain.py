"""`explain`: which rule, case, setting and technique decide about a field, as steps of a plan or of one record."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from minimize.datasets.pipelines import pipeline_from
from minimize.errors import ConfigurationError, redact_errors
from minimize.keys import Keyring
from minimize.plan.model import CaseBranch, FieldPlan, Plan, least_revealing, step_residual
from minimize.plan.request import allows_purpose
from minimize.plan.tenant import TenantPlan, plan_for_tenant
from minimize.policy.condition import ALWAYS, NEVER, Condition, LevelAtLeast, setting_atoms
from minimize.policy.describe import condition_text, feature_text, treatment_text
from minimize.policy.model import Field
from minimize.policy.names import field_pointer
from minimize.policy.pipeline import Pipeline
from minimize.review.trial import ExplanationStep, RecordExplanation, StepVerdict, Trial, trial_keyring
from minimize.runs.inputs import load_subject_acts
from minimize.runs.inspection import examine_plan
from minimize.settings import SettingRow, SettingsRows
from minimize.settings import tenants as unknown_tenant
from minimize.settings.evaluation import LEVEL_SETTING
from minimize.settings.tenants import UnknownTenant, find_unknown_tenant
from minimize.stores import PathText
from minimize.text import did_you_mean
from minimize.times import duration_text, parse_time, seconds_text
from minimize.workspace import Workspace


@dataclass(frozen=True, slots=True)
class PlanExplanation:
    """Explanation of one field of a plan, for every tenant or for one (`for_tenant`)."""

    plan: Plan
    key: str
    for_tenant: TenantPlan | None = None

    @property
    def field(self) -> FieldPlan:
        """The field in the plan."""
        return self.plan.fields[self.key]

    def steps(self) -> Iterator[ExplanationStep]:
        """The steps, from the rule of the field to its released form and its use in aggregates."""
        yield self.declared()
        yield self.purpose()
        yield from self.records()
        yield from self.retention()
        for key in dict.fromkeys((self.key, *self.field.field.from_)):
            yield from self.gate(self.plan.policy.fields[key])
        yield from self.forms()
        yield from self.aggregates()

    def declared(self) -> ExplanationStep:
        """The field's rule: key, type, role and description."""
        field = self.field.field
        origin = f", made from {', '.join(field.from_)}" if field.from_ else ""
        about = f" ({field.about})" if field.about else ""
        return self._step("rule", f"{field.key}, {field.type}, role {field.role}{origin}{about}")

    def purpose(self) -> ExplanationStep:
        """Whether the field is available for the purpose of the run."""
        parts = [self.plan.policy.fields[key] for key in (self.key, *self.field.field.from_)]
        forbidding_part = next((part for part in parts if not allows_purpose(part, self.plan.purpose)), None)
        purpose = self.plan.purpose or "(none)"
        if forbidding_part is not None:
            return self._step(
                "purpose",
                f"{purpose}; {forbidding_part.key} is available for {', '.join(forbidding_part.purposes)} only",
                "stops",
            )
        only = self.field.field.purposes
        return self._step(
            "purpose",
            f"{purpose}; the field is available for {', '.join(only)}"
            if only
            else f"{purpose}; the field is available for every purpose",
            "passes",
        )

    def records(self) -> Iterator[ExplanationStep]:
        """Feature, level and conditions that gate whole records."""
        records, pipeline = self.plan.policy.records, self.plan.pipeline
        yield from self._settings("records", records.feature, records.level)
        if records.collect_if is not None:
            yield self._condition("records", records.collect_if)
        if pipeline is not None and pipeline.records is not None and pipeline.records.collect_if is not None:
            yield self._condition("records of the pipeline", pipeline.records.collect_if)

    def retention(self) -> Iterator[ExplanationStep]:
        """Retention of the record, and of the field's value if its feature sets one."""
        policy = self.plan.policy
        if policy.retention is not None:
            yield ExplanationStep(
                "retention", f"records are removed {duration_text(policy.retention)} after their event", "says"
            )
        for key in (self.key, *self.field.field.from_):
            feature = policy.features.get(policy.fields[key].feature or "")
            if feature is not None and feature.retention is not None:
                yield ExplanationStep(
                    "retention", f"values are removed {duration_text(feature.retention)} after their event", "says"
                )

    def gate(self, field: Field) -> Iterator[ExplanationStep]:
        """Feature, level and condition of a field."""
        name = "gate" if field.key == self.key else f"gate of {field.key}"
        yield from self._settings(name, field.feature, field.level)
        if field.collect_if is not None:
            yield self._condition(name, field.collect_if)

    def forms(self) -> Iterator[ExplanationStep]:
        """Released form of a value: one step per case (the first match decides), or a single step."""
        if self.field.gives is None:
            yield self._step("form", self.field.why, "stops")
            return
        decided = False
        for number, branch in enumerate(self.field.branches, 1):
            when = ALWAYS if branch.when is None else branch.when
            when = when if self.for_tenant is None else self.for_tenant.simplify(when)
            never, decided = decided or when == NEVER, decided or when == ALWAYS
            name = "form" if len(self.field.branches) == 1 else "otherwise" if branch.when is None else f"case {number}"
            condition = "" if branch.when is None else f"if {condition_text(branch.when)}: "
            closed = " (never for this tenant)" if never else ""
            verdict: StepVerdict = "stops" if never or (name == "form" and branch.steps is None) else "passes"
            several = len(self.field.branches) > 1 and not never
            yield self._step(name, f"{condition}{self._form(branch)}{closed}", "depends" if several else verdict)

    def _form(self, branch: CaseBranch) -> str:
        if branch.steps is None:
            return "drop"
        roles = {self.plan.policy.fields[key].role for key in (self.key, *self.field.field.from_)}
        residual = least_revealing(step_residual(step, roles) for step in branch.steps)
        return f"{treatment_text(branch.steps)}, residual: {residual}"

    def aggregates(self) -> Iterator[ExplanationStep]:
        """Aggregates that use the field, and the form in which they use it."""
        for name, aggregate in self.plan.aggregates.items():
            keys = [key.field for key in aggregate.model.group_by.values()]
            measured = [column for column, measure in aggregate.model.measures.items() if measure.of == self.key]
            if self.key in keys or measured:
                uses = [*(["groups by it"] if self.key in keys else []), *measured]
                form = self.field.field.in_aggregates if measured else ()
                form_text = f", as {treatment_text(form)}" if form else ", as released"
                yield ExplanationStep(
                    "aggregate", f"{name}: {', '.join(uses)}{form_text}; {aggregate.figures_text}", "says"
                )

    def _settings(self, what: str, feature: str | None, level: str | None) -> Iterator[ExplanationStep]:
        """Steps for a feature and a level. For a tenant, with the rows of settings that decide."""
        if feature is not None:
            text = f"collected if {feature_text(self.plan.policy, feature)}"
            yield self._setting(
                what, text, feature, None if self.for_tenant is None else self.for_tenant.is_on(feature)
            )
        if level is not None:
            text = f"collected if level is {level} or higher"
            yield self._setting(
                what, text, LEVEL_SETTING, None if self.for_tenant is None else self.for_tenant.reaches(level)
            )

    def _setting(self, what: str, text: str, setting: str, is_on: bool | None) -> ExplanationStep:
        """One step. `is_on` is the setting of the tenant; None if no tenant was given."""
        if self.for_tenant is None or is_on is None:
            return self._step(what, text, "depends")
        rows = self.for_tenant.rows(setting)
        if is_on and setting != LEVEL_SETTING and self.for_tenant.asks_subjects(setting):
            return self._step(what, f"{text}: yes for the tenant; the subject's setting decides", "depends", rows)
        return self._step(what, f"{text}: {'yes' if is_on else 'no'}", "passes" if is_on else "stops", rows)

    def _condition(self, what: str, condition: Condition) -> ExplanationStep:
        text = f"collected if {condition_text(condition)}"
        if self.for_tenant is None:
            return self._step(what, text, "depends")
        decided, rows = self.for_tenant.simplify(condition), tuple(self._rows(self.for_tenant, condition))
        if decided in (ALWAYS, NEVER):
            is_met = decided == ALWAYS
            return self._step(what, f"{text}: {'yes' if is_met else 'no'}", "passes" if is_met else "stops", rows)
        undecided = "" if decided == condition else f"; still to be decided: {condition_text(decided)}"
        return self._step(what, text + undecided, "depends", rows)

    def _rows(self, tenant_plan: TenantPlan, condition: Condition) -> Iterator[SettingRow]:
        for atom in setting_atoms(condition):
            yield from tenant_plan.rows(LEVEL_SETTING if isinstance(atom, LevelAtLeast) else atom.name)

    def _step(
        self, what: str, text: str, verdict: StepVerdict = "says", rows: tuple[SettingRow, ...] = ()
    ) -> ExplanationStep:
        """One step; the step "rule" carries file and line of the field's rule."""
        policy = self.plan.policy
        file = None if policy.path is None or what != "rule" else str(policy.path)
        return ExplanationStep(
            what=what,
            found=text,
            verdict=verdict,
            file=file,
            line=None if file is None else self.field.field.line,
            rows=rows,
        )


@dataclass(frozen=True, slots=True)
class FieldExplanation:
    """Outcome for a field, and the steps that lead to it."""

    pipeline: str
    field: str
    outcome: str
    """Of a plan: `dropped`, `kept`, `transformed`, or `gated` (each record decides); of a record also `unparsable`, `no value`,
    `mixed`, `record gated`, `record quarantined`, `record deduplicated`."""
    why: str
    steps: tuple[ExplanationStep, ...]
    tenant: str | None = None
    at: datetime | None = None
    record: str | None = None
    unknown_tenant: UnknownTenant | None = None
    """The tenant, if no row of the settings names it."""

    def to_json(self) -> dict[str, Any]:
        """The explanation as the JSON object that `explain --json` prints."""
        head = {"pipeline": self.pipeline, "field": self.field, "tenant": self.tenant, "record": self.record}
        at = None if self.at is None else self.at.isoformat()
        result = {"at": at, "outcome": self.outcome, "why": self.why}
        known = {} if self.tenant is None else unknown_tenant.unknown_tenant_json(self.unknown_tenant)
        return {**head, **known, **result, "steps": [step.to_json() for step in self.steps]}

    def lines(self) -> Iterator[str]:
        """The outcome, the numbered steps, and the reason."""
        whom = f" for tenant {self.tenant}" if self.tenant else f" in {self.record}" if self.record else ""
        when = f", as of {seconds_text(self.at)}" if self.at else ""
        yield f"{self.field} in {self.pipeline}{whom}{when}: {self.outcome}"
        for number, step in enumerate(self.steps, 1):
            yield from f"{number:>2} {step}".split("\n")
        yield f"result: {self.why}"
        if self.unknown_tenant is not None:
            yield str(self.unknown_tenant)


@redact_errors
def explain(
    pipeline: Pipeline | PathText,
    field: str,
    *,
    tenant: str | None = None,
    at: datetime | str | None = None,
    record: str | None = None,
    settings: Any = None,
    keys: Keyring | PathText | None = None,
) -> FieldExplanation:
    """Explain why a field leaves a pipeline in its form, or does not leave it.

    Takes the pipeline and the field's key. Optional: a tenant, whose settings decide; the time as of which settings are
    evaluated (default: now); a record as `FILE:LINE`, which passes the stages of a run; settings and keyring in place of the
    pipeline's. The result contains no value of the record.
    Raises ConfigurationError for a field that the policy does not declare, and the errors that `run` raises before it reads.
    """
    job = pipeline_from(pipeline)
    workspace = Workspace(pipeline=job, keys=keys)
    if tenant is not None or record is not None:
        workspace.require_settings(settings, tenant)
    when = parse_time(at, "at") or workspace.now
    if tenant is not None and record is not None:
        raise ConfigurationError(
            "--tenant and --record exclude each other: a record has its own tenant", hint="Pass only one of them."
        )
    key = _policy_key(job, field)
    if key is None:
        return _explain_undeclared(job, field)
    rows = None if tenant is None and record is None else workspace.load_settings(settings)
    if record is not None:
        return _explain_record(workspace, key, record, when, rows)
    examined = examine_plan(job)
    plan = examined.require_sound()
    refused = [
        ExplanationStep("refused", f"{finding.code} {finding.message}", "stops", finding.file, finding.line)
        for finding in examined.refused
    ]
    if tenant is None:
        steps = (*PlanExplanation(plan, key).steps(), *refused)
        return FieldExplanation(job.pipeline, key, _plan_outcome(plan.fields[key], steps), plan.fields[key].why, steps)
    effective_rows = None if rows is None else rows.effective_at(when)
    planned_field = plan_for_tenant(plan, effective_rows, tenant, when).fields[key]
    steps = (*PlanExplanation(plan, key, TenantPlan(plan, effective_rows, tenant, when)).steps(), *refused)
    unknown = find_unknown_tenant(tenant, rows, job.config)
    return FieldExplanation(
        pipeline=job.pipeline,
        field=key,
        outcome=_plan_outcome(planned_field, steps),
        why=planned_field.why,
        steps=steps,
        tenant=tenant,
        at=when,
        unknown_tenant=unknown,
    )


def _policy_key(job: Pipeline, field: str) -> str | None:
    """The key as the policy spells it; None if the policy does not declare the field."""
    pointer = field_pointer(field)
    return next((key for key, each in job.policy.fields.items() if key == field or each.pointer == pointer), None)


def _explain_undeclared(job: Pipeline, field: str) -> FieldExplanation:
    """Explanation of a forbidden path (`never`). Raises ConfigurationError for any other field without a rule."""
    pointer = field_pointer(field)
    if pointer is not None and any(each.covers(pointer) for each in job.policy.never):
        reason = "the policy lists this path under `never`: a record with it is quarantined"
        return FieldExplanation(
            job.pipeline, field, "dropped", reason, (ExplanationStep("rule", reason, "stops", str(job.policy.path)),)
        )
    hint = did_you_mean(field, job.policy.fields)
    raise ConfigurationError(f"the policy has no rule for {field}; fields without a rule are always dropped", hint=hint)


def _plan_outcome(field: FieldPlan, steps: Sequence[ExplanationStep]) -> str:
    """Outcome for the field's values. A gate that every value passes does not count."""
    gates = {step.verdict for step in steps if step.what.startswith("gate")}
    if field.action == "drop":
        return "dropped"
    if field.action == "gate" and "depends" in gates:
        return "gated"
    return "kept" if all(branch.keeps_value for branch in field.branches) else "transformed"


def _explain_record(
    workspace: Workspace, key: str, record: str, at: datetime, rows: SettingsRows | None
) -> FieldExplanation:
    job, keyring = workspace.job, workspace.keyring_or_none
    file, line = _record_place(record)
    people = None if keyring is None else load_subject_acts(workspace)
    trial = Trial.of(job, (file,), at, rows, keyring or trial_keyring(job.policy, at), people=people)
    tried = trial.one(line)
    if tried is None:
        raise ConfigurationError(
            f"{file}:{line} contains no record", hint="Pass another line. Lines and rows are counted from 1."
        )
    recorded = RecordExplanation(trial, tried, key, None if rows is None else rows.effective_at(at))
    steps = (*PlanExplanation(trial.job.plan, key).steps(), *recorded.steps())
    outcome = recorded.outcome()
    return FieldExplanation(job.pipeline, key, outcome, steps[-1].found, steps, at=at, record=record)


def _record_place(record: str) -> tuple[Path, int]:
    file, _, line = record.rpartition(":")
    if not file or not line.isdecimal() or int(line) < 1:
        raise ConfigurationError("--record needs a file and a line", hint="Pass --record FILE:LINE.")
    if not Path(file).is_file():
        raise ConfigurationError(
            f"{file}: the file does not exist", hint="Pass --record FILE:LINE with an existing file."
        )
    return Path(file), int(line)
