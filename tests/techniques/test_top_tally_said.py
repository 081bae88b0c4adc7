""""""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pyarrow as pa
import pytest

from minimize.spill import MemoryBudget
from minimize.techniques.top_tally import SeenPairs


def many(rows: int, seed: int) -> tuple[list[str | None], list[str]]:
    """Subjects, one of them none, most of whose rows have the value that their first one had."""
    random = np.random.default_rng(seed)
    subjects = random.integers(0, 300, rows)
    values = np.where(random.random(rows) < 0.1, random.integers(0, 9, rows), subjects % 7)
    return [f"s{subject}" if subject else None for subject in subjects.tolist()], [f"v{value}" for value in values]


@pytest.mark.parametrize("encoded", [False, True])
def test_no_pair_is_called_old_before_it_came(encoded: bool) -> None:
    said, told, seen = SeenPairs(MemoryBudget(None)), set[tuple[str | None, str]](), set[tuple[str | None, str]]()
    for seed in range(6):
        subjects, values = many(2000, seed)
        arrays = pa.array(subjects, pa.string()), pa.array(values)
        rows = said.new_rows(*(array.dictionary_encode() if encoded else array for array in arrays))
        assert rows is not None
        told |= {(subjects[row], values[row]) for row in rows.tolist()}
        seen |= {*zip(subjects, values, strict=True)}
        assert told == seen


def test_what_came_before_is_mostly_left_out() -> None:
    said = SeenPairs(MemoryBudget(None))
    arrays = [pa.array(column, pa.string()) for column in many(2000, 1)]
    said.new_rows(*arrays)
    said.new_rows(*arrays)
    rows = said.new_rows(*arrays)
    assert rows is not None
    assert len(rows) == 0


def test_of_nobody_a_second_value_is_new() -> None:
    said = SeenPairs(MemoryBudget(None))
    for values in (["a"], ["b"], ["c"]):
        rows = said.new_rows(pa.array([None], pa.string()), pa.array(values))
        assert rows is not None
        assert rows.tolist() == [0]


def test_the_first_value_of_all_is_new_to_nobody_too() -> None:
    said = SeenPairs(MemoryBudget(None))
    said.new_rows(pa.array(["s"]), pa.array(["a"]))
    said.new_rows(pa.array([None], pa.string()), pa.array(["b"]))
    rows = said.new_rows(pa.array([None], pa.string()), pa.array(["a"]))
    assert rows is not None
    assert rows.tolist() == [0]


def test_beyond_its_part_of_the_budget_it_tells_nothing() -> None:
    said = SeenPairs(MemoryBudget(1))
    assert said.new_rows(pa.array(["s"]), pa.array(["v"])) is None
    assert said.new_rows(pa.array(["s"]), pa.array(["v"])) is None


def test_it_tells_nothing_of_subjects_that_are_no_texts() -> None:
    assert SeenPairs(MemoryBudget(None)).new_rows(pa.array([1]), pa.array(["v"])) is None


def test_threads_may_share_it() -> None:
    said = SeenPairs(MemoryBudget(None))
    batches = [many(5000, seed) for seed in range(8)]

    def new(batch: tuple[list[str | None], list[str]]) -> set[tuple[str | None, str]]:
        subjects, values = batch
        rows = said.new_rows(pa.array(subjects, pa.string()), pa.array(values))
        assert rows is not None
        return {(subjects[row], values[row]) for row in rows.tolist()}

    with ThreadPoolExecutor(4) as pool:
        told = set[tuple[str | None, str]]().union(*pool.map(new, batches))
    assert told == {pair for batch in batches for pair in zip(*batch, strict=True)}
