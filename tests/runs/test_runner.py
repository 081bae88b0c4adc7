"""`run`: what a run promises about its receipt, its dates, and what it refuses before it reads."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

import minimize
from minimize.errors import (
    ConfigurationError,
    KeyringError,
    OutputError,
    PolicyError,
    RefusedError,
    SourceError,
    StoppedError,
)
from minimize.keys import Keyring, new_keyring
from minimize.policy.pipeline import Pipeline
from minimize.runs import quarantine_exceeded
from minimize.stores.durable_files import file_digest
from tests.project import AT, BEFORE, DAY, LASTING, NOISY_AGGREGATES, Project, event, events, sha256

LATER = AT + timedelta(hours=1)


def test_every_row_has_one_fate(project: Project) -> None:
    old = event(1000, event_time="2026-10-01T00:00:00Z")
    project.records([*events(40), old, "no json", event(41, device_id=None), event(42, contacts=["x"])])
    rows = project.run().rows
    assert (rows.read, rows.written, rows.gated, rows.quarantined) == (44, 40, 1, 3)
    assert (rows.suppressed, rows.deduplicated) == (0, 0)


def test_the_receipt_records_the_request(project: Project) -> None:
    project.records(events(30))
    receipt = project.run()
    assert (receipt.at, receipt.at_given, receipt.dates) == (AT, True, (DAY,))
    assert (receipt.pipeline, receipt.purpose, receipt.engine) == ("checkins", "service_maintenance", "local")
    assert receipt.policy.digest == sha256(project.folder / "policy.yaml")
    assert (receipt.policy.name, receipt.policy.version) == ("checkins", 3)
    assert receipt.keys == ("device/1",)
    assert receipt.settings is not None
    assert receipt.settings.digest.startswith("sha256:")
    assert set(receipt.versions) == {"minimize", "numpy", "pyarrow"}
    assert receipt.started <= receipt.finished


def test_the_receipt_lists_the_inputs_with_their_rows(project: Project) -> None:
    first, second = project.records(events(30)), project.records([*events(5, 30), "broken"], name="b")
    inputs = {each.path: (each.digest, each.rows) for each in project.run().inputs}
    assert inputs == {f"{DAY}/a.ndjson.gz": (file_digest(first), 30), f"{DAY}/b.ndjson.gz": (file_digest(second), 6)}


def test_a_run_without_settings_records_none_and_collects_no_feature(project: Project) -> None:
    project.pipeline(settings=None)
    project.records(events(30))
    receipt = project.run()
    assert receipt.settings is None
    assert {row["latitude"] for row in project.rows()} == {None}
    assert receipt.fields["latitude"].gated == 30


def test_settings_that_are_given_go_before_those_of_the_pipeline(project: Project) -> None:
    project.records(events(30))
    before = project.run()
    off = project.folder / "off.csv"
    off.write_text((project.folder / "settings.csv").read_text().replace(",on,", ",off,"))
    after = project.run(settings=off, output=project.folder / "other")
    assert before.settings is not None
    assert after.settings is not None
    assert before.settings.digest != after.settings.digest
    assert {row["latitude"] for row in project.rows(output=project.folder / "other")} == {None}


def test_files_behind_the_digests_of_a_receipt_are_stored_with_it(project: Project) -> None:
    project.records(events(30))
    receipt = project.run()
    run = project.out / "runs" / receipt.run_id
    assert {path.name for path in run.iterdir()} == {"receipt.json", "policy.yaml", "pipeline.yaml", "columns.md"} | {
        "counts.sealed"
    }
    assert (run / "policy.yaml").read_bytes() == (project.folder / "policy.yaml").read_bytes()
    assert {name: sha256(run / name) for name in receipt.files} == dict(receipt.files)
    assert json.loads((run / "receipt.json").read_text())["run_id"] == receipt.run_id


def test_the_signature_of_the_receipt_is_the_keyrings(project: Project) -> None:
    project.records(events(30))
    project.run()
    minimize.verify(project.out, keys=project.keys)


def test_a_second_run_of_a_date_follows_the_first_and_replaces_its_files(project: Project) -> None:
    project.pipeline(aggregates=NOISY_AGGREGATES)
    project.records([*events(30), "broken"])
    first = project.run()
    stood = project.files()
    second = project.run(at=LATER)
    assert (first.sequence, first.previous) == (1, None)
    assert (second.sequence, second.previous) == (2, first.digest)
    assert {file.path for file in second.replaces} == stood
    assert not stood & project.files()


def test_the_same_run_again_gives_the_same_rows(project: Project) -> None:
    project.records(events(60))
    project.run()
    records, aggregate = project.rows(), project.rows("per_model")
    project.run()
    assert project.rows() == records
    assert project.rows("per_model") == aggregate
    assert len(records) == 60


def test_only_the_date_that_is_given_is_replaced(project: Project) -> None:
    project.records(events(30))
    project.records(events(30, 100), day=BEFORE)
    project.run()
    kept = {file for file in project.files() if BEFORE in file}
    project.records(events(7))
    receipt = project.run(date=DAY, allow_shrink=True)
    assert receipt.dates == (DAY,)
    assert len(project.rows(dates=DAY)) == 7
    assert {file for file in project.files() if BEFORE in file} == kept
    assert len(project.rows()) == 37


def test_without_a_date_every_date_found_is_run(project: Project) -> None:
    project.records(events(30))
    project.records(events(30, 100), day=BEFORE)
    receipt = project.run()
    assert receipt.dates == (BEFORE, DAY)
    assert receipt.rows.read == 60


def test_a_pipeline_without_dates_is_replaced_whole(project: Project) -> None:
    project.pipeline(source={"path": "data/**/*.ndjson.gz", "format": "ndjson"}, aggregates=NOISY_AGGREGATES)
    project.records(events(30))
    first = project.run()
    (project.folder / "data" / DAY / "a.ndjson.gz").unlink()
    project.records(events(9), day=BEFORE)
    second = project.run(allow_shrink=True)
    assert first.dates == second.dates == ()
    assert len(project.rows()) == 9
    assert all("date=" not in file for file in project.files())


def test_a_date_for_a_pipeline_without_dates_is_a_mistake(project: Project) -> None:
    project.pipeline(source={"path": "data/**/*.ndjson.gz", "format": "ndjson"})
    project.records(events(3))
    with pytest.raises(ConfigurationError, match=r"no \{date\}"):
        project.run(date=DAY)


@pytest.mark.usefixtures("no_output")
def test_a_time_before_now_needs_a_folder_of_its_own(project: Project) -> None:
    project.records(events(3))
    past = datetime.now(UTC) - timedelta(days=1)
    with pytest.raises(RefusedError, match="in the past") as refused:
        project.run(at=past, output=None)
    assert refused.value.exit_code == 3
    assert not project.out.exists()


@pytest.mark.usefixtures("no_output")
def test_a_time_after_now_needs_a_folder_of_its_own(project: Project) -> None:
    project.records(events(3))
    with pytest.raises(RefusedError, match="in the future"):
        project.run(at=datetime.now(UTC) + timedelta(days=1), output=None)
    assert not project.out.exists()


def test_a_time_after_now_by_no_more_than_clocks_differ_is_now(project: Project) -> None:
    project.policy(retention=None)
    project.records(events(3))
    assert project.run(at=datetime.now(UTC) + timedelta(minutes=2), output=None).rows.written == 3


def test_a_run_as_of_now_writes_to_the_output_of_the_pipeline(project: Project) -> None:
    project.policy(**LASTING)
    project.records(events(30))
    receipt = project.run(at=None, output=None)
    assert not receipt.at_given
    assert len(project.rows()) == 30


def test_no_run_is_as_of_a_time_before_the_dates_last_receipt(project: Project) -> None:
    project.records(events(30))
    project.run(at=LATER)
    stood = project.files()
    with pytest.raises(RefusedError, match="already covers these dates"):
        project.run(at=AT)
    assert project.files() == stood


def test_another_date_may_be_run_as_of_an_earlier_time(project: Project) -> None:
    project.records(events(30))
    project.run(date=DAY, at=LATER)
    project.records(events(3), day=BEFORE)
    assert project.run(date=BEFORE, at=AT).sequence == 2


def test_a_run_without_dates_is_not_as_of_a_time_before_any_receipt(project: Project) -> None:
    project.records(events(30))
    project.run(at=LATER)
    project.pipeline(source={"path": "data/**/*.ndjson.gz", "format": "ndjson"}, aggregates=NOISY_AGGREGATES)
    with pytest.raises(RefusedError, match="already covers these dates"):
        project.run(at=AT)


@pytest.mark.usefixtures("no_output")
def test_without_a_keyring_nothing_is_read(project: Project) -> None:
    damaged = project.records(events(3))
    damaged.write_bytes(b"no gzip at all")
    with pytest.raises(KeyringError, match="no keyring"):
        project.run(keys=None)
    assert not project.out.exists()


@pytest.mark.usefixtures("no_output")
def test_a_missing_key_is_named_before_anything_is_read(project: Project) -> None:
    damaged = project.records(events(3))
    damaged.write_bytes(b"no gzip at all")
    new_keyring(project.folder / "poor.keys", (), now=AT)
    with pytest.raises(KeyringError, match="device"):
        project.run(keys=project.folder / "poor.keys")
    assert not project.out.exists()


def test_a_keyring_may_be_given_loaded(project: Project) -> None:
    project.records(events(3))
    assert project.run(keys=Keyring.load(project.keys)).rows.written == 3


@pytest.mark.usefixtures("no_output")
def test_where_there_is_no_input_nothing_is_done(project: Project) -> None:
    project.records(events(3))
    receipt = project.run(date="2020-02-02")
    assert receipt.sequence == 0
    assert receipt.rows.read == 0
    assert not project.out.exists()


def test_a_run_without_input_keeps_the_output(project: Project) -> None:
    path = project.records(events(9))
    project.run()
    path.unlink()
    assert project.run().sequence == 0
    assert len(project.rows()) == 9


def test_faults_are_reported_even_without_input(project: Project) -> None:
    project.policy({"device_id": {"type": "string", "role": "identifier", "do": "keep"}})
    with pytest.raises(RefusedError):
        project.run()


def test_an_empty_file_gives_an_empty_typed_partition(project: Project) -> None:
    project.records([])
    receipt = project.run()
    table = minimize.read(project.out)
    assert receipt.sequence == 1
    assert table.num_rows == 0
    assert {"device_id", "event_time", "latitude", "date"} <= set(table.schema.names)
    assert str(table.schema.field("event_time").type) == "timestamp[us, tz=UTC]"
    assert minimize.read(project.out, "per_model").num_rows == 0


@pytest.mark.parametrize("key", ["warn_above", "fail_above"])
def test_above_the_limit_the_output_is_published_and_the_excess_reported(project: Project, key: str) -> None:
    project.pipeline(quarantine={key: 0.1})
    project.records([*events(8), "broken", "broken"])
    receipt = project.run()
    job = minimize.load_pipeline(project.folder)
    assert len(project.rows()) == 8
    assert "2 of 10 rows are in quarantine" in quarantine_exceeded(receipt, job)


def test_at_fail_above_nothing_is_reported(project: Project) -> None:
    project.pipeline(quarantine={"fail_above": 0.2})
    project.records([*events(8), "broken", "broken"])
    assert quarantine_exceeded(project.run(), minimize.load_pipeline(project.folder)) == ""


@pytest.mark.parametrize("key", ["abort_above", "stop_above"])
def test_above_the_highest_share_nothing_is_published(project: Project, key: str) -> None:
    project.pipeline(quarantine={key: 0.1})
    project.records([*events(8), "broken", "broken"])
    with pytest.raises(StoppedError, match=r"2 of 10 rows .* \(malformed 2\)") as stopped:
        project.run()
    assert stopped.value.exit_code == 4
    assert project.files() == set()


def test_a_bad_date_does_not_hide_among_good_ones(project: Project) -> None:
    project.pipeline(quarantine={"stop_above": 0.5})
    project.records(events(90), day=BEFORE)
    project.records([*events(2), "broken", "broken", "broken"])
    with pytest.raises(StoppedError, match=rf"3 of 5 rows .* on {DAY}: "):
        project.run()
    assert project.files() == set()


def test_an_output_is_one_pipelines(project: Project) -> None:
    """A folder that was named by mistake would else lose its dates to another policy."""
    project.records(events(20))
    project.run()
    standing = minimize.files(project.out)
    project.pipeline(pipeline="other")
    with pytest.raises(OutputError, match="belongs to the pipeline checkins"):
        project.run()
    assert minimize.files(project.out) == standing


def test_above_stop_above_the_earlier_output_stays(project: Project) -> None:
    project.pipeline(quarantine={"stop_above": 0.1})
    project.records(events(8))
    project.run()
    stood = project.files()
    project.records([*events(2), "broken"])
    with pytest.raises(StoppedError):
        project.run()
    assert project.files() == stood
    assert len(project.rows()) == 8
    minimize.verify(project.out, keys=project.keys)


def test_a_damaged_file_stops_the_run_and_leaves_nothing_behind(project: Project) -> None:
    project.records(events(30))
    project.run()
    stood, runs = project.files(), {path.name for path in (project.out / "runs").iterdir()}
    path = project.records(events(2000), name="b")
    path.write_bytes(path.read_bytes()[:-2000])
    with pytest.raises(SourceError) as error:
        project.run(at=LATER)
    assert error.value.exit_code == 2
    assert "b.ndjson.gz" in str(error.value)
    assert project.files() == stood
    assert {path.name for path in (project.out / "runs").iterdir()} == runs


@pytest.mark.usefixtures("no_output")
def test_a_policy_that_drops_everything_is_refused_with_the_reason(project: Project) -> None:
    project.policy(
        {key: {"type": "string", "do": "drop"} for key in ("model", "tenant_id")}
        | dict.fromkeys(("battery", "storage", "latitude"), None)
        | {
            "device_id": {"type": "string", "do": "drop"},
            "event_time": {"type": "timestamp", "do": "drop"},
        },
        features=None,
    )
    project.pipeline(aggregates=None)
    project.records(events(3))
    with pytest.raises(PolicyError, match="every field is dropped"):
        project.run()
    assert not project.out.exists()


def test_an_unknown_engine_is_a_mistake(project: Project) -> None:
    with pytest.raises(ConfigurationError, match="unknown engine"):
        project.run(engine="abacus")


def test_a_loaded_pipeline_runs_like_its_folder_and_its_file(project: Project) -> None:
    project.records(events(9))
    ways: list[Pipeline | Path] = [minimize.load_pipeline(project.folder), project.folder / "pipeline.yaml"]
    for number, given in enumerate(ways):
        receipt = minimize.run(given, at=AT, output=project.folder / f"o{number}", keys=project.keys)
        assert receipt.rows.written == 9


def test_an_object_that_is_no_pipeline_is_refused(project: Project) -> None:
    wrong: Any = minimize.load_policy(project.folder)
    with pytest.raises(ConfigurationError, match="a Policy is not a pipeline"):
        minimize.run(wrong, keys=project.keys)


def test_an_output_below_the_source_is_refused(project: Project) -> None:
    project.records(events(9))
    with pytest.raises(ConfigurationError):
        project.run(output=project.folder / "data" / "out")


def test_progress_is_reported_per_file_and_pass(project: Project) -> None:
    project.records(events(9))
    project.records(events(9), day=BEFORE)
    told: list[tuple[int, int]] = []
    project.run(progress=lambda done, of: told.append((done, of)))
    assert told == [(0, 4), (1, 4), (2, 4), (3, 4), (4, 4)]


@pytest.mark.usefixtures("no_output")
def test_the_output_folder_is_accessible_to_its_owner_only(project: Project) -> None:
    project.records(events(9))
    project.run()
    assert os.stat(project.out).st_mode & 0o077 == 0


def test_a_removed_output_of_the_pipeline_disappears_with_the_date_that_is_run_again(project: Project) -> None:
    project.records(events(30))
    project.records(events(30, 100), day=BEFORE)
    project.run()
    project.pipeline(aggregates=None)
    receipt = project.run(date=DAY, at=LATER)
    assert {f.path.split("/")[0] for f in receipt.replaces} == {"records", "per_model"}
    assert {path.parent.name for path in (project.out / "per_model").rglob("*.parquet")} == {f"date={BEFORE}"}
    minimize.verify(project.out, keys=project.keys)


def test_a_pipeline_with_aggregates_writes_no_records_by_default(project: Project) -> None:
    project.pipeline(records=None)
    project.records(events(30))
    receipt = project.run()
    assert set(receipt.outputs) == {"per_model"}
    assert not (project.out / "records").exists()
    minimize.verify(project.out, keys=project.keys)


def test_a_pipeline_without_aggregates_always_writes_records(project: Project) -> None:
    project.pipeline(records=None, aggregates=None)
    project.records(events(30))
    assert set(project.run().outputs) == {"records"}
