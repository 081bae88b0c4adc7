"""`detect_drift`: what arrives beside policy and receipts, as names, types and counts."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import pyarrow as pa
import pytest

from minimize.errors import ConfigurationError, SourceError
from minimize.policy.load import policy_from_mapping
from minimize.review.drift import DriftChange, DriftReport, detect_drift
from tests.project import BEFORE, DAY, Project, event, events, table

OS = {"/os/name": {"type": "string", "do": "keep"}, "/apps/*/name": {"type": "string", "do": "keep"}}
OWNER = {"owner": {"type": "string", "do": {"map": {"values": {"corporate": "work"}}}}}


def full(number: int, **changes: Any) -> dict[str, Any]:
    usual = {"os": {"name": "w"}, "apps": [{"name": "mail"}], "owner": "corporate"}
    return event(number, **(usual | changes))


def many(**changes: Any) -> list[dict[str, Any]]:
    return [full(number, **changes) for number in range(30)]


def found(project: Project, **options: Any) -> DriftReport:
    return detect_drift(project.folder, keys=project.keys, output=project.out, **options)


def only(report: DriftReport) -> DriftChange:
    (change,) = report.changes
    return change


def renamed(records: Iterable[dict[str, Any]], old: str, new: str) -> list[dict[str, Any]]:
    return [{new if key == old else key: value for key, value in record.items()} for record in records]


@pytest.fixture(autouse=True)
def _policy(project: Project) -> None:
    project.policy({**OS, **OWNER})


def test_data_that_matches_the_policy_has_no_drift(project: Project) -> None:
    project.records(many())
    report = found(project)
    assert (report.changes, report.records, report.dates) == ((), 30, (DAY,))
    assert (report.matters, report.edit) == (False, "")


def test_a_new_column_is_a_warning_with_a_line_for_the_policy(project: Project) -> None:
    project.records([*many(theme="dark"), full(30)])
    change = only(found(project))
    assert (change.kind, change.code, change.severity, str(change.path)) == ("new", "D001", "warning", "/theme")
    assert (change.is_, change.records, change.edit) == ("string", 30, "  theme: {type: string, do: drop}")


def test_a_new_name_that_few_subjects_carry_is_not_shown(project: Project) -> None:
    project.records([*many(), full(0, secret_of_ann=1), full(0, other_of_ann=1)])
    change = only(found(project))
    assert (str(change.path), change.records, change.is_, change.edit) == ("/*", 2, None, "")


@pytest.mark.parametrize("name", ["ann@example.com", "203.0.113.7", "a b", "9lives"])
def test_a_new_name_that_may_be_a_value_is_not_shown(project: Project, name: str) -> None:
    project.records(many(**{name: 1}))
    report = found(project)
    assert str(only(report).path) == "/*"
    assert name not in json.dumps(report.to_json())


def test_a_renamed_column_is_paired_with_the_one_that_is_gone(project: Project) -> None:
    project.records(renamed(many(), "battery", "battery_level"))
    change = only(found(project))
    assert (change.code, change.before, str(change.path)) == ("D002", "battery", "/battery_level")
    assert (change.severity, change.was, change.is_) == ("error", "double", "double")


def test_a_renamed_column_that_no_output_uses_is_a_warning(project: Project) -> None:
    project.policy({**OS, **OWNER, "note": {"type": "string", "do": "drop"}}, record=None)
    project.records(many(note_text="x"))
    change = only(found(project))
    assert (change.kind, change.before, change.severity) == ("renamed", "note", "warning")


def test_another_type_in_the_new_place_is_no_rename(project: Project) -> None:
    project.records([full(number, battery=None, battery_level="high") for number in range(30)])
    project.run()
    assert {change.kind for change in found(project).changes} == {"new"}


def test_a_missing_field_that_earlier_runs_counted_is_reported(project: Project) -> None:
    project.records(many(), day=BEFORE)
    project.run()
    project.records(many(latitude=None))
    change = only(found(project))
    assert (change.kind, str(change.path), change.severity) == ("gone", "/latitude", "error")


def test_a_field_that_never_arrived_is_not_reported(project: Project) -> None:
    project.records(many(latitude=None))
    assert found(project).changes == ()


def test_a_missing_required_field_is_reported_immediately(project: Project) -> None:
    project.records(many(device_id=None))
    change = only(found(project))
    assert (change.kind, str(change.path), change.severity) == ("gone", "/device_id", "error")


def test_a_retyped_column_is_reported_with_both_types(project: Project) -> None:
    project.records(many(storage="12"))
    change = only(found(project))
    assert (change.kind, change.was, change.is_) == ("retyped", "integer", "string")
    assert (change.records, change.severity) == (30, "error")
    assert change.edit.startswith("  storage: {type: string}")


def test_a_few_values_of_another_type_are_a_warning(project: Project) -> None:
    project.pipeline(quarantine={"fail_above": 0.5})
    project.records([*many(), full(30, storage="12")])
    change = only(found(project))
    assert (change.kind, change.records, change.severity) == ("retyped", 1, "warning")


@pytest.mark.parametrize(("wrong", "share"), [(1, "3.2%"), (12, "29%")])
def test_a_partial_type_change_keeps_the_type_and_reports_the_share(project: Project, wrong: int, share: str) -> None:
    project.records([*many(), *(full(30 + number, storage="12") for number in range(wrong))])
    report = found(project)
    change = only(report)
    assert f"{wrong} of {30 + wrong} records" in change.message
    assert f"({share})" in change.message
    assert "type: string" not in report.edit
    assert "keep the type" in report.edit


def test_from_half_of_the_records_on_the_type_has_changed(project: Project) -> None:
    project.records([*many(), *(full(30 + number, storage="12") for number in range(30))])
    assert "  storage: {type: string}" in only(found(project)).edit


def test_bad_times_of_a_few_records_do_not_make_the_event_time_a_text(project: Project) -> None:
    project.records([*many(), full(30, event_time="yesterday")])
    change = only(found(project))
    assert (str(change.path), change.records) == ("/event_time", 1)
    assert "type: string" not in change.edit


def test_behind_a_retyped_column_the_rest_is_still_seen(project: Project) -> None:
    project.records(many(storage="12", battery="full", theme="dark"))
    assert [(change.kind, str(change.path)) for change in found(project).changes] == [
        ("retyped", "/battery"),
        ("retyped", "/storage"),
        ("new", "/theme"),
    ]


@pytest.mark.parametrize(
    ("changes", "path", "was", "is_", "edit"),
    [
        ({"apps": {"name": "mail"}}, "/apps/*/name", "list", "struct", "  /apps/name: {type: string}"),
        ({"os": [{"name": "w"}]}, "/os/name", "struct", "list", "  /os/*/name: {type: string}"),
        ({"os": "w"}, "/os/name", "struct", "string", "  # /os/name: now string"),
        ({"owner": {"kind": "corporate"}}, "/owner", "string", "struct", "  # owner: now struct"),
        ({"owner": ["corporate"]}, "/owner", "string", "list", "  /owner/*: {type: string}"),
    ],
)
def test_a_change_of_nesting_is_reported(
    project: Project, changes: dict[str, Any], path: str, was: str, is_: str, edit: str
) -> None:
    project.records(many(**changes))
    change = only(found(project))
    assert (change.kind, str(change.path), change.was, change.is_) == ("nested", path, was, is_)
    assert change.edit.startswith(edit)


def test_values_that_a_map_does_not_list_are_counted_and_not_shown(project: Project) -> None:
    project.records([*many(), full(30, owner="canary-a"), full(31, owner="canary-b"), full(32, owner="canary-b")])
    report = found(project)
    change = only(report)
    assert (change.kind, str(change.path), change.severity) == ("unlisted", "/owner", "warning")
    assert (change.records, change.values) == (3, 2)
    assert "canary" not in json.dumps(report.to_json()) + repr(report)


def test_values_that_the_conditions_of_cases_do_not_list_are_counted(project: Project) -> None:
    cases = [{"if": {"owner": ["corporate", "personal"]}, "do": "keep"}]
    phone = {"type": "string", "cases": cases, "otherwise": "drop"}
    project.policy({**OS, "owner": {"type": "string", "do": "keep"}, "phone": phone})
    project.records([*many(), full(30, owner="personal"), full(31, owner="shared")])
    change = only(found(project))
    assert (change.kind, str(change.path), change.records, change.values) == ("unlisted", "/owner", 1, 1)


def test_undeclared_paths_are_counted_over_time(project: Project) -> None:
    project.records(many(theme="dark"), day=BEFORE)
    first = project.run()
    project.records(many(theme="dark")[:20])
    second = project.run(date=DAY)
    report = found(project)
    assert report.unknown == {
        "/theme": [
            {"run_id": first.run_id, "dates": [BEFORE], "records": 30},
            {"run_id": second.run_id, "dates": [DAY], "records": 20},
        ]
    }
    assert only(report).since == BEFORE


def test_the_newest_date_is_looked_at_and_another_where_it_is_asked_for(project: Project) -> None:
    project.records(many(theme="dark"), day=BEFORE)
    project.records(many())
    assert found(project).changes == ()
    assert only(found(project, date=BEFORE)).kind == "new"


@pytest.mark.parametrize("kind", ["parquet", "csv"])
def test_columns_of_typed_files_are_compared_too(project: Project, kind: str) -> None:
    project.policy()
    project.source(kind)
    data = table(events(30)).rename_columns(
        ["event_id", "tenant_id", "device_id", "event_time", "model", "battery_pct", "storage", "latitude"]
    )
    project.columns(data.append_column("theme", pa.array(["dark"] * 30)), kind=kind)
    assert [(change.kind, str(change.path), change.before) for change in found(project).changes] == [
        ("renamed", "/battery_pct", "battery"),
        ("new", "/theme", None),
    ]


def test_a_parquet_column_of_another_type_is_reported(project: Project) -> None:
    project.policy()
    project.source("parquet")
    data = table(events(30))
    project.columns(data.set_column(6, "storage", data["storage"].cast(pa.string())))
    change = only(found(project))
    assert (change.kind, change.was, change.is_, change.severity) == ("retyped", "integer", "string", "error")


def test_a_column_missing_from_a_file_is_reported(project: Project) -> None:
    project.policy()
    project.source("parquet")
    project.columns(table(events(30)).drop_columns(["storage"]))
    change = only(found(project))
    assert (change.kind, str(change.path), change.severity) == ("gone", "/storage", "error")


def test_files_of_one_date_may_disagree(project: Project) -> None:
    project.policy()
    project.source("parquet")
    data = table(events(30))
    project.columns(data)
    project.columns(data.set_column(6, "storage", data["storage"].cast(pa.string())), name="b")
    assert only(found(project)).kind == "retyped"


def test_the_suggested_edit_is_a_piece_of_a_policy(project: Project) -> None:
    project.records(renamed(many(theme="dark", os=[{"name": "w"}], owner="new"), "battery", "battery_level"))
    edit = found(project).edit
    policy = policy_from_mapping({"policy": "p", "version": 1, "purposes": ["operations"], "fields": loaded(edit)})
    assert set(policy.fields) == {"battery_level", "theme", "/os/*/name"}


def loaded(edit: str) -> dict[str, Any]:
    from ruamel.yaml import YAML

    return dict(YAML(typ="safe", pure=True).load(edit)["fields"])


def test_without_files_there_is_nothing_to_look_at(project: Project) -> None:
    with pytest.raises(ConfigurationError, match="no file"):
        found(project)


def test_a_date_without_files_is_reported(project: Project) -> None:
    project.records(many())
    with pytest.raises(ConfigurationError, match=r"no file matches .+ for 2026-11-20"):
        found(project, date="2026-11-20")


def test_a_damaged_file_is_an_error(project: Project) -> None:
    path = project.records(many())
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(SourceError):
        found(project)
