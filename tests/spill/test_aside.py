"""A run's space beside memory: keys of its own, which nobody is told."""

from __future__ import annotations

from multiprocessing.reduction import ForkingPickler

import pyarrow as pa

from minimize.spill import SpillSpace


def test_every_run_hashes_under_a_key_of_its_own() -> None:
    assert SpillSpace().hasher.mark != SpillSpace().hasher.mark
    first = SpillSpace()
    assert first.hasher.mark == first.hasher.mark


def test_a_key_that_is_given_counts() -> None:
    assert SpillSpace(None, bytes(32)).hasher.mark == SpillSpace(7, bytes(32)).hasher.mark


def test_anew_it_has_the_same_budget_and_hashes_and_another_vault() -> None:
    aside = SpillSpace(77)
    other = aside.with_own_file()
    assert other.budget is aside.budget
    assert other.hasher.mark == aside.hasher.mark
    assert other.spill_file is not aside.spill_file


def test_other_processes_get_the_budget_and_no_key() -> None:
    aside = SpillSpace(77, bytes(range(32)))
    aside.hasher(pa.array(["a"]))
    aside.spill_file.put(b"a")
    sent = bytes(ForkingPickler.dumps(aside))
    assert bytes(range(8)) not in sent
    assert ForkingPickler.loads(sent).budget.total == 77
    assert ForkingPickler.loads(sent).hasher.mark != aside.hasher.mark


def test_it_prints_its_budget_alone() -> None:
    assert repr(SpillSpace(77)) == "Aside(77)"
