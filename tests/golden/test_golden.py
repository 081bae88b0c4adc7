"""Every scenario does what its expected file says, and the corpus covers what the package offers."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import cache

import pytest

from minimize.cli.main import COMMANDS
from tests.commands import command
from tests.golden.compare import EXPECTED, differences, expected, report
from tests.golden.runner import ROOT, SCENARIOS, play


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_scenario_does_what_is_expected(name: str) -> None:
    changes = report(name, expected(name), play(name))
    assert not changes, changes


def test_every_scenario_has_an_expected_file_and_every_expected_file_a_scenario() -> None:
    assert {path.stem for path in EXPECTED.glob("*")} == set(SCENARIOS)


@cache
def commands() -> list[str]:
    """The commands of all expected steps."""
    return [step["command"] for name in SCENARIOS for step in expected(name)["steps"] if "command" in step]


def subcommands(*path: str) -> Iterator[str]:
    """Every command below a group, as its help lists them."""
    listed = command(*path, "--help").out.partition("\nCommands:\n")[2]
    names = re.findall(r"^  ([a-z][a-z-]*)", listed, re.MULTILINE) if path else list(COMMANDS)
    for name in names:
        yield from subcommands(*path, name)
    if path and not names:
        yield " ".join(path)


def test_every_command_is_run_by_a_scenario() -> None:
    offered = set(subcommands())
    assert len(offered) > 80
    assert {each for each in offered if not any(f"{ran} ".startswith(f"{each} ") for ran in commands())} == set()


@pytest.mark.parametrize("pipeline", sorted(path.parent.name for path in ROOT.glob("pipelines/*/pipeline.yaml")))
@pytest.mark.parametrize("verb", ["lint", "plan", "run", "verify", "explain", "expire", "retract", "replay", "report"])
def test_every_sample_pipeline_is_put_to_the_verbs(verb: str, pipeline: str) -> None:
    wanted = re.compile(rf"{verb} \S*/{pipeline}\b")
    assert [ran for ran in commands() if wanted.match(ran)]


def test_nothing_planted_is_found_but_where_it_was_put_on_purpose() -> None:
    found = {name: {place: where for place, where in expected(name)["leaks"].items() if where} for name in SCENARIOS}
    assert sum(len(expected(name)["leaks"]) for name in SCENARIOS) > 30
    assert found.pop("leaky")  # the control: its policy keeps what it should not
    kept = {name: set(places) for name, places in found.items() if places}
    assert kept == KEPT


KEPT: dict[str, set[str]] = {}
"""By scenario the planted values that a policy lets through on purpose."""


def test_a_difference_is_reported_with_its_path() -> None:
    before = {"steps": [{"command": "lint x", "exit": 0, "found": ["L001", "L002"]}], "same": 1}
    after = json.loads(json.dumps(before))
    after["steps"][0] |= {"exit": 1, "found": ["L001", "L003", "L002"]}
    assert [f"{path}: {old} → {new}" for path, old, new in differences(before, after) if isinstance(new, int)] == [
        "steps[0: lint x].exit: 0 → 1",
        "steps[0: lint x].found.length: 2 → 3",
    ]
    assert report("it", before, before) == ""
    assert '(nothing) → "L003"' in report("it", before, after)
