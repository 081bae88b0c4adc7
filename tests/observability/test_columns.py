"""Column lineage says which field makes which column, and that it is masked."""

from __future__ import annotations

from typing import Any

from minimize.observability.openlineage import column_lineage
from minimize.runs.inspection import plan_for
from tests.project import Project

SOURCE = {"namespace": "file", "name": "/in"}


def lineage(project: Project, name: str = "records") -> dict[str, Any]:
    return column_lineage(plan_for(project.folder), name, SOURCE)


def of(column: dict[str, Any]) -> dict[str, list[tuple[str, str, str, bool]]]:
    return {
        each["field"]: [
            (how["type"], how["subtype"], how["description"], how["masking"]) for how in each["transformations"]
        ]
        for each in column["inputFields"]
    }


def test_what_is_kept_is_an_identity_and_not_masked(project: Project) -> None:
    assert of(lineage(project)["fields"]["tenant_id"]) == {"tenant_id": [("DIRECT", "IDENTITY", "keep", False)]}


def test_what_is_treated_is_a_masking_transformation_of_all_that_it_reads(project: Project) -> None:
    how = [("DIRECT", "TRANSFORMATION", "pseudonymize", True)]
    assert of(lineage(project)["fields"]["device_id"]) == {"device_id": how, "tenant_id": how}


def test_what_is_dropped_has_no_column(project: Project) -> None:
    assert "event_id" not in lineage(project)["fields"]


def test_what_decides_about_a_value_is_indirect(project: Project) -> None:
    project.policy(
        {
            "owner": {"type": "string", "do": "keep"},
            "ticket": {
                "type": "string",
                "cases": [{"if": {"owner": "own"}, "do": {"mask": {"keep_last": 2}}}],
                "otherwise": "drop",
            },
        }
    )
    found = of(lineage(project)["fields"]["ticket"])
    assert found["owner"] == [("INDIRECT", "CONDITIONAL", "collected or not", True)]
    assert found["ticket"][0][:2] == ("DIRECT", "TRANSFORMATION")


def test_a_feature_depends_on_tenant_subject_and_time(project: Project) -> None:
    found = of(lineage(project)["fields"]["latitude"])
    assert set(found) == {"latitude", "tenant_id", "device_id", "event_time"}


def test_a_chain_is_told_in_its_order(project: Project) -> None:
    project.policy({"storage": {"type": "integer", "do": [{"clip": {"max": 50}}, {"bin": {"width": 20}}]}})
    project.pipeline(aggregates=None)
    assert of(lineage(project)["fields"]["storage"])["storage"][0][2] == "clip → bin"


def test_a_derived_field_comes_from_all_its_inputs(project: Project) -> None:
    cell = {"from": ["latitude", "battery"], "do": {"grid": {"metres": 300}}}
    project.policy({"cell": cell})
    assert {"latitude", "battery"} <= set(of(lineage(project)["fields"]["cell"]))


def test_whole_records_depend_on_what_gates_them(project: Project) -> None:
    project.policy(records={"collect_if": {"model": "A"}})
    assert {each["field"] for each in lineage(project)["dataset"]} == {"event_time", "model"}


def test_an_aggregate_is_grouped_measured_and_suppressed(project: Project) -> None:
    found = lineage(project, "per_model")
    assert of(found["fields"]["battery"])["battery"][0] == ("DIRECT", "AGGREGATION", "mean", True)
    assert of(found["fields"]["model"])["model"][0][1] == "TRANSFORMATION"
    assert found["fields"]["events"] == {"inputFields": []}
    kinds = {(each["field"], how["subtype"]) for each in found["dataset"] for how in each["transformations"]}
    assert {("model", "GROUP_BY"), ("event_time", "GROUP_BY"), ("device_id", "FILTER")} <= kinds


def test_no_parameter_of_a_technique_is_told(project: Project) -> None:
    project.policy({"model": {"type": "string", "do": {"map": {"values": {"canary-a": "canary-b"}}}}})
    assert "canary" not in repr(lineage(project))
