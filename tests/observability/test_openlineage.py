"""Column lineage says which field makes which column, and that it is masked.
A run tells lineage of itself: events that obey the specification, one a line.
"""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

import minimize
from minimize.checkpoints import at_checkpoint
from minimize.errors import RefusedError, SourceError, StoppedError
from minimize.keys import new_keyring
from minimize.observability.openlineage import column_lineage, run_uuid
from minimize.runs.inspection import make_plan
from tests.calls import replay
from tests.observability.spec import faults
from tests.pipelines.shipped import ROOT
from tests.project import AT, BEFORE, DAY, Project, event, events

SOURCE = {"namespace": "file", "name": "/in"}


def lineage(project: Project, name: str = "records") -> dict[str, Any]:
    return column_lineage(make_plan(project.folder), name, SOURCE)


def of(column: dict[str, Any]) -> dict[str, list[tuple[str, str, str, bool]]]:
    return {
        each["field"]: [
            (how["type"], how["subtype"], how["description"], how["masking"]) for how in each["transformations"]
        ]
        for each in column["inputFields"]
    }


def test_a_kept_field_is_an_identity_and_not_masked(project: Project) -> None:
    assert of(lineage(project)["fields"]["tenant_id"]) == {"tenant_id": [("DIRECT", "IDENTITY", "keep", False)]}


def test_a_treated_field_is_a_masking_transformation_of_all_its_inputs(project: Project) -> None:
    how = [("DIRECT", "TRANSFORMATION", "pseudonymize", True)]
    assert of(lineage(project)["fields"]["device_id"]) == {"device_id": how, "tenant_id": how}


def test_a_dropped_field_has_no_column(project: Project) -> None:
    assert "event_id" not in lineage(project)["fields"]


def test_a_deciding_field_is_an_indirect_input(project: Project) -> None:
    project.policy(
        {
            "owner": {"type": "string", "do": "keep"},
            "ticket": {
                "type": "string",
                "cases": [{"if": {"owner": "own"}, "do": {"mask": {"keep_last": 2}}}],
                "otherwise": "drop",
            },
        }
    )
    found = of(lineage(project)["fields"]["ticket"])
    assert found["owner"] == [("INDIRECT", "CONDITIONAL", "collected or not", True)]
    assert found["ticket"][0][:2] == ("DIRECT", "TRANSFORMATION")


def test_a_feature_depends_on_tenant_subject_and_time(project: Project) -> None:
    found = of(lineage(project)["fields"]["latitude"])
    assert set(found) == {"latitude", "tenant_id", "device_id", "event_time"}


def test_chained_techniques_are_listed_in_order(project: Project) -> None:
    project.policy({"storage": {"type": "integer", "do": [{"clip": {"max": 50}}, {"bin": {"width": 20}}]}})
    project.pipeline(aggregates=None)
    assert of(lineage(project)["fields"]["storage"])["storage"][0][2] == "clip → bin"


def test_a_derived_field_comes_from_all_its_inputs(project: Project) -> None:
    cell = {"from": ["latitude", "battery"], "do": {"grid": {"metres": 300}}}
    project.policy({"cell": cell})
    project.pipeline(records={"must_be": "identified"})
    assert {"latitude", "battery"} <= set(of(lineage(project)["fields"]["cell"]))


def test_whole_records_depend_on_what_gates_them(project: Project) -> None:
    project.policy(records={"collect_if": {"model": "A"}})
    assert {each["field"] for each in lineage(project)["dataset"]} == {"event_time", "model"}


def test_an_aggregate_is_grouped_measured_and_suppressed(project: Project) -> None:
    found = lineage(project, "per_model")
    assert of(found["fields"]["battery"])["battery"][0] == ("DIRECT", "AGGREGATION", "mean", True)
    assert of(found["fields"]["model"])["model"][0][1] == "TRANSFORMATION"
    assert found["fields"]["events"] == {"inputFields": []}
    kinds = {(each["field"], how["subtype"]) for each in found["dataset"] for how in each["transformations"]}
    assert {("model", "GROUP_BY"), ("event_time", "GROUP_BY"), ("device_id", "FILTER")} <= kinds


def test_no_parameter_of_a_technique_is_in_the_lineage(project: Project) -> None:
    project.policy({"model": {"type": "string", "do": {"map": {"values": {"canary-a": "canary-b"}}}}})
    assert "canary" not in repr(lineage(project))


def told(project: Project, file: Path | None = None) -> list[dict[str, Any]]:
    found = [json.loads(line) for line in (file or project.folder / "_out.lineage.ndjson").read_text().splitlines()]
    assert [fault for each in found for fault in faults(each)] == []
    return found


def test_a_run_emits_a_start_and_a_complete_event(project: Project) -> None:
    project.records(events(30))
    receipt = project.run()
    start, done = told(project)
    assert [each["eventType"] for each in (start, done)] == ["START", "COMPLETE"]
    assert start["run"]["runId"] == done["run"]["runId"] == run_uuid(receipt.run_id)
    assert start["eventTime"] <= done["eventTime"]
    assert done["job"]["name"] == "checkins"


def test_the_complete_event_holds_the_figures_of_the_receipt(project: Project) -> None:
    project.records([*events(30), "broken"])
    receipt = project.run()
    done = told(project)[-1]
    own = done["run"]["facets"]["minimize"]
    assert (own["run_id"], own["kind"], own["dates"]) == (receipt.run_id, "run", [DAY])
    assert (own["receipt"], own["sequence"]) == (receipt.digest, 1)
    assert own["policy"]["digest"] == receipt.policy.digest
    assert own["rows"]["quarantined"] == 1
    assert done["inputs"][0]["inputFacets"]["inputStatistics"]["rowCount"] == 31
    statistics = {each["name"].rpartition("/")[2]: each["outputFacets"]["outputStatistics"] for each in done["outputs"]}
    assert {name: each["rowCount"] for name, each in statistics.items()} == {
        name: output.rows for name, output in receipt.outputs.items()
    }


def test_datasets_are_the_folders_that_are_read_and_written(project: Project) -> None:
    project.records(events(30))
    project.run()
    done = told(project)[-1]
    assert [each["name"] for each in done["inputs"]] == [str(project.folder / "data")]
    assert [each["name"] for each in done["outputs"]] == [str(project.out / name) for name in ("records", "per_model")]


def test_the_nominal_time_spans_the_batch_dates(project: Project) -> None:
    project.records(events(30))
    project.records(events(30), day=BEFORE)
    project.run()
    span = told(project)[0]["run"]["facets"]["nominalTime"]
    assert (span["nominalStartTime"], span["nominalEndTime"]) == ("2026-11-23T00:00:00Z", "2026-11-25T00:00:00Z")


def test_a_source_without_dates_has_no_nominal_time(project: Project) -> None:
    project.pipeline(source={"path": f"data/{DAY}/*.ndjson.gz", "format": "ndjson"}, aggregates=None)
    project.records(events(30))
    project.run()
    assert "nominalTime" not in told(project)[0]["run"]["facets"]


def test_a_failing_run_emits_a_fail_event_with_its_code(project: Project) -> None:
    project.pipeline(quarantine={"stop_above": 0.01})
    project.records([*events(9), "broken"])
    with pytest.raises(StoppedError):
        project.run()
    start, end = told(project)
    assert (start["eventType"], end["eventType"]) == ("START", "FAIL")
    assert end["run"]["facets"]["errorMessage"]["message"].startswith("E400: ")


def test_a_run_that_is_stopped_from_outside_is_aborted(project: Project) -> None:
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    project.records(events(9))
    with at_checkpoint("begin.after", stop), pytest.raises(KeyboardInterrupt):
        project.run()
    assert [each["eventType"] for each in told(project)] == ["START", "ABORT"]


def test_a_damaged_input_emits_a_fail_event(project: Project) -> None:
    path = project.records(events(300))
    project.run()
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(SourceError):
        project.run()
    assert [each["eventType"] for each in told(project)] == ["START", "COMPLETE", "START", "FAIL"]


def test_a_refused_run_emits_a_fail_event(project: Project) -> None:
    project.records(events(30))
    project.run()
    project.policy({"device_id": {"type": "string", "role": "identifier", "do": "keep"}})
    with pytest.raises(RefusedError):
        project.run()
    start, end = told(project)[2:]
    assert (start["eventType"], start["outputs"], end["eventType"]) == ("START", [], "FAIL")
    assert end["run"]["facets"]["errorMessage"]["message"].startswith("E300: ")


def test_a_failure_is_reported_without_creating_the_output_folder(project: Project) -> None:
    project.policy({"device_id": {"type": "string", "role": "identifier", "do": "keep"}})
    project.records(events(30))
    with pytest.raises(RefusedError):
        project.run(metrics=project.folder / "told")
    assert not project.out.exists()
    assert "minimize_last_run_success" in (project.folder / "told/minimize_checkins.prom").read_text()


def test_a_run_without_work_creates_no_output_folder(project: Project) -> None:
    project.run()
    assert not project.out.exists()


def test_a_replay_emits_events_of_its_kind(project: Project) -> None:
    project.records([*events(30), event(31, contacts=["x"])])
    project.run()
    project.policy(never=None)
    replay(project.out, at=AT + timedelta(hours=1), keys=project.keys)
    assert [each["run"]["facets"]["minimize"]["kind"] for each in told(project)] == ["run", "run", "replay", "replay"]


def test_in_the_output_folder_no_file_is_added(project: Project) -> None:
    project.records(events(30))
    project.run()
    minimize.verify(project.out, keys=project.keys)


def test_events_are_written_to_the_given_file_or_not_at_all(project: Project) -> None:
    project.records(events(30))
    project.run(lineage=project.folder / "told" / "events.ndjson")
    assert len(told(project, project.folder / "told" / "events.ndjson")) == 2
    project.run(lineage="off")
    assert not (project.folder / "_out.lineage.ndjson").exists()


def test_the_namespace_is_the_environments(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENLINEAGE_NAMESPACE", "fleet")
    project.records(events(30))
    project.run()
    assert {each["job"]["namespace"] for each in told(project)} == {"fleet"}


def test_each_shipped_pipeline_emits_valid_events(tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    new_keyring(keys, ("device", "user", "session"), now=AT)
    settings = ROOT / "sample_data/usage_events/settings.csv"
    places: dict[str, Any] = {"output": tmp_path / "out", "ledger": tmp_path / "ledger.db", "keys": keys}
    minimize.run(ROOT / "pipelines/usage_events", at=AT, settings=settings, **places)
    found = [json.loads(line) for line in (tmp_path / "_out.lineage.ndjson").read_text().splitlines()]
    assert [fault for each in found for fault in faults(each)] == []
    assert len(found) == 2


def test_the_specification_in_our_words_would_find_faults() -> None:
    assert len(faults({"eventType": "DONE", "run": {"runId": "7"}, "job": {"namespace": "n"}})) >= 5


def test_a_fault_in_telling_fails_no_run(project: Project, caplog: pytest.LogCaptureFixture) -> None:
    def broken(*_: object) -> None:
        raise ValueError("canary")

    project.records(events(30))
    with at_checkpoint("lineage.described", broken):
        assert project.run().rows.written == 30
    assert {getattr(record, "code", None) for record in caplog.records} == {"W020"}
    assert "canary" not in caplog.text


def test_lineage_files_in_the_source_folder_are_not_read_as_input(project: Project) -> None:
    project.pipeline(source={"path": "data/*.ndjson", "format": "ndjson"}, aggregates=None)
    (project.folder / "data").mkdir()
    (project.folder / "data" / "a.ndjson").write_text("".join(json.dumps(each) + "\n" for each in events(30)))
    for _ in range(2):
        receipt = project.run(output=project.folder / "data" / "out")
    assert (project.folder / "data" / "_out.lineage.ndjson").exists()
    assert [each.path for each in receipt.inputs] == ["a.ndjson"]
