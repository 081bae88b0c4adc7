"""Which batch dates a run is asked for."""

from __future__ import annotations

from datetime import date

import pytest

from minimize.errors import ConfigurationError
from minimize.job.dates import Wanted

MONDAY, TUESDAY, WEDNESDAY = (date(2026, 11, number) for number in (23, 24, 25))


def test_where_nothing_is_said_every_date_is_wanted_and_a_batch_without_date_too() -> None:
    assert MONDAY in Wanted.of()
    assert None in Wanted.of()


def test_one_date_is_that_date_alone() -> None:
    assert TUESDAY in Wanted.of("2026-11-24")
    assert MONDAY not in Wanted.of("2026-11-24")
    assert None not in Wanted.of("2026-11-24")


def test_a_span_holds_both_its_ends() -> None:
    span = Wanted.of(since="2026-11-23", until=TUESDAY)
    assert [day in span for day in (MONDAY, TUESDAY, WEDNESDAY)] == [True, True, False]


def test_a_span_may_be_open() -> None:
    assert WEDNESDAY in Wanted.of(since=TUESDAY)
    assert WEDNESDAY not in Wanted.of(until=TUESDAY)


@pytest.mark.parametrize(
    ("since", "until", "pending"), [(MONDAY, None, False), (None, MONDAY, False), (None, None, True)]
)
def test_one_date_and_others_contradict_each_other(since: date | None, until: date | None, pending: bool) -> None:
    with pytest.raises(ConfigurationError, match="one date"):
        Wanted.of(TUESDAY, since, until, pending=pending)


def test_a_span_does_not_end_before_it_begins() -> None:
    with pytest.raises(ConfigurationError, match="ends before"):
        Wanted.of(since=TUESDAY, until=MONDAY)
