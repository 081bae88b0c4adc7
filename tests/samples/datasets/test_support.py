"""Datasets of the help desk: messages and cases."""

from __future__ import annotations

import re
from collections import Counter

from minimize_samples.world import Administrators

from tests.samples.made import dataset, records

RECORDS = records("support_cases")

FREE_TEXT = "\n".join(record["message"] for record in RECORDS)


def test_a_case_has_three_messages_a_day_in_order() -> None:
    numbers = Counter(record["message_number"] for record in RECORDS)
    assert set(numbers) == {1, 2, 3}
    assert {record["message_number"] for record in records("support_cases", index=1)} == {4, 5, 6}


def test_contacts_are_administrators_or_users_of_the_tenant() -> None:
    administrators = {(record["admin_id"], record["tenant_id"]) for record in records("administrators")}
    users = {(record["user_id"], record["tenant_id"]) for record in records("managed_apps")}
    contacts = {(record["contact_id"], record["tenant_id"]) for record in RECORDS}
    assert contacts <= administrators | users
    assert contacts & administrators
    assert contacts & users


def test_a_device_is_the_contacts() -> None:
    owners = {record["device_id"]: record.get("user_id") for record in records("device_inventory")}
    named = [record for record in RECORDS if "device_id" in record]
    assert 0 < len(named) < len(RECORDS)
    assert all(owners[record["device_id"]] == record["contact_id"] for record in named)


def test_few_cases_belong_to_an_incident() -> None:
    incidents = [record["incident_id"] for record in RECORDS if "incident_id" in record]
    assert 0 < len(incidents) < len(RECORDS) / 10
    assert all(re.fullmatch("INC-[1-4]", incident) for incident in incidents)


def test_messages_hold_names_numbers_and_addresses() -> None:
    assert any(record["contact_name"] in record["message"] for record in RECORDS)
    assert any(record["contact_phone"] in record["message"] for record in RECORDS)
    assert any(record["contact_email"] in record["message"] for record in RECORDS)
    assert "203.0.113." in FREE_TEXT


def test_the_help_desk_answers_second() -> None:
    assert {record["message"].startswith("Dear ") for record in RECORDS if record["message_number"] == 2} == {True}
    assert {record["message"].startswith("Dear ") for record in RECORDS if record["message_number"] != 2} == {False}


SUPPORT_DESK_CASES = records("support_desk_cases", 200)


def test_contacts_are_administrators_of_the_world() -> None:
    admins = Administrators(dataset("support_desk_cases", 200).world, 200)
    known = dict(zip(admins.admin_id.to_pylist(), admins.user_principal_name.to_pylist(), strict=True))
    assert {record["contact_id"]: record["contact_email"] for record in SUPPORT_DESK_CASES} == known


def test_severities_and_states_are_those_of_the_manifest() -> None:
    assert {record["severity"] for record in SUPPORT_DESK_CASES} == {"A", "B", "C"}
    assert {record["state"] for record in SUPPORT_DESK_CASES} == {"open", "waiting", "closed"}


def test_messages_hold_addresses_and_numbers() -> None:
    messages = [record["message"] for record in SUPPORT_DESK_CASES]
    assert any("@" in message for message in messages)
    assert any("+1202" in message for message in messages)
