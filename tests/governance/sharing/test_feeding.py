"""A pipeline feeds a function only if purpose, contract, list and every required field fit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from minimize.governance.sharing import eligible_functions
from minimize.policy.load import load_pipeline
from minimize.recipients import Recipients, Subprocessors, load_recipients
from minimize.recipients.load import load_subprocessors
from tests.governance.sharing.sender import OUTPUT_FIELDS, OUTPUT_VENDOR, changed
from tests.pipelines.shipped import PIPELINES, RECIPIENTS
from tests.project import Project, write_yaml
from tests.world import CONTRACT

DAY = date(2026, 11, 25)
PERMITTED = {**CONTRACT, "permitted_fields": [*OUTPUT_FIELDS, "serial"]}


def fed(project: Project, vendor: Mapping[str, Any], on: date = DAY) -> list[str]:
    folder = project.folder / "known"
    folder.mkdir(exist_ok=True)
    write_yaml(folder / "vendor.yaml", vendor)
    known = Recipients(folder, Subprocessors())
    return [str(each) for each in eligible_functions(load_pipeline(project.folder), known, on)]


@pytest.fixture(name="vendor")
def _vendor() -> dict[str, Any]:
    return changed(OUTPUT_VENDOR, "contract", PERMITTED)


def test_a_function_all_of_whose_fields_are_released_is_fed(project: Project, vendor: dict[str, Any]) -> None:
    assert fed(project, vendor) == ["vendor (sync)"]


def test_a_required_field_that_the_policy_drops_or_lacks_is_in_the_way(
    project: Project, vendor: dict[str, Any]
) -> None:
    lacking = changed(vendor, "functions.sync.fields.serial", {"do": "keep", "about": "x"})
    assert fed(project, lacking) == []
    optional = changed(vendor, "functions.sync.fields.serial", {"do": "keep", "about": "x", "optional": True})
    assert fed(project, optional) == ["vendor (sync)"]


def test_a_field_that_the_contract_does_not_permit_is_in_the_way(project: Project, vendor: dict[str, Any]) -> None:
    assert fed(project, changed(vendor, "contract.permitted_fields", ["device_id"])) == []


@pytest.mark.parametrize("on", [date(2025, 12, 31), date(2027, 1, 1)])
def test_a_contract_that_is_not_in_force_on_the_day_is_in_the_way(
    project: Project, vendor: dict[str, Any], on: date
) -> None:
    assert fed(project, vendor, on) == []


def test_the_purpose_must_be_that_of_the_pipeline_and_of_the_function(project: Project, vendor: dict[str, Any]) -> None:
    assert fed(project, changed(vendor, "functions.sync.purpose", "customer_support")) == []


def test_an_agent_that_is_not_on_the_list_gets_nothing(project: Project, vendor: dict[str, Any]) -> None:
    assert fed(project, {**vendor, "standing": "agent", "subprocessor": "Desk"}) == []


def test_a_pipeline_without_a_tenant_feeds_nothing() -> None:
    job = load_pipeline(PIPELINES / "apple_push")
    known = load_recipients(RECIPIENTS)
    assert [str(each) for each in eligible_functions(job, known, DAY)] == ["apple (push)"]
    orphan = job.model_copy(update={"policy": job.policy.model_copy(update={"tenant": None})})
    assert list(eligible_functions(orphan, known, DAY)) == []


def test_the_support_desk_is_fed_only_while_it_is_listed(tmp_path: Path) -> None:
    job = load_pipeline(PIPELINES / "support_desk_cases")
    known = load_recipients(RECIPIENTS)
    assert [str(each) for each in eligible_functions(job, known, DAY)] == ["support_desk (case_handover)"]
    listing = replace(known, subprocessors=load_subprocessors(tmp_path / "none.yaml"))
    assert list(eligible_functions(job, listing, DAY)) == []
