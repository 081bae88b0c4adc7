"""`minimize risk attack` and `minimize risk differences`: text, JSON, options and permissions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.commands import Command
from tests.project import BEFORE, DAY, Project, enter, event, new_project
from tests.world import World

DEVICES = 40


@pytest.fixture(name="project")
def _project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """Two dates with published check-ins; a device leaves between them."""
    enter(tmp_path, monkeypatch)
    project = new_project(tmp_path, lasting=True)
    plain: dict[str, Any] = {"type": "string", "role": "quasi", "do": "keep"}
    project.policy({"model": plain, "site": plain, "state": {**plain, "role": "sensitive"}, "latitude": None})
    project.pipeline(aggregates=None, settings=None)
    for day, first in ((BEFORE, 0), (DAY, 1)):
        project.records(
            (
                event(
                    number,
                    device_id=f"device-{number}",
                    tenant_id="north",
                    event_time=f"{day}T10:00:00Z",
                    model="planted-model",
                    site=f"planted-{number % 4}",
                    state=("planted-on", "planted-off")[number % 3 == 0],
                )
                for number in range(first, DEVICES)
            ),
            day,
        )
    project.run()
    return project


def test_attacks_are_printed_next_to_their_control(project: Project, command: Command) -> None:
    result = command("risk", "attack", project.out, "--keys", project.keys)
    assert result.code == 0
    assert f"79 records of 2 dates, {BEFORE} to {DAY}" in result.out
    assert "the attacker knows  event_time, model, site" in result.out
    assert "and wants to learn  state" in result.out
    assert all(name in result.out for name in ("singling_out", "linkage", "inference of state", "95 % interval"))
    assert "planted" not in result.out + result.err


def test_attacks_as_json(project: Project, command: Command) -> None:
    options = ("--quasi", "site", "--sensitive", "model", "--date", DAY, "--keys", project.keys)
    body = command("risk", "attack", project.out, *options, "--json").json
    assert (body["quasi_identifiers"], body["sensitive"], body["person"]) == (["site"], ["model"], "device_id")
    assert (body["dates"], body["records"]) == ([DAY], DEVICES - 1)
    singling_out, linkage, inference = body["attacks"]
    assert (singling_out["risk"], singling_out["control"]) == (0, None)
    assert (linkage["successes"], linkage["attempts"]) == (4, DEVICES - 1)
    assert (inference["rate"], inference["control"]["rate"], inference["risk"]) == (1, 1, 0)


def test_another_person_can_be_named(project: Project, command: Command) -> None:
    options = ("--quasi", "site", "--person", "tenant_id", "--keys", project.keys)
    body = command("risk", "attack", project.out, *options, "--json").json
    assert (body["person"], body["attacks"][0]["attempts"]) == ("tenant_id", 1)


def test_differences_of_dates(project: Project, command: Command) -> None:
    options = (project.out, "--quasi", "site", "--keys", project.keys)
    body = command("risk", "differences", *options, "--json").json
    assert body["not_compared"] == []
    (compared,) = body["compared"]
    assert (compared["earlier"], compared["later"], compared["relation"]) == (BEFORE, DAY, "dates")
    assert (compared["attempts"], compared["successes"]) == (1, 1)
    text = command("risk", "differences", *options).out
    assert "data subjects that differ" in text
    assert "planted" not in text


def test_a_field_that_is_not_released_is_refused(project: Project, command: Command) -> None:
    result = command("risk", "attack", project.out, "--quasi", "event_id", "--keys", project.keys)
    assert result.code == 2
    assert "event_id is not released" in result.err


def test_usage_names_the_output_alone(command: Command) -> None:
    text = " ".join(command("risk", "attack", "--help").out.split())
    assert "minimize risk attack [OPTIONS] OUTPUT" in text


def test_attacks_need_the_permission_of_a_report(world: World) -> None:
    for verb in ("attack", "differences"):
        assert world.command("hedy", "risk", verb, "checkins/out").code == 3
        assert world.command("pia", "risk", verb, "checkins/out").code == 0
