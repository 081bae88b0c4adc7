"""What the shipped configuration protects: columns by which a person is found or reached, and the statements about measures."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

import minimize
from minimize.governance.incidents.contacts import administrator_contacts
from minimize.report.documentation import collect_documentation
from minimize.runs.inspection import make_plan
from minimize.workspace import Workspace
from tests.project import AT, CHECKOUT, demonstration, write_keyring

PIPELINES = CHECKOUT / "pipelines"


@pytest.mark.parametrize(
    ("pipeline", "columns"),
    [
        ("device_support", ["position", "phone_number"]),
        (
            "apple_device_enrollment",
            ["org_email", "org_phone", "org_address", "support_phone_number", "support_email_address"],
        ),
        ("administrator_contacts", ["owner_email", "phone_number", "user_principal_name"]),
        ("support_cases", ["contact_email", "contact_phone"]),
    ],
)
def test_positions_addresses_and_telephone_numbers_are_encrypted_and_read_under_a_grant(
    pipeline: str, columns: list[str]
) -> None:
    plan = make_plan(PIPELINES / pipeline)
    assert {name: plan.fields[name].category for name in columns} == dict.fromkeys(columns, "identified")
    assert "encrypt" in plan.to_json()["outputs"]["records"]


def test_the_record_of_processing_states_the_organizational_measures() -> None:
    record = collect_documentation([str(PIPELINES)], date(2026, 11, 25)).record
    assert "organizational_measures" in dict(record.house)
    assert record.missing == ()


def test_all_tenants_of_the_sample_of_administrators_are_reached(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipelines, keys = demonstration(tmp_path), tmp_path / "test.keys"
    write_keyring(keys, ["user", "device"])
    monkeypatch.chdir(tmp_path)
    job, output = pipelines / "administrator_contacts", tmp_path / "out" / "administrator_contacts"
    minimize.run(job, at=AT, output=output, keys=keys)
    tenants = set(minimize.read(output, keys=keys)["tenant_id"].to_pylist())
    found = administrator_contacts(Workspace(pipeline=job, keys=keys))
    assert len(tenants) > 1
    assert {*found.suite_tenants} == tenants
