"""The fixtures beside the shipped pipelines say what is so."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from minimize.review.fixtures import try_fixtures

from .shipped import PIPELINES

NAMES = sorted(path.parent.name for path in PIPELINES.glob("*/tests"))


def test_there_are_some() -> None:
    assert {"device_telemetry", "usage_events"} <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_every_record_and_row_matches_the_fixtures(name: str) -> None:
    done = try_fixtures(PIPELINES / name, now=datetime(2026, 11, 25, tzinfo=UTC))
    assert done.failures == ()
    assert done.records > 5
    assert done.rows >= 3
