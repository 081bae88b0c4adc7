"""Whoever is gone does not come back: by a rerun, a late file, a replay or a backfill."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

import minimize
from minimize.errors import LedgerError
from minimize.governance.events import NewEvent, add_event, withdraw_event
from minimize.ledger import find_ledger
from minimize.ledger.ledger import open_ledger
from minimize.runs.inputs import SubjectActs, check_acts_unchanged, load_subject_acts
from minimize.settings.erasures import RecordedErasures
from minimize.workspace import Workspace
from minimize.workspace import Workspace as Places
from tests.project import AT, BEFORE, DAY, Project, event, events

RECORDS = events(60)
SOON = AT - timedelta(minutes=1)


def tell(project: Project, kind: str, tenant: str, subject: str | None = None, at: datetime = SOON) -> str:
    places = Places(project.out / "ledger.db", keys=project.keys)
    return add_event(NewEvent(tenant, kind, subject, at), places, SOON).row.id


def left(project: Project, **options: Any) -> int:
    return len(project.rows(**options))


def of(records: list[dict[str, Any]], tenant: str, device: str | None = None) -> int:
    return sum(each["tenant_id"] == tenant and device in (None, each["device_id"]) for each in records)


@pytest.mark.parametrize("kind", ["subject_left", "reset", "erasure"])
def test_records_of_a_subject_that_is_gone_are_gated_and_counted(project: Project, kind: str) -> None:
    project.records(RECORDS)
    project.run()
    tell(project, kind, "north", "d4")
    receipt = project.run()
    gone = of(RECORDS, "north", "d4")
    assert (receipt.gated_by.erased, receipt.rows.gated) == (gone, gone)
    assert left(project) == len(RECORDS) - gone
    minimize.verify(project.out, keys=project.keys)


def test_a_tenant_that_closed_does_not_come_back_with_a_late_file(project: Project) -> None:
    project.records(RECORDS)
    project.run()
    tell(project, "tenant_closed", "north")
    project.records(RECORDS, BEFORE)
    receipt = project.run(date=BEFORE)
    assert receipt.gated_by.erased == of(RECORDS, "north")


def test_records_later_than_the_erasure_are_collected_again(project: Project) -> None:
    project.records(RECORDS)
    project.run()
    middle = sorted(each["event_time"] for each in RECORDS if each["device_id"] == "d4")[2]
    tell(project, "reset", "north", "d4", datetime.fromisoformat(middle))
    receipt = project.run()
    gone = [
        each
        for each in RECORDS
        if (each["tenant_id"], each["device_id"]) == ("north", "d4") and each["event_time"] <= middle
    ]
    assert 0 < receipt.gated_by.reasons["erased"] == len(gone) < of(RECORDS, "north", "d4")


def test_a_withdrawn_event_gates_no_record(project: Project) -> None:
    project.records(RECORDS)
    project.run()
    event = tell(project, "erasure", "north", "d4")
    withdraw_event(event, Places(project.out / "ledger.db", keys=project.keys), SOON)
    assert project.run().gated_by.erased == 0


def test_a_device_that_became_personal_is_still_collected(project: Project) -> None:
    project.records(RECORDS)
    project.run()
    tell(project, "became_personal", "north", "d4")
    assert project.run().gated_by.erased == 0


def test_an_aggregate_does_not_count_who_is_gone(project: Project) -> None:
    project.pipeline(
        records=None,
        aggregates={
            "daily": {
                "group_by": {"tenant": "tenant_id"},
                "measures": {"events": "count"},
                "suppress": {"below": 2},
                "exact": {"because": "the test compares figures"},
            }
        },
    )
    project.records(RECORDS, BEFORE)
    project.run(date=BEFORE)
    assert {row["tenant"]: row["events"] for row in project.rows("daily")} == {
        tenant: of(RECORDS, tenant) for tenant in ("north", "south")
    }
    project.records(RECORDS)
    for gone in ("d3", "d4"):
        tell(project, "erasure", "north", gone)
    project.run(date=DAY)
    assert {row["tenant"]: row["events"] for row in project.rows("daily", dates=DAY)} == {
        "north": of(RECORDS, "north") - of(RECORDS, "north", "d3") - of(RECORDS, "north", "d4"),
        "south": of(RECORDS, "south"),
    }


def test_of_top_values_those_of_who_is_gone_do_not_count(project: Project) -> None:
    rare = [{**each, "model": "rare"} for each in RECORDS if each["device_id"] in ("d1", "d2", "d3")]
    project.policy({"model": {"type": "string", "do": {"top": {"keep": 5, "other": "other", "at_least": 3}}}})
    project.records([*RECORDS, *rare])
    project.run()
    assert "rare" in {row["model"] for row in project.rows()}
    for device in ("d1", "d2", "d3"):
        for tenant in ("north", "south"):
            tell(project, "erasure", tenant, device)
    project.run()
    assert "rare" not in {row["model"] for row in project.rows()}


def test_an_erasure_recorded_during_a_run_stops_it(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    project.records(RECORDS)
    project.run()
    before = project.files()
    tell(project, "erasure", "north", "d4")
    monkeypatch.setattr("minimize.runs.resolve.load_subject_acts", lambda *_: SubjectActs())
    with pytest.raises(LedgerError, match="during this run"):
        project.run()
    assert project.files() == before


def test_without_a_ledger_there_are_no_erasures(project: Project) -> None:
    workspace = Workspace(project.folder / "none.db", project.out, project.folder, project.keys)
    found = load_subject_acts(workspace)
    assert (found.erased.rows, found.corrected, found.consents) == ((), (), None)


def test_acts_known_at_the_start_of_the_run_do_not_stop_it(project: Project) -> None:
    project.records(RECORDS)
    project.run()
    tell(project, "erasure", "north", "d4")
    job = minimize.load_pipeline(project.folder)
    with open_ledger(find_ledger(project.out / "ledger.db")) as book:
        check_acts_unchanged(book, job, SubjectActs(RecordedErasures.from_ledger(book)))
        with pytest.raises(LedgerError):
            check_acts_unchanged(book, job, SubjectActs())


def at(hours: float, **changes: Any) -> dict[str, Any]:
    """A record of a device, so many hours after the run."""
    when = f"{AT + timedelta(hours=hours):%Y-%m-%dT%H:%M:%SZ}"
    return event(4, **{"event_time": when, "tenant_id": "north", "device_id": "d4"} | changes)


def test_an_erasure_reaches_as_far_into_the_future_as_the_policy(project: Project) -> None:
    project.policy(future="3d")
    project.records(RECORDS)
    project.run()
    tell(project, "erasure", "north", "d4", AT)
    project.records([at(71), at(72), at(73), at(73, device_id="d5")], BEFORE)
    receipt = project.run(date=BEFORE, at=AT + timedelta(hours=2))
    assert (receipt.gated_by.erased, receipt.rows.written) == (2, 2)


def test_a_file_that_was_read_before_an_erasure_brings_nothing_back(project: Project) -> None:
    project.policy(future="1h")
    project.records([*RECORDS, at(20), at(20, device_id="d5")])
    assert project.run().quarantine.by_code == {"future_time": 2}
    tell(project, "erasure", "north", "d4", AT)
    receipt = project.run(at=AT + timedelta(days=1))
    assert receipt.gated_by.erased == of(RECORDS, "north", "d4") + 1
    project.records([at(20)], name="new")
    assert project.run(at=AT + timedelta(days=1)).gated_by.erased == of(RECORDS, "north", "d4") + 1


def test_a_file_that_was_read_later_does(project: Project) -> None:
    project.policy(future="1h")
    project.records(RECORDS)
    project.run()
    tell(project, "erasure", "north", "d4", AT)
    project.records([at(20)], BEFORE)
    for hours in (24, 25):
        assert project.run(date=BEFORE, at=AT + timedelta(hours=hours)).gated_by.erased == 0
