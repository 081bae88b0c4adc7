"""A deletion in an output in an object store, whose receipts do not contain the path of their pipeline."""

from __future__ import annotations

from pathlib import Path

import pytest

import minimize
from tests.buckets import Bucket
from tests.commands import command
from tests.project import LASTING, Project, events


@pytest.fixture(name="out")
def _out(
    project: Project, bucket: Bucket, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> str:
    """An output in a bucket that its pipeline names. The current folder is elsewhere."""
    monkeypatch.setenv("MINIMIZE_LEDGER", str(project.folder / "organization" / "ledger.db"))
    out = bucket.uri("out")
    project.policy(**LASTING)
    project.pipeline(output=out, aggregates=None)
    project.records(events(40))
    minimize.run(project.folder, keys=project.keys)
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    return out


@pytest.mark.parametrize("names_file", [True, False])
def test_the_pipeline_that_is_passed_is_that_of_its_output(project: Project, out: str, names_file: bool) -> None:
    pipeline: Path = project.folder / "pipeline.yaml" if names_file else project.folder
    before = len(minimize.read(out))
    words = ["subject", "delete", "d3", "--tenant", "north", "--pipeline", pipeline, "--keys", project.keys, "--yes"]
    said = command(*words)
    assert said.code == 0, said.err
    assert 0 < len(minimize.read(out)) < before
    minimize.verify(out, keys=project.keys)


def test_without_a_pipeline_it_cannot_be_found(project: Project, out: str) -> None:
    before = len(minimize.read(out))
    said = command("subject", "delete", "d3", "--tenant", "north", "--also", out, "--keys", project.keys, "--yes")
    assert said.code == 2
    assert "Pass --pipeline PIPELINE" in said.err
    assert len(minimize.read(out)) == before
