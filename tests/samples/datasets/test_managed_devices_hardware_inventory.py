"""What devices are made of."""

from __future__ import annotations

from ..made import records

RECORDS = records("hardware_inventory")


def test_free_storage_is_less_than_all() -> None:
    assert all(0 < record["free_storage_bytes"] < record["total_storage_bytes"] for record in RECORDS)


def test_health_is_a_percentage() -> None:
    assert all(0 <= record["battery_health_pct"] <= 100 for record in RECORDS)


def test_only_computers_with_windows_have_a_bios_and_some_no_trusted_platform_module() -> None:
    windows = [record for record in RECORDS if record["operating_system"] == "Windows"]
    assert [record for record in RECORDS if "bios_date" in record] == windows
    assert {record.get("tpm_version") for record in windows} == {"1.2", "2.0", None}


def test_the_technology_goes_with_a_carrier() -> None:
    assert {record.get("cellular_technology") for record in RECORDS} == {"GSM", "CDMA", None}
    assert all(("carrier" in record) == ("cellular_technology" in record) for record in RECORDS)
