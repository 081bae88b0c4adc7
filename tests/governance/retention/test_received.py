"""`retract` takes out what a third party sent of tenants that do not agree any more."""

from __future__ import annotations

import shutil
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import time_machine

import minimize
from minimize.datasets.reader import load_receipts
from minimize.governance.subjects.delete import delete_subjects
from minimize.governance.subjects.named_subjects import DataSubject
from minimize.removal.expire import expire
from minimize.removal.retract import Retraction, retract
from tests.inbound import HOOKS, Inbound, hook, message, new_inbound
from tests.project import AT, enter

SOON = AT + timedelta(hours=1)


@pytest.fixture(name="ran")
def _ran(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Inbound:
    """A project that received ten messages of north and south, which both agreed."""
    enter(tmp_path, monkeypatch)
    made = new_inbound(tmp_path)
    for tenant in ("north", "south"):
        made.consent("give", tenant)
    made.receive()
    return made


@pytest.fixture(name="alone")
def _alone(ran: Inbound) -> Inbound:
    """The same, and its source is gone."""
    shutil.rmtree(ran.folder / "data")
    return ran


def again(project: Inbound, at: datetime = SOON, **options: Any) -> Retraction:
    with time_machine.travel(at, tick=False):
        return retract(project.out, **{"keys": project.keys, "yes": True, **options})


@pytest.mark.parametrize("verb", ["withdraw", "refuse"])
def test_rows_of_a_tenant_that_withdrew_go_from_the_source(ran: Inbound, verb: Any) -> None:
    ran.consent(verb, "north", AT + timedelta(minutes=1))
    done = again(ran)
    (receipt,) = done.receipts
    assert (receipt.from_, receipt.gated_by.consent, set(ran.tenants())) == ("source", 5, {"south"})
    minimize.verify(ran.out, keys=ran.keys)


def test_rows_of_a_tenant_that_withdrew_go_from_the_output(alone: Inbound) -> None:
    alone.consent("withdraw", "north", AT + timedelta(minutes=1))
    plan = again(alone, yes=False)
    assert "5 not covered by a consent of their tenant" in str(plan)
    (receipt,) = again(alone).receipts
    assert (receipt.from_, receipt.gated_by.consent, alone.tenants()) == ("output", 5, ["south"] * 5)
    minimize.verify(alone.out, keys=alone.keys)


@pytest.mark.parametrize("which", ["ran", "alone"])
def test_while_all_agree_nothing_is_to_be_done(request: pytest.FixtureRequest, which: str) -> None:
    project: Inbound = request.getfixturevalue(which)
    assert again(project).is_empty
    assert len(project.tenants()) == 10


@pytest.mark.parametrize("which", ["ran", "alone"])
def test_a_consent_that_ran_out_with_time_alone_takes_rows_out(request: pytest.FixtureRequest, which: str) -> None:
    project: Inbound = request.getfixturevalue(which)
    project.consent("give", "north", AT - timedelta(minutes=1), expires_at=AT + timedelta(minutes=30))
    assert again(project, AT + timedelta(minutes=20)).is_empty is (which == "alone")
    again(project)
    assert set(project.tenants()) == {"south"}


@pytest.mark.parametrize("which", ["ran", "alone"])
def test_a_consent_must_also_hold_at_the_present_time(request: pytest.FixtureRequest, which: str) -> None:
    project: Inbound = request.getfixturevalue(which)
    project.consent("withdraw", "north", AT + timedelta(hours=2))
    with time_machine.travel(AT + timedelta(hours=3), tick=False):
        retract(project.out, at=SOON, keys=project.keys, yes=True)
    assert set(project.tenants()) == {"south"}


def test_a_contract_that_ended_keeps_no_retraction_from_working(ran: Inbound) -> None:
    ran.consent("withdraw", "north", AT + timedelta(minutes=1))
    ran.vendor(contract=None)
    again(ran)
    assert set(ran.tenants()) == {"south"}


@pytest.mark.parametrize("which", ["ran", "alone"])
@pytest.mark.parametrize("functions", [{}, hook(text_version=2)], ids=["no function", "another text"])
def test_data_without_any_remaining_agreement_is_removed_whole(
    request: pytest.FixtureRequest, which: str, functions: dict[str, Any]
) -> None:
    project: Inbound = request.getfixturevalue(which)
    project.vendor(functions=functions)
    again(project)
    assert project.tenants() == []


def test_without_the_recipient_file_all_received_rows_are_removed(alone: Inbound) -> None:
    (alone.folder.parent / "recipients" / "vendor.yaml").unlink()
    again(alone)
    assert alone.tenants() == []


def test_a_row_is_removed_if_its_hour_is_not_wholly_covered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    enter(tmp_path, monkeypatch)
    project = new_inbound(tmp_path)
    project.consent("give", "north", AT - timedelta(hours=2, minutes=30))
    project.receive(
        [
            message(number, tenant_id="north", received_at=(AT - timedelta(minutes=ago)).isoformat())
            for number, ago in enumerate((125, 100))
        ]
    )
    assert len(project.tenants()) == 2
    shutil.rmtree(project.folder / "data")
    project.consent("give", "south", AT)
    again(project)
    assert len(project.tenants()) == 1


def test_tenants_under_pseudonyms_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    enter(tmp_path, monkeypatch)
    project = new_inbound(tmp_path)
    for tenant in ("north", "south"):
        project.consent("give", tenant)
    project.policy({"tenant_id": {"type": "string", "role": "identifier", "do": {"pseudonymize": {"key": "device"}}}})
    project.receive()
    shutil.rmtree(project.folder / "data")
    project.consent("withdraw", "north", AT + timedelta(minutes=1))
    again(project)
    assert len(project.rows()) == 5


def test_without_a_tenant_column_a_withdrawal_removes_all_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    enter(tmp_path, monkeypatch)
    project = new_inbound(tmp_path)
    project.policy({"tenant_id": {"type": "string", "do": "drop"}})
    for tenant in ("north", "south"):
        project.consent("give", tenant)
    project.receive()
    shutil.rmtree(project.folder / "data")
    project.consent("withdraw", "north", AT + timedelta(minutes=1))
    again(project)
    assert project.rows() == []


def test_a_table_over_rows_that_went_has_a_new_release(ran: Inbound) -> None:
    counted = {
        "group_by": {"os_version": "os_version"},
        "measures": {"events": "count"},
        "suppress": {"below": 1, "counting": "udid"},
    }
    ran.write("pipeline", HOOKS, aggregates={"versions": counted})
    ran.run()
    ran.consent("withdraw", "north", AT + timedelta(minutes=1))
    again(ran)
    releases = [receipt.outputs["versions"].releases or {} for receipt in load_receipts(ran.out)[-2:]]
    assert [len(each) for each in releases] == [1, 1]
    assert releases[0] != releases[1]


def test_a_subject_is_deleted_though_the_contract_ended(ran: Inbound) -> None:
    ran.vendor(contract=None)
    delete_subjects([DataSubject("u0", "north")], ran.home, SOON, named=[ran.out], yes=True)
    assert len(ran.tenants()) == 9


def test_records_past_their_retention_go_as_of_any_pipeline(ran: Inbound) -> None:
    (receipt,) = expire(ran.out, at=AT + timedelta(days=31), keys=ran.keys, yes=True, allow_shrink=True).receipts
    assert (receipt.gated_by.retention, ran.tenants()) == (10, [])
