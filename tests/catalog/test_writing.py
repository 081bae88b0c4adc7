from __future__ import annotations

import json
from pathlib import Path

from minimize.report.documentation import catalogue_page, collect_documentation, write_documentation
from tests.cli.conftest import _command, _project
from tests.commands import Command
from tests.project import AT, Project, event, events

__all__ = ["_command", "_project"]

DAY = AT.date()
PIPELINES = str(Path(__file__).parents[2] / "pipelines")


def test_both_documents_are_written_as_markdown_and_json(tmp_path: Path) -> None:
    files = write_documentation([PIPELINES], tmp_path / "out", DAY)
    assert [path.name for path in files] == ["catalogue.md", "catalogue.json", "processing.md", "processing.json"]
    found = collect_documentation([PIPELINES], DAY)
    assert files[0].read_text() == catalogue_page(found.catalogue)
    assert json.loads(files[1].read_text()) == json.loads(json.dumps(found.as_json()["catalogue"]))
    assert json.loads(files[3].read_text())["activities"][0]["name"] == found.record.activities[0].name


def test_the_record_has_the_list_of_subprocessors(tmp_path: Path) -> None:
    files = write_documentation([PIPELINES], tmp_path / "out", DAY)
    (agent,) = json.loads(files[3].read_text())["subprocessors"]
    assert (agent["name"], agent["from"], agent["until"]) == ("Example Support Desk", "2026-01-01", None)
    assert f"| Example Support Desk | 2026-01-01 |  | {agent['about']} |" in files[2].read_text()


def test_they_are_the_same_every_time_whatever_the_order_of_paths(tmp_path: Path) -> None:
    names = [f"{PIPELINES}/{name}" for name in ("usage_events", "device_telemetry")]
    first, second = (
        [path.read_bytes() for path in write_documentation(order, tmp_path / str(n), DAY)]
        for n, order in enumerate((names, names[::-1]))
    )
    assert first == second


def test_no_value_of_a_record_is_in_them(project: Project, tmp_path: Path) -> None:
    project.records([*events(30), event(31, model="canary-4711", device_id="canary-0815")])
    project.run(at=AT)
    texts = [path.read_text() for path in write_documentation([str(project.folder)], tmp_path / "out", DAY)]
    assert not any("canary" in text for text in texts)


def test_the_command_writes_or_prints_them(project: Project, command: Command) -> None:
    said = command("docs", project.folder, "--out", "told")
    assert said.code == 0, said.err
    assert said.out.splitlines()[0] == "wrote told/catalogue.md"
    printed = command("docs", project.folder)
    assert printed.out.startswith("# Data catalogue")
    assert "# Record of processing activities" in printed.out
    assert set(command("docs", project.folder, "--json").json) == {"catalogue", "processing"}
    assert command("docs", project.folder / "data").code == 2
