"""A policy bound to a schema and a purpose."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from minimize.errors import Finding, PolicyError, RefusedError
from minimize.plan import bind
from minimize.plan.model import Plan
from minimize.policy.load import load_pipeline, policy_from_mapping
from tests.plan.make import PIPELINE, body, pipeline_plan, plan, policy, schema
from tests.project import Project

PHONE = {"type": "string", "role": "identifier"}
COUNT = {"events": "count"}


def codes(findings: tuple[Finding, ...]) -> set[str]:
    return {finding.code for finding in findings}


def faults(folder: Path, extra: dict[str, Any] | None = None, **more: Any) -> set[str]:
    with pytest.raises(PolicyError) as caught:
        pipeline_plan(folder, extra, **more)
    return codes(caught.value.findings)


def refusals(folder: Path, extra: dict[str, Any] | None = None, **more: Any) -> set[str]:
    with pytest.raises(RefusedError) as caught:
        pipeline_plan(folder, extra, **more)
    return codes(caught.value.findings)


@pytest.mark.parametrize(
    ("field", "action"),
    [
        ({"type": "string", "do": "keep"}, "keep"),
        ({"type": "string", "do": "drop"}, "drop"),
        ({"type": "string"}, "drop"),
        ({"type": "string", "do": {"mask": {"keep_last": 4}}}, "transform"),
        ({"type": "string", "do": "keep", "feature": "usage"}, "gate"),
        ({"type": "string", "do": "keep", "purposes": ["customer_support"]}, "drop"),
    ],
)
def test_the_action_states_the_treatment_of_a_field(field: dict[str, Any], action: str) -> None:
    made = plan({"x": field}, features={"usage": {"about": "how often"}})
    assert made.fields["x"].action == action


def test_columns_are_in_the_order_of_the_policy_without_dropped_ones() -> None:
    made = plan({"a": {"type": "string", "do": "drop"}, "b": {"type": "integer", "do": "keep"}})
    assert made.outputs["records"].schema.names == [*schema(policy()).names, "b"]


def test_a_column_states_its_treatment() -> None:
    field = plan().outputs["records"].schema.field("device_id")
    assert field.metadata[b"minimize:technique"] == b"pseudonymize"
    assert field.metadata[b"minimize:key"] == b"device"
    assert field.metadata[b"minimize:category"] == b"pseudonymized"


def test_a_nested_column_holds_the_kept_leaves_only() -> None:
    fields = {
        "/apps/*/name": {"type": "string", "do": "keep"},
        "/apps/*/managed": {"type": "boolean", "do": "drop"},
    }
    made = policy(fields)
    apps = pa.list_(pa.struct([("name", pa.string()), ("managed", pa.bool_())]))
    bound = bind(made, schema(made).append(pa.field("apps", apps)), purpose="service_maintenance")
    assert bound.outputs["records"].schema.field("apps").type == pa.list_(pa.struct([("name", pa.string())]))


def test_a_pseudonym_alone_is_pseudonymized() -> None:
    assert plan().outputs["records"].category == "pseudonymized"


def test_another_identifier_makes_the_output_identified() -> None:
    made = plan({"user_id": {"type": "string", "role": "identifier", "do": "keep"}})
    assert made.outputs["records"].category == "identified"


def test_a_masked_identifier_is_identified() -> None:
    assert plan({"phone": PHONE | {"do": {"mask": {"keep_last": 4}}}}).fields["phone"].category == "identified"


@pytest.mark.parametrize(
    ("field", "category"),
    [
        ({"do": "keep"}, "identified"),
        ({"do": {"mask": {"keep_last": 4}}}, "identified"),
        ({"do": {"pseudonymize": {"key": "device", "per": "tenant_id"}}}, "pseudonymized"),
        ({"do": "presence"}, "pseudonymized"),
        ({"role": "plain", "do": "keep"}, "pseudonymized"),
    ],
)
def test_a_field_named_as_an_identifier_counts_as_one_unless_a_role_is_stated(
    field: dict[str, Any], category: str
) -> None:
    assert plan({"clientId": {"type": "string"} | field}).fields["clientId"].category == category


@pytest.mark.parametrize(("do", "category"), [("keep", "identified"), ("presence", "pseudonymized")])
def test_a_field_derived_from_an_identifier_that_keeps_it_is_identified(do: str, category: str) -> None:
    made = plan({"phone": PHONE | {"do": "drop"}, "made": {"from": ["phone"], "do": do}})
    assert made.fields["made"].category == category


def test_all_techniques_that_do_not_fit_their_types_are_reported_together() -> None:
    with pytest.raises(PolicyError) as caught:
        plan({"a": {"type": "integer", "do": {"truncate_ip": {}}}, "b": {"type": "string", "do": {"round": {"to": 1}}}})
    assert [finding.field for finding in caught.value.findings] == ["a", "b"]
    assert codes(caught.value.findings) == {"P101"}


def test_cases_of_different_types_are_a_fault() -> None:
    field = {"type": "integer", "cases": [{"if": {"owner_type": "a"}, "do": "keep"}], "otherwise": {"presence": {}}}
    with pytest.raises(PolicyError) as caught:
        plan({"x": field})
    assert codes(caught.value.findings) == {"P102"}


def test_a_column_that_only_cases_drop_is_absent() -> None:
    field = PHONE | {"cases": [{"if": {"owner_type": "a"}, "do": "drop"}], "otherwise": "drop"}
    assert "phone" not in plan({"phone": field}).outputs["records"].schema.names


def test_a_purpose_that_the_policy_does_not_list_is_a_fault() -> None:
    with pytest.raises(PolicyError) as caught:
        plan(purpose="operations")
    assert codes(caught.value.findings) == {"P100"}


def test_the_digest_changes_with_the_plan_and_only_then() -> None:
    assert plan().digest == plan().digest
    assert plan().digest != plan({"x": {"type": "string", "do": "keep"}}).digest


def test_the_keys_that_a_run_needs_are_named() -> None:
    assert plan().keys == {"device"}


def test_a_condition_states_what_its_outcome_reveals() -> None:
    made = plan({"x": {"type": "string", "do": "keep", "collect_if": {"owner_type": "corporate"}}})
    assert made.reveals == {"x": "whether owner_type is corporate"}


def test_the_refusal_names_fields_that_count_by_their_name_alone(tmp_path: Path) -> None:
    with pytest.raises(RefusedError) as caught:
        pipeline_plan(tmp_path, {"clientId": {"type": "string", "do": "keep"}}, records={"must_be": "pseudonymized"})
    (finding,) = caught.value.findings
    assert finding.hint == "Drop, pseudonymize or coarsen clientId; or state the role of clientId."


def test_an_output_above_what_it_must_be_is_refused(tmp_path: Path) -> None:
    extra = {"phone": PHONE | {"do": "keep"}}
    assert refusals(tmp_path, extra, records={"must_be": "pseudonymized"}) == {"R001"}


@pytest.mark.parametrize(
    "limited", [{"retention": "30d"}, {"retention": None, "features": {"location": {"retention": "24h"}}}]
)
def test_retention_without_time_is_refused(limited: dict[str, Any]) -> None:
    said = {key: value for key, value in (body() | limited).items() if value is not None and key != "time"}
    made = policy_from_mapping(said)
    with pytest.raises(RefusedError) as raised:
        bind(made, schema(made), purpose="service_maintenance")
    assert [found.code for found in raised.value.findings] == ["R007"]


@pytest.mark.parametrize("retention", ["365d", None])
def test_telemetry_that_is_kept_for_more_than_thirty_days_is_refused(tmp_path: Path, retention: str | None) -> None:
    with pytest.raises(RefusedError) as caught:
        kept_for(tmp_path, retention, data="telemetry")
    assert codes(caught.value.findings) == {"R014"}


@pytest.mark.parametrize(("data", "retention"), [("telemetry", "30d"), ("service", "365d")])
def test_service_data_and_telemetry_of_thirty_days_are_not(tmp_path: Path, data: str, retention: str) -> None:
    assert kept_for(tmp_path, retention, data=data).outputs


def kept_for(folder: Path, retention: str | None, **more: Any) -> Plan:
    """The plan of a pipeline whose policy has this retention."""
    said = {key: value for key, value in body(retention=retention).items() if value is not None}
    project = Project(folder, base_policy=said, base_pipeline=PIPELINE)
    project.policy()
    project.pipeline(**more)
    loaded = load_pipeline(folder)
    return bind(loaded.policy, schema(loaded.policy), purpose=loaded.purpose, pipeline=loaded)


def test_records_cannot_be_less_than_pseudonymized(tmp_path: Path) -> None:
    assert refusals(tmp_path, records={"must_be": "aggregated"}) == {"R001"}


def test_a_partition_takes_only_plain_released_fields(tmp_path: Path) -> None:
    assert refusals(tmp_path, records={"partition_by": ["ip_address"]}) == {"R002"}


@pytest.mark.parametrize("measure", [{"min": "battery"}, {"max": "battery"}, {"quantile": {"of": "battery", "q": 0.5}}])
def test_single_values_of_a_field_for_aggregates_are_refused(tmp_path: Path, measure: dict[str, Any]) -> None:
    battery = {"type": "double", "do": "drop", "in_aggregates": {"clip": {"min": 0, "max": 100}}}
    exact = {"exact": {"because": "a contract"}}
    aggregates = {"a": {"group_by": {"tenant": "tenant_id"}, "measures": {"m": measure}, **exact}}
    source = {"path": "in/{date}/*.ndjson", "format": "ndjson"}
    assert refusals(tmp_path, {"battery": battery}, source=source, aggregates=aggregates) == {"R003"}


def aggregate(**body: Any) -> dict[str, Any]:
    return {"a": {"group_by": {"tenant": "tenant_id"}, "measures": COUNT} | body}


def test_a_group_key_must_be_released(tmp_path: Path) -> None:
    extra = {"x": {"type": "string", "do": "drop"}}
    assert faults(tmp_path, extra, aggregates=aggregate(group_by={"x": "x"})) == {"P111"}


def test_a_time_key_is_no_finer_than_the_released_time(tmp_path: Path) -> None:
    assert faults(tmp_path, aggregates=aggregate(group_by={"t": {"event_time": "minute"}})) == {"P112"}


def test_a_time_key_keeps_the_sources_type(tmp_path: Path) -> None:
    made = pipeline_plan(tmp_path, aggregates=aggregate(group_by={"t": {"event_time": "day"}}))
    assert made.outputs["a"].schema.field("t").type == pa.timestamp("us", "UTC")


def test_a_measure_over_a_dropped_field_is_a_fault(tmp_path: Path) -> None:
    extra = {"x": {"type": "double", "do": "drop"}}
    assert faults(tmp_path, extra, aggregates=aggregate(measures={"m": {"mean": "x"}})) == {"P113"}


@pytest.mark.parametrize("measure", ["sum", "mean"])
def test_a_mean_over_open_bins_is_a_fault(tmp_path: Path, measure: str) -> None:
    extra = {"x": {"type": "double", "do": {"bin": {"edges": [1, 2]}}}}
    assert faults(tmp_path, extra, aggregates=aggregate(measures={"m": {measure: "x"}})) == {"P114"}


def test_late_rows_can_be_waited_for_where_the_time_is_released_at_a_day_or_finer(tmp_path: Path) -> None:
    assert set(pipeline_plan(tmp_path, aggregates=aggregate(late="2d")).aggregates) == {"a"}


@pytest.mark.parametrize("do", ["drop", {"truncate_time": {"to": "week"}}])
def test_late_rows_cannot_be_waited_for_by_a_coarser_time(tmp_path: Path, do: Any) -> None:
    extra = {"event_time": {"type": "timestamp", "role": "quasi", "do": do}}
    assert faults(tmp_path, extra, aggregates=aggregate(late="2d")) == {"P115"}


def test_distinct_subjects_are_counted_though_the_subject_is_dropped(tmp_path: Path) -> None:
    extra = {"device_id": {"type": "string", "role": "identifier", "do": "drop"}}
    made = pipeline_plan(tmp_path, extra, aggregates=aggregate(measures={"n": {"count_distinct": "device_id"}}))
    assert made.outputs["a"].schema.names == ["tenant", "n"]


def test_configuration_faults_come_before_refusals(tmp_path: Path) -> None:
    extra = {"phone": PHONE | {"do": "keep"}}
    records = {"must_be": "pseudonymized"}
    found = faults(tmp_path, extra, records=records, aggregates=aggregate(measures={"m": {"mean": "nothing"}}))
    assert found
    assert not any(code.startswith("R") for code in found)


def test_a_plan_shows_as_a_table_with_everything_escaped() -> None:
    page = plan({"x": {"type": "string", "do": "keep", "collect_if": {"owner_type": "<b>"}}})._repr_html_()
    assert "&lt;b&gt;" in page
    assert "<b>" not in page


def test_a_gate_that_cannot_be_worked_out_is_a_fault_and_comes_before_refusals(tmp_path: Path) -> None:
    extra = {
        "a": {"type": "string", "do": "keep", "collect_if": {"a": "x"}},
        "phone": {"type": "string", "role": "identifier", "do": "keep"},
    }
    with pytest.raises(PolicyError) as caught:
        pipeline_plan(tmp_path, extra, records={"must_be": "pseudonymized"})
    assert [finding.code for finding in caught.value.findings] == ["P120"]


POSITION = {
    "lat": {"type": "double", "do": "drop", "purposes": ["customer_support"]},
    "lon": {"type": "double", "do": "drop"},
}


@pytest.mark.parametrize(("purpose", "action"), [("customer_support", "transform"), ("service_maintenance", "drop")])
def test_a_derived_field_has_no_more_purposes_than_its_inputs(purpose: str, action: str) -> None:
    made = plan(POSITION | {"cell": {"from": ["lat", "lon"], "do": {"grid": {}}}}, purpose=purpose)
    assert made.fields["cell"].action == action
    assert ("cell" in made.outputs["records"].schema.names) == (action != "drop")
    assert (made.fields["cell"].why == "only for customer_support") == (action == "drop")


def test_a_derived_field_inside_a_column_is_a_fault() -> None:
    fields = {"/p/*/lat": {"type": "double"}, "/p/*/lon": {"type": "double"}}
    made = policy(fields | {"/p/*/cell": {"from": ["/p/*/lat", "/p/*/lon"], "do": {"grid": {}}}})
    places = pa.list_(pa.struct([("lat", pa.float64()), ("lon", pa.float64())]))
    with pytest.raises(PolicyError) as caught:
        bind(made, schema(made).append(pa.field("p", places)), purpose="service_maintenance")
    assert codes(caught.value.findings) == {"P106"}


def test_conditions_on_whole_records_reveal_something_too(tmp_path: Path) -> None:
    made = pipeline_plan(tmp_path, records={"collect_if": {"owner_type": "corporate"}})
    assert dict(made.reveals) == {"records": "whether owner_type is corporate"}


@pytest.mark.parametrize(("at_least", "category"), [(9, "identified"), (10, "pseudonymized")])
def test_an_identifier_that_few_have_is_not_hidden_by_being_frequent(at_least: int, category: str) -> None:
    top = {"top": {"keep": 5, "other": "other", "at_least": at_least}}
    made = plan({"owner": {"type": "string", "role": "identifier", "do": top}})
    assert made.outputs["records"].category == category


@pytest.mark.parametrize("technique", [{"round": {"to": 1}}, {"bin": {"width": 1}}, {"clip": {"min": 0, "max": 10**9}}])
def test_an_identifier_that_is_a_number_is_not_hidden_by_rounding(technique: dict[str, Any]) -> None:
    made = plan({"account": {"type": "integer", "role": "identifier", "do": technique}})
    assert (made.fields["account"].residual, made.outputs["records"].category) == ("guessable", "identified")
