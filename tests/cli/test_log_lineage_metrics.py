"""What a command tells others of a run: log, lineage, metrics."""

from __future__ import annotations

import json

from tests.commands import Command, Result
from tests.project import DAY, LASTING, Project, events

WHEN = "2026-11-25T00:00:00Z"


def ran(command: Command, project: Project, *more: object) -> Result:
    return command("run", project.folder, "--at", WHEN, "--output", project.out, "--keys", project.keys, *more)


def test_the_log_for_machines_ends_with_the_figures_of_the_run(project: Project, command: Command) -> None:
    project.records([*events(30), "broken"])
    lines = [json.loads(line) for line in ran(command, project, "--log-format", "json").err.splitlines()]
    assert [line["code"] for line in lines] == ["I001"]
    assert all(set(line) == {"ts", "level", "code", "run_id", "msg", "data"} for line in lines)
    figures = lines[-1]["data"]
    assert (figures["kind"], figures["pipeline"], figures["dates"]) == ("run", "checkins", [DAY])
    assert (figures["rows"]["read"], figures["rows"]["written"], figures["quarantined"]) == (31, 30, {"malformed": 1})
    assert figures["quarantine_share"] == round(1 / 31, 6)
    assert len({line["run_id"] for line in lines}) == 1


def test_lineage_and_metrics_are_written_to_the_paths_of_the_options(project: Project, command: Command) -> None:
    project.records(events(30))
    assert ran(command, project, "--lineage", "told/a.ndjson", "--metrics", "told/a.prom").code == 0
    assert len((project.folder / "told/a.ndjson").read_text().splitlines()) == 2
    assert "minimize_rows" in (project.folder / "told/a.prom").read_text()
    assert not (project.folder / "_out.lineage.ndjson").exists()


def test_lineage_and_metrics_are_written_to_the_paths_of_the_configuration(project: Project, command: Command) -> None:
    (project.folder / "minimize.yaml").write_text("lineage: off\nmetrics: told\n")
    project.records(events(30))
    assert ran(command, project).code == 0
    assert [path.name for path in (project.folder / "told").iterdir()] == ["minimize_checkins.prom"]
    assert not (project.folder / "_out.lineage.ndjson").exists()


def test_a_replay_updates_metrics_and_lineage(project: Project, command: Command) -> None:
    project.records([*events(30), "broken", json.dumps({**events(1)[0], "contacts": ["x"]})])
    ran(command, project)
    project.policy(never=None, **LASTING)
    said = command("replay", project.out, "--keys", project.keys, "--metrics", "told")
    assert said.code == 0
    assert 'fate="written"} 31' in (project.folder / "told/minimize_checkins.prom").read_text()
    assert len((project.folder / "_out.lineage.ndjson").read_text().splitlines()) == 4
