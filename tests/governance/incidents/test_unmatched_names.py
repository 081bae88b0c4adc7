"""What is named when an incident is opened, and nothing matches."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from minimize.governance.incidents import Incident, NewIncident, unmatched_items
from minimize.ledger.kinds import IncidentStep
from minimize.workspace import Workspace as Places
from tests.project import Builds, Project, events

HOUR = timedelta(hours=1)


def filled_content(project: Project) -> None:
    project.records(events(40))
    project.run()


@pytest.fixture(name="filled")
def _filled(builds: Builds, project: Project) -> Project:
    return builds.fill(project, filled_content)


def told(project: Project, *texts: str, ago: timedelta = timedelta(0)) -> list[str]:
    """What matches nothing, of what was exposed in the hour until some time ago."""
    until = datetime.now(UTC) - ago
    said = NewIncident("I", "A disk", (until - HOUR, until), until, texts).to_json()
    opened = Incident((IncidentStep("I", "opened", "ann", said, until),))
    return [str(each) for each in unmatched_items(opened, Places(output=project.out, keys=project.keys))]


@pytest.mark.parametrize(
    "wrong",
    [
        "output:elsewhere",
        "output:checkins#recrods",
        "run:nothing",
        "date:2020-01-01",
        "column:batery",
        "recipient:vendr",
        "key:device/9",
        "actor:x",
        "grant:x",
    ],
)
def test_an_exposure_that_matches_nothing_is_listed(filled: Project, wrong: str) -> None:
    assert told(filled, wrong) == [wrong]


@pytest.mark.parametrize(
    "texts",
    [
        ("output:checkins",),
        ("date:2026-11-24", "column:battery"),
        ("key:device/1",),
        ("output:checkins#per_model", "column:events"),
    ],
)
def test_a_matching_exposure_is_not_listed(filled: Project, texts: tuple[str, ...]) -> None:
    assert told(filled, *texts) == []


def test_an_output_that_was_empty_at_the_time_is_listed_as_unmatched(filled: Project) -> None:
    assert told(filled, "output:checkins", ago=HOUR) == ["output:checkins"]


def test_a_column_is_not_denied_where_files_cannot_be_opened(filled: Project) -> None:
    for file in filled.out.rglob("*.parquet"):
        file.unlink()
    assert told(filled, "column:batery") == []


def test_with_an_unreadable_ledger_nothing_is_listed_as_unmatched(filled: Project) -> None:
    (filled.out / "ledger.db").write_bytes(b"no database" * 99)
    assert told(filled, "output:elsewhere") == []
