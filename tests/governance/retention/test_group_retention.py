"""Aggregates that are kept for another time than records: at writing, at expiry, after records are gone."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest

from minimize.removal.retract import retract
from tests.governance.retention.daily import PIPELINE, SETTINGS, START, Daily, rows
from tests.project import Builds

FIRST = date(2026, 1, 1)
DAY, HOUR = timedelta(days=1), timedelta(hours=1)
RAN = START + DAY
YEAR, WEEK = "365d", "7d"


def kept_for(project: Daily, retention: str | None, **changes: Any) -> None:
    """Writes the pipeline with this retention of its aggregate."""
    own = {} if retention is None else {"retention": retention}
    project.pipeline(aggregates={"daily": {**PIPELINE["aggregates"]["daily"], **own, **changes}})


def long_content(project: Daily) -> None:
    kept_for(project, YEAR)
    project.collect(rows(FIRST), FIRST)
    project.run(FIRST, RAN)


@pytest.fixture(name="long")
def _long(builds: Builds, project: Daily) -> Daily:
    """An output whose records are kept for 30 days and whose aggregate for a year."""
    return builds.fill(project, long_content)


@pytest.fixture(name="aged")
def _aged(long: Daily) -> Daily:
    """The same after its records were removed."""
    long.expire(RAN + 30 * DAY)
    return long


def days(project: Daily) -> set[date]:
    return {row["day"].date() for row in project.rows("daily")}


def two_days(project: Daily, retention: str | None = None) -> None:
    """One batch with the events of two days, eight days apart."""
    kept_for(project, retention)
    project.collect([*rows(FIRST), *rows(FIRST - timedelta(days=8))], FIRST)


def test_an_aggregate_outlives_its_records_until_its_own_retention_ends(aged: Daily) -> None:
    assert (aged.rows(), days(aged)) == ([], {FIRST})
    aged.verified()
    aged.expire(START + 365 * DAY - HOUR)
    assert days(aged) == {FIRST}
    aged.expire(START + 365 * DAY)
    assert days(aged) == set()
    aged.verified()


def test_an_aggregate_can_be_kept_for_less_time_than_records(long: Daily) -> None:
    kept_for(long, WEEK)
    assert str(long.expire(START + 7 * DAY - HOUR, yes=False).plan).startswith("records")
    long.expire(START + 7 * DAY)
    assert (len(long.rows()), days(long)) == (12, set())
    long.verified()


def test_groups_that_are_past_the_aggregates_retention_are_not_written(project: Daily) -> None:
    two_days(project, WEEK)
    receipt = project.exact(project.run(FIRST, RAN))
    output = receipt.outputs["daily"]
    assert (len(project.rows()), days(project)) == (24, {FIRST})
    assert (output.rows, output.groups_past, output.rows_past) == (3, 3, 12)
    project.verified()


@pytest.mark.parametrize(("before", "left"), [(HOUR, 3), (0 * HOUR, 0)])
def test_a_whole_aggregate_without_a_time_is_as_old_as_its_batch(project: Daily, before: timedelta, left: int) -> None:
    kept_for(project, WEEK, group_by={"tenant": "tenant_id"})
    project.collect(rows(FIRST), FIRST)
    project.run(FIRST, START + 7 * DAY - before)
    assert (len(project.rows("daily")), len(project.rows())) == (left, 12)
    project.verified()


def test_rows_of_groups_that_are_not_written_balance_without_records(project: Daily) -> None:
    two_days(project)
    aggregates = {"daily": {**PIPELINE["aggregates"]["daily"], "retention": WEEK}}
    project.pipeline(records=False, aggregates=aggregates)
    rows_ = project.exact(project.run(FIRST, RAN)).rows
    assert (rows_.read, rows_.written, rows_.suppressed) == (24, 12, 12)
    project.verified()


def test_without_a_retention_of_its_own_an_aggregate_has_the_policys(day: Daily) -> None:
    day.expire(START + 30 * DAY)
    assert days(day) == set()


def test_a_group_is_removed_when_its_own_day_is_past_and_the_others_stay(project: Daily) -> None:
    two_days(project, "20d")
    project.run(FIRST, RAN)
    project.expire(START + 12 * DAY)
    assert days(project) == {FIRST}
    project.verified()


def test_todays_retention_counts_and_verification_knows_it(project: Daily) -> None:
    two_days(project, "10d")
    project.run(FIRST, RAN)
    kept_for(project, "20d")
    (receipt,) = project.expire(START + 12 * DAY).receipts
    assert days(project) == {FIRST}
    assert "retention_pipeline.yaml" in receipt.files
    project.verified()


def test_a_run_of_a_date_whose_records_are_past_leaves_its_aggregate_as_it_is(aged: Daily) -> None:
    before = aged.rows("daily")
    receipt = aged.run(FIRST, RAN + 31 * DAY, allow_shrink=True)
    assert (receipt.rows.gated, receipt.outputs["daily"].files, receipt.stays) == (12, (), {"daily": (str(FIRST),)})
    assert aged.rows("daily") == before
    aged.verified()


def test_a_run_before_that_makes_a_table_with_noise_again(project: Daily) -> None:
    noisy = {**PIPELINE["aggregates"]["daily"], "retention": YEAR, "per_subject": {"rows": 2}}
    project.pipeline(aggregates={"daily": {name: part for name, part in noisy.items() if name != "exact"}})
    marks = []
    for devices in (30, 60):
        project.collect(rows(FIRST, devices=devices), FIRST)
        receipt = project.run(FIRST, RAN, ledger=project.folder / "own.db")
        assert receipt.stays is None
        marks.append({on: each.mark for on, each in (receipt.outputs["daily"].releases or {}).items()})
    assert marks[0] != marks[1]
    assert [list(each) for each in marks] == [[str(FIRST)]] * 2
    assert {row["events"] > 80 for row in project.rows("daily")} == {True}
    project.verified()


def test_a_retraction_from_the_source_leaves_such_an_aggregate_as_it_is(aged: Daily) -> None:
    before = aged.rows("daily")
    said = "south,,location,off,admin,2026-01-02T12:00:00Z,2026-01-02T12:00:00Z\n"
    (aged.folder / "settings.csv").write_text(SETTINGS + said)
    done = retract(aged.out, at=RAN + 32 * DAY, keys=aged.keys, yes=True)
    assert [(receipt.kind, receipt.stays) for receipt in done.receipts] == [("retract", {"daily": (str(FIRST),)})]
    assert aged.rows("daily") == before
    aged.verified()


def test_an_erasure_after_its_records_are_gone_changes_no_aggregate(aged: Daily) -> None:
    before = aged.rows("daily")
    erased = aged.events("north,d0,erasure,2026-01-10T00:00:00Z")
    assert aged.expire(RAN + 40 * DAY, events=erased).receipts == ()
    assert aged.rows("daily") == before
