"""Every folder of pipelines/: it loads, lints, plans, runs on the committed sample, balances and verifies."""

from __future__ import annotations

from pathlib import Path

import pytest

from minimize.policy.load import load_pipeline
from minimize.policy.pipeline import Pipeline
from minimize.samples.faults import FATAL_SHARE

from .shipped import NAMES, PIPELINES, Runs, minimize, sample, sample_lines

pytestmark = pytest.mark.parametrize("name", NAMES)
STRANGE = {"debug", "beta_ring", "experiment", "carol@mail.example", "contacts", "password"}
IDENTIFIERS = (
    *("event_id", "device_id", "user_id", "user_principal_name", "serial_number", "imei", "wifi_mac"),
    *("sdk_user_id", "user_email", "display_name", "session_guid", "correlation_id"),
)


def loaded(name: str) -> Pipeline:
    return load_pipeline(PIPELINES / name)


def dataset(name: str) -> str:
    return Path(loaded(name).source.path).parts[-3]


def test_it_is_named_after_its_folder(name: str) -> None:
    assert loaded(name).pipeline == name


def test_it_lints_without_an_error(name: str, runs: Runs) -> None:
    done = minimize("lint", str(PIPELINES / name), "--json", keys=runs.keys)
    assert [finding for finding in done.json["findings"] if finding["severity"] == "error"] == []
    assert done.code == 0


def test_its_plan_needs_no_keyring_and_keeps_its_promise(name: str) -> None:
    done = minimize("plan", str(PIPELINES / name), "--json")
    assert done.code == 0, done.err
    records = loaded(name).records
    assert records is not None
    assert done.json["outputs"]["records"]["category"] == records.must_be


def test_its_policy_names_every_field_of_the_sample(name: str) -> None:
    policy = loaded(name).policy
    named = {field.pointer.top for field in policy.fields.values()}
    assert {key for record in sample(dataset(name)) for key in record} - STRANGE <= named


def test_telemetry_is_kept_for_thirty_days_at_most(name: str) -> None:
    retention = loaded(name).policy.retention
    assert retention is not None
    assert retention.days <= 30


def test_it_runs_and_every_row_is_accounted_for(name: str, runs: Runs) -> None:
    ran = runs[name]
    assert ran.done.code == 0, ran.done.err
    rows = ran.receipt["rows"]
    assert rows["read"] == sum(len(lines) for lines in sample_lines(dataset(name)))
    parts = ("written", "gated", "quarantined", "suppressed", "deduplicated")
    assert rows["read"] == sum(rows[part] for part in parts)
    assert rows["written"] > 0


def test_its_outputs_hold_the_rows_that_the_receipt_says(name: str, runs: Runs) -> None:
    outputs = runs[name].receipt["outputs"]
    assert set(outputs) == {"records", *loaded(name).aggregates}
    for output, said in outputs.items():
        assert runs[name].table(output).num_rows == said["rows"] > 0, output


def test_its_output_verifies(name: str, runs: Runs) -> None:
    done = minimize("verify", str(runs[name].output), keys=runs.keys)
    assert done.code == 0, done.out + done.err


def test_whoever_its_output_names_is_found_by_a_rule(name: str, runs: Runs) -> None:
    done = minimize("subject", "coverage", "--json", "--in", str(runs[name].output), keys=runs.keys)
    assert (done.code, done.json["ok"]) == (0, True), done.out
    assert done.json["targets"]


def test_its_quarantine_has_every_code_that_the_sample_provokes(name: str, runs: Runs) -> None:
    quarantine = runs[name].receipt["quarantine"]
    assert {"malformed", "wrong_type", "missing_field", "forbidden_field", "bad_time"} == set(quarantine["by_code"])
    faults = sum(int(len(lines) * FATAL_SHARE) for lines in sample_lines(dataset(name)))
    assert quarantine["rows"] == sum(quarantine["by_code"].values()) == faults


def test_old_records_are_gated_by_retention(name: str, runs: Runs) -> None:
    assert runs[name].receipt["gated_by"]["retention"] > 0


def test_an_undeclared_name_that_could_be_a_person_is_not_shown(name: str, runs: Runs) -> None:
    assert runs[name].receipt["undeclared"]
    assert "carol" not in runs[name].done.out


def test_no_direct_identifier_of_the_sample_is_released(name: str, runs: Runs) -> None:
    raw = {record[key] for record in sample(dataset(name)) for key in IDENTIFIERS if record.get(key)}
    released = {value for row in runs[name].rows() for value in row.values() if isinstance(value, str)}
    assert raw
    assert not raw & released


def test_small_groups_are_absent(name: str, runs: Runs) -> None:
    for aggregate, said in runs[name].receipt["outputs"].items():
        counts = ("devices", "users")
        rows = [] if aggregate == "records" else runs[name].rows(aggregate)
        assert all(row[count] >= 10 for row in rows for count in counts if row.get(count) is not None)
        assert aggregate == "records" or said["groups_suppressed"] >= 0
