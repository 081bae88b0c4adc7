"""Records that are collected for a function of a third party only: of tenants that have turned it on, while it is on."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import time_machine

import minimize
from minimize.errors import PolicyError, RefusedError
from minimize.policy.load import load_pipeline
from minimize.recipients.inbound import lint_source
from minimize.removal.retract import retract
from minimize.runs.inspection import make_plan
from tests.inbound import HOOKS, Inbound, hook, message, new_inbound
from tests.project import AT, enter
from tests.world import CONTRACT

SOURCE = {"path": "data/{date}/*.ndjson.gz", "format": "ndjson", "only_for": "vendor.hook"}
SENDING = {**CONTRACT, "permitted_fields": ["udid", "os_version", "unlock"]}


@pytest.fixture(name="sent")
def _sent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Inbound:
    """A pipeline whose records serve the outbound function `hook` only. No tenant has turned it on."""
    enter(tmp_path, monkeypatch)
    project = new_inbound(tmp_path)
    project.vendor(contract=SENDING, functions=hook(direction="outbound"))
    project.pipeline(source=SOURCE)
    return project


def test_nothing_is_collected_before_a_tenant_has_turned_the_function_on(sent: Inbound) -> None:
    receipt = sent.receive()
    assert (receipt.gated_by.consent, receipt.rows.written) == (10, 0)


def test_the_records_of_tenants_that_turned_it_on_are_collected(sent: Inbound) -> None:
    sent.consent("give", "north")
    receipt = sent.receive()
    assert (receipt.gated_by.consent, set(sent.tenants())) == (5, {"north"})


def test_the_receipt_names_the_function_and_no_sender(sent: Inbound) -> None:
    sent.consent("give", "north")
    receipt = sent.receive()
    assert receipt.received is None
    assert receipt.only_for is not None
    assert (receipt.only_for.recipient, receipt.only_for.function) == ("vendor", "hook")
    minimize.verify(sent.out, keys=sent.keys)


def test_a_consent_without_contract_and_prerequisite_collects_nothing(sent: Inbound) -> None:
    sent.vendor(contract=None, functions=hook(direction="outbound", requires=["connection", "account"]))
    sent.consent("give", "north")
    assert sent.receive().gated_by.consent == 10


def test_a_contract_that_does_not_permit_sending_collects_nothing(sent: Inbound) -> None:
    sent.vendor(contract={**SENDING, "permits_transmission": False}, functions=hook(direction="outbound"))
    sent.consent("give", "north")
    assert sent.receive().gated_by.consent == 10


def test_an_event_counts_that_happened_while_the_function_was_on(sent: Inbound) -> None:
    sent.consent("give", "north", AT - timedelta(hours=3))
    times = {"before": 190, "during": 120}
    records = [
        message(0, message_id=name, received_at=(AT - timedelta(minutes=ago)).isoformat())
        for name, ago in times.items()
    ]
    assert sent.receive(records).gated_by.consent == 1


def test_after_a_withdrawal_retract_removes_what_was_collected(sent: Inbound) -> None:
    for tenant in ("north", "south"):
        sent.consent("give", tenant)
    sent.receive()
    sent.consent("withdraw", "north", AT + timedelta(hours=1))
    with time_machine.travel(AT + timedelta(hours=2), tick=False):
        retract(sent.out, at=AT + timedelta(hours=2), keys=sent.keys, yes=True)
    assert set(sent.tenants()) == {"south"}


def test_a_pipeline_that_no_longer_names_the_function_does_not_continue_the_output(sent: Inbound) -> None:
    sent.consent("give", "north")
    sent.receive()
    sent.pipeline(source={key: value for key, value in SOURCE.items() if key != "only_for"})
    with pytest.raises(RefusedError) as caught:
        sent.run(at=AT + timedelta(hours=1))
    assert [each.code for each in caught.value.findings] == ["R013"]
    assert "only_for: vendor.hook" in caught.value.findings[0].hint


def test_plan_states_the_function(sent: Inbound) -> None:
    text = "\n".join(map(str, make_plan(sent.folder).lines()))
    assert "a record is kept only if its tenant has turned on hook of vendor" in text


@pytest.mark.parametrize(
    ("changes", "code"),
    [({"only_for": "vendor.hoook"}, "T038"), ({"only_for": "vendr.hook"}, "T038")],
)
def test_lint_finds_a_function_that_does_not_exist(sent: Inbound, changes: dict[str, Any], code: str) -> None:
    sent.pipeline(source={**SOURCE, **changes})
    assert [each.code for each in lint_source(load_pipeline(sent.folder))] == [code]


def test_lint_finds_an_inbound_function(sent: Inbound) -> None:
    sent.vendor(contract=SENDING)
    assert [each.code for each in lint_source(load_pipeline(sent.folder))] == ["T038"]


def test_lint_finds_a_policy_without_a_tenant_or_a_time(sent: Inbound) -> None:
    sent.policy(tenant=None, time=None, retention=None)
    assert [each.code for each in lint_source(load_pipeline(sent.folder))] == ["T030", "T031"]


@pytest.mark.parametrize("name", ["vendor", "vendor.", "vendor.hook.more", ["vendor", "hook"]])
def test_a_name_that_is_no_function_is_a_fault(sent: Inbound, name: object) -> None:
    sent.pipeline(source={**SOURCE, "only_for": name})
    with pytest.raises(PolicyError):
        load_pipeline(sent.folder)


def test_a_source_does_not_both_receive_and_collect(sent: Inbound) -> None:
    sent.pipeline(source={**HOOKS["source"], "only_for": "vendor.hook"})
    with pytest.raises(PolicyError) as caught:
        load_pipeline(sent.folder)
    assert [each.code for each in caught.value.findings] == ["P005"]


def test_the_purpose_of_the_on_premises_product_needs_a_sender(sent: Inbound) -> None:
    sent.policy(purposes=["quality_and_security"])
    sent.pipeline(purpose="quality_and_security", source=SOURCE)
    with pytest.raises(PolicyError) as caught:
        load_pipeline(sent.folder)
    assert [each.code for each in caught.value.findings] == ["P008"]


def test_lint_finds_other_data_with_the_purpose_of_the_on_premises_product(sent: Inbound) -> None:
    sent.policy(purposes=["operations", "quality_and_security"])
    assert [each.code for each in lint_source(load_pipeline(sent.folder))] == ["T039"]


def test_lint_finds_other_purposes_of_the_on_premises_products_data(sent: Inbound) -> None:
    sent.vendor(on_premises=True, functions=hook(purpose="quality_and_security"))
    sent.policy(purposes=["operations", "quality_and_security"])
    sent.pipeline(purpose="quality_and_security")
    assert [each.code for each in lint_source(load_pipeline(sent.folder))] == ["T039"]
