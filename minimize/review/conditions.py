"""Conditions compared: which of two holds less often, as far as their shape tells."""

from __future__ import annotations

from collections.abc import Sequence

from minimize.policy.condition import All, AnyOf, Condition, Equals, Level, Within
from minimize.review.grades import Grade


def condition_grade(old: Condition | None, new: Condition | None, levels: Sequence[str] = ()) -> Grade:
    """The grade of a change of what must hold for a value to be collected; None is that nothing must.

    >>> condition_grade(Equals("a", (1, 2)), Equals("a", (1,))), condition_grade(Equals("a", (1,)), None)
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
        return all(implies(part, other, levels) for part in one.of)
    if isinstance(other, All):
        return all(implies(one, part, levels) for part in other.of)
    if isinstance(one, All) and any(implies(part, other, levels) for part in one.of):
        return True
    if isinstance(other, AnyOf):
        return any(implies(one, part, levels) for part in other.of)
    return _atom(one, other, levels)


def _atom(one: Condition, other: Condition, levels: Sequence[str]) -> bool:
    if isinstance(one, Equals) and isinstance(other, Equals):
        return one.field == other.field and set(map(repr, one.values)) <= set(map(repr, other.values))
    if isinstance(one, Within) and isinstance(other, Within):
        return (one.field, one.of) == (other.field, other.of) and one.age <= other.age
    if isinstance(one, Level) and isinstance(other, Level):
        known = one.name in levels and other.name in levels
        return known and levels.index(one.name) >= levels.index(other.name)
    return False
