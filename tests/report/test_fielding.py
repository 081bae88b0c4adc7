from __future__ import annotations

from tests.project import Project, events
from tests.report.telling import facts, field


def test_a_field_that_is_dropped_says_so_and_gives_everything_up(project: Project) -> None:
    project.records(events(60))
    project.run()
    found = field(project, "event_id")
    assert found.is_dropped
    assert (found.form, found.values, str(found.bits)) == ("dropped", None, "unknown")


def test_a_field_for_another_purpose_says_for_which(project: Project) -> None:
    project.policy({"model": {"type": "string", "do": "keep", "purposes": ["customer_support"]}})
    project.pipeline(aggregates=None)
    project.records(events(60))
    project.run()
    assert field(project, "model").form == "dropped, for customer_support alone"


def test_values_and_what_became_of_them_are_told(project: Project) -> None:
    project.records(events(60))
    project.run()
    found = field(project, "latitude")
    assert str(found.values) == "60"
    assert {words: str(count) for words, count in found.dropped.items()} == {"not collected": "30"}
    assert found.conditions == ("feature location is on",)


def test_distinct_values_that_stand_are_counted_and_rounded(project: Project) -> None:
    project.records(events(60))
    project.run()
    assert str(field(project, "device_id").after) == "20"  # 11 devices, each in two tenants
    assert str(field(project, "tenant_id").after) == "fewer than 5"


def test_values_that_are_kept_apart_came_in_as_many_as_stand(project: Project) -> None:
    project.records(events(60))
    project.run()
    found = field(project, "device_id")
    assert found.before == found.after
    assert found.bits.number == 0.0


def test_what_receipts_do_not_tell_is_unknown(project: Project) -> None:
    project.records(events(60))
    project.run()
    found = field(project, "battery")
    assert found.before is None
    assert str(found.bits) == "unknown"


def test_encrypted_columns_are_not_shown_without_their_key_and_open_ones_are(project: Project) -> None:
    project.pipeline(records={"must_be": "pseudonymized", "encrypt": "by_category"})
    project.records(events(60))
    project.run()
    with_key = field(project, "device_id")
    without = field(project, "device_id", keys=None)
    assert str(with_key.after) == "20"
    assert without.after is None
    assert without.after_how == "files are encrypted, and no key is to be had here"
    assert str(without.values) == "60"


def test_what_nobody_declared_is_told(project: Project) -> None:
    project.records([{**event, "extra": 1} for event in events(60)])
    project.run()
    assert {name: str(count) for name, count in facts(project).undeclared.items()} == {"/extra": "60"}
