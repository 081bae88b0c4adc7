"""Aggregates that are kept for another time than records: at writing, at expiry, after records are gone."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any

import pytest

import minimize
from minimize.errors import RefusedError
from minimize.governance.retention.expire import open_items
from minimize.governance.retention.retract import retract
from tests.governance.retention.daily import PIPELINE, SETTINGS, START, Daily, Row, rows
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


def test_a_whole_aggregate_without_a_time_is_as_old_as_its_batch(project: Daily) -> None:
    kept_for(project, WEEK, group_by={"tenant": "tenant_id"})
    project.collect(rows(FIRST), FIRST)
    project.run(FIRST, START + 7 * DAY - HOUR)
    assert len(project.rows("daily")) == 3
    project.run(FIRST, START + 7 * DAY)
    assert (len(project.rows("daily")), len(project.rows())) == (0, 12)
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


def test_a_run_before_that_counts_its_aggregate_anew(long: Daily) -> None:
    long.collect(rows(FIRST, devices=8), FIRST)
    receipt = long.run(FIRST, RAN + DAY)
    assert receipt.stays is None
    assert {row["events"] for row in long.rows("daily")} == {16}


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


def test_an_erasure_while_its_records_are_there_counts_an_aggregate_anew(long: Daily) -> None:
    long.collect(rows(FIRST, devices=8), FIRST)
    long.run(FIRST, RAN)
    erased = long.events(*(f"north,d{number},erasure,2026-01-10T00:00:00Z" for number in range(4)))
    long.expire(RAN + 10 * DAY, events=erased)
    assert {(row["tenant"], row["events"]) for row in long.rows("daily")} == {("north", 8), ("south", 16), ("east", 16)}
    long.verified()


def test_what_is_counted_anew_has_no_group_that_is_past(project: Daily) -> None:
    kept_for(project, WEEK)
    project.collect([*rows(FIRST, devices=8), *rows(FIRST - timedelta(days=8), devices=8)], FIRST)
    project.run(FIRST, RAN)
    erased = project.events(*(f"north,d{number},erasure,2026-01-02T00:00:00Z" for number in range(4)))
    project.expire(RAN, events=erased)
    assert {(row["day"].date(), row["events"]) for row in project.rows("daily")} == {(FIRST, 8), (FIRST, 16)}
    project.verified()


def test_what_is_due_follows_each_outputs_own_retention(long: Daily) -> None:
    def due(at: datetime) -> list[tuple[str, int]]:
        return [(each.kind, each.files) for each in open_items(long.out, at=at, keys=long.keys)]

    assert due(RAN) == []
    assert due(RAN + 35 * DAY) == [("retention", 1)]
    long.expire(RAN + 35 * DAY)
    assert due(RAN + 36 * DAY) == []
    assert due(RAN + 365 * DAY) == [("retention", 1)]


def test_a_retention_without_an_event_time_is_refused(project: Daily) -> None:
    gated = dict.fromkeys(("place", "/apps/*/name", "/apps/*/managed"))
    project.policy(gated, time=None, retention=None, features=None)
    kept_for(project, WEEK, group_by={"tenant": "tenant_id"})
    project.collect(rows(FIRST), FIRST)
    with pytest.raises(RefusedError) as refused:
        project.run(FIRST, RAN)
    assert [finding.code for finding in refused.value.findings] == ["R007"]


def test_an_aggregate_that_waits_for_late_rows_is_kept_for_its_own_time(project: Daily) -> None:
    kept_for(project, YEAR, late="1d")
    for number in range(2):
        project.collect(rows(FIRST + timedelta(days=number)), FIRST + timedelta(days=number))
        project.run(FIRST + timedelta(days=number), RAN + number * DAY)
    project.expire(RAN + 40 * DAY)
    assert (project.rows(), days(project)) == ([], {FIRST})
    project.verified()
    project.expire(START + 365 * DAY)
    assert days(project) == set()


def test_a_late_day_that_is_past_is_not_published(project: Daily) -> None:
    kept_for(project, "1d", late="1d")
    for number in range(2):
        on = FIRST + timedelta(days=number)
        project.collect([Row("north", f"d{device}", START + number * DAY + HOUR) for device in range(3)], on)
        receipt = project.exact(project.run(on, RAN + number * DAY))
    assert (receipt.outputs["daily"].rows, receipt.outputs["daily"].groups_past) == (0, 1)
    assert project.rows("daily") == []
    minimize.verify(project.out, keys=project.keys)
