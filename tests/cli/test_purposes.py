"""A purpose that nobody may have is refused wherever it stands, with 2."""

from __future__ import annotations

from pathlib import Path

import pytest

import minimize
from minimize.errors import PolicyError
from tests.commands import Command, Result
from tests.project import Project, events, table

WORDS = ("profiling", "advertising", "marketing", "sale", "user_profiles", "ad_targeting", "remarketing", "data_sale")


def each(command: Command, project: Project) -> dict[str, Result]:
    project.records(events(3))
    more = ("--keys", project.keys)
    return {
        "lint": command("lint", project.folder, "--json"),
        "plan": command("plan", project.folder, "--json"),
        "run": command("run", project.folder, *more, "--json"),
    }


def assert_refused(said: dict[str, Result], code: str, file: str) -> None:
    assert {verb: each.code for verb, each in said.items()} == {"lint": 1, "plan": 2, "run": 2}
    for findings in (said["lint"].json["findings"], said["run"].error["faults"]):
        assert (code, file) in {(finding["code"], Path(finding["file"]).name) for finding in findings}


@pytest.mark.parametrize("word", WORDS)
def test_among_a_policys_purposes(project: Project, command: Command, word: str) -> None:
    project.policy(purposes=["service_maintenance", word])
    assert_refused(each(command, project), "P009", "policy.yaml")


@pytest.mark.parametrize("word", WORDS[:4])
def test_among_a_fields_purposes(project: Project, command: Command, word: str) -> None:
    project.policy({"model": {"type": "string", "do": "keep", "purposes": [word]}})
    assert_refused(each(command, project), "P009", "policy.yaml")


@pytest.mark.parametrize("word", WORDS[:4])
def test_among_the_purposes_that_a_configuration_adds(project: Project, command: Command, word: str) -> None:
    (project.folder / "minimize.yaml").write_text(f"purposes: [{word}]\n")
    assert_refused(each(command, project), "P009", "minimize.yaml")


@pytest.mark.parametrize("word", WORDS[:4])
def test_as_the_purpose_of_a_pipeline(project: Project, command: Command, word: str) -> None:
    project.pipeline(purpose=word)
    assert_refused(each(command, project), "P009", "pipeline.yaml")


def test_a_purpose_of_the_configuration_may_be_had(project: Project, command: Command) -> None:
    (project.folder / "minimize.yaml").write_text("purposes: [capacity_planning]\n")
    project.policy(purposes=["capacity_planning"])
    project.pipeline(purpose="capacity_planning")
    assert {verb: said.code for verb, said in each(command, project).items()} == {"lint": 0, "plan": 0, "run": 0}


def test_a_purpose_that_the_policy_does_not_list_is_a_fault(project: Project, command: Command) -> None:
    project.pipeline(purpose="operations")
    assert_refused(each(command, project), "P008", "pipeline.yaml")


@pytest.mark.parametrize("word", ["marketing", "operations", "maintenance"])
def test_in_a_call_too(project: Project, word: str) -> None:
    with pytest.raises(PolicyError) as caught:
        minimize.apply(project.folder / "policy.yaml", table(events(3)), purpose=word, keys=project.keys)
    assert [finding.code for finding in caught.value.findings] == ["P100"]
    assert caught.value.exit_code == 2
