"""Somebody who was erased does not return with a run whose ledger is another: it is refused, or they are still erased."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.commands import command
from tests.project import DAY, Project, clean_environment, events, new_project

RECORDS = events(60)
LEDGER = "ledger.db"
Loss = Callable[[pytest.MonkeyPatch, Path], object]


@pytest.fixture(name="environment")
def _environment(tmp_path: Path) -> Iterator[pytest.MonkeyPatch]:
    with clean_environment(tmp_path) as patch:
        yield patch


@pytest.fixture(name="project")
def _project(tmp_path: Path, environment: pytest.MonkeyPatch) -> Project:
    """An output that was written, copied, and of which somebody was erased then, with one ledger."""
    project = new_project(tmp_path, lasting=True)
    project.pipeline(aggregates=None)
    project.records(RECORDS)
    environment.setenv("MINIMIZE_KEYS", str(project.keys))
    environment.setenv("MINIMIZE_LEDGER", str(tmp_path / LEDGER))
    assert command("run", project.folder, "--date", DAY).code == 0
    shutil.copy(tmp_path / LEDGER, tmp_path / "backup.db")
    assert command("subject", "delete", "d4", "--tenant", "north", "--yes").code == 0
    return project


def unnamed(environment: pytest.MonkeyPatch, folder: Path) -> None:
    environment.delenv("MINIMIZE_LEDGER")


def moved(environment: pytest.MonkeyPatch, folder: Path) -> None:
    (folder / LEDGER).rename(folder / "moved.db")


def lost(environment: pytest.MonkeyPatch, folder: Path) -> None:
    (folder / LEDGER).unlink()


def lost_and_adopted(environment: pytest.MonkeyPatch, folder: Path) -> None:
    (folder / LEDGER).unlink()
    assert command("runs", "adopt-ledger", folder / "out", "--reason", "lost").code == 0


def restored(environment: pytest.MonkeyPatch, folder: Path) -> None:
    shutil.copy(folder / "backup.db", folder / LEDGER)


def found_elsewhere(environment: pytest.MonkeyPatch, folder: Path) -> None:
    """From a folder that has a configuration and a ledger of its own; the pipeline's names the right one."""
    environment.delenv("MINIMIZE_LEDGER")
    (folder / "minimize.yaml").write_text(f"ledger: {LEDGER}\n")
    (folder / "elsewhere").mkdir()
    (folder / "elsewhere" / "minimize.yaml").write_text("ledger: another.db\n")
    environment.chdir(folder / "elsewhere")


REFUSED: tuple[Loss, ...] = (unnamed, moved, lost, restored)
ERASED: tuple[Loss, ...] = (lost_and_adopted, found_elsewhere)


def comes_back(project: Project) -> bool:
    return len(project.rows()) > sum((each["tenant_id"], each["device_id"]) != ("north", "d4") for each in RECORDS)


@pytest.mark.parametrize("loss", REFUSED, ids=lambda loss: loss.__name__)
def test_the_run_is_refused(project: Project, environment: pytest.MonkeyPatch, loss: Loss) -> None:
    loss(environment, project.folder)
    for words in (
        ("run", project.folder, "--date", DAY),
        ("run", project.folder, "--pending"),
        ("expire", project.out, "--yes"),
    ):
        assert command(*words).code == 3
    assert not comes_back(project)


@pytest.mark.parametrize("loss", ERASED, ids=lambda loss: loss.__name__)
def test_the_run_still_erases(project: Project, environment: pytest.MonkeyPatch, loss: Loss) -> None:
    loss(environment, project.folder)
    done = command("run", project.folder, "--date", DAY)
    assert done.code == 0, done.err
    assert not comes_back(project)
    assert command("verify", project.out).code == 0


def test_a_ledger_is_not_adopted_if_the_list_of_erasures_is_gone(project: Project) -> None:
    adopt = ("runs", "adopt-ledger", project.out, "--reason", "lost")
    (project.folder / LEDGER).unlink()
    shutil.rmtree(project.out / "erasures")
    assert command(*adopt).code == 3
    assert command("run", project.folder, "--date", DAY).code == 3
    assert command(*adopt, "--allow-lost-erasures").code == 0
