"""Who and what devices are."""

from __future__ import annotations

from ..made import records

RECORDS = records("device_inventory")


def test_a_device_has_one_record_a_day() -> None:
    assert len({record["device_id"] for record in RECORDS}) == len(RECORDS)


def test_a_tenant_has_one_account() -> None:
    assert len({(record["tenant_id"], record["account_id"]) for record in RECORDS}) == 6


def test_some_tenants_have_none_at_the_third_party() -> None:
    assert 0 < len({record["tenant_id"] for record in RECORDS if "partner_tenant_id" not in record}) < 6


def test_secrets_are_random() -> None:
    keys = [record["certificate_private_key"] for record in RECORDS if "certificate_private_key" in record]
    assert len(set(keys)) == len(keys) > 10
