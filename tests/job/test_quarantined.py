from __future__ import annotations

from minimize.runs.replay import count_groups, quarantined_dates
from tests.project import BEFORE, DAY, Project, event, events


def test_quarantine_is_grouped_by_code_field_and_file_the_most_first(project: Project) -> None:
    project.records([*events(9), "broken", event(9, battery="full"), event(10, battery="low")])
    project.records([*events(9), "broken"], day=BEFORE)
    project.run()
    assert [tuple(group.values()) for group in count_groups(quarantined_dates(project.out))] == [
        ("wrong_type", "/battery", f"{DAY}/a.ndjson.gz", 2),
        ("malformed", None, f"{BEFORE}/a.ndjson.gz", 1),
        ("malformed", None, f"{DAY}/a.ndjson.gz", 1),
    ]


def test_one_date_can_be_asked_for(project: Project) -> None:
    project.records([*events(9), "broken"])
    project.records([*events(9), "broken", "too"], day=BEFORE)
    project.run()
    assert [each.rows for each in quarantined_dates(project.out, BEFORE)] == [2]
    assert quarantined_dates(project.out, "2026-11-01") == []


def test_what_a_rerun_replaced_is_not_counted(project: Project) -> None:
    project.records([*events(9), "broken"])
    project.run()
    project.records(events(9))
    project.run()
    assert quarantined_dates(project.out) == []
