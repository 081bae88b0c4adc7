"""Plan of the bound on disclosure risk: the released fields that it reads, and faults of configuration."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pyarrow as pa

from minimize.arrow.pointers import Pointer
from minimize.disclosure_risk.requirement import Requirement
from minimize.errors import Finding
from minimize.plan.checks import field_fault
from minimize.plan.model import FieldPlan, RiskPlan
from minimize.policy.model import Policy
from minimize.policy.pipeline import Pipeline
from minimize.policy.risk_forms import SEARCHING_ACTIONS, RiskModel


def plan_risk(pipeline: Pipeline, fields: Mapping[str, FieldPlan], faults: list[Finding]) -> RiskPlan | None:
    """The bound of a pipeline's records; None if there is none, or if it has faults, which are added to `faults`."""
    model = None if pipeline.records is None else pipeline.records.risk
    if model is None:
        return None
    bound_faults = list(_bound_faults(pipeline, model, fields))
    faults.extend(bound_faults)
    if bound_faults:
        return None
    policy, counts_persons = pipeline.policy, model.counting == "persons"
    return RiskPlan(
        model=model,
        quasi_identifiers=model.quasi_identifiers,
        sensitive=model.sensitive,
        person=Pointer.parse(policy.subject) if counts_persons and policy.subject else None,
        folds_case=policy.folds_case(policy.subject),
        requirement=Requirement(dict(model.require)),
        levelled=tuple(key for key in model.quasi_identifiers if fields[key].coarser_forms),
    )


def level_faults(policy: Policy, fields: Mapping[str, FieldPlan], pipeline: Pipeline | None) -> Iterator[Finding]:
    """P142, P143: `auto` where no search chooses a level, or where a later step or a case needs one."""
    model = None if pipeline is None or pipeline.records is None else pipeline.records.risk
    searched = model.quasi_identifiers if model is not None and model.otherwise in SEARCHING_ACTIONS else ()
    for key, field in fields.items():
        steps = [step for step in field.steps if step.coarser_forms]
        if field.gives is None or not steps:
            continue
        if key not in searched:
            message = "`auto` needs a bound that chooses levels"
            hint = (
                "List the field in `records: risk: quasi_identifiers` with `otherwise: generalize`, or set its level."
            )
            yield field_fault(policy, field.field, "P142", message, hint)
        elif field.coarser_forms is None:
            message = "`auto` must be the last technique of a field without cases"
            yield field_fault(policy, field.field, "P143", message, "Set the level, or remove the cases.")


def _bound_faults(pipeline: Pipeline, model: RiskModel, fields: Mapping[str, FieldPlan]) -> Iterator[Finding]:
    """P140, P141, P144, P145: fields that the records do not have, or that have no value to compare, and searches without a
    choice or with a choice that aggregates cannot follow."""
    for word, keys in (("quasi_identifiers", model.quasi_identifiers), ("sensitive", model.sensitive)):
        for key in keys:
            field = fields.get(key)
            if field is None or field.gives is None:
                message = f"{key} is not in the records, so it has no part in a combination"
                yield _risk_fault(pipeline, "P140", message, f"Remove it from `{word}`, or release it.", key, word)
            elif pa.types.is_nested(field.gives) and not pa.types.is_struct(field.gives):
                message = f"{key} is a list or a map, which has no part in a combination"
                yield _risk_fault(pipeline, "P141", message, "Use a field with one value per record.", key, word)
    if model.otherwise not in SEARCHING_ACTIONS:
        return
    levelled = [key for key in model.quasi_identifiers if key in fields and fields[key].coarser_forms]
    if not levelled:
        hint = "Set the level of a quasi-identifier to `auto`, or use `otherwise: suppress`."
        yield _risk_fault(pipeline, "P144", f"`{model.otherwise}` has no level to choose", hint, None, "otherwise")
    for name, aggregate in pipeline.aggregates.items():
        grouped = {key.field for key in aggregate.group_by.values()} if model.otherwise == "recode" else set()
        measured = {measure.of for measure in aggregate.measures.values() if measure.of is not None}
        for key in levelled:
            if key in grouped | measured:
                message = f"{name} reads {key}, whose level is chosen"
                yield _risk_fault(
                    pipeline, "P145", message, "Set its level, or remove it from the table.", key, "otherwise"
                )


def _risk_fault(pipeline: Pipeline, code: str, message: str, hint: str, key: str | None, word: str) -> Finding:
    path = pipeline.path
    return Finding(
        code,
        message,
        hint=hint,
        file=None if path is None else str(path),
        line=pipeline.line_of("records", "risk", word),
        field=key,
    )
