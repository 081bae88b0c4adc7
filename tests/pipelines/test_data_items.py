"""The list of data items in the documentation says what the shipped policies and pipelines do."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from typing import Any

import pytest

from minimize.plan.model import CATEGORY_ORDER
from minimize.policy.load import load_pipeline
from minimize.runs.inspection import make_plan
from tests.docs.scripts import script

from . import handmade
from .shipped import DATASETS, NAMES, PIPELINES, ROOT, Ran, Runs

Item = Mapping[str, Any]


DOCUMENTATION = script("data_items")
ITEMS: dict[str, list[Item]] = DOCUMENTATION.items_of()
EVERY = [(category, item) for category, items in ITEMS.items() for item in items]
every = pytest.mark.parametrize(("category", "item"), EVERY, ids=[item["item"] for _, item in EVERY])


@cache
def planned(pipeline: str) -> dict[str, Any]:
    """The fields of a pipeline, as `minimize plan --json` prints them."""
    fields: dict[str, Any] = make_plan(PIPELINES / pipeline).to_json()["fields"]
    return fields


def forms(item: Item) -> list[tuple[str, str, str | list[str]]]:
    """The field, the pipeline and the stated form of each release of an item."""
    return [
        (field, pipeline, form)
        for field, by_pipeline in item.get("fields", {}).items()
        for pipeline, form in by_pipeline.items()
    ]


def shown_fields(ran: Ran, values: Mapping[str, Any]) -> set[str]:
    """The fields that have a value in a published record with these values."""
    matching = [row for row in ran.leaves if values.items() <= row.items()]
    return {key for row in matching for key, value in row.items() if value is not None}


def test_there_are_as_many_items_as_the_service_lists() -> None:
    assert {category: len(items) for category, items in ITEMS.items()} == {
        "identified": 36,
        "pseudonymized": 20,
        "aggregated": 8,
    }
    names = [item["item"] for _, item in EVERY]
    assert len(set(names)) == len(names)
    assert sum(name.startswith("audit of") for name in names) == 6
    assert sum(item.get("dataset") == "administrators" for item in ITEMS["identified"]) == 8


@every
def test_its_dataset_and_fields_are_there(category: str, item: Item) -> None:
    if "refused" in item:
        return
    for field, pipeline, _ in forms(item):
        assert DATASETS[pipeline] == item["dataset"]
        assert field in planned(pipeline)
    assert "fields" in item or "aggregates" in item
    for field, value in item.get("values", {}).items():
        assert value in {dict(handmade.leaves(record))[field] for record in handmade.records(item["dataset"])}


@every
def test_its_form_is_the_planned_one_in_every_pipeline_of_its_dataset(category: str, item: Item) -> None:
    for field, pipeline, form in forms(item):
        assert planned(pipeline)[field]["technique"] == form, (field, pipeline)
    for by_pipeline in item.get("fields", {}).values():
        assert set(by_pipeline) == {name for name in NAMES if DATASETS[name] == item["dataset"]}


@every
def test_no_pipeline_releases_it_in_a_higher_category_than_the_service_lists(category: str, item: Item) -> None:
    released = {planned(pipeline)[field]["category"] for field, pipeline, _ in forms(item)} - {None}
    assert all(CATEGORY_ORDER.index(each) <= CATEGORY_ORDER.index(category) for each in released)
    assert category != "aggregated" or "fields" not in item


@every
def test_it_has_a_reason_if_it_is_dropped_and_only_then(category: str, item: Item) -> None:
    dropped = "aggregates" not in item and all(form == "drop" for _, _, form in forms(item))
    assert ("reason" in item) is dropped
    policies = [(load_pipeline(PIPELINES / pipeline).policy, field) for field, pipeline, _ in forms(item)]
    assert not dropped or all(policy.fields[field].about for policy, field in policies)


@every
def test_its_measure_is_published_with_small_groups_suppressed(category: str, item: Item) -> None:
    for each in item.get("aggregates", ()):
        assert DATASETS[each["pipeline"]] == item["dataset"]
        model = load_pipeline(PIPELINES / each["pipeline"]).aggregates[each["aggregate"]]
        assert each["measure"] in model.measures
        assert set(each.get("group", {})) <= set(model.group_by)
        assert model.suppress.below >= 10


@every
def test_the_samples_publish_it_unless_it_is_dropped_or_refused(category: str, item: Item, runs: Runs) -> None:
    """Each released field has a value in the committed samples, and each measure a figure in larger ones."""
    for field, pipeline, form in forms(item):
        if form != "drop":
            assert field in shown_fields(runs[pipeline], item.get("values", {})), (field, pipeline)
    for each in item.get("aggregates", ()):
        rows = runs.of_many(each["pipeline"]).rows(each["aggregate"])
        figures = [row[each["measure"]] for row in rows if each.get("group", {}).items() <= row.items()]
        assert any(figure is not None for figure in figures), each


def test_the_errors_of_the_portal_are_counted_by_code(runs: Runs) -> None:
    assert any(row["error_code"] for row in runs.of_many("usage_events").rows("errors_by_version"))


def test_refused_items_are_refused_by_every_pipeline() -> None:
    refused = {key for _, item in EVERY for key in item.get("refused", ())}
    assert refused
    for name in NAMES:
        assert refused <= {each.name_at_any_depth for each in load_pipeline(PIPELINES / name).policy.never}, name


@every
def test_the_test_that_it_names_shows_it(category: str, item: Item) -> None:
    file, _, name = item["test"].partition("::")
    text = (ROOT / file).read_text()
    assert item["rule"]
    if name:
        assert f"def {name}(" in text
    elif file.endswith(".expect.ndjson"):
        rows = [json.loads(line) for line in text.splitlines()]
        shown = {key for row in rows for key, _ in handmade.leaves(row)}
        pipeline = file.split("/")[1]
        stated = {field: form for field, each, form in forms(item) if each == pipeline}
        assert stated
        assert {field for field, form in stated.items() if form == "drop"}.isdisjoint(shown)
        assert {field for field, form in stated.items() if form != "drop"} <= shown
    else:
        assert any(key in text for key in item["refused"])


def test_the_page_of_the_guide_is_in_step() -> None:
    assert DOCUMENTATION.PAGE.read_text() == DOCUMENTATION.page(ITEMS), "run `python docs/data_items.py`"
