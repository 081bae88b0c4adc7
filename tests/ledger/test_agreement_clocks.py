"""A clock that is wrong: acts about consents and contracts, and rewrites that decide about no record."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
import time_machine

import minimize
from minimize.datasets.reader import load_receipts
from tests.commands import Result, command
from tests.project import AT, DAY, Builds, Project, enter, events
from tests.world import vendor_file, write_configuration

YEARS = timedelta(days=3652)
OF_D3 = sum((each["tenant_id"], each["device_id"]) == ("north", "d3") for each in events(60))
WHOSE, SIGNED = ("contoso", "vendor", "sync"), ("--document", "signed.txt")
ACTS: dict[str, tuple[str, ...]] = {
    "consent request": ("consent", "request", *WHOSE),
    "consent give": ("consent", "give", *WHOSE, *SIGNED),
    "consent withdraw": ("consent", "withdraw", *WHOSE, *SIGNED),
    "consent refuse": ("consent", "refuse", *WHOSE, *SIGNED),
    "contract record": (
        *("contract", "record", "contoso", "vendor", "--reference", "C-7", "--offered"),
        *("--until", "2099-01-01", *SIGNED),
    ),
    "contract end": ("contract", "end", "contoso", "vendor"),
}
BEFORE: dict[str, str] = {"consent withdraw": "consent give", "contract end": "contract record"}
"""The act that another one needs."""


@pytest.fixture(name="company")
def _company(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clock: time_machine.Traveller) -> Path:
    """A configuration with a recipient, whose ledger has an entry of today."""
    enter(tmp_path, monkeypatch)
    monkeypatch.setenv("MINIMIZE_ACTOR", "ann@contoso.example")
    write_configuration(tmp_path, vendor=vendor_file())
    assert command("consent", "request", "fabrikam", "vendor", "sync").code == 0
    return tmp_path


def recorded() -> tuple[object, object]:
    """All acts about consents and contracts."""
    consents = command("consent", "show", "--history", "--json").json["consents"]
    return consents, command("contract", "show", "--json").json["contracts"]


@pytest.mark.parametrize("act", ACTS)
def test_a_clock_ten_years_ahead_records_no_agreement(
    company: Path, clock: time_machine.Traveller, monkeypatch: pytest.MonkeyPatch, act: str
) -> None:
    if act in BEFORE:
        assert command(*ACTS[BEFORE[act]]).code == 0
    before = recorded()
    clock.shift(YEARS)
    refused = command(*ACTS[act])
    assert (refused.code, "E304" in refused.err, "nothing was recorded" in refused.err) == (3, True, True)
    clock.shift(-YEARS)
    assert recorded() == before
    assert command(*ACTS[act]).code == 0
    assert recorded() != before


def test_the_environment_accepts_the_time_of_an_agreement(
    company: Path, clock: time_machine.Traveller, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock.shift(YEARS)
    assert command(*ACTS["consent request"]).code == 3
    monkeypatch.setenv("MINIMIZE_ALLOW_TIME", "1")
    assert command(*ACTS["consent request"]).code == 0


def test_an_objection_by_a_clock_thirty_days_ahead_is_recorded(company: Path, clock: time_machine.Traveller) -> None:
    """A change of files has a limit of seven days; an objection must not wait."""
    assert command(*ACTS["consent give"]).code == 0
    clock.shift(timedelta(days=30))
    assert command(*ACTS["consent withdraw"]).code == 0


def encrypted(project: Project) -> None:
    write_configuration(project.folder)
    project.pipeline(aggregates=None, records={"encrypt": "by_category"})
    project.policy(retention="3650d", features={"location": {"about": "position of a lost device"}})
    project.records(events(60))
    with time_machine.travel(AT, tick=False):
        project.run()


@pytest.fixture(name="ran")
def _ran(builds: Builds, project: Project, clock: time_machine.Traveller) -> Project:
    """An encrypted output that was published by a clock that is right, and is an hour older now."""
    found = builds.fill(project, encrypted)
    clock.shift(timedelta(hours=1))
    return found


def restriction(project: Project, verb: str) -> Result:
    where = ("--also", project.out, "--pipeline", project.folder, "--keys", project.keys)
    return command("subject", verb, "d3", "--tenant", "north", "--yes", *where)


def rotate(project: Project) -> Result:
    return command("keys", "rotate", project.keys, "--rewrite", project.out, "--keys", project.keys)


def run(project: Project) -> Result:
    return command("run", project.folder, "--date", DAY, "--keys", project.keys)


def void_later(project: Project, count: int) -> None:
    """Declares the runs after the first ones void."""
    words = ("--output", project.out, "--reason", "wrong clock", "--keys", project.keys)
    for receipt in load_receipts(project.out)[count:]:
        assert command("runs", "void", receipt.run_id, *words).code == 0


def test_a_lift_by_a_clock_ahead_is_declared_void_and_repeated(
    ran: Project, clock: time_machine.Traveller, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert restriction(ran, "restrict").code == 0
    count = len(load_receipts(ran.out))
    clock.shift(YEARS)
    with monkeypatch.context() as patch:
        patch.setenv("MINIMIZE_ALLOW_TIME", "1")
        assert restriction(ran, "lift").code == 0
    clock.shift(-YEARS)
    assert run(ran).code == 3  # the control: the wrong time locks the date
    void_later(ran, count)
    assert run(ran).code == 0
    assert len(ran.rows()) == 60 - OF_D3  # the lift does not count before its time
    assert restriction(ran, "lift").code == 0
    assert run(ran).code == 0
    assert len(ran.rows()) == 60
    minimize.verify(ran.out, keys=ran.keys)


def test_a_key_rotation_by_a_clock_ahead_locks_no_date_and_is_declared_void(
    ran: Project, clock: time_machine.Traveller, monkeypatch: pytest.MonkeyPatch
) -> None:
    count = len(load_receipts(ran.out))
    clock.shift(YEARS)
    assert rotate(ran).code == 3
    with monkeypatch.context() as patch:
        patch.setenv("MINIMIZE_ALLOW_TIME", "1")
        assert rotate(ran).code == 0
    clock.shift(-YEARS)
    (rotation,) = load_receipts(ran.out)[count:]
    assert (rotation.kind, rotation.at, rotation.finished > AT + YEARS) == ("rotate", AT, True)
    void_later(ran, count)
    assert load_receipts(ran.out)[-1].voids == rotation.run_id
    assert run(ran).code == 0
    assert len(ran.rows()) == 60
    minimize.verify(ran.out, keys=ran.keys)


def test_a_withdrawal_by_a_clock_ahead_does_not_count_and_is_repeated(
    ran: Project, clock: time_machine.Traveller, monkeypatch: pytest.MonkeyPatch
) -> None:
    where = ("--pipeline", ran.folder, "--keys", ran.keys)
    added = command("events", "add", "north", "subject_left", "--subject", "d3", *where, "--json")
    withdraw = ("events", "withdraw", added.json["event"], *where)
    clock.shift(YEARS)
    with monkeypatch.context() as patch:
        patch.setenv("MINIMIZE_ALLOW_TIME", "1")
        assert command(*withdraw).code == 0
    clock.shift(-YEARS)
    assert "subject_left" in command("events", "list", *where).out
    assert run(ran).code == 0
    assert len(ran.rows()) == 60 - OF_D3
    assert command(*withdraw).code == 0
    assert command("events", "list", *where).out == "no events\n"
    assert run(ran).code == 0
    assert len(ran.rows()) == 60


@pytest.mark.parametrize(("shift", "code"), [(YEARS, "E304"), (-timedelta(minutes=30), "E300")])
def test_a_refused_lift_is_not_recorded(
    ran: Project, clock: time_machine.Traveller, shift: timedelta, code: str
) -> None:
    assert run(ran).code == 0
    assert restriction(ran, "restrict").code == 0
    status = ("subject", "status", "--pipeline", ran.folder)
    before, files = command(*status).out, ran.files()
    clock.shift(shift)
    refused = restriction(ran, "lift")
    assert (refused.code, code in refused.err) == (3, True)
    clock.shift(-shift)
    assert (command(*status).out, ran.files()) == (before, files)
    assert restriction(ran, "lift").code == 0
    assert command(*status).out != before
