"""Collection settings over time."""

import csv
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np

from minimize.samples.collection import Clock, said, switched, write

CLOCK = Clock(date(2026, 11, 23), date(2026, 11, 24))


def test_the_clock_counts_from_midnight_utc() -> None:
    assert CLOCK.before(1.5) == datetime(2026, 11, 21, 12, tzinfo=UTC)
    assert CLOCK.on_last(6) == datetime(2026, 11, 24, 6, tzinfo=UTC)


def test_a_switch_goes_on_and_off_in_turn() -> None:
    rows = switched("t", "usage", [CLOCK.before(3), CLOCK.before(2), CLOCK.before(1)], "user", subject="s")
    assert [(row.value, row.holder, row.subject) for row in rows] == [
        ("on", "user", "s"),
        ("off", "user", "s"),
        ("on", "user", "s"),
    ]


def test_a_setting_is_recorded_when_it_is_valid_unless_said_otherwise() -> None:
    at = CLOCK.before(1)
    assert said("t", "level", "basic", at).recorded_at == at
    assert said("t", "level", "basic", at, recorded=at + timedelta(days=9)).recorded_at == at + timedelta(days=9)


def test_the_file_has_the_header_of_a_settings_file_and_times_with_an_offset(tmp_path: Path) -> None:
    write([said("t", "usage", "on", CLOCK.before(1))], tmp_path / "settings.csv", np.random.default_rng(1))
    header, row = list(csv.reader((tmp_path / "settings.csv").read_text().splitlines()))
    assert header == ["tenant_id", "subject", "setting", "value", "holder", "valid_from", "recorded_at"]
    assert row == ["t", "", "usage", "on", "admin", "2026-11-22T00:00:00+00:00", "2026-11-22T00:00:00+00:00"]


def test_rows_stand_in_no_order_of_time(tmp_path: Path) -> None:
    write(
        [said("t", "usage", "on", CLOCK.before(days)) for days in range(50, 0, -1)],
        tmp_path / "s.csv",
        np.random.default_rng(1),
    )
    times = [line.split(",")[5] for line in (tmp_path / "s.csv").read_text().splitlines()[1:]]
    assert times != sorted(times)
    assert len(times) == 50
