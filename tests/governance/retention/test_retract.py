"""`retract` over whole outputs: from the source where it stands, else from the output, and towards removal."""

from __future__ import annotations

import shutil
from datetime import date, timedelta
from typing import Any

import pytest

from minimize.errors import RefusedError
from minimize.removal.retract import Retraction, retract
from tests.governance.retention.daily import FIELDS, SETTINGS, START, Daily, rows
from tests.project import Builds

FIRST = date(2026, 1, 1)
DAY, HOUR = timedelta(days=1), timedelta(hours=1)
RAN = START + DAY
SOON = RAN + timedelta(minutes=30)


def ran_content(project: Daily) -> None:
    project.policy(features={"location": {"about": "position"}, "inventory": {"about": "applications"}})
    project.collect(rows(FIRST), FIRST)
    project.run(FIRST, RAN)


@pytest.fixture(name="ran")
def _ran(builds: Builds, project: Daily) -> Daily:
    return builds.fill(project, ran_content)


@pytest.fixture(name="alone")
def _alone(ran: Daily) -> Daily:
    """An output whose source is gone."""
    shutil.rmtree(ran.folder / "data")
    return ran


def says(project: Daily, *changes: str) -> None:
    (project.folder / "settings.csv").write_text(SETTINGS + "".join(f"{change}\n" for change in changes))


def policy(project: Daily, fields: dict[str, Any] | None = None, **changes: Any) -> None:
    features = {"location": {"about": "position"}, "inventory": {"about": "applications"}}
    project.policy(fields, **{"features": features, "version": 2, **changes})


def again(project: Daily, **options: Any) -> Retraction:
    return retract(project.out, **{"at": SOON, "keys": project.keys, "yes": True, **options})


def off(tenant: str, subject: str, since: str, holder: str = "admin") -> str:
    return f"{tenant},{subject},location,off,{holder},{since},2026-01-02T00:10:00Z"


def places(project: Daily) -> set[str]:
    return {row["place"][6:14] for row in project.rows() if row["place"] is not None}


def test_a_retraction_keeps_data_that_would_be_collected_today(ran: Daily) -> None:
    assert again(ran).is_empty
    assert str(again(ran)).startswith("nothing to do")


def test_a_date_with_an_intact_source_is_run_again(ran: Daily) -> None:
    says(ran, off("south", "", "2026-01-01T12:00:00Z"))
    done = again(ran)
    assert [(receipt.kind, receipt.from_) for receipt in done.receipts] == [("retract", "source")]
    assert places(ran) == {"north-d0", "north-d1", "east-d0-"[:8], "east-d1-"[:8]}
    ran.verified()


def test_without_yes_nothing_is_changed(ran: Daily) -> None:
    says(ran, off("south", "", "2026-01-01T12:00:00Z"))
    done = again(ran, yes=False)
    assert (done.rerun_dates, done.receipts) == ((str(FIRST),), ())
    assert len(places(ran)) == 6


def test_without_a_source_a_value_is_removed_from_the_output(alone: Daily) -> None:
    says(alone, off("south", "", "2026-01-02T00:10:00Z"))
    (receipt,) = again(alone).receipts
    assert (receipt.kind, receipt.from_, receipt.fields["place"].gated) == ("retract", "output", 4)
    assert receipt.stays == {"daily": (str(FIRST),)}
    assert len(places(alone)) == 4
    alone.verified()
    assert again(alone).is_empty


def test_a_value_is_removed_if_its_feature_was_off_at_any_instant_of_its_hour(alone: Daily) -> None:
    says(
        alone,
        off("south", "", "2026-01-01T22:30:00Z"),
        "south,,location,on,admin,2026-01-01T22:31:00Z,2026-01-02T00:10:00Z",
    )
    again(alone)
    assert {row["event_time"].hour for row in alone.rows() if row["place"] and row["tenant_id"] == "south"} == {1}


def test_a_subject_that_objected_is_found_by_its_pseudonym(alone: Daily) -> None:
    says(alone, off("south", "d0", "2025-12-01T00:00:00Z", "user"))
    again(alone)
    assert len(places(alone)) == 5
    assert "south-d0" not in places(alone)


def test_of_a_per_subject_feature_only_the_values_of_subjects_that_are_on_stay(alone: Daily) -> None:
    features = {"location": {"about": "position", "per_subject": True}, "inventory": {"about": "applications"}}
    policy(alone, features=features)
    days = ("2025-12-31T00:00:00Z", "2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z")
    says(alone, *(off("south", "d0", each).replace(",off,", ",on,") for each in days))
    again(alone)
    assert places(alone) == {"south-d0"}


def test_a_condition_that_the_output_does_not_show_to_hold_takes_the_value(alone: Daily) -> None:
    policy(alone, {"/apps/*/name": {**FIELDS["/apps/*/name"], "collect_if": {"/apps/*/managed": True}}})
    again(alone)
    assert {row["apps"] is None for row in alone.rows()} == {True}
    alone.verified()


def test_a_field_that_is_dropped_today_is_emptied(alone: Daily) -> None:
    policy(alone, {"note": {"type": "string", "do": "drop"}})
    again(alone)
    assert {row["note"] for row in alone.rows()} == {None}
    alone.verified()


def test_a_coarser_form_is_made_of_the_finer(alone: Daily) -> None:
    policy(alone, {"event_time": {**FIELDS["event_time"], "do": {"truncate_time": {"to": "day"}}}})
    again(alone)
    assert {row["event_time"].hour for row in alone.rows()} == {0}
    alone.verified()
    assert again(alone).is_empty


@pytest.mark.parametrize(
    "field",
    [
        {"event_time": {**FIELDS["event_time"], "do": {"truncate_time": {"to": "minute"}}}},
        {"event_time": {**FIELDS["event_time"], "do": "keep"}},
        {"event_id": {"type": "string", "do": "keep"}},
    ],
)
def test_a_policy_that_became_finer_cannot_be_retracted_into(alone: Daily, field: dict[str, Any]) -> None:
    policy(alone, field)
    with pytest.raises(RefusedError) as error:
        again(alone)
    assert [(finding.code, finding.field) for finding in error.value.findings] == [("R021", next(iter(field)))]
    assert len(places(alone)) == 6


def test_a_source_that_changed_counts_as_gone(ran: Daily) -> None:
    ran.collect(rows(FIRST)[:4], FIRST)
    says(ran, off("south", "", "2026-01-02T00:10:00Z"))
    assert [receipt.from_ for receipt in again(ran).receipts] == ["output"]
    assert len(ran.rows()) == 12


def test_data_removed_after_an_event_does_not_return_from_the_source(ran: Daily) -> None:
    ran.expire(RAN, events=ran.events("east,,tenant_closed,2026-01-02T00:00:00Z"))
    says(ran, off("south", "", "2026-01-02T00:10:00Z"))
    assert [receipt.from_ for receipt in again(ran).receipts] == ["output"]
    assert {row["tenant_id"] for row in ran.rows()} == {"north", "south"}
    ran.verified()


@pytest.mark.usefixtures("alone")
def test_settings_of_the_ledger_are_those_of_the_run(project: Daily) -> None:
    """A run was given `--settings ledger`, and the retraction is given none."""
    project.collect(rows(FIRST), FIRST)
    project.run(FIRST, RAN + HOUR, settings="ledger")
    shutil.rmtree(project.folder / "data")
    assert again(project, at=RAN + 2 * HOUR).is_empty
