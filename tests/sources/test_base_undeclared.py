"""Undeclared paths are bounded, and which of them are listed depends on nothing but a key and their names."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from minimize.arrow.pointers import Pointer
from minimize.records import MAX_UNDECLARED_PATHS, OTHER_PATHS, UndeclaredCount, bound_undeclared, merge_undeclared
from minimize.sources.base import SourceRequest

REQUEST = SourceRequest((), salt=b"secret")


def counts(
    names: range | list[str], request: SourceRequest = REQUEST, records: int = 1
) -> dict[Pointer, UndeclaredCount]:
    pointers = [Pointer(("x", str(name))) for name in names]
    return {pointer: UndeclaredCount(records, frozenset("s"), request.rank(pointer)) for pointer in pointers}


def test_a_thousand_paths_are_counted_by_themselves_and_the_others_together() -> None:
    found = bound_undeclared(counts(range(5_000)))
    assert len(found) == MAX_UNDECLARED_PATHS + 1
    assert found[OTHER_PATHS] == UndeclaredCount(4_000)
    assert all(found[pointer].records == 1 for pointer in found if pointer != OTHER_PATHS)


def test_a_thousand_paths_and_fewer_stay_as_they_are() -> None:
    assert bound_undeclared(counts(range(MAX_UNDECLARED_PATHS))) == counts(range(MAX_UNDECLARED_PATHS))


@given(st.randoms(use_true_random=False), st.integers(1, 40))
def test_neither_the_order_nor_the_batches_decide_which_paths_are_listed(some: random.Random, size: int) -> None:
    names = [str(number % 60) for number in range(120)]
    together = merge_undeclared((counts([name]) for name in names), paths=10)
    some.shuffle(names)
    cut = [names[start : start + size] for start in range(0, len(names), size)]
    parts = [merge_undeclared((counts([name]) for name in part), paths=10) for part in cut]
    some.shuffle(parts)
    assert merge_undeclared(parts, paths=10) == together


def test_another_key_lists_other_paths() -> None:
    other = SourceRequest((), salt=b"another")
    assert (
        bound_undeclared(counts(range(5_000)), 100).keys() != bound_undeclared(counts(range(5_000), other), 100).keys()
    )
