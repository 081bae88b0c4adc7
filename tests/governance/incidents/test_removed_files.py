"""Tenants of files that cannot be looked at any more."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

import minimize
from minimize.datasets.inventory import INVENTORY_FILE
from minimize.governance.subjects import DataSubject, delete_subjects
from minimize.keys.keyring import destroy_key
from minimize.receipts import Receipt
from minimize.removal.expire import expire
from minimize.workspace import Workspace
from tests.governance.outputs import scoped, tenants
from tests.project import AT, Project, events

RECORDS = events(60)
NORTH = [each for each in RECORDS if each["tenant_id"] == "north"]
PERSONS = {each["device_id"] for each in NORTH}
PER_TENANT = {"partition_by": ["tenant_id"], "encrypt": {"by_category": {"per": "tenant_id"}}}


def ran(project: Project, **pipeline: Any) -> Receipt:
    project.pipeline(**{"aggregates": None, **pipeline})
    project.records(RECORDS)
    return project.run()


def without_north(project: Project) -> None:
    project.records([each for each in RECORDS if each["tenant_id"] == "south"])
    project.run()


def emptied(project: Project) -> None:
    """Everything is past its retention."""
    project.policy(retention="1d")
    expire(project.out, at=AT + timedelta(days=400), keys=project.keys, yes=True, allow_shrink=True)


@pytest.mark.parametrize("change", [without_north, emptied])
def test_a_run_whose_files_are_gone_still_names_its_tenants(
    project: Project, change: Callable[[Project], None]
) -> None:
    receipt = ran(project)
    change(project)
    found = scoped(project, f"run:{receipt.run_id}")
    north = tenants(found)["north"]
    assert north["subjects"] == {"count": len(PERSONS), "exact": False}
    assert (north["rows"], north["notice"], north["form"]) == (len(NORTH), True, "pseudonymized")
    assert {"device_id", "battery", "model"} <= {kind["column"] for kind in north["kinds"]}
    assert [each["tenants_by"] for each in found.to_json()["not_searched"]] == ["record"]


def removed(project: Project, *devices: str) -> None:
    """Deletes devices of the tenant south, one after the other."""
    for number, device in enumerate(devices):
        workspace = Workspace(output=project.out, keys=project.keys)
        delete_subjects([DataSubject(device, "south")], workspace, AT + timedelta(minutes=number), yes=True)


def test_files_that_a_deletion_and_expiries_rewrote_count_once(project: Project, clock: Any) -> None:
    project.policy(retention="30d")
    receipt = ran(project)
    south = {each["device_id"] for each in RECORDS if each["tenant_id"] == "south"}
    removed(project, min(south))
    times = sorted(datetime.fromisoformat(each["event_time"]) for each in RECORDS)
    for position in (10, 20):
        at = times[position] + timedelta(days=30, seconds=1)
        clock.move_to(at)
        done = expire(project.out, at=at, keys=project.keys, yes=True, allow_shrink=True)
        assert done.receipts
    found = tenants(scoped(project, f"output:{project.out}", hours=24 * 60))
    for name, persons in (("north", PERSONS), ("south", south)):
        records = [each for each in RECORDS if each["tenant_id"] == name]
        assert (found[name]["subjects"]["count"], found[name]["rows"]) == (len(persons), len(records))
    assert receipt.rows.written == sum(each["rows"] for each in found.values())


def test_a_tenant_whose_records_a_rewrite_left_as_they_were_is_counted_exactly(project: Project, clock: Any) -> None:
    ran(project)
    removed(project, *sorted({each["device_id"] for each in RECORDS if each["tenant_id"] == "south"})[:3])
    north = tenants(scoped(project, f"output:{project.out}", hours=24 * 60))["north"]
    assert north["subjects"] == {"count": len(PERSONS), "exact": True}
    assert north["rows"] == len(NORTH)


def test_the_period_of_a_file_that_is_gone_holds_all_event_times(project: Project) -> None:
    receipt = ran(project)
    without_north(project)
    period = tenants(scoped(project, f"run:{receipt.run_id}"))["north"]["period"]
    times = sorted(each["event_time"] for each in NORTH)
    assert period["from"] <= times[0] < times[-1] <= period["to"]
    assert datetime.fromisoformat(period["from"]) > datetime.fromisoformat(times[0]) - timedelta(hours=1)


def test_columns_and_keys_narrow_what_is_gone_too(project: Project) -> None:
    receipt = ran(project)
    without_north(project)
    found = tenants(scoped(project, f"run:{receipt.run_id}", "column:battery"))["north"]
    assert [kind["column"] for kind in found["kinds"]] == ["battery"]
    alone = tenants(scoped(project, "key:device/1"))["north"]
    assert [(kind["column"], kind["form"]) for kind in alone["kinds"]] == [("device_id", "identified")]
    assert "north" not in tenants(scoped(project, "key:device/2"))


def test_without_an_inventory_the_partition_folder_identifies_the_tenant(project: Project) -> None:
    receipt = ran(project, records={"partition_by": ["tenant_id"]})
    without_north(project)
    for path in (project.out / "runs").glob(f"*/{INVENTORY_FILE}"):
        path.unlink()
    found = scoped(project, f"run:{receipt.run_id}")
    north = tenants(found)["north"]
    assert (north["rows"], north["subjects"]["exact"], north["notice"]) == (len(NORTH), False, True)
    assert {"device_id", "battery"} <= {kind["column"] for kind in north["kinds"]}
    assert {each["tenants_by"] for each in found.to_json()["not_searched"]} == {"folder"}


def test_without_any_evidence_no_tenant_is_named_and_the_gap_is_reported(project: Project) -> None:
    receipt = ran(project)
    without_north(project)
    for path in (project.out / "runs").glob(f"*/{INVENTORY_FILE}"):
        path.unlink()
    found = scoped(project, f"run:{receipt.run_id}").to_json()
    assert found["tenants"] == []
    assert [(each["rows"], each["tenants_by"]) for each in found["not_searched"]] == [(len(RECORDS), None)]


def test_data_under_destroyed_keys_is_unintelligible_and_needs_no_notice(project: Project) -> None:
    ran(project, records=PER_TENANT)
    destroy_key(project.keys, "encrypt.pseudonymized.t-north", 1, now=AT)
    found = scoped(project, f"output:{project.out}")
    north = tenants(found)["north"]
    assert (north["form"], north["notice"], north["rows"]) == ("encrypted", False, len(NORTH))
    assert tenants(found)["south"]["form"] == "encrypted"
    assert [(each["why"], each["tenants_by"]) for each in found.to_json()["not_searched"]] == [("E210", "folder")]


def test_a_key_that_leaked_before_it_was_destroyed_opens_what_others_took(project: Project) -> None:
    ran(project, records=PER_TENANT)
    destroy_key(project.keys, "encrypt.pseudonymized.t-north", 1, now=AT)
    found = tenants(scoped(project, f"output:{project.out}", "key:encrypt.pseudonymized.t-north/1"))
    assert {name: (each["form"], each["notice"]) for name, each in found.items()} == {
        "north": ("pseudonymized", True),
        "south": ("encrypted", False),
    }


def test_no_unencrypted_tenant_name_is_stored_with_a_receipt(project: Project) -> None:
    ran(project)
    without_north(project)
    found = [path for path in (project.out / "runs").rglob("*") if path.is_file() and b"north" in path.read_bytes()]
    assert found == []
    minimize.verify(project.out, keys=project.keys)
