from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from minimize.consent import ConsentPeriods
from minimize.consent.evaluation import NEVER
from minimize.errors import PolicyError
from minimize.keys import new_keyring
from minimize.ledger.subject_tokens import subject_token
from minimize.plan import Plan
from minimize.policy.condition import FeatureOn, FieldEquals, LevelAtLeast
from minimize.policy.pipeline import RecordsModel
from minimize.records import Batch
from minimize.settings.erasures import Erasures, Tombstone
from minimize.stages.gate import Gate, GateRules, fields_read
from minimize.times import epoch_microseconds
from tests.project import AT
from tests.stages.make import APPS, Beside, Said, before, closed, gated, plan_of, records, settings, with_steps

FEATURES = {"usage": {"about": "usage"}, "location": {"about": "position", "retention": "24h"}}

USES = {"uses": {"type": "integer", "do": "keep", "feature": "usage"}}

INTEGER = {"uses": pa.int64()}


def uses(*rows: dict[str, Any]) -> pa.RecordBatch:
    return records(INTEGER, *({"uses": 1, **row} for row in rows))


def test_a_record_past_the_retention_is_gated_at_the_very_age() -> None:
    plan = plan_of({}, retention="24h")
    raw = records({}, {"event_time": before(hours=24)}, {"event_time": before(hours=23, minutes=59, seconds=59)})
    batch = gated(plan, raw)
    assert batch.raw.num_rows == 1
    assert batch.counts.gated == {"retention": 1}


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_every_unit_of_time_knows_the_same_age(unit: str) -> None:
    type_ = pa.timestamp(unit, "UTC")
    raw = records({"event_time": type_}, {"event_time": before(hours=24)}, {"event_time": before(hours=23)})
    assert gated(plan_of({}, columns={"event_time": type_}, retention="24h"), raw).raw.num_rows == 1


def test_event_times_that_are_dictionary_encoded_know_the_same_age() -> None:
    raw = uses({"event_time": before(hours=24)}, {"event_time": before(hours=23)})
    encoded = raw.set_column(2, "event_time", raw["event_time"].dictionary_encode())
    plan = plan_of(USES, encoded.schema, retention="24h", features=FEATURES)
    assert gated(plan, encoded, settings()).raw.num_rows == 1


def test_a_record_without_event_time_is_past_any_retention() -> None:
    assert gated(plan_of({}, retention="24h"), records({}, {"event_time": None})).raw.num_rows == 0


def test_an_ungated_record_is_passed_on_unchanged() -> None:
    raw = records({}, {})
    assert gated(plan_of({}, retention="24h"), raw).raw is raw


def test_a_record_is_counted_once_by_the_first_reason() -> None:
    plan = plan_of(
        {"kind": {"type": "string", "do": "keep"}},
        columns={"kind": pa.string()},
        retention="24h",
        features=FEATURES,
        records={"feature": "usage", "collect_if": {"kind": "crash"}},
    )
    rows: list[dict[str, Any]] = [
        {"tenant_id": "off", "kind": "launch", "event_time": before(days=2)},
        {"tenant_id": "off", "kind": "launch"},
        {"tenant_id": "on", "kind": "launch"},
        {"tenant_id": "on", "kind": None},
        {"tenant_id": "on", "kind": "crash"},
    ]
    batch = gated(plan, records({"kind": pa.string()}, *rows), Said({"on": ["usage"]}))
    assert batch.counts.gated == {"retention": 1, "setting": 1, "condition": 2}
    assert batch.raw["kind"].to_pylist() == ["crash"]


def test_the_conditions_of_policy_and_pipeline_must_both_hold() -> None:
    kinds = {"kind": pa.string(), "owner": pa.string()}
    fields = {name: {"type": "string", "do": "keep"} for name in kinds}
    pipeline = RecordsModel(collect_if=FieldEquals("owner", ("corporate",)))
    plan = plan_of(fields, columns=kinds, pipeline=pipeline, records={"collect_if": {"kind": "crash"}})
    rows = [{"kind": kind, "owner": owner} for kind in ("crash", "launch") for owner in ("corporate", "personal")]
    batch = gated(plan, records(kinds, *rows))
    assert batch.raw.num_rows == 1
    assert batch.counts.gated == {"condition": 3}


def test_records_past_the_retention_of_their_feature_are_gated_for_it() -> None:
    plan = plan_of({}, features=FEATURES, records={"feature": "location"})
    raw = records({}, {"event_time": before(hours=25)}, {})
    assert gated(plan, raw, Said({"t": ["location"]})).counts.gated == {"retention": 1}


def test_records_below_their_level_are_gated_by_the_setting() -> None:
    plan = plan_of({}, levels=["required", "full"], records={"level": "full"})
    batch = gated(plan, records({}, {"tenant_id": "t"}, {"tenant_id": "u"}), Said({"t": ["full"]}))
    assert batch.raw["tenant_id"].to_pylist() == ["t"]
    assert batch.counts.gated == {"setting": 1}


def test_without_settings_a_feature_is_off() -> None:
    plan = plan_of(USES, columns=INTEGER, features=FEATURES)
    assert closed(plan, uses({}), "uses") == [True]


def test_a_feature_is_closed_only_where_it_is_off() -> None:
    plan = plan_of(USES, columns=INTEGER, features=FEATURES)
    raw = uses({"tenant_id": "t"}, {"tenant_id": "u"})
    assert closed(plan, raw, "uses", Said({"t": ["usage"]})) == [False, True]


def test_a_field_with_nothing_closed_has_no_mask() -> None:
    plan = plan_of(USES, columns=INTEGER, features=FEATURES)
    assert gated(plan, uses({}), Said({"t": ["usage"]})).closed == {}


def test_without_settings_the_first_level_is_set() -> None:
    fields = {name: {"type": "integer", "do": "keep", "level": name} for name in ("required", "basic")}
    columns = {name: pa.int64() for name in fields}
    plan = plan_of(fields, columns=columns, levels=["required", "basic"])
    raw = records(columns, {"required": 1, "basic": 1})
    assert closed(plan, raw, "required") == [False]
    assert closed(plan, raw, "basic") == [True]


def test_a_value_past_the_retention_of_its_feature_is_closed() -> None:
    plan = plan_of(
        {"uses": {"type": "integer", "do": "keep", "feature": "location"}}, columns=INTEGER, features=FEATURES
    )
    raw = uses({"event_time": before(hours=24)}, {"event_time": before(hours=23)})
    assert closed(plan, raw, "uses", Said({"t": ["location"]})) == [True, False]


def test_feature_level_and_condition_must_all_hold() -> None:
    field = {"type": "integer", "do": "keep", "feature": "usage", "level": "full", "collect_if": {"owner": "corporate"}}
    columns = {"uses": pa.int64(), "owner": pa.string()}
    fields = {"uses": field, "owner": {"type": "string", "do": "keep"}}
    plan = plan_of(fields, columns=columns, features=FEATURES, levels=["required", "full"])
    raw = records(columns, *({"tenant_id": tenant, "uses": 1, "owner": "corporate"} for tenant in "abc"))
    said = Said({"a": ["usage", "full"], "b": ["usage"], "c": ["full"]})
    assert closed(plan, raw, "uses", said) == [False, True, True]


def test_a_setting_is_asked_for_once_a_batch_even_if_records_are_gated() -> None:
    fields = {**USES, "also": {"type": "integer", "do": "keep", "feature": "usage"}}
    columns = {"uses": pa.int64(), "also": pa.int64()}
    plan = plan_of(fields, columns=columns, features=FEATURES, records={"feature": "usage"})
    said = Said({"t": ["usage"]})
    gated(plan, records(columns, {}, {"tenant_id": "u"}), said)
    assert said.asked == ["usage"]


def test_a_derived_field_is_closed_where_an_input_is() -> None:
    fields = {
        "a": {"type": "double", "do": "drop", "feature": "usage"},
        "b": {"type": "double", "do": "drop"},
        "both": {"type": "string", "from": ["a", "b"], "do": "presence"},
    }
    columns = {"a": pa.float64(), "b": pa.float64()}
    plan = plan_of(fields, columns=columns, features=FEATURES)
    raw = records(columns, {"a": 1.0, "b": 2.0}, {"a": 1.0, "b": 2.0, "tenant_id": "u"})
    assert closed(plan, raw, "both", Said({"u": ["usage"]})) == [True, False]


def test_the_first_case_that_holds_decides_and_null_matches_none() -> None:
    columns = {"phone": pa.string(), "owner": pa.string()}
    cases = [
        {"if": {"owner": ["corporate", "lent"]}, "do": "keep"},
        {"if": {"owner": ["lent", "personal"]}, "do": {"mask": {"keep_last": 4}}},
    ]
    fields = {
        "phone": {"type": "string", "cases": cases, "otherwise": "drop"},
        "owner": {"type": "string", "do": "keep"},
    }
    raw = records(columns, *({"owner": owner} for owner in ("corporate", "personal", "lent", None, "other")))
    assert gated(plan_of(fields, columns=columns), raw).cases["phone"].to_pylist() == [0, 1, 0, -1, -1]


def apps(**name: Any) -> dict[str, Any]:
    return {
        "/apps/*/name": {"type": "string", "do": "keep", **name},
        "/apps/*/managed": {"type": "boolean", "do": "drop"},
        "owner": {"type": "string", "do": "keep"},
    }


LISTS = {"apps": APPS, "owner": pa.string()}


def test_a_list_is_removed_if_no_element_could_be_collected() -> None:
    plan = plan_of(apps(collect_if={"owner": "corporate"}), columns=LISTS)
    raw = records(LISTS, {"owner": "corporate", "apps": []}, {"owner": "personal", "apps": []})
    assert gated(plan, raw).gated_lists["/apps/*"].to_pylist() == [False, True]


def test_a_list_is_kept_if_an_element_could_match() -> None:
    plan = plan_of(apps(collect_if={"/apps/*/managed": True}), columns=LISTS)
    assert gated(plan, records(LISTS, {"owner": "personal", "apps": []})).gated_lists == {}


def test_a_list_is_kept_while_one_of_its_leaves_is_ungated() -> None:
    fields = {**apps(collect_if={"owner": "corporate"}), "/apps/*/managed": {"type": "boolean", "do": "keep"}}
    assert gated(plan_of(fields, columns=LISTS), records(LISTS, {"owner": "personal", "apps": []})).gated_lists == {}


def test_a_list_is_removed_if_an_earlier_case_drops_every_element() -> None:
    cases = [{"if": {"owner": "personal"}, "do": "drop"}, {"if": {"/apps/*/managed": True}, "do": "keep"}]
    fields = apps(cases=cases, otherwise="drop")
    del fields["/apps/*/name"]["do"]
    raw = records(LISTS, {"owner": "corporate", "apps": []}, {"owner": "personal", "apps": []})
    assert gated(plan_of(fields, columns=LISTS), raw).gated_lists["/apps/*"].to_pylist() == [False, True]


def test_a_field_read_by_a_technique_has_its_gate_worked_out_though_it_is_dropped() -> None:
    fields = {"born": {"type": "string", "do": "keep"}, "seen": {"type": "string", "do": "drop", "feature": "usage"}}
    columns = {"born": pa.string(), "seen": pa.string()}
    plan = with_steps(plan_of(fields, columns=columns, features=FEATURES), "born", Beside(other="seen"))
    assert closed(plan, records(columns, {"born": "b", "seen": "s"}), "seen") == [True]


def test_gating_in_parts_gives_the_masks_of_the_whole() -> None:
    plan = plan_of(USES, columns=INTEGER, features=FEATURES, retention="24h")
    raw = uses(*({"tenant_id": tenant, "event_time": before(hours=hours)} for tenant in "tu" for hours in (1, 23, 30)))
    said = Said({"t": ["usage"]})
    parts = [closed(plan, raw.slice(row, 1), "uses", said) for row in range(raw.num_rows)]
    assert [value for part in parts for value in part] == closed(plan, raw, "uses", said)


def test_settings_count_at_the_event_and_at_the_run() -> None:
    plan = plan_of(USES, columns=INTEGER, features=FEATURES)
    said = settings(
        {"setting": "usage", "value": "on", "valid_from": before(hours=3)},
        {"tenant_id": "u", "setting": "usage", "value": "on"},
        {"tenant_id": "u", "setting": "usage", "value": "off", "valid_from": before(hours=1)},
    )
    raw = uses(*({"tenant_id": tenant, "event_time": before(hours=hours)} for tenant in "tu" for hours in (4, 2)))
    assert closed(plan, raw, "uses", said) == [True, False, True, True]


def test_a_plan_whose_gates_go_in_circles_is_refused() -> None:
    fields = {
        "a": {"type": "string", "do": "keep", "collect_if": {"b": "x"}},
        "b": {"type": "string", "do": "keep", "collect_if": {"a": "x"}},
    }
    plan = plan_of(fields, columns={"a": pa.string(), "b": pa.string()})
    with pytest.raises(PolicyError) as refused:
        Gate(plan, None, AT)
    assert [finding.field for finding in refused.value.findings] == ["a", "b"]


def test_an_empty_batch_is_accepted() -> None:
    plan = plan_of(apps(collect_if={"/apps/*/managed": True}), columns=LISTS, retention="1d")
    assert gated(plan, records(LISTS)).raw.num_rows == 0


def test_records_of_the_erased_are_gated_before_anything_else(tmp_path: Path) -> None:
    keys = new_keyring(tmp_path / "test.keys", now=AT)
    stones = [Tombstone("t", before(hours=2), subject_token(keys, "t", "d")), Tombstone("closed", AT)]
    rows: list[dict[str, Any]] = [
        {"event_time": before(hours=2)},
        {"event_time": before(hours=1)},
        {"event_time": before(hours=2), "device_id": "other"},
        {"tenant_id": "closed", "event_time": before(days=40)},
        {"event_time": before(days=40), "device_id": "other"},
    ]
    gate = Gate(plan_of({}, retention="30d"), None, AT, erased=Erasures.from_tombstones(stones, keys))
    batch = gate(Batch(records({}, *rows)))
    assert batch.counts.gated == {"erased": 2, "retention": 1}
    assert batch.raw["device_id"].to_pylist() == ["d", "other"]


def test_without_a_tenant_field_no_record_is_recognized_as_erased(tmp_path: Path) -> None:
    erased = Erasures.from_tombstones([Tombstone("t", AT)])
    plan = plan_of({}, tenant=None)
    raw = records({}, {})
    assert Gate(plan, None, AT, erased=erased)(Batch(raw)).raw is raw


def test_received_records_pass_only_with_a_consent() -> None:
    plan = received(plan_of({}, pipeline=RecordsModel()))
    raw = records({}, {"tenant_id": "t"}, {"tenant_id": "u"})
    since = np.array([[epoch_microseconds(before(days=1))]])
    agreed = ConsentPeriods(("t",), since, np.array([[NEVER]]))
    batch = Gate(plan, None, AT, consents=agreed)(Batch(raw))
    assert batch.raw["tenant_id"].to_pylist() == ["t"]
    assert batch.counts.gated == {"consent": 1}


def test_without_consents_nothing_passes_that_a_third_party_sends() -> None:
    batch = Gate(received(plan_of({}, pipeline=RecordsModel())), None, AT)(Batch(records({}, {}, {})))
    assert (batch.raw.num_rows, batch.counts.gated) == (0, {"consent": 2})


def test_without_a_tenant_nothing_passes_that_a_third_party_sends() -> None:
    plan = received(plan_of({}, pipeline=RecordsModel(), tenant=None))
    agreed = ConsentPeriods(("t",), np.array([[0]]), np.array([[NEVER]]))
    assert Gate(plan, None, AT, consents=agreed)(Batch(records({}, {}))).counts.gated == {"consent": 1}


def received(plan: Plan) -> Plan:
    """The plan of a pipeline whose records a third party sends."""
    assert plan.pipeline is not None
    source = plan.pipeline.source.model_copy(update={"recipient": "vendor", "function": "hook"})
    return replace(plan, pipeline=plan.pipeline.model_copy(update={"source": source}))


GATED_FEATURES = {"location": {"about": "where", "retention": "24h"}}

LEVELS = ["required", "basic"]


def test_a_plan_without_gates_asks_nothing() -> None:
    gates = GateRules.from_plan(plan_of({}))
    assert gates == GateRules((), (), (), (), (), ())


def test_records_are_asked_for_their_age_and_their_settings() -> None:
    records = {"feature": "location", "level": "basic"}
    gates = GateRules.from_plan(plan_of({}, features=GATED_FEATURES, levels=LEVELS, retention="30d", records=records))
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
    gates = GateRules.from_plan(plan_of(fields, columns=columns, features=GATED_FEATURES))
    assert {gated.keys: gated.settings is not None for gated in gates.gated} == {("a", "d"): True, ("b",): False}


def test_a_list_is_removed_only_if_all_its_released_leaves_are_gated() -> None:
    gate = {"feature": "location"}
    name, managed = {"type": "string", "do": "keep", **gate}, {"type": "boolean", "do": "keep"}
    for more, stars in (gate, ["/apps/*"]), ({}, []):
        fields = {"/apps/*/name": name, "/apps/*/managed": {**managed, **more}}
        gates = GateRules.from_plan(plan_of(fields, columns={"apps": APPS}, features=GATED_FEATURES))
        assert [hollow.star for hollow in gates.gated_lists] == stars


def test_companion_fields_of_a_technique_are_read() -> None:
    fields = {"id": {"type": "string", "do": {"pseudonymize": {"key": "k", "per": "tenant_id", "rotate": "day"}}}}
    plan = plan_of(fields, columns={"id": APPS.value_type.field("name").type})
    assert set(fields_read(plan)) == {"tenant_id", "id", "event_time"}
