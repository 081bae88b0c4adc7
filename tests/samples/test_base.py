"""Slices of a day, and when their records arrive."""

from datetime import date

import numpy as np
import pytest

from minimize.samples.dataset import DAY_MILLISECONDS, Slice, delay_events
from minimize.samples.datasets.managed_devices import DeviceTelemetry


def test_a_slice_begins_at_midnight_utc() -> None:
    assert Slice(date(1970, 1, 3), 0, 1, 1).midnight == 2 * DAY_MILLISECONDS


def test_some_events_are_late_and_a_few_too_old_to_keep() -> None:
    events = np.arange(20_000) * 1000
    after, _ = delay_events(events, np.random.default_rng(1))
    days = (events - after) // DAY_MILLISECONDS
    assert 0.01 < np.mean((days > 0) & (days < 4)) < 0.03
    assert np.sum(days >= 40) == 20


@pytest.mark.parametrize(("count", "expected"), [(99, 0), (100, 1), (450, 1), (1500, 1), (1501, 2)])
def test_a_few_hundred_events_have_one_that_is_too_old(count: int, expected: int) -> None:
    after, _ = delay_events(np.zeros(count, np.int64), np.random.default_rng(1))
    assert np.sum(after <= -40 * DAY_MILLISECONDS) == expected


def test_records_arrive_out_of_order_but_all_of_them() -> None:
    _, arrival = delay_events(np.arange(1000) * 1000, np.random.default_rng(1))
    assert sorted(arrival.tolist()) == list(range(1000))
    assert arrival.tolist() != list(range(1000))


def test_turns_count_a_members_records_over_the_days_of_a_sample() -> None:
    dataset = DeviceTelemetry(6, 1)
    turns = [
        dataset.rows(Slice(date(2026, 11, 24), 0, 6, 6, index), np.random.default_rng(1)).turns for index in (0, 1)
    ]
    assert [sorted(turn.tolist()) for turn in turns] == [[0, 0, 1, 1, 2, 2], [3, 3, 4, 4, 5, 5]]
