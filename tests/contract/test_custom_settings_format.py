"""A settings format that the package does not know: one function and one row by suffix."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

import minimize
from minimize.errors import PolicyError
from minimize.settings import load_settings
from minimize.settings.files import FORMATS, UncheckedSettings
from tests.commands import command
from tests.project import SETTINGS, Project, events


def read_bars(path: Path) -> UncheckedSettings:
    names, *rows = [line.split("|") for line in path.read_text().splitlines()]
    columns = [pa.array([row[number] for row in rows], pa.string()) for number in range(len(names))]
    return UncheckedSettings(pa.table(columns, names=names), str(path), range(2, len(rows) + 2))


@pytest.fixture(autouse=True)
def _table(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(FORMATS, ".bars", read_bars)


@pytest.fixture(name="settings")
def _settings(project: Project) -> Path:
    path = project.folder / "settings.bars"
    path.write_text(SETTINGS.replace(",", "|"))
    project.policy()
    project.pipeline()
    project.records(events(40))
    return path


def test_it_gives_what_the_same_settings_give_in_another_format(project: Project, settings: Path) -> None:
    project.run(output=project.folder / "usual")
    project.pipeline(settings=settings.name)
    assert [each for each in minimize.lint(project.folder, keys=project.keys) if each.severity == "error"] == []
    project.run()
    assert project.rows() == project.rows(output=project.folder / "usual")
    minimize.verify(project.out, keys=project.keys)


def test_a_command_reads_it(project: Project, settings: Path) -> None:
    said = command("plan", project.folder, "--settings", settings)
    assert (said.code, said.err) == (0, "")
    said = command("settings", "import", settings, "--ledger", "ledger.db", "--keys", project.keys, "--json")
    assert said.json["new"] == SETTINGS.count("\n") - 1


def test_a_fault_in_it_has_its_line(settings: Path) -> None:
    settings.write_text(settings.read_text().replace("2026-01-01T00:00:00Z", "yesterday", 1))
    with pytest.raises(PolicyError) as caught:
        load_settings(settings)
    assert [(each.code, each.file, each.line) for each in caught.value.findings] == [("C004", str(settings), 2)]
