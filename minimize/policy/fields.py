"""Queries about fields of a policy.

Treatments and steps, the fields that conditions, steps and aggregates read, fields that identify, which form is coarser.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, Literal, cast

from minimize.arrow.pointers import Pointer
from minimize.policy.condition import fields_read_by_condition
from minimize.policy.model import AggregateModel, Field, Policy
from minimize.policy.treatments import DROP, Treatment
from minimize.techniques import PSEUDONYM_TECHNIQUES, TechniqueStep
from minimize.techniques.base import DISTINCT_LEAVES
from minimize.techniques.shift_dates import ShiftDates

if TYPE_CHECKING:
    from minimize.techniques.generalize import Generalize


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


def is_raw_in_aggregates(field: Field) -> bool:
    """Whether aggregates may see a raw value. Clipping changes only values outside its bounds, so it counts as raw."""
    chains = aggregate_treatments(field)
    return any(all(step.leaves == "everything" or step.name == "clip" for step in chain) for chain in chains)


def is_dropped(field: Field) -> bool:
    """Whether every treatment of the field drops it."""
    return all(way == DROP for way in treatments_of(field))


def steps_of(field: Field) -> Iterator[TechniqueStep]:
    """Every step that may be applied to a field's value, for records or aggregates."""
    for way in treatments_of(field):
        if not isinstance(way, str):
            yield from way
    yield from field.in_aggregates


def generalize_steps(fields: Iterable[Field]) -> tuple[Generalize, ...]:
    """The steps of these fields that read a hierarchy file."""
    steps = (step for field in fields for step in steps_of(field) if step.name == "generalize")
    return cast("tuple[Generalize, ...]", tuple(steps))


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
    return any(all(step.leaves in DISTINCT_LEAVES for step in way) for way in ways)


def _is_pseudonym(field: Field) -> bool:
    ways = [way for way in treatments_of(field) if not isinstance(way, str)]
    return any(step.name in PSEUDONYM_TECHNIQUES for way in ways for step in way)


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
    shifts = [sum(step.max_days for step in way if isinstance(step, ShiftDates)) for way in ways]
    return column, timedelta(days=max(shifts, default=0))


Coarseness = Literal["coarser", "finer"]
_TIME_UNITS: Final = ("minute", "hour", "day", "week", "month", "quarter", "year")
_NESTING_UNITS: Final = ("minute", "hour", "day", "month", "quarter", "year")
"""Units that consist of whole units of those before. Months do not consist of whole weeks."""


def compare_coarseness(word: str, then: Mapping[str, Any], today: Mapping[str, Any]) -> Coarseness | None:
    """How the second of two forms by one technique compares with the first; None if neither can be derived from the other.

    Takes the technique's word, and its parameters then and today.

    >>> compare_coarseness("truncate_time", {"to": "hour", "zone": "UTC"}, {"to": "day", "zone": "UTC"})
    'coarser'
    """
    ranks = [_precision(word, given) for given in (then, today)]
    others = [
        {key: value for key, value in given.items() if key not in _PRECISION_PARAMETERS.get(word, ())}
        for given in (then, today)
    ]
    if word not in _PRECISION_PARAMETERS or others[0] != others[1]:
        return None
    if all(new <= old for old, new in zip(*ranks, strict=True)):
        return "coarser" if _is_derivable(word, then, today) else None
    return "finer" if all(new >= old for old, new in zip(*ranks, strict=True)) else None


_PRECISION_PARAMETERS: Final[Mapping[str, tuple[str, ...]]] = {
    "truncate_time": ("to",),
    "truncate_ip": ("v4", "v6"),
    "truncate_version": ("parts",),
    "mask": ("keep_last", "keep_first"),
}
"""The parameters of each technique that determine only how fine the released form is."""


def _precision(word: str, parameters: Mapping[str, Any]) -> list[int]:
    """A measure of how fine a form is; a higher number is finer."""
    if word == "truncate_time":
        return [-_TIME_UNITS.index(parameters["to"])]
    return [parameters[name] or 0 for name in _PRECISION_PARAMETERS.get(word, ())]


def _is_derivable(word: str, then: Mapping[str, Any], today: Mapping[str, Any]) -> bool:
    """Whether the coarser form can be derived from the finer form: the start of a week does not determine the month."""
    if word != "truncate_time":
        return True
    units = (then["to"], today["to"])
    return (
        units == ("week", "week")
        or all(unit in _NESTING_UNITS for unit in units)
        or (units[1] == "week" and units[0] in ("minute", "hour", "day"))
    )
