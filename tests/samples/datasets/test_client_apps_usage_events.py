"""Events of the client application."""

from __future__ import annotations

import json

import numpy as np
from minimize_samples.dataset import Slice
from minimize_samples.datasets.managed_devices import EVENT_KINDS

from ..made import DAY, dataset, records

RECORDS = records("usage_events", 2400)


def test_every_kind_of_event_is_there() -> None:
    assert {record["event_type"] for record in RECORDS} == set(EVENT_KINDS)


def test_failures_have_an_error_and_no_response() -> None:
    failures = [record for record in RECORDS if record["event_type"].startswith("failure.")]
    assert failures
    assert all("error_code" in record and "response_time_ms" not in record for record in failures)


def test_a_device_that_is_not_enrolled_is_not_named() -> None:
    named = {record["management_mode"] for record in RECORDS if "device_id" in record}
    assert named == {"MAM+MDM", "MDM"}


def test_a_part_of_a_day_falls_into_its_part_of_the_day() -> None:
    part = dataset("usage_events", 2400).records(Slice(DAY, 1200, 1200, 2400), np.random.default_rng(1))
    hours = [int(json.loads(line)["event_time"][11:13]) for line in part.lines().to_pylist()]
    assert min(hours) >= 12
