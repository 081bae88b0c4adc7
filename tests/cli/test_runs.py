"""`minimize runs`, and the ledger's options of other verbs."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from minimize.output.folder import hold_lock
from tests.commands import Command
from tests.faults.child import killed
from tests.faults.process import KILLED
from tests.project import AT, DAY, LASTING, Builds, Project, event, events


def test_it_counts_by_code_field_and_file(project: Project, command: Command) -> None:
    project.records([*events(30), "broken", event(31, storage="much"), event(32, storage="little")])
    project.run()
    said = command("quarantine", project.out)
    assert said.code == 0
    assert [line.split() for line in said.out.splitlines() if "ndjson" in line] == [
        ["wrong_type", "/storage", f"{DAY}/a.ndjson.gz", "2"],
        ["malformed", f"{DAY}/a.ndjson.gz", "1"],
    ]
    assert "3 records in quarantine" in said.out


def test_for_machines_it_gives_groups(project: Project, command: Command) -> None:
    project.records([*events(30), "broken"])
    project.run()
    said = command("quarantine", project.out, "--json")
    group = {"code": "malformed", "field": None, "file": f"{DAY}/a.ndjson.gz", "rows": 1}
    assert said.json == {"rows": 1, "groups": [group]}


def test_it_counts_what_would_pass_now_where_that_is_asked(project: Project, command: Command) -> None:
    project.records([*events(30), "broken", event(31, contacts=["x"])])
    project.run()
    project.policy(never=None)
    said = command("quarantine", project.out, "--check", "--keys", project.keys, "--json")
    assert {group["code"]: group["passing"] for group in said.json["groups"]} == {"forbidden_field": 1, "malformed": 0}


def test_an_empty_quarantine_is_reported(project: Project, command: Command) -> None:
    project.records(events(30))
    project.run()
    assert command("quarantine", project.out).out == "no records are quarantined\n"
    assert command("quarantine", project.out, "--json").json == {"rows": 0, "groups": []}


def run_twice(project: Project) -> None:
    project.records(events(24))
    project.run()
    project.run()


@pytest.fixture(name="ran")
def _ran(builds: Builds, project: Project, monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.setenv("MINIMIZE_KEYS", str(project.keys))
    return builds.fill(project, run_twice)


def test_runs_are_listed_oldest_first(command: Command, ran: Project) -> None:
    said = command("runs", "--output", ran.out)
    assert said.code == 0
    assert len(said.out.splitlines()) == 2
    assert "checkins  run  2026-11-24  24 read, 24 written, 0 quarantined" in said.out


def test_for_machines_a_run_has_all_its_counts(command: Command, ran: Project) -> None:
    runs = command("runs", "--output", ran.out, "--json").json["runs"]
    assert [run["sequence"] for run in runs] == [1, 2]
    assert (runs[0]["rows"]["read"], runs[0]["dates"], runs[0]["folder"]) == (24, ["2026-11-24"], str(ran.out))
    assert command("runs", "--output", ran.out, "--pipeline", "other").out == "no runs\n"


def test_a_run_is_shown_by_the_beginning_of_its_id(command: Command, ran: Project) -> None:
    run = command("runs", "--output", ran.out, "--json").json["runs"][1]
    said = command("runs", "show", run["run_id"], "--output", ran.out, "--json")
    assert said.json["receipt"]["sequence"] == 2
    assert "24 read = 24 written" in command("runs", "--output", ran.out, "show", run["run_id"]).out
    said = command("runs", "show", run["run_id"][:4], "--output", ran.out)
    assert (said.code, "2 runs whose id begins with this text" in said.err) == (2, True)


def test_a_run_that_is_void_is_marked(command: Command, ran: Project) -> None:
    first, last = (run["run_id"] for run in command("runs", "--output", ran.out, "--json").json["runs"])
    assert command("runs", "void", last, "--reason", "the clock was ahead", "--output", ran.out).code == 0
    lines = command("runs", "--output", ran.out).out.splitlines()
    assert [line.endswith("  void") for line in lines] == [False, True, False]
    runs = command("runs", "--output", ran.out, "--json").json["runs"]
    assert [run["void"] for run in runs] == [False, True, False]
    assert command("runs", "show", last, "--output", ran.out).out.splitlines()[0].endswith("  void")
    assert command("runs", "show", last, "--output", ran.out, "--json").json["void"]
    assert not command("runs", "show", first, "--output", ran.out, "--json").json["void"]


def test_a_pending_run_with_nothing_to_do_removes_what_a_killed_command_left(
    command: Command, project: Project
) -> None:
    project.policy(**LASTING)
    project.records(events(20))
    run_id = project.run(at=None, ledger=project.folder / "ledger.db").run_id
    named = ["--keys", str(project.keys), "--ledger", str(project.folder / "ledger.db")]
    void = ["runs", "void", run_id, "--reason", "the clock was ahead", "--output", str(project.out), *named]
    code = killed(void, "attach.after")
    folders = {path.name for path in (project.out / "runs").iterdir() if path.is_dir()}
    assert (code, len(folders)) == (KILLED, 2), "control: the command left a folder"
    with hold_lock(project.out, create=False):
        assert command("run", project.folder, "--pending", *named).code == 0
        assert len([path for path in (project.out / "runs").iterdir() if path.is_dir()]) == 2, "another process writes"
    done = command("run", project.folder, "--pending", *named)
    assert (done.code, "nothing to do" in done.out) == (0, True), done.err
    assert {path.name for path in (project.out / "runs").iterdir() if path.is_dir()} == {run_id}
    assert command("verify", project.out, *named).code == 0


def test_a_run_whose_receipt_is_elsewhere_is_shown_without(command: Command, ran: Project) -> None:
    run = command("runs", "--output", ran.out, "--json").json["runs"][0]
    (ran.out / "runs" / run["run_id"] / "receipt.json").unlink()
    said = command("runs", "show", run["run_id"], "--output", ran.out)
    assert (said.code, "the receipt cannot be read here" in said.out) == (0, True)


def test_a_missing_ledger_is_reported_with_the_searched_path(command: Command, project: Project) -> None:
    said = command("runs", "--output", project.folder)
    assert (said.code, f"no ledger found at {project.folder}/ledger.db" in said.err) == (2, True)
    assert "MINIMIZE_LEDGER is not set" in command("runs").err


def test_a_lost_ledger_is_restored_from_receipts(command: Command, ran: Project) -> None:
    before = command("runs", "--output", ran.out).out
    (ran.out / "ledger.db").unlink()
    said = command("runs", "--rebuild", "--output", ran.out)
    assert said.out == f"2 runs of {ran.out}; 2 added to the audit log\n"
    assert command("runs", "--output", ran.out).out == before
    again = command("runs", "--rebuild", "--ledger", ran.out / "ledger.db", "--json").json
    assert again == {"outputs": [{"output": str(ran.out), "runs": 2, "recorded": 0, "told": 0}]}


def test_receipts_that_are_no_chain_of_ours_are_not_indexed(command: Command, ran: Project) -> None:
    first = command("runs", "--output", ran.out, "--json").json["runs"][0]
    shutil.rmtree(ran.out / "runs" / first["run_id"])
    said = command("runs", "--rebuild", "--output", ran.out)
    assert (said.code, "V002" in said.err) == (2, True)


def test_without_keys_or_outputs_nothing_is_rebuilt(
    command: Command, ran: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copy(ran.out / "ledger.db", tmp_path / "other.db")
    shutil.rmtree(ran.out)
    said = command("runs", "--rebuild", "--ledger", tmp_path / "other.db")
    assert (said.code, "has no output on this host" in said.err) == (2, True)
    monkeypatch.delenv("MINIMIZE_KEYS")
    assert "sign the audit log" in command("runs", "--rebuild", "--ledger", tmp_path / "other.db").err


def test_run_and_verify_take_the_ledger_that_is_given(command: Command, ran: Project, tmp_path: Path) -> None:
    ledger = tmp_path / "given.db"
    arguments = ("--at", AT.isoformat(), "--output", tmp_path / "new", "--ledger", ledger)
    assert command("run", ran.folder, *arguments).code == 0
    assert not (tmp_path / "new" / "ledger.db").exists()
    assert command("verify", tmp_path / "new", "--ledger", ledger, "--json").json["findings"] == []
    assert [each["code"] for each in command("verify", tmp_path / "new", "--json").json["findings"]] == ["V008"]
    assert (
        command("audit", "verify", "--ledger", ledger, "--receipts", tmp_path / "new", "--json").json["findings"] == []
    )
