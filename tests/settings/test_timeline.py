from __future__ import annotations

import numpy as np

from minimize.settings.timeline import Changes, Timeline


def timeline(*rows: tuple[int, int, int, int, int]) -> Timeline:
    """Rows of entity, holder, valid from, recorded at, class."""
    return Timeline.from_changes(Changes(*np.array(rows, np.int64).reshape(-1, 5).T))


def masks(line: Timeline, entity: int, *moments: int) -> list[int]:
    return list(line.masks_at(np.full(len(moments), entity, np.int64), np.array(moments, np.int64)).tolist())


def test_before_the_first_row_nothing_is_in_force() -> None:
    assert masks(timeline((0, 0, 5, 0, 1)), 0, 4, 5, 6) == [0, 0b10, 0b10]


def test_a_holders_row_takes_the_place_of_the_one_before() -> None:
    assert masks(timeline((0, 0, 1, 0, 0), (0, 0, 3, 0, 2)), 0, 2, 3) == [0b001, 0b100]


def test_settings_of_each_holder_class_apply_in_parallel() -> None:
    assert masks(timeline((0, 0, 1, 0, 0), (0, 1, 2, 0, 2), (0, 0, 3, 0, 2)), 0, 1, 2, 3) == [0b001, 0b101, 0b100]


def test_entities_do_not_touch_each_other() -> None:
    line = timeline((0, 0, 1, 0, 0), (2, 0, 1, 0, 1))
    assert [masks(line, entity, 9) for entity in (0, 1, 2, -1)] == [[0b01], [0], [0b10], [0]]


def test_a_row_recorded_later_outweighs_one_of_the_same_moment_and_the_lowest_class_any_equal() -> None:
    assert masks(timeline((0, 0, 1, 5, 0), (0, 0, 1, 6, 1)), 0, 1) == [0b10]
    assert masks(timeline((0, 0, 1, 5, 1), (0, 0, 1, 5, 0)), 0, 1) == [0b01]


def test_an_empty_timeline_has_no_bits() -> None:
    assert masks(timeline(), 0, 1) == [0]
