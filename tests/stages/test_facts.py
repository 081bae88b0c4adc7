from __future__ import annotations

from datetime import timedelta
from typing import Any

import pyarrow as pa

from minimize.arrow.pointers import Pointer
from minimize.policy.condition import FeatureOn, LevelAtLeast
from minimize.policy.fields import gate_condition
from minimize.stages.conditions import BatchFacts
from minimize.stages.raw_values import RECORD_PLACE
from tests.project import AT
from tests.stages.make import Said, before, plan_of, records

FEATURES = {"usage": {"about": "usage"}, "location": {"about": "position", "retention": "24h"}}
LEVELS = ["required", "full"]
RAW = records({}, {"tenant_id": "t"}, {"tenant_id": "u", "event_time": before(days=2)})


def facts(said: Said | None, **policy: Any) -> BatchFacts:
    plan = plan_of({}, features=FEATURES, levels=LEVELS, **policy)
    return BatchFacts(RAW, plan.policy, said, AT)


def test_a_feature_is_on_if_the_settings_allow_it_and_its_retention_has_not_passed() -> None:
    said = Said({"t": ["usage", "location"], "u": ["usage", "location"]})
    assert facts(said).setting(FeatureOn("usage")).to_pylist() == [True, True]
    assert facts(said).setting(FeatureOn("location")).to_pylist() == [True, False]


def test_a_feature_that_the_policy_does_not_declare_is_off() -> None:
    assert facts(Said({"t": ["other"]})).setting(FeatureOn("other")).to_pylist() == [False, False]


def test_the_first_level_is_always_set_and_an_unknown_one_never() -> None:
    assert facts(Said()).setting(LevelAtLeast("required")).to_pylist() == [True, True]
    assert facts(Said({"t": ["other"]})).setting(LevelAtLeast("other")).to_pylist() == [False, False]


def test_a_policy_without_tenant_has_its_features_off() -> None:
    assert facts(Said({"t": ["usage"]}), tenant=None).setting(FeatureOn("usage")).to_pylist() == [False, False]


def test_without_event_time_everything_is_past_a_retention() -> None:
    assert facts(None, time=None).expired(timedelta(days=900)).to_pylist() == [True, True]


def test_facts_of_kept_records_reuse_earlier_answers_of_the_settings() -> None:
    said = Said({"t": ["usage"]})
    known = facts(said)
    known.setting(FeatureOn("usage"))
    assert known.filter_records(pa.array([False, True])).setting(FeatureOn("usage")).to_pylist() == [False]
    assert said.asked == ["usage"]


def test_a_leaf_is_taken_out_once() -> None:
    known = facts(None)
    tenant = Pointer.parse("tenant_id")
    assert known.leaf(tenant) is known.leaf(tenant)
    assert len(known.leaf(RECORD_PLACE).values) == 2


def test_a_field_without_a_gate_has_no_condition() -> None:
    plan = plan_of({})
    assert gate_condition(plan.policy.fields["tenant_id"]).parts == ()
