"""Applications on iPhones and iPads."""

from __future__ import annotations

import numpy as np
from minimize_samples.devices import IPAD, IPHONE

from tests.samples.made import dataset, records, settings

RECORDS = records("threat_defense_app_sync", 400)


def test_a_device_has_each_application_once() -> None:
    pairs = [(record["device_id"], record["app_id"]) for record in RECORDS]
    assert len(set(pairs)) == len(pairs) == 400


def test_only_iphones_and_ipads_have_them() -> None:
    members = dataset("threat_defense_app_sync", 400).members
    assert set(np.unique(members.devices.kind[members.device])) == {IPHONE, IPAD}


def test_a_version_begins_with_its_short_form() -> None:
    assert all(record["version"].startswith(f"{record['short_version']}.") for record in RECORDS)


def test_some_are_managed_and_a_few_have_no_valid_signature() -> None:
    assert {record["managed"] for record in RECORDS} == {True, False}
    assert 0 < sum(not record["validated"] for record in RECORDS) < 40


def test_the_inventory_is_on_in_some_tenants() -> None:
    assert {row.setting for row in settings("threat_defense_app_sync")} == {"app_inventory"}
