"""`retract --received` takes out what ended consents and contracts covered, and leaves everything else as it is."""

from __future__ import annotations

import json
import shutil
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import time_machine

import minimize
from minimize.errors import AccessDenied, RefusedError
from minimize.governance.contracts import end_contract
from minimize.removal.retract import Retraction, retract
from tests.inbound import Inbound, message, new_inbound
from tests.project import AT, Project, enter, events, new_project, write_yaml
from tests.world import access_file, assignment

SOON = AT + timedelta(hours=1)
LATER = AT + timedelta(minutes=1)
COARSER = {"os_version": {"type": "string", "role": "quasi", "do": "drop"}}


@pytest.fixture(autouse=True)
def _stopped_clock(clock: time_machine.Traveller) -> None:
    """Consents and contracts must also hold now."""
    clock.move_to(SOON)


def received_content(project: Inbound) -> None:
    for tenant in ("north", "south"):
        project.consent("give", tenant)
    project.receive()


@pytest.fixture(name="ran")
def _ran(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Inbound:
    """A project that received ten messages of north and south, which both agreed."""
    enter(tmp_path, monkeypatch)
    made = new_inbound(tmp_path)
    received_content(made)
    return made


def night(project: Project, at: datetime = SOON, **options: Any) -> Retraction:
    return retract(project.out, **{"at": at, "keys": project.keys, "yes": True, "received": True, **options})


def versions(project: Project) -> set[str]:
    return {row["os_version"] for row in project.rows()}


@pytest.mark.parametrize("has_source", [True, False], ids=["source", "no source"])
@pytest.mark.parametrize("verb", ["withdraw", "refuse"])
def test_rows_of_a_tenant_that_withdrew_go(ran: Inbound, verb: Any, has_source: bool) -> None:
    ran.consent(verb, "north", LATER)
    if not has_source:
        shutil.rmtree(ran.folder / "data")
    (receipt,) = night(ran).receipts
    assert (receipt.from_, receipt.gated_by.consent) == ("source" if has_source else "output", 5)
    assert ran.tenants() == ["south"] * 5
    minimize.verify(ran.out, keys=ran.keys)
    assert night(ran, SOON + timedelta(days=1)).is_empty


def test_rows_go_when_the_contract_of_their_tenant_ends(ran: Inbound) -> None:
    assert night(ran).is_empty
    end_contract("north", "vendor", ran.home, LATER)
    night(ran)
    assert ran.tenants() == ["south"] * 5


@pytest.mark.parametrize("has_source", [True, False], ids=["source", "no source"])
def test_a_changed_policy_is_not_applied(ran: Inbound, has_source: bool) -> None:
    ran.consent("withdraw", "north", LATER)
    ran.policy(COARSER, version=2)
    if not has_source:
        shutil.rmtree(ran.folder / "data")
    (receipt,) = night(ran).receipts
    assert receipt.from_ == "output"
    assert (ran.tenants(), versions(ran)) == (["south"] * 5, {"14.5"})
    assert not retract(ran.out, at=SOON, keys=ran.keys).is_empty


def test_a_finer_policy_keeps_no_row_of_a_tenant_that_withdrew(ran: Inbound) -> None:
    ran.consent("withdraw", "north", LATER)
    ran.policy({"udid": {"type": "string", "role": "identifier", "do": "keep"}}, version=2)
    night(ran)
    assert ran.tenants() == ["south"] * 5


def test_while_all_agree_nothing_is_to_be_done(ran: Inbound) -> None:
    ran.policy(COARSER, version=2)
    assert str(night(ran)) == "nothing to do: the output matches today's consents and contracts"
    ran.consent("give", "east", LATER)
    assert night(ran).is_empty
    assert len(ran.rows()) == 10


def test_a_row_stays_whose_hour_was_covered_in_part_when_another_tenant_withdraws(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    enter(tmp_path, monkeypatch)
    project = new_inbound(tmp_path)
    project.consent("give", "north", AT - timedelta(hours=2, minutes=30))
    project.consent("give", "south", AT - timedelta(hours=9))
    times = {"north": AT - timedelta(minutes=125), "south": AT - timedelta(minutes=100)}
    project.receive(
        [message(number, tenant_id=name, received_at=at.isoformat()) for number, (name, at) in enumerate(times.items())]
    )
    assert sorted(project.tenants()) == ["north", "south"]
    shutil.rmtree(project.folder / "data")
    project.consent("withdraw", "south", LATER)
    night(project)
    assert project.tenants() == ["north"]


@pytest.mark.parametrize("ends", [True, False], ids=["one withdrew", "one more agreed"])
def test_without_a_tenant_column_all_rows_are_removed_only_if_a_consent_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ends: bool
) -> None:
    enter(tmp_path, monkeypatch)
    project = new_inbound(tmp_path)
    project.policy({"tenant_id": {"type": "string", "do": "drop"}})
    received_content(project)
    shutil.rmtree(project.folder / "data")
    project.consent(*(("withdraw", "north") if ends else ("give", "east")), LATER)
    night(project)
    assert len(project.rows()) == (0 if ends else 10)


def test_rows_go_whole_without_the_third_partys_file(ran: Inbound) -> None:
    (ran.folder.parent / "recipients" / "vendor.yaml").unlink()
    night(ran)
    assert ran.tenants() == []


def test_an_output_of_the_organizations_own_records_stays_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    enter(tmp_path, monkeypatch)
    (tmp_path / "own").mkdir()
    project = new_project(tmp_path / "own")
    project.records(events(4))
    project.run()
    project.policy({"latitude": {"type": "double", "do": "drop"}}, version=4)
    assert night(project).is_empty
    assert not retract(project.out, at=SOON, keys=project.keys).is_empty


def test_an_implausible_time_is_refused(ran: Inbound) -> None:
    ran.consent("withdraw", "north", LATER)
    with pytest.raises(RefusedError) as caught:
        night(ran, AT + timedelta(days=9))
    assert (caught.value.code, len(ran.tenants())) == ("E304", 10)
    night(ran, AT + timedelta(days=9), allow_shrink=True)
    assert ran.tenants() == ["south"] * 5


def test_the_plan_is_only_shown_without_yes(ran: Inbound) -> None:
    ran.consent("withdraw", "north", LATER)
    plan = night(ran, yes=False)
    assert (plan.rerun_dates, plan.to_json()["received_only"], len(ran.tenants())) == (("2026-11-24",), True, 10)


def test_the_account_of_the_night_may_retract_received_data_and_no_more(
    ran: Inbound, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran.consent("withdraw", "north", LATER)
    write_yaml(
        ran.folder.parent / "access.yaml", access_file(assignment("scheduler", "night"), assignment("analyst", "ann"))
    )
    configuration = ran.folder.parent / "minimize.yaml"
    write_yaml(configuration, {**json.loads(configuration.read_text()), "access": "access.yaml"})
    for account, received in (("ann", True), ("night", False)):
        monkeypatch.setenv("MINIMIZE_ACTOR", account)
        with pytest.raises(AccessDenied):
            night(ran, received=received)
    assert len(ran.tenants()) == 10
    night(ran)
    assert ran.tenants() == ["south"] * 5
