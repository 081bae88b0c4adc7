"""Events of the client application."""

import json
from datetime import date
from typing import Any

import numpy as np
import pytest

from minimize.samples.base import Slice
from minimize.samples.collection import Clock
from minimize.samples.usage_events import KINDS, UsageEvents

DAY = date(2026, 11, 24)


@pytest.fixture(name="dataset", scope="module")
def _dataset() -> UsageEvents:
    return UsageEvents(2400, 1)


@pytest.fixture(name="records", scope="module")
def _records(dataset: UsageEvents) -> list[dict[str, Any]]:
    lines = dataset.records(Slice(DAY, 0, 2400, 2400), np.random.default_rng(1))
    return [json.loads(line) for line in lines.to_pylist()]


def test_every_kind_of_event_is_there(records: list[dict[str, Any]]) -> None:
    assert {record["event_type"] for record in records} == set(KINDS)


def test_every_record_has_only_fields_of_the_schema(records: list[dict[str, Any]]) -> None:
    assert {name for record in records for name in record} == set(UsageEvents.schema.names)


def test_failures_have_an_error_and_no_response(records: list[dict[str, Any]]) -> None:
    failures = [record for record in records if record["event_type"].startswith("failure.")]
    assert failures
    assert all("error_code" in record and "response_time_ms" not in record for record in failures)


def test_a_part_of_a_day_falls_into_its_part_of_the_day(dataset: UsageEvents) -> None:
    lines = dataset.records(Slice(DAY, 1200, 1200, 2400), np.random.default_rng(1)).to_pylist()
    hours = [int(json.loads(line)["event_time"][11:13]) for line in lines]
    assert min(hours) >= 12


def test_only_the_end_user_turns_usage_on_and_some_turn_it_off_again(dataset: UsageEvents) -> None:
    rows = [row for row in dataset.settings(Clock(DAY, DAY), np.random.default_rng(1)) if row.setting == "usage"]
    assert {row.holder for row in rows} == {"user"}
    assert {row.value for row in rows} == {"on", "off"}
    assert all(row.subject for row in rows)


def test_only_the_developer_turns_the_kit_on(dataset: UsageEvents) -> None:
    rows = [row for row in dataset.settings(Clock(DAY, DAY), np.random.default_rng(1)) if row.setting == "sdk"]
    assert {row.holder for row in rows} == {"developer"}


def test_every_level_is_in_force_somewhere(dataset: UsageEvents) -> None:
    rows = dataset.settings(Clock(DAY, DAY), np.random.default_rng(1))
    assert {row.value for row in rows if row.setting == "level"} == {"required", "basic", "enhanced", "full"}


def test_a_large_sample_has_a_bounded_population(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(f"{UsageEvents.__module__}.LARGEST", 7)
    dataset = UsageEvents(10_000, 1)
    assert len(dataset.users) == 7
    assert len(dataset.records(Slice(DAY, 9_000, 50, 10_000), np.random.default_rng(1))) == 50
