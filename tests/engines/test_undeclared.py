"""Which undeclared names a receipt may show."""

from __future__ import annotations

import pytest

from minimize.arrow.pointers import Pointer
from minimize.plan.request import count_undeclared
from minimize.sources.base import UndeclaredCount

MANY = frozenset(map(str, range(10)))
DECLARED = [Pointer.parse("/os/version"), Pointer.parse("/apps/*/name")]


def seen(path: str, records: int = 12, subjects: frozenset[str] = MANY) -> dict[str, int]:
    return count_undeclared({Pointer.parse(path): UndeclaredCount(records, subjects)}, DECLARED)


def test_a_name_that_ten_subjects_carry_is_shown() -> None:
    assert seen("/beta_ring") == {"/beta_ring": 12}


def test_a_name_that_nine_subjects_carry_is_not() -> None:
    assert seen("/beta_ring", subjects=frozenset(map(str, range(9)))) == {"/*": 12}


@pytest.mark.parametrize(
    "name", ["carol@mail.example", "203.0.113.7", "+12025550147", "a b", "9lives", "x" * 65, "ümlaut"]
)
def test_what_does_not_look_like_a_name_is_not_shown(name: str) -> None:
    assert count_undeclared({Pointer((name,)): UndeclaredCount(12, MANY)}, DECLARED) == {"/*": 12}


def test_declared_parts_of_a_path_are_shown_whoever_carries_them() -> None:
    assert seen("/os/build", subjects=frozenset()) == {"/os/*": 12}
    assert seen("/apps/*/vendor") == {"/apps/*/vendor": 12}


def test_hidden_names_count_together() -> None:
    few = {Pointer.parse("/alice"): UndeclaredCount(1), Pointer.parse("/bob"): UndeclaredCount(2)}
    assert count_undeclared(few, DECLARED) == {"/*": 3}
