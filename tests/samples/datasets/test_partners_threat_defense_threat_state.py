"""Verdicts about mobile devices."""

from __future__ import annotations

from datetime import datetime, timedelta

from minimize.recipients import load_recipient
from tests.golden.runner import ROOT
from tests.samples.made import dataset, records

RECORDS = records("threat_defense_threat_state")


def test_the_states_are_those_that_the_manifest_lists() -> None:
    recipient = load_recipient(ROOT / "pipelines" / "recipients" / "threat_defense.yaml")
    listed = recipient.functions["threat_state"].fields["threat_state"].values
    assert {record["threat_state"] for record in RECORDS} == set(listed)


def test_some_devices_had_no_contact_for_weeks_and_count_as_threatened_all_the_same() -> None:
    old = {
        record["threat_state"]
        for record in RECORDS
        if datetime.fromisoformat(record["received_at"]) - datetime.fromisoformat(record["last_contact"])
        > timedelta(days=7)
    }
    assert {"secured", "highSeverity"} <= old


def test_a_device_is_an_iphone_or_ipad_under_the_id_that_the_vendor_gets() -> None:
    devices = dataset("device_inventory", 12_000).members
    kinds = dict(zip(devices.threat_defense_id.to_pylist(), devices.device_type.to_pylist(), strict=True))
    assert {kinds[record["device_id"]] for record in RECORDS} == {"iphone", "ipad"}
