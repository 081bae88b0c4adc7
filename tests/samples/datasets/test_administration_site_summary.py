"""Weekly summaries of sites."""

from __future__ import annotations

import json
from datetime import date

import numpy as np
from minimize_samples.dataset import Slice

from ..made import dataset, records

RECORDS = records("site_summary")


def test_a_site_reports_once_a_week() -> None:
    sites: list[str] = []
    for day in range(7):
        part = Slice(date(2026, 11, 23 + day), 0, 1500, 1500)
        made = dataset("site_summary").records(part, np.random.default_rng(1)).lines().to_pylist()
        sites += [json.loads(line)["site_id"] for line in made]
    assert len(set(sites)) == len(sites) == 7 * 1500


def test_every_level_is_there() -> None:
    assert {record["diagnostic_level"] for record in RECORDS} == {"basic", "enhanced", "full"}


def test_a_system_has_at_most_all_clients() -> None:
    assert all(record["os_device_count"] <= record["client_count"] for record in RECORDS)


def test_contacts_are_administrators_of_the_tenant() -> None:
    administrators = {(record["user_principal_name"], record["tenant_id"]) for record in records("administrators")}
    assert {(record["contact_email"], record["tenant_id"]) for record in RECORDS} <= administrators


def test_names_of_sites_can_hold_a_persons_and_addresses_are_in_no_town() -> None:
    assert all(" building " in record["site_name"] for record in RECORDS)
    assert {record["postal_address"].split()[-1] for record in RECORDS} == {
        *("Exampleville", "Sampleton", "Mustertal", "Exempleux"),
    }
