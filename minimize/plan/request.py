"""Request to a source: the fields to read, the needed ones, the forbidden paths; and names of undeclared paths.

The name of an undeclared field can be a personal value, so a receipt shows only names that look like field names.

Release of fields: in which outputs the values of a field leave, and the purposes for which they would.

Every printed answer to "is it released?" comes from here: plan, receipt, report, catalogue and leaflet.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from minimize.arrow.pointers import STAR, Pointer, PointerPart
from minimize.policy.condition import fields_read_by_condition
from minimize.policy.fields import fields_read_by_aggregate, fields_read_by_conditions, fields_read_by_steps, is_dropped
from minimize.policy.model import Field, Policy
from minimize.policy.pipeline import Pipeline
from minimize.records import RECORDS, UndeclaredCount
from minimize.sources.base import SCAN_CHUNK_ROWS, SINK_CHUNK_ROWS, DeclaredField, SourceRequest
from minimize.techniques.redact import has_hit

if TYPE_CHECKING:
    from minimize.plan.model import Plan


def request(
    policy: Policy,
    purpose: str | None,
    pipeline: Pipeline | None = None,
    also: Collection[str] = (),
    *,
    erased_by: Collection[str] | None = None,
) -> SourceRequest:
    """The declared fields of a policy, as a source needs them under this purpose; `also` are read to find a record's subject.

    With `erased_by`, the fields that name erased subjects, other fields of `also` that nothing else reads may be absent.
    """
    needed = needed_fields(policy, purpose, pipeline)
    always = {policy.tenant, policy.subject, policy.time}
    declared = tuple(
        DeclaredField(
            key=key,
            pointer=field.pointer,
            type=field.type,
            required=field.required or key in always,
            optional=key not in always
            and (field.optional or (erased_by is not None and key not in {*needed, *erased_by} and key in also)),
            needed=key in needed or key in also,
            deciding=key in also,
        )
        for key, field in policy.fields.items()
        if not field.from_ and not field.pointer.is_keys
    )
    subject = None if policy.subject is None else Pointer.parse(policy.subject)
    return SourceRequest(
        fields=declared,
        never=tuple(each if each.name_at_any_depth is None else Pointer(each.parts[1:]) for each in policy.never),
        any_depth=tuple(name for each in policy.never if (name := each.name_at_any_depth) is not None),
        subject=subject,
        rows=_rows_per_batch(policy, pipeline),
        ids=identifier_pointers(policy),
    )


def identifier_pointers(policy: Policy) -> tuple[Pointer, ...]:
    """The pointers of the tenant and the subject."""
    names = dict.fromkeys(name for name in (policy.tenant, policy.subject) if name is not None)
    return tuple(policy.fields[name].pointer for name in names if name in policy.fields)


def _rows_per_batch(policy: Policy, pipeline: Pipeline | None) -> int:
    """Rows per batch of the source. Flat records are combined again before they are written, nested ones are not."""
    if pipeline is None:
        return SINK_CHUNK_ROWS
    gathered = all(field.pointer.is_flat for field in policy.fields.values())
    return SCAN_CHUNK_ROWS if gathered or pipeline.records is None else SINK_CHUNK_ROWS


def needed_fields(policy: Policy, purpose: str | None, pipeline: Pipeline | None = None) -> frozenset[str]:
    """The keys of the fields whose values are read."""
    named = {policy.tenant, policy.subject, policy.time}
    named |= {key for key, field in policy.fields.items() if field.required}
    if pipeline is not None:
        named |= _fields_named_by(pipeline, policy)
    if policy.records.collect_if is not None:
        named |= set(fields_read_by_condition(policy.records.collect_if))
    leaving = [field for field in policy.fields.values() if can_leave(field, purpose)]
    for field in leaving:
        named |= {field.key, *_fields_read_by(field)}
    return frozenset(_with_inputs(policy, {key for key in named if key is not None}))


def fields_read_for(policy: Policy, keys: Iterable[str], pipeline: Pipeline | None = None) -> frozenset[str]:
    """The keys of all fields that are read to gate the records and to make some fields."""
    conditions = [policy.records.collect_if]
    if pipeline is not None and pipeline.records is not None:
        conditions.append(pipeline.records.collect_if)
    named = {key for condition in conditions if condition is not None for key in fields_read_by_condition(condition)}
    for key in keys:
        named |= {key, *_fields_read_by(policy.fields[key])}
    return frozenset(_with_inputs(policy, named | {key for key in (policy.tenant, policy.subject, policy.time) if key}))


def can_leave(field: Field, purpose: str | None) -> bool:
    """Whether any form of the field can be released under this purpose, in records or in aggregates."""
    return allows_purpose(field, purpose) and (is_released(field) or bool(field.in_aggregates))


def allows_purpose(field: Field, purpose: str | None) -> bool:
    """Whether the field may be used for this purpose. Without a purpose, a field that lists purposes may not."""
    return not field.purposes or purpose in field.purposes


def is_released(field: Field) -> bool:
    """Whether any branch of the field releases something to the records."""
    if field.cases:
        return field.otherwise != "drop" or any(case.do != "drop" for case in field.cases)
    return field.do != "drop"


def _fields_named_by(pipeline: Pipeline, policy: Policy) -> set[str | None]:
    named: set[str | None] = set()
    if pipeline.records is not None:
        if pipeline.records.collect_if is not None:
            named |= set(fields_read_by_condition(pipeline.records.collect_if))
        if pipeline.records.deduplicate is not None:
            named |= {*pipeline.records.deduplicate.by, policy.record}
    for model in pipeline.aggregates.values():
        named |= {model.suppress.counting}
        named |= set(fields_read_by_aggregate(model))
    return named


def _fields_read_by(field: Field) -> Iterator[str]:
    yield from fields_read_by_conditions(field)
    yield from (key for _, key in fields_read_by_steps(field))


def _with_inputs(policy: Policy, keys: set[str]) -> Iterator[str]:
    """The keys, and transitively the inputs of derived fields and the fields that gates read."""
    visited: set[str] = set()
    open_ = sorted(keys)
    while open_:
        key = open_.pop()
        if key in visited or key not in policy.fields:
            continue
        visited.add(key)
        field = policy.fields[key]
        open_.extend(field.from_)
        if field.collect_if is not None:
            open_.extend(fields_read_by_condition(field.collect_if))
    yield from visited


MIN_SUBJECTS = 10
_NAME_PATTERN = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,63}\Z")


def count_undeclared(undeclared: Mapping[Pointer, UndeclaredCount], declared: Iterable[Pointer]) -> dict[str, int]:
    """Counts by path as receipts show them.

    A part that the policy does not declare is shown only if it looks like a name, no `redact` pattern matches it, and ten
    subjects have it. Other parts are counted under `*`.
    """
    declared_parts = declared_prefixes(declared)
    counts: dict[str, int] = {}
    for pointer, carried in undeclared.items():
        text = str(mask_undeclared(pointer, carried, declared_parts))
        counts[text] = counts.get(text, 0) + carried.records
    return dict(sorted(counts.items()))


def declared_prefixes(declared: Iterable[Pointer]) -> set[tuple[PointerPart, ...]]:
    """Every declared path and everything above it."""
    return {pointer.parts[:length] for pointer in declared for length in range(1, len(pointer.parts) + 1)}


def mask_undeclared(
    pointer: Pointer, carried: UndeclaredCount, declared_parts: set[tuple[PointerPart, ...]]
) -> Pointer:
    """The path with a star for each part that may be a value; `declared_parts` are the parts that the policy declares."""
    parts: list[PointerPart] = []
    for index, part in enumerate(pointer.parts):
        declared = pointer.parts[: index + 1] in declared_parts
        parts.append(part if declared or not isinstance(part, str) or _is_plausible_name(part, carried) else STAR)
    return Pointer(tuple(parts))


def _is_plausible_name(part: str, carried: UndeclaredCount) -> bool:
    return len(carried.subjects) >= MIN_SUBJECTS and _NAME_PATTERN.match(part) is not None and not has_hit(part)


ReleaseState = Literal["records", "statistics", "other purposes", "not"]


@dataclass(frozen=True, slots=True)
class FieldRelease:
    """The release of one field."""

    outputs: tuple[str, ...] = ()
    """The outputs of the plan with its values, or with statistics or groups of them."""
    purposes: tuple[str, ...] = ()
    """The other purposes for which the policy releases it; empty if there is an output."""

    @property
    def state(self) -> ReleaseState:
        """Whether values leave in records, only in statistics, only for other purposes, or not at all."""
        if RECORDS in self.outputs:
            return "records"
        if self.outputs:
            return "statistics"
        return "other purposes" if self.purposes else "not"

    @property
    def statistics(self) -> tuple[str, ...]:
        """The aggregates with statistics or groups of its values."""
        return tuple(name for name in self.outputs if name != RECORDS)

    def __str__(self) -> str:
        if self.outputs:
            return ", ".join(self.outputs)
        return f"nothing, only for {', '.join(self.purposes)}" if self.purposes else "nothing"


def field_releases(plan: Plan) -> Mapping[str, FieldRelease]:
    """The release of each field of a plan."""
    counted = {name: frozenset(fields_read_by_aggregate(each.model)) for name, each in plan.aggregates.items()}
    outputs_by_field = {key: tuple(_outputs_of(plan, key, counted)) for key in plan.fields}
    return {
        key: FieldRelease(outputs, () if outputs else _other_purposes(plan, key))
        for key, outputs in outputs_by_field.items()
    }


def _outputs_of(plan: Plan, key: str, counted: Mapping[str, frozenset[str]]) -> Iterator[str]:
    field = plan.fields[key]
    for name in plan.outputs:
        if (name == RECORDS and field.gives is not None) or (
            key in counted.get(name, ()) and (field.gives is not None or field.measured is not None)
        ):
            yield name


def _other_purposes(plan: Plan, key: str) -> tuple[str, ...]:
    """The other purposes of the policy for which it releases the field."""
    field = plan.policy.fields.get(key)
    if field is None or is_dropped(field):
        return ()
    parts = (field, *(plan.policy.fields[each] for each in field.from_))
    others = (purpose for purpose in plan.policy.purposes if purpose != plan.purpose)
    return tuple(each for each in others if all(allows_purpose(part, each) for part in parts))
