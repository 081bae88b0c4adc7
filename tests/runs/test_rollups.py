"""Roll-ups of exact figures: coarser tables that are sums over the rows that are shown, frozen with their table."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pyarrow as pa
import pytest

import minimize
from minimize.removal.expire import expire
from minimize.review import published_tables
from tests.calls import preview_tables
from tests.commands import command
from tests.project import AT, DAY, Project, event

BILLING: dict[str, Any] = {
    "group_by": {"tenant": "tenant_id", "model": "model"},
    "measures": {"events": "count", "devices": {"count_distinct": "device_id"}, "charge": {"sum": "battery"}},
    "suppress": {"below": 3},
    "exact": {"because": "a contract"},
    "rollups": [["tenant"], []],
}
SIZES = {("north", "A"): 5, ("north", "B"): 4, ("south", "A"): 6, ("south", "B"): 2}
"""Devices by tenant and model; those of the last one are too few."""


def records(sizes: dict[tuple[str, str], int]) -> list[dict[str, Any]]:
    groups = [(key, number) for key, count in sizes.items() for number in range(count)]
    return [
        event(at, device_id=f"d{at}", tenant_id=tenant, model=model, battery=number + 0.1)
        for at, ((tenant, model), number) in enumerate(groups)
    ]


def publish(project: Project, table: dict[str, Any] = BILLING, **options: Any) -> minimize.Receipt:
    project.pipeline(aggregates={"billing": table})
    project.policy({"model": {"type": "string", "role": "quasi", "do": "keep"}})
    project.records(records(SIZES))
    return project.run(**options)


def figures(project: Project, name: str, *keys: str) -> dict[tuple[Any, ...], tuple[Any, ...]]:
    rows = project.rows(name)
    return {tuple(row[key] for key in keys): (row["events"], row["devices"], row["charge"]) for row in rows}


def test_a_roll_up_sums_the_rows_that_are_shown(project: Project) -> None:
    receipt = publish(project)
    shown = figures(project, "billing", "tenant", "model")
    assert shown.keys() == SIZES.keys() - {("south", "B")}
    assert figures(project, "billing_by_tenant", "tenant") == {
        ("north",): (9, 9, pytest.approx(16.9)),
        ("south",): (6, 6, pytest.approx(15.6)),
    }
    assert figures(project, "billing_total") == {(): (15, 15, pytest.approx(32.5))}
    assert {name: output.rows for name, output in receipt.outputs.items() if name.startswith("billing")} == {
        "billing": 3,
        "billing_by_tenant": 2,
        "billing_total": 1,
    }
    minimize.verify(project.out, keys=project.keys)


def test_a_subject_in_two_rows_counts_in_each(project: Project) -> None:
    project.pipeline(aggregates={"billing": BILLING})
    project.policy({"model": {"type": "string", "role": "quasi", "do": "keep"}})
    both = [event(at, device_id=f"d{at % 4}", tenant_id="north", model="AB"[at // 4]) for at in range(8)]
    project.records(both)
    project.run()
    assert [row["devices"] for row in project.rows("billing")] == [4, 4]
    assert [row["devices"] for row in project.rows("billing_total")] == [8]


def test_a_table_without_shown_rows_has_empty_roll_ups(project: Project) -> None:
    publish(project, {**BILLING, "suppress": {"below": 10}})
    assert (project.rows("billing"), project.rows("billing_total")) == ([], [])
    minimize.verify(project.out, keys=project.keys)


def test_roll_ups_stay_with_their_table(project: Project) -> None:
    publish(project)
    before = figures(project, "billing_by_tenant", "tenant")
    project.records(records({**SIZES, ("south", "B"): 3}))
    receipt = project.run()
    assert receipt.stays == {"billing": (DAY,), "billing_by_tenant": (DAY,), "billing_total": (DAY,)}
    assert figures(project, "billing_by_tenant", "tenant") == before
    assert figures(project, "billing_total") == {(): (15, 15, pytest.approx(32.5))}
    minimize.verify(project.out, keys=project.keys)


def test_a_roll_up_that_is_added_later_is_not_made_of_other_rows(project: Project) -> None:
    publish(project, {**BILLING, "rollups": [[]]})
    project.pipeline(aggregates={"billing": BILLING})
    project.records(records({**SIZES, ("south", "B"): 3}))
    project.run()
    assert project.rows("billing_by_tenant") == []
    assert figures(project, "billing_total") == {(): (15, 15, pytest.approx(32.5))}
    minimize.verify(project.out, keys=project.keys)


def test_roll_ups_wait_with_their_table_for_late_rows(project: Project) -> None:
    project.pipeline(aggregates={"billing": {**BILLING, "late": "1d"}})
    project.policy({"model": {"type": "string", "role": "quasi", "do": "keep"}})
    project.records(records(SIZES))
    project.records([event(90, event_time="2026-11-25T10:00:00Z")], day="2026-11-25")
    project.run(date=DAY)
    assert project.rows("billing_total") == []
    receipt = project.run(date="2026-11-25", at=AT + timedelta(days=1))
    assert figures(project, "billing_by_tenant", "tenant").keys() == {("north",), ("south",)}
    assert [(str(row["date"]), row["events"]) for row in project.rows("billing_total")] == [(DAY, 15)]
    assert receipt.outputs["billing_total"].days is None
    minimize.verify(project.out, keys=project.keys)


@pytest.mark.parametrize("own", [{}, {"retention": "10d"}])
def test_roll_ups_are_kept_as_long_as_their_table(project: Project, own: dict[str, str]) -> None:
    publish(project, {**BILLING, **own})
    end = AT + timedelta(days=11 if own else 31)
    expire(project.out, at=end - timedelta(days=3), keys=project.keys, allow_shrink=True, yes=True)
    assert (len(project.rows("billing")), len(project.rows("billing_total"))) == (3, 1)
    expire(project.out, at=end, keys=project.keys, allow_shrink=True, yes=True)
    assert (project.rows("billing"), project.rows("billing_by_tenant"), project.rows("billing_total")) == ([], [], [])
    minimize.verify(project.out, keys=project.keys)


DAILY = {**BILLING, "group_by": {"day": {"event_time": "day"}, "tenant": "tenant_id", "model": "model"}}


def test_rows_of_a_roll_up_end_with_those_of_its_table(project: Project) -> None:
    publish(project, {**DAILY, "rollups": [["day"]]})
    assert figures(project, "billing_by_day", "day")[min(row["day"] for row in project.rows("billing")),][0] == 15
    expire(project.out, at=AT + timedelta(days=31), keys=project.keys, allow_shrink=True, yes=True)
    assert (project.rows("billing"), project.rows("billing_by_day")) == ([], [])


def test_the_plan_and_the_columns_describe_a_roll_up(project: Project) -> None:
    publish(project)
    plan = minimize.plan_for(project.folder)
    says = plan.to_json()["outputs"]["billing_total"]["statistics"]
    assert (
        says == "statistics are sums over the rows of billing that are shown; a subject in several rows counts in each"
    )
    text = "\n".join(map(str, plan.lines()))
    assert "billing_by_tenant: aggregated" in text
    page = next(project.out.glob("runs/*/columns.md")).read_text()
    assert "sum over the rows of billing that are shown" in page.partition("## billing_total")[2]


def test_roll_ups_are_read_and_shown_like_other_tables(project: Project) -> None:
    publish(project)
    total = minimize.read(project.out, "billing_total")
    assert total.column_names == ["events", "devices", "charge", "date"]
    assert total.schema.field("charge").type == pa.float64()


def test_a_report_draws_the_figures_of_a_roll_up(project: Project) -> None:
    publish(project)
    said = command("report", project.out, "--keys", project.keys, "--table", "billing_by_tenant", "--json")
    (table,) = said.json["tables"]
    assert (table["name"], table["is_exact"], table["rows"]) == ("billing_by_tenant", True, ["north", "south"])
    assert [each["figures"] for each in table["measures"] if each["name"] == "devices"] == [[9, 6]]


def test_a_preview_of_tables_has_no_roll_ups(project: Project) -> None:
    publish(project)
    plan = minimize.plan_for(project.folder)
    (found,) = preview_tables(plan, project.folder / "data" / DAY / "a.ndjson.gz", at=AT, keys=project.keys)
    assert (found.name, found.shown) == ("billing", 3)


def test_lint_and_plan_show_the_rows_of_a_roll_up_in_force(project: Project) -> None:
    publish(project)
    found = published_tables(project.folder, at=AT, keys=project.keys)
    assert {each.name: each.rows for each in found} == {"billing": 3, "billing_by_tenant": 2, "billing_total": 1}
