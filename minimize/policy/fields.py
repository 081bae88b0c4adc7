"""Queries about fields of a policy.

Treatments and steps, the fields that conditions, steps and aggregates read, fields that identify, which form is coarser.

Identities: the fields of a policy that name users and devices, and the names by which requests and events refer to them.

A field states what its values identify: `identifies: user`, `identifies: device`, or an identifier of another kind, such as
`device.serial_number`. Fields with the same identity hold the same ids in all datasets, so that one id finds a person or a device
in each of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Final, Literal

from minimize.arrow.pointers import Pointer
from minimize.errors import ConfigurationError
from minimize.policy.aggregate_forms import AggregateModel
from minimize.policy.condition import AllOf, FeatureOn, LevelAtLeast, fields_read_by_condition
from minimize.policy.model import Field, Policy, RecordsGate
from minimize.policy.roles import is_position_name, states_plain
from minimize.policy.treatments import DROP, Treatment
from minimize.techniques import TechniqueStep
from minimize.techniques.base import ReferenceFile


def gate_condition(gated: Field | RecordsGate) -> AllOf:
    """All conditions under which a field or a record is collected."""
    feature = () if gated.feature is None else (FeatureOn(gated.feature),)
    level = () if gated.level is None else (LevelAtLeast(gated.level),)
    return AllOf((*feature, *level, *(() if gated.collect_if is None else (gated.collect_if,))))


def treatments_of(field: Field) -> Iterator[Treatment]:
    """All treatments of a field's value in the records: those of its cases and `otherwise`, or `do`."""
    if field.cases:
        yield from (case.do for case in field.cases)
        yield field.otherwise
    else:
        yield field.do


def aggregate_treatments(field: Field) -> list[tuple[TechniqueStep, ...]]:
    """The technique chains through which aggregates may see a field's value."""
    return (
        [field.in_aggregates]
        if field.in_aggregates
        else [way for way in treatments_of(field) if not isinstance(way, str)]
    )


def effective_steps(field: Field, chain: Sequence[TechniqueStep]) -> tuple[TechniqueStep, ...]:
    """The steps of a field's chain without those that leave its values as they are, as far as the policy alone shows it."""
    return tuple(step for step in chain if not step.is_lossless(field.type))


def is_raw_in_aggregates(field: Field) -> bool:
    """Whether aggregates may see an exact value of a record."""
    ways = (effective_steps(field, chain) for chain in aggregate_treatments(field))
    return any(not any(step.generalizes for step in way) for way in ways)


def locates_finely(chains: Iterable[Sequence[TechniqueStep]], parts: Iterable[Field]) -> bool:
    """Whether a field shows a position more finely than 10 km. Takes its chains, the field, and the fields it is derived from.

    Parts that the policy states to be plain concern no person.
    """
    personal = [part for part in parts if not states_plain(part)]
    coordinate = any(is_position_name(part.pointer) for part in personal)
    return bool(personal) and any(all(step.locates_finely(coordinate=coordinate) for step in chain) for chain in chains)


def is_dropped(field: Field) -> bool:
    """Whether every treatment of the field drops it."""
    return all(way == DROP for way in treatments_of(field))


def keeps_original(field: Field) -> bool:
    """Whether every treatment that releases the field keeps its values as received."""
    return all(step.changes_nothing for way in treatments_of(field) if not isinstance(way, str) for step in way)


def steps_of(field: Field) -> Iterator[TechniqueStep]:
    """Every step that may be applied to a field's value, for records or aggregates."""
    for way in treatments_of(field):
        if not isinstance(way, str):
            yield from way
    yield from field.in_aggregates


def reference_files(fields: Iterable[Field]) -> tuple[ReferenceFile, ...]:
    """The files that the steps of these fields read."""
    files = (step.reference_file for field in fields for step in steps_of(field))
    return tuple(file for file in files if file is not None)


def overlapping_fields(fields: dict[Pointer, str]) -> Iterator[tuple[str, str]]:
    """Pairs of keys whose second field is below the first."""
    for pointer, key in fields.items():
        for length in range(1, len(pointer.parts)):
            above = fields.get(Pointer(pointer.parts[:length]))
            if above is not None:
                yield above, key


def fields_read_by_conditions(field: Field) -> Iterator[str]:
    """The fields that the conditions of a field read."""
    for condition in (field.collect_if, *(case.when for case in field.cases)):
        yield from fields_read_by_condition(condition)


def fields_read_by_steps(field: Field) -> Iterator[tuple[str, str]]:
    """The fields that the steps of a field read, as pairs of technique and field."""
    for step in steps_of(field):
        yield from ((step.name, key) for key in sorted(step.reads()))


def fields_read_by_aggregate(model: AggregateModel) -> Iterator[str]:
    """The fields of the groups and measures of an aggregate."""
    yield from (key.field for key in model.group_by.values())
    yield from (measure.of for measure in model.measures.values() if measure.of is not None)


def identifying_fields(policy: Policy) -> Iterator[str]:
    """The fields whose released values identify one person or device, directly or by pseudonym."""
    for name, field in policy.fields.items():
        stands_for = field.role == "identifier" or name == policy.subject or _is_pseudonym(field)
        if stands_for and not is_dropped(field) and keeps_values_distinct(field):
            yield name


def keeps_values_distinct(field: Field) -> bool:
    """Whether equal values stay equal, and different values different, in at least one released form of the field."""
    ways = [way for way in treatments_of(field) if not isinstance(way, str)]
    return any(all(step.keeps_distinct() for step in way) for way in ways)


def _is_pseudonym(field: Field) -> bool:
    ways = [way for way in treatments_of(field) if not isinstance(way, str)]
    return any(step.is_pseudonym() for way in ways for step in way)


_UNITS_FINEST_FIRST: Final = (None, "minute", "hour", "day", "week", "month", "quarter", "year")


def group_time_key(policy: Policy, units: Mapping[str, str | None]) -> tuple[str, timedelta] | None:
    """The group key that determines the age of a group, and the longest shift of its times; None if no key is an event time.

    Takes the units of the keys that are event times, None for a key in its released form. The finest unit is used.
    """
    field = None if policy.time is None else policy.fields.get(policy.time)
    if field is None or not units:
        return None
    column = min(units, key=lambda column: _UNITS_FINEST_FIRST.index(units[column]))
    ways = [way for way in treatments_of(field) if not isinstance(way, str)]
    shifts = [sum((step.time_form.shift for step in way if step.time_form), timedelta()) for way in ways]
    return column, max(shifts, default=timedelta())


Coarseness = Literal["coarser", "finer"]


def compare_coarseness(earlier: TechniqueStep, later: TechniqueStep) -> Coarseness | None:
    """How the second of two steps compares with the first; None if neither result can be made from the other.

    >>> from minimize.techniques.truncate_time import TruncateTime
    >>> compare_coarseness(TruncateTime(to="hour"), TruncateTime(to="day"))
    'coarser'
    """
    if type(earlier) is not type(later) or not earlier.coarsens_itself:
        return None
    before, after = earlier.parameters(), later.parameters()
    parameter_orders = earlier.parameter_orders()
    changed = [name for name in before if before[name] != after[name]]
    if all(parameter_orders[name].tightens(before[name], after[name]) for name in changed):
        return "coarser"
    return "finer" if all(parameter_orders[name].refines(before[name], after[name]) for name in changed) else None


USER: Final = "user"
DEVICE: Final = "device"


def individual_of(identity: str | None) -> str | None:
    """Whether an identity names a user or a device; None for a field without an identity.

    >>> individual_of("device.serial_number"), individual_of("session_id")
    ('device', None)
    """
    kind = "" if identity is None else identity.partition(".")[0]
    return kind if kind in (USER, DEVICE) else None


def stated_identities(policy: Policy) -> dict[str, tuple[str, ...]]:
    """The fields that state what they identify, with their identities."""
    return {key: field.identifies for key, field in policy.fields.items() if field.identifies}


def fields_named(policy: Policy, name: str | None) -> tuple[str, ...]:
    """The fields of a policy that hold ids of this name: an identity, a field, or None for the subject and every identity.

    A field stands for all fields with its identity.
    """
    stated = stated_identities(policy)
    if name is None:
        subject_keys = [] if policy.subject is None else [policy.subject]
        return tuple(dict.fromkeys([*subject_keys, *stated]))
    identities = {*stated.get(name, (name,))}
    declared_keys = [name] if name in policy.fields else []
    matching_keys = (key for key, field_identities in stated.items() if identities & {*field_identities})
    return tuple(dict.fromkeys([*declared_keys, *matching_keys]))


def all_fields_named(policy: Policy, names: Iterable[str | None]) -> frozenset[str]:
    """The fields of a policy that hold ids of one of these names."""
    return frozenset(key for name in set(names) for key in fields_named(policy, name))


def resolve_identity(name: str | None, policies: Iterable[Policy]) -> str | None:
    """The identity of a name that is a field of some policies; the name itself if they do not state one.

    Raises ConfigurationError if the field has different identities in different policies.
    """
    stated = (policy.fields[name].identifies for policy in policies if name is not None and name in policy.fields)
    identities = sorted({identity for field_identities in stated for identity in field_identities})
    if len(identities) > 1:
        raise ConfigurationError(
            f"the field {name} identifies more than one thing in the policies",
            hint=f"Pass one of {', '.join(identities)} instead of the field.",
        )
    return identities[0] if identities else name
