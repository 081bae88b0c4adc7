"""An event time too far in the future: quarantined by a run, left out in memory; and an aggregate does not wait for it."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import Any

import pyarrow as pa
import pytest

import minimize
from minimize.runs.verify import check_output
from tests.calls import replay
from tests.project import AT, DAY, FIELDS, Project, event, events, table


def ahead(hours: float, number: int = 3) -> dict[str, Any]:
    return event(number, event_time=f"{AT + timedelta(hours=hours):%Y-%m-%dT%H:%M:%SZ}")


def quarantine(project: Project) -> list[tuple[str, Any, str]]:
    return [(row["code"], row["field"], row["unit"]) for row in project.rows("quarantine")]


def test_a_record_later_than_the_run_and_a_day_is_quarantined(project: Project) -> None:
    project.records([*events(20), ahead(24), ahead(24.01)])
    receipt = project.run()
    assert (receipt.rows.read, receipt.rows.written) == (22, 21)
    assert receipt.quarantine.by_code == {"future_time": 1}
    assert quarantine(project) == [("future_time", "/event_time", "byte")]
    minimize.verify(project.out, keys=project.keys)


@pytest.mark.parametrize(("future", "rows"), [("2h", 0), ("3h", 1), ("2w", 2)])
def test_the_policy_sets_the_limit_of_the_future(project: Project, future: str, rows: int) -> None:
    project.policy(future=future)
    project.records([ahead(2.5), ahead(24 * 13)])
    assert project.run().rows.written == rows
    minimize.verify(project.out, keys=project.keys)


@pytest.mark.parametrize("kind", ["parquet", "csv"])
def test_of_every_format(project: Project, kind: str) -> None:
    project.source(kind)
    project.columns(table([*events(20), ahead(30)]), kind=kind)
    project.run()
    assert quarantine(project) == [("future_time", "/event_time", "row")]


def test_a_pass_before_the_last_does_not_see_it(project: Project) -> None:
    rare = [
        event(number, model="rare", event_time=f"{AT + timedelta(days=3):%Y-%m-%dT%H:%M:%SZ}") for number in range(1, 9)
    ]
    project.records([*(event(number, model="A") for number in range(20)), *rare])
    project.run()
    assert {row["model"] for row in project.rows()} == {"A"}


def test_once_its_time_has_come_a_replay_brings_it(project: Project) -> None:
    project.records([*events(20), ahead(30)])
    project.run()
    (receipt,) = replay(project.out, at=AT + timedelta(days=1), keys=project.keys).receipts
    assert (receipt.rows.written, receipt.rows.quarantined) == (21, 0)


def test_in_memory_it_is_left_out_and_counted(project: Project, caplog: pytest.LogCaptureFixture) -> None:
    data = table([*events(20), ahead(30)])
    with caplog.at_level(logging.WARNING, "minimize"):
        left = minimize.apply(project.folder / "policy.yaml", data, at=AT, keys=project.keys)
    assert left.num_rows == 20
    (record,) = [each for each in caplog.records if getattr(each, "code", "") == "W010"]
    assert vars(record)["data"] == {"future_time": 1}


def test_a_prepared_policy_counts_from_the_time_of_each_call(project: Project) -> None:
    project.policy({"model": {"type": "string", "do": "keep"}})
    data = pa.Table.from_batches(table([*events(20), ahead(30)]).to_batches())
    call = minimize.prepare(project.folder / "policy.yaml", data.schema, keys=project.keys)
    assert [call(data, at=AT + timedelta(hours=hours)).num_rows for hours in (0, 6)] == [20, 21]


def test_a_policy_without_an_event_time_limits_nothing(project: Project) -> None:
    fields = {"event_time": {"type": "timestamp", "do": "keep"}, "latitude": None}
    project.policy(fields, time=None, retention=None, features=None)
    project.pipeline(aggregates=None, settings=None)
    project.records([ahead(500)])
    assert project.run().rows.written == 1


def test_verify_finds_a_time_that_was_too_far_ahead(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("minimize.runs.inputs.reject_future", lambda source, policy, at: source)
    project.records([*events(20), ahead(30)])
    project.run()
    errors = [finding.code for finding in check_output(project.out, keys=project.keys) if finding.severity == "error"]
    assert errors == ["V037"]


def test_an_aggregate_that_waits_follows_it(project: Project) -> None:
    daily = {
        "group_by": {"day": {"event_time": "day"}},
        "measures": {"events": "count"},
        "suppress": {"below": 2},
        "late": "1d",
    }
    project.pipeline(aggregates={"daily": daily})
    project.policy(
        {**FIELDS, "event_time": {**FIELDS["event_time"], "do": {"truncate_time": {"to": "day"}}}}, future="5d"
    )
    project.records([*events(20), *(ahead(24 * 4, number) for number in range(4))])
    receipt = project.run(date=DAY)
    assert receipt.outputs["daily"].too_early == 0
    assert (receipt.outputs["daily"].event_days or {})[DAY] == {DAY: 20, "2026-11-29": 4}
