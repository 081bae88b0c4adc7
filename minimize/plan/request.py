"""What a plan asks of a source: which fields, which of them anybody reads, and what must not arrive."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

from minimize.io.base import FEW, MANY, Declared, Request
from minimize.pointer import Pointer
from minimize.policy.condition import read_by
from minimize.policy.model import Field, Policy
from minimize.policy.pipeline import Pipeline
from minimize.policy.reading import read_by_aggregate, read_by_conditions, read_by_steps


def request(
    policy: Policy, purpose: str | None, pipeline: Pipeline | None = None, also: Collection[str] = ()
) -> Request:
    """The declared fields of a policy, as a source needs them under this purpose; `also` are read to know whose a record is."""
    needed = needed_fields(policy, purpose, pipeline)
    always = {policy.tenant, policy.subject, policy.time}
    declared = tuple(
        Declared(
            key=key,
            pointer=field.pointer,
            type=field.type,
            required=field.required or key in always,
            optional=field.optional and key not in always,
            needed=key in needed or key in also,
            deciding=key in also,
        )
        for key, field in policy.fields.items()
        if not field.from_ and not field.pointer.is_keys
    )
    subject = None if policy.subject is None else Pointer.parse(policy.subject)
    return Request(
        fields=declared,
        never=tuple(each if each.name_at_any_depth is None else Pointer(each.parts[1:]) for each in policy.never),
        any_depth=tuple(name for each in policy.never if (name := each.name_at_any_depth) is not None),
        subject=subject,
        rows=_rows(policy, pipeline),
        ids=ids_of(policy),
    )


def ids_of(policy: Policy) -> tuple[Pointer, ...]:
    """Where the tenant and the subject stand in a record."""
    names = dict.fromkeys(name for name in (policy.tenant, policy.subject) if name is not None)
    return tuple(policy.fields[name].pointer for name in names if name in policy.fields)


def _rows(policy: Policy, pipeline: Pipeline | None) -> int:
    """Flat records are gathered again before they are written; nested ones go to the sink as they come."""
    if pipeline is None:
        return MANY
    gathered = all(field.pointer.is_flat for field in policy.fields.values())
    return FEW if gathered or pipeline.records is None else MANY


def needed_fields(policy: Policy, purpose: str | None, pipeline: Pipeline | None = None) -> frozenset[str]:
    """The keys of the fields whose values somebody reads."""
    named = {policy.tenant, policy.subject, policy.time}
    named |= {key for key, field in policy.fields.items() if field.required}
    if pipeline is not None:
        named |= _named_by(pipeline, policy)
    if policy.records.collect_if is not None:
        named |= set(read_by(policy.records.collect_if))
    leaving = [field for field in policy.fields.values() if leaves_house(field, purpose)]
    for field in leaving:
        named |= {field.key, *_read_by_field(field)}
    return frozenset(_with_inputs(policy, {key for key in named if key is not None}))


def fields_read_for(policy: Policy, keys: Iterable[str], pipeline: Pipeline | None = None) -> frozenset[str]:
    """The keys of all fields that are read to gate the records and to make some fields."""
    conditions = [policy.records.collect_if]
    if pipeline is not None and pipeline.records is not None:
        conditions.append(pipeline.records.collect_if)
    named = {key for condition in conditions if condition is not None for key in read_by(condition)}
    for key in keys:
        named |= {key, *_read_by_field(policy.fields[key])}
    return frozenset(_with_inputs(policy, named | {key for key in (policy.tenant, policy.subject, policy.time) if key}))


def leaves_house(field: Field, purpose: str | None) -> bool:
    """Whether any form of the field can leave under this purpose, in records or in aggregates."""
    return for_purpose(field, purpose) and (is_released(field) or bool(field.in_aggregates))


def for_purpose(field: Field, purpose: str | None) -> bool:
    """Whether the field may be used for this purpose; a field that lists purposes never without one."""
    return not field.purposes or purpose in field.purposes


def is_released(field: Field) -> bool:
    """Whether any branch of the field lets something through to the records."""
    if field.cases:
        return field.otherwise != "drop" or any(case.do != "drop" for case in field.cases)
    return field.do != "drop"


def _named_by(pipeline: Pipeline, policy: Policy) -> set[str | None]:
    named: set[str | None] = set()
    if pipeline.records is not None:
        if pipeline.records.collect_if is not None:
            named |= set(read_by(pipeline.records.collect_if))
        if pipeline.records.deduplicate is not None:
            named |= {*pipeline.records.deduplicate.by, policy.record}
    for model in pipeline.aggregates.values():
        named |= {model.suppress.counting}
        named |= set(read_by_aggregate(model))
    return named


def _read_by_field(field: Field) -> Iterator[str]:
    yield from read_by_conditions(field)
    yield from (key for _, key in read_by_steps(field))


def _with_inputs(policy: Policy, keys: set[str]) -> Iterator[str]:
    """The keys, and for derived fields and fields read by a gate whatever decides about them, transitively."""
    seen: set[str] = set()
    open_ = sorted(keys)
    while open_:
        key = open_.pop()
        if key in seen or key not in policy.fields:
            continue
        seen.add(key)
        field = policy.fields[key]
        open_.extend(field.from_)
        if field.collect_if is not None:
            open_.extend(read_by(field.collect_if))
    yield from seen
