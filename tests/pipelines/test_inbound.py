"""The pipelines whose records third parties send: one for each function, nothing without consent, computed states."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from minimize_samples.world import TENANTS

from minimize.keys import Keyring
from minimize.policy.load import load_pipeline
from minimize.recipients import Function, load_recipient

from .shipped import AT, PIPELINES, RECEIVED, RECIPIENTS, Ran, Runs, consent, minimize, new_keys, sample

every = pytest.mark.parametrize("name", sorted(RECEIVED))
SECRETS = {
    "apple_push_token_update": {"Token", "PushMagic", "UnlockToken"},
    "google_android_management_sync": {"serviceAccountKeys"},
}
ENVELOPE = {"message_id", "tenant_id", "received_at"}


def function_of(name: str) -> Function:
    recipient, function = RECEIVED[name]
    found = load_recipient(RECIPIENTS / f"{recipient}.yaml").function(function)
    assert found is not None
    return found


def test_every_function_that_receives_has_a_pipeline() -> None:
    functions = {
        f"{recipient.recipient}_{name}"
        for path in RECIPIENTS.glob("*.yaml")
        if path.stem != "subprocessors"
        for recipient in (load_recipient(path),)
        for name, function in recipient.functions.items()
        if function.direction == "inbound"
    }
    assert functions == {*RECEIVED, "configmgr_site_summary"}
    assert len(functions) == 10


@every
def test_its_policy_names_every_field_of_the_function_and_the_envelope(name: str) -> None:
    policy = load_pipeline(PIPELINES / name).policy
    assert set(policy.fields) == {*function_of(name).fields, *ENVELOPE}


@every
def test_its_function_has_prerequisites(name: str) -> None:
    assert function_of(name).requires


@every
def test_all_that_is_kept_is_in_the_sample(name: str, runs: Runs) -> None:
    table = runs[name].table()
    assert [column for column in table.column_names if table.column(column).null_count == table.num_rows] == []


@every
def test_nothing_is_kept_of_tenants_that_did_not_agree(name: str, tmp_path: Path) -> None:
    keys = new_keys(tmp_path / "test.keys")
    agreed = TENANTS[1]
    consent(tmp_path / "ledger.db", Keyring.load(keys), *RECEIVED[name], tenants=[agreed])
    output = tmp_path / "out"
    done = minimize("run", str(PIPELINES / name), "--at", AT, "--output", str(output), "--json", keys=keys)
    ran = Ran(output, done, keys)
    assert done.code == 0, done.err
    assert set(ran.table().column("tenant_id").to_pylist()) == {agreed}
    rows = ran.receipt["rows"]
    kept_out = ran.receipt["gated_by"]["consent"]
    others = sum(1 for record in sample(name) if record.get("tenant_id") in set(TENANTS) - {agreed})
    assert 0 < others - rows["quarantined"] <= kept_out <= others


@every
def test_secrets_are_in_no_output(name: str, runs: Runs) -> None:
    policy = load_pipeline(PIPELINES / name).policy
    secrets = {key for key, field in policy.fields.items() if field.role == "secret"}
    assert secrets == SECRETS.get(name, set())
    assert not secrets & set(runs[name].table().column_names)


@every
def test_the_receipt_names_the_sender(name: str, runs: Runs) -> None:
    received = runs[name].receipt["received"]
    assert (received["recipient"], received["function"]) == RECEIVED[name]


def test_receive_runs_it(tmp_path: Path) -> None:
    keys = new_keys(tmp_path / "test.keys")
    consent(tmp_path / "ledger.db", Keyring.load(keys), "jamf", "compliance")
    where = ("--pipeline", str(PIPELINES / "jamf_compliance"), "--output", str(tmp_path / "out"))
    arguments = ("receive", "jamf", "compliance", *where, "--date", "2026-11-24", "--at", AT, "--json")
    done = minimize(*arguments, keys=keys)
    assert done.code == 0, done.err
    assert Ran(tmp_path / "out", done, keys).table().num_rows == done.json["rows"]["written"] > 0


def test_a_device_of_apple_has_one_pseudonym_in_all_its_messages(runs: Runs) -> None:
    names = ("apple_push_authenticate", "apple_push_token_update", "apple_push_checkout", "apple_push_commands")
    found = [set(runs[name].table().column("UDID").to_pylist()) for name in names]
    assert set.intersection(*found)


@pytest.mark.parametrize(
    ("name", "key"), [("apple_push_commands", "ErrorChain"), ("apple_device_enrollment_sync", "description")]
)
def test_free_text_has_no_addresses(name: str, key: str, runs: Runs) -> None:
    texts = [row[key] for row in runs[name].rows() if row[key]]
    assert any("[email]" in text for text in texts)
    assert not any("@" in text for text in texts)


def test_only_the_last_check_in_decides_whether_a_mac_is_activated(runs: Runs) -> None:
    rows = runs["jamf_compliance"].rows()
    assert {row["inventory_state"] for row in rows} == {"activated", "deactivated"}
    ages = [(row["received_at"] - row["last_check_in"], row["inventory_state"]) for row in rows]
    # One is rounded to the hour and the other to the day.
    assert {state for age, state in ages if age < timedelta(hours=23)} == {"activated"}
    assert {state for age, state in ages if age >= timedelta(hours=48)} == {"deactivated"}
    assert {record.get("inventory_state") for record in sample("jamf_compliance") if is_old(record)} > {"deactivated"}


def is_old(record: dict[str, Any]) -> bool:
    """Whether a record of the sample says that the last contact was on another day than yesterday or today."""
    return str(record.get("last_check_in")) < "2026-11-22"


def test_a_threat_without_contact_for_seven_days_does_not_count(runs: Runs) -> None:
    rows = runs["threat_defense_threat_state"].rows()
    old = [row for row in rows if row["received_at"] - row["last_contact"] >= timedelta(days=8)]
    assert old
    assert {row["threat_state"] for row in old} == {"unresponsive"}
    assert "highSeverity" in {row["threat_state"] for row in rows}
