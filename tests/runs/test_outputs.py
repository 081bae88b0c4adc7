"""Records and aggregates of whole runs: without records, with nothing released, one check-in a day."""

from __future__ import annotations

from typing import Any

import minimize
from tests.project import AGGREGATES, AT, BEFORE, DAY, Project, event, events


def test_a_pipeline_without_records_balances_by_its_first_aggregate(project: Project) -> None:
    project.pipeline(records=False)
    project.records([*events(40), event(41, model="Rare", device_id="lonely"), "broken"])
    receipt = project.run()
    rows = project.exact(receipt).rows.by_result
    assert set(receipt.outputs) == {"per_model"}
    assert rows["read"] == 42 == rows["written"] + rows["suppressed"] + rows["quarantined"]
    assert not any(file.startswith("records") for file in project.files())
    minimize.verify(project.out, keys=project.keys)


def test_a_small_group_is_suppressed_and_its_rows_counted(project: Project) -> None:
    project.policy({"model": {"type": "string", "role": "quasi", "do": "keep"}})
    project.records([*events(40), event(41, model="Rare", device_id="lonely")])
    receipt = project.exact(project.run())
    output = receipt.outputs["per_model"]
    assert (output.groups_suppressed, output.rows_suppressed) == (1, 1)
    assert {row["model"] for row in project.rows("per_model")} == {"A", "B", "C"}


def test_a_field_that_only_aggregates_see_is_no_column_of_the_records(project: Project) -> None:
    project.policy({"battery": {"type": "double", "do": "drop", "in_aggregates": {"clip": {"min": 0, "max": 100}}}})
    project.records(events(40))
    project.run()
    assert all("battery" not in row for row in project.rows())
    assert all(row["battery"] is not None for row in project.rows("per_model"))


def test_a_mean_is_of_what_aggregates_may_see(project: Project) -> None:
    project.policy({"model": {"type": "string", "role": "quasi", "do": "keep"}})
    project.records([event(number, model="A", battery=[20.0, 30.0, 700.0][number]) for number in range(3)])
    project.run()
    (row,) = project.rows("per_model")
    assert (row["battery"], row["drained"], row["devices"], row["events"]) == (50.0, 150.0, 3, 3)


def test_pseudonyms_join_within_a_tenant_and_across_dates_only(project: Project) -> None:
    project.records([event(0), event(0, tenant_id="south")])
    project.records([event(0)], day=BEFORE)
    project.run()
    seen = [(row["tenant_id"], row["device_id"]) for row in project.rows()]
    assert len(set(seen)) == 2
    assert len({pseudonym for _, pseudonym in seen}) == 2


def test_two_check_ins_of_a_device_on_one_day_are_one(project: Project) -> None:
    project.pipeline(records={"deduplicate": {"by": ["device_id"], "per": "day"}}, aggregates=counted())
    project.records(
        [
            event(1, device_id="d", event_time="2026-11-24T23:00:00Z"),
            event(2, device_id="d", event_time="2026-11-24T07:30:00Z"),
            event(3, device_id="d", event_time="2026-11-23T23:59:59Z"),
            event(4, device_id="e", event_time="2026-11-24T00:30:00Z"),
        ]
    )
    receipt = project.run()
    assert receipt.rows.deduplicated == 1
    assert sorted(f"{row['event_time']:%dT%H}" for row in project.rows()) == ["23T23", "24T00", "24T07"]
    assert sum(row["events"] for row in project.rows("per_day")) == 3


def test_of_check_ins_that_agree_in_everything_one_stays(project: Project) -> None:
    project.pipeline(records={"deduplicate": {"by": ["device_id"], "per": "day"}}, aggregates=None)
    project.records([event(1)] * 5)
    project.records([event(1)] * 3, name="b")
    receipt = project.run()
    assert (receipt.rows.written, receipt.rows.deduplicated) == (1, 7)


def test_each_batch_date_keeps_its_own_check_in(project: Project) -> None:
    project.pipeline(records={"deduplicate": {"by": ["device_id"], "per": "day"}}, aggregates=None)
    project.records([event(1)])
    project.records([event(1)], day=BEFORE)
    assert project.run().rows.written == 2


def test_a_name_that_could_be_a_value_is_counted_under_a_star(project: Project) -> None:
    ring = [event(number, beta_ring=True, device_id=f"d{number}") for number in range(12)]
    project.records([*ring, event(20, **{"carol@mail.example": 1}), event(21, rare_name=1)])
    assert project.run().undeclared == {"/*": 2, "/beta_ring": 12}


def test_a_location_is_there_while_it_was_on_and_gone_after_a_day(project: Project) -> None:
    project.records(
        [
            event(0, event_time="2026-11-24T00:00:01Z", latitude=48.8566),
            event(2, event_time="2026-11-24T00:00:00Z", latitude=48.8566),
            event(4, event_time="2026-11-24T12:00:00Z", latitude=48.8566, tenant_id="south"),
        ]
    )
    receipt = project.run()
    assert sorted(str(row["latitude"]) for row in project.rows()) == ["48.9", "None", "None"]
    assert receipt.fields["latitude"].gated == 2


def test_the_hour_of_retention_is_counted_from_the_runs_time(project: Project) -> None:
    project.records([event(0, event_time="2026-10-26T00:00:00Z"), event(1, event_time="2026-10-26T00:00:01Z")])
    receipt = project.run()
    assert (receipt.rows.written, receipt.gated_by.retention) == (1, 1)


def test_another_purpose_drops_the_column(project: Project) -> None:
    project.policy({"storage": {"type": "integer", "purposes": ["customer_support"], "do": "keep"}})
    project.pipeline(aggregates=None)
    project.records(events(5))
    project.run()
    assert all("storage" not in row for row in project.rows())
    project.pipeline(aggregates=None, purpose="customer_support")
    project.run(output=project.folder / "support")
    assert {row["storage"] for row in project.rows(output=project.folder / "support")} == {0, 13, 26, 39, 52}


def test_settings_recorded_after_the_runs_time_are_not_seen(project: Project) -> None:
    project.records([event(0, event_time="2026-11-24T12:00:00Z")])
    row = "north,,location,off,user,2026-01-01T00:00:00Z,2026-11-25T00:00:01Z\n"
    (project.folder / "settings.csv").write_text((project.folder / "settings.csv").read_text() + row)
    project.run(at=AT)
    assert project.rows()[0]["latitude"] is not None
    project.run(at="2026-11-25T00:00:02Z")
    assert project.rows()[0]["latitude"] is None


def test_the_meaning_of_columns_is_stored_with_the_receipt(project: Project) -> None:
    project.records(events(5))
    receipt = project.run()
    page = (project.out / "runs" / receipt.run_id / "columns.md").read_text()
    assert all(name in page for name in ("device_id", "event_time", "latitude", "per_model"))
    assert "event_id" not in page


def counted() -> dict[str, Any]:
    group = {"group_by": {"day": {"event_time": "day"}}, "measures": {"events": "count"}}
    terms = {"suppress": {"below": 1, "counting": "device_id"}, "exact": AGGREGATES["per_model"]["exact"]}
    return {"per_day": {**group, **terms}}


def test_the_partition_is_the_batch_and_not_the_day_of_the_event(project: Project) -> None:
    project.records([event(0, event_time="2026-11-20T12:00:00Z")])
    project.run()
    (row,) = project.rows()
    assert f"{row['date']}" == DAY
    assert f"{row['event_time']:%Y-%m-%d}" == "2026-11-20"
