"""Grades of changes: a changed value, condition, technique chain or case tightens, loosens or is neutral."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, Literal

from minimize.plan.category import LEAVES_ORDER, least_revealing, step_leaves
from minimize.policy.condition import AllOf, AnyOf, Condition, FieldEquals, LevelAtLeast, TimeWithin
from minimize.policy.fields import compare_coarseness, treatments_of
from minimize.policy.model import Field, FieldCase, Role
from minimize.policy.treatments import Treatment
from minimize.techniques import TechniqueStep
from minimize.techniques.generalize import Generalize

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


def change_loosens(old: Any, new: Any) -> Grade:
    """Any difference loosens, because the values have no order."""
    return "neutral" if old == new else "loosens"


def change_is_neutral(old: Any, new: Any) -> Grade:
    """Any difference is neutral."""
    return "neutral"


def lower_tightens(old: Any, new: Any) -> Grade:
    """A lower number tightens. None means no limit, above every number.

    >>> lower_tightens(24, 16), lower_tightens(16, None), lower_tightens(None, None)
    ('tightens', 'loosens', 'neutral')
    """
    if old == new:
        return "neutral"
    return "tightens" if old is None or (new is not None and new < old) else "loosens"


def higher_tightens(old: Any, new: Any) -> Grade:
    """A higher number tightens. None means no limit, below every number.

    >>> higher_tightens(10, 20), higher_tightens(20, None)
    ('tightens', 'loosens')
    """
    if old == new:
        return "neutral"
    return "tightens" if old is None or (new is not None and new > old) else "loosens"


def fewer_tightens(old: Collection[Any], new: Collection[Any]) -> Grade:
    """A proper subset tightens; any other difference loosens.

    >>> fewer_tightens({1, 2}, {1}), fewer_tightens({1}, {2})
    ('tightens', 'loosens')
    """
    before, after = set(old), set(new)
    return "neutral" if before == after else "tightens" if after < before else "loosens"


def more_tightens(old: Collection[Any], new: Collection[Any]) -> Grade:
    """A proper superset tightens; any other difference loosens."""
    before, after = set(old), set(new)
    return "neutral" if before == after else "tightens" if after > before else "loosens"


def setting_tightens(old: Any, new: Any) -> Grade:
    """Setting a value for the first time tightens; any other difference loosens."""
    if old == new:
        return "neutral"
    return "tightens" if old is None else "loosens"


def unsetting_tightens(old: Any, new: Any) -> Grade:
    """Removing the value tightens; any other difference loosens."""
    if old == new:
        return "neutral"
    return "tightens" if new is None else "loosens"


def ranked_comparison(words: Sequence[Any]) -> Comparison:
    """Comparison by rank, from the tightest to the loosest. A value without a rank loosens."""

    def compared(old: Any, new: Any) -> Grade:
        if old == new:
            return "neutral"
        if old not in words or new not in words:
            return "loosens"
        return "tightens" if words.index(new) < words.index(old) else "loosens"

    return compared


def grade_parts(comparisons: Mapping[str, Comparison], old: Mapping[str, Any], new: Mapping[str, Any]) -> Grade:
    """Grade of parts by name, each by its comparison. Without a comparison, any difference loosens."""
    return join_grades(comparisons.get(name, change_loosens)(old.get(name), new.get(name)) for name in {**old, **new})


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


_ROTATION_ORDER: Final = ("day", "week", "month", "quarter", "year", None)
_AGE_UNIT_ORDER: Final = ("years", "months", "days")


def _fewer_characters(old: int | None, new: int | None) -> Grade:
    return lower_tightens(old or 0, new or 0)


def time_unit_grade(old: str, new: str) -> Grade:
    """Grade of a change of a time unit. It tightens if the new unit consists of whole old ones; otherwise it loosens."""
    if old == new:
        return "neutral"
    return "tightens" if compare_coarseness("truncate_time", {"to": old}, {"to": new}) == "coarser" else "loosens"


def _mapping_grade(old: Mapping[str, Any], new: Mapping[str, Any]) -> Grade:
    """Mapping fewer values, with the same results, tightens: more values get the common replacement."""
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
"""Comparison of each parameter, by technique. For a parameter that is missing here, any difference loosens."""


def chain_grade(old: Treatment, new: Treatment, roles: Collection[Role] = ()) -> Grade:
    """Grade of a change from one form to another.

    Takes chains of steps or `drop`, and the roles of their fields.

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
    """The steps except `keep`, by name and with all parameters. A hierarchy is compared by its content."""
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
    """Whether bins are labels. Labels show on which side a value is outside the bins; numbers are then null."""
    return bool(parameters["as_"] == "label")


def _grade_by_leaves(old: tuple[TechniqueStep, ...], new: tuple[TechniqueStep, ...], roles: Collection[Role]) -> Grade:
    if "presence" in (old[-1].name, new[-1].name):
        return "tightens" if new[-1].name == "presence" else "loosens"
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
