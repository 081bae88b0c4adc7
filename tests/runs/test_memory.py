"""Runs within and beyond the memory that they may take."""

from __future__ import annotations

import errno
import os

import pytest

from minimize.checkpoints import at_checkpoint
from minimize.errors import ConfigurationError
from tests.project import BEFORE, Builds, Project, events


def fleet_content(project: Project) -> None:
    """Two dates of enough devices and models for a tally not to fit."""
    project.pipeline(records={"deduplicate": {"by": ["device_id", "model"]}})
    for day, first in ((None, 0), (BEFORE, 300)):
        rows = [
            {**event, "device_id": f"device {number % 700}", "model": f"a model with a long name {number % 211}"}
            for number, event in enumerate(events(1500, first))
        ]
        project.records(rows, **({} if day is None else {"day": day}))


@pytest.fixture(name="fleet")
def _fleet(builds: Builds, project: Project) -> Project:
    return builds.fill(project, fleet_content)


def test_a_run_beyond_its_memory_gives_what_it_gives_within(fleet: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    pieces = list[str]()
    with at_checkpoint("spill.put", pieces.append):
        within = fleet.run(output=fleet.folder / "within")
        assert not pieces
        monkeypatch.setenv("MINIMIZE_MEMORY", "1")
        beyond = fleet.run()
    assert len(pieces) > 100
    assert (beyond.rows, beyond.fields, beyond.gated_by) == (within.rows, within.fields, within.gated_by)
    for name, output in within.outputs.items():
        assert beyond.outputs[name].rows == output.rows
        assert fleet.rows(name) == fleet.rows(name, fleet.folder / "within")


def test_an_invalid_memory_size_is_reported_before_anything_is_read(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MINIMIZE_MEMORY", "plenty")
    with pytest.raises(ConfigurationError, match="MINIMIZE_MEMORY is not a size"):
        project.run()


def test_the_configuration_sets_the_memory_budget(fleet: Project) -> None:
    with at_checkpoint("spill.put", lambda *_: pytest.fail("set aside")):
        fleet.write("minimize", {"memory": "1GiB"})
        assert fleet.run().rows.read == 3000
        fleet.write("minimize", {"memory": 1})
        with pytest.raises(pytest.fail.Exception, match="set aside"):
            fleet.run()


def test_a_full_disk_stops_the_run_and_nothing_is_published(fleet: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setenv("MINIMIZE_MEMORY", "1")
    monkeypatch.setattr(os, "pwrite", full)
    with pytest.raises(ConfigurationError, match="No space left") as told:
        fleet.run()
    assert told.value.exit_code == 2
    assert "a model" not in str(told.value) + told.value.hint
    assert fleet.files() == set()
