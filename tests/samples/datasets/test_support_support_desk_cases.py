"""Cases that the support desk takes over."""

from __future__ import annotations

from minimize_samples.world import Administrators

from tests.samples.made import dataset, records

RECORDS = records("support_desk_cases", 200)


def test_contacts_are_administrators_of_the_world() -> None:
    admins = Administrators(dataset("support_desk_cases", 200).world, 200)
    known = dict(zip(admins.admin_id.to_pylist(), admins.user_principal_name.to_pylist(), strict=True))
    assert {record["contact_id"]: record["contact_email"] for record in RECORDS} == known


def test_severities_and_states_are_those_of_the_manifest() -> None:
    assert {record["severity"] for record in RECORDS} == {"A", "B", "C"}
    assert {record["state"] for record in RECORDS} == {"open", "waiting", "closed"}


def test_messages_hold_addresses_and_numbers() -> None:
    messages = [record["message"] for record in RECORDS]
    assert any("@" in message for message in messages)
    assert any("+1202" in message for message in messages)
