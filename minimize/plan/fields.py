"""What becomes of each field: its branches, its types from step to step, what it leaves, and why."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

import pyarrow as pa

from minimize.errors import Finding
from minimize.nested import leaf_type
from minimize.plan import category
from minimize.plan.model import Action, Branch, FieldPlan
from minimize.plan.request import for_purpose
from minimize.pointer import Pointer
from minimize.policy.model import Do, Field, Policy, Role
from minimize.policy.roles import presumed
from minimize.policy.words import chain_text, condition_text, duration, feature_text
from minimize.techniques import Leaves, Step, TypeRefused, plain


def plan_field(
    policy: Policy, field: Field, source: pa.Schema, purpose: str | None, faults: list[Finding]
) -> FieldPlan:
    """The field under this purpose; what does not fit goes to `faults`."""
    only_for = _only_for(policy, field, purpose)
    branches = (Branch(None, None),) if only_for else branches_of(field)
    inputs = tuple(Pointer.parse(key) for key in field.from_) or (field.pointer,)
    measured_steps = () if only_for else field.in_aggregates
    released = any(branch.steps is not None for branch in branches)
    takes = _takes(field, inputs, source) if released or measured_steps else pa.null()
    gives = _gives(policy, field, takes, branches, faults) if released else None
    measured = _through(policy, field, takes, measured_steps, faults) if measured_steps else None
    faults.extend(_misplaced(policy, field))
    roles = [presumed(each) for each in (field, *(policy.fields[key] for key in field.from_))]
    leaves = _leaves(branches, roles) if released else None
    return FieldPlan(
        field=field,
        pointer=field.pointer,
        inputs=inputs,
        takes=takes,
        gives=gives,
        measured=measured,
        action=_action(field, branches, released),
        technique=_words(branches),
        why="; ".join(_why(policy, field, only_for, released)),
        leaves=leaves,
        category=None if leaves is None else category.highest(category.column(role, leaves) for role in roles),
        branches=branches,
    )


def branches_of(field: Field) -> tuple[Branch, ...]:
    """The cases in order, then what happens otherwise; one unconditional branch for a field without cases."""
    if not field.cases:
        return (Branch(None, _steps(field.do)),)
    return (*(Branch(case.when, _steps(case.do)) for case in field.cases), Branch(None, _steps(field.otherwise)))


def _steps(do: Do) -> tuple[Step, ...] | None:
    return None if do == "drop" else do


def _takes(field: Field, inputs: Sequence[Pointer], source: pa.Schema) -> pa.DataType:
    if not field.from_:
        return plain(leaf_type(source, field.pointer))
    children = [(key, plain(leaf_type(source, pointer))) for key, pointer in zip(field.from_, inputs, strict=True)]
    return pa.struct(children)


def _gives(
    policy: Policy, field: Field, takes: pa.DataType, branches: Sequence[Branch], faults: list[Finding]
) -> pa.DataType:
    types = [_through(policy, field, takes, branch.steps, faults) for branch in branches if branch.steps is not None]
    if len(set(types)) > 1:
        names = ", ".join(sorted({str(type_) for type_ in types}))
        faults.append(
            fault(policy, field, "P102", f"its cases give different types: {names}", "all cases give one type")
        )
    return types[0]


def _through(
    policy: Policy, field: Field, type_: pa.DataType, steps: Sequence[Step], faults: list[Finding]
) -> pa.DataType:
    for step in steps:
        try:
            type_ = step.gives(type_)
        except TypeRefused as refused:
            message = f"`{step.name}` does not take {type_}"
            faults.append(fault(policy, field, "P101", message, f"it takes {', '.join(refused.takes)}"))
            break
    return type_


def _misplaced(policy: Policy, field: Field) -> Iterator[Finding]:
    tops = [step for branch in branches_of(field) for step in branch.steps or () if step.name == "top"]
    if len(tops) > 1:
        yield fault(policy, field, "P103", "it has more than one `top`", "one field, one `top`")
    if tops and policy.subject is None:
        yield fault(policy, field, "P104", "`top` counts subjects, and the policy names none", "say `subject: FIELD`")
    if any(step.name == "top" for step in field.in_aggregates):
        yield fault(policy, field, "P105", "`top` cannot stand in `in_aggregates`", "put it under `do`")
    if field.from_ and not field.pointer.is_flat:
        yield fault(policy, field, "P106", "a derived field cannot be nested", "give it a plain name")


def _leaves(branches: Sequence[Branch], roles: Collection[Role]) -> Leaves:
    return category.most(
        category.least(category.left_of(step, roles) for step in branch.steps)
        for branch in branches
        if branch.steps is not None
    )


def _words(branches: Sequence[Branch]) -> tuple[str, ...]:
    words = [name for branch in branches for name in ([s.name for s in branch.steps] if branch.steps else ["drop"])]
    return tuple(words if len(branches) == 1 else dict.fromkeys(words))


def _action(field: Field, branches: Sequence[Branch], released: bool) -> Action:
    if not released:
        return "drop"
    if field.is_gated:
        return "gate"
    return "keep" if set(_words(branches)) == {"keep"} else "generalize"


def _only_for(policy: Policy, field: Field, purpose: str | None) -> tuple[str, ...]:
    """The purposes that the field, or one that it is made from, is for, where this one is none of them."""
    parts = (field, *(policy.fields[key] for key in field.from_))
    return next((part.purposes for part in parts if not for_purpose(part, purpose)), ())


def _why(policy: Policy, field: Field, only_for: Sequence[str], released: bool) -> Iterator[str]:
    if only_for:
        yield f"only for {', '.join(only_for)}"
    elif not released:
        yield "for aggregates only" if field.in_aggregates else "the policy drops it"
    else:
        yield from _gates(policy, field)
        yield from (f"if {condition_text(case.when)}: {chain_text(case.do)}" for case in field.cases)
        yield chain_text(field.do) if not field.cases else f"otherwise {chain_text(field.otherwise)}"


def _gates(policy: Policy, field: Field) -> Iterator[str]:
    if field.feature:
        yield f"collected where {feature_text(policy, field.feature)}"
    if field.level:
        yield f"collected from level {field.level} on"
    if field.collect_if is not None:
        yield f"collected if {condition_text(field.collect_if)}"
    feature = policy.features.get(field.feature or "")
    if feature is not None and feature.retention is not None:
        yield f"gone {duration(feature.retention)} after the event"


def fault(policy: Policy, field: Field | None, code: str, message: str, hint: str = "") -> Finding:
    """A fault of a field, with the place where the policy names it."""
    file = None if policy.path is None else str(policy.path)
    key, line = (None, None) if field is None else (field.key, field.line)
    return Finding(code, message, hint=hint, file=file, line=line, field=key)
