"""A run tells lineage of itself: events that obey the specification, one a line."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

import minimize
from minimize.errors import RefusedError, SourceError, StoppedError
from minimize.job.replay import replay
from minimize.keys import new_keyring
from minimize.observability.events import run_uuid
from tests.observability.spec import faults
from tests.pipelines.shipped import ROOT
from tests.project import AT, BEFORE, DAY, Project, event, events


def told(house: Project, file: Path | None = None) -> list[dict[str, Any]]:
    found = [json.loads(line) for line in (file or house.folder / "_out.lineage.ndjson").read_text().splitlines()]
    assert [fault for each in found for fault in faults(each)] == []
    return found


def test_a_run_tells_that_it_begins_and_that_it_is_done(house: Project) -> None:
    house.records(events(30))
    receipt = house.run()
    start, done = told(house)
    assert [each["eventType"] for each in (start, done)] == ["START", "COMPLETE"]
    assert start["run"]["runId"] == done["run"]["runId"] == run_uuid(receipt.run_id)
    assert start["eventTime"] <= done["eventTime"]
    assert done["job"]["name"] == "checkins"


def test_the_end_tells_what_the_receipt_tells(house: Project) -> None:
    house.records([*events(30), "broken"])
    receipt = house.run()
    done = told(house)[-1]
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


def test_datasets_are_the_folders_that_are_read_and_written(house: Project) -> None:
    house.records(events(30))
    house.run()
    done = told(house)[-1]
    assert [each["name"] for each in done["inputs"]] == [str(house.folder / "data")]
    assert [each["name"] for each in done["outputs"]] == [str(house.out / name) for name in ("records", "per_model")]


def test_the_nominal_time_spans_the_batch_dates(house: Project) -> None:
    house.records(events(30))
    house.records(events(30), day=BEFORE)
    house.run()
    span = told(house)[0]["run"]["facets"]["nominalTime"]
    assert (span["nominalStartTime"], span["nominalEndTime"]) == ("2026-11-23T00:00:00Z", "2026-11-25T00:00:00Z")


def test_a_source_without_dates_has_no_nominal_time(house: Project) -> None:
    house.pipeline(source={"path": f"data/{DAY}/*.ndjson.gz", "format": "ndjson"})
    house.records(events(30))
    house.run()
    assert "nominalTime" not in told(house)[0]["run"]["facets"]


def test_a_run_that_fails_tells_so_by_code(house: Project) -> None:
    house.pipeline(quarantine={"stop_above": 0.01})
    house.records([*events(9), "broken"])
    with pytest.raises(StoppedError):
        house.run()
    start, end = told(house)
    assert (start["eventType"], end["eventType"]) == ("START", "FAIL")
    assert end["run"]["facets"]["errorMessage"]["message"].startswith("E400: ")


def test_a_run_that_is_stopped_from_outside_is_aborted(house: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    house.records(events(9))
    monkeypatch.setattr("minimize.job.job.moved", stop)
    with pytest.raises(KeyboardInterrupt):
        house.run()
    assert [each["eventType"] for each in told(house)] == ["START", "ABORT"]


def test_a_damaged_input_is_a_failure_that_is_told(house: Project) -> None:
    path = house.records(events(300))
    house.run()
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(SourceError):
        house.run()
    assert [each["eventType"] for each in told(house)] == ["START", "COMPLETE", "START", "FAIL"]


def test_a_run_that_is_refused_before_it_reads_is_a_failure_that_is_told(house: Project) -> None:
    house.records(events(30))
    house.run()
    house.policy({"device_id": {"type": "string", "role": "identifier", "do": "keep"}})
    with pytest.raises(RefusedError):
        house.run()
    start, end = told(house)[2:]
    assert (start["eventType"], start["outputs"], end["eventType"]) == ("START", [], "FAIL")
    assert end["run"]["facets"]["errorMessage"]["message"].startswith("E300: ")


def test_no_output_folder_is_made_to_tell_of_a_failure(house: Project) -> None:
    house.policy({"device_id": {"type": "string", "role": "identifier", "do": "keep"}})
    house.records(events(30))
    with pytest.raises(RefusedError):
        house.run(metrics=house.folder / "told")
    assert not house.out.exists()
    assert "minimize_last_run_success" in (house.folder / "told/minimize_checkins.prom").read_text()


def test_nothing_to_do_is_nothing_to_tell(house: Project) -> None:
    house.run()
    assert not house.out.exists()


def test_a_replay_is_told_as_one(house: Project) -> None:
    house.records([*events(30), event(31, contacts=["x"])])
    house.run()
    house.policy(never=None)
    replay(house.out, at=AT + timedelta(hours=1), keys=house.keys)
    assert [each["run"]["facets"]["minimize"]["kind"] for each in told(house)] == ["run", "run", "replay", "replay"]


def test_in_the_output_folder_no_file_is_added(house: Project) -> None:
    house.records(events(30))
    house.run()
    minimize.verify(house.out, keys=house.keys)


def test_events_go_where_they_are_told_to_or_nowhere(house: Project) -> None:
    house.records(events(30))
    house.run(lineage=house.folder / "told" / "events.ndjson")
    assert len(told(house, house.folder / "told" / "events.ndjson")) == 2
    house.run(lineage="off")
    assert not (house.folder / "_out.lineage.ndjson").exists()


def test_the_namespace_is_the_environments(house: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENLINEAGE_NAMESPACE", "fleet")
    house.records(events(30))
    house.run()
    assert {each["job"]["namespace"] for each in told(house)} == {"fleet"}


def test_every_shipped_pipeline_tells_valid_events(tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    new_keyring(keys, ("device", "user", "session"), now=AT)
    minimize.run(ROOT / "pipelines/usage_events", at=AT, output=tmp_path / "out", keys=keys)
    found = [json.loads(line) for line in (tmp_path / "_out.lineage.ndjson").read_text().splitlines()]
    assert [fault for each in found for fault in faults(each)] == []
    assert len(found) == 2


def test_the_specification_in_our_words_would_find_faults() -> None:
    assert len(faults({"eventType": "DONE", "run": {"runId": "7"}, "job": {"namespace": "n"}})) >= 5


def test_a_fault_in_telling_fails_no_run(
    house: Project, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object) -> None:
        raise ValueError("canary")

    monkeypatch.setattr("minimize.observability.events.column_lineage", broken)
    house.records(events(30))
    assert house.run().rows.written == 30
    assert {getattr(record, "code", None) for record in caplog.records} == {"W020"}
    assert "canary" not in caplog.text


def test_events_beside_an_output_that_lies_beside_its_source_are_not_read(house: Project) -> None:
    house.pipeline(source={"path": "data/*.ndjson", "format": "ndjson"})
    (house.folder / "data").mkdir()
    (house.folder / "data" / "a.ndjson").write_text("".join(json.dumps(each) + "\n" for each in events(30)))
    for _ in range(2):
        receipt = house.run(output=house.folder / "data" / "out")
    assert (house.folder / "data" / "_out.lineage.ndjson").exists()
    assert [each.path for each in receipt.inputs] == ["a.ndjson"]
