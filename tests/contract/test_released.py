"""Every surface gives the same answer to "is it released?": plan, printed run, report, catalogue and leaflet."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from minimize.plan import Plan
from minimize.records import RECORDS
from minimize.report.catalogue import dataset_entry, pipelines_in
from minimize.report.leaflet import create_leaflet
from minimize.report.output_report import create_report
from tests.project import AGGREGATES, CHECKOUT, Project, events

ON = date(2026, 11, 25)
SHIPPED = sorted(path.parent.name for path in (CHECKOUT / "pipelines").glob("*/pipeline.yaml"))
CLIP = {"clip": {"min": 0, "max": 150}}
MEAN = {
    "per_model": AGGREGATES["per_model"]
    | {"measures": {"events": "count", "storage": {"mean": "storage"}, "devices": {"count_distinct": "device_id"}}}
}
ONLY_COUNTED = {"storage": {"type": "integer", "do": "drop", "in_aggregates": CLIP}}
CASES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "only a mean": (ONLY_COUNTED, {"aggregates": MEAN}),
    "no records": (
        {"storage": {"type": "integer", "do": "keep", "in_aggregates": CLIP}},
        {"aggregates": MEAN, "records": False},
    ),
    "no records, only a mean": (ONLY_COUNTED, {"aggregates": MEAN, "records": False}),
    "for aggregates that do not exist": (ONLY_COUNTED, {"aggregates": None}),
    "another purpose": (
        {"storage": {"type": "integer", "purposes": ["customer_support"], "do": "keep"}},
        {"aggregates": None},
    ),
}


def write_case(project: Project, name: str) -> None:
    fields, pipeline = CASES[name]
    project.policy(fields)
    project.pipeline(**pipeline)
    project.records(events(400))


def released_fields(plan: Plan) -> set[str]:
    return {key for key, each in plan.releases.items() if each.outputs}


def check_pages(path: Path) -> None:
    (documented,) = pipelines_in([str(path)], ON)
    plan, leaflet = documented.plan, create_leaflet(path, ON)
    entries = {each.key: each for each in dataset_entry(documented).fields}
    hidden = {each.field for each in leaflet.cannot_see}
    for key, release in plan.releases.items():
        shown = entries[key]
        assert bool(release.outputs) == bool(shown.kept), key
        assert (RECORDS in release.outputs) == (not shown.after.startswith("absent")), key
        assert ("in aggregates" in shown.after) >= (release.state == "statistics"), key
        assert (release.state == "not") == (key in hidden), key


@pytest.mark.parametrize("name", SHIPPED)
def test_pages_about_a_shipped_pipeline_agree_with_its_plan(name: str) -> None:
    check_pages(CHECKOUT / "pipelines" / name)


@pytest.mark.parametrize("name", CASES)
def test_pages_about_a_made_pipeline_agree_with_its_plan(name: str, project: Project) -> None:
    write_case(project, name)
    check_pages(project.folder)


@pytest.mark.parametrize("name", CASES)
def test_receipt_run_and_report_agree_with_the_plan(name: str, project: Project) -> None:
    write_case(project, name)
    receipt = project.run()
    plan = pipelines_in([str(project.folder)], ON)[0].plan
    facts = create_report(project.out, at=receipt.at, keys=project.keys).facts
    dropped = " ".join(receipt.summary(10_000).partition("\n  dropped")[2].partition("\n")[0].split()).split(", ")
    for fact in facts.fields:
        release = plan.releases[fact.key]
        assert receipt.outputs_of(fact.key) == release.outputs == fact.outputs
        assert fact.is_dropped == (not release.outputs) == (fact.key in dropped), fact.key
        assert fact.is_only_counted == (release.state == "statistics")


def test_a_field_that_only_a_mean_shows_is_not_called_dropped(project: Project) -> None:
    write_case(project, "only a mean")
    receipt = project.run()
    page = create_report(project.out, at=receipt.at, keys=project.keys).html()
    assert "only in statistics (per_model)" in page
    assert "only in statistics" in receipt.summary()
    assert "storage (per_model)" in " ".join(receipt.summary().split())


def test_the_answer_differs_by_output(project: Project) -> None:
    """The control: the comparison has fields of each kind."""
    kinds = set()
    for name in CASES:
        write_case(project, name)
        kinds |= {each.state for each in pipelines_in([str(project.folder)], ON)[0].plan.releases.values()}
    assert kinds == {"records", "statistics", "other purposes", "not"}


def test_a_receipt_of_an_earlier_version_gives_the_same_answer(project: Project) -> None:
    write_case(project, "only a mean")
    receipt = project.run()
    before = receipt.to_json()
    for each in before["fields"].values():
        del each["outputs"]
    earlier = type(receipt).from_json(json.dumps(before))
    assert earlier.outputs_of("storage") == ("per_model",)
    assert earlier.outputs_of("event_id") == ()
    assert earlier.outputs_of("latitude") == (RECORDS,)
