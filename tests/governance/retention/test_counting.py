"""Whether the difference of two releases tells of few subjects."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any

import pytest
from minimize.governance.retention.counting import is_safe

from minimize.governance.retention.retract import retract
from tests.governance.retention.daily import PIPELINE, SETTINGS, START, Daily, Row, rows

FIRST = date(2026, 1, 1)
RAN = START + timedelta(days=1)
OFF = "south,{},location,off,user,2026-01-02T00:10:00Z,2026-01-02T00:10:00Z\n"


@pytest.mark.parametrize(
    ("old", "new", "safe"),
    [
        ({"a": 5}, {"a": 5}, True),
        ({"a": 5}, {"a": 4}, False),
        ({"a": 5}, {"a": 2}, True),
        ({"a": 3}, {}, True),
        ({"a": 2}, {}, False),
        ({"a": 5, "b": 5}, {"a": 2, "b": 4}, False),
        ({"a": 5}, {"a": 6}, False),
    ],
)
def test_a_group_loses_nobody_or_at_least_as_many_as_show_one(old: Any, new: Any, safe: bool) -> None:
    assert is_safe(old, new, 3) == safe


def located(project: Daily) -> None:
    """An aggregate of the records that say where they were: its groups change with the setting."""
    aggregate = {"daily": {**PIPELINE["aggregates"]["daily"], "group_by": {"owner": "owner_type"}}}
    project.policy(records={"feature": "location"})
    project.pipeline(aggregates=aggregate)
    project.collect([Row("south", f"d{n}", row.time) for n in range(6) for row in rows(FIRST, ("south",), 1)], FIRST)
    project.run(FIRST, RAN)


@pytest.mark.parametrize(("objecting", "ways"), [(1, ["output"]), (2, ["source"])])
def test_a_date_is_run_anew_only_where_aggregates_do_not_tell_of_few(
    project: Daily, objecting: int, ways: list[str]
) -> None:
    located(project)
    (project.folder / "settings.csv").write_text(SETTINGS + "".join(OFF.format(f"d{n}") for n in range(objecting)))
    at: datetime = RAN + timedelta(minutes=30)
    done = retract(project.out, at=at, keys=project.keys, yes=True)
    assert [receipt.from_ for receipt in done.receipts] == ways
    assert len(project.rows()) == 12 - 2 * objecting
    assert project.rows("daily")[0]["events"] == (12 if ways == ["output"] else 12 - 2 * objecting)
    project.verified()
