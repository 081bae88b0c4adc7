"""What administrators did."""

from __future__ import annotations

from ..made import records

RECORDS = records("audit_events")


def test_every_operation_is_there() -> None:
    expected = {"manage", "create", "update", "delete", "assign", "remote_task"}
    assert {record["operation"] for record in RECORDS} == expected


def test_actors_are_administrators_of_the_tenant() -> None:
    administrators = {(record["admin_id"], record["tenant_id"]) for record in records("administrators", 400)}
    assert {(record["actor_id"], record["tenant_id"]) for record in RECORDS} <= administrators


def test_devices_and_users_are_those_of_the_tenant() -> None:
    known = {
        (record["tenant_id"], record[field])
        for record in records("device_inventory")
        for field in ("device_id", "user_id")
        if field in record
    }
    named = {
        (record["tenant_id"], resource["id"])
        for record in RECORDS
        for resource in record["resources"]
        if resource["type"] in ("managedDevice", "user") and "id" in resource
    }
    assert named
    assert named <= known


def test_an_assignment_names_what_and_to_whom() -> None:
    for record in RECORDS:
        types = [resource["type"] for resource in record["resources"]]
        assert types == [record["activity"].split()[1]] + ["user"] * (record["operation"] == "assign")


def test_only_updates_change_properties() -> None:
    assert {bool(record["changed_properties"]) for record in RECORDS if record["operation"] == "update"} == {True}
    assert not any(record["changed_properties"] for record in RECORDS if record["operation"] != "update")
