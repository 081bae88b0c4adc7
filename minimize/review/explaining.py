"""`explain`: which rule, which case, which row of settings and which technique decide about a field, step by step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from os import PathLike
from pathlib import Path
from typing import Any

from minimize.errors import ConfigurationError, without_values
from minimize.inspection import examined_for
from minimize.job import strangers
from minimize.job.collecting import load_job_settings
from minimize.job.erasing import load_people
from minimize.job.given import as_pipeline
from minimize.job.strangers import Stranger, stranger
from minimize.keys import Keyring, find_keyring
from minimize.plan.effective import ForTenant, effective
from minimize.plan.model import FieldPlan
from minimize.pointer import Pointer
from minimize.policy.faults import did_you_mean
from minimize.policy.pipeline import Pipeline
from minimize.review.planned import Planned
from minimize.review.recorded import Recorded
from minimize.review.step import Step
from minimize.review.trial import Trial, keys_for
from minimize.settings import SettingsRows
from minimize.times import moment

PathLike_ = str | PathLike[str]


@dataclass(frozen=True, slots=True)
class Explanation:
    """What becomes of a field, and the steps to it.

    outcome  `dropped`, `kept`, `generalized`, `gated` (it depends on each record); of a record what became of its values: these,
             `unparsable`, `no value`, `mixed`, or `record gated`, `record quarantined`, `record deduplicated`
    """

    pipeline: str
    field: str
    outcome: str
    why: str
    steps: tuple[Step, ...]
    tenant: str | None = None
    at: datetime | None = None
    record: str | None = None
    stranger: Stranger | None = None
    """The tenant, where settings do not name it."""

    def as_json(self) -> dict[str, Any]:
        """What `explain --json` prints."""
        head = {"pipeline": self.pipeline, "field": self.field, "tenant": self.tenant, "record": self.record}
        at = None if self.at is None else self.at.isoformat()
        said = {"at": at, "outcome": self.outcome, "why": self.why}
        known = {} if self.tenant is None else strangers.as_json(self.stranger)
        return {**head, **known, **said, "steps": [step.as_json() for step in self.steps]}


@without_values
def explain(
    pipeline: Pipeline | PathLike_,
    field: str,
    *,
    tenant: str | None = None,
    at: datetime | str | None = None,
    record: str | None = None,
    settings: Any = None,
    keys: Keyring | PathLike_ | None = None,
) -> Explanation:
    """Why a field leaves a pipeline as it does, or not.

    Takes the pipeline and the field's key; a tenant, for whom settings decide; the time as of which (now); a record as
    `FILE:LINE`, which goes through the stages of a run; what stands in for settings and keyring. No value of the record is told.
    Raises ConfigurationError for a field that the policy does not know, and what `run` raises before it reads.
    """
    job, when = as_pipeline(pipeline), moment(at, "at") or datetime.now(UTC)
    if tenant is not None and record is not None:
        raise ConfigurationError("a record has its own tenant", hint="--tenant or --record, not both")
    key = _key(job, field)
    if key is None:
        return _undeclared(job, field)
    keyring = find_keyring(keys, job.folder)
    rows = None if tenant is None and record is None else load_job_settings(settings, job, keyring)
    if record is not None:
        return _of_record(job, key, record, when, rows, keyring)
    examined = examined_for(job)
    plan = examined.sound()
    refused = [
        Step("refused", f"{each.code} {each.message}", "stops", each.file, each.line) for each in examined.refused
    ]
    if tenant is None:
        steps = (*Planned(plan, key).steps(), *refused)
        return Explanation(job.pipeline, key, _outcome(plan.fields[key], steps), plan.fields[key].why, steps)
    seen = None if rows is None else rows.at(when)
    found = effective(plan, seen, tenant, when).fields[key]
    steps = (*Planned(plan, key, ForTenant(plan, seen, tenant, when)).steps(), *refused)
    whose = stranger(tenant, rows, job.folder)
    return Explanation(job.pipeline, key, _outcome(found, steps), found.why, steps, tenant, when, stranger=whose)


def _key(job: Pipeline, field: str) -> str | None:
    """The key as the policy spells it; None for what it does not name."""
    pointer = _pointer(field)
    return next((key for key, each in job.policy.fields.items() if key == field or each.pointer == pointer), None)


def _pointer(field: str) -> Pointer | None:
    try:
        return Pointer.parse(field)
    except ValueError:
        return None


def _undeclared(job: Pipeline, field: str) -> Explanation:
    """A field that must not even arrive. Raises ConfigurationError for one that the policy does not know."""
    pointer = _pointer(field)
    if pointer is not None and any(each.covers(pointer) for each in job.policy.never):
        found = "the policy lists it under `never`: a record that has it is quarantined"
        return Explanation(job.pipeline, field, "dropped", found, (Step("rule", found, "stops", str(job.policy.path)),))
    hint = did_you_mean(field, job.policy.fields)
    raise ConfigurationError(f"the policy has no rule for {field}: what no rule names never leaves", hint=hint)


def _outcome(field: FieldPlan, steps: Sequence[Step]) -> str:
    """What becomes of its values; a gate that is open to all of them is none."""
    gates = {step.verdict for step in steps if step.what.startswith("gate")}
    if field.action == "drop":
        return "dropped"
    if field.action == "gate" and "depends" in gates:
        return "gated"
    return "kept" if set(field.technique) == {"keep"} else "generalized"


def _of_record(
    job: Pipeline, key: str, record: str, at: datetime, rows: SettingsRows | None, keyring: Keyring | None
) -> Explanation:
    file, line = _place(record)
    people = None if keyring is None else load_people(job, keyring, job.target(), None)
    trial = Trial.of(job, (file,), at, rows, keyring or keys_for(job.policy, at), job.source.format, people)
    tried = trial.one(line)
    if tried is None:
        raise ConfigurationError(f"there is no record in {file}:{line}", hint="lines and rows are counted from 1")
    recorded = Recorded(trial, tried, key, None if rows is None else rows.at(at))
    steps = (*Planned(trial.job.plan, key).steps(), *recorded.steps())
    outcome = recorded.outcome()
    return Explanation(job.pipeline, key, outcome, steps[-1].found, steps, at=at, record=record)


def _place(record: str) -> tuple[Path, int]:
    file, _, line = record.rpartition(":")
    if not file or not line.isdecimal() or int(line) < 1:
        raise ConfigurationError("a record is named by its file and its line", hint="--record FILE:LINE")
    if not Path(file).is_file():
        raise ConfigurationError(f"there is no file {file}", hint="--record FILE:LINE")
    return Path(file), int(line)
