"""Which of two conditions holds less often."""

from __future__ import annotations

from datetime import timedelta
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as some

from minimize.policy.condition import AllOf, AnyOf, Condition, FeatureOn, FieldEquals, LevelAtLeast, TimeWithin
from minimize.review.technique_changes import condition_grade, implies

LEVELS = ("required", "basic", "full")
A, B = FieldEquals("a", (1,)), FieldEquals("a", (1, 2))
ATOMS = [
    *(FieldEquals("a", values) for values in ((1,), (2,), (1, 2))),
    FieldEquals("b", (1,)),
    *(LevelAtLeast(name) for name in LEVELS),
    FeatureOn("f"),
    *(TimeWithin("seen", timedelta(days=days), of) for days in (1, 7) for of in ("time", "other")),
]
conditions: some.SearchStrategy[Condition] = some.recursive(
    some.sampled_from(ATOMS),
    lambda inner: some.builds(
        lambda kind, parts: kind(tuple(parts)),
        some.sampled_from([AllOf, AnyOf]),
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
        case AllOf(of):
            return all(holds(part, world) for part in of)
        case AnyOf(of):
            return any(holds(part, world) for part in of)
        case FeatureOn():
            return bool(world["f"])
        case LevelAtLeast(name):
            return LEVELS.index(str(world["level"])) >= LEVELS.index(name)
        case FieldEquals(key, values):
            return world[key] in values
        case TimeWithin(_, age, of):
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
        (A, AllOf((A, FeatureOn("f")))),
        (AnyOf((A, FeatureOn("f"))), A),
        (LevelAtLeast("basic"), LevelAtLeast("full")),
        (AnyOf((A, FeatureOn("f"))), AllOf((A, FeatureOn("f")))),
        (AllOf((B, FeatureOn("f"))), AllOf((A, FeatureOn("f"), LevelAtLeast("basic")))),
    ],
    ids=str,
)
def test_what_holds_less_often_tightens(old: Condition | None, new: Condition) -> None:
    assert (condition_grade(old, new, LEVELS), condition_grade(new, old, LEVELS)) == ("tightens", "loosens")


def test_the_same_in_another_order_is_the_same() -> None:
    assert condition_grade(AllOf((A, FeatureOn("f"))), AllOf((FeatureOn("f"), A))) == "neutral"


def test_of_levels_that_nobody_knows_the_order_of_nothing_is_known() -> None:
    assert condition_grade(LevelAtLeast("basic"), LevelAtLeast("full")) == "loosens"
