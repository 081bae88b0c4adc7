"""Which batch dates a run is asked for."""

from __future__ import annotations

from datetime import date

import pytest

from minimize.errors import ConfigurationError
from minimize.runs.batch_dates import DateSelection

MONDAY, TUESDAY, WEDNESDAY = (date(2026, 11, number) for number in (23, 24, 25))


def test_where_nothing_is_said_every_date_is_wanted_and_a_batch_without_date_too() -> None:
    assert MONDAY in DateSelection.from_options()
    assert None in DateSelection.from_options()


def test_one_date_is_that_date_alone() -> None:
    assert TUESDAY in DateSelection.from_options("2026-11-24")
    assert MONDAY not in DateSelection.from_options("2026-11-24")
    assert None not in DateSelection.from_options("2026-11-24")


def test_a_span_holds_both_its_ends() -> None:
    span = DateSelection.from_options(since="2026-11-23", until=TUESDAY)
    assert [day in span for day in (MONDAY, TUESDAY, WEDNESDAY)] == [True, True, False]


def test_a_span_may_be_open() -> None:
    assert WEDNESDAY in DateSelection.from_options(since=TUESDAY)
    assert WEDNESDAY not in DateSelection.from_options(until=TUESDAY)


@pytest.mark.parametrize(
    ("since", "until", "pending"), [(MONDAY, None, False), (None, MONDAY, False), (None, None, True)]
)
def test_one_date_and_others_contradict_each_other(since: date | None, until: date | None, pending: bool) -> None:
    with pytest.raises(ConfigurationError, match="one date"):
        DateSelection.from_options(TUESDAY, since, until, pending=pending)


def test_a_span_does_not_end_before_it_begins() -> None:
    with pytest.raises(ConfigurationError, match="ends before"):
        DateSelection.from_options(since=TUESDAY, until=MONDAY)
