"""Each figure: its sentence, the parts that it leaves out, and outputs without one."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from minimize.report.facts import PartitionFacts, ReportFacts, RoundedCount
from minimize.report.figures import draw_figures
from tests.project import clean_environment, events, new_project
from tests.report.telling import facts


@pytest.fixture(name="found", scope="module")
def _found(tmp_path_factory: pytest.TempPathFactory) -> ReportFacts:
    folder = tmp_path_factory.mktemp("figures")
    with clean_environment(folder):
        project = new_project(folder)
        project.records([*events(60), *["broken"] * 6])
        project.run()
        return facts(project)


def says(found: ReportFacts, name: str) -> str:
    figure = draw_figures(found)[name]
    assert figure is not None
    return figure.sentence


def test_the_flow_describes_the_rows(found: ReportFacts) -> None:
    assert says(found, "flow") == "65 rows were read: 60 written (92%), 5 quarantined (8%)."


def test_the_map_counts_the_tenants_per_feature(found: ReportFacts) -> None:
    assert says(found, "collection").startswith("Turned on now, of 1 tenant: location 1.")


def test_dates_that_go_first_are_drawn(found: ReportFacts) -> None:
    dates = tuple(
        PartitionFacts(f"2026-{month:02}-{day:02}", RoundedCount.rounded(10), found.at + timedelta(days=day), "kept")
        for month in (8, 9)
        for day in range(1, 31)
    )
    kept = replace(found.retention, partitions=dates)
    assert "29 later dates are left out" in says(replace(found, retention=kept), "keeping")


def test_the_last_runs_are_drawn(found: ReportFacts) -> None:
    assert "169 earlier runs are left out" in says(replace(found, runs=found.runs * 200), "runs")


def test_where_there_is_nothing_to_draw_there_is_no_figure(found: ReportFacts) -> None:
    flow = replace(found.flow, written=RoundedCount(), quarantined={})
    runs = tuple(replace(run, flow=flow) for run in found.runs)
    bare = replace(
        found,
        flow=flow,
        fields=(),
        collection=None,
        risk=None,
        runs=runs,
        retention=replace(found.retention, partitions=()),
    )
    assert set(draw_figures(bare).values()) == {None}
