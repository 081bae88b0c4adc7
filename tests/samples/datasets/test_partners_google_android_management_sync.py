"""Enterprises of tenants at Google."""

from __future__ import annotations

from tests.samples.made import records

RECORDS = records("google_android_management_sync", 300)
NAMES = ("tenant_id", "enterpriseId", "serviceAccountName", "serviceAccountKeys")


def test_a_tenant_has_one_enterprise_and_one_service_account_with_its_key() -> None:
    pairs = {tuple(record[name] for name in NAMES) for record in RECORDS}
    assert [len({pair[place] for pair in pairs}) for place in range(4)] == [6] * 4


def test_the_enterprises_are_those_to_which_devices_belong() -> None:
    sent = {record["enterprise_id"] for record in records("google_android_management", 300)}
    assert {record["enterpriseId"] for record in RECORDS} >= sent


def test_addresses_are_of_domains_that_do_not_exist() -> None:
    assert all(record["adminEmail"].endswith(".example") for record in RECORDS)
