"""How often an input is read, and what is settled before the first record leaves."""

from __future__ import annotations

from typing import Any

import pytest

from minimize.engines import ENGINES
from minimize.engines.passes import count_passes, ranked_fields
from minimize.plan import Plan
from minimize.runs.inspection import plan_for
from tests.project import Project

KEPT = {"model": {"type": "string", "do": "keep"}}
ONCE = {"deduplicate": {"by": ["device_id"], "per": "day"}}


def plan(project: Project, fields: dict[str, Any] | None, records: Any) -> Plan:
    project.policy(fields)
    project.pipeline(records=records)
    return plan_for(project.folder)


@pytest.mark.parametrize(
    ("fields", "records", "expected"),
    [(KEPT, {}, 1), (None, {}, 2), (KEPT, ONCE, 2), (None, ONCE, 3), (KEPT, False, 1)],
)
def test_each_thing_that_must_see_everything_reads_once_more(
    project: Project, fields: dict[str, Any] | None, records: Any, expected: int
) -> None:
    assert count_passes(plan(project, fields, records)) == expected


def test_the_fields_of_quantiles_are_ranked(project: Project) -> None:
    assert ranked_fields(plan(project, None, {})) == {"storage"}


def test_the_table_of_engines_has_the_local_one_and_spark() -> None:
    assert set(ENGINES) == {"local", "spark"}
