"""Every folder of pipelines/: it loads, lints, plans, runs on the committed sample (or on records made by hand), balances and
verifies."""

from __future__ import annotations

from decimal import Decimal
from functools import cache
from typing import Any

import pytest
from minimize_samples.dataset import FATAL_SHARE

from minimize.policy.fields import is_dropped
from minimize.policy.load import load_pipeline
from minimize.policy.pipeline import Pipeline
from minimize.runs.inspection import plan_for

from . import handmade
from .handmade import leaves
from .shipped import DATASETS, NAMES, PIPELINES, RECEIVED, SAMPLED, SENT, Runs, minimize, sample, sample_lines

every = pytest.mark.parametrize("name", NAMES)
sampled = pytest.mark.parametrize("name", sorted(set(SAMPLED) - set(SENT) - set(RECEIVED)))
"""The pipelines whose sample is large enough for everything that goes wrong in one record of a hundred or a thousand."""
AUDIT = "audit_events"
FORBIDDEN = (
    *("call_history", "web_history", "mail", "text_messages", "sms", "contacts", "calendar", "password", "photos"),
    *("pictures", "camera_roll", "files"),
)
STRANGE = {"debug", "beta_ring", "experiment", "carol@mail.example", "contacts", "password"}


@cache
def loaded(name: str) -> Pipeline:
    return load_pipeline(PIPELINES / name)


def hidden(name: str) -> set[str]:
    """The identifiers and secrets that may not leave as they are."""
    plan = minimize("plan", str(PIPELINES / name), "--json").json["fields"]
    roles = {key: field.role for key, field in loaded(name).policy.fields.items()}
    return {
        key for key, field in plan.items() if roles[key] in ("identifier", "secret") and field["residual"] != "original"
    }


@every
def test_it_is_named_after_its_folder(name: str) -> None:
    assert loaded(name).pipeline == name


@every
def test_it_lints_without_an_error(name: str, runs: Runs) -> None:
    done = minimize("lint", str(PIPELINES / name), "--json", keys=runs.keys)
    assert [finding for finding in done.json["findings"] if finding["severity"] == "error"] == []
    assert done.code == 0


@every
def test_its_plan_needs_no_keyring_and_keeps_its_promise(name: str) -> None:
    done = minimize("plan", str(PIPELINES / name), "--json")
    assert done.code == 0, done.err
    records = loaded(name).records
    assert records is not None
    assert done.json["outputs"]["records"]["category"] == records.must_be


@every
def test_its_policy_names_every_field_of_the_sample(name: str) -> None:
    policy = loaded(name).policy
    named = {field.pointer.top for field in policy.fields.values()}
    assert {key for record in sample(DATASETS[name]) for key in record} - STRANGE <= named


@every
def test_records_are_kept_for_thirty_days_at_most_and_audit_events_for_a_year(name: str) -> None:
    retention = loaded(name).policy.retention
    assert retention is not None
    assert retention.days == 365 if name == AUDIT else retention.days <= 30


@every
def test_it_runs_and_every_row_is_accounted_for(name: str, runs: Runs) -> None:
    ran = runs[name]
    assert ran.done.code == 0, ran.done.err
    rows = ran.receipt["rows"]
    assert rows["read"] == sum(len(lines) for lines in sample_lines(DATASETS[name]))
    parts = ("written", "gated", "quarantined", "suppressed", "deduplicated")
    assert rows["read"] == sum(rows[part] for part in parts)
    assert rows["written"] > 0


@every
def test_its_outputs_have_the_row_counts_of_the_receipt(name: str, runs: Runs) -> None:
    outputs = runs[name].receipt["outputs"]
    assert set(outputs) == {"records", *loaded(name).aggregates}
    for output, said in outputs.items():
        assert runs[name].table(output).num_rows == said["rows"] > 0, output


@every
def test_its_output_verifies(name: str, runs: Runs) -> None:
    done = minimize("verify", str(runs[name].output), keys=runs.keys)
    assert done.code == 0, done.out + done.err


@every
def test_every_identifier_of_its_output_is_covered_by_a_rule(name: str, runs: Runs) -> None:
    done = minimize("subject", "coverage", "--json", "--in", str(runs[name].output), keys=runs.keys)
    assert (done.code, done.json["ok"]) == (0, True), done.out
    assert done.json["targets"]


@sampled
def test_its_quarantine_has_every_code_that_the_sample_provokes(name: str, runs: Runs) -> None:
    quarantine = runs[name].receipt["quarantine"]
    assert {"malformed", "wrong_type", "missing_field", "forbidden_field", "bad_time"} == set(quarantine["by_code"])
    faults = sum(int(len(lines) * FATAL_SHARE) for lines in sample_lines(DATASETS[name]))
    assert quarantine["rows"] == sum(quarantine["by_code"].values()) == faults


@sampled
def test_old_records_are_gated_by_retention(name: str, runs: Runs) -> None:
    assert runs[name].receipt["gated_by"]["retention"] > 0


@sampled
def test_an_undeclared_name_that_could_be_a_person_is_not_shown(name: str, runs: Runs) -> None:
    assert runs[name].receipt["undeclared"]
    assert "carol" not in runs[name].done.out


@every
def test_no_identifier_or_secret_is_released_as_it_is(name: str, runs: Runs) -> None:
    keys = hidden(name)
    raw = {value for record in sample(DATASETS[name]) for key, value in leaves(record) if key in keys}
    released = {value for row in runs[name].rows() for _, value in leaves(row) if isinstance(value, str)}
    assert {value for value in raw if value is not None}
    assert not raw & released


@every
def test_small_groups_are_absent(name: str, runs: Runs) -> None:
    for aggregate, said in runs[name].receipt["outputs"].items():
        if aggregate != "records":
            below, keyed = loaded(name).aggregates[aggregate].suppress, runs[name].rows(aggregate)
            counted = (below.counting or "", loaded(name).policy.subject)
            counts = [
                column
                for column, measure in loaded(name).aggregates[aggregate].measures.items()
                if measure.counts_distinct and measure.of in counted
            ]
            assert all(row[count] >= below.below + 3 for row in keyed for count in counts)
        assert "groups_suppressed" not in said


def bounded_measures() -> list[tuple[str, str, str]]:
    """The pipeline, aggregate and measure of each mean and sum of the pipelines with large samples."""
    return [
        (name, table, key)
        for name in sorted(set(SAMPLED) - set(SENT) - set(RECEIVED))
        for table, aggregate in loaded(name).aggregates.items()
        for key, measure in aggregate.measures.items()
        if measure.name in ("mean", "sum")
    ]


@pytest.mark.parametrize(("name", "table", "measure"), bounded_measures())
def test_a_figure_of_a_hundred_subjects_is_larger_than_its_noise(name: str, table: str, measure: str) -> None:
    """Its bounds include nearly all values of the sample, and are so close that its noise is below a third of the figure."""
    definition = plan_for(PIPELINES / name).aggregates[table].definition
    bounds, field = definition.measures[measure].bounds, loaded(name).aggregates[table].measures[measure].of
    assert bounds is not None
    assert definition.noise is not None
    found = [record.get(str(field)) for record in sample(DATASETS[name])]
    values = [value for value in found if isinstance(value, int | float) and not isinstance(value, bool)]
    assert sum(value <= bounds.high for value in values) >= 0.95 * len(values) > 100
    mean = sum(min(max(value, bounds.low), bounds.high) for value in map(Decimal, values)) / len(values)
    noise = float(definition.noise.total_sd) * definition.limits.rows * bounds.distance
    assert noise < 100 * float(mean) / 3


@every
def test_never_collected_fields_are_refused_at_any_depth(name: str) -> None:
    named = {each.name_at_any_depth for each in loaded(name).policy.never}
    assert set(FORBIDDEN) <= named


@every
def test_every_field_that_is_dropped_for_all_purposes_has_a_reason(name: str) -> None:
    silent = [key for key, field in loaded(name).policy.fields.items() if is_dropped(field) and not field.about]
    assert DATASETS[name] in ("device_telemetry", "usage_events") or silent == []


@every
def test_every_secret_is_dropped(name: str) -> None:
    secrets = [field for field in loaded(name).policy.fields.values() if field.role == "secret"]
    assert all(is_dropped(field) for field in secrets)


@pytest.mark.parametrize("name", [name for name in NAMES if DATASETS[name] in handmade.DATASETS])
def test_its_policy_names_the_leaves_of_its_dataset_and_nothing_else(name: str) -> None:
    leaves_of_records = {key for record in handmade.records(DATASETS[name]) for key, _ in leaves(record)}
    assert set(loaded(name).policy.fields) == leaves_of_records


def test_identified_columns_are_encrypted_and_records_with_positions_by_category() -> None:
    outputs = {name: records for name in NAMES if (records := loaded(name).records) is not None}
    words = {name: None if records.encrypt is None else records.encrypt.by for name, records in outputs.items()}
    assert {name for name, word in words.items() if word is not None} == {"device_lookup", "device_support"}
    assert {loaded(name).encryption.default for name in NAMES} == {"identified"}


def test_a_device_a_user_and_an_administrator_have_one_pseudonym_in_all_datasets(runs: Runs) -> None:
    datasets = {
        "device_id": ("device_inventory", "hardware_inventory", "app_inventory", "enrollments", "managed_apps"),
        "user_id": ("device_inventory", "enrollments", "managed_apps"),
        "admin_id": ("administrators", "console_usage", "audit_events"),
        "account_id": ("administrators", "device_inventory"),
    }
    for key, names in datasets.items():
        found = [pseudonyms(runs[name].rows(), key if name != "audit_events" else "actor_id") for name in names]
        assert set.intersection(*found), key


def pseudonyms(rows: list[dict[str, Any]], key: str) -> set[str]:
    return {row[key] for row in rows if row[key] is not None}
