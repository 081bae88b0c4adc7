"""Whoever is gone does not come back: by a rerun, a late file, a replay or a backfill."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

import minimize
from minimize.errors import LedgerError
from minimize.governance.retention.recording import Wish, add_event, withdraw_event
from minimize.job import erasing
from minimize.ledger import find_ledger
from minimize.ledger.happened import recorded
from minimize.ledger.ledger import open_ledger
from minimize.settings.erased import ErasedRows
from minimize.switching import House as Places
from tests.job.house import AT, BEFORE, House, events

RECORDS = events(60)
SOON = AT - timedelta(minutes=1)


def tell(house: House, kind: str, tenant: str, subject: str | None = None, at: datetime = SOON) -> str:
    places = Places(house.out / "ledger.db", keys=house.keys)
    return add_event(Wish(tenant, kind, subject, at), places, SOON).row.id


def left(house: House, **options: Any) -> int:
    return len(house.rows(**options))


def of(records: list[dict[str, Any]], tenant: str, device: str | None = None) -> int:
    return sum(each["tenant_id"] == tenant and device in (None, each["device_id"]) for each in records)


@pytest.mark.parametrize("kind", ["subject_left", "reset", "erasure"])
def test_records_of_a_subject_that_is_gone_are_gated_and_counted(house: House, kind: str) -> None:
    house.brings(RECORDS)
    house.run()
    tell(house, kind, "north", "d4")
    receipt = house.run()
    gone = of(RECORDS, "north", "d4")
    assert (receipt.gated_by.erased, receipt.rows.gated) == (gone, gone)
    assert left(house) == len(RECORDS) - gone
    minimize.verify(house.out, keys=house.keys)


def test_a_tenant_that_closed_does_not_come_back_with_a_late_file(house: House) -> None:
    house.brings(RECORDS)
    house.run()
    tell(house, "tenant_closed", "north")
    house.brings(RECORDS, BEFORE)
    receipt = house.run(date=BEFORE)
    assert receipt.gated_by.erased == of(RECORDS, "north")


def test_what_happened_later_is_collected_again(house: House) -> None:
    house.brings(RECORDS)
    house.run()
    middle = sorted(each["event_time"] for each in RECORDS if each["device_id"] == "d4")[2]
    tell(house, "reset", "north", "d4", datetime.fromisoformat(middle))
    receipt = house.run()
    gone = [
        each
        for each in RECORDS
        if (each["tenant_id"], each["device_id"]) == ("north", "d4") and each["event_time"] <= middle
    ]
    assert 0 < receipt.gated_by.erased == len(gone) < of(RECORDS, "north", "d4")


def test_an_event_that_was_taken_back_gates_nobody(house: House) -> None:
    house.brings(RECORDS)
    house.run()
    event = tell(house, "erasure", "north", "d4")
    withdraw_event(event, Places(house.out / "ledger.db", keys=house.keys), SOON)
    assert house.run().gated_by.erased == 0


def test_a_device_that_became_personal_is_still_collected(house: House) -> None:
    house.brings(RECORDS)
    house.run()
    tell(house, "became_personal", "north", "d4")
    assert house.run().gated_by.erased == 0


def test_an_aggregate_does_not_count_who_is_gone(house: House) -> None:
    house.pipeline(
        records=None,
        aggregates={
            "daily": {"group_by": {"tenant": "tenant_id"}, "measures": {"events": "count"}, "suppress": {"below": 2}}
        },
    )
    house.brings(RECORDS)
    house.run()
    tell(house, "erasure", "north", "d4")
    house.run()
    assert {row["tenant"]: row["events"] for row in house.rows("daily")} == {
        "north": of(RECORDS, "north") - of(RECORDS, "north", "d4"),
        "south": of(RECORDS, "south"),
    }


def test_of_top_values_those_of_who_is_gone_do_not_count(house: House) -> None:
    rare = [{**each, "model": "rare"} for each in RECORDS if each["device_id"] in ("d1", "d2", "d3")]
    house.policy({"model": {"type": "string", "do": {"top": {"keep": 5, "other": "other", "at_least": 3}}}})
    house.brings([*RECORDS, *rare])
    house.run()
    assert "rare" in {row["model"] for row in house.rows()}
    for device in ("d1", "d2", "d3"):
        for tenant in ("north", "south"):
            tell(house, "erasure", tenant, device)
    house.run()
    assert "rare" not in {row["model"] for row in house.rows()}


def test_who_goes_while_a_run_goes_on_stops_it(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    house.brings(RECORDS)
    house.run()
    before = house.files()
    tell(house, "erasure", "north", "d4")
    monkeypatch.setattr("minimize.job.given.load_people", lambda *_: erasing.People())
    with pytest.raises(LedgerError, match="while the run went on"):
        house.run()
    assert house.files() == before


def test_where_no_ledger_is_yet_nobody_is_gone(house: House) -> None:
    job = minimize.load_pipeline(house.folder)
    keys: Any = None
    assert erasing.load_people(job, keys, house.out, house.folder / "none.db") == erasing.People()


def test_what_was_known_when_the_run_began_stops_nothing(house: House) -> None:
    house.brings(RECORDS)
    house.run()
    tell(house, "erasure", "north", "d4")
    with open_ledger(find_ledger(house.out / "ledger.db")) as book:
        erasing.check_still(book, erasing.People(ErasedRows(tuple(recorded(book)))))
        with pytest.raises(LedgerError):
            erasing.check_still(book, erasing.People())
