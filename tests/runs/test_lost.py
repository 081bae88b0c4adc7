"""Files of an output that are lost or damaged: a run of their date mends it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import minimize
from minimize.runs.verify import check_output
from tests.project import BEFORE, DAY, NOISY_AGGREGATES, Project, events

ACTS: dict[str, Callable[[Path], object]] = {"lost": Path.unlink, "damaged": lambda path: path.write_bytes(b"x")}


@pytest.mark.parametrize("how", ACTS)
@pytest.mark.parametrize("name", ["records", "per_model", "quarantine", "index"])
def test_a_run_of_the_date_puts_an_output_in_order_again(project: Project, name: str, how: str) -> None:
    project.pipeline(aggregates=NOISY_AGGREGATES)
    for day in (BEFORE, DAY):
        project.records([*events(30), "no json"], day)
        project.run(date=day)
    ACTS[how](next(path for path in (project.out / name / f"date={DAY}").iterdir() if path.name != "_SUCCESS"))
    assert [finding for finding in check_output(project.out, keys=project.keys) if finding.severity == "error"]
    project.run(date=DAY)
    minimize.verify(project.out, keys=project.keys)
    assert len(project.rows()) == 60


@pytest.mark.parametrize("how", ACTS)
def test_exact_figures_are_not_published_again_because_a_file_is_gone(project: Project, how: str) -> None:
    """The records can have changed since, and the difference of two exact tables can show one person."""
    project.records(events(30))
    project.run()
    ACTS[how](next((project.out / "per_model" / f"date={DAY}").glob("*.parquet")))
    project.run()
    found = check_output(project.out, keys=project.keys)
    assert {(finding.file or "").partition("/")[0] for finding in found} == {"per_model"}


def test_so_does_it_where_the_whole_partition_is_lost(project: Project) -> None:
    project.pipeline(aggregates=NOISY_AGGREGATES)
    project.records(events(30))
    project.run()
    for path in (project.out / "records" / f"date={DAY}").iterdir():
        path.unlink()
    path.parent.rmdir()
    receipt = project.run()
    assert {file.path.partition("/")[0] for file in receipt.replaces} == {"records", "per_model"}
    minimize.verify(project.out, keys=project.keys)
