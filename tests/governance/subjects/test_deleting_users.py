"""People who are named by another field than the policy's subject: what holds their identifier goes, and does not come back."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow.parquet as pq
import pytest

import minimize
from minimize.errors import ConfigurationError
from minimize.governance.subjects import Deletion, Subject, delete, view
from minimize.ledger import find_ledger
from minimize.ledger.happened import recorded
from minimize.ledger.ledger import open_ledger
from minimize.switching import House as Places
from tests.job.house import AT, BEFORE, DAY, House, events

USER = {"type": "string", "role": "identifier", "do": {"pseudonymize": {"key": "user", "per": "tenant_id"}}}
RECORDS = [{**each, "user": f"u{number % 7}"} for number, each in enumerate(events(120))]
U2 = Subject("u2", "north", "user")
COUNTS = {
    "daily": {
        "group_by": {"tenant": "tenant_id"},
        "measures": {"events": "count"},
        "suppress": {"below": 2},
    }
}


def of(records: Iterable[dict[str, Any]], user: str = "u2", tenant: str | None = "north") -> int:
    return sum(each["user"] == user and tenant in (None, each["tenant_id"]) for each in records)


def places(house: House) -> Places:
    return Places(house.folder / "house.db", keys=house.keys)


def deleted(house: House, *subjects: Subject, **options: Any) -> Deletion:
    return delete(subjects, places(house), datetime.now(UTC), yes=True, **options)


def run(house: House, **options: Any) -> Any:
    return house.run(**{"ledger": house.folder / "house.db", "at": None, "output": None, **options})


def held(house: House, subject: Subject) -> int:
    return view([subject], places(house), datetime.now(UTC))[0].rows


@pytest.fixture(name="filled")
def _filled(house: House) -> House:
    house.policy({"user": USER})
    house.pipeline(aggregates=None)
    house.brings(RECORDS)
    house.brings(RECORDS, BEFORE)
    run(house)
    return house


def test_the_records_that_hold_a_users_identifier_go_and_no_others(filled: House) -> None:
    done = deleted(filled, U2)
    assert done.rows == 2 * of(RECORDS) > 0
    assert len(filled.rows()) == 2 * (len(RECORDS) - of(RECORDS))
    assert held(filled, U2) == 0
    minimize.verify(filled.out, keys=filled.keys)


def test_without_a_tenant_he_goes_from_each_that_has_him(filled: House) -> None:
    done = deleted(filled, Subject("u2", field="user"))
    assert {each.tenant for each in done.whose} == {"north", "south"}
    assert done.rows == 2 * of(RECORDS, tenant=None)


def test_a_device_and_a_user_of_one_name_are_two(house: House) -> None:
    house.policy({"user": USER})
    house.pipeline(aggregates=None)
    house.brings([{**each, "user": "d3"} if each["device_id"] == "d4" else {**each, "user": "x"} for each in RECORDS])
    run(house)
    deleted(house, Subject("d3", "north", "user"))
    gone = sum(each["device_id"] == "d4" and each["tenant_id"] == "north" for each in RECORDS)
    assert len(house.rows()) == len(RECORDS) - gone
    assert held(house, Subject("d3", "north")) > 0
    run(house)
    assert len(house.rows()) == len(RECORDS) - gone


def test_he_does_not_come_back_by_a_rerun_or_a_late_file(filled: House) -> None:
    deleted(filled, U2)
    filled.brings(RECORDS, name="late")
    receipt = run(filled, date=DAY)
    assert receipt.gated_by.erased == 2 * of(RECORDS)
    assert held(filled, U2) == 0


def test_he_does_not_come_back_by_an_aggregate_that_is_read_in_a_pass_of_its_own(house: House) -> None:
    house.policy({"user": USER, "model": {"type": "string", "do": {"top": {"keep": 2, "other": "o", "at_least": 3}}}})
    house.pipeline(aggregates=COUNTS)
    house.brings(RECORDS)
    run(house)
    deleted(house, U2)
    run(house)
    south = sum(each["tenant_id"] == "south" for each in RECORDS)
    north = len(RECORDS) - south - of(RECORDS)
    assert {row["tenant"]: row["events"] for row in house.rows("daily")} == {"north": north, "south": south}


def test_where_his_field_is_dropped_a_run_still_keeps_him_out(filled: House) -> None:
    deleted(filled, U2)
    filled.policy({"user": {"type": "string", "role": "identifier", "do": "drop"}})
    receipt = run(filled, date=DAY)
    assert receipt.gated_by.erased == of(RECORDS)
    assert "user" not in filled.rows(dates=[DAY])[0]


def test_a_columnar_source_is_asked_for_a_dropped_field_only_while_somebody_is_gone(house: House) -> None:
    house.policy({"user": {"type": "string", "role": "identifier", "do": "drop"}, "latitude": None})
    house.reads("csv", aggregates=None)
    path = house.folder / "data" / DAY / "a.csv"
    path.parent.mkdir(parents=True)
    names = ["event_id", "tenant_id", "device_id", "event_time", "model", "battery", "storage", "user"]
    lines = [",".join(names), *(",".join(str(each[name]) for name in names) for each in RECORDS)]
    path.write_text("\n".join(lines) + "\n")
    run(house)
    deleted(house, U2)
    assert run(house).gated_by.erased == of(RECORDS)


def test_what_happens_afterwards_is_collected_again(filled: House) -> None:
    deleted(filled, U2)
    later = datetime.now(UTC) + timedelta(hours=1)
    anew = [{**RECORDS[0], "user": "u2", "tenant_id": "north", "event_time": f"{later:%Y-%m-%dT%H:%M:%SZ}"}]
    filled.brings(anew, "2027-01-01")
    run(filled, date="2027-01-01")
    assert held(filled, U2) == 1


def test_where_his_field_was_dropped_the_files_are_named(house: House) -> None:
    house.policy({"user": {"type": "string", "role": "identifier", "do": "drop"}})
    house.pipeline(aggregates=None)
    house.brings(RECORDS)
    run(house)
    done = deleted(house, U2)
    assert [each.why for each in done.blind] == ["user was dropped"]
    assert run(house).gated_by.erased == of(RECORDS)


def test_no_dictionary_of_a_file_knows_him(filled: House) -> None:
    before = {row["user"] for row in filled.rows()}
    deleted(filled, U2)
    (gone,) = before - {row["user"] for row in filled.rows()}
    for path in filled.out.rglob("records/**/*.parquet"):
        assert gone.encode() not in path.read_bytes()
        table = pq.read_table(path, columns=["user"], read_dictionary=["user"], partitioning=None)
        assert gone not in table["user"].combine_chunks().dictionary.to_pylist()


def test_the_ledger_has_the_field_and_a_token_and_not_his_name(filled: House) -> None:
    deleted(filled, Subject("canary-user-7714", "north", "user"))
    with open_ledger(find_ledger(filled.folder / "house.db")) as book:
        (row,) = recorded(book)
    assert (row.field, row.kind) == ("user", "erasure")
    assert str(row.subject).startswith("subject/1:")
    assert b"canary-user" not in (filled.folder / "house.db").read_bytes()


def test_many_devices_users_and_tenants_go_in_one_pass(filled: House) -> None:
    done = deleted(filled, U2, Subject("d3", "north"), Subject(None, "south"))
    gone = [
        each for each in RECORDS if each["tenant_id"] == "south" or each["user"] == "u2" or each["device_id"] == "d3"
    ]
    assert done.rows == 2 * len(gone)
    assert len(done.receipts) == 1


def test_a_token_that_the_keyring_opens_is_deleted_as_the_id_behind_it(house: House) -> None:
    house.policy({"user": {**USER, "do": {"tokenize": {"key": "user", "per": "tenant_id"}}}})
    house.pipeline(aggregates=None, records={})
    house.brings(RECORDS)
    run(house)
    found = view([U2], places(house), AT)[0].held[0]
    (form,) = found.forms
    done = deleted(house, Subject(form, field="user", is_form=True))
    assert done.whose == (U2,)
    assert held(house, U2) == 0


def test_behind_a_pseudonym_nobody_can_be_told(filled: House) -> None:
    (form,) = view([U2], places(filled), AT)[0].held[0].forms
    with pytest.raises(ConfigurationError, match="behind a pseudonym"):
        deleted(filled, Subject(form, field="user", is_form=True))
