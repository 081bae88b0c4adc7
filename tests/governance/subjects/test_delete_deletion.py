"""What a deletion comes to, and what its requests say of it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from minimize.governance.subjects.delete import SubjectRemoval
from minimize.governance.subjects.requests import request_outcome
from minimize.ledger.subjects import SubjectRequestStep
from tests.receipts.make import small

NOW = datetime(2026, 11, 25, tzinfo=UTC)


def test_a_request_that_is_gone_on_with_keeps_what_it_came_to_before() -> None:
    body = {"receipts": ["one"], "recalls": {"vendor": ["x"]}}
    step = SubjectRequestStep("delete", "north", None, NOW, NOW, "failed", body, NOW, "ann")
    told = request_outcome(step, ["two"], {"vendor": ["y", "x"], "other": ["z"]})
    assert told == {"receipts": ["one", "two"], "recalls": {"other": ["z"], "vendor": ["x", "y"]}}
    assert request_outcome(replace(step, body={}), [], {}) == {"receipts": [], "recalls": {}}


def test_aggregates_that_keep_figures_are_those_of_all_portions() -> None:
    receipts = [small(number + 1, stays={"daily": (f"2026-11-{23 + number}",)}) for number in range(2)]
    done = SubjectRemoval((), {}, receipts=tuple(receipts))
    assert done.stays == {"device_telemetry": {"daily": ["2026-11-23", "2026-11-24"]}}
