"""An engine that the package does not know: one function and one row in the table."""

from __future__ import annotations

from typing import Any, cast

import pytest

import minimize
from minimize.engines import ENGINES
from minimize.engines.base import BatchOutcome, Job, QuarantineSink, SinkFactory
from minimize.sources.base import Source
from minimize.text import Registry
from tests.commands import command
from tests.project import AT, DAY, Project, events


def run_watched(job: Job, source: Source, sinks: SinkFactory | None, quarantine: QuarantineSink) -> BatchOutcome:
    """The local engine under another name."""
    return ENGINES["local"](job, source, sinks, quarantine)


@pytest.fixture(autouse=True)
def _table(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(cast("Registry[Any]", ENGINES), "watched", run_watched)


@pytest.fixture(name="filled")
def _filled(project: Project) -> Project:
    project.policy()
    project.pipeline()
    project.records(events(40))
    return project


def test_a_run_names_it_and_is_verified(filled: Project) -> None:
    receipt = filled.run(engine="watched")
    assert (receipt.engine, receipt.rows.read) == ("watched", 40)
    minimize.verify(filled.out, keys=filled.keys)


def test_the_command_runs_it_and_its_help_names_it(filled: Project) -> None:
    places = ("--output", filled.out, "--keys", filled.keys, "--date", DAY, "--at", AT.isoformat())
    assert command("run", filled.folder, "--engine", "watched", *places).code == 0
    assert command("run", filled.folder, "--engine", "watch", *places).code == 2
    assert "[local|spark|watched]" in command("run", "--help").out
