"""What is held of somebody, and with whom it was shared."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from minimize.errors import KeyringError, LedgerError
from minimize.governance.subjects import Subject, view
from minimize.governance.subjects.viewing import View
from minimize.switching import House as Places
from tests.job.house import AT, House, event, events


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
