"""A purpose that nobody may have is refused wherever it stands, with 2."""

from __future__ import annotations

from pathlib import Path

import pytest

import minimize
from minimize.errors import PolicyError
from tests.cli.command import Command, Said
from tests.job.house import House, events, table

WORDS = ("profiling", "advertising", "marketing", "sale", "user_profiles", "ad_targeting", "remarketing", "data_sale")


def each(command: Command, house: House) -> dict[str, Said]:
    house.brings(events(3))
    more = ("--keys", house.keys)
    return {
        "lint": command("lint", house.folder, "--json"),
        "plan": command("plan", house.folder, "--json"),
        "run": command("run", house.folder, *more, "--json"),
    }


def assert_refused(said: dict[str, Said], code: str, file: str) -> None:
    assert {verb: each.code for verb, each in said.items()} == {"lint": 1, "plan": 2, "run": 2}
    for findings in (said["lint"].json["findings"], said["run"].error["faults"]):
        assert (code, file) in {(finding["code"], Path(finding["file"]).name) for finding in findings}


@pytest.mark.parametrize("word", WORDS)
def test_among_a_policys_purposes(house: House, command: Command, word: str) -> None:
    house.policy(purposes=["service_maintenance", word])
    assert_refused(each(command, house), "P009", "policy.yaml")


@pytest.mark.parametrize("word", WORDS[:4])
def test_among_a_fields_purposes(house: House, command: Command, word: str) -> None:
    house.policy({"model": {"type": "string", "do": "keep", "purposes": [word]}})
    assert_refused(each(command, house), "P009", "policy.yaml")


@pytest.mark.parametrize("word", WORDS[:4])
def test_among_the_purposes_that_a_house_adds(house: House, command: Command, word: str) -> None:
    (house.folder / "minimize.yaml").write_text(f"purposes: [{word}]\n")
    assert_refused(each(command, house), "P009", "minimize.yaml")


@pytest.mark.parametrize("word", WORDS[:4])
def test_as_the_purpose_of_a_pipeline(house: House, command: Command, word: str) -> None:
    house.pipeline(purpose=word)
    assert_refused(each(command, house), "P009", "pipeline.yaml")


def test_a_purpose_of_the_house_may_be_had(house: House, command: Command) -> None:
    (house.folder / "minimize.yaml").write_text("purposes: [capacity_planning]\n")
    house.policy(purposes=["capacity_planning"])
    house.pipeline(purpose="capacity_planning")
    assert {verb: said.code for verb, said in each(command, house).items()} == {"lint": 0, "plan": 0, "run": 0}


def test_a_purpose_that_the_policy_does_not_list_is_a_fault(house: House, command: Command) -> None:
    house.pipeline(purpose="operations")
    assert_refused(each(command, house), "P008", "pipeline.yaml")


@pytest.mark.parametrize("word", ["marketing", "operations", "maintenance"])
def test_in_a_call_too(house: House, word: str) -> None:
    with pytest.raises(PolicyError) as caught:
        minimize.apply(house.folder / "policy.yaml", table(events(3)), purpose=word, keys=house.keys)
    assert [finding.code for finding in caught.value.findings] == ["P100"]
    assert caught.value.exit_code == 2
