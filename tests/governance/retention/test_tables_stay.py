"""Tables after records of their dates were removed: they stay as published, and plan and receipt name them."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import pytest

from minimize.governance.events import NewEvent, add_event
from minimize.receipts import Receipt
from minimize.workspace import Workspace
from tests.governance.retention.daily import START, Daily, rows
from tests.project import Builds

FIRST = date(2026, 1, 1)
RAN = START + timedelta(days=1)
STAYS = {"daily": (str(FIRST),)}


def ran_content(project: Daily) -> None:
    project.collect(rows(FIRST, devices=6), FIRST)
    project.run(FIRST, RAN)


@pytest.fixture(name="ran")
def _ran(builds: Builds, project: Daily) -> Daily:
    return builds.fill(project, ran_content)


def tables(project: Daily) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in Path(project.out).glob("daily/**/*.parquet")}


def expired(project: Daily, *subjects: str) -> Receipt:
    left = [f"south,{subject},subject_left,2026-01-02T00:00:00Z" for subject in subjects]
    (receipt,) = project.expire(RAN, events=project.events(*left)).receipts
    return receipt


@pytest.mark.parametrize("subjects", [("d0",), ("d0", "d1"), ("",)])
def test_an_event_changes_records_and_no_table(ran: Daily, subjects: tuple[str, ...]) -> None:
    before, records = tables(ran), ran.rows()
    kind = "tenant_closed" if subjects == ("",) else "subject_left"
    events = ran.events(*(f"south,{subject},{kind},2026-01-02T00:00:00Z" for subject in subjects))
    (receipt,) = ran.expire(RAN, events=events).receipts
    assert len(ran.rows()) < len(records)
    assert before
    assert tables(ran) == before
    assert (receipt.stays, list(receipt.outputs)) == (STAYS, ["records"])
    ran.verified()


def test_it_stays_after_each_of_several_events(ran: Daily) -> None:
    before = tables(ran)
    for subjects in (("d0", "d1"), ("d0", "d1", "d2", "d5")):
        assert expired(ran, *subjects).stays == STAYS
    assert tables(ran) == before


def test_it_stays_after_an_event_of_the_ledger(ran: Daily) -> None:
    before, places = tables(ran), Workspace(output=ran.out, keys=ran.keys)
    add_event(NewEvent("south", "subject_left", "d0", RAN), places, RAN + timedelta(minutes=1))
    (receipt,) = ran.expire(RAN).receipts
    assert receipt.stays == STAYS
    assert tables(ran) == before
