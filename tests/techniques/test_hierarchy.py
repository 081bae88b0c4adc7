from __future__ import annotations

from minimize.techniques.generalize import Hierarchy


def test_what_a_hierarchy_holds_is_not_in_its_repr() -> None:
    assert repr(Hierarchy((("Paris", "France"), ("Lyon", "France")), b"Paris,France")) == "Hierarchy()"
