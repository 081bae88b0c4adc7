"""Reading an output whose ledger is lost: a warning if no access rules can depend on it, else a refusal with the way on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.commands import command
from tests.project import Builds, Project, events, new_project, write_yaml
from tests.world import access_file, assignment

CONFIGURATION = "access: off\nencrypt: off\nkeys: test.keys\n"


def published(project: Project) -> None:
    project.records(events(40))
    project.run()


@pytest.fixture(name="lost")
def _lost(builds: Builds, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """An output without the ledger in its folder, that minimize.yaml does not name."""
    monkeypatch.delenv("MINIMIZE_LEDGER", raising=False)
    project = builds.fill(new_project(tmp_path / "project", lasting=True), published)
    (project.folder / "minimize.yaml").write_text(CONFIGURATION)
    for path in project.out.glob("ledger.db*"):
        path.unlink()
    return project


READING: dict[str, Callable[[Project], tuple[Any, ...]]] = {
    "report": lambda project: ("report", project.out),
    "view": lambda project: (
        "subject",
        "view",
        "d3",
        "--tenant",
        "south",
        "--also",
        project.out,
        "--keys",
        project.keys,
    ),
}


@pytest.mark.parametrize("name", READING)
def test_without_access_rules_an_output_is_read_with_a_warning(lost: Project, name: str) -> None:
    done = command(*READING[name](lost))
    assert done.code == 0, done.err
    assert done.err.startswith("WARNING the ledger")


@pytest.mark.parametrize("name", READING)
@pytest.mark.parametrize("way", ["option", "variable"])
def test_a_missing_ledger_that_the_caller_names_is_refused(
    lost: Project, name: str, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MINIMIZE_LEDGER", str(lost.folder / "no.db") if way == "variable" else "")
    words = ("--ledger", lost.folder / "no.db") if way == "option" else ()
    refused = command(*READING[name](lost), *words)
    assert (refused.code, "E303" in refused.err, "adopt-ledger" in refused.err) == (3, True, True)


@pytest.mark.parametrize("name", READING)
def test_with_access_rules_it_is_refused(lost: Project, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINIMIZE_ACTOR", "max")
    write_yaml(lost.folder / "access.yaml", access_file(assignment("operator", "max")))
    (lost.folder / "minimize.yaml").write_text(CONFIGURATION.replace("off", "access.yaml", 1))
    refused = command(*READING[name](lost))
    assert (refused.code, "E303" in refused.err, "adopt-ledger" in refused.err) == (3, True, True)


def test_a_change_is_refused(lost: Project) -> None:
    words = ("subject", "delete", "d3", "--tenant", "south", "--also", lost.out, "--keys", lost.keys, "--yes")
    assert command(*words).code == 3
    assert command("expire", lost.out, "--yes").code == 3
