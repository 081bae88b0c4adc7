"""Licences of applications at Apple."""

from __future__ import annotations

from tests.samples.made import records

RECORDS = records("apple_volume_purchase_sync", 300)


def test_licences_in_use_retired_and_available_are_all_that_there_are() -> None:
    parts = ("assignedCount", "retiredCount", "availableCount")
    assert {sum(record[name] for name in parts) - record["totalCount"] for record in RECORDS} == {0}


def test_an_application_has_one_name_and_one_id() -> None:
    names = ("adamId", "bundleId", "appName")
    apps = {tuple(record[name] for name in names) for record in RECORDS}
    assert [len({app[place] for app in apps}) for place in range(3)] == [len(apps)] * 3


def test_a_tenant_has_one_organization() -> None:
    pairs = {(record["tenant_id"], record["organizationId"], record["location"]) for record in RECORDS}
    assert len(pairs) == 6
