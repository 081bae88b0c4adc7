"""What happened to tenants and subjects, checked row by row."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from minimize.datasets.lifecycle_events import REMOVAL_DEADLINES, RetentionEvent, parse_events
from minimize.errors import PolicyError

AT = "2026-05-01T12:00:00+02:00"


def row(**changes: Any) -> dict[str, Any]:
    return {"tenant_id": "north", "subject": "d1", "event": "subject_left", "at": AT, **changes}


def fault(**changes: Any) -> str:
    with pytest.raises(PolicyError) as error:
        parse_events([(7, row(**changes))], "events.csv")
    (finding,) = error.value.findings
    assert (finding.file, finding.line) == ("events.csv", 7)
    assert "d1" not in str(error.value)
    return finding.code


def test_an_event_says_whom_it_is_about_what_and_when() -> None:
    assert parse_events([(1, row())], "f") == (
        RetentionEvent("north", "subject_left", datetime(2026, 5, 1, 10, tzinfo=UTC), "d1"),
    )


def test_an_event_that_stands_twice_counts_once() -> None:
    assert len(parse_events([(1, row()), (2, row())], "f")) == 1


@pytest.mark.parametrize(
    ("kind", "days"), [("tenant_closed", 180), ("subject_left", 30), ("became_personal", 7), ("reset", 30)]
)
def test_each_kind_has_its_time_limit(kind: Any, days: int) -> None:
    event = RetentionEvent("north", kind, datetime(2026, 5, 1, tzinfo=UTC))
    assert (event.deadline - event.occurred_at).days == days == REMOVAL_DEADLINES[event.kind].days


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"tenant_id": ""}, "G002"),
        ({"at": "yesterday"}, "G003"),
        ({"at": "2026-05-01"}, "G003"),
        ({"at": "2026-05-01T12:00:00"}, "G003"),
        ({"event": "moved"}, "G004"),
        ({"subject": ""}, "G005"),
        ({"event": "tenant_closed"}, "G006"),
    ],
)
def test_a_faulty_row_is_told_by_its_line_and_never_by_its_values(changes: dict[str, Any], code: str) -> None:
    assert fault(**changes) == code


def test_an_event_does_not_print_its_subject() -> None:
    assert "d1" not in repr(parse_events([(1, row())], "f"))
