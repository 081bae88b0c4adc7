"""`explain`: which rule, case, setting and technique decide about a field, as steps of a plan or of one record."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from minimize.errors import ConfigurationError, redact_errors
from minimize.keys import Keyring, find_keyring
from minimize.plan.category import least_revealing, step_leaves
from minimize.plan.model import CaseBranch, FieldPlan, Plan
from minimize.plan.request import allows_purpose
from minimize.plan.tenant import TenantPlan, plan_for_tenant
from minimize.policy.condition import Condition, FeatureOn, LevelAtLeast, atoms
from minimize.policy.describe import condition_text, duration_text, feature_text, treatment_text
from minimize.policy.mapping_reader import field_pointer
from minimize.policy.model import Field, Pipeline
from minimize.review.trial import ExplanationStep, RecordExplanation, StepVerdict, Trial, trial_keyring
from minimize.runs.inputs import load_pipeline_settings, load_subject_acts, pipeline_from
from minimize.runs.inspection import examine_plan
from minimize.settings import SettingRow, SettingsRows, unknown_tenant
from minimize.settings.evaluation import LEVEL_SETTING
from minimize.settings.unknown_tenant import UnknownTenant, find_unknown_tenant
from minimize.stores import PathText
from minimize.text import did_you_mean
from minimize.times import parse_time


@dataclass(frozen=True, slots=True)
class PlanExplanation:
    """One field of a plan; `asked` where it is explained for a tenant."""

    plan: Plan
    key: str
    for_tenant: TenantPlan | None = None

    @property
    def field(self) -> FieldPlan:
        """The field in the plan."""
        return self.plan.fields[self.key]

    def steps(self) -> Iterator[ExplanationStep]:
        """From the rule to the form."""
        yield self.declared()
        yield self.purpose()
        yield from self.records()
        yield from self.retention()
        for key in dict.fromkeys((self.key, *self.field.field.from_)):
            yield from self.gate(self.plan.policy.fields[key])
        yield from self.forms()
        yield from self.aggregates()

    def declared(self) -> ExplanationStep:
        """The rule itself."""
        field = self.field.field
        made = f", made from {', '.join(field.from_)}" if field.from_ else ""
        about = f" ({field.about})" if field.about else ""
        return self._step("rule", f"{field.key}, {field.type}, role {field.role}{made}{about}")

    def purpose(self) -> ExplanationStep:
        """Whether it may be had for the purpose of the run."""
        parts = [self.plan.policy.fields[key] for key in (self.key, *self.field.field.from_)]
        against = next((part for part in parts if not allows_purpose(part, self.plan.purpose)), None)
        purpose = f"purpose {self.plan.purpose or '(none)'}"
        if against is not None:
            return self._step(
                "purpose", f"{purpose}; {against.key} is for {', '.join(against.purposes)} alone", "stops"
            )
        only = self.field.field.purposes
        return self._step("purpose", f"{purpose}, one of {', '.join(only)}" if only else f"{purpose}, as any", "passes")

    def records(self) -> Iterator[ExplanationStep]:
        """What gates whole records."""
        records, pipeline = self.plan.policy.records, self.plan.pipeline
        yield from self._settings("records", records.feature, records.level)
        if records.collect_if is not None:
            yield self._condition("records", records.collect_if)
        if pipeline is not None and pipeline.records is not None and pipeline.records.collect_if is not None:
            yield self._condition("records of the pipeline", pipeline.records.collect_if)

    def retention(self) -> Iterator[ExplanationStep]:
        """After how long a record, or a value of it, must not be there any more."""
        policy = self.plan.policy
        if policy.retention is not None:
            yield ExplanationStep(
                "retention", f"no record is written {duration_text(policy.retention)} after its event", "says"
            )
        for key in (self.key, *self.field.field.from_):
            feature = policy.features.get(policy.fields[key].feature or "")
            if feature is not None and feature.retention is not None:
                yield ExplanationStep(
                    "retention", f"no value is written {duration_text(feature.retention)} after its event", "says"
                )

    def gate(self, field: Field) -> Iterator[ExplanationStep]:
        """Feature, level and condition of a field."""
        name = "gate" if field.key == self.key else f"gate of {field.key}"
        yield from self._settings(name, field.feature, field.level)
        if field.collect_if is not None:
            yield self._condition(name, field.collect_if)

    def forms(self) -> Iterator[ExplanationStep]:
        """What becomes of a value: the cases, of which the first that matches decides, or the one way."""
        if self.field.gives is None:
            yield self._step("form", self.field.why, "stops")
            return
        decided = False
        for number, branch in enumerate(self.field.branches, 1):
            when = (
                branch.when if self.for_tenant is None or branch.when is None else self.for_tenant.simplify(branch.when)
            )
            never, decided = decided or when is False, decided or when in (None, True)
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
        return f"{treatment_text(branch.steps)}, leaves {least_revealing(step_leaves(step, roles) for step in branch.steps)}"

    def aggregates(self) -> Iterator[ExplanationStep]:
        """Which aggregates see it, and in what form."""
        for name, aggregate in self.plan.aggregates.items():
            keys = [key.field for key in aggregate.model.group_by.values()]
            measured = [column for column, measure in aggregate.model.measures.items() if measure.of == self.key]
            if self.key in keys or measured:
                uses = [*(["groups by it"] if self.key in keys else []), *measured]
                form = self.field.field.in_aggregates if measured else ()
                seen = f", as {treatment_text(form)}" if form else ", as released"
                yield ExplanationStep("aggregate", f"{name}: {', '.join(uses)}{seen}", "says")

    def _settings(self, what: str, feature: str | None, level: str | None) -> Iterator[ExplanationStep]:
        """A feature and a level, with the rows that decide where a tenant is asked for."""
        if feature is not None:
            found = f"collected where {feature_text(self.plan.policy, feature)}"
            yield self._setting(
                what, found, feature, None if self.for_tenant is None else self.for_tenant.is_on(feature)
            )
        if level is not None:
            found = f"collected where level is {level} or higher"
            yield self._setting(
                what, found, LEVEL_SETTING, None if self.for_tenant is None else self.for_tenant.reaches(level)
            )

    def _setting(self, what: str, found: str, setting: str, is_on: bool | None) -> ExplanationStep:
        """One of them; `is_on` is what it is for the tenant that is asked for."""
        if self.for_tenant is None or is_on is None:
            return self._step(what, found, "depends")
        rows = self.for_tenant.rows(setting)
        if is_on and setting != LEVEL_SETTING and self.for_tenant.asks_subjects(setting):
            return self._step(what, f"{found}: it is so for the tenant, and depends on the subject", "depends", rows)
        return self._step(what, f"{found}: it is {'so' if is_on else 'not so'}", "passes" if is_on else "stops", rows)

    def _condition(self, what: str, condition: Condition) -> ExplanationStep:
        found = f"collected if {condition_text(condition)}"
        if self.for_tenant is None:
            return self._step(what, found, "depends")
        decided, rows = self.for_tenant.simplify(condition), tuple(self._rows(self.for_tenant, condition))
        if isinstance(decided, bool):
            told = f"{found}: it is {'so' if decided else 'not so'}"
            return self._step(what, told, "passes" if decided else "stops", rows)
        left = "" if decided == condition else f"; left to ask: {condition_text(decided)}"
        return self._step(what, found + left, "depends", rows)

    def _rows(self, tenant_plan: TenantPlan, condition: Condition) -> Iterator[SettingRow]:
        for atom in atoms(condition):
            if isinstance(atom, FeatureOn | LevelAtLeast):
                yield from tenant_plan.rows("level" if isinstance(atom, LevelAtLeast) else atom.name)

    def _step(
        self, what: str, found: str, verdict: StepVerdict = "says", rows: tuple[SettingRow, ...] = ()
    ) -> ExplanationStep:
        """A step about the field, with the place of its rule."""
        policy = self.plan.policy
        file = None if policy.path is None or what != "rule" else str(policy.path)
        return ExplanationStep(what, found, verdict, file, None if file is None else self.field.field.line, rows)


@dataclass(frozen=True, slots=True)
class FieldExplanation:
    """What becomes of a field, and the steps to it.

    outcome  `dropped`, `kept`, `generalized`, `gated` (it depends on each record); of a record what became of its values: these,
             `unparsable`, `no value`, `mixed`, or `record gated`, `record quarantined`, `record deduplicated`
    """

    pipeline: str
    field: str
    outcome: str
    why: str
    steps: tuple[ExplanationStep, ...]
    tenant: str | None = None
    at: datetime | None = None
    record: str | None = None
    unknown_tenant: UnknownTenant | None = None
    """The tenant, where settings do not name it."""

    def as_json(self) -> dict[str, Any]:
        """What `explain --json` prints."""
        head = {"pipeline": self.pipeline, "field": self.field, "tenant": self.tenant, "record": self.record}
        at = None if self.at is None else self.at.isoformat()
        said = {"at": at, "outcome": self.outcome, "why": self.why}
        known = {} if self.tenant is None else unknown_tenant.unknown_tenant_json(self.unknown_tenant)
        return {**head, **known, **said, "steps": [step.as_json() for step in self.steps]}


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
    """Why a field leaves a pipeline as it does, or not.

    Takes the pipeline and the field's key; a tenant, for whom settings decide; the time as of which (now); a record as
    `FILE:LINE`, which goes through the stages of a run; what stands in for settings and keyring. No value of the record is told.
    Raises ConfigurationError for a field that the policy does not know, and what `run` raises before it reads.
    """
    job, when = pipeline_from(pipeline), parse_time(at, "at") or datetime.now(UTC)
    if tenant is not None and record is not None:
        raise ConfigurationError("a record has its own tenant", hint="--tenant or --record, not both")
    key = _policy_key(job, field)
    if key is None:
        return _explain_undeclared(job, field)
    keyring = find_keyring(keys, job.folder)
    rows = None if tenant is None and record is None else load_pipeline_settings(settings, job, keyring)
    if record is not None:
        return _explain_record(job, key, record, when, rows, keyring)
    examined = examine_plan(job)
    plan = examined.require_sound()
    refused = [
        ExplanationStep("refused", f"{each.code} {each.message}", "stops", each.file, each.line)
        for each in examined.refused
    ]
    if tenant is None:
        steps = (*PlanExplanation(plan, key).steps(), *refused)
        return FieldExplanation(job.pipeline, key, _plan_outcome(plan.fields[key], steps), plan.fields[key].why, steps)
    seen = None if rows is None else rows.effective_at(when)
    found = plan_for_tenant(plan, seen, tenant, when).fields[key]
    steps = (*PlanExplanation(plan, key, TenantPlan(plan, seen, tenant, when)).steps(), *refused)
    whose = find_unknown_tenant(tenant, rows, job.folder)
    return FieldExplanation(
        job.pipeline, key, _plan_outcome(found, steps), found.why, steps, tenant, when, unknown_tenant=whose
    )


def _policy_key(job: Pipeline, field: str) -> str | None:
    """The key as the policy spells it; None for what it does not name."""
    pointer = field_pointer(field)
    return next((key for key, each in job.policy.fields.items() if key == field or each.pointer == pointer), None)


def _explain_undeclared(job: Pipeline, field: str) -> FieldExplanation:
    """A field that must not even arrive. Raises ConfigurationError for one that the policy does not know."""
    pointer = field_pointer(field)
    if pointer is not None and any(each.covers(pointer) for each in job.policy.never):
        found = "the policy lists it under `never`: a record that has it is quarantined"
        return FieldExplanation(
            job.pipeline, field, "dropped", found, (ExplanationStep("rule", found, "stops", str(job.policy.path)),)
        )
    hint = did_you_mean(field, job.policy.fields)
    raise ConfigurationError(f"the policy has no rule for {field}: what no rule names never leaves", hint=hint)


def _plan_outcome(field: FieldPlan, steps: Sequence[ExplanationStep]) -> str:
    """What becomes of its values; a gate that is open to all of them is none."""
    gates = {step.verdict for step in steps if step.what.startswith("gate")}
    if field.action == "drop":
        return "dropped"
    if field.action == "gate" and "depends" in gates:
        return "gated"
    return "kept" if set(field.technique) == {"keep"} else "generalized"


def _explain_record(
    job: Pipeline, key: str, record: str, at: datetime, rows: SettingsRows | None, keyring: Keyring | None
) -> FieldExplanation:
    file, line = _record_place(record)
    people = None if keyring is None else load_subject_acts(job, keyring, job.target(), None)
    trial = Trial.of(job, (file,), at, rows, keyring or trial_keyring(job.policy, at), job.source.format, people)
    tried = trial.one(line)
    if tried is None:
        raise ConfigurationError(f"there is no record in {file}:{line}", hint="lines and rows are counted from 1")
    recorded = RecordExplanation(trial, tried, key, None if rows is None else rows.effective_at(at))
    steps = (*PlanExplanation(trial.job.plan, key).steps(), *recorded.steps())
    outcome = recorded.outcome()
    return FieldExplanation(job.pipeline, key, outcome, steps[-1].found, steps, at=at, record=record)


def _record_place(record: str) -> tuple[Path, int]:
    file, _, line = record.rpartition(":")
    if not file or not line.isdecimal() or int(line) < 1:
        raise ConfigurationError("a record is named by its file and its line", hint="--record FILE:LINE")
    if not Path(file).is_file():
        raise ConfigurationError(f"there is no file {file}", hint="--record FILE:LINE")
    return Path(file), int(line)
