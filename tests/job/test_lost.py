"""Files of an output that are lost or damaged: a run of their date mends it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import minimize
from minimize.verifying import check
from tests.job.house import BEFORE, DAY, House, events

ACTS: dict[str, Callable[[Path], object]] = {"lost": Path.unlink, "damaged": lambda path: path.write_bytes(b"x")}


@pytest.mark.parametrize("how", ACTS)
@pytest.mark.parametrize("name", ["records", "per_model", "quarantine", "index"])
def test_a_run_of_the_date_puts_an_output_in_order_again(house: House, name: str, how: str) -> None:
    for day in (BEFORE, DAY):
        house.brings([*events(30), "no json"], day)
        house.run(date=day)
    ACTS[how](next(path for path in (house.out / name / f"date={DAY}").iterdir() if path.name != "_SUCCESS"))
    assert [finding for finding in check(house.out, keys=house.keys) if finding.severity == "error"]
    house.run(date=DAY)
    minimize.verify(house.out, keys=house.keys)
    assert len(house.rows()) == 60


def test_so_does_it_where_the_whole_partition_is_lost(house: House) -> None:
    house.brings(events(30))
    house.run()
    for path in (house.out / "records" / f"date={DAY}").iterdir():
        path.unlink()
    path.parent.rmdir()
    receipt = house.run()
    assert {file.path.partition("/")[0] for file in receipt.replaces} == {"records", "per_model"}
    minimize.verify(house.out, keys=house.keys)
