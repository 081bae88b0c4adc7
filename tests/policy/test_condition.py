from __future__ import annotations

from datetime import timedelta

from minimize.policy.condition import (
    AllOf,
    AnyOf,
    FeatureOn,
    FieldEquals,
    LevelAtLeast,
    TimeWithin,
    atoms,
    fields_read_by_condition,
)


def test_atoms_are_the_leaves_from_left_to_right() -> None:
    tree = AnyOf((FieldEquals("a", (1,)), AllOf((FeatureOn("f"), LevelAtLeast("l")))))
    assert list(atoms(tree)) == [FieldEquals("a", (1,)), FeatureOn("f"), LevelAtLeast("l")]


def test_a_condition_reads_the_fields_of_all_its_leaves() -> None:
    within = TimeWithin("seen", timedelta(days=7), "time")
    assert list(fields_read_by_condition(AnyOf((FieldEquals("a", (1,)), AllOf((FeatureOn("f"), within)))))) == [
        "a",
        "seen",
        "time",
    ]
    assert list(fields_read_by_condition(None)) == []
