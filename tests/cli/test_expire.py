"""`minimize expire`, as a shell calls it."""

from __future__ import annotations

from datetime import timedelta

import minimize
from tests.cli.command import Command
from tests.job.house import AT, House, events

LATER = f"{AT + timedelta(days=2):%Y-%m-%dT%H:%M:%SZ}"
MUCH_LATER = f"{AT + timedelta(days=40):%Y-%m-%dT%H:%M:%SZ}"


def test_the_plan_is_shown_and_yes_carries_it_out(house: House, command: Command) -> None:
    house.brings(events(60))
    house.run()
    shown = command("expire", house.out, "--at", LATER, "--keys", house.keys)
    assert (shown.code, "values: 30 of latitude" in shown.out, "--yes" in shown.out) == (0, True, True)
    assert any(row["latitude"] is not None for row in house.rows())
    done = command("expire", house.out, "--at", LATER, "--keys", house.keys, "--yes")
    assert (done.code, "expire" in done.out) == (0, True)
    assert all(row["latitude"] is None for row in house.rows())
    minimize.verify(house.out, keys=house.keys)


def test_nothing_due_is_nothing_to_do(house: House, command: Command) -> None:
    house.brings(events(60))
    house.run()
    assert (
        command("expire", house.out, "--at", AT, "--keys", house.keys, "--yes").out == "nothing to do: nothing is due\n"
    )


def test_due_lists_what_is_open_and_exits_with_one_when_something_is_overdue(house: House, command: Command) -> None:
    house.brings(events(60))
    house.run()
    (house.folder / "happened.csv").write_text(f"tenant_id,subject,event,at\nnorth,d1,subject_left,{LATER}\n")
    asked = ("expire", house.out, "--due", "--events", house.folder / "happened.csv", "--keys", house.keys)
    early, late = command(*asked, "--at", AT), command(*asked, "--at", LATER, "--json")
    assert (early.code, late.code) == (0, 1)
    assert [each["what"] for each in late.json["open"] if each["overdue"]] == ["retention"]


def test_json_gives_plan_and_receipts(house: House, command: Command) -> None:
    house.brings(events(60))
    house.run()
    done = command("expire", house.out, "--at", MUCH_LATER, "--keys", house.keys, "--yes", "--json").json
    assert {each["output"] for each in done["partitions"]} == {"records", "per_model"}
    assert [receipt["kind"] for receipt in done["receipts"]] == ["expire"]
