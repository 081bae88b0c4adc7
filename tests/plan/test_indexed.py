"""Which plans have an index of their records, and what they say where they have none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from minimize.arrow.pointers import Pointer
from minimize.plan.model import plan_subject_index
from tests.plan.make import pipeline_plan, plan

DEVICE: dict[str, Any] = {"type": "string", "role": "identifier"}


def test_records_are_indexed_by_the_subject_that_they_hold(tmp_path: Path) -> None:
    found = plan_subject_index(pipeline_plan(tmp_path))
    assert found.subject == Pointer.parse("device_id")
    assert found.explanation == "an index by device_id, for the keyring's eyes only"


@pytest.mark.parametrize(
    ("extra", "more", "why"),
    [
        ({}, {"records": {"index": False}}, "the pipeline says so"),
        ({"device_id": DEVICE | {"do": "drop"}}, {}, "device_id is not released"),
        ({"device_id": DEVICE | {"do": "presence"}}, {}, "device_id is released as bool"),
        (
            {"device_id": {"type": "string", "do": "keep"}},
            {"records": {"partition_by": ["device_id"]}},
            "the records of each device_id stand in a folder of their own",
        ),
    ],
)
def test_what_stands_in_the_way_is_said(tmp_path: Path, extra: dict[str, Any], more: dict[str, Any], why: str) -> None:
    found = plan_subject_index(pipeline_plan(tmp_path, extra, **more))
    assert (found.subject, found.explanation) == (None, f"no index: {why}")


def test_a_plan_without_a_pipeline_has_none() -> None:
    assert plan_subject_index(plan()).explanation == "no index: no records are written"


def test_the_plan_says_it_as_json_and_as_html(tmp_path: Path) -> None:
    made = pipeline_plan(tmp_path)
    assert made.as_json()["outputs"]["records"]["index"] == plan_subject_index(made).explanation
    assert "an index by device_id" in made._repr_html_()
