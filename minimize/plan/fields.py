"""Plan of each field: its cases, its types from step to step, what it leaves, an explanation; and keys of maps as fields.

Keys of a map are values: they leave only if the policy says so.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace

import pyarrow as pa

from minimize.arrow.nested import leaf_type
from minimize.arrow.pointers import Pointer
from minimize.errors import Finding
from minimize.plan import category
from minimize.plan.model import CaseBranch, FieldAction, FieldPlan
from minimize.plan.request import allows_purpose
from minimize.policy.describe import condition_text, duration_text, feature_text, treatment_text
from minimize.policy.model import Field, Policy, Role, Treatment
from minimize.policy.roles import presumed_role
from minimize.techniques import Leaves, TechniqueStep, UnsupportedType, value_type


def plan_field(
    policy: Policy, field: Field, source: pa.Schema, purpose: str | None, faults: list[Finding]
) -> FieldPlan:
    """The field under this purpose; what does not fit goes to `faults`."""
    only_for = _excluding_purposes(policy, field, purpose)
    branches = (CaseBranch(None, None),) if only_for else case_branches(field)
    inputs = tuple(Pointer.parse(key) for key in field.from_) or (field.pointer,)
    measured_steps = () if only_for else field.in_aggregates
    released = any(branch.steps is not None for branch in branches)
    takes = _input_type(field, inputs, source) if released or measured_steps else pa.null()
    gives = _output_type(policy, field, takes, branches, faults) if released else None
    measured = _chain_type(policy, field, takes, measured_steps, faults) if measured_steps else None
    faults.extend(_misplaced_techniques(policy, field))
    roles = [presumed_role(each) for each in (field, *(policy.fields[key] for key in field.from_))]
    leaves = _field_leaves(branches, roles) if released else None
    return FieldPlan(
        field=field,
        pointer=field.pointer,
        inputs=inputs,
        takes=takes,
        gives=gives,
        measured=measured,
        action=_field_action(field, branches, released),
        technique=_technique_names(branches),
        why="; ".join(_explanations(policy, field, only_for, released)),
        leaves=leaves,
        category=None
        if leaves is None
        else category.highest_category(category.column_category(role, leaves) for role in roles),
        branches=branches,
    )


def case_branches(field: Field) -> tuple[CaseBranch, ...]:
    """The cases in order, then what happens otherwise; one unconditional branch for a field without cases."""
    if not field.cases:
        return (CaseBranch(None, _chain_steps(field.do)),)
    return (
        *(CaseBranch(case.when, _chain_steps(case.do)) for case in field.cases),
        CaseBranch(None, _chain_steps(field.otherwise)),
    )


def _chain_steps(do: Treatment) -> tuple[TechniqueStep, ...] | None:
    return None if do == "drop" else do


def _input_type(field: Field, inputs: Sequence[Pointer], source: pa.Schema) -> pa.DataType:
    if not field.from_:
        return value_type(leaf_type(source, field.pointer))
    children = [(key, value_type(leaf_type(source, pointer))) for key, pointer in zip(field.from_, inputs, strict=True)]
    return pa.struct(children)


def _output_type(
    policy: Policy, field: Field, takes: pa.DataType, branches: Sequence[CaseBranch], faults: list[Finding]
) -> pa.DataType:
    types = [_chain_type(policy, field, takes, branch.steps, faults) for branch in branches if branch.steps is not None]
    if len(set(types)) > 1:
        names = ", ".join(sorted({str(type_) for type_ in types}))
        faults.append(
            field_fault(policy, field, "P102", f"its cases give different types: {names}", "all cases give one type")
        )
    return types[0]


def _chain_type(
    policy: Policy, field: Field, type_: pa.DataType, steps: Sequence[TechniqueStep], faults: list[Finding]
) -> pa.DataType:
    for step in steps:
        try:
            type_ = step.output_type(type_)
        except UnsupportedType as refused:
            message = f"`{step.name}` does not take {type_}"
            faults.append(field_fault(policy, field, "P101", message, f"it takes {', '.join(refused.takes)}"))
            break
    return type_


def _misplaced_techniques(policy: Policy, field: Field) -> Iterator[Finding]:
    tops = [step for branch in case_branches(field) for step in branch.steps or () if step.name == "top"]
    if len(tops) > 1:
        yield field_fault(policy, field, "P103", "it has more than one `top`", "one field, one `top`")
    if tops and policy.subject is None:
        yield field_fault(
            policy, field, "P104", "`top` counts subjects, and the policy names none", "say `subject: FIELD`"
        )
    if any(step.name == "top" for step in field.in_aggregates):
        yield field_fault(policy, field, "P105", "`top` cannot stand in `in_aggregates`", "put it under `do`")
    if field.from_ and not field.pointer.is_flat:
        yield field_fault(policy, field, "P106", "a derived field cannot be nested", "give it a plain name")


def _field_leaves(branches: Sequence[CaseBranch], roles: Collection[Role]) -> Leaves:
    return category.most_revealing(
        category.least_revealing(category.step_leaves(step, roles) for step in branch.steps)
        for branch in branches
        if branch.steps is not None
    )


def _technique_names(branches: Sequence[CaseBranch]) -> tuple[str, ...]:
    words = [name for branch in branches for name in ([s.name for s in branch.steps] if branch.steps else ["drop"])]
    return tuple(words if len(branches) == 1 else dict.fromkeys(words))


def _field_action(field: Field, branches: Sequence[CaseBranch], released: bool) -> FieldAction:
    if not released:
        return "drop"
    if field.is_gated:
        return "gate"
    return "keep" if set(_technique_names(branches)) == {"keep"} else "generalize"


def _excluding_purposes(policy: Policy, field: Field, purpose: str | None) -> tuple[str, ...]:
    """The purposes that the field, or one that it is made from, is for, where this one is none of them."""
    parts = (field, *(policy.fields[key] for key in field.from_))
    return next((part.purposes for part in parts if not allows_purpose(part, purpose)), ())


def _explanations(policy: Policy, field: Field, only_for: Sequence[str], released: bool) -> Iterator[str]:
    if only_for:
        yield f"only for {', '.join(only_for)}"
    elif not released:
        yield "for aggregates only" if field.in_aggregates else "the policy drops it"
    else:
        yield from _gate_explanations(policy, field)
        yield from (f"if {condition_text(case.when)}: {treatment_text(case.do)}" for case in field.cases)
        yield treatment_text(field.do) if not field.cases else f"otherwise {treatment_text(field.otherwise)}"


def _gate_explanations(policy: Policy, field: Field) -> Iterator[str]:
    if field.feature:
        yield f"collected where {feature_text(policy, field.feature)}"
    if field.level:
        yield f"collected from level {field.level} on"
    if field.collect_if is not None:
        yield f"collected if {condition_text(field.collect_if)}"
    feature = policy.features.get(field.feature or "")
    if feature is not None and feature.retention is not None:
        yield f"gone {duration_text(feature.retention)} after the event"


def field_fault(policy: Policy, field: Field | None, code: str, message: str, hint: str = "") -> Finding:
    """A fault of a field, with the place where the policy names it."""
    file = None if policy.path is None else str(policy.path)
    key, line = (None, None) if field is None else (field.key, field.line)
    return Finding(code, message, hint=hint, file=file, line=line, field=key)


def add_map_keys(fields: Mapping[str, FieldPlan], source: pa.Schema) -> dict[str, FieldPlan]:
    """The fields, and behind them the dropped keys of each map of which the policy says nothing.

    Keys leave beside values: where no value of their map leaves, they do not leave either.
    """
    settled = {key: _drop_unused_keys(field, fields) for key, field in fields.items()}
    known = {field.pointer for field in settled.values()}
    return settled | {
        str(keys): _dropped_keys(keys) for keys in dict.fromkeys(_map_keys(settled, source)) if keys not in known
    }


def _drop_unused_keys(field: FieldPlan, fields: Mapping[str, FieldPlan]) -> FieldPlan:
    if not field.pointer.is_keys or field.gives is None:
        return field
    star = field.pointer.stars[-1]
    if any(other.gives is not None and other.pointer.within(star) for other in fields.values()):
        return field
    return replace(
        field,
        gives=None,
        action="drop",
        technique=("drop",),
        why="no value of the map leaves",
        leaves=None,
        category=None,
        branches=(CaseBranch(None, None),),
    )


def _map_keys(fields: Mapping[str, FieldPlan], source: pa.Schema) -> Iterator[Pointer]:
    """The keys of the maps that released fields stand in."""
    for field in fields.values():
        for star in field.pointer.stars if field.gives is not None and not field.field.from_ else ():
            container = Pointer(star.parts[:-1])
            if pa.types.is_map(leaf_type(source, container)):
                yield container.keys


def _dropped_keys(keys: Pointer) -> FieldPlan:
    return FieldPlan(
        field=Field(key=str(keys), type="string"),
        pointer=keys,
        inputs=(keys,),
        takes=pa.null(),
        gives=None,
        measured=None,
        action="drop",
        technique=("drop",),
        why="keys of a map are dropped unless the policy says `keys:`",
        leaves=None,
        category=None,
        branches=(CaseBranch(None, None),),
    )
