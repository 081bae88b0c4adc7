from __future__ import annotations

from datetime import timedelta

from minimize.removal.expire import expire
from minimize.removal.plan import OpenDeadline
from minimize.report.output_report import _events_by_kind
from tests.project import AGGREGATES, AT, BEFORE, DAY, Project, events
from tests.report.telling import facts


def test_each_date_states_when_nothing_of_it_may_remain(project: Project) -> None:
    project.records(events(20))
    project.records(events(20), BEFORE)
    project.run(date=BEFORE)
    project.run(date=DAY)
    found = facts(project).retention
    assert [(each.date, f"{each.gone_by:%Y-%m-%d}", each.state) for each in found.partitions] == [
        (BEFORE, "2026-12-24", "kept"),
        (DAY, "2026-12-25", "kept"),
    ]
    assert (found.retention, dict(found.features), found.overdue) == ("30d", {"location": "1d"}, 0)


def test_a_date_is_due_when_its_next_output_is(project: Project) -> None:
    project.pipeline(aggregates={"per_model": {**AGGREGATES["per_model"], "retention": "365d"}})
    project.records(events(20))
    project.run()
    found = facts(project).retention
    assert dict(found.aggregates) == {"per_model": "365d"}
    assert [f"{each.gone_by:%Y-%m-%d}" for each in found.partitions] == ["2026-12-25"]
    expire(project.out, at=AT + timedelta(days=40), keys=project.keys, yes=True, allow_shrink=True)
    found = facts(project, at=AT + timedelta(days=41)).retention
    assert [(f"{each.gone_by:%Y-%m-%d}", each.state) for each in found.partitions] == [("2027-11-25", "kept")]


def test_overdue_rows_are_reported_with_their_number(project: Project) -> None:
    project.records(events(20))
    project.run()
    found = facts(project, at=AT + timedelta(days=40)).retention
    assert [each.state for each in found.partitions] == ["overdue"]
    assert found.due is not None
    assert {each.output: {why: str(rows) for why, rows in each.rows.items()} for each in found.due}["records"] == {
        "retention": "20"
    }
    assert found.overdue >= 1


def test_data_due_within_a_week_is_soon(project: Project) -> None:
    project.records(events(20))
    project.run()
    assert [each.state for each in facts(project, at=AT + timedelta(days=25)).retention.partitions] == ["soon"]


def test_values_that_are_past_their_features_time_are_due(project: Project) -> None:
    project.records(events(40))
    project.run()
    due = facts(project, at=AT + timedelta(days=3)).retention.due
    assert [(each.output, str(each.values)) for each in due or ()] == [("records", "20")]


def test_without_retention_nothing_has_an_end(project: Project) -> None:
    project.policy(retention=None)
    project.records(events(20))
    project.run()
    assert [(each.gone_by, each.state) for each in facts(project).retention.partitions] == [(None, "without end")]


def test_without_a_key_overdue_removals_are_not_computed(project: Project) -> None:
    project.records(events(20))
    project.run()
    found = facts(project, keys=None)
    assert found.retention.due is None
    assert "overdue removals" in {each.what for each in found.hidden}


def test_overdue_rows_are_also_shown_with_sealed_counts(project: Project) -> None:
    daily = {"group_by": {"tenant": "tenant_id"}, "measures": {"events": "count"}, "suppress": {"below": 2}}
    project.pipeline(records=False, aggregates={"daily": {**daily, "per_subject": {"rows": 9}, "retention": "30d"}})
    project.records(events(60))
    project.run()
    late = {"at": AT + timedelta(days=40)}
    plain, opened = facts(project, **late), facts(project, sealed_counts=True, **late)
    assert opened.flow.read != plain.flow.read, "control: the receipts that are shown differ from the signed ones"
    assert plain.retention.due
    assert opened.retention.due == plain.retention.due
    assert "overdue removals" not in {each.what for each in opened.hidden}


def test_another_ledger_is_named_as_the_reason_why_overdue_removals_are_not_shown(project: Project) -> None:
    project.records(events(20))
    project.run()
    found = facts(project, ledger=project.folder / "other.db")
    reasons = {each.what: each.why for each in found.hidden}
    assert reasons["overdue removals"].endswith("pass --keys and --ledger")


def test_open_events_are_counted_by_kind_without_names() -> None:
    items = [
        OpenDeadline("tenant_closed", AT, 3, "north", overdue=True),
        OpenDeadline("tenant_closed", AT + timedelta(days=1), 1, "south"),
        OpenDeadline("retention", AT, 9, overdue=True),
    ]
    (found,) = _events_by_kind(items)
    assert (found.kind, found.events, found.overdue, found.by) == ("tenant_closed", 2, 1, AT)
