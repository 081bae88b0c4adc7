"""Which of two conditions holds less often."""

from __future__ import annotations

from datetime import timedelta
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as some

from minimize.policy.condition import All, AnyOf, Condition, Equals, Feature, Level, Within
from minimize.review.conditions import condition_grade, implies

LEVELS = ("required", "basic", "full")
A, B = Equals("a", (1,)), Equals("a", (1, 2))
ATOMS = [
    *(Equals("a", values) for values in ((1,), (2,), (1, 2))),
    Equals("b", (1,)),
    *(Level(name) for name in LEVELS),
    Feature("f"),
    *(Within("seen", timedelta(days=days), of) for days in (1, 7) for of in ("time", "other")),
]
conditions: some.SearchStrategy[Condition] = some.recursive(
    some.sampled_from(ATOMS),
    lambda inner: some.builds(
        lambda kind, parts: kind(tuple(parts)),
        some.sampled_from([All, AnyOf]),
        some.lists(inner, min_size=1, max_size=3),
    ),
    max_leaves=6,
)
WORLDS = [
    {"a": a, "b": b, "level": level, "f": f, "time": time, "other": other}
    for a, b, level, f, time, other in product((1, 2, 3), (1, 2), LEVELS, (True, False), (0, 3, 9), (0, 3, 9))
]


def holds(condition: Condition, world: dict[str, object]) -> bool:
    match condition:
        case All(of):
            return all(holds(part, world) for part in of)
        case AnyOf(of):
            return any(holds(part, world) for part in of)
        case Feature():
            return bool(world["f"])
        case Level(name):
            return LEVELS.index(str(world["level"])) >= LEVELS.index(name)
        case Equals(key, values):
            return world[key] in values
        case Within(_, age, of):
            return int(str(world[of])) < age.days


@given(conditions, conditions)
def test_what_implies_another_never_holds_without_it(one: Condition, other: Condition) -> None:
    if implies(one, other, LEVELS):
        assert [world for world in WORLDS if holds(one, world) and not holds(other, world)] == []


@given(conditions, conditions)
def test_where_the_way_tightens_the_way_back_loosens(one: Condition, other: Condition) -> None:
    if condition_grade(one, other, LEVELS) == "tightens":
        assert condition_grade(other, one, LEVELS) == "loosens"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (None, A),
        (B, A),
        (A, All((A, Feature("f")))),
        (AnyOf((A, Feature("f"))), A),
        (Level("basic"), Level("full")),
        (AnyOf((A, Feature("f"))), All((A, Feature("f")))),
        (All((B, Feature("f"))), All((A, Feature("f"), Level("basic")))),
    ],
    ids=str,
)
def test_what_holds_less_often_tightens(old: Condition | None, new: Condition) -> None:
    assert (condition_grade(old, new, LEVELS), condition_grade(new, old, LEVELS)) == ("tightens", "loosens")


def test_the_same_in_another_order_is_the_same() -> None:
    assert condition_grade(All((A, Feature("f"))), All((Feature("f"), A))) == "neutral"


def test_of_levels_that_nobody_knows_the_order_of_nothing_is_known() -> None:
    assert condition_grade(Level("basic"), Level("full")) == "loosens"
