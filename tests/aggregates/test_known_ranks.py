"""Cells whose values are known beforehand: the same numbers of subjects as by the dictionary of values."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from minimize.aggregates.base import MeasureTerms
from minimize.aggregates.cells import Cells, CellTally
from minimize.aggregates.distinct_subjects import DistinctSubjects, SubjectCounts
from minimize.aggregates.noise import NoiseKey
from minimize.aggregates.quantile import KnownRanksTally
from minimize.spill import SpillSpace

RANKS = (-np.inf, 0.0, 1.0, 4.0, np.inf)
GROUPS = 7
KEY = NoiseKey(b"v" * 32, b"d" * 32)


def as_lists(cells: Cells) -> list[list[object]]:
    return [cells.rows.tolist(), cells.values.to_pylist(), cells.subjects.tolist()]


class Both:
    """The same rows, counted in both ways."""

    def __init__(self) -> None:
        self.plain = CellTally(pa.float64(), MeasureTerms(space=SpillSpace(None)))
        self.known = KnownRanksTally(pa.float64(), RANKS)
        self.subjects = DistinctSubjects(SpillSpace(None), facts=1 + self.known.facts)
        self.known.bind(SubjectCounts(self.subjects, 1, 0))

    def add(self, seed: int, rows: int) -> None:
        draw = np.random.default_rng(seed)
        groups = draw.integers(0, GROUPS, rows)
        people = draw.integers(0, 40, rows)
        values = pa.array(np.array(RANKS)[draw.integers(0, len(RANKS), rows)])
        hashes = np.column_stack([people * 977 + 5, people + 1]).astype(np.uint64)
        hashes[draw.random(rows) < 0.02] = 0  # no subject
        self.plain.observe(groups, values, hashes)
        masks, _ = self.known.describe(values.dictionary_encode() if seed % 2 else values)
        self.subjects.add(groups, hashes, [None, *masks])


@pytest.fixture(name="both")
def _both() -> Both:
    both, other = Both(), Both()
    both.add(1, 3000)
    other.add(2, 2000)
    every = np.arange(GROUPS)
    both.plain.merge(other.plain, every)
    both.subjects.merge(other.subjects, every)
    return both


@pytest.mark.parametrize("limit", [1, 2, 3, 4, 5, 24])
def test_each_subject_is_in_the_same_cells(both: Both, limit: int) -> None:
    groups = np.array([0, 2, 3, 6])
    expected = both.plain.cells(groups, both.plain.count_limited(KEY, limit))
    assert as_lists(both.known.limited_cells(groups, np.zeros(0, np.int64), KEY, limit)) == as_lists(expected)
    assert sum(expected.subjects.tolist()) > 100


def test_a_smaller_limit_leaves_subjects_out(both: Both) -> None:
    groups = np.arange(GROUPS)
    numbers = [
        int(both.known.limited_cells(groups, np.zeros(0, np.int64), KEY, limit).subjects.sum()) for limit in range(1, 6)
    ]
    assert numbers == sorted(set(numbers))


def test_cells_without_subjects_are_absent() -> None:
    known = KnownRanksTally(pa.float64(), RANKS)
    subjects = DistinctSubjects(SpillSpace(None), facts=known.facts)
    known.bind(SubjectCounts(subjects, 0, 0))
    masks, _ = known.describe(pa.array([0.0, 4.0]))
    subjects.add(np.array([0, 1]), np.array([[1, 1], [2, 2]], np.uint64), masks)
    assert as_lists(known.limited_cells(np.array([0, 1]), np.zeros(0, np.int64), KEY, 24)) == [
        [0, 1],
        [0.0, 4.0],
        [1, 1],
    ]


def test_another_value_is_an_error() -> None:
    with pytest.raises(ValueError, match="not one of the known ones"):
        KnownRanksTally(pa.float64(), RANKS).describe(pa.array([0.0, 2.0]))
