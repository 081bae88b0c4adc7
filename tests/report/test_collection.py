from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta

import pyarrow as pa

from minimize.policy.load import policy_from_mapping
from minimize.report.facts import CollectionFacts
from minimize.report.output_report import MOST_NAMED_TENANTS, collection_of_settings
from minimize.settings import SettingsRows
from minimize.settings.files import read_memory
from tests.project import AT, POLICY, Project, events
from tests.report.telling import facts

Change = tuple[str, str | None, str, str, int]
"""Tenant, subject, setting, value, days ago."""


def rows(changes: Iterable[Change]) -> SettingsRows:
    columns = ("tenant_id", "subject", "setting", "value", "holder", "valid_from", "recorded_at")
    said = [
        (tenant, subject, setting, value, "admin", AT - timedelta(days=days), AT - timedelta(days=days))
        for tenant, subject, setting, value, days in changes
    ]
    return read_memory(pa.Table.from_pylist([dict(zip(columns, each, strict=True)) for each in said]))


def of(changes: Iterable[Change]) -> CollectionFacts:
    return collection_of_settings(policy_from_mapping({**POLICY, "levels": ["required", "full"]}), rows(changes), AT)


def test_tenants_are_counted_moment_by_moment() -> None:
    found = of([("north", None, "location", "on", 100), ("south", None, "location", "on", 50)])
    assert (found.on["location"][0], found.on["location"][-1]) == (1, 2)
    assert found.tenants == 2
    assert (found.moments[0], found.moments[-1]) == (AT - timedelta(days=100), AT)


def test_levels_are_counted_like_features() -> None:
    found = of([("north", None, "level", "full", 10), ("south", None, "level", "required", 10)])
    assert found.on["level full"][-1] == 1


def test_a_tenant_shows_what_is_on_and_for_which_share_of_the_time() -> None:
    found = of([("north", None, "location", "on", 100), ("north", None, "location", "off", 50)])
    (north,) = found.groups
    assert north.names == ("north",)
    assert north.on == {"location": False, "level full": False}
    assert 0.4 < north.share["location"] < 0.6


def test_settings_of_single_persons_are_not_shown() -> None:
    before = of([("north", None, "location", "on", 10)])
    after = of([("north", None, "location", "on", 10), ("north", "d-1", "location", "off", 5)])
    assert before == after


def test_many_tenants_are_grouped_without_their_names() -> None:
    many = [
        (f"t{number:04}", None, "location", "on" if number % 3 else "off", 10)
        for number in range(MOST_NAMED_TENANTS * 10)
    ]
    found = of(many)
    assert [(group.tenants, group.names) for group in found.groups] == [(200, ()), (100, ())]
    assert found.rest == 0


def test_the_settings_of_the_pipeline_are_shown(project: Project) -> None:
    project.records(events(20))
    project.run()
    found = facts(project).collection
    assert found is not None
    assert found.on["location"][-1] == 1


def test_without_settings_there_is_no_map(project: Project) -> None:
    project.pipeline(settings=None)
    project.records(events(20))
    project.run()
    assert facts(project).collection is None


def test_settings_that_few_tenants_share_are_not_shown() -> None:
    many = [
        (f"t{number:04}", None, "location", "on" if number > 2 else "off", 10)
        for number in range(MOST_NAMED_TENANTS * 2)
    ]
    found = of(many)
    assert [group.tenants for group in found.groups] == [57]
    assert found.rest == 3
