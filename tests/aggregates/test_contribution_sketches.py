"""Contribution sketches never show more changed subjects than there are, whatever the batches."""

from __future__ import annotations

import pickle

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minimize.aggregates import contribution_sketches
from minimize.aggregates.contribution_sketches import (
    ContributionSketches,
    count_differing,
    fold_sketches,
    hash_values,
    sum_sketches,
)
from minimize.spill import SpillSpace, ValueHasher

HASHER = ValueHasher(bytes(32))
BELOW = 10
Row = tuple[int, int, float]
"""Group, subject, value."""


def sketched(rows: list[Row], aside: SpillSpace | None = None) -> ContributionSketches:
    sketches = ContributionSketches(2, BELOW, aside or SpillSpace(None))
    _add(sketches, rows)
    return sketches


def _add(sketches: ContributionSketches, rows: list[Row]) -> None:
    if rows:
        groups, subjects, values = (np.array(column) for column in zip(*rows, strict=True))
        hashes = HASHER(pa.array(subjects))[:, 0]
        sketches.add(groups, hashes, {0: None, 1: hash_values(pa.array(values), HASHER)})


rows_ = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 40), st.sampled_from([0.0, 1.5, 2.0])), max_size=80)


@given(rows_, rows_)
def test_two_sketches_differ_in_at_most_as_many_entries_as_subjects_differ(one: list[Row], other: list[Row]) -> None:
    everyone = np.arange(4)
    for figure, columns in enumerate((2, 3)):
        counts = [np.array(sketched(rows).settle(everyone)[figure]) for rows in (one, other)]
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
    for mine, theirs in zip(merged.settle(np.arange(4)), whole.settle(np.arange(4)), strict=True):
        assert np.array_equal(mine, theirs)


def test_merging_maps_the_groups_of_the_other() -> None:
    merged = sketched([(0, 1, 1.5)])
    merged.merge(sketched([(0, 2, 2.0)]), np.array([3]))
    whole = sketched([(0, 1, 1.5), (3, 2, 2.0)])
    for mine, theirs in zip(merged.settle(np.arange(4)), whole.settle(np.arange(4)), strict=True):
        assert np.array_equal(mine, theirs)


@pytest.mark.parametrize("memory", [None, 1 << 16])
@pytest.mark.parametrize(("waiting", "dense"), [(1 << 20, 1 << 20), (300, 1 << 20), (300, 80 * 7), (1, 80)])
def test_sketches_are_the_same_however_many_rows_wait_and_wherever_their_groups_are(
    waiting: int, dense: int, memory: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    random = np.random.default_rng(5)
    groups = np.minimum(random.geometric(0.05, 4000), 180)
    rows = list(zip(groups.tolist(), random.integers(0, 500, 4000).tolist(), random.random(4000).tolist(), strict=True))
    asked = np.array([180, 1, 2, 40, 77])
    wanted = [sketched([row for row in rows if row[0] == group]).settle(np.array([group])) for group in asked]
    monkeypatch.setattr(contribution_sketches, "_MAX_WAITING_ROWS", waiting)
    monkeypatch.setattr(contribution_sketches, "_MAX_DENSE_ENTRIES", dense)
    sketches, parts, codes = (
        sketched(rows[:2000], SpillSpace(memory)),
        sketched([], SpillSpace(memory)),
        np.arange(181)[::-1],
    )
    for start in range(2000, 4000, 250):
        _add(parts, [(180 - group, subject, value) for group, subject, value in rows[start : start + 250]])
    if memory is None:
        parts = pickle.loads(pickle.dumps(parts))
    sketches.merge(parts, codes)
    for _ in range(2):
        for figure, entries in enumerate(sketches.settle(asked)):
            assert np.array_equal(entries, np.concatenate([each[figure] for each in wanted]))


def test_rows_without_a_value_change_the_sketch_of_the_rows_alone() -> None:
    groups, hashes = np.array([0, 0, 1]), HASHER(pa.array([1, 2, 3]))[:, 0]
    values = hash_values(pa.array([1.5, 2.5, 3.5]), HASHER)
    there = np.array([True, False, True])
    together, apart = (ContributionSketches(2, BELOW, SpillSpace(None)) for _ in range(2))
    together.add(groups, hashes, {0: None, 1: np.where(there, values, np.uint64(0))})
    apart.add(groups, hashes, {0: None})
    apart.add(groups[there], hashes[there], {1: values[there]})
    for mine, theirs in zip(together.settle(np.arange(2)), apart.settle(np.arange(2)), strict=True):
        assert np.array_equal(mine, theirs)


def test_a_coarser_group_is_the_total_of_its_finer_ones() -> None:
    rows = [(group, subject, 1.5) for group in range(3) for subject in range(group, 30)]
    fine, coarse = sketched(rows).settle(np.arange(3)), sketched([(0, *row[1:]) for row in rows]).settle(np.array([0]))
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


def test_most_changes_of_a_few_more_than_the_threshold_are_seen() -> None:
    def seen(changed: int, seed: int) -> int:
        subjects = HASHER(pa.array(np.arange(seed * 1000, seed * 1000 + changed)))[:, 0]
        sketches = ContributionSketches(1, BELOW, SpillSpace(None))
        sketches.add(np.zeros(changed, np.int64), subjects, {0: None})
        return int(count_differing(sketches.settle(np.array([0]))[0])[0])

    assert all(seen(9, seed) <= 9 for seed in range(200))
    assert sum(seen(10, seed) >= BELOW for seed in range(200)) > 90
    assert sum(seen(14, seed) >= BELOW for seed in range(200)) > 195


@pytest.mark.parametrize("below", [11, 40, 100])
def test_sketches_for_a_larger_threshold_fold_into_those_for_a_smaller_one(below: int) -> None:
    hashes = HASHER(pa.array(np.arange(300)))[:, 0]
    small, large = ContributionSketches(1, 10, SpillSpace(None)), ContributionSketches(1, below, SpillSpace(None))
    for sketches in (small, large):
        sketches.add(np.zeros(300, np.int64), hashes, {0: None})
    one, other = (sketches.settle(np.array([0]))[0] for sketches in (small, large))
    assert other.shape[1] >= 8 * below
    assert np.array_equal(fold_sketches(other, one.shape[1]), one)
