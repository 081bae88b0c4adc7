"""Nights with late rows and deletions: what is published of a row is always one of its releases, and nothing is left out."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace

import pytest

from benchmarks.deferral import BELOW, SCENARIOS, Deferrals, Night, Row, Scenario, nights

MONTH = Scenario("a month", late=0.3, deletions=1, coarse=True, devices=400, window=5)


def account(scenario: Scenario, count: int) -> dict[str, Deferrals]:
    """Checks every night; gives what was deferred."""
    releases: dict[tuple[str, int, Row], list[int]] = defaultdict(list)
    found = {name: Deferrals(scenario.window) for name in scenario.tables}
    for night in nights(scenario, count):
        for group, figure in night.figures.items():
            releases[night.table, night.date, group].append(figure)
        check_published(night, releases)
        check_balance(night)
        found[night.table].add(night)
    return found


def check_published(night: Night, releases: dict[tuple[str, int, Row], list[int]]) -> None:
    """What is published of a row are figures that it had in some night, and it has enough devices today."""
    for group, figure in night.published.items():
        assert figure in releases[night.table, night.date, group]
        assert night.devices[group] >= BELOW


def check_balance(night: Night) -> None:
    """Every group is published or suppressed; every row that was read is in a published group or suppressed with its group."""
    result, absent = night.result, night.figures.keys() - night.published.keys()
    assert result.table.num_rows == len(night.published)
    assert result.groups_suppressed == len(absent)
    assert result.rows_suppressed == result.records_lost
    assert 0 <= result.rows_suppressed <= result.rows_seen
    deferred = {group for group, figure in night.published.items() if figure != night.figures[group]}
    small = {group for group in absent if night.devices[group] < BELOW}
    assert len(deferred) <= result.deferred <= len(deferred) + len(absent) - len(small)


def test_a_month() -> None:
    found = account(MONTH, 30)
    assert all(each.deferred and each.waits for each in found.values())
    assert max(wait for each in found.values() for wait in each.waits) < MONTH.window


def test_without_changes_nothing_is_deferred() -> None:
    found = account(replace(MONTH, late=0, deletions=0), 5)
    assert not any(each.deferred or each.vanished for each in found.values())


def test_a_line_of_figures() -> None:
    figures = Deferrals(30, {("t", 0, (1,)), ("t", 0, (2,))}, {("t", 0, (1,))}, set(), [2, 4, 12], {})
    assert figures.line("name") == "| name | 2 | 50.0 % | 0.0 % | 4 | 10 | 12 | 0.0 % |"


@pytest.mark.nightly
@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda each: each.name)
def test_a_year(scenario: Scenario) -> None:
    for each in account(replace(scenario, devices=1000), 365).values():
        assert 0 < len(each.deferred) < len(each.rows)
