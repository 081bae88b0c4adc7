"""Releases of a row: which may follow each other, and what is stored of them."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from minimize.aggregates.contribution_sketches import FigureKind, Sketcher, bucket_count
from minimize.aggregates.difference_rule import MAX_RELEASES, FigureRows, ReleaseHistory, hash_rows
from minimize.aggregates.distinct_subjects import DistinctSubjects
from minimize.arrow.dictionaries import Bools
from minimize.spill import SpillSpace, ValueHasher

HASHER = ValueHasher(b"k" * 32)
ROWS = np.array([5, 3], np.uint64)
YES = np.array([True, True])
NO = ~YES


def sketch(*groups: dict[str, int], below: int = 10) -> dict[FigureKind, FigureRows]:
    """The number of rows of each subject, group by group."""
    sketcher, subjects = Sketcher(below, np.uint64(1)), DistinctSubjects(SpillSpace(None), sums=1)
    for place, group in enumerate(groups):
        names = [name for name, rows in group.items() for _ in range(rows)]
        if names:
            hashes = HASHER(pa.array(names), domain=1)
            subjects.add(np.full(len(names), place), hashes, sums=[sketcher.summands(hashes)])
    return {None: FigureRows(np.ones(len(groups), np.bool_), sketcher.settle(subjects, np.arange(len(groups)))[0])}


def people(first: int, last: int, rows: int = 1) -> dict[str, int]:
    return {f"s{number}": rows for number in range(first, last)}


def allowed(
    history: ReleaseHistory, figures: dict[FigureKind, FigureRows], in_force: Bools = YES, below: int = 10
) -> list[bool]:
    found = history.decide(ROWS, below, figures, in_force=in_force, is_equal=NO)
    return [bool(each) for each in found.allowed]


def released(*releases: dict[FigureKind, FigureRows], below: int = 10) -> ReleaseHistory:
    history = ReleaseHistory.empty()
    for each in releases:
        history = history.append(ReleaseHistory.from_release(ROWS, below, each))
    return history


def test_a_first_release_passes() -> None:
    assert allowed(ReleaseHistory.empty(), sketch(people(0, 40), people(0, 12)), NO) == [True, True]


@pytest.mark.parametrize(("gone", "passes"), [(0, True), (1, False), (9, False), (20, True)])
def test_a_release_differs_from_the_earlier_one_by_none_or_enough(gone: int, passes: bool) -> None:
    before, after = sketch(people(0, 40), people(0, 12)), sketch(people(gone, 40), people(0, 12))
    assert allowed(released(before), after) == [passes, True]


def test_as_many_people_in_as_out_are_twice_as_many_changes() -> None:
    before, after = sketch(people(0, 40), people(0, 12)), sketch(people(5, 44), people(0, 12))
    assert allowed(released(before), after) == [False, True]


def test_each_earlier_release_counts_and_not_the_last_alone() -> None:
    first, last = sketch(people(0, 40), people(0, 12)), sketch(people(20, 60), people(0, 12))
    after = sketch(people(1, 40), people(0, 12))
    assert allowed(released(first, last), after) == [False, True]
    assert allowed(released(last), after) == [True, True]


def test_a_row_that_vanished_returns_only_with_enough_changes() -> None:
    before = sketch(people(0, 40), people(0, 40))
    after = sketch(people(0, 40), people(20, 60))
    assert allowed(released(before), after, NO) == [False, True]


def test_the_larger_threshold_counts() -> None:
    before, after = sketch(people(0, 60), people(0, 60), below=20), sketch(people(14, 60), people(0, 60))
    assert allowed(released(before, below=20), after) == [False, True]
    assert allowed(released(before), after, below=20) == [False, True]
    assert allowed(released(before), after) == [True, True]


def test_a_figure_that_was_not_published_creates_no_relation() -> None:
    before, after = sketch(people(0, 40), people(0, 12)), sketch(people(1, 40), people(0, 12))
    hidden: dict[FigureKind, FigureRows] = {None: FigureRows(NO, before[None].entries)}
    assert allowed(released(hidden), after) == [True, True]


def test_a_release_without_sketches_is_followed_by_equal_figures_alone() -> None:
    history = ReleaseHistory.from_release(ROWS, 10, {}, is_complete=False)
    figures = sketch(people(0, 40), people(0, 12))
    decision = history.decide(ROWS, 10, figures, in_force=YES, is_equal=np.array([True, False]))
    assert decision.allowed.tolist() == [True, False]
    followed = history.append(ReleaseHistory.from_release(ROWS[:1], 10, {None: figures[None].take(np.array([0]))}))
    assert followed.has_sketches.tolist() == [False, True]


def test_a_row_is_final_after_so_many_different_releases() -> None:
    releases = [sketch(people(20 * turn, 20 * turn + 40), people(0, 12)) for turn in range(MAX_RELEASES + 1)]
    history = released(*releases[:-1])
    assert allowed(history, releases[-1]) == [False, True]
    assert allowed(history, releases[-2]) == [True, True]
    assert allowed(released(*releases[:-2]), releases[-1]) == [True, True]


def test_equal_releases_are_one_and_the_last_one_again() -> None:
    one, other = sketch(people(0, 40), people(0, 12)), sketch(people(20, 60), people(0, 12))
    history = released(one, other, one)
    assert len(history) == 3
    last = history.last_releases(np.array([5, 3, 4], np.uint64))
    assert (history.figures[None].entries[last[0]] == one[None].entries[0]).all()
    assert last[2] == -1


def test_releases_are_stored_and_read_again() -> None:
    history = released(sketch(people(0, 40), people(0, 12)), sketch(people(20, 60), people(0, 12)))
    named: FigureKind = ("size", True, 'is:["a"]')
    figures: dict[FigureKind, FigureRows] = {None: history.figures[None], named: history.figures[None]}
    whole = ReleaseHistory(history.rows, history.below, history.has_sketches, figures, {"n": "count"})
    again = ReleaseHistory.from_bytes(whole.to_bytes())
    assert [*again.figures] == [None, named]
    assert again.meanings == {"n": "count"}
    for one, other in [(whole.rows, again.rows), (whole.below, again.below), (whole.has_sketches, again.has_sketches)]:
        assert (one == other).all()
    assert (again.figures[named].entries == history.figures[None].entries).all()
    assert not len(ReleaseHistory.from_bytes(ReleaseHistory.empty().to_bytes()))


def test_thresholds_of_other_sizes_are_compared_in_the_smaller_sketch() -> None:
    assert bucket_count(30) > bucket_count(10)
    history = released(sketch(people(0, 60), people(0, 60), below=30)).append(
        ReleaseHistory.from_release(ROWS, 10, sketch(people(30, 90), people(0, 60)))
    )
    assert history.figures[None].entries.shape == (3, bucket_count(10))


def hashed(table: pa.Table, *names: str) -> list[int]:
    found: list[int] = hash_rows({name: table.column(name) for name in names}, table.num_rows, HASHER).tolist()
    return found


def test_the_row_of_a_group_is_told_by_what_its_keys_are_and_their_values() -> None:
    table = pa.table({"a": ["1", "1", None, "x", "2"], "b": [1, 2, 1, None, 1]})
    assert len({*hashed(table, "a", "b")}) == 5
    again = pa.table({"b": pa.array(["1", "2", "1", None, "1"]), "a": table["a"].combine_chunks().dictionary_encode()})
    assert hashed(again, "b", "a") == hashed(table, "a", "b")
    assert hashed(table.rename_columns(["b", "a"]), "a", "b") != hashed(table, "a", "b")
    assert hashed(pa.table({"n": [9]})) == [0]


def test_releases_of_other_subjects_are_forgotten() -> None:
    history = released(sketch(people(0, 40), people(0, 12)), sketch(people(20, 60), people(0, 12))).forget_subjects()
    assert sorted(history.rows.tolist()) == [3, 5]
    assert allowed(history, sketch(people(0, 40), people(0, 12))) == [False, False]
