"""Dates whose source still stands as their receipts tell, and of which nothing was taken that would come back."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from minimize.datasets.published_output import PublishedOutput
from minimize.datasets.reader import load_receipts
from minimize.keys import Keyring
from minimize.policy.load import load_pipeline
from minimize.removal.rerun import DatesWithSource, SourceFinder
from minimize.workspace import Workspace
from tests.calls import load_pipeline_settings
from tests.governance.retention.daily import SETTINGS, START, Daily, rows

DAY, HOUR = timedelta(days=1), timedelta(hours=1)
RAN, FIRST = START + DAY, "2026-01-01"


def standing(project: Daily) -> dict[Any, bool]:
    job, chain = load_pipeline(project.folder), load_receipts(project.out)
    keys, settings = Keyring.load(project.keys), project.folder / "settings.csv"
    found = DatesWithSource(
        workspace=Workspace(None, project.out, job, keys),
        output=PublishedOutput(project.out, chain, keys, job),
        as_of=RAN + HOUR,
        now=RAN + HOUR,
        source=None,
        settings_source=settings,
        settings=load_pipeline_settings(settings, job, keys, project.out, None),
        consents=None,
    ).rerunnable(())
    return {date: each.is_pending for date, each in found.items()}


def known(project: Daily) -> bool:
    workspace = Workspace(None, project.out, project.folder, project.keys)
    return SourceFinder(workspace, load_receipts(project.out), RAN + HOUR).find(FIRST) is not None


def test_a_source_that_matches_its_receipt_is_intact_without_pending_changes(day: Daily) -> None:
    assert standing(day) == {FIRST: False}
    assert known(day)


def test_a_setting_that_came_into_force_since_makes_it_pending(day: Daily) -> None:
    (day.folder / "settings.csv").write_text(
        SETTINGS + "east,,location,off,admin,2026-01-02T00:10:00Z,2026-01-02T00:10:00Z\n"
    )
    assert standing(day) == {FIRST: True}


@pytest.mark.parametrize("change", ["more", "gone"])
def test_a_changed_or_missing_source_is_not_intact(day: Daily, change: str) -> None:
    path = day.folder / "data" / FIRST / "a.ndjson"
    path.write_text(path.read_text() * 2) if change == "more" else path.unlink()
    assert standing(day) == {}
    assert not known(day)


def test_data_removed_for_its_age_may_return_and_is_removed_again(day: Daily) -> None:
    day.expire(RAN + HOUR)
    assert FIRST in standing(day)


def test_a_source_with_removed_subjects_is_read_only_with_the_events(day: Daily) -> None:
    day.expire(RAN, events=day.events("east,d1,subject_left,2026-01-02T00:00:00Z"))
    assert standing(day) == {}
    assert known(day)


def test_a_source_with_reclassified_devices_is_not_read_again(day: Daily) -> None:
    day.expire(RAN, events=day.events("north,d0,became_personal,2026-01-02T00:00:00Z"))
    assert standing(day) == {}
    assert not known(day)


def test_a_new_run_of_a_date_makes_its_source_usable_again(day: Daily) -> None:
    day.expire(RAN, events=day.events("east,d1,subject_left,2026-01-02T00:00:00Z"))
    day.collect(rows(START.date()), START.date())
    day.run(START.date(), RAN + HOUR)
    assert FIRST in standing(day)
