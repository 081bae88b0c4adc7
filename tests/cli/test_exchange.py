"""`minimize import`, `export` and `check`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.commands import Command
from tests.project import AT, Project, events

PIPELINES = Path(__file__).parents[2] / "pipelines"
SCHEMA = {
    "$schema": "http://json-schema.org/draft-07/schema#",
    "properties": {
        "tenant_id": {"type": "string"},
        "event_time": {"type": "string", "format": "date-time"},
        "battery": {"type": "number"},
    },
}


@pytest.fixture(name="schema")
def _schema(tmp_path: Path) -> Path:
    path = tmp_path / "schema.json"
    path.write_text(json.dumps(SCHEMA))
    return path


def test_a_policy_is_imported_accepted_and_lints(command: Command, schema: Path, tmp_path: Path) -> None:
    said = command("import", "jsonschema", schema, tmp_path / "p")
    assert said.code == 0
    assert "wrote" in said.out
    assert command("policy", "accept", tmp_path / "p", "event_time").code == 0
    assert "truncate_time: {to: hour}" in (tmp_path / "p" / "policy.yaml").read_text()


def test_an_imported_policy_runs_over_its_data_once_proposals_are_accepted(
    project: Project, command: Command, schema: Path
) -> None:
    data = project.records(events(20))
    assert command("import", "jsonschema", schema, "mine", "--data", data).code == 0
    assert command("policy", "accept", "mine", "tenant_id", "event_time").code == 0
    ran = command("run", "mine", "--keys", project.keys, "--json")
    assert ran.code == 0, ran.err
    assert ran.json["rows"]["written"] == 20
    assert {name for name, field in ran.json["fields"].items() if field["did"] != "drop"} == {"tenant_id", "event_time"}
    assert command("import", "jsonschema", schema, "--data", data).code == 2


def test_without_a_folder_the_policy_is_printed(command: Command, schema: Path) -> None:
    assert command("import", "jsonschema", schema).out.endswith("battery: {type: double, do: drop}\n")
    assert "battery" in command("import", "jsonschema", schema, "--json").json["policy"]


def test_a_document_that_cannot_be_read_is_a_mistake(command: Command, tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text("{")
    assert command("import", "odcs", tmp_path / "x.json").code == 2
    assert command("import", "fideslang", tmp_path / "x.json").code == 2


@pytest.mark.parametrize("format_", ["jsonschema", "odcs", "fideslang"])
def test_the_content_of_a_pipeline_is_exported(command: Command, format_: str, tmp_path: Path) -> None:
    printed = command("export", format_, PIPELINES / "usage_events", "--json")
    assert printed.code == 0, printed.err
    assert printed.json
    said = command("export", format_, PIPELINES / "usage_events", "--json", "--to", tmp_path / "x")
    assert said.out.startswith("wrote")
    assert (tmp_path / "x").read_text() == printed.out


def test_lineage_is_exported_of_an_output(project: Project, command: Command) -> None:
    project.records(events(40))
    project.run(at=AT)
    said = command("export", "openlineage", project.out)
    assert [json.loads(line)["eventType"] for line in said.out.splitlines()] == ["START", "COMPLETE"]


def test_records_that_do_not_obey_a_schema_exit_1(project: Project, command: Command, schema: Path) -> None:
    assert command("check", project.records(events(20)), "--schema", schema).code == 0
    said = command("check", project.records([*events(20), {"battery": "low"}]), "--schema", schema)
    assert said.code == 1
    assert said.out.splitlines() == ["21 records against draft-07: 1 invalid", "        1  type  /battery"]


def test_an_unknown_format_is_named_as_in_the_help(project: Project, command: Command) -> None:
    assert "unknown FORMAT `odc` (hint: Did you mean `odcs`?)" in command("export", "odc", project.folder).err


def test_a_document_that_cannot_be_written_is_named(project: Project, command: Command) -> None:
    path = project.folder / "gone" / "document.json"
    error = command("export", "odcs", project.folder, "--to", path, "--json").error
    assert error["message"].startswith(f"{path} cannot be written: ")
