"""Events of the audit log, and their actors."""

from __future__ import annotations

import getpass
import os
import pwd

import pytest

from minimize.ledger.audit_event import ACTOR_VARIABLE, current_actor
from tests.ledger.ledgers import event


def test_an_event_has_the_shape_that_readers_of_audit_logs_know() -> None:
    shown = event(7).to_json()
    assert shown.pop("id")
    assert shown == {
        "component": "tests",
        "actor": {
            "type": "user",
            "permissions": [],
            "application": "a test",
            "user": "ann",
            "ip": None,
            "id": None,
        },
        "activity": "settings",
        "time": "2026-11-25T00:00:07.000000Z",
        "operation": "set",
        "result": "success",
        "correlation_id": "c7",
        "resources": [
            {
                "name": "location",
                "type": "feature",
                "id": "feature/7",
                "changed_properties": [{"name": "value", "old": "off", "new": "on"}],
            }
        ],
        "category": "configuration",
        "tenant": None,
    }


def test_every_event_has_an_id_of_its_own() -> None:
    assert event(7).id != event(7).id


def test_the_actor_is_the_variable_or_the_user_of_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    own = pwd.getpwuid(os.getuid()).pw_name
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.setenv(name, "pia")
    assert getpass.getuser() == "pia"
    assert current_actor({ACTOR_VARIABLE: "pit"}).user == "pit"
    assert current_actor({}).user == own
    assert current_actor({ACTOR_VARIABLE: " \u200b"}).user == own


@pytest.mark.parametrize(
    "written", ["pia@example.com", " Pia@Example.com", "PIA@EXAMPLE.COM\u200b", "\uff50ia@example.com"]
)
def test_the_actor_is_named_in_one_form(written: str) -> None:
    assert current_actor({ACTOR_VARIABLE: written}).user == "pia@example.com"
