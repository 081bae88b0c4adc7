from __future__ import annotations

from datetime import timedelta

from minimize.policy.condition import All, AnyOf, Equals, Feature, Level, Within, atoms, read_by


def test_atoms_are_the_leaves_from_left_to_right() -> None:
    tree = AnyOf((Equals("a", (1,)), All((Feature("f"), Level("l")))))
    assert list(atoms(tree)) == [Equals("a", (1,)), Feature("f"), Level("l")]


def test_a_condition_reads_the_fields_of_all_its_leaves() -> None:
    within = Within("seen", timedelta(days=7), "time")
    assert list(read_by(AnyOf((Equals("a", (1,)), All((Feature("f"), within)))))) == ["a", "seen", "time"]
    assert list(read_by(None)) == []
