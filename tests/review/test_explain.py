"""Explanations agree with what a run does, and tell no value of a record."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

import minimize
from minimize.errors import ConfigurationError
from minimize.governance.events import NewEvent, add_event
from minimize.keys import find_keyring
from minimize.policy.load import load_pipeline
from minimize.review.explain import FieldExplanation, explain
from minimize.review.trial import RecordExplanation, Trial
from minimize.workspace import Workspace as Places
from tests.calls import load_pipeline_settings
from tests.project import AT, FIELDS, SETTINGS, Project, enter, event, new_project

TENANTS = ("north", "south", "west")
J = "2026-01-01T00:00:00Z"
ROWS = [
    ("north", "", "usage", "on", "admin"),
    ("north", "d3", "usage", "off", "user"),
    ("north", "", "level", "full", "admin"),
    ("south", "", "level", "basic", "admin"),
    ("west", "", "usage", "on", "developer"),
    ("west", "", "location", "on", "admin"),
]
MORE: dict[str, Any] = {
    "owner": {"type": "string", "do": "keep"},
    "note": {"type": "string", "role": "free_text", "do": "drop"},
    "phone": {
        "type": "string",
        "role": "identifier",
        "cases": [
            {"if": {"owner": "company"}, "do": {"mask": {"keep_last": 2}}},
            {"if": {"feature": "usage"}, "do": {"mask": {"keep_last": 4}}},
        ],
    },
    "clicks": {"type": "integer", "feature": "usage", "do": "keep"},
    "speed": {"type": "double", "level": "full", "do": {"round": {"to": 10}}},
    "kind": {
        "type": "string",
        "collect_if": {"any": [{"owner": "company"}, {"all": [{"feature": "usage"}, {"level": "basic"}]}]},
        "do": "keep",
    },
    "ticket": {"type": "string", "purposes": ["customer_support"], "do": "keep"},
    "ip": {"type": "string", "role": "quasi", "do": "truncate_ip"},
    "place": {"from": ["latitude", "longitude"], "do": {"grid": {"metres": 1000}}},
    "longitude": {"type": "double", "role": "quasi", "feature": "location", "do": "drop"},
    "/apps/*/name": {
        "type": "string",
        "do": "keep",
        "collect_if": {"any": [{"owner": "company"}, {"/apps/*/managed": True}]},
    },
    "/apps/*/managed": {"type": "boolean", "do": "drop"},
}


def records() -> Iterator[Mapping[str, Any] | str]:
    for number in range(24):
        tenant, owner = TENANTS[number % 3], (None, "company", "self")[number // 3 % 3]
        apps = [{"name": f"n{each}", "managed": each % 2 == 0} for each in range(number % 3)]
        more = {
            "tenant_id": tenant,
            "owner": owner,
            "phone": f"+4930{number:05}",
            "clicks": number,
            "speed": number * 3.3,
        }
        more |= {
            "kind": "k",
            "note": "n",
            "ticket": "t",
            "ip": "no address" if number % 5 == 0 else f"203.0.113.{number}",
        }
        yield event(number, longitude=2.0, model="A", **more, **({"apps": apps} if number % 4 else {}))
    yield event(30, contacts=[])
    yield "no json"
    yield event(31, event_time="2026-09-01T00:00:00Z", owner="self")
    yield event(32, event_time="2026-11-20T00:00:00Z", tenant_id="west", longitude=3.0)


@pytest.fixture(name="project", scope="module")
def _project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """A project in which a run was made; whoever asks stands in it, so that its own places count."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("explained")
        enter(folder, patch)
        project = new_project(folder)
        _runs(project)
        yield project


def _runs(project: Project) -> None:
    features = {
        "location": {"retention": "24h"},
        "usage": {"holders": ["admin", "user"]},
    }
    project.policy({**FIELDS, **MORE}, levels=["required", "basic", "full"], features=features)
    project.pipeline(records={"must_be": "identified"})
    rows = "".join(f"{','.join(row)},{J},{J}\n" for row in ROWS)
    (project.folder / "settings.csv").write_text(SETTINGS.splitlines()[0] + "\n" + rows)
    project.records(records())
    project.run()


def of(project: Project, field: str, **more: Any) -> FieldExplanation:
    return explain(project.folder, field, at=AT, keys=project.keys, **more)


def file_of(project: Project) -> Path:
    return project.folder / "data" / "2026-11-24" / "a.ndjson.gz"


def value(row: Mapping[str, Any], key: str) -> Any:
    """What a row has of a field; of a list its elements' values, None where it has none."""
    if key != "/apps/*/name":
        return row.get(key)
    return [each["name"] for each in row["apps"]] if row.get("apps") else None


def fields(project: Project) -> list[str]:
    return list(load_pipeline(project.folder).policy.fields)


def test_explanations_of_each_record_and_field_match_the_run(project: Project) -> None:
    job = load_pipeline(project.folder)
    keys = find_keyring(project.keys, project.folder)
    rows = load_pipeline_settings(None, job)
    assert keys is not None
    assert rows is not None
    trial = Trial.of(job, [file_of(project)], AT, rows, keys)
    tried = list(trial.tried())
    written = iter(minimize.read(project.out).to_pylist())
    seen: set[str] = set()
    for each in tried:
        row = next(written) if each.outcome == "leaves" else {}
        for key in fields(project):
            outcome = RecordExplanation(trial, each, key, rows.effective_at(AT)).outcome()
            seen.add(outcome)
            leaves = outcome in ("kept", "transformed", "mixed")
            assert (value(row, key) is not None) <= leaves, (each.line, key, outcome)
            if key not in ("storage",):  # an open bin has no number
                assert (value(row, key) is not None) == leaves, (each.line, key, outcome)
    assert next(written, None) is None
    assert {"kept", "transformed", "gated", "dropped", "unparsable", "no value", "mixed"} <= seen
    assert {"record gated", "record quarantined"} <= seen


@pytest.mark.parametrize("tenant", TENANTS)
def test_explanations_of_each_tenant_and_field_match_the_run(tenant: str, project: Project) -> None:
    rows = [row for row in minimize.read(project.out).to_pylist() if row["tenant_id"] == tenant]
    assert len(rows) >= 8
    for key in fields(project):
        said = of(project, key, tenant=tenant)
        values = [value(row, key) for row in rows]
        if said.outcome == "dropped":
            assert set(map(bool, values)) == {False}, key
        if said.outcome == "kept" and key not in ("owner", "clicks"):
            assert None not in values, key
        stopped = [
            step for step in said.steps if step.verdict == "stops" and not step.what.startswith(("case", "otherwise"))
        ]
        assert bool(stopped) == (said.outcome == "dropped"), key


def test_it_names_the_rows_of_settings_that_decide(project: Project) -> None:
    said = of(project, "clicks", tenant="north")
    (row,) = next(step.rows for step in said.steps if step.what == "gate")
    assert (row.holder, row.value, row.line) == ("admin", "on", 2)
    assert said.outcome == "kept"
    assert "usage on, set by admin for the tenant, from 2026-01-01T00:00:00Z on" in str(said.steps[3])


def test_a_setting_of_an_unauthorized_holder_is_named_and_does_not_count(project: Project) -> None:
    said = of(project, "clicks", tenant="west")
    assert said.outcome == "dropped"
    assert [row.holder for step in said.steps for row in step.rows] == ["developer"]


def test_of_a_record_the_subject_s_own_row_is_named_without_who_that_is(project: Project) -> None:
    said = of(project, "clicks", record=f"{file_of(project)}:4")
    assert said.outcome == "gated"
    assert {row["of"] for step in said.to_json()["steps"] for row in step["rows"]} == {"the tenant", "the subject"}
    assert "d3" not in json.dumps(said.to_json())


def test_gates_of_inputs_also_gate_a_derived_field(project: Project) -> None:
    north, west = (of(project, "place", tenant=tenant) for tenant in ("north", "west"))
    assert (north.outcome, west.outcome) == ("dropped", "transformed")
    assert "gate of latitude" in [step.what for step in north.steps]


def test_a_field_for_another_purpose_names_that_purpose(project: Project) -> None:
    said = of(project, "ticket")
    assert (said.outcome, said.why) == ("dropped", "only for customer_support")
    assert next(step for step in said.steps if step.verdict == "stops").what == "purpose"


def test_the_case_that_matched_is_named(project: Project) -> None:
    line = next(n for n, each in enumerate(records(), 1) if isinstance(each, dict) and each.get("owner") == "company")
    said = of(project, "phone", record=f"{file_of(project)}:{line}")
    assert "case 1 matches: mask (keep_last 2)" in [step.found for step in said.steps]


@pytest.mark.parametrize(
    ("number", "found"),
    [
        (25, "quarantined: forbidden_field at /contacts"),
        (26, "quarantined: malformed"),
        (27, "gated: its retention period has ended"),
    ],
)
def test_a_withheld_record_is_explained(number: int, found: str, project: Project) -> None:
    said = of(project, "model", record=f"{file_of(project)}:{number}")
    assert found in [step.found for step in said.steps]
    assert said.outcome.startswith("record ")


def test_a_step_names_the_file_and_line_of_its_rule(project: Project) -> None:
    step = of(project, "clicks").steps[0]
    assert step.file == str(project.folder / "policy.yaml")
    assert step.line is not None


def test_a_field_that_the_policy_does_not_know_is_a_mistake(project: Project) -> None:
    with pytest.raises(ConfigurationError) as caught:
        of(project, "click")
    assert caught.value.exit_code == 2
    assert "Did you mean `clicks`?" in caught.value.hint


def test_a_forbidden_path_is_explained_as_quarantined(project: Project) -> None:
    assert "quarantined" in of(project, "/contacts").why


def test_the_aggregates_that_read_a_field_are_listed(project: Project) -> None:
    assert (
        "per_model: battery, drained, as clip (min 0, max 100); statistics are exact (reason: tests compare figures)"
        in [step.found for step in of(project, "battery").steps]
    )


@pytest.mark.parametrize("record", ["a", "a:0", "a:x", "nothing.ndjson:1", ":1"])
def test_an_invalid_record_is_a_fault_of_configuration(record: str, project: Project) -> None:
    with pytest.raises(ConfigurationError):
        of(project, "model", record=record)


def test_a_line_that_is_not_there_is_one(project: Project) -> None:
    with pytest.raises(ConfigurationError, match="no record"):
        of(project, "model", record=f"{file_of(project)}:99")


def test_a_record_has_its_own_tenant(project: Project) -> None:
    with pytest.raises(ConfigurationError):
        of(project, "model", record=f"{file_of(project)}:1", tenant="north")


def test_a_record_of_an_erased_subject_is_explained_as_gated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    project = new_project(tmp_path)
    path = project.records([event(0), event(2)])
    project.run()
    soon = AT - timedelta(minutes=1)
    add_event(NewEvent("north", "erasure", "d0", soon), Places(project.out / "ledger.db", keys=project.keys), soon)
    gone, other = (of(project, "model", record=f"{path}:{line}") for line in (1, 2))
    assert (gone.outcome, other.outcome) == ("record gated", "transformed")
    assert "gated: the ledger records an erasure or a closing for its subject or tenant" in [
        step.found for step in gone.steps
    ]
