from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from minimize.errors import Finding, PolicyError
from minimize.policy.condition import FieldEquals
from minimize.policy.load import load_pipeline
from minimize.policy.pipeline import DeduplicateModel, Pipeline, RecordsModel

PipelineIn = Callable[..., Pipeline]
FaultsIn = Callable[..., list[Finding]]
AGGREGATE = "aggregates:\n  fleet: {group_by: {os: os}, measures: {n: count}}\n"


def test_records_are_written_with_defaults_where_nothing_is_said(pipeline_in: PipelineIn) -> None:
    assert pipeline_in("").records == RecordsModel()


def test_records_may_be_left_out_where_there_are_aggregates(pipeline_in: PipelineIn) -> None:
    pipeline = pipeline_in("records: false\n" + AGGREGATE)
    assert (pipeline.records, list(pipeline.aggregates)) == (None, ["fleet"])


def test_a_pipeline_that_writes_nothing_is_a_fault(pipeline_faults_in: FaultsIn) -> None:
    assert [fault.code for fault in pipeline_faults_in("records: false\n")] == ["P005"]


def test_records_say_what_they_may_be_and_which_are_one(pipeline_in: PipelineIn) -> None:
    records = pipeline_in(
        """
        records:
          must_be: pseudonymized
          partition_by: [/tenant_id]
          collect_if: {os: [ios, android]}
          deduplicate: {by: [device_id], per: day}
        """
    ).records
    assert records == RecordsModel(
        must_be="pseudonymized",
        partition_by=("tenant_id",),
        collect_if=FieldEquals("os", ("ios", "android")),
        deduplicate=DeduplicateModel(by=("device_id",)),
    )


def test_the_policy_is_loaded_beside_the_pipeline(pipeline_in: PipelineIn, tmp_path: Path) -> None:
    pipeline = pipeline_in("")
    assert (pipeline.policy.policy, pipeline.policy.path) == ("p", tmp_path / "policy.yaml")
    assert (pipeline.folder, pipeline.digest[:7]) == (tmp_path, "sha256:")


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("records: {must_be: anonymous}", "P007"),
        ("records: {partition_by: [nobody]}", "P010"),
        ("records: {partition_by: []}", "P006"),
        ("records: {deduplicate: {by: [device_id], per: week}}", "P007"),
        ("records: {deduplicate: {per: day}}", "P005"),
        ("records: {collect_if: {oss: a}}", "P010"),
        ("records:", "P006"),
        ("quarantine: {fail_above: 2}", "P006"),
        ("quarantine: {fail_above: a}", "P006"),
        ("quarantine: {stop: 1}", "P004"),
        ("aggregates: [a]", "P006"),
        ("settings: 3", "P006"),
        ("polcy: x", "P004"),
    ],
)
def test_a_fault_of_the_pipeline_stands_at_its_line(pipeline_faults_in: FaultsIn, text: str, code: str) -> None:
    found = pipeline_faults_in(text + "\n")
    assert [(fault.code, fault.line, Path(fault.file or "").name) for fault in found] == [(code, 6, "pipeline.yaml")]


def test_deduplication_needs_the_event_time(pipeline_faults_in: FaultsIn) -> None:
    found = pipeline_faults_in("records: {deduplicate: {by: [a]}}\n", fields="fields:\n  a: {type: string}\n")
    assert [fault.code for fault in found] == ["P017"]


@pytest.mark.parametrize(
    ("head", "codes"),
    [
        ("policy: policy.yaml", ["P005", "P005", "P005", "P005"]),
        ("pipeline: p\npurpose: operations\nsource: {path: x, format: csv}\noutput: o", ["P005"]),
        ("pipeline: p\npolicy: 3\npurpose: operations\nsource: {path: x, format: csv}\noutput: o", ["P006"]),
        ("pipeline: p\npolicy: policy.yaml\npurpose: marketing\nsource: {path: x, format: csv}\noutput: o", ["P009"]),
        (
            "pipeline: p\npolicy: policy.yaml\npurpose: quality_and_security\nsource: {path: x, format: csv}\noutput: o",
            ["P008"],
        ),
        (
            "pipeline: p\npolicy: policy.yaml\npurpose: [operations]\nsource: {path: x, format: csv}\noutput: o",
            ["P006"],
        ),
        ("pipeline: p\npolicy: policy.yaml\npurpose: operations\nsource: {path: x, format: avro}\noutput: o", ["P007"]),
        (
            "pipeline: p\npolicy: policy.yaml\npurpose: operations\nsource: {path: '{hour}', format: csv}\noutput: o",
            ["P006"],
        ),
        ("pipeline: p\npolicy: policy.yaml\npurpose: operations\nsource: {path: x}\noutput: o", ["P005"]),
        ("pipeline: p\npolicy: nowhere.yaml\npurpose: operations\nsource: {path: x, format: csv}\noutput: o", ["P001"]),
    ],
)
def test_what_a_pipeline_must_say(write: Callable[[str, str], Path], head: str, codes: list[str]) -> None:
    write("policy.yaml", "policy: p\nversion: 1\npurposes: [operations]\nfields:\n  a: {type: string}\n")
    with pytest.raises(PolicyError) as caught:
        load_pipeline(write("pipeline.yaml", head + "\n"))
    assert [fault.code for fault in caught.value.findings] == codes
