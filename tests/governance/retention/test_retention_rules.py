"""What the current policy requires of an older file: ages, shorter retention of features, and conditions that surely hold."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from minimize.arrow.dictionaries import Bools
from minimize.arrow.pointers import Pointer
from minimize.datasets.published_output import field_pointers
from minimize.policy.condition import AllOf, AnyOf, Atom, Condition, FeatureOn, FieldEquals, TimeWithin, evaluate
from minimize.policy.load import policy_from_mapping
from minimize.policy.model import Policy
from minimize.removal.decision import PersonalTreatment, owner_field, personal_treatment
from minimize.removal.retention_rules import (
    RetentionRules,
    StoredFacts,
    current_conditions,
    features_in,
    shows_original,
)
from minimize.stages.conditions import BatchFacts
from minimize.stages.raw_values import RECORD_PLACE
from tests.governance.retention.daily import POLICY, START, Daily
from tests.project import TIME

CORPORATE, PERSONAL = {"owner_type": "corporate"}, {"owner_type": "personal"}

MASK = {"mask": {"keep_last": 4}}


def policy(**field: Any) -> Policy:
    fields = {"owner_type": {"type": "string", "do": "keep"}, "model": {"type": "string", "do": "keep"}}
    said = {"policy": "p", "version": 1, "purposes": ["operations"], "features": {"f": {}}}
    return policy_from_mapping({**said, "fields": {**fields, "x": {"type": "string", **field}}})


def of(**field: Any) -> PersonalTreatment | None:
    return personal_treatment(policy(**field), "x", "owner_type")


def test_the_owner_is_found_by_name_at_any_depth() -> None:
    said = {"policy": "p", "version": 1, "purposes": ["operations"]}
    nested = policy_from_mapping({**said, "fields": {"/device/ownerType": {"type": "string", "do": "keep"}}})
    assert owner_field(policy(do="keep")) == "owner_type"
    assert owner_field(nested) == "/device/ownerType"


def test_a_field_that_does_not_ask_for_the_owner_stays() -> None:
    assert of(do="keep", collect_if={"model": "A"}) is None


def test_a_gate_that_asks_for_the_owner_is_asked_again() -> None:
    found = of(do="keep", collect_if={"any": [CORPORATE, {"feature": "f"}]})
    assert found is not None
    assert (len(found.gates), found.chain) == (1, ())


def test_a_value_released_unchanged_gets_the_chain_of_personal_devices() -> None:
    found = of(cases=[{"if": CORPORATE, "do": "keep"}, {"if": PERSONAL, "do": MASK}])
    assert found is not None
    assert [step.name for step in found.chain or ()] == ["mask"]
    assert found.is_repeatable


def test_a_value_that_a_personal_device_would_lack_is_removed() -> None:
    assert of(cases=[{"if": CORPORATE, "do": "keep"}]) == PersonalTreatment((), None)


def test_a_value_that_cannot_be_converted_into_the_required_form_is_removed() -> None:
    cases = [{"if": CORPORATE, "do": {"mask": {"keep_first": 3}}}, {"if": PERSONAL, "do": MASK}]
    assert of(cases=cases) == PersonalTreatment((), None)


def test_a_value_that_depends_on_another_fact_is_removed() -> None:
    cases = [{"if": {"owner_type": "personal", "model": "A"}, "do": MASK}]
    assert of(cases=cases, otherwise="keep") == PersonalTreatment((), None)


def test_where_all_devices_have_one_form_it_stays() -> None:
    assert of(cases=[{"if": PERSONAL, "do": MASK}], otherwise=MASK) == PersonalTreatment()


DAY, HOUR = timedelta(days=1), timedelta(hours=1)


def rules(project: Daily) -> RetentionRules:
    made = project.plan(START + DAY)
    (file,) = made.output.files("records")
    return RetentionRules.for_file(file.policy, made.request.today, file.pointers)


def test_records_are_kept_as_long_as_the_current_policy_states_and_features_shorter(day: Daily) -> None:
    found = rules(day)
    assert (found.age, found.shortest_age, dict(found.features)) == (30 * DAY, DAY, {"location": DAY})
    assert [rule.key for rule in found.fields] == ["place"]


def test_a_policy_without_retention_requires_no_removal(day: Daily) -> None:
    day.policy(retention=None, features={**POLICY["features"], "location": {"about": "position"}}, version=2)
    found = rules(day)
    assert (found.age, found.fields, found.shortest_age) == (None, (), None)


def test_a_field_that_today_does_not_declare_is_judged_by_the_policy_of_then(day: Daily) -> None:
    day.policy({"place": None}, version=2)
    assert [rule.key for rule in rules(day).fields] == ["place"]


def test_a_condition_on_whole_records_counts_where_it_asks_for_such_a_feature(day: Daily) -> None:
    day.policy(records={"feature": "location"}, version=2)
    assert rules(day).records == (FeatureOn("location"),)
    day.policy(records={"feature": "inventory"}, version=3)
    assert rules(day).records == ()


def test_fields_of_a_file_are_those_that_it_holds(day: Daily) -> None:
    (file,) = day.plan(START + DAY).output.files("records")
    assert "event_id" not in file.pointers
    assert {"place", "phone", "/apps/*/name"} < set(file.pointers)


def test_current_conditions_are_gates_and_cases_that_read_settings(day: Daily) -> None:
    policy = day.plan(START + DAY).request.today
    assert {name for each in current_conditions("/apps/*/name", policy) for name in features_in(each)} == {"inventory"}
    assert list(current_conditions("phone", policy)) == []


CONDITIONS_POLICY = policy_from_mapping(
    {
        "policy": "p",
        "version": 1,
        "purposes": ["operations"],
        "features": {"old": {}, "new": {}},
        "fields": {
            "model": {"type": "string", "do": "keep"},
            "phone": {"type": "string", "do": {"mask": {"keep_last": 4}}},
            "/apps/*/name": {"type": "string", "do": "keep"},
            "/apps/*/kind": {"type": "string", "do": "keep"},
            "seen": {"type": "timestamp", "do": {"truncate_time": {"to": "hour"}}},
            "time": {"type": "timestamp", "do": {"truncate_time": {"to": "hour"}}},
            "gone": {"type": "timestamp", "do": "drop"},
        },
    }
)

BATCH = pa.RecordBatch.from_pylist(
    [
        {"model": "A", "phone": "****1234", "apps": [{"name": "x", "kind": "work"}, {"name": "y", "kind": "play"}]},
        {"model": None, "phone": None, "apps": [{"name": "z", "kind": "work"}]},
    ]
)

APPS = pa.list_(pa.struct([("name", pa.string()), ("kind", pa.string())]))

SCHEMA = pa.schema({"model": pa.string(), "phone": pa.string(), "apps": APPS, "seen": TIME, "time": TIME}.items())

OLD, NEW, MODEL = FeatureOn("old"), FeatureOn("new"), FieldEquals("model", ("A",))


def holds(condition: Condition, place: str = "model", **past: list[bool]) -> list[bool]:
    def changed(atom: Atom) -> Bools | None:
        return ~np.array(past[atom.name]) if isinstance(atom, FeatureOn) and atom.name in past else None

    sure = StoredFacts(
        BATCH, CONDITIONS_POLICY, field_pointers(CONDITIONS_POLICY, BATCH.schema), Pointer.parse(place), changed
    )
    return list(sure.still_holds(condition).tolist())


def test_a_condition_of_stored_rows_holds_while_no_fact_changed() -> None:
    assert holds(AllOf((NEW, FieldEquals("phone", ("x",))))) == [True, True]


def test_of_several_facts_that_all_held_only_the_one_that_changed_counts() -> None:
    assert holds(AllOf((OLD, NEW, MODEL)), old=[True, False]) == [False, True]


def test_of_several_facts_of_which_any_held_only_what_the_file_shows_counts() -> None:
    assert holds(AnyOf((OLD, NEW)), old=[True, True]) == [False, False]
    assert holds(AnyOf((OLD, MODEL)), old=[True, True]) == [True, False]


def test_an_element_is_judged_by_its_own_element() -> None:
    condition: Any = AnyOf((OLD, FieldEquals("/apps/*/kind", ("work",))))
    assert holds(condition, "/apps/*/name", old=[True, True]) == [True, False, True]


def test_a_record_is_spread_over_its_elements() -> None:
    assert holds(AnyOf((OLD, MODEL)), "/apps/*/name", old=[True, True]) == [True, True, False]


def test_only_a_value_that_is_kept_as_it_came_in_shows_anything() -> None:
    assert [shows_original(CONDITIONS_POLICY.fields[key]) for key in ("model", "phone")] == [True, False]


def test_condition_on_whole_record_reads_what_the_file_shows() -> None:
    whole = StoredFacts(
        BATCH, CONDITIONS_POLICY, field_pointers(CONDITIONS_POLICY, BATCH.schema), Pointer(()), lambda atom: None
    )
    assert whole.holds(AnyOf((MODEL, OLD))).tolist() == [True, False]
    assert whole.holds(FieldEquals("phone", ("****1234",))).tolist() == [False, False]
    assert whole.holds(FieldEquals("/apps/*/kind", ("work",))).tolist() == [False, False]


def test_facts_that_the_file_does_not_show_are_unknown() -> None:
    whole = StoredFacts(
        BATCH, CONDITIONS_POLICY, field_pointers(CONDITIONS_POLICY, BATCH.schema), RECORD_PLACE, lambda atom: None
    )
    shown = (MODEL, FieldEquals("phone", ("****1234",)), FieldEquals("/apps/*/kind", ("work",)), OLD)
    assert [evaluate(atom, whole).to_pylist() for atom in shown] == [[True, None], *[[None, None]] * 3]


conditions: st.SearchStrategy[Condition] = st.recursive(
    st.builds(FieldEquals, st.just("model"), st.sampled_from([("A",), ("B",), ("A", "B")]))
    | st.builds(FieldEquals, st.just("phone"), st.just(("555551234",)))
    | st.builds(FieldEquals, st.just("/apps/*/kind"), st.just(("work",)))
    | st.builds(TimeWithin, st.just("seen"), st.timedeltas(timedelta(0), timedelta(hours=4)), st.just("time")),
    lambda inner: st.builds(AllOf, st.tuples(inner, inner)) | st.builds(AnyOf, st.tuples(inner, inner)),
    max_leaves=4,
)


@given(
    conditions, st.sampled_from(["A", "B", None]), st.integers(0, 4 * 60), st.sampled_from(["model", "/apps/*/name"])
)
def test_certain_facts_of_a_file_were_true_of_the_raw_record(
    condition: Condition, model: str | None, minutes: int, place: str
) -> None:
    time = datetime(2026, 11, 24, 10, 30, tzinfo=UTC)
    apps = [{"name": "x", "kind": "work"}, {"name": "y", "kind": None}]
    seen = time - timedelta(minutes=minutes)
    row: dict[str, Any] = {"model": model, "phone": "555551234", "apps": apps, "seen": seen, "time": time}
    hours = {key: row[key].replace(minute=0) for key in ("seen", "time")}
    raw, stored = (pa.RecordBatch.from_pylist([each], SCHEMA) for each in (row, {**row, **hours, "phone": "*****1234"}))
    facts = StoredFacts(
        stored, CONDITIONS_POLICY, field_pointers(CONDITIONS_POLICY, SCHEMA), Pointer.parse(place), lambda atom: None
    )
    held = BatchFacts(raw, CONDITIONS_POLICY, None, time).truth(condition, Pointer.parse(place)).to_pylist()
    assert not any(sure and not true for sure, true in zip(facts.holds(condition), held, strict=True))


def within(hours: float, field: str = "seen", place: str = "") -> list[bool]:
    """Whether `seen` surely is within so many hours before `time`, where both were cut to the hour: two hours lie between."""
    time = datetime(2026, 11, 24, 10, tzinfo=UTC)
    rows = [{"seen": time - timedelta(hours=2), "time": time}, {"seen": None, "time": time}]
    batch = pa.RecordBatch.from_pylist(rows, pa.schema([("seen", TIME), ("time", TIME)]))
    sure = StoredFacts(
        batch,
        CONDITIONS_POLICY,
        field_pointers(CONDITIONS_POLICY, batch.schema),
        Pointer.parse(place) if place else RECORD_PLACE,
        lambda _: None,
    )
    condition = TimeWithin(field, timedelta(hours=hours), "time")
    return list(sure.holds(condition).tolist())


def test_a_time_that_was_made_coarser_is_surely_within_an_age_if_all_it_may_mean_is() -> None:
    assert within(3) == [True, False]
    assert within(2.9) == [False, False]


def test_a_time_that_the_file_does_not_show_is_within_nothing() -> None:
    assert within(100, "gone") == [False, False]


def test_facts_of_a_record_hold_for_its_values() -> None:
    assert within(3, place="seen") == [True, False]
