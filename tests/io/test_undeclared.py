"""Undeclared paths are bounded, and which of them are listed depends on nothing but a key and their names."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from minimize.io.base import Carried, Request
from minimize.io.undeclared import PATHS, REST, added, bounded
from minimize.pointer import Pointer

REQUEST = Request((), salt=b"secret")


def counts(names: range | list[str], request: Request = REQUEST, records: int = 1) -> dict[Pointer, Carried]:
    pointers = [Pointer(("x", str(name))) for name in names]
    return {pointer: Carried(records, frozenset("s"), request.rank(pointer)) for pointer in pointers}


def test_a_thousand_paths_are_counted_by_themselves_and_the_others_together() -> None:
    found = bounded(counts(range(5_000)))
    assert len(found) == PATHS + 1
    assert found[REST] == Carried(4_000)
    assert all(found[pointer].records == 1 for pointer in found if pointer != REST)


def test_a_thousand_paths_and_fewer_stay_as_they_are() -> None:
    assert bounded(counts(range(PATHS))) == counts(range(PATHS))


@given(st.randoms(use_true_random=False), st.integers(1, 40))
def test_neither_the_order_nor_the_batches_decide_which_paths_are_listed(some: random.Random, size: int) -> None:
    names = [str(number % 60) for number in range(120)]
    together = added((counts([name]) for name in names), paths=10)
    some.shuffle(names)
    cut = [names[start : start + size] for start in range(0, len(names), size)]
    parts = [added((counts([name]) for name in part), paths=10) for part in cut]
    some.shuffle(parts)
    assert added(parts, paths=10) == together


def test_another_key_lists_other_paths() -> None:
    other = Request((), salt=b"another")
    assert bounded(counts(range(5_000)), 100).keys() != bounded(counts(range(5_000), other), 100).keys()
