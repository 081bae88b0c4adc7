from __future__ import annotations

import pytest

from minimize.pointer import Pointer
from minimize.policy.roles import perhaps, surely


@pytest.mark.parametrize(
    ("name", "role"),
    [
        ("phone", "identifier"), ("phoneNumber", "identifier"), ("e-mail", "identifier"), ("emailAddress", "identifier"),
        ("IMEI", "identifier"), ("serialNumber", "identifier"), ("wifiMacAddress", "identifier"), ("UDID", "identifier"),
        ("user_principal_name", "identifier"), ("userId", "identifier"), ("deviceName", "identifier"), ("ssn", "identifier"),
        ("ip", "quasi"), ("ipAddress", "quasi"), ("latitude", "quasi"), ("date_of_birth", "quasi"), ("SSID", "quasi"),
        ("passcode", "secret"), ("apiToken", "secret"), ("activationLockBypassCode", "secret"),
        ("comment", "free_text"), ("support_note", "free_text"), ("/device/imei", "identifier"), ("/a/*/imei", "identifier"),
    ],
)  # fmt: skip
def test_a_name_gives_a_role_away(name: str, role: str | None) -> None:
    assert surely(Pointer.parse(name)) == role


@pytest.mark.parametrize("name", ["battery", "machine", "shipping", "macro", "stage", "tenant_id", "chip", "/ips/*"])
def test_other_names_give_nothing_away(name: str) -> None:
    assert surely(Pointer.parse(name)) is None


@pytest.mark.parametrize(
    ("name", "role"),
    [("event_time", "quasi"), ("osVersion", "quasi"), ("event_id", "identifier"), ("description", "free_text")],
)
def test_some_names_suggest_a_role(name: str, role: str) -> None:
    assert perhaps(Pointer.parse(name)) == role
