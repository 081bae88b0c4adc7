from __future__ import annotations

from minimize.policy.condition import All, AnyOf, Equals, Feature, Level, atoms


def test_atoms_are_the_leaves_from_left_to_right() -> None:
    tree = AnyOf((Equals("a", (1,)), All((Feature("f"), Level("l")))))
    assert list(atoms(tree)) == [Equals("a", (1,)), Feature("f"), Level("l")]
