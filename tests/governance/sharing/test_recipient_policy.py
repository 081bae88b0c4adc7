"""One policy of ours and the manifest's: ours first, case by case, and nobody's pseudonyms leave under their own names.
A pipeline feeds a function only if purpose, contract, list and every required field fit.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from minimize.governance.sharing import eligible_functions
from minimize.governance.sharing.recipient_fields import (
    RecipientKeys,
    RecipientPolicy,
    compose_policy,
    recipient_key_name,
)
from minimize.governance.sharing.released_output import InputPolicy
from minimize.policy.describe import treatment_text
from minimize.policy.load import load_pipeline
from minimize.recipients import Recipients, Subprocessors, load_recipients
from minimize.recipients.load import load_subprocessors
from tests.governance.sharing.sender import OUTPUT_FIELDS, OUTPUT_VENDOR, POLICY, Sender, changed
from tests.pipelines.shipped import PIPELINES, RECIPIENTS
from tests.project import Project, write_yaml
from tests.world import CONTRACT


def made(sender: Sender, wanted: list[str] | None = None) -> RecipientPolicy:
    function = sender.recipient.function("sync")
    assert function is not None
    return compose_policy(InputPolicy(sender.policy, {}), function, sender.recipient, wanted)


def keys_of(found: RecipientPolicy, key: str) -> list[list[str]]:
    """The keys of each step of a field."""
    steps = found.policy.fields[key].do
    return [] if isinstance(steps, str) else [sorted(step.key_names) for step in steps]


def with_field(sender: Sender, key: str, field: dict[str, Any]) -> Sender:
    return sender.with_(policy_=changed(POLICY, f"fields.{key}", field))


def test_each_case_is_followed_by_the_manifest_s_steps(sender: Sender) -> None:
    cases = [{"if": {"serial": "s-1"}, "do": "keep"}, {"if": {"serial": "s-2"}, "do": {"mask": {"keep_last": 1}}}]
    field = made(with_field(sender, "model", {"type": "string", "cases": cases, "otherwise": "drop"})).policy.fields[
        "model"
    ]
    assert [treatment_text(case.do) for case in field.cases] == ["keep", "mask (keep_last 1)"]
    assert field.otherwise == "drop"


def test_a_linking_field_gets_the_recipient_s_own_key_last(sender: Sender) -> None:
    assert keys_of(made(sender), "device_id") == [["device"], ["device@vendor"]]


def test_a_manifest_that_renames_itself_is_not_followed_by_another_name(sender: Sender) -> None:
    keyed = sender.vendor_with("functions.sync.fields.device_id.do", {"pseudonymize": {"key": "other"}})
    assert keys_of(made(keyed), "device_id") == [["device"], ["other@vendor"]]


def test_a_field_that_stays_need_not_be_in_the_data(sender: Sender) -> None:
    stays = made(sender).policy.fields["note"]
    assert (stays.do, stays.optional) == ("drop", True)


def test_a_field_that_was_not_asked_for_is_no_reason(sender: Sender) -> None:
    found = made(sender, ["model"])
    assert found.sent_fields == ("model",)
    assert [*found.withheld_reasons(["model"])] == []


def test_keys_of_a_recipient_are_derived_for_it_alone(sender: Sender) -> None:
    keys = RecipientKeys(sender.keys)
    made_ = {
        keys.bytes_of(name)
        for name in (
            "device",
            recipient_key_name("device", "a"),
            recipient_key_name("device", "b"),
            recipient_key_name("other", "a"),
        )
    }
    assert len(made_) == 4
    assert keys.version_of(recipient_key_name("device", "a")) == sender.keys.version_of("device")


DAY = date(2026, 11, 25)
PERMITTED = {**CONTRACT, "permitted_fields": [*OUTPUT_FIELDS, "serial"]}


def fed(project: Project, vendor: Mapping[str, Any], on: date = DAY) -> list[str]:
    folder = project.folder / "known"
    folder.mkdir(exist_ok=True)
    write_yaml(folder / "vendor.yaml", vendor)
    known = Recipients(folder, Subprocessors(entries=()))
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
