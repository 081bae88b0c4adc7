"""What may become of a field's value, compared over its cases."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from minimize.policy.fields import ways_of
from minimize.policy.model import Case, Do, Field, Role
from minimize.review.forms import form_grade
from minimize.review.grades import Grade, joined

Pair = tuple[Do, Do]
"""A form that a value had, and one that it may have now."""


def ways_grade(old: Field, new: Field, roles: Collection[Role]) -> Grade:
    """The grade of a change of `do`, or of cases.

    Under the same conditions case by case; where cases came or went, what becomes of their values now; else everything that was
    against everything that is.
    """
    return joined(form_grade(before, after, roles) for before, after in _pairs(old, new))


def measured_grade(old: Field, new: Field, roles: Collection[Role]) -> Grade:
    """The grade of a change of what aggregates see: `in_aggregates`, and the released form where that says nothing."""
    pairs = ((before, after) for before in _seen(old) for after in _seen(new))
    return joined(form_grade(before, after, roles) for before, after in pairs)


def _seen(field: Field) -> list[Do]:
    return [field.in_aggregates] if field.in_aggregates else list(ways_of(field))


def _pairs(old: Field, new: Field) -> Iterator[Pair]:
    before, after = _ruled(old), _ruled(new)
    if [when for when, _ in before] == [when for when, _ in after]:
        yield from zip(ways_of(old), ways_of(new), strict=True)
    elif (gone := _extra(old.cases, new.cases)) is not None and _rest(old) == _rest(new):
        yield from ((case.do, way) for place, case in gone for way in _after(new, place))
    elif (come := _extra(new.cases, old.cases)) is not None and _rest(old) == _rest(new):
        yield from ((way, case.do) for place, case in come for way in _after(old, place))
    else:
        yield from ((way, other) for way in ways_of(old) for other in ways_of(new))


def _ruled(field: Field) -> list[tuple[str, Do]]:
    return [(repr(case.when), case.do) for case in field.cases]


def _rest(field: Field) -> str:
    return repr(field.otherwise if field.cases else field.do)


def _extra(longer: Sequence[Case], shorter: Sequence[Case]) -> list[tuple[int, Case]] | None:
    """The cases that only the longer list has, each with its place in the shorter; None where that is no part of it."""
    found, place = [], 0
    for case in longer:
        if place < len(shorter) and repr(case) == repr(shorter[place]):
            place += 1
        else:
            found.append((place, case))
    return found if place == len(shorter) else None


def _after(field: Field, place: int) -> list[Do]:
    """What may become of a value that no case before a place took."""
    return [*(case.do for case in field.cases[place:]), field.otherwise if field.cases else field.do]
