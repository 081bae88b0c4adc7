"""A run's space beside memory: keys of its own, which nobody is told."""

from __future__ import annotations

from multiprocessing.reduction import ForkingPickler

import pyarrow as pa

from minimize.spill import Aside


def test_every_run_hashes_under_a_key_of_its_own() -> None:
    assert Aside().hasher.mark != Aside().hasher.mark
    first = Aside()
    assert first.hasher.mark == first.hasher.mark


def test_a_key_that_is_given_counts() -> None:
    assert Aside(None, bytes(32)).hasher.mark == Aside(7, bytes(32)).hasher.mark


def test_anew_it_has_the_same_budget_and_hashes_and_another_vault() -> None:
    aside = Aside(77)
    other = aside.anew()
    assert other.budget is aside.budget
    assert other.hasher.mark == aside.hasher.mark
    assert other.vault is not aside.vault


def test_other_processes_get_the_budget_and_no_key() -> None:
    aside = Aside(77, bytes(range(32)))
    aside.hasher(pa.array(["a"]))
    aside.vault.put(b"a")
    sent = bytes(ForkingPickler.dumps(aside))
    assert bytes(range(8)) not in sent
    assert ForkingPickler.loads(sent).budget.total == 77
    assert ForkingPickler.loads(sent).hasher.mark != aside.hasher.mark


def test_it_prints_its_budget_alone() -> None:
    assert repr(Aside(77)) == "Aside(77)"
