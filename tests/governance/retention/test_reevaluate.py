"""The current policy and settings applied to a batch, and whether its columns can be brought into the current form."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from minimize.arrow.pointers import Pointer
from minimize.datasets.record_age import EventTimeBounds
from minimize.policy.condition import FeatureOn, LevelAtLeast
from minimize.policy.load import load_policy, policy_from_mapping
from minimize.policy.model import Field
from minimize.removal.file_consents import FileSettings
from minimize.removal.retract import PolicyReevaluation, compare_forms
from minimize.removal.verdict import BatchVerdict
from minimize.settings import SETTINGS_SCHEMA, SettingsRows, load_settings
from minimize.stages.identifier_forms import LookupColumn
from tests.governance.columns import PlainColumn
from tests.governance.retention.daily import POLICY, SETTINGS, START, Daily

DAY = timedelta(days=1)

RAN = START + DAY

FEATURES = {"location": {"about": "position"}, "inventory": {"about": "applications"}}


def again(project: Daily, settings: str = "") -> tuple[PolicyReevaluation, pa.RecordBatch]:
    """Today's policy over the one file that stands."""
    (file,) = project.plan(RAN).output.files("records")
    (project.folder / "settings.csv").write_text(SETTINGS + settings)
    then, today = file.policy, load_policy(project.folder / "policy.yaml")
    types = {key: file.schema.field(place.top).type for key, place in file.pointers.items()}
    forms = {
        key: compare_forms(then.fields[key], today.fields.get(key), "service_maintenance", types[key])
        for key in file.pointers
    }
    rows = load_settings(project.folder / "settings.csv")
    collected = FileSettings.for_file(rows, today, RAN, file.column(then.tenant), file.column(then.subject), file.times)
    (batch,) = file.stored_file.batches()
    return PolicyReevaluation(file, today, RAN, forms, (), collected), batch


def verdict(project: Daily, settings: str = "") -> tuple[BatchVerdict, pa.RecordBatch]:
    made, batch = again(project, settings)
    return made(batch), batch


def test_values_that_would_be_collected_today_stay(day: Daily) -> None:
    day.policy(features=FEATURES)
    found, batch = verdict(day)
    assert "place" not in found.removed_values
    assert found.remaining_rows(batch.num_rows).all()


def test_a_value_of_a_switched_off_feature_is_removed(day: Daily) -> None:
    day.policy(features=FEATURES)
    found, batch = verdict(day, "east,,location,off,admin,2025-06-01T00:00:00Z,2025-06-01T00:00:00Z\n")
    assert found.removed_values["place"].tolist() == pc.equal(batch["tenant_id"], "east").to_pylist()


def test_a_feature_that_is_kept_for_less_long_takes_what_is_older(day: Daily) -> None:
    features = {**POLICY["features"], "location": {"about": "position", "retention": "12h"}}
    day.policy(features=features)
    found, batch = verdict(day)
    assert found.removed_values["place"].tolist() == pc.equal(pc.hour(batch["event_time"]), 1).to_pylist()


def test_a_field_dropped_by_the_current_policy_is_removed_everywhere(day: Daily) -> None:
    day.policy({"note": {"type": "string", "do": "drop"}}, features=FEATURES)
    found, _ = verdict(day)
    assert found.removed_values["note"].all()


def test_a_coarser_form_is_computed_from_the_stored_one(day: Daily) -> None:
    day.policy({"event_time": {"type": "timestamp", "role": "quasi", "do": {"truncate_time": {"to": "day"}}}})
    found, _ = verdict(day)
    assert set(found.replacements["event_time"].to_pylist()) == {START}


def test_whole_records_go_whose_condition_does_not_hold_today(day: Daily) -> None:
    day.policy(features=FEATURES)
    made, batch = again(day, "east,,location,off,admin,2025-06-01T00:00:00Z,2025-06-01T00:00:00Z\n")
    found = replace(made, records=(FeatureOn("location"),))(batch)
    assert found.removed_records["setting"].tolist() == pc.equal(batch["tenant_id"], "east").to_pylist()
    assert int(np.sum(found.remaining_rows(batch.num_rows))) == 8


HOUR = timedelta(hours=1)

TENANT, SUBJECT = (LookupColumn(Pointer((name,)), PlainColumn()) for name in ("tenant", "subject"))

CLOCK = EventTimeBounds(Pointer(("time",)), 0, int(HOUR.total_seconds()) * 1_000_000 - 1)

AT = START + 30 * HOUR

HEAD = "tenant_id,subject,setting,value,holder,valid_from,recorded_at\n"

BATCH = pa.record_batch(
    {
        "tenant": ["north", "north", "south"],
        "subject": ["d1", "d2", "d1"],
        "time": pa.array([START, START + HOUR, START], pa.timestamp("us", "UTC")),
    }
)


def row(subject: str, value: str, since: datetime, holder: str = "admin", tenant: str = "north") -> str:
    return f"{tenant},{subject},location,{value},{holder},{since.isoformat()},2025-01-01T00:00:00Z\n"


def on(
    project: Daily, *lines: str, subject: LookupColumn | None = SUBJECT, clock: EventTimeBounds | None = CLOCK
) -> list[bool]:
    (project.folder / "s.csv").write_text(HEAD + "".join(lines))
    policy = load_policy(project.folder / "policy.yaml")
    found = FileSettings.for_file(load_settings(project.folder / "s.csv"), policy, AT, TENANT, subject, clock)
    return [bool(each) for each in found.is_on(FeatureOn("location"), BATCH)]


LONG_AGO = START - timedelta(days=9)


def test_it_is_on_where_a_tenant_turned_it_on(project: Daily) -> None:
    assert on(project, row("", "on", LONG_AGO)) == [True, True, False]


def test_it_is_off_for_every_hour_in_which_it_was_off_for_a_moment(project: Daily) -> None:
    lines = [row("", "on", LONG_AGO), row("", "off", START + HOUR / 2), row("", "on", START + HOUR / 2 + HOUR / 60)]
    assert on(project, *lines) == [False, True, False]


def test_it_is_off_where_it_is_off_now(project: Daily) -> None:
    assert on(project, row("", "on", LONG_AGO), row("", "off", START + 20 * HOUR)) == [False, False, False]


def test_an_objection_turns_the_feature_off_for_the_whole_tenant_without_a_subject_field(project: Daily) -> None:
    lines = [row("", "on", LONG_AGO), row("d1", "off", LONG_AGO, "user")]
    assert on(project, *lines) == [False, True, False]
    assert on(project, *lines, subject=None) == [False, False, False]


PER_SUBJECT = {"features": {"location": {"per_subject": True}, "inventory": {}}}


class Shared(PlainColumn):
    """A column in which other subjects may have the same form."""

    @property
    def is_injective(self) -> bool:
        return False


def test_a_per_subject_feature_is_on_for_the_subjects_that_the_file_shows(project: Daily) -> None:
    project.policy(**PER_SUBJECT)
    own = (START - HOUR, START + 23 * HOUR)
    lines = [row("", "on", LONG_AGO), *(row("d1", "on", since) for since in own)]
    assert on(project, *lines) == [True, False, False]
    assert on(project, *lines[:2]) == [False, False, False]
    assert on(project, *lines, row("d1", "off", LONG_AGO, "user")) == [False, False, False]


@pytest.mark.parametrize("subject", [None, LookupColumn(Pointer(("subject",)), Shared())])
def test_a_per_subject_feature_is_off_without_a_distinguishable_subject(
    project: Daily, subject: LookupColumn | None
) -> None:
    project.policy(**PER_SUBJECT)
    assert on(project, row("", "on", LONG_AGO), row("d1", "on", LONG_AGO), subject=subject) == [False, False, False]


def test_a_per_subject_feature_is_off_for_a_subject_that_the_settings_hold_as_a_token(project: Daily) -> None:
    project.policy(**PER_SUBJECT)
    token = pa.array([None, f"subject/1:{'0' * 64}"])
    table = pa.table(
        {"tenant_id": ["north"] * 2, "subject": token, "setting": ["location"] * 2, "value": ["on"] * 2}
        | {"holder": ["admin"] * 2, "valid_from": [LONG_AGO] * 2, "recorded_at": [LONG_AGO] * 2}
    )
    policy = load_policy(project.folder / "policy.yaml")
    found = FileSettings.for_file(SettingsRows(table.cast(SETTINGS_SCHEMA)), policy, AT, TENANT, SUBJECT, CLOCK)
    assert not found.is_on(FeatureOn("location"), BATCH).any()


def test_without_times_or_settings_nothing_is_on(project: Daily) -> None:
    assert on(project, row("", "on", LONG_AGO), clock=None) == [False] * 3
    policy = load_policy(project.folder / "policy.yaml")
    nothing = FileSettings.for_file(None, policy, AT, TENANT, SUBJECT, CLOCK)
    assert not nothing.is_on(FeatureOn("location"), BATCH).any()


def test_the_first_level_is_always_on(project: Daily) -> None:
    project.policy(levels=["required", "full"])
    policy = load_policy(project.folder / "policy.yaml")
    nothing = FileSettings.for_file(None, policy, AT, TENANT, SUBJECT, CLOCK)
    assert nothing.is_on(LevelAtLeast("required"), BATCH).all()
    assert not nothing.is_on(LevelAtLeast("full"), BATCH).any()


TIME = pa.timestamp("us", "UTC")


def field(do: Any, type_: str = "string", **more: Any) -> Field:
    said = {"policy": "p", "version": 1, "purposes": ["operations", "customer_support"], "features": {"f": {}}}
    return policy_from_mapping({**said, "fields": {"x": {"type": type_, "do": do, **more}}}).fields["x"]


def form_verdict(then: Any, today: Any, type_: str = "string", shown: pa.DataType | None = None) -> str:
    return compare_forms(field(then, type_), field(today, type_), "operations", shown or pa.string()).verdict


@pytest.mark.parametrize(
    ("then", "today", "expected"),
    [
        ("hour", "hour", "same"),
        ("hour", "day", "coarser"),
        ("day", "hour", "finer"),
        ("day", "week", "coarser"),
        ("week", "month", "gone"),
        ("month", "week", "finer"),
    ],
)
def test_units_of_time(then: str, today: str, expected: str) -> None:
    before, after = ({"truncate_time": {"to": unit}} for unit in (then, today))
    assert form_verdict(before, after, "timestamp", TIME) == expected


@pytest.mark.parametrize(
    ("then", "today", "expected"),
    [
        ({"truncate_ip": {"v4": 24, "v6": 48}}, {"truncate_ip": {"v4": 16, "v6": 48}}, "coarser"),
        ({"truncate_ip": {"v4": 24, "v6": 48}}, {"truncate_ip": {"v4": 16, "v6": 64}}, "gone"),
        ({"truncate_version": {"parts": 2}}, {"truncate_version": {"parts": 1}}, "coarser"),
        ({"mask": {"keep_last": 4}}, {"mask": {"keep_last": 2}}, "coarser"),
        ({"mask": {"keep_last": 2}}, {"mask": {"keep_last": 4}}, "finer"),
        ({"mask": {"keep_last": 4}}, {"mask": {"keep_first": 2}}, "gone"),
        ("keep", {"mask": {"keep_last": 4}}, "coarser"),
        ({"mask": {"keep_last": 4}}, "keep", "finer"),
        ("keep", "presence", "gone"),
        ("keep", {"pseudonymize": {"key": "k"}}, "gone"),
        ("keep", "drop", "gone"),
    ],
)
def test_other_forms(then: Any, today: Any, expected: str) -> None:
    assert form_verdict(then, today) == expected


def test_a_field_for_other_purposes_in_the_current_policy_is_removed() -> None:
    today = field("keep", purposes=["customer_support"])
    assert compare_forms(field("keep"), today, "operations", pa.string()).verdict == "gone"


def test_an_undeclared_field_of_the_current_policy_is_removed() -> None:
    assert compare_forms(field("keep"), None, "operations", pa.string()).verdict == "gone"


def test_a_gate_is_not_a_form() -> None:
    assert compare_forms(field("keep"), field("keep", feature="f"), "operations", pa.string()).verdict == "same"
