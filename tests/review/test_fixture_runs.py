"""Fixtures beside a pipeline: what must leave, what must not, and what it looks like."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest

import minimize
from minimize.errors import ConfigurationError, PolicyError
from minimize.review.fixtures import FixtureResults, try_fixtures
from tests.project import AGGREGATES, AT, Project, enter, event, events, new_project

GOOD = event(0)
OLD = event(1, event_time="2026-10-01T00:00:00Z")
FIELDS = ("tenant_id", "device_id", "event_time", "model", "battery", "storage", "latitude")


@pytest.fixture(name="project")
def _project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    enter(tmp_path, monkeypatch)
    return new_project(tmp_path)


def fixture(project: Project, name: str, records: Iterable[Mapping[str, Any] | str]) -> Path:
    path = project.folder / "tests" / name
    path.parent.mkdir(exist_ok=True)
    path.write_text("".join((each if isinstance(each, str) else json.dumps(each)) + "\n" for each in records))
    return path


def tried(project: Project, **more: Any) -> FixtureResults:
    return try_fixtures(project.folder, now=AT, **more)


def told(done: FixtureResults) -> list[tuple[str, str, int | None, str | None]]:
    return [(each.code, Path(each.file).name, each.line, each.field) for each in done.failures]


def test_records_that_leave_pass(project: Project) -> None:
    fixture(project, "a.pass.ndjson", events(5))
    done = tried(project)
    assert (done.failures, done.records, done.rows) == ((), 5, 0)


def test_a_removed_record_of_a_pass_fixture_is_reported_by_line_and_reason(project: Project) -> None:
    fixture(project, "a.pass.ndjson", [GOOD, "", event(1, contacts=[]), OLD, event(2, battery="x"), event(3)])
    done = tried(project)
    assert told(done) == [
        ("F001", "a.pass.ndjson", 3, "/contacts"),
        ("F001", "a.pass.ndjson", 4, None),
        ("F001", "a.pass.ndjson", 5, "/battery"),
    ]
    assert [each.message.rpartition(": ")[2] for each in done.failures] == [
        "forbidden_field",
        "retention",
        "wrong_type",
    ]


def test_a_released_record_of_a_fail_fixture_is_reported(project: Project) -> None:
    fixture(project, "a.fail.ndjson", ["no json", GOOD])
    assert told(tried(project)) == [("F002", "a.fail.ndjson", 2, None)]


def test_the_reason_may_be_asked_for_by_name(project: Project) -> None:
    fixture(project, "good.pass.ndjson", [GOOD])
    fixture(project, "old.retention.fail.ndjson", [OLD, event(1, contacts=[])])
    assert told(tried(project)) == [("F003", "old.retention.fail.ndjson", 2, "/contacts")]


def test_they_do_not_age(project: Project) -> None:
    fixture(project, "a.pass.ndjson", [event(0, event_time="2020-01-01T00:00:00Z")])
    fixture(project, "old.retention.fail.ndjson", [event(0, event_time="2019-01-01T00:00:00Z")])
    done = tried(project)
    assert (done.failures, done.at.year) == ((), 2020)


def test_a_time_may_be_given(project: Project) -> None:
    fixture(project, "a.pass.ndjson", [GOOD])
    assert [each.message for each in tried(project, at="2027-01-01T00:00:00Z").failures] == [
        "the record is not released: retention"
    ]


def test_rows_are_those_that_a_run_writes(project: Project) -> None:
    fixture(project, "a.pass.ndjson", events(12))
    project.records(events(12))
    project.run()
    written = minimize.read(project.out).to_pylist()
    rows = [{key: row[key] for key in FIELDS if row.get(key) is not None} for row in written]
    fixture(project, "expect.ndjson", [{**row, "event_time": row["event_time"].isoformat()} for row in rows])
    done = tried(project, at=AT)
    assert (done.failures, done.rows) == ((), 12)


def test_a_differing_row_is_reported_without_its_values(project: Project) -> None:
    fixture(project, "a.pass.ndjson", [GOOD])
    row = {"tenant_id": "north", "device_id": "anything", "event_time": "2026-11-24T22:00:00Z", "model": "other"}
    fixture(project, "a.expect.ndjson", [{**row, "battery": 70.0, "latitude": 48.0}])
    (failure,) = tried(project).failures
    assert (failure.code, failure.line, failure.field) == ("F006", 1, "battery")
    assert "0.0" not in failure.message
    assert failure.to_json(show=False).keys() == {"code", "message", "file", "line", "field"}
    assert failure.to_json(show=True)["expected"] == 70.0


def test_settings_of_their_own_count(project: Project) -> None:
    fixture(project, "a.pass.ndjson", [GOOD])
    (project.folder / "tests" / "settings.csv").write_text(
        "tenant_id,subject,setting,value,holder,valid_from,recorded_at\n"
    )
    row = {"tenant_id": "north", "device_id": "anything", "event_time": "2026-11-24T22:00:00Z", "model": "other"}
    fixture(project, "a.expect.ndjson", [{**row, "battery": 0.0}])
    assert tried(project).failures == ()


def test_nothing_of_it_stays(project: Project, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "scratch").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "scratch"))
    fixture(project, "a.pass.ndjson", events(20))
    (project.folder / "minimize.yaml").write_text("ledger: ledger.db\napproval: required\n")
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    tried(project)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_without_fixtures_it_is_a_fault_of_configuration(project: Project) -> None:
    with pytest.raises(ConfigurationError, match="no fixtures"):
        tried(project)


@pytest.mark.parametrize("name", ["a.no_reason.fail.ndjson", "b.expect.ndjson"])
def test_invalid_names_of_fixtures_are_faults(name: str, project: Project) -> None:
    fixture(project, "a.pass.ndjson", [GOOD])
    fixture(project, name, [GOOD])
    with pytest.raises(ConfigurationError):
        tried(project)


def test_a_policy_with_faults_is_not_tried(project: Project) -> None:
    fixture(project, "a.pass.ndjson", [GOOD])
    project.policy(retention="soon")
    with pytest.raises(PolicyError):
        tried(project)


def aggregated(project: Project, **changes: Any) -> dict[str, Any]:
    """Fixtures of which an aggregate shows one group, and the row that it shows."""
    fixture(
        project,
        "a.pass.ndjson",
        [event(number, model="A", battery=10.0 * number, storage=number) for number in range(4)],
    )
    row = {"day": "2026-11-24T00:00:00Z", "model": "A", "events": 4, "devices": 4, "battery": 15.0, "drained": 60.0}
    fixture(project, "expect.per_model.ndjson", [{**row, **changes}])
    return row


def test_an_aggregate_s_rows_are_compared(project: Project) -> None:
    aggregated(project)
    done = tried(project)
    assert (done.failures, done.rows) == ((), 1)
    aggregated(project, devices=5)
    assert [(each.code, each.field) for each in tried(project).failures] == [("F006", "devices")]


@pytest.mark.parametrize(("devices", "codes"), [(4, []), (5, ["F006"])])
def test_the_rows_of_a_roll_up_are_compared(project: Project, devices: int, codes: list[str]) -> None:
    measures = {"devices": {"count_distinct": "device_id"}, "drained": {"sum": "battery"}}
    exact = {**AGGREGATES["per_model"], "group_by": {"model": "model"}, "measures": measures, "rollups": [[]]}
    project.pipeline(aggregates={"per_model": exact}, source={"path": "data/{date}/*.ndjson.gz", "format": "ndjson"})
    fixture(project, "a.pass.ndjson", [event(number, model="A", battery=10.0 * number) for number in range(4)])
    fixture(project, "expect.per_model_total.ndjson", [{"devices": devices, "drained": 60.0}])
    assert [each.code for each in tried(project).failures] == codes


def test_an_aggregate_that_is_not_there_is_a_fault(project: Project) -> None:
    aggregated(project)
    fixture(project, "expect.per_modle.ndjson", [])
    with pytest.raises(ConfigurationError) as caught:
        tried(project)
    assert caught.value.hint == "Did you mean `per_model`?"


def test_a_pipeline_that_writes_no_records_is_tried_by_its_aggregates(project: Project) -> None:
    aggregated(project)
    project.pipeline(records=None)
    assert tried(project).failures == ()


def test_an_aggregate_that_waits_for_late_rows_cannot_be_tried(project: Project) -> None:
    project.pipeline(aggregates={"per_model": {**AGGREGATES["per_model"], "late": "2d"}})
    fixture(project, "a.pass.ndjson", events(5))
    fixture(project, "expect.per_model.ndjson", [])
    with pytest.raises(
        ConfigurationError, match=r"with a late window \(`late`\), which a test cannot complete"
    ) as caught:
        tried(project)
    assert "`minimize run` with another --output" in caught.value.hint


def test_other_aggregates_are_tried_next_to_one_that_waits(project: Project) -> None:
    aggregated(project)
    noisy = {key: value for key, value in AGGREGATES["per_model"].items() if key != "exact"}
    table = {**noisy, "measures": {"kinds": {"count_distinct": "storage"}}, "suppress": {"below": 10}}
    project.pipeline(aggregates={"now": table, "later": {**table, "late": "2d"}})
    (expected,) = (project.folder / "tests").glob("expect.per_model.*")
    expected.rename(expected.with_name(f"expect.now{expected.suffix}")).write_text("")
    assert tried(project).failures == ()
