"""What is held of somebody, and with whom it was shared."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from minimize.errors import ConfigurationError, KeyringError, LedgerError
from minimize.governance.subjects import Subject, view
from minimize.governance.subjects.viewing import View
from minimize.switching import House as Places
from tests.job.house import AT, BEFORE, DAY, House, event, events


def seen(house: House, subject: Subject, **places: Any) -> View:
    (found,) = view([subject], Places(**{"keys": house.keys, "ledger": house.out / "ledger.db", **places}), AT)
    return found


def test_a_view_says_where_in_which_form_since_when_and_until_when(house: House) -> None:
    house.policy(retention="30d")
    house.brings([event(3)])
    receipt = house.run()
    body = seen(house, Subject("d3", "south")).as_json(rows=1)
    (held,) = body["held"]
    when = datetime.fromisoformat(event(3)["event_time"]).replace(minute=0, second=0)
    end = when + timedelta(hours=1, microseconds=-1)
    assert (held["pipeline"], held["purpose"], held["rows"]) == ("checkins", "service_maintenance", 1)
    assert datetime.fromisoformat(held["since"]) == when
    assert datetime.fromisoformat(held["until"]) == end + timedelta(days=30)
    assert held["fields"]["event_time"] == "truncate_time"
    assert "event_id" not in held["fields"]
    assert held["collected_by"] == receipt.run_id
    assert held["records"][0]["event_time"] == when.astimezone(UTC)


def test_of_somebody_unknown_nothing_is_held(house: House) -> None:
    house.brings(events(20))
    house.run()
    body = seen(house, Subject("d99", "south")).as_json()
    assert (body["rows"], body["held"], body["shared"], body["not_searched"]) == (0, [], [], [])


def test_no_record_is_shown_unless_it_is_asked_for(house: House) -> None:
    house.brings(events(40))
    house.run()
    assert all(each["records"] == [] for each in seen(house, Subject("d3")).as_json()["held"])


def test_without_a_ledger_the_outputs_must_be_named(house: House) -> None:
    house.brings(events(20))
    house.run()
    (house.out / "ledger.db").unlink()
    with pytest.raises(LedgerError):
        view([Subject("d3")], Places(keys=house.keys), AT)
    (found,) = view([Subject("d3")], Places(keys=house.keys), AT, named=[house.out])
    assert found.rows > 0


def test_a_ledger_that_is_named_must_be_there(house: House) -> None:
    house.brings(events(20))
    house.run()
    with pytest.raises(LedgerError):
        view([Subject("d3")], Places(keys=house.keys, ledger=house.folder / "none.db"), AT, named=[house.out])


def test_nobody_is_found_without_a_keyring(house: House) -> None:
    house.brings(events(20))
    house.run()
    with pytest.raises(KeyringError):
        view([Subject("d3")], Places(), AT, named=[house.out])


USER = {"type": "string", "role": "identifier", "do": {"pseudonymize": {"key": "user"}}}
PEOPLE = [{**each, "user": f"u{number % 5}"} for number, each in enumerate(events(60))]


def test_a_form_that_is_given_is_found_in_whatever_field_it_stands(house: House) -> None:
    house.policy({"user": USER})
    house.brings(PEOPLE)
    house.run()
    found = seen(house, Subject("u2", field="user"))
    (form,) = found.held[0].forms
    again = seen(house, Subject(form, is_form=True))
    assert (again.rows, again.held[0].key) == (found.rows, "user")
    assert seen(house, Subject(form, "south", is_form=True)).rows < found.rows
    assert seen(house, Subject("nobody", is_form=True)).rows == 0


def test_the_identifiers_beside_somebody_are_counted(house: House) -> None:
    house.policy({"user": USER})
    house.brings(PEOPLE)
    house.run()
    (held,) = seen(house, Subject("u2", field="user")).as_json()["held"]
    assert held["beside"] == {"device_id": len({(e["device_id"], e["tenant_id"]) for e in PEOPLE if e["user"] == "u2"})}


def test_records_of_his_devices_are_found_where_a_file_dropped_him(house: House) -> None:
    house.policy({"user": USER})
    house.brings(PEOPLE)
    house.brings(PEOPLE, BEFORE)
    house.run(date=DAY)
    house.policy({"user": {**USER, "do": "drop"}})
    house.run(date=BEFORE)
    u2 = Subject("u2", field="user")
    places = Places(house.out / "ledger.db", keys=house.keys)
    (alone,), (linked,) = (view([u2], places, AT, linked=each) for each in (False, True))
    devices = {(each["device_id"], each["tenant_id"]) for each in PEOPLE if each["user"] == "u2"}
    beside = sum((each["device_id"], each["tenant_id"]) in devices for each in PEOPLE)
    assert [each.why for each in alone.blind] == ["user was dropped"]
    assert linked.rows == alone.rows + beside


def test_a_view_tells_how_much_had_to_be_read(house: House) -> None:
    house.brings(events(40))
    house.brings(events(40), BEFORE)
    house.run()
    assert seen(house, Subject("d99", "south")).as_json()["row_groups"] == {"all": 2, "read": 0}
    assert seen(house, Subject("d3", "south")).as_json()["row_groups"] == {"all": 2, "read": 2}


def test_a_tenant_that_nothing_names_is_noticed(house: House) -> None:
    house.brings(events(20))
    house.run()
    assert seen(house, Subject("d3", "nroth")).is_unseen
    assert not seen(house, Subject("d99", "north")).is_unseen


def test_a_field_that_no_policy_has_is_a_fault(house: House) -> None:
    house.brings(events(20))
    house.run()
    with pytest.raises(ConfigurationError, match="did you mean model"):
        seen(house, Subject("d3", field="modle"))
