from __future__ import annotations

from minimize.job.quarantined import counted, held
from tests.job.house import BEFORE, DAY, House, event, events


def test_quarantine_is_grouped_by_code_field_and_file_the_most_first(house: House) -> None:
    house.brings([*events(9), "broken", event(9, battery="full"), event(10, battery="low")])
    house.brings([*events(9), "broken"], day=BEFORE)
    house.run()
    assert [tuple(group.values()) for group in counted(held(house.out))] == [
        ("wrong_type", "/battery", f"{DAY}/a.ndjson.gz", 2),
        ("malformed", None, f"{BEFORE}/a.ndjson.gz", 1),
        ("malformed", None, f"{DAY}/a.ndjson.gz", 1),
    ]


def test_one_date_can_be_asked_for(house: House) -> None:
    house.brings([*events(9), "broken"])
    house.brings([*events(9), "broken", "too"], day=BEFORE)
    house.run()
    assert [each.rows for each in held(house.out, BEFORE)] == [2]
    assert held(house.out, "2026-11-01") == []


def test_what_a_rerun_replaced_is_not_counted(house: House) -> None:
    house.brings([*events(9), "broken"])
    house.run()
    house.brings(events(9))
    house.run()
    assert held(house.out) == []
