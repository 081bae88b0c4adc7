"""Events of the audit log, and their actors."""

from __future__ import annotations

import getpass

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


def test_the_actor_is_the_variable_or_the_user_of_the_system() -> None:
    assert current_actor({ACTOR_VARIABLE: "pia"}).user == "pia"
    assert current_actor({}).user == getpass.getuser()
