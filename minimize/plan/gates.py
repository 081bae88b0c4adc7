"""What can be wrong about the gates of a plan, found before the first byte: circles, and reading where nothing can be read."""

from __future__ import annotations

from collections.abc import Iterator

from minimize.errors import Finding, PolicyError
from minimize.plan.model import FieldPlan, Plan
from minimize.pointer import Pointer
from minimize.policy.condition import read_by
from minimize.policy.faults import did_you_mean
from minimize.policy.model import Field, Policy

MOST_CASES = 127
_RECORD = Pointer(())


def check(plan: Plan) -> None:
    """Raises PolicyError with everything that keeps the gates of a plan from being worked out."""
    faults = tuple(gate_faults(plan))
    if faults:
        raise PolicyError("the gates of this policy cannot be worked out, nothing was read", findings=faults)


def gate_faults(plan: Plan) -> Iterator[Finding]:
    """Everything that keeps the gates of a plan from being worked out."""
    yield from circles(plan.policy)
    yield from _record_conditions(plan)
    for field in plan.fields.values():
        if field.gives is not None or field.measured is not None:
            yield from _field(plan.policy, field)


def circles(policy: Policy) -> Iterator[Finding]:
    """One finding per field whose gate depends on itself, however far around."""
    for key, field in policy.fields.items():
        if key in _depends_on(policy, key):
            yield _fault(policy, field, "P120", "its gate depends on itself", "a condition reads other fields")


def _depends_on(policy: Policy, key: str) -> set[str]:
    """The fields whose gates decide about this one's gate."""
    seen: set[str] = set()
    open_ = [key]
    while open_:
        field = policy.fields.get(open_.pop())
        new = set() if field is None else {*field.from_, *read_by(field.collect_if)} - seen
        seen |= new
        open_.extend(new)
    return seen


def _record_conditions(plan: Plan) -> Iterator[Finding]:
    records = None if plan.pipeline is None else plan.pipeline.records
    for condition in (plan.policy.records.collect_if, None if records is None else records.collect_if):
        for key in read_by(condition):
            yield from _reachable(plan.policy, None, key, _RECORD, "a condition on records")


def _field(policy: Policy, field: FieldPlan) -> Iterator[Finding]:
    place = field.place
    conditions = [field.field.collect_if, *(branch.when for branch in field.branches)]
    for key in dict.fromkeys(key for condition in conditions for key in read_by(condition)):
        yield from _reachable(policy, field.field, key, place, "its condition")
    steps = (*field.steps, *field.field.in_aggregates)
    for key in dict.fromkeys(key for step in steps for key in sorted(step.reads())):
        yield from _reachable(policy, field.field, key, place, "its technique")
    if any(pointer.stars != place.stars[: len(pointer.stars)] for pointer in field.inputs):
        yield _fault(
            policy, field.field, "P122", "it is made from fields of different lists", "name fields of one list"
        )
    elif field.pointer.stars != place.stars:
        yield _fault(policy, field.field, "P122", "it stands in another list than its inputs", f"name it below {place}")
    if len(field.branches) > MOST_CASES:
        yield _fault(policy, field.field, "P123", f"it has more than {MOST_CASES} cases", "use `map` or `generalize`")


def _reachable(policy: Policy, field: Field | None, key: str, place: Pointer, what: str) -> Iterator[Finding]:
    read = policy.fields.get(key)
    if read is None:
        hint = did_you_mean(key, policy.fields)
        yield _fault(policy, field, "P121", f"{what} reads `{key}`, which is not declared", hint)
    elif read.from_:
        yield _fault(policy, field, "P121", f"{what} reads `{key}`, which is derived", "read what it is made from")
    elif read.pointer.stars != place.stars[: len(read.pointer.stars)]:
        hint = "only fields of the record or of the same list element can be read"
        yield _fault(policy, field, "P121", f"{what} reads `{key}`, which stands in another list", hint)


def _fault(policy: Policy, field: Field | None, code: str, message: str, hint: str = "") -> Finding:
    file = None if policy.path is None else str(policy.path)
    key, line = (None, None) if field is None else (field.key, field.line)
    return Finding(code, message, hint=hint, file=file, line=line, field=key)
