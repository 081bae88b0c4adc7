from __future__ import annotations

from pathlib import Path

import pytest

from minimize.errors import PolicyError
from minimize.governance.access.explain import dataset_columns, plan_access_request
from minimize.plan import Plan
from minimize.runs.inspection import plan_for
from tests.governance.access.factory import INCIDENT

PIPELINE = Path(__file__).parents[3] / "pipelines" / "device_telemetry"


@pytest.fixture(name="plan", scope="module")
def _plan() -> Plan:
    return plan_for(PIPELINE)


def test_the_columns_of_records_have_the_category_of_the_plan(plan: Plan) -> None:
    found = {column.name: column.category for column in dataset_columns(plan)}
    assert list(found) == plan.outputs["records"].schema.names
    assert found["device_id"] == "pseudonymized"
    assert all(plan.fields[name].category == category for name, category in found.items() if name in plan.fields)


def test_nested_fields_make_one_column_as_telling_as_the_most_telling_of_them(plan: Plan) -> None:
    below = [each.category for each in plan.fields.values() if each.pointer.top == "apps" and each.gives is not None]
    (apps,) = [column for column in dataset_columns(plan) if column.name == "apps"]
    assert len(below) > 1
    assert apps.category in below


def test_an_aggregate_is_aggregated_and_tells_tenants_apart_where_it_groups_by_them(plan: Plan) -> None:
    found = plan_access_request(plan, "device_telemetry/fleet_by_version", purpose="customer_support")
    assert {column.category for column in found.columns} == {"aggregated"}
    assert found.whole
    assert found.by_tenant == ("tenant_id" in plan.outputs["fleet_by_version"].schema.names)


def test_what_is_named_is_wanted_once_and_in_that_order(plan: Plan) -> None:
    found = plan_access_request(
        plan, "device_telemetry", ["model", "device_id", "model"], purpose="x", incident=INCIDENT
    )
    assert [column.name for column in found.columns] == ["model", "device_id"]
    assert (found.whole, found.incident, found.by_tenant) == (False, INCIDENT, True)
    assert found.purposes == plan.policy.purposes


@pytest.mark.parametrize(
    ("dataset", "columns"),
    [
        ("device_telemetry", ["nowhere"]),
        ("device_telemetry", ["phone_number"]),
        ("device_telemetry/lost", None),
        ("device_telemetry/../records", None),
    ],
)
def test_what_is_not_there_cannot_be_wanted(plan: Plan, dataset: str, columns: list[str] | None) -> None:
    with pytest.raises(PolicyError, match=r"there is no|has no column"):
        plan_access_request(plan, dataset, columns)
