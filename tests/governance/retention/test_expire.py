"""`expire` over whole outputs: what goes and what stays, receipts, verification, what cannot be told."""

from __future__ import annotations

import json
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

import minimize
from minimize.datasets.reader import find_subjects
from minimize.errors import ConfigurationError, OutputError, PolicyError, RefusedError
from minimize.keys import add_key
from minimize.removal.expire import expire
from tests.calls import list_runs, open_items
from tests.governance.retention.daily import FIELDS, POLICY, START, Daily, rows
from tests.project import Builds

FIRST = date(2026, 1, 1)
DAY, HOUR = timedelta(days=1), timedelta(hours=1)
RAN = START + DAY
"""When the first day was run: at the midnight after it."""


def ran_content(project: Daily) -> None:
    project.collect(rows(FIRST), FIRST)
    project.run(FIRST, RAN)


@pytest.fixture(name="ran")
def _ran(builds: Builds, project: Daily) -> Daily:
    return builds.fill(project, ran_content)


def snapshot(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file() and "ledger" not in path.name}


def places(project: Daily) -> list[Any]:
    return [row["place"] for row in project.rows() if row["place"] is not None]


def test_without_yes_the_plan_is_shown_and_nothing_is_changed(ran: Daily) -> None:
    before = snapshot(ran.out)
    done = ran.expire(RAN + 40 * DAY, yes=False)
    assert snapshot(ran.out) == before
    assert done.receipts == ()
    assert [(each.name, each.removed, each.gated) for each in done.plan.partitions] == [
        ("daily", 1, {"retention": 3}),
        ("records", 1, {"retention": 12}),
    ]


def test_where_nothing_is_due_there_is_nothing_to_do(ran: Daily) -> None:
    before = snapshot(ran.out)
    done = ran.expire(RAN)
    assert (str(done.plan), done.receipts) == ("nothing to do: no data is due for removal", ())
    assert snapshot(ran.out) == before


def test_a_feature_value_is_removed_when_the_oldest_instant_of_its_hour_is_due(ran: Daily) -> None:
    ran.expire(RAN + HOUR - timedelta(seconds=1))
    assert len(places(ran)) == 12
    ran.expire(RAN + HOUR)
    assert len(places(ran)) == 6
    ran.verified()


def test_rows_go_one_by_one_and_then_the_partition(ran: Daily) -> None:
    ran.expire(START + 30 * DAY + HOUR)
    assert len(ran.rows()) == 6
    ran.verified()
    done = ran.expire(START + 30 * DAY + 22 * HOUR)
    assert [file.path.split("/")[0] for file in done.receipts[0].removes] == ["records"]
    assert not (ran.out / "records" / f"date={FIRST}").exists()
    assert not (ran.out / "index" / f"date={FIRST}").exists()
    ran.verified()


def test_the_receipt_balances_and_names_the_applied_retention(ran: Daily) -> None:
    (receipt,) = ran.expire(START + 30 * DAY + HOUR).receipts
    assert (receipt.kind, receipt.rows.read, receipt.rows.written, receipt.gated_by.retention) == ("expire", 12, 6, 6)
    assert receipt.fields["place"].gated == 6
    assert receipt.retention is not None
    assert receipt.retention.digest == receipt.policy.digest
    assert [file.path.split("/")[0] for file in receipt.replaces] == ["records"]
    assert [file.path.split("/")[0] for file in receipt.removes] == ["daily"]


def test_late_rows_of_a_partition_go_by_their_own_time_not_by_its_date(project: Daily) -> None:
    project.collect([*rows(FIRST), *rows(FIRST + 2 * DAY)], FIRST + 2 * DAY)
    project.run(FIRST + 2 * DAY, START + 3 * DAY)
    project.expire(START + 31 * DAY)
    assert {row["event_time"].date() for row in project.rows()} == {FIRST + 2 * DAY}
    project.verified()


def test_files_that_hold_nothing_that_is_due_keep_their_bytes(ran: Daily) -> None:
    ran.collect(rows(FIRST + DAY), FIRST + DAY)
    ran.run(FIRST + DAY, RAN + DAY)
    second = ran.out / "records" / f"date={FIRST + DAY}"
    before = snapshot(second)
    ran.expire(RAN + 2 * HOUR + DAY - 2 * HOUR)
    assert snapshot(second) == before
    assert len(places(ran)) == 12


def test_a_policy_that_shortens_the_retention_counts_and_so_does_one_that_lengthens_it(ran: Daily) -> None:
    ran.policy(version=2, retention="45d")
    ran.expire(START + 40 * DAY)
    assert len(ran.rows()) == 12
    ran.policy(version=3, retention="20d")
    (receipt,) = ran.expire(START + 40 * DAY).receipts
    assert ran.rows() == []
    assert (receipt.policy.version, receipt.retention and receipt.retention.version) == (1, 3)
    ran.verified()


def test_rewritten_files_are_verified_by_the_retention_that_was_applied(ran: Daily) -> None:
    ran.policy(version=2, retention="45d")
    ran.expire(START + 40 * DAY, events=ran.events("south,,tenant_closed,2026-01-02T00:00:00Z"))
    assert len(ran.rows()) == 8
    ran.verified()


def test_files_that_were_written_under_two_policies_get_a_receipt_each(ran: Daily) -> None:
    ran.policy(version=2)
    ran.collect(rows(FIRST + DAY), FIRST + DAY)
    ran.run(FIRST + DAY, RAN + DAY)
    done = ran.expire(START + 40 * DAY)
    assert sorted(receipt.policy.version for receipt in done.receipts) == [1, 2]
    assert ran.rows() == []
    ran.verified()


def test_a_closed_tenant_loses_earlier_records_and_keeps_later_ones(ran: Daily) -> None:
    ran.expire(RAN, events=ran.events("south,,tenant_closed,2026-01-01T12:00:00Z"))
    assert {row["event_time"].hour for row in ran.rows() if row["tenant_id"] == "south"} == {22}
    assert len(ran.rows()) == 10
    ran.verified()


def test_a_subject_is_found_by_its_pseudonym_and_removed_from_its_own_tenant_alone(ran: Daily) -> None:
    (receipt,) = ran.expire(RAN, events=ran.events("east,d1,subject_left,2026-01-02T00:00:00Z")).receipts
    assert sorted(row["note"][5:12] for row in ran.rows() if "-d1-" in row["note"]) == ["north-d"] * 2 + ["south-d"] * 2
    assert receipt.gated_by.erased == 2
    assert receipt.stays == {"daily": (str(FIRST),)}
    assert {row["tenant"] for row in ran.rows("daily")} == {"north", "south", "east"}
    ran.verified()


def test_a_subject_is_found_under_another_version_of_the_key(ran: Daily) -> None:
    add_key(ran.keys, "device", now=RAN)
    ran.expire(RAN, events=ran.events("east,d1,reset,2026-01-02T00:00:00Z"))
    assert len(ran.rows()) == 10


def test_the_index_is_updated_after_an_expiry(ran: Daily) -> None:
    gone = next(row["device_id"] for row in ran.rows() if "east-d1" in row["note"])
    stays = next(row["device_id"] for row in ran.rows() if "east-d0" in row["note"])
    ran.expire(RAN, events=ran.events("east,d1,reset,2026-01-02T00:00:00Z"))
    assert [len(find_subjects(ran.out, [each], keys=ran.keys)) for each in (gone, stays)] == [0, 1]


def test_a_device_that_became_personal_loses_its_applications_and_most_of_its_number(ran: Daily) -> None:
    ran.expire(RAN, events=ran.events("north,d0,became_personal,2026-01-02T00:00:00Z"))
    changed = [row for row in ran.rows() if "north-d0" in row["note"]]
    assert [(row["owner_type"], row["phone"][:4], len(row["phone"]), row["apps"]) for row in changed] == [
        ("personal", "****", 8, None)
    ] * 2
    assert sum(row["apps"] is not None for row in ran.rows()) == 4
    ran.verified()


def test_a_carried_out_expiry_is_not_repeated(ran: Daily) -> None:
    events = ran.events("north,d0,became_personal,2026-01-02T00:00:00Z", "south,,tenant_closed,2026-01-02T00:00:00Z")
    assert len(ran.expire(RAN, events=events).receipts) == 1
    assert ran.expire(RAN, events=events).receipts == ()


def test_without_the_owner_in_the_output_an_event_is_carried_out_once_all_the_same(project: Daily) -> None:
    project.policy({"owner_type": {"type": "string", "do": "drop"}})
    project.collect(rows(FIRST), FIRST)
    project.run(FIRST, RAN)
    events = project.events("north,d0,became_personal,2026-01-02T00:00:00Z")
    project.expire(RAN, events=events)
    assert {row["phone"][:4] for row in project.rows() if "north-d0" in row["note"]} == {"****"}
    assert project.expire(RAN, events=events).receipts == ()
    project.verified()


@pytest.mark.parametrize("place", ["policy", "pipeline"])
def test_records_that_are_collected_only_from_corporate_devices_go_if_one_became_personal(
    project: Daily, place: str
) -> None:
    condition = {"collect_if": {"any": [{"owner_type": "corporate"}, {"feature": "location"}]}}
    if place == "policy":
        project.policy(records=condition)
    else:
        project.pipeline(records={**project.base_pipeline["records"], **condition})
    project.collect(rows(FIRST), FIRST)
    project.run(FIRST, RAN)
    events = project.events("north,d0,became_personal,2026-01-02T00:00:00Z")
    (open_item,) = open_items(project.out, at=RAN, events=events, keys=project.keys)
    assert open_item.deadline - RAN == 7 * DAY
    before = len(project.rows())
    project.expire(RAN, events=events)
    assert not [row for row in project.rows() if "north-d0" in row["note"]]
    assert len(project.rows()) == before - 2
    assert project.expire(RAN, events=events).receipts == ()
    project.verified()


def test_a_case_that_drops_values_of_every_owner_does_not_hide_the_mask_of_personal_devices(project: Daily) -> None:
    cases = [{"if": {"note": "never"}, "do": "drop"}, *FIELDS["phone"]["cases"]]
    project.policy({"phone": {**FIELDS["phone"], "cases": cases}})
    project.collect(rows(FIRST), FIRST)
    project.run(FIRST, RAN)
    project.expire(RAN, events=project.events("north,d0,became_personal,2026-01-02T00:00:00Z"))
    assert {row["phone"][:4] for row in project.rows() if "north-d0" in row["note"]} == {"****"}
    project.verified()


def test_an_event_that_is_yet_to_come_changes_nothing(ran: Daily) -> None:
    assert ran.expire(RAN, events=ran.events("south,,tenant_closed,2026-01-05T00:00:00Z")).receipts == ()


def test_open_items_are_sorted_by_their_time_limit_and_late_ones_are_overdue(ran: Daily) -> None:
    events = ran.events("south,,tenant_closed,2026-01-02T00:00:00Z", "north,d0,became_personal,2026-01-02T00:00:00Z")
    found = open_items(ran.out, at=RAN, events=events, keys=ran.keys)
    assert [(each.kind, each.deadline - RAN, each.overdue) for each in found] == [
        ("became_personal", 7 * DAY, False),
        ("tenant_closed", 180 * DAY, False),
    ]
    late = open_items(ran.out, at=RAN + 8 * DAY, events=events, keys=ran.keys)
    assert [each.kind for each in late if each.overdue] == ["became_personal", "retention"]


def test_an_aggregate_whose_date_decides_is_not_opened(project: Daily) -> None:
    by_tenant = {"group_by": {"tenant_id": "tenant_id"}, "measures": {"events": "count"}, "suppress": {"below": 2}}
    project.pipeline(aggregates={"tenants": {**by_tenant, "exact": {"because": "a test"}}})
    ran_content(project)
    (table,) = (project.out / "tenants").rglob("*.parquet")
    table.write_bytes(b"damaged")
    assert open_items(project.out, at=RAN, keys=project.keys) == []
    with pytest.raises(OutputError, match="is missing or damaged"):
        open_items(project.out, at=RAN + 40 * DAY, keys=project.keys)


def test_a_condition_on_a_feature_that_is_kept_for_less_long_closes_with_it(project: Daily) -> None:
    features = {**POLICY["features"], "inventory": {"about": "applications", "retention": "2d"}}
    apps = {"/apps/*/managed": {"type": "boolean", "do": "keep"}}
    project.policy(apps, features=features)
    project.collect(rows(FIRST), FIRST)
    project.run(FIRST, RAN)
    project.expire(START + 5 * DAY)
    assert sorted({row["owner_type"] for row in project.rows() if any(app["name"] for app in row["apps"] or ())}) == [
        "corporate"
    ]
    project.verified()


def test_an_output_that_does_not_show_times_ages_by_its_dates(project: Daily) -> None:
    project.policy({"event_time": {"type": "timestamp", "do": "drop"}})
    project.pipeline(aggregates=None)
    project.collect(rows(FIRST), FIRST)
    project.run(FIRST, RAN)
    project.expire(START + 30 * DAY - HOUR)
    assert len(project.rows()) == 12
    project.expire(START + 30 * DAY)
    assert project.rows() == []


def test_an_output_without_times_and_dates_is_named(project: Daily) -> None:
    project.policy({"event_time": {"type": "timestamp", "do": "drop"}})
    project.pipeline(aggregates=None, source={"path": "data/*/*.ndjson", "format": "ndjson"})
    project.collect(rows(FIRST), FIRST)
    project.run(None, RAN)
    assert project.expire(START + 90 * DAY).plan.undated == ("records",)


def test_a_row_without_a_time_is_removed_as_if_it_were_old(project: Daily) -> None:
    fields = {"event_time": {**FIELDS["event_time"], "feature": "location"}}
    project.policy(fields)
    project.pipeline(aggregates=None)
    project.collect(rows(FIRST, tenants=("west",)), FIRST)
    project.run(FIRST, RAN)
    assert {row["event_time"] for row in project.rows()} == {None}
    project.expire(RAN + HOUR)
    assert project.rows() == []


def test_tenants_that_are_folders_go_file_by_file(project: Daily) -> None:
    project.pipeline(records={"partition_by": ["tenant_id"]})
    project.collect(rows(FIRST), FIRST)
    project.run(FIRST, RAN)
    (receipt,) = project.expire(RAN, events=project.events("south,,tenant_closed,2026-01-02T00:00:00Z")).receipts
    assert receipt.replaces == ()
    assert [file.path.split("/")[2] for file in receipt.removes] == ["tenant_id=south"]
    assert {row["tenant_id"] for row in project.rows()} == {"north", "east"}
    project.verified()


def test_an_earlier_time_than_that_of_the_last_receipt_is_refused(ran: Daily) -> None:
    ran.expire(RAN + HOUR)
    with pytest.raises(RefusedError):
        ran.expire(RAN, events=ran.events("south,,tenant_closed,2026-01-02T00:00:00Z"))


def test_a_faulty_file_of_events_stops_it(ran: Daily) -> None:
    with pytest.raises(PolicyError):
        ran.expire(RAN, events=ran.events("south,,moved,2026-01-02T00:00:00Z"))


def test_a_file_changed_outside_the_pipeline_is_not_signed_again(ran: Daily) -> None:
    (path,) = minimize.files(ran.out)
    pq.write_table(minimize.read(ran.out).drop(["date"]), path)
    with pytest.raises(OutputError):
        ran.expire(START + 30 * DAY + HOUR)


def test_an_output_without_a_receipt_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OutputError):
        expire(tmp_path / "nothing")


def test_an_expiry_is_listed_among_the_runs_of_the_ledger(ran: Daily) -> None:
    ran.expire(RAN + 40 * DAY)
    assert [row.kind for row in list_runs(output=ran.out)] == ["run", "expire"]
    ran.verified()


def test_a_later_run_of_pending_dates_does_not_bring_it_back(ran: Daily) -> None:
    ran.expire(START + 40 * DAY)
    assert ran.run(at=START + 41 * DAY, pending=True).sequence == 0
    assert ran.rows() == []


def test_its_json_has_counts_and_no_values(ran: Daily) -> None:
    done = ran.expire(RAN, events=ran.events("east,d1,subject_left,2026-01-02T00:00:00Z"))
    said = done.to_json()
    assert said["partitions"][0]["why"] == {"erased": 2}
    assert said["partitions"][0]["files"] == {"removed": 0, "rewritten": 1}
    assert "east" not in json.dumps(said)


def test_times_are_aware(ran: Daily) -> None:
    with pytest.raises(ConfigurationError):
        expire(ran.out, at="2026-01-05T00:00:00", keys=ran.keys)
