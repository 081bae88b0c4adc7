""""""

from __future__ import annotations

from datetime import timedelta

from minimize.policy.condition import FeatureOn, LevelAtLeast
from minimize.stages.gate import GateRules, fields_read
from tests.stages.make import APPS, plan_of

FEATURES = {"location": {"about": "where", "retention": "24h"}}
LEVELS = ["required", "basic"]


def test_a_plan_without_gates_asks_nothing() -> None:
    gates = GateRules.from_plan(plan_of({}))
    assert gates == GateRules((), (), (), (), (), ())


def test_records_are_asked_for_their_age_and_their_settings() -> None:
    records = {"feature": "location", "level": "basic"}
    gates = GateRules.from_plan(plan_of({}, features=FEATURES, levels=LEVELS, retention="30d", records=records))
    assert gates.retentions == (timedelta(days=30), timedelta(hours=24))
    assert gates.settings == (FeatureOn("location"), LevelAtLeast("basic"))


def test_fields_with_the_same_gate_of_settings_alone_are_closed_together() -> None:
    fields = {
        "a": {"type": "string", "do": "keep", "feature": "location"},
        "b": {"type": "string", "do": "keep", "feature": "location", "collect_if": {"tenant_id": "t"}},
        "c": {"type": "string", "do": "keep"},
        "d": {"type": "string", "do": "keep", "feature": "location"},
    }
    columns = {key: APPS.value_type.field("name").type for key in fields}
    gates = GateRules.from_plan(plan_of(fields, columns=columns, features=FEATURES))
    assert {gated.keys: gated.settings is not None for gated in gates.gated} == {("a", "d"): True, ("b",): False}


def test_a_list_is_hollow_only_where_all_that_leaves_it_is_gated() -> None:
    gate = {"feature": "location"}
    name, managed = {"type": "string", "do": "keep", **gate}, {"type": "boolean", "do": "keep"}
    for more, stars in (gate, ["/apps/*"]), ({}, []):
        fields = {"/apps/*/name": name, "/apps/*/managed": {**managed, **more}}
        gates = GateRules.from_plan(plan_of(fields, columns={"apps": APPS}, features=FEATURES))
        assert [hollow.star for hollow in gates.gated_lists] == stars


def test_what_stands_beside_a_field_is_read() -> None:
    fields = {"id": {"type": "string", "do": {"pseudonymize": {"key": "k", "per": "tenant_id", "rotate": "day"}}}}
    plan = plan_of(fields, columns={"id": APPS.value_type.field("name").type})
    assert set(fields_read(plan)) == {"tenant_id", "id", "event_time"}
