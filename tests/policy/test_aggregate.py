from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from minimize.errors import Finding
from minimize.policy.pipeline import GroupKeyModel, Pipeline, RoundModel, SuppressModel

PipelineIn = Callable[..., Pipeline]
FaultsIn = Callable[..., list[Finding]]


def test_an_aggregate_is_typed(pipeline_in: PipelineIn) -> None:
    fleet = pipeline_in(
        """
        aggregates:
          fleet:
            group_by: {day: {event_time: day}, os: /os}
            measures: {events: count, devices: {count_distinct: device_id}, middle: {quantile: {of: storage, q: 0.5}}}
            suppress: {below: 20, counting: device_id}
            round: {counts_to: 5}
            late: 2d
            retention: 365d
        """
    ).aggregates["fleet"]
    assert fleet.group_by == {"day": GroupKeyModel(field="event_time", to="day"), "os": GroupKeyModel(field="os")}
    assert [(name, measure.name, measure.of) for name, measure in fleet.measures.items()] == [
        ("events", "count", None),
        ("devices", "count_distinct", "device_id"),
        ("middle", "quantile", "storage"),
    ]
    assert fleet.suppress == SuppressModel(below=20, counting="device_id")
    assert (fleet.round, fleet.late) == (RoundModel(counts_to=5), timedelta(days=2))
    assert fleet.retention == timedelta(days=365)


def test_groups_are_suppressed_below_ten_where_nothing_is_said(pipeline_in: PipelineIn) -> None:
    fleet = pipeline_in("aggregates:\n  fleet: {group_by: {os: os}, measures: {n: count}}\n").aggregates["fleet"]
    assert (fleet.suppress.below, "suppress" in fleet.model_fields_set) == (10, False)


@pytest.mark.parametrize(
    ("name", "body", "code"),
    [
        ("records", "group_by: {os: os}, measures: {n: count}", "P015"),
        ("runs", "group_by: {os: os}, measures: {n: count}", "P015"),
        ("quarantine", "group_by: {os: os}, measures: {n: count}", "P015"),
        ("index", "group_by: {os: os}, measures: {n: count}", "P015"),
        ("a/b", "group_by: {os: os}, measures: {n: count}", "P015"),
        ("..", "group_by: {os: os}, measures: {n: count}", "P015"),
        ("a", "group_by: {date: os}, measures: {n: count}", "P015"),
        ("a", "group_by: {os: os}, measures: {date: count}", "P015"),
        ("a", "group_by: {os: os}, measures: {os: count}", "P018"),
        ("a", "group_by: {os: oss}, measures: {n: count}", "P010"),
        ("a", "group_by: {day: {event_time: days}}, measures: {n: count}", "P007"),
        ("a", "group_by: {day: {event_tme: day}}, measures: {n: count}", "P010"),
        ("a", "group_by: [os], measures: {n: count}", "P006"),
        ("a", "group_by: {os: os}", "P005"),
        ("a", "group_by: {os: os}, measures: {}", "P006"),
        ("a", "group_by: {os: os}, measures: {n: contt}", "P011"),
        ("a", "group_by: {os: os}, measures: {n: {mean: batery}}", "P010"),
        ("a", "group_by: {os: os}, measures: {n: count}, suppress: {below: 0}", "P006"),
        ("a", "group_by: {os: os}, measures: {n: count}, suppress: {counting: nobody}", "P010"),
        ("a", "group_by: {os: os}, measures: {n: count}, round: {counts_to: 0.5}", "P006"),
        ("a", "group_by: {os: os}, measures: {n: count}, round: 5", "P006"),
        ("a", "group_by: {os: os}, measures: {n: count}, late: 2", "P006"),
        ("a", "group_by: {os: os}, measures: {n: count}, retention: 1y", "P006"),
        ("a", "group_by: {os: os}, measures: {n: count}, must_be: public", "P007"),
        ("a", "group_by: {os: os}, measures: {n: count}, having: 3", "P004"),
    ],
)
def test_a_fault_of_an_aggregate_stands_under_its_name(
    pipeline_faults_in: FaultsIn, name: str, body: str, code: str
) -> None:
    found = pipeline_faults_in(f"aggregates:\n  {name}: {{{body}}}\n")
    assert [(fault.code, fault.line, fault.field) for fault in found] == [(code, 7, name)]


def test_an_aggregate_counts_somebody(pipeline_faults_in: FaultsIn) -> None:
    found = pipeline_faults_in(
        "aggregates:\n  a: {group_by: {b: b}, measures: {n: count}, late: 2d}\n",
        fields="fields:\n  b: {type: string}\n",
    )
    assert [fault.code for fault in found] == ["P017", "P017"]
