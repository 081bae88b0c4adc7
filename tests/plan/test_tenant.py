"""The plan as it is for one tenant."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pytest

from minimize.plan.model import FieldPlan
from minimize.plan.tenant import plan_for_tenant
from minimize.settings import load_settings
from minimize.settings.evaluation import SETTINGS_SCHEMA
from tests.plan.make import plan

AT = datetime(2026, 11, 25, tzinfo=UTC)
FEATURES = {"inventory": {}, "usage": {"holders": ["user"]}, "location": {"per_subject": True}}
LEVELS = ["required", "basic", "full"]


def field(body: dict[str, Any], *settings: tuple[str, str], subject: str | None = None, **policy: Any) -> FieldPlan:
    """A field as it is for the tenant `t`, where these settings hold."""
    made = plan(
        {"x": {"type": "string", "do": "keep"} | body, "managed": {"type": "string", "do": "keep"}},
        features=FEATURES,
        levels=LEVELS,
        **policy,
    )
    rows = [("t", subject, *each, "user" if subject else "admin", AT, AT) for each in settings]
    table = {name: [row[place] for row in rows] for place, name in enumerate(SETTINGS_SCHEMA.names)}
    known = load_settings(pa.table(table, schema=SETTINGS_SCHEMA)).effective_at(AT)
    return plan_for_tenant(made, known, "t", AT).fields["x"]


EITHER = {"collect_if": {"any": [{"owner_type": "corporate"}, {"all": [{"feature": "inventory"}, {"managed": "yes"}]}]}}
BOTH = {"collect_if": {"owner_type": "corporate", "feature": "inventory"}}


def test_a_field_of_a_switched_off_feature_is_dropped() -> None:
    off = field({"feature": "inventory"})
    assert (off.action, off.technique, off.residual) == ("drop", ("drop",), None)
    assert off.why == "feature inventory is off for this tenant at 2026-11-25T00:00:00Z"


def test_a_field_of_a_switched_on_feature_still_has_a_gate() -> None:
    assert field({"feature": "inventory"}, ("inventory", "on")).action == "gate"


@pytest.mark.parametrize(
    ("body", "settings", "why"),
    [
        (EITHER, [], "collected if owner_type is corporate; keep"),
        (
            EITHER,
            [("inventory", "on")],
            "collected if owner_type is corporate or managed is yes; keep",
        ),
        (BOTH, [("inventory", "on")], "collected if owner_type is corporate; keep"),
        ({"collect_if": {"level": "basic"}}, [("level", "full")], "collected; keep"),
    ],
)
def test_a_condition_asks_only_what_settings_leave_open(
    body: dict[str, Any], settings: list[tuple[str, str]], why: str
) -> None:
    assert field(body, *settings).why == why


@pytest.mark.parametrize("body", [BOTH, {"collect_if": {"level": "full"}}])
def test_a_condition_that_cannot_hold_drops(body: dict[str, Any]) -> None:
    assert field(body).action == "drop"


def test_a_case_that_cannot_be_taken_is_gone() -> None:
    cases = [
        {"if": {"feature": "inventory"}, "do": "keep"},
        {"if": {"owner_type": "a"}, "do": {"mask": {"keep_last": 1}}},
    ]
    made = plan({"x": {"type": "string", "cases": cases}}, features=FEATURES)
    said = plan_for_tenant(made, None, "t", AT).fields["x"].why
    assert said == "if owner_type is a: mask (keep_last 1); otherwise drop"


def test_a_case_that_always_holds_is_the_last() -> None:
    cases = [{"if": {"level": "required"}, "do": "keep"}, {"if": {"owner_type": "a"}, "do": {"mask": {"keep_last": 1}}}]
    made = plan({"x": {"type": "string", "cases": cases}}, levels=LEVELS)
    assert plan_for_tenant(made, None, "t", AT).fields["x"].why == "otherwise keep"


def test_a_feature_that_only_subjects_turn_on_is_open_until_it_is_turned_off() -> None:
    assert field({"feature": "usage"}).action == "gate"
    assert field({"feature": "usage"}, ("usage", "off")).action == "drop"


def test_a_per_subject_feature_that_is_on_for_the_tenant_is_still_asked_of_each_subject() -> None:
    gated = field({"feature": "location"}, ("location", "on"))
    assert (gated.action, gated.why) == (
        "gate",
        "collected if feature location is on for the tenant and for the subject itself; keep",
    )
    condition = field({"collect_if": {"feature": "location", "managed": "yes"}}, ("location", "on"))
    assert condition.why == "collected if feature location is on and managed is yes; keep"
    left = field({"feature": "location", "collect_if": {"managed": "yes"}}, ("location", "on"))
    assert left.why.startswith("feature location is on for this tenant, and must be on for the subject itself; ")


def test_a_per_subject_feature_that_is_off_for_the_tenant_is_off() -> None:
    assert field({"feature": "location"}).action == "drop"
    assert field({"feature": "location"}, ("location", "on"), subject="d").action == "drop"


def test_the_settings_of_one_subject_are_not_the_tenants() -> None:
    assert field({"feature": "inventory"}, ("inventory", "on"), subject="d").action == "drop"


def test_where_no_record_is_collected_no_field_is() -> None:
    whole = field({}, records={"feature": "inventory"})
    assert (whole.action, whole.why.startswith("feature inventory is off")) == ("drop", True)
    assert field({}, ("inventory", "on"), records={"feature": "inventory"}).action == "keep"


def test_without_settings_every_feature_is_off() -> None:
    made = plan({"x": {"type": "string", "do": "keep", "feature": "inventory"}}, features=FEATURES)
    assert plan_for_tenant(made, None, "t", AT).fields["x"].action == "drop"


def test_gates_of_inputs_also_gate_a_derived_field() -> None:
    inputs = {key: {"type": "double", "role": "quasi", "feature": "inventory", "do": "drop"} for key in ("lat", "lon")}
    made = plan({**inputs, "x": {"from": ["lat", "lon"], "do": {"grid": {"metres": 1000}}}}, features=FEATURES)
    off = plan_for_tenant(made, None, "t", AT).fields["x"]
    assert (off.action, off.why) == ("drop", "feature inventory is off for this tenant at 2026-11-25T00:00:00Z")
