"""How often an input is read, and what is settled before the first record leaves.
Pieces of a source in shares, and work side by side.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minimize.engines import ENGINES
from minimize.engines.passes import MIN_SHARE_BYTES, count_passes, ranked_fields, split_shares, thread_map
from minimize.plan import Plan
from minimize.records import Chunk
from minimize.runs.inspection import make_plan
from minimize.sources.base import SourcePart
from tests.project import Project

KEPT = {"model": {"type": "string", "do": "keep"}}
ONCE = {"deduplicate": {"by": ["device_id"], "per": "day"}}


def plan(project: Project, fields: dict[str, Any] | None, records: Any) -> Plan:
    project.policy(fields)
    project.pipeline(records=records)
    return make_plan(project.folder)


@pytest.mark.parametrize(
    ("fields", "records", "expected"),
    [(KEPT, {}, 1), (None, {}, 2), (KEPT, ONCE, 2), (None, ONCE, 3), (KEPT, False, 1)],
)
def test_each_thing_that_must_see_everything_reads_once_more(
    project: Project, fields: dict[str, Any] | None, records: Any, expected: int
) -> None:
    assert count_passes(plan(project, fields, records)) == expected


def test_the_fields_of_quantiles_are_ranked(project: Project) -> None:
    assert ranked_fields(plan(project, None, {})) == {"storage"}


def test_the_table_of_engines_has_the_local_one_and_spark() -> None:
    assert set(ENGINES) == {"local", "spark"}


@dataclass(frozen=True)
class Sized:
    """A part of a size, in so many pieces."""

    name: str
    size: int
    cut: int = 1
    digest: str = ""

    def pieces(self) -> Sequence[SourcePart]:
        return [self] if self.cut == 1 else [Sized(f"{self.name}{n}", self.size // self.cut) for n in range(self.cut)]

    def read(self) -> Iterator[Chunk]:
        return iter(())


def names(cut: Sequence[Sequence[SourcePart]]) -> list[list[str]]:
    return [[part.name for part in share] for share in cut]


def test_small_files_stay_in_one_share() -> None:
    assert names(split_shares([Sized("a", 10), Sized("b", 10)], 2)) == [["a", "b"]]


def test_one_large_part_is_cut_into_its_pieces() -> None:
    assert names(split_shares([Sized("a", 4 * MIN_SHARE_BYTES, 4)], 2)) == [["a0", "a1"], ["a2", "a3"]]


def test_a_part_that_cannot_be_cut_is_one_share() -> None:
    assert names(split_shares([Sized("a", 4 * MIN_SHARE_BYTES)], 2)) == [["a"]]


def test_without_affinity_the_processors_of_the_machine_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: 3)
    assert names(split_shares([Sized("a", 6 * MIN_SHARE_BYTES, 6)])) == [["a0", "a1"], ["a2", "a3"], ["a4", "a5"]]


@given(st.lists(st.integers(0, 5 * MIN_SHARE_BYTES), max_size=12), st.integers(1, 6))
def test_every_part_is_in_one_share_and_the_order_stays(sizes: list[int], workers: int) -> None:
    parts = [Sized(str(number), size) for number, size in enumerate(sizes)]
    cut = split_shares(parts, workers)
    assert len(cut) <= workers
    assert [part for share in cut for part in share] == parts
    assert all(share for share in cut) or not parts


def test_results_come_in_the_order_of_the_items() -> None:
    with thread_map(3) as map_items:
        assert list(map_items(lambda number: number * 2, [1, 2, 3])) == [2, 4, 6]


def test_an_error_of_one_is_the_error_of_all() -> None:
    def work(number: int) -> int:
        if number == 2:
            raise KeyError("two")
        return number

    with pytest.raises(KeyError), thread_map(3) as map_items:
        list(map_items(work, [1, 2, 3]))
