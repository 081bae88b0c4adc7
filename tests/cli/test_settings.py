"""`minimize settings`: what it prints and how it exits."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.commands import Command, Result
from tests.project import LASTING, Project, events


@pytest.fixture(autouse=True)
def _ledger(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, project: Project) -> None:
    monkeypatch.setenv("MINIMIZE_LEDGER", str(tmp_path / "ledger.db"))
    monkeypatch.setenv("MINIMIZE_KEYS", str(project.keys))
    project.pipeline(aggregates=None, settings="ledger")


def said(command: Command, project: Project, verb: str, *words: object) -> Result:
    return command("settings", verb, *words, "--pipeline", project.folder)


def test_a_setting_is_set_and_shown(project: Project, command: Command) -> None:
    first = said(command, project, "set", "north", "location", "on", "--since", "2026-11-01T00:00:00Z")
    assert (first.code, first.out) == (0, "location of north, held by admin: on (before: nothing)\n")
    assert said(command, project, "show").out == "north  location  on  admin  2026-11-01T00:00:00Z\n"


def test_a_subject_is_not_printed(project: Project, command: Command) -> None:
    done = said(command, project, "set", "north", "location", "off", "--subject", "d4711", "--holder", "user")
    assert done.out == "location of a subject of north, held by user: off (before: nothing)\n"
    assert "d4711" not in said(command, project, "show", "--json").out


def test_without_a_pipeline_a_feature_of_no_policy_is_refused(project: Project, command: Command) -> None:
    done = command("settings", "set", "north", "locaton", "on")
    assert done.code == 2
    assert (
        "no policy below the folder of minimize.yaml has the feature `locaton` (hint: Did you mean `location`?)"
        in done.err
    )
    assert command("settings", "set", "north", "location", "on").code == 0


@pytest.mark.usefixtures("project")
def test_a_folder_without_policies_checks_no_feature(tmp_path: Path, command: Command) -> None:
    for file in tmp_path.rglob("p*.yaml"):
        file.unlink()
    assert command("settings", "set", "north", "locaton", "on").code == 0


def test_without_a_pipeline_a_setting_is_set_with_a_warning(project: Project, command: Command) -> None:
    done = command("settings", "set", "north", "location", "on")
    assert done.code == 0
    assert "the name of a level, and who may turn a feature on, were not checked" in done.err
    assert not said(command, project, "set", "north", "location", "on").err


@pytest.mark.parametrize(("settings", "imports"), [("settings.csv", True), (None, False)])
def test_a_pipeline_that_does_not_follow_the_setting_is_warned_of(
    project: Project, command: Command, settings: str | None, imports: bool
) -> None:
    project.pipeline(aggregates=None, settings=settings)
    done = said(command, project, "set", "north", "location", "on")
    assert done.code == 0
    assert "pass --settings ledger to apply this change" in done.err
    assert ("minimize settings import FILE" in done.err) is imports


def test_why_lists_the_deciding_settings(project: Project, command: Command) -> None:
    said(command, project, "set", "north", "location", "on", "--since", "2026-11-01T00:00:00Z")
    run = ("--run-at", "2099-01-01T00:00:00Z")
    yes = said(command, project, "explain", "north", "location", "2026-11-24T10:00:00Z", *run)
    assert yes.out.startswith("location of north: collected")
    assert "at the event time, 2026-11-24T10:00:00Z: on\n  on by admin: valid from 2026-11-01T00:00:00Z" in yes.out
    no = said(command, project, "explain", "north", "location", "2026-10-24T10:00:00Z", *run)
    assert "at the event time, 2026-10-24T10:00:00Z: off: no setting\n" in no.out
    assert (
        said(command, project, "explain", "north", "location", "2026-10-24T10:00:00Z", *run, "--json").json["collected"]
        is False
    )


def test_a_word_that_the_policy_does_not_know_exits_2(project: Project, command: Command) -> None:
    wrong = said(command, project, "set", "north", "locatoin", "on")
    assert wrong.code == 2
    assert "Did you mean `location`?" in wrong.err


def test_a_run_follows_the_ledger(project: Project, command: Command) -> None:
    project.policy(**LASTING)
    project.records(events(40))
    said(command, project, "set", "north", "location", "on", "--since", "2026-01-01T00:00:00Z")
    ran = command("run", project.folder, "--output", project.out)
    assert ran.code == 0
    assert said(command, project, "export", project.folder / "out.csv").code == 0


def test_a_run_without_a_ledger_reports_the_searched_path(project: Project, command: Command, tmp_path: Path) -> None:
    project.records(events(4))
    ran = command("run", project.folder, "--output", project.out)
    assert ran.code == 2
    assert str(tmp_path / "ledger.db") in ran.err


def test_rows_come_in_from_a_file(project: Project, command: Command) -> None:
    done = said(command, project, "import", project.folder / "settings.csv", "--json")
    assert done.json == {"file": str(project.folder / "settings.csv"), "new": 1}


def test_a_replay_asks_the_ledger_as_the_run_did(project: Project, command: Command, tmp_path: Path) -> None:
    project.policy(**LASTING)
    project.pipeline(aggregates=None)
    file = project.records([*events(40), "broken"])
    said(command, project, "set", "north", "location", "on", "--since", "2026-01-01T00:00:00Z")
    assert command("run", project.folder, "--output", project.out, "--settings", "ledger").code == 0
    done = command("replay", project.out, "--pipeline", project.folder, "--ledger", tmp_path / "ledger.db")
    assert (done.code, file.exists()) == (0, True)
    assert "0 of 1 quarantined records now pass" in done.out


def test_without_a_policy_an_answer_reports_that_none_was_checked(project: Project, command: Command) -> None:
    project.policy(features={"location": {"about": "position", "holders": ["user"]}})
    words = ("north", "location", "2026-11-24T10:00:00Z", "--subject", "d1")
    since = ("--since", "2026-11-01", "--subject", "d1", "--holder", "user", "--evidence", "app-1")
    said(command, project, "set", "north", "location", "on", *since)
    asked, alone = said(command, project, "explain", *words), command("settings", "explain", *words)
    assert asked.out.startswith("location of north: collected")
    assert not asked.err
    assert alone.out.startswith("location of north: not collected")
    assert "levels, and who may turn the feature on, were not checked" in alone.err


def test_why_reports_that_the_tenant_has_no_settings(project: Project, command: Command) -> None:
    said(command, project, "set", "north", "location", "on")
    words = ("location", "2026-11-24T10:00:00Z")
    why = said(command, project, "explain", "norht", *words)
    told = "the tenant norht is not in the settings of the ledger. Did you mean north?"
    assert (why.code, why.out.splitlines()[1]) == (0, told)
    assert said(command, project, "explain", "norht", *words, "--json").json["tenant_known"] is False
    assert "is not in the settings" not in said(command, project, "explain", "north", *words).out


def test_the_file_that_was_asked_is_named_without_detours(
    project: Project, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MINIMIZE_LEDGER")
    (project.folder / "beside").mkdir()
    project.pipeline(settings="beside/../settings.csv")
    why = said(command, project, "explain", "north", "location", "2026-11-24T10:00:00Z")
    assert f"(settings: {project.folder / 'settings.csv'})" in why.out


def test_a_tenant_cannot_make_lines_of_its_own(project: Project, command: Command) -> None:
    done = said(command, project, "set", "a\nnorth  location  on", "location", "off")
    assert len(done.out.splitlines()) == 1
    assert len(said(command, project, "show").out.splitlines()) == 1
