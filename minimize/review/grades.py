"""Grades of changes: a changed value, condition, technique chain or case tightens, loosens or is neutral."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, Literal

from minimize.plan.category import least_revealing, step_leaves
from minimize.policy.condition import AllOf, AnyOf, Condition, FieldEquals, LevelAtLeast, TimeWithin
from minimize.policy.fields import treatments_of
from minimize.policy.model import Field, FieldCase, Role
from minimize.policy.treatments import Treatment
from minimize.techniques import TechniqueStep
from minimize.techniques.base import LEAVES_ORDER
from minimize.techniques.parameters import FEWER_TIGHTENS, MORE_TIGHTENS

Grade = Literal["tightens", "loosens", "neutral"]
Comparison = Callable[[Any, Any], Grade]
"""Takes the old and the new value, returns the grade of the change."""
GRADE_ORDER: Final[tuple[Grade, ...]] = ("loosens", "tightens", "neutral")


def join_grades(grades: Iterable[Grade]) -> Grade:
    """Grade of several changes together: `loosens` if one loosens, else `tightens` if one tightens.

    >>> join_grades(["neutral", "tightens"]), join_grades(["tightens", "loosens"]), join_grades([])
    ('tightens', 'loosens', 'neutral')
    """
    return min(grades, key=GRADE_ORDER.index, default="neutral")


def fewer_tightens(old: Collection[Any], new: Collection[Any]) -> Grade:
    """A proper subset tightens; any other difference loosens. The order of the values does not matter.

    >>> fewer_tightens({1, 2}, {1}), fewer_tightens({1}, {2})
    ('tightens', 'loosens')
    """
    return FEWER_TIGHTENS.grade(set(old), set(new))


def more_tightens(old: Collection[Any], new: Collection[Any]) -> Grade:
    """A proper superset tightens; any other difference loosens. The order of the values does not matter."""
    return MORE_TIGHTENS.grade(set(old), set(new))


def compare_entries(order: Comparison, old: Mapping[Any, Any], new: Mapping[Any, Any], missing: Any = None) -> Grade:
    """Grade of two mappings, entry by entry. `missing` stands for an entry that only one side has."""
    return join_grades(order(old.get(name, missing), new.get(name, missing)) for name in {**old, **new})


def condition_grade(old: Condition | None, new: Condition | None, levels: Sequence[str] = ()) -> Grade:
    """Grade of a change of the condition for collecting a value. None means that the value is always collected.

    >>> condition_grade(FieldEquals("a", (1, 2)), FieldEquals("a", (1,))), condition_grade(FieldEquals("a", (1,)), None)
    ('tightens', 'loosens')
    """
    if old is None or new is None:
        return "neutral" if old is new else "tightens" if old is None else "loosens"
    narrower, wider = implies(new, old, levels), implies(old, new, levels)
    return "neutral" if narrower and wider else "tightens" if narrower else "loosens"


def implies(one: Condition, other: Condition, levels: Sequence[str] = ()) -> bool:
    """Whether the first condition certainly implies the second. May miss an implication, but never invents one.

    Conditions have no `not`, so comparing their parts is enough. Takes the levels from the lowest to the highest.
    """
    if repr(one) == repr(other):  # `repr`, because Python treats 1 and True as equal
        return True
    if isinstance(one, AnyOf):
        return all(implies(part, other, levels) for part in one.parts)
    if isinstance(other, AllOf):
        return all(implies(one, part, levels) for part in other.parts)
    if isinstance(one, AllOf) and any(implies(part, other, levels) for part in one.parts):
        return True
    if isinstance(other, AnyOf):
        return any(implies(one, part, levels) for part in other.parts)
    return _atom_implies(one, other, levels)


def _atom_implies(one: Condition, other: Condition, levels: Sequence[str]) -> bool:
    if isinstance(one, FieldEquals) and isinstance(other, FieldEquals):
        return one.field == other.field and set(map(repr, one.values)) <= set(map(repr, other.values))
    if isinstance(one, TimeWithin) and isinstance(other, TimeWithin):
        return (one.field, one.reference) == (other.field, other.reference) and one.age <= other.age
    if isinstance(one, LevelAtLeast) and isinstance(other, LevelAtLeast):
        known = one.name in levels and other.name in levels
        return known and levels.index(one.name) >= levels.index(other.name)
    return False


def chain_grade(old: Treatment, new: Treatment, roles: Collection[Role] = ()) -> Grade:
    """Grade of a change from one form to another.

    Takes chains of steps or `drop`, and the roles of their fields.

    >>> from minimize.techniques.mask import Mask
    >>> chain_grade((Mask(keep_last=4),), (Mask(keep_last=2),)), chain_grade("drop", (Mask(keep_last=2),))
    ('tightens', 'loosens')
    """
    if isinstance(old, str) or isinstance(new, str):
        return "neutral" if old == new else "tightens" if isinstance(new, str) else "loosens"
    before, after = _effective_steps(old), _effective_steps(new)
    forms = [[(step.name, step.parameters()) for step in steps] for steps in (before, after)]
    if forms[0] == forms[1]:
        return "neutral"
    if [step.name for step in before] == [step.name for step in after]:
        return join_grades(map(_step_grade, before, after))
    if forms[1][: len(before)] == forms[0] or forms[0][: len(after)] == forms[1]:
        return "tightens" if len(after) > len(before) else "loosens"
    return _grade_by_leaves(old, new, roles)


def _effective_steps(chain: tuple[TechniqueStep, ...]) -> list[TechniqueStep]:
    """The steps that change values."""
    return [step for step in chain if not step.changes_nothing]


def _step_grade(old: TechniqueStep, new: TechniqueStep) -> Grade:
    """Grade of a change of the parameters of one technique."""
    before, after = old.parameters(), new.parameters()
    return join_grades(order.grade(before[name], after[name]) for name, order in old.parameter_orders().items())


def _grade_by_leaves(old: tuple[TechniqueStep, ...], new: tuple[TechniqueStep, ...], roles: Collection[Role]) -> Grade:
    if old[-1].shows_presence_only or new[-1].shows_presence_only:
        return "tightens" if new[-1].shows_presence_only else "loosens"
    before, after = (
        LEAVES_ORDER.index(least_revealing(step_leaves(step, roles) for step in chain)) for chain in (old, new)
    )
    return "tightens" if after < before else "loosens"


FormPair = tuple[Treatment, Treatment]
"""A previous form of a value, and a form that it may have now."""


def cases_grade(old: Field, new: Field, roles: Collection[Role]) -> Grade:
    """Grade of a change of `do`, or of cases.

    With the same conditions, compares case by case. If cases were only added or only removed, compares the forms of the values
    they cover. Otherwise compares every old form with every new one.
    """
    return join_grades(chain_grade(before, after, roles) for before, after in _form_pairs(old, new))


def aggregate_input_grade(old: Field, new: Field, roles: Collection[Role]) -> Grade:
    """Grade of a change of the form in aggregates: `in_aggregates`, or the released form if that is not set."""
    pairs = ((before, after) for before in _aggregate_forms(old) for after in _aggregate_forms(new))
    return join_grades(chain_grade(before, after, roles) for before, after in pairs)


def _aggregate_forms(field: Field) -> list[Treatment]:
    return [field.in_aggregates] if field.in_aggregates else list(treatments_of(field))


def _form_pairs(old: Field, new: Field) -> Iterator[FormPair]:
    before, after = _case_forms(old), _case_forms(new)
    if [when for when, _ in before] == [when for when, _ in after]:
        yield from zip(treatments_of(old), treatments_of(new), strict=True)
    elif (removed := _extra_cases(old.cases, new.cases)) is not None and _otherwise_text(old) == _otherwise_text(new):
        yield from ((case.do, way) for place, case in removed for way in _forms_after(new, place))
    elif (added := _extra_cases(new.cases, old.cases)) is not None and _otherwise_text(old) == _otherwise_text(new):
        yield from ((way, case.do) for place, case in added for way in _forms_after(old, place))
    else:
        yield from ((way, other) for way in treatments_of(old) for other in treatments_of(new))


def _case_forms(field: Field) -> list[tuple[str, Treatment]]:
    return [(repr(case.when), case.do) for case in field.cases]


def _otherwise_text(field: Field) -> str:
    return repr(field.otherwise if field.cases else field.do)


def _extra_cases(longer: Sequence[FieldCase], shorter: Sequence[FieldCase]) -> list[tuple[int, FieldCase]] | None:
    """Cases that only the longer list has, with their position in the shorter one; None if that is not a part of it."""
    found, place = [], 0
    for case in longer:
        if place < len(shorter) and repr(case) == repr(shorter[place]):
            place += 1
        else:
            found.append((place, case))
    return found if place == len(shorter) else None


def _forms_after(field: Field, place: int) -> list[Treatment]:
    """Possible forms of a value that no case before this position matches."""
    return [*(case.do for case in field.cases[place:]), field.otherwise if field.cases else field.do]
