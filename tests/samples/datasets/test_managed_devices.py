"""Applications on devices."""

from __future__ import annotations

from collections import Counter

from minimize_samples.datasets.managed_devices import INSTALL_STATES

from ..made import records

RECORDS = records("app_inventory", 3000)


def test_a_device_and_an_application_have_one_record_a_day() -> None:
    assert set(Counter((record["device_id"], record["app_id"]) for record in RECORDS).values()) == {1}


def test_every_state_is_there_and_only_managed_applications_are_not_installed() -> None:
    assert {record["install_state"] for record in RECORDS} == set(INSTALL_STATES)
    assert {record["install_state"] for record in RECORDS if not record["managed"]} == {"installed"}


def test_an_installation_succeeded_or_failed_or_was_not_tried() -> None:
    outcomes = {(record["install_state"], record.get("install_succeeded")) for record in RECORDS if record["managed"]}
    assert outcomes == {
        *(("installed", True), ("notInstalled", False), ("notInstalled", None)),
        *(("pendingInstall", None), ("notApplicable", None)),
    }
    assert all(("install_error_code" in record) == (record.get("install_succeeded") is False) for record in RECORDS)


def test_a_path_of_a_computer_can_hold_a_persons_name() -> None:
    own = [record for record in RECORDS if "Users" in record.get("install_location", "")]
    assert {record["operating_system"] for record in own} == {"Windows", "macOS"}
    assert not any(record["managed"] for record in own)
    assert any(record["install_location"].startswith("C:\\Users\\") for record in own)


def test_the_applications_are_those_of_the_check_ins() -> None:
    known = {(record["device_id"], record["app_id"], record["app_version"], record["managed"]) for record in RECORDS}
    listed = [
        (record["device_id"], app["id"], app["version"], app["managed"])
        for record in records("device_telemetry", 300)
        for app in record.get("apps", [])
    ]
    assert listed
    assert set(listed) <= known


def test_modern_packages_are_of_windows() -> None:
    assert {record["operating_system"] for record in RECORDS if record["modern"]} == {"Windows"}
