"""`minimize retract`, as a shell calls it."""

from __future__ import annotations

import shutil

import pytest

import minimize
from tests.cli.command import Command
from tests.job.house import AT, SETTINGS, House, events

OFF = "north,,location,off,admin,2026-11-25T00:00:00Z,2026-11-25T00:00:00Z\n"
LATER = "2026-11-25T00:30:00Z"


@pytest.mark.parametrize("way", ["source", "output"])
def test_the_plan_is_shown_and_yes_carries_it_out(house: House, command: Command, way: str) -> None:
    house.brings(events(60))
    house.run(at=AT)
    (house.folder / "settings.csv").write_text(SETTINGS + OFF)
    if way == "output":
        shutil.rmtree(house.folder / "data")
    shown = command("retract", house.out, "--at", LATER, "--keys", house.keys)
    assert (shown.code, "--yes" in shown.out) == (0, True)
    assert any(row["latitude"] is not None for row in house.rows())
    done = command("retract", house.out, "--at", LATER, "--keys", house.keys, "--yes", "--json").json
    assert [(receipt["kind"], receipt["from"]) for receipt in done["receipts"]] == [("retract", way)]
    assert all(row["latitude"] is None for row in house.rows())
    minimize.verify(house.out, keys=house.keys)


def test_a_policy_that_became_finer_is_refused(house: House, command: Command) -> None:
    house.brings(events(60))
    house.run(at=AT)
    shutil.rmtree(house.folder / "data")
    house.policy({"event_time": {"type": "timestamp", "do": "keep"}}, version=4)
    said = command("retract", house.out, "--at", LATER, "--keys", house.keys, "--yes", "--json")
    assert (said.code, said.error["faults"][0]["code"]) == (3, "R021")
