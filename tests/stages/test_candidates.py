"""Candidates for `deduplicate`, held or set aside: the same ones stay."""

from __future__ import annotations

import pyarrow as pa
import pytest

from minimize.spill import SpillSpace
from minimize.stages.deduplicate import DuplicateCandidates, DuplicateRule, select_survivors
from tests.stages.make import before, deduplicating, records

RULE = DuplicateRule.from_plan(deduplicating("device_id"), b"k" * 32)
TABLES = [
    RULE.candidates(
        records(
            {}, *({"device_id": f"d{number % 900}", "event_time": before(hours=number % 7)} for number in range(*span))
        )
    )
    for span in ((0, 1000), (500, 2500), (2000, 2600))
]


def staying(found: DuplicateCandidates) -> pa.Table:
    return pa.concat_tables(found.survivors()).sort_by("group")


@pytest.mark.parametrize("memory", [None, 1 << 40, 0])
def test_what_stays_does_not_depend_on_the_budget(memory: int | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("minimize.stages.deduplicate._MIN_BYTES", 1 << 10)
    found, other = DuplicateCandidates(SpillSpace(memory)), DuplicateCandidates(SpillSpace(memory))
    found.add(TABLES[:1])
    other.add(TABLES[1:])
    found.merge(other)
    assert bool(found.pieces) == (memory == 0)
    assert staying(found).equals(select_survivors(pa.concat_tables(TABLES)).combine_chunks())
    assert staying(found).num_rows > 900


def test_nothing_found_is_nothing_that_stays() -> None:
    assert list(DuplicateCandidates(SpillSpace(0)).survivors()) == []


def test_what_is_held_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("minimize.stages.deduplicate._MIN_BYTES", 1 << 10)
    found = DuplicateCandidates(SpillSpace(0))
    for table in TABLES:
        found.add([table])
        assert sum(each.nbytes for each in found.tables) <= 1 << 10
