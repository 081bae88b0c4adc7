"""`minimize lint`: what it prints, and when it fails."""

from __future__ import annotations

import pytest

from tests.commands import Command
from tests.project import Project, events


def test_only_warnings_exit_0(project: Project, command: Command) -> None:
    project.policy({"model": {"type": "string", "role": "quasi", "do": "keep"}})
    said = command("lint", project.folder)
    assert said.code == 0
    assert "warning L001 model:" in said.out
    assert "0 error(s)" in said.out


@pytest.mark.parametrize(("fail_on", "code"), [("error", 0), ("warning", 1), ("never", 0)])
def test_what_fails_can_be_said(project: Project, command: Command, fail_on: str, code: int) -> None:
    project.policy({"model": {"type": "string", "role": "quasi", "do": "keep"}})
    assert command("lint", project.folder, "--fail-on", fail_on).code == code


@pytest.mark.parametrize(("fail_on", "code"), [("error", 1), ("warning", 1), ("never", 0)])
def test_an_error_fails_unless_nothing_does(project: Project, command: Command, fail_on: str, code: int) -> None:
    project.policy({"note": {"type": "string", "role": "free_text", "do": "keep"}})
    assert command("lint", project.folder, "--fail-on", fail_on).code == code


def test_faults_of_a_file_exit_1_and_are_findings(project: Project, command: Command) -> None:
    project.policy({"battery": {"type": "strnig"}})
    said = command("lint", project.folder, "--json")
    assert said.code == 1
    (finding,) = [each for each in said.json["findings"] if each["severity"] == "error"]
    assert set(finding) == {"code", "severity", "file", "line", "field", "message", "hint"}
    assert (finding["severity"], finding["field"]) == ("error", "battery")
    assert finding["file"].endswith("policy.yaml")


def test_yaml_that_cannot_be_parsed_exits_1(project: Project, command: Command) -> None:
    (project.folder / "policy.yaml").write_text("fields: [")
    assert command("lint", project.folder).code == 1


def test_refusals_exit_1_too(project: Project, command: Command) -> None:
    project.policy({"device_id": {"type": "string", "role": "identifier", "do": "keep"}})
    assert command("lint", project.folder).code == 1


@pytest.mark.parametrize("gone", ["policy.yaml", "pipeline.yaml"])
def test_a_file_that_cannot_be_read_at_all_exits_2(project: Project, command: Command, gone: str) -> None:
    (project.folder / gone).unlink()
    said = command("lint", project.folder, "--json")
    assert said.code == 2
    assert said.error["faults"][0]["file"].endswith(gone)


def test_settings_without_effect_are_found(project: Project, command: Command) -> None:
    row = "north,,loction,on,admin,2026-01-01T00:00:00Z,2026-01-01T00:00:00Z\n"
    (project.folder / "settings.csv").write_text((project.folder / "settings.csv").read_text() + row)
    said = command("lint", project.folder)
    assert "L035" in said.out
    assert "did you mean `location`" in said.out


def test_faulty_settings_are_findings(project: Project, command: Command) -> None:
    row = "north,,location,on,admin,yesterday,2026-01-01T00:00:00Z\n"
    (project.folder / "settings.csv").write_text((project.folder / "settings.csv").read_text() + row)
    said = command("lint", project.folder, "--json")
    assert said.code == 1
    (error,) = [finding for finding in said.json["findings"] if finding["severity"] == "error"]
    assert (error["line"], error["field"]) == (3, "valid_from")
    assert error["file"].endswith("settings.csv")


def test_a_path_that_the_source_spells_otherwise_is_found(project: Project, command: Command) -> None:
    project.policy({"battery": None, "Battery": {"type": "double", "do": {"bin": {"width": 10}}}})
    project.pipeline(aggregates=None)
    project.records(events(5))
    said = command("lint", project.folder)
    assert said.code == 1
    assert "L021" in said.out
    assert "did you mean `battery`" in said.out


def test_the_gravest_come_first(project: Project, command: Command) -> None:
    project.policy(
        {
            "model": {"type": "string", "role": "quasi", "do": "keep"},
            "note": {"type": "string", "role": "free_text", "do": "keep"},
        }
    )
    severities = [finding["severity"] for finding in command("lint", project.folder, "--json").json["findings"]]
    assert severities == sorted(severities)
    assert set(severities) == {"error", "warning"}


def test_a_damaged_source_is_a_warning_of_lint(project: Project, command: Command) -> None:
    project.records(events(5))
    (file,) = (project.folder / "data").glob("*/*")
    file.write_bytes(file.read_bytes()[:40])
    said = command("lint", project.folder, "--json")
    assert said.code == 0
    assert "L023" in {finding["code"] for finding in said.json["findings"]}


def test_a_key_that_the_keyring_lacks_is_a_warning(project: Project, command: Command) -> None:
    command("keys", "new", "other.keys", "--name", "user")
    said = command("lint", project.folder, "--keys", "other.keys", "--json")
    (finding,) = [finding for finding in said.json["findings"] if finding["code"] == "L012"]
    assert (said.code, finding["field"], finding["line"] is not None) == (0, "device_id", True)
    assert "L012" not in command("lint", project.folder, "--keys", project.keys).out
    assert "L012" not in command("lint", project.folder).out


def test_a_keyring_that_cannot_be_used_is_a_warning_of_lint(project: Project, command: Command) -> None:
    said = command("lint", project.folder, "--keys", "nowhere.keys")
    assert (said.code, "L012" in said.out) == (0, True)


def test_the_codes_are_listed_as_text_or_as_json(command: Command) -> None:
    from minimize.codes import CODES

    said = command("lint", "--codes")
    assert said.code == 0
    assert [line.split("  ")[0] for line in said.out.splitlines()] == list(CODES)
    for words in (("--codes", "--json"), ("--json", "--codes")):
        assert command("lint", *words).json == {"codes": dict(CODES)}


def test_without_a_pipeline_lint_is_used_wrongly(command: Command) -> None:
    assert command("lint").code == 2
