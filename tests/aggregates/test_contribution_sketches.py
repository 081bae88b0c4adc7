"""Contribution sketches never show more changed subjects than there are, whatever the batches."""

from __future__ import annotations

import pickle

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minimize.aggregates.contribution_sketches import (
    Entries,
    Sketcher,
    count_differing,
    fold_sketches,
    hash_values,
    sum_sketches,
)
from minimize.aggregates.distinct_subjects import DistinctSubjects
from minimize.arrow.dictionaries import Codes
from minimize.spill import SpillSpace, ValueHasher

HASHER = ValueHasher(bytes(32))
BELOW = 10
NOBODY = np.uint64(12345 << 40)
SKETCHER = Sketcher(BELOW, NOBODY)
Row = tuple[int, int, float]
"""Group, subject, value."""


def sketched(rows: list[Row], space: SpillSpace | None = None) -> DistinctSubjects:
    subjects = DistinctSubjects(space or SpillSpace(None), sums=2)
    _add(subjects, rows)
    return subjects


def _add(subjects: DistinctSubjects, rows: list[Row]) -> None:
    if rows:
        groups, names, values = (np.array(column) for column in zip(*rows, strict=True))
        hashes = HASHER(pa.array(names))
        summands = SKETCHER.summands(hashes), SKETCHER.summands(hashes, hash_values(pa.array(values), HASHER))
        subjects.add(groups, hashes, sums=summands)


def settled(subjects: DistinctSubjects, groups: Codes) -> list[Entries]:
    return SKETCHER.settle(subjects, groups)


rows_ = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 40), st.sampled_from([0.0, 1.5, 2.0])), max_size=80)


@given(rows_, rows_)
def test_two_sketches_differ_in_at_most_as_many_entries_as_subjects_differ(one: list[Row], other: list[Row]) -> None:
    everyone = np.arange(4)
    for figure, columns in enumerate((2, 3)):
        counts = [settled(sketched(rows), everyone)[figure] for rows in (one, other)]
        found = count_differing(counts[0] - counts[1])
        for group in range(4):
            subjects = {row[1] for row in (*one, *other)}
            changed = sum(
                sorted(row[:columns] for row in one if row[:2] == (group, subject))
                != sorted(row[:columns] for row in other if row[:2] == (group, subject))
                for subject in subjects
            )
            assert found[group] <= changed
            assert (found[group] == 0) == (changed == 0)


@given(rows_, rows_)
def test_sketches_of_two_parts_add_up(one: list[Row], other: list[Row]) -> None:
    merged, whole = sketched(one), sketched([*one, *other])
    merged.merge(sketched(other), np.arange(4))
    for mine, theirs in zip(settled(merged, np.arange(4)), settled(whole, np.arange(4)), strict=True):
        assert np.array_equal(mine, theirs)


def test_merging_maps_the_groups_of_the_other() -> None:
    merged = sketched([(0, 1, 1.5)])
    merged.merge(sketched([(0, 2, 2.0)]), np.array([3]))
    whole = sketched([(0, 1, 1.5), (3, 2, 2.0)])
    for mine, theirs in zip(settled(merged, np.arange(4)), settled(whole, np.arange(4)), strict=True):
        assert np.array_equal(mine, theirs)


@pytest.mark.parametrize("memory", [None, 1 << 16])
def test_sketches_are_the_same_however_rows_come_and_wherever_they_are_kept(memory: int | None) -> None:
    random = np.random.default_rng(5)
    groups = np.minimum(random.geometric(0.05, 4000), 180)
    rows = list(zip(groups.tolist(), random.integers(0, 500, 4000).tolist(), random.random(4000).tolist(), strict=True))
    asked = np.array([180, 1, 2, 40, 77])
    wanted = [settled(sketched([row for row in rows if row[0] == group]), np.array([group])) for group in asked]
    subjects, parts = sketched(rows[:2000], SpillSpace(memory)), sketched([], SpillSpace(memory))
    for start in range(2000, 4000, 250):
        _add(parts, [(180 - group, subject, value) for group, subject, value in rows[start : start + 250]])
    if memory is None:
        parts = pickle.loads(pickle.dumps(parts))
    subjects.merge(parts, np.arange(181)[::-1])
    for _ in range(2):
        for figure, entries in enumerate(settled(subjects, asked)):
            assert np.array_equal(entries, np.concatenate([each[figure] for each in wanted]))


def test_rows_without_a_value_change_the_sketch_of_the_rows_alone() -> None:
    hashes = HASHER(pa.array([1, 2, 3]))
    subjects = DistinctSubjects(SpillSpace(None), sums=1)
    values = np.array([0, 7, 0], np.uint64)
    subjects.add(np.array([0, 0, 1]), hashes, sums=[SKETCHER.summands(hashes, values)])
    assert count_differing(settled(subjects, np.arange(2))[0]).tolist() == [1, 0]


def test_rows_without_a_subject_are_sketched_as_those_of_one_subject_and_not_counted() -> None:
    hashes = HASHER(pa.array([None, None, 3], pa.int64()))
    nobody, somebody = DistinctSubjects(SpillSpace(None), sums=1), DistinctSubjects(SpillSpace(None), sums=1)
    nobody.add(np.zeros(3, np.int64), hashes, sums=[SKETCHER.summands(hashes)])
    named = np.where(hashes == 0, np.array([NOBODY, 1], np.uint64), hashes)
    somebody.add(np.zeros(3, np.int64), named, sums=[SKETCHER.summands(named)])
    group = np.zeros(1, np.int64)
    assert np.array_equal(settled(nobody, group)[0], settled(somebody, group)[0])
    assert (nobody.count(group).tolist(), somebody.count(group).tolist()) == ([1], [2])


def test_a_coarser_group_is_the_total_of_its_finer_ones() -> None:
    rows = [(group, subject, 1.5) for group in range(3) for subject in range(group, 30)]
    fine = settled(sketched(rows), np.arange(3))
    coarse = settled(sketched([(0, *row[1:]) for row in rows]), np.array([0]))
    for mine, theirs in zip(fine, coarse, strict=True):
        assert np.array_equal(sum_sketches(mine, np.zeros(3, np.int64), 1), theirs)


@pytest.mark.parametrize(
    "values",
    [pa.array(["a", "b", "a"]), pa.array([1.5, -0.0, 0.0]), pa.array([3, 4, 3]), pa.array([True, False, True])],
    ids=str,
)
def test_a_value_has_one_hash_however_the_column_is_encoded(values: pa.Array) -> None:
    plain, encoded = hash_values(values, HASHER), hash_values(values.dictionary_encode(), HASHER)
    assert np.array_equal(plain, encoded)
    assert len(set(plain.tolist())) == len(set(values.to_pylist()))


def of_subjects(names: range, below: int) -> Entries:
    """The sketch of one group with a row of each subject."""
    subjects, sketcher, hashes = (
        DistinctSubjects(SpillSpace(None), sums=1),
        Sketcher(below, NOBODY),
        HASHER(pa.array(names)),
    )
    subjects.add(np.zeros(len(names), np.int64), hashes, sums=[sketcher.summands(hashes)])
    return sketcher.settle(subjects, np.array([0]))[0]


def test_most_changes_of_a_few_more_than_the_threshold_are_seen() -> None:
    def seen(changed: int, seed: int) -> int:
        return int(count_differing(of_subjects(range(seed * 1000, seed * 1000 + changed), BELOW))[0])

    assert all(seen(9, seed) <= 9 for seed in range(200))
    assert sum(seen(10, seed) >= BELOW for seed in range(200)) > 90
    assert sum(seen(14, seed) >= BELOW for seed in range(200)) > 195


@pytest.mark.parametrize("below", [11, 40, 100])
def test_sketches_for_a_larger_threshold_fold_into_those_for_a_smaller_one(below: int) -> None:
    one, other = of_subjects(range(300), 10), of_subjects(range(300), below)
    assert other.shape[1] >= 8 * below
    assert np.array_equal(fold_sketches(other, one.shape[1]), one)
