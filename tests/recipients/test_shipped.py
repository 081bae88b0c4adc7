"""The shipped manifests list what is known to go to each recipient and to come from it."""

from __future__ import annotations

from datetime import date

import pytest

from minimize.forms.yaml_nodes import FaultList, parse_yaml
from minimize.recipients import Recipient, load_recipient, load_recipients, recipient_from
from tests.pipelines.shipped import RECIPIENTS, ROOT


def shipped(name: str) -> Recipient:
    return load_recipient(RECIPIENTS / f"{name}.yaml")


def lines(recipient: Recipient) -> tuple[int, int]:
    out, back = (sum(len(each.rows) for each in some) for some in (recipient.outbound, recipient.inbound))
    return out, back


@pytest.mark.parametrize(
    ("name", "out", "back"),
    [
        ("apple", 27, 60),
        ("google", 7, 3),
        ("jamf", 0, 40),
        ("support_desk", 8, 0),
        ("threat_defense", 8, 3),
        ("configmgr", 0, 19),
    ],
)
def test_as_many_lines_go_and_come_as_are_known(name: str, out: int, back: int) -> None:
    assert lines(shipped(name)) == (out, back)


def test_the_recipient_of_the_documentation_is_one() -> None:
    text = (ROOT / "docs" / "reference" / "sharing.md").read_text()
    block = "recipient: " + text.partition("```yaml\nrecipient: ")[2].partition("```")[0]
    root = parse_yaml(block, FaultList())
    assert root is not None
    found = recipient_from(root.to_data())
    assert (list(found.functions["app_sync"].shared), found.functions["app_sync"].pass_through_fields) == (
        ["app_id", "state", "bundle_size"],
        ("token",),
    )


def test_the_support_desk_is_an_agent_on_the_list_and_all_others_act_for_themselves() -> None:
    known = load_recipients(RECIPIENTS)
    assert known.names() == ("apple", "configmgr", "google", "jamf", "support_desk", "threat_defense")
    agents = [name for name in known.names() if known.load(name).standing == "processor"]
    assert agents == ["support_desk"]
    assert known.is_listed(known.load("support_desk"), date(2026, 1, 1))
    assert not known.is_listed(known.load("support_desk"), date(2025, 12, 31))


def test_messages_of_apple_have_as_many_fields_as_are_known() -> None:
    assert {name: len(each.rows) for name, each in shipped("apple").functions.items()} == {
        "push": 1,
        "device_enrollment": 23,
        "volume_purchase": 3,
        "push_authenticate": 9,
        "push_token_update": 6,
        "push_checkout": 3,
        "push_commands": 4,
        "device_enrollment_sync": 13,
        "volume_purchase_sync": 25,
    }


def test_jamf_uses_one_permission_that_an_administrator_grants() -> None:
    (function,) = shipped("jamf").functions.values()
    assert function.permissions == ("update_device_attributes",)
    assert "admin_consent" in function.requires


def test_purposes_of_sharing_are_support_maintenance_and_operations() -> None:
    known = load_recipients(RECIPIENTS)
    purposes = {
        (name == "configmgr", function.purpose)
        for name in known.names()
        for function in known.load(name).functions.values()
    }
    assert purposes == {(False, "operations"), (False, "customer_support"), (True, "quality_and_security")}


def test_functions_of_google_require_an_account() -> None:
    assert {each.requires for each in shipped("google").functions.values()} == {("google_account",)}


def test_hardware_of_jamf_that_no_compliance_rule_reads_is_dropped() -> None:
    fields = shipped("jamf").functions["compliance"].fields.values()
    hardware = [field for field in fields if field.about == "no compliance rule reads it"]
    assert (len(hardware), {field.do for field in hardware}) == (18, {"drop"})


@pytest.mark.parametrize(
    ("name", "function", "secrets"),
    [
        ("apple", "push_token_update", ("Token", "PushMagic", "UnlockToken")),
        ("google", "android_management", ("newPassword", "service_account_key")),
        ("google", "android_management_sync", ("serviceAccountKeys",)),
    ],
)
def test_secrets_only_pass_through(name: str, function: str, secrets: tuple[str, ...]) -> None:
    found = shipped(name).functions[function]
    assert found.pass_through_fields == secrets
    assert not set(secrets) & set(found.shared)


def test_contracts_permit_exactly_the_shared_fields() -> None:
    for name in ("apple", "google", "support_desk", "threat_defense"):
        recipient = shipped(name)
        assert recipient.contract is not None
        going = {key for each in recipient.outbound for key in (*each.shared, *each.pass_through_fields)}
        assert set(recipient.contract.permitted_fields) == going


@pytest.mark.parametrize("function", ["device_enrollment", "device_enrollment_sync"])
def test_a_profile_has_one_of_four_states(function: str) -> None:
    status = shipped("apple").functions[function].fields["profile_status"]
    assert status.values == ("empty", "assigned", "pushed", "removed")


def test_the_optional_fields_and_protocol_versions_of_device_enrolment_are_those_that_apple_lists() -> None:
    fields = shipped("apple").functions["device_enrollment"].fields
    assert [key for key, each in fields.items() if each.optional] == [
        "support_phone_number",
        "support_email_address",
        "department",
    ]
    assert {key: each.protocol for key, each in fields.items() if each.protocol} == {
        "org_id": 3,
        "os": 2,
        "device_family": 2,
        "support_email_address": 2,
    }


def test_the_user_id_of_apple_is_an_id_and_no_address() -> None:
    field = shipped("apple").functions["volume_purchase_sync"].fields["appleUserId"]
    assert "@" not in str(field.example)


def test_ending_with_google_has_two_sides() -> None:
    assert "disabled in the console" in shipped("google").ending
    assert "deleted at Google" in shipped("google").ending
