"""Requests in a project that was copied or moved: its own outputs are searched, and one of two copies is never chosen."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
from pathlib import Path

import pytest

from tests.commands import Result, command
from tests.governance.outputs import RECORDS
from tests.project import PIPELINE, Project, enter, new_project, write_yaml

SUBJECT = ("d3", "--tenant", "north")
HELD = sum((each["tenant_id"], each["device_id"]) == ("north", "d3") for each in RECORDS)


@pytest.fixture(name="first")
def _first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A project with two pipelines of one source and one ledger, both published."""
    folder = tmp_path / "first"
    folder.mkdir()
    enter(folder, monkeypatch)
    project = new_project(folder, ("device", "user"), lasting=True)
    (folder / "minimize.yaml").write_text("ledger: ledger.db\nkeys: test.keys\naccess: off\nlineage: off\n")
    project.pipeline(aggregates=None)
    project.records(RECORDS)
    (folder / "second").mkdir()
    shutil.copy(folder / "policy.yaml", folder / "second")
    source = {**PIPELINE["source"], "path": "../data/{date}/*.ndjson.gz"}
    body = {**PIPELINE, "pipeline": "second", "source": source, "settings": "../settings.csv", "output": "../out2"}
    write_yaml(folder / "second" / "pipeline.yaml", {key: body[key] for key in body if key != "aggregates"})
    for pipeline in (folder, folder / "second"):
        assert command("run", pipeline).code == 0
    return project


def ask(verb: str, folder: Path, *words: object) -> Result:
    return command("subject", verb, *SUBJECT, "--pipeline", folder, *words)


@pytest.mark.parametrize("verb", ["view", "delete", "restrict", "delete second"])
def test_a_request_in_a_copied_project_is_refused_while_the_old_folder_is_there(first: Project, verb: str) -> None:
    copy, (verb, _, pipeline) = first.folder.with_name("copy"), verb.partition(" ")
    shutil.copytree(first.folder, copy)
    before = {path: path.stat().st_mtime_ns for path in (first.folder / "out").rglob("*")}
    done = ask(verb, copy / pipeline, *(() if verb == "view" else ["--yes"]))
    assert (done.code, "E318" in done.err) == (3, True), done.out + done.err
    assert str(copy / "out") in done.err
    assert str(first.out) in done.err
    assert before == {path: path.stat().st_mtime_ns for path in (first.folder / "out").rglob("*")}
    assert ask("delete", first.folder, "--yes").code == 0  # control: the project that the ledger knows


def test_a_copy_whose_folders_were_recorded_is_searched_alone(first: Project) -> None:
    copy = first.folder.with_name("copy")
    shutil.copytree(first.folder, copy)
    ledger = ("--ledger", copy / "ledger.db", "--keys", first.keys)
    assert command("runs", "--rebuild", "--output", copy / "out", *ledger).code == 0
    refused = ask("delete", copy, "--yes")
    assert (refused.code, str(copy / "out2") in refused.err) == (3, True), (
        refused.err
    )  # the other output is still a copy
    assert command("runs", "--rebuild", "--output", copy / "out2", *ledger).code == 0
    deleted = ask("delete", copy, "--yes")
    assert (deleted.code, f"{2 * HELD} records" in deleted.out) == (0, True), deleted.out + deleted.err
    assert f"{2 * HELD} records" in ask("delete", first.folder).out


@pytest.mark.parametrize("words", [[], ["--allow-unreached"]])
def test_a_moved_project_is_searched_where_its_pipelines_write(first: Project, words: list[str]) -> None:
    moved = first.folder.rename(first.folder.with_name("moved"))
    assert f"{2 * HELD} records" in ask("view", moved).out
    deleted = ask("delete", moved, "--yes", *words)
    assert (deleted.code, f"{2 * HELD} records" in deleted.out, "not reached" in deleted.out) == (0, True, False)
    assert "0 records" in ask("view", moved).out


def test_an_output_that_is_found_nowhere_leaves_the_request_open(first: Project) -> None:
    """Its pipeline writes elsewhere today, so only its new folder can be named."""
    moved = first.out.rename(first.folder / "archive")
    first.pipeline(aggregates=None, output="new")
    refused = ask("delete", first.folder, "--yes")
    assert (refused.code, "minimize runs --rebuild --output" in refused.err) == (1, True)
    assert command("runs", "--rebuild", "--output", moved, "--ledger", first.folder / "ledger.db").code == 0
    assert ask("delete", first.folder, "--yes").code == 0
    assert "0 records" in ask("view", first.folder).out


CHANGES = {
    "removed": "DELETE FROM outputs WHERE pipeline = 'second'",
    "another folder": "UPDATE outputs SET folder = (SELECT folder FROM outputs WHERE pipeline = 'checkins')"
    " WHERE pipeline = 'second'",
    "a missing folder": "UPDATE outputs SET folder = '/missing' WHERE pipeline = 'second'",
}


def change_index(ledger: Path, statement: str) -> None:
    with contextlib.closing(sqlite3.connect(ledger)) as connection, connection:
        connection.execute(statement)
        connection.execute("DELETE FROM runs WHERE pipeline = 'second'")


@pytest.mark.parametrize("statement", CHANGES.values(), ids=CHANGES)
def test_a_request_stays_open_if_the_folder_of_an_output_was_removed_from_the_ledger(
    first: Project, statement: str
) -> None:
    pipeline = first.folder / "second" / "pipeline.yaml"
    pipeline.write_text(pipeline.read_text().replace("../out2", "../new"))  # it does not lead to the output
    change_index(first.folder / "ledger.db", statement)
    assert "not reached" in ask("view", first.folder).out
    stopped = ask("delete", first.folder, "--yes")
    assert (stopped.code, "could not be reached" in stopped.err) == (1, True), stopped.out + stopped.err
    rebuilt = ("--rebuild", "--output", first.folder / "out2", "--ledger", first.folder / "ledger.db")
    assert command("runs", *rebuilt, "--keys", first.keys).code == 0
    done = ask("delete", first.folder, "--yes")
    assert (done.code, f"{HELD} records" in done.out) == (0, True), done.out + done.err


def test_a_request_reaches_an_output_whose_row_names_another_machine(first: Project) -> None:
    change_index(first.folder / "ledger.db", "UPDATE outputs SET host = 'other'")
    assert f"{2 * HELD} records" in ask("view", first.folder).out


def test_the_check_of_the_audit_log_names_an_output_without_a_folder(first: Project) -> None:
    words = ("audit", "verify", "--receipts", first.folder / "out2", "--ledger", first.folder / "ledger.db")
    assert command(*words).code == 0
    change_index(first.folder / "ledger.db", CHANGES["removed"])
    found = command(*words)
    assert (found.code, "H023" in found.out + found.err) == (1, True), found.out + found.err


def test_an_output_that_was_begun_again_in_the_same_folder_replaces_the_former_one(first: Project) -> None:
    shutil.rmtree(first.out)
    assert command("run", first.folder).code == 0
    done = ask("delete", first.folder, "--yes")
    assert (done.code, "not reached" in done.out) == (0, False), done.out + done.err


def test_an_open_request_waits_for_an_output_that_was_replaced_after_it(first: Project) -> None:
    """The disk of an output is not mounted for a night: a run begins another output in the empty folder."""
    second, away = first.folder / "out2", first.folder / "away"
    second.rename(away)
    second.mkdir()
    assert "E100" in ask("delete", first.folder, "--yes").err
    assert "W061" in command("run", first.folder / "second", "--pending", "--log-format", "json").err
    refused = ask("delete", first.folder, "--yes")
    assert (refused.code, "E100" in refused.err) == (1, True), refused.out + refused.err
    shutil.rmtree(second)
    away.rename(second)
    assert f"{HELD} records" in ask("view", first.folder).out, "the disk is back"
    deleted = ask("delete", first.folder, "--yes", "--allow-unreached")  # the output of that night is lost
    assert (deleted.code, f"{HELD} records" in deleted.out) == (0, True), deleted.out + deleted.err
