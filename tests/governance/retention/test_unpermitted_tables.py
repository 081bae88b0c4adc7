"""Tables that today's policy does not permit: replaced by a run, or removed."""

from __future__ import annotations

import shutil
from datetime import date, timedelta
from typing import Any

import pytest

from minimize.removal.retract import Retraction, retract
from tests.governance.retention.daily import START, Daily, rows
from tests.project import Builds

FIRST, HOUR = date(2026, 1, 1), timedelta(hours=1)
RAN = START + timedelta(days=1)
COARSER = {"tenant_id": {"type": "string", "do": {"mask": {"keep_last": 1}}}}
NOISY: dict[str, Any] = {
    "daily": {
        "group_by": {"day": {"event_time": "day"}, "tenant": "tenant_id"},
        "measures": {"devices": {"count_distinct": "device_id"}},
        "suppress": {"below": 2},
        "per_subject": {"rows": 2},
        "noise": {"releases": 1},
    }
}


def ran_content(project: Daily) -> None:
    project.collect(rows(FIRST, devices=30), FIRST)
    project.run(FIRST, RAN)


@pytest.fixture(name="ran")
def _ran(builds: Builds, project: Daily) -> Daily:
    return builds.fill(project, ran_content)


def retracted(project: Daily, **options: Any) -> Retraction:
    return retract(project.out, at=RAN + HOUR, keys=project.keys, yes=True, **options)


def tenants(project: Daily) -> set[str]:
    return {row["tenant"] for row in project.rows("daily")}


def test_a_table_of_a_coarser_field_is_removed_without_its_source(ran: Daily) -> None:
    shutil.rmtree(ran.folder / "data")
    ran.policy(COARSER)
    plan = retract(ran.out, at=RAN + HOUR, keys=ran.keys)
    assert f"daily {FIRST}: rows: 3 excluded by a condition (files removed: 1, rewritten: 0)" in str(plan).splitlines()
    assert tenants(ran) == {"north", "south", "east"}
    retracted(ran)
    assert ran.rows("daily") == []
    ran.verified()


def test_a_table_of_other_fields_stays(ran: Daily) -> None:
    shutil.rmtree(ran.folder / "data")
    ran.policy({"note": {"type": "string", "do": "drop"}})
    (receipt,) = retracted(ran).receipts
    assert tenants(ran) == {"north", "south", "east"}
    assert receipt.stays == {"daily": (str(FIRST),)}
    ran.verified()


def test_an_exact_table_of_a_coarser_field_is_removed_after_a_run_that_leaves_it(ran: Daily) -> None:
    ran.policy(COARSER)
    found = retracted(ran)
    assert found.rerun_dates == (str(FIRST),)
    assert {row["tenant_id"][-1] for row in ran.rows()} == {"h", "t"}
    assert [(receipt.from_, bool(receipt.outputs["daily"].files)) for receipt in found.receipts] == [
        ("source", False),
        ("output", False),
    ]
    assert ran.rows("daily") == []
    ran.verified()


@pytest.mark.parametrize(("releases", "left"), [(1, 0), (2, 2)])
def test_a_table_with_noise_is_made_again_unless_it_had_its_last_release(
    project: Daily, releases: int, left: int
) -> None:
    ledger = project.folder / "own.db"
    noisy = {"daily": {**NOISY["daily"], "noise": {"releases": releases}}}
    project.pipeline(aggregates=noisy)
    project.collect(rows(FIRST, devices=30), FIRST)
    project.run(FIRST, RAN, ledger=ledger)
    assert tenants(project) == {"north", "south", "east"}
    project.policy(COARSER)
    retracted(project, ledger=ledger)
    assert len(tenants(project)) == left
    assert not tenants(project) & {"north", "south", "east"}
    project.verified()


def test_no_table_is_removed_if_the_policy_is_the_same(ran: Daily) -> None:
    shutil.rmtree(ran.folder / "data")
    retracted(ran)
    assert tenants(ran) == {"north", "south", "east"}


@pytest.mark.parametrize("tables", [False, True])
def test_an_expiry_removes_all_tables_if_it_is_asked_to(ran: Daily, tables: bool) -> None:
    records = ran.rows()
    result = ran.expire(RAN, tables=tables)
    assert (bool(ran.rows("daily")), bool(result.receipts)) == (not tables, tables)
    assert ran.rows() == records
    ran.verified()
