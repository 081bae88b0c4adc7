"""Candidates for `deduplicate`, held or set aside: the same ones stay."""

from __future__ import annotations

import pyarrow as pa
import pytest

from minimize.spill import Aside
from minimize.stages.candidates import Candidates
from minimize.stages.duplicates import Rule, best
from tests.stages.make import before, deduplicating, records

RULE = Rule.of(deduplicating("device_id"), b"k" * 32)
TABLES = [
    RULE.candidates(
        records(
            {}, *({"device_id": f"d{number % 900}", "event_time": before(hours=number % 7)} for number in range(*span))
        )
    )
    for span in ((0, 1000), (500, 2500), (2000, 2600))
]


def staying(found: Candidates) -> pa.Table:
    return pa.concat_tables(found.best()).sort_by("group")


@pytest.mark.parametrize("memory", [None, 1 << 40, 0])
def test_what_stays_does_not_depend_on_the_budget(memory: int | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("minimize.stages.candidates._FLOOR", 1 << 10)
    found, other = Candidates(Aside(memory)), Candidates(Aside(memory))
    found.add(TABLES[:1])
    other.add(TABLES[1:])
    found.merge(other)
    assert bool(found.pieces) == (memory == 0)
    assert staying(found).equals(best(pa.concat_tables(TABLES)).combine_chunks())
    assert staying(found).num_rows > 900


def test_nothing_found_is_nothing_that_stays() -> None:
    assert list(Candidates(Aside(0)).best()) == []


def test_what_is_held_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("minimize.stages.candidates._FLOOR", 1 << 10)
    found = Candidates(Aside(0))
    for table in TABLES:
        found.add([table])
        assert sum(each.nbytes for each in found.found) <= 1 << 10
