"""Grades of changes: a changed value, condition, technique chain or case tightens, loosens or is neutral."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, Literal

from minimize.plan.category import CATEGORY_ORDER, LEAVES_ORDER, least_revealing, step_leaves
from minimize.policy.condition import AllOf, AnyOf, Condition, FieldEquals, LevelAtLeast, TimeWithin
from minimize.policy.fields import compare_coarseness, treatments_of
from minimize.policy.model import Field, FieldCase, Role, Treatment
from minimize.techniques import TechniqueStep
from minimize.techniques.generalize import Generalize

Grade = Literal["tightens", "loosens", "neutral"]
Comparison = Callable[[Any, Any], Grade]
"""Takes what was and what is, gives the grade of the change."""
GRADE_ORDER: Final[tuple[Grade, ...]] = ("loosens", "tightens", "neutral")


def join_grades(grades: Iterable[Grade]) -> Grade:
    """The grade of several changes at once: one that loosens decides, then one that tightens.

    >>> join_grades(["neutral", "tightens"]), join_grades(["tightens", "loosens"]), join_grades([])
    ('tightens', 'loosens', 'neutral')
    """
    return min(grades, key=GRADE_ORDER.index, default="neutral")


def change_loosens(old: Any, new: Any) -> Grade:
    """Any difference loosens: there is no order in it."""
    return "neutral" if old == new else "loosens"


def change_is_neutral(old: Any, new: Any) -> Grade:
    """No difference matters."""
    return "neutral"


def lower_tightens(old: Any, new: Any) -> Grade:
    """Less tightens. None is no limit, above every number.

    >>> lower_tightens(24, 16), lower_tightens(16, None), lower_tightens(None, None)
    ('tightens', 'loosens', 'neutral')
    """
    if old == new:
        return "neutral"
    return "tightens" if old is None or (new is not None and new < old) else "loosens"


def higher_tightens(old: Any, new: Any) -> Grade:
    """More tightens. None is no limit, below every number.

    >>> higher_tightens(10, 20), higher_tightens(20, None)
    ('tightens', 'loosens')
    """
    if old == new:
        return "neutral"
    return "tightens" if old is None or (new is not None and new > old) else "loosens"


def fewer_tightens(old: Collection[Any], new: Collection[Any]) -> Grade:
    """To have only some of them tightens.

    >>> fewer_tightens({1, 2}, {1}), fewer_tightens({1}, {2})
    ('tightens', 'loosens')
    """
    before, after = set(old), set(new)
    return "neutral" if before == after else "tightens" if after < before else "loosens"


def more_tightens(old: Collection[Any], new: Collection[Any]) -> Grade:
    """To have others beside them tightens."""
    before, after = set(old), set(new)
    return "neutral" if before == after else "tightens" if after > before else "loosens"


def setting_tightens(old: Any, new: Any) -> Grade:
    """To say it, where nothing was said, tightens; to say another loosens."""
    if old == new:
        return "neutral"
    return "tightens" if old is None else "loosens"


def unsetting_tightens(old: Any, new: Any) -> Grade:
    """To say it no longer tightens; to say another loosens."""
    if old == new:
        return "neutral"
    return "tightens" if new is None else "loosens"


def ranked_comparison(words: Sequence[Any]) -> Comparison:
    """By their place in an order, from the tightest to the loosest; what has no place in it loosens."""

    def compared(old: Any, new: Any) -> Grade:
        if old == new:
            return "neutral"
        if old not in words or new not in words:
            return "loosens"
        return "tightens" if words.index(new) < words.index(old) else "loosens"

    return compared


def names_or_all(names: Collection[Any], available: Collection[Any]) -> Collection[Any]:
    """The names; all there are where none is said."""
    return names or available


def grade_parts(comparisons: Mapping[str, Comparison], old: Mapping[str, Any], new: Mapping[str, Any]) -> Grade:
    """Parts by name, each by its comparison; a part that has none loosens where it differs."""
    return join_grades(comparisons.get(name, change_loosens)(old.get(name), new.get(name)) for name in {**old, **new})


CATEGORY_LIMITS: Final = (*CATEGORY_ORDER, None)
"""What an output may be at most, from the least; None is no promise."""
ENCRYPTION_ORDER: Final = ("by_category", "none")
"""From the one that protects."""


def condition_grade(old: Condition | None, new: Condition | None, levels: Sequence[str] = ()) -> Grade:
    """The grade of a change of what must hold for a value to be collected; None is that nothing must.

    >>> condition_grade(FieldEquals("a", (1, 2)), FieldEquals("a", (1,))), condition_grade(FieldEquals("a", (1,)), None)
    ('tightens', 'loosens')
    """
    if old is None or new is None:
        return "neutral" if old is new else "tightens" if old is None else "loosens"
    narrower, wider = implies(new, old, levels), implies(old, new, levels)
    return "neutral" if narrower and wider else "tightens" if narrower else "loosens"


def implies(one: Condition, other: Condition, levels: Sequence[str] = ()) -> bool:
    """Whether the second surely holds where the first does. There is no `not`, so that the parts tell; not all is found.

    Takes the levels from the lowest to the highest.
    """
    if repr(one) == repr(other):  # 1 is not true, though Python takes them for equal
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


_ROTATION_ORDER: Final = ("day", "week", "month", "quarter", "year", None)
_AGE_UNIT_ORDER: Final = ("years", "months", "days")


def _fewer_characters(old: int | None, new: int | None) -> Grade:
    return lower_tightens(old or 0, new or 0)


def time_unit_grade(old: str, new: str) -> Grade:
    """The grade of a change of a unit of time: one that is not made of whole ones of the other cannot be compared."""
    if old == new:
        return "neutral"
    return "tightens" if compare_coarseness("truncate_time", {"to": old}, {"to": new}) == "coarser" else "loosens"


def _mapping_grade(old: Mapping[str, Any], new: Mapping[str, Any]) -> Grade:
    """To map fewer values, and those as before, leaves more of them to what stands for all others."""
    same = all(old[key] == new[key] for key in old.keys() & new.keys())
    return fewer_tightens(old.keys(), new.keys()) if same else "loosens"


PARAMETER_COMPARISONS: Final[Mapping[str, Mapping[str, Comparison]]] = {
    "keep": {},
    "pseudonymize": {
        "key": change_is_neutral,
        "per": setting_tightens,
        "rotate": ranked_comparison(_ROTATION_ORDER),
        "link": unsetting_tightens,
        "fold": change_loosens,
    },
    "tokenize": {"key": change_is_neutral, "per": setting_tightens},
    "mask": {"keep_last": _fewer_characters, "keep_first": _fewer_characters},
    "round": {"to": higher_tightens},
    "bin": {"width": higher_tightens, "origin": change_loosens, "edges": change_loosens, "as_": change_is_neutral},
    "clip": {"min": higher_tightens, "max": lower_tightens},
    "truncate_time": {"to": time_unit_grade, "zone": change_loosens},
    "age": {"unit": ranked_comparison(_AGE_UNIT_ORDER), "at": change_loosens},
    "shift_dates": {"key": change_is_neutral, "per": change_loosens, "max_days": higher_tightens},
    "truncate_ip": {"v4": lower_tightens, "v6": lower_tightens, "as_": change_is_neutral},
    "truncate_version": {"parts": lower_tightens},
    "generalize": {"hierarchy": change_loosens, "level": higher_tightens},
    "map": {"values": _mapping_grade, "otherwise": change_loosens},
    "top": {"keep": lower_tightens, "other": change_is_neutral, "at_least": higher_tightens},
    "grid": {"metres": higher_tightens},
    "h3": {"resolution": lower_tightens},
    "keep_host": {},
    "email_domain": {},
    "redact": {"patterns": more_tightens, "mark": change_is_neutral},
    "presence": {},
    "size": {},
}
"""By technique how each of its parameters is compared; of one that is not here any difference loosens."""


def chain_grade(old: Treatment, new: Treatment, roles: Collection[Role] = ()) -> Grade:
    """The grade of a change from one form to another.

    Takes chains of steps or `drop`, and the roles of the fields that they are of.

    >>> from minimize.techniques.mask import Mask
    >>> chain_grade((Mask(keep_last=4),), (Mask(keep_last=2),)), chain_grade("drop", (Mask(keep_last=2),))
    ('tightens', 'loosens')
    """
    if old == "drop" or new == "drop":
        return "neutral" if old == new else "tightens" if new == "drop" else "loosens"
    before, after = _effective_steps(old), _effective_steps(new)
    if before == after:
        return "neutral"
    if [name for name, _ in before] == [name for name, _ in after]:
        return join_grades(_step_grade(name, then, now) for (name, then), (_, now) in zip(before, after, strict=True))
    if after[: len(before)] == before or before[: len(after)] == after:
        return "tightens" if len(after) > len(before) else "loosens"
    return _grade_by_leaves(old, new, roles)


def _effective_steps(chain: tuple[TechniqueStep, ...]) -> list[tuple[str, dict[str, Any]]]:
    """The steps that do something, by name and with all their parameters; a hierarchy is its content."""
    steps = [(step.name, {**step.model_dump(), **_hierarchy_content(step)}) for step in chain]
    return [each for each in steps if each[0] != "keep"]


def _hierarchy_content(step: TechniqueStep) -> dict[str, str]:
    return {"hierarchy": step.digest} if isinstance(step, Generalize) else {}


def _step_grade(name: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> Grade:
    if name == "bin" and old["edges"] is not None and new["edges"] is not None:
        return join_grades(
            [
                fewer_tightens(old["edges"], new["edges"]),
                ranked_comparison((False, True))(*map(_is_labeled, (old, new))),
            ]
        )
    return grade_parts(PARAMETER_COMPARISONS.get(name, {}), old, new)


def _is_labeled(parameters: Mapping[str, Any]) -> bool:
    """Whether bins say on which side a value is out of them; numbers are null on either."""
    return bool(parameters["as_"] == "label")


def _grade_by_leaves(old: tuple[TechniqueStep, ...], new: tuple[TechniqueStep, ...], roles: Collection[Role]) -> Grade:
    if "presence" in (old[-1].name, new[-1].name):
        return "tightens" if new[-1].name == "presence" else "loosens"
    before, after = (
        LEAVES_ORDER.index(least_revealing(step_leaves(step, roles) for step in chain)) for chain in (old, new)
    )
    return "tightens" if after < before else "loosens"


FormPair = tuple[Treatment, Treatment]
"""A form that a value had, and one that it may have now."""


def cases_grade(old: Field, new: Field, roles: Collection[Role]) -> Grade:
    """The grade of a change of `do`, or of cases.

    Under the same conditions case by case; where cases came or went, what becomes of their values now; else everything that was
    against everything that is.
    """
    return join_grades(chain_grade(before, after, roles) for before, after in _form_pairs(old, new))


def aggregate_input_grade(old: Field, new: Field, roles: Collection[Role]) -> Grade:
    """The grade of a change of what aggregates see: `in_aggregates`, and the released form where that says nothing."""
    pairs = ((before, after) for before in _aggregate_forms(old) for after in _aggregate_forms(new))
    return join_grades(chain_grade(before, after, roles) for before, after in pairs)


def _aggregate_forms(field: Field) -> list[Treatment]:
    return [field.in_aggregates] if field.in_aggregates else list(treatments_of(field))


def _form_pairs(old: Field, new: Field) -> Iterator[FormPair]:
    before, after = _case_forms(old), _case_forms(new)
    if [when for when, _ in before] == [when for when, _ in after]:
        yield from zip(treatments_of(old), treatments_of(new), strict=True)
    elif (gone := _extra_cases(old.cases, new.cases)) is not None and _otherwise_text(old) == _otherwise_text(new):
        yield from ((case.do, way) for place, case in gone for way in _forms_after(new, place))
    elif (come := _extra_cases(new.cases, old.cases)) is not None and _otherwise_text(old) == _otherwise_text(new):
        yield from ((way, case.do) for place, case in come for way in _forms_after(old, place))
    else:
        yield from ((way, other) for way in treatments_of(old) for other in treatments_of(new))


def _case_forms(field: Field) -> list[tuple[str, Treatment]]:
    return [(repr(case.when), case.do) for case in field.cases]


def _otherwise_text(field: Field) -> str:
    return repr(field.otherwise if field.cases else field.do)


def _extra_cases(longer: Sequence[FieldCase], shorter: Sequence[FieldCase]) -> list[tuple[int, FieldCase]] | None:
    """The cases that only the longer list has, each with its place in the shorter; None where that is no part of it."""
    found, place = [], 0
    for case in longer:
        if place < len(shorter) and repr(case) == repr(shorter[place]):
            place += 1
        else:
            found.append((place, case))
    return found if place == len(shorter) else None


def _forms_after(field: Field, place: int) -> list[Treatment]:
    """What may become of a value that no case before a place took."""
    return [*(case.do for case in field.cases[place:]), field.otherwise if field.cases else field.do]
