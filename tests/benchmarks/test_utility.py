"""A year of nights with noise: most rows with enough devices are published, none waits, and counts are a few devices off."""

from __future__ import annotations

from benchmarks.utility import BELOW, Scenario, Utility, ended_dates


def utility(scenario: Scenario, nights: int) -> Utility:
    found = Utility()
    for day in ended_dates(scenario, nights, seed=1):
        found.add(day)
        assert len(day.marks) <= 3
        assert all(count >= BELOW + 3 for count in day.counts.values())
    return found


def test_late_rows_leave_most_rows_published() -> None:
    found = utility(Scenario("late", late=0.01, window=5), nights=8)
    assert found.rows > 200
    assert found.shown > 0.8 * found.rows
    assert found.devices_shown > 0.93 * found.devices
    assert 0.03 < sum(found.errors) / len(found.errors) < 0.15


def test_a_date_has_three_releases_at_most() -> None:
    days = [*ended_dates(Scenario("late", late=0.5, devices=600), 6, seed=1)]
    assert max(len(day.marks) for day in days) == 3
