"""Attempts to make a scope name somebody who is not affected, or miss somebody who is."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from minimize.datasets.reader import load_receipts
from minimize.errors import ConfigurationError
from minimize.governance.incidents import (
    Exposure,
    IncidentScope,
    NewIncident,
    close_incident,
    declare_incident,
    open_incident,
    scope_incident,
)
from minimize.keys.keyring import add_key
from minimize.receipts import Receipt
from minimize.removal.keys import rotate_keys
from minimize.removal.retract import retract
from minimize.workspace import Workspace as Places
from tests.governance.outputs import PER_TENANT, scoped
from tests.project import AT, BEFORE, DAY, Project, events

TICK = timedelta(microseconds=1)
HOUR = timedelta(hours=1)
RECORDS = events(40)


def of(*tenants: str) -> list[dict[str, Any]]:
    """Records of tenants, as many of each."""
    return [each | {"tenant_id": tenants[place % len(tenants)]} for place, each in enumerate(RECORDS)]


def ran(project: Project, *tenants: str, day: str = DAY, name: str = "a") -> Receipt:
    project.records(of(*tenants), day, name)
    return project.run(date=day)


def names(found: IncidentScope) -> list[str]:
    return [each.tenant for each in found.tenants]


@pytest.fixture(autouse=True)
def _records_alone(project: Project) -> None:
    project.pipeline(aggregates=None)


def test_a_late_file_affects_no_tenant_before_its_arrival(project: Project) -> None:
    first = ran(project, "north")
    second = ran(project, "west", name="late")
    output = f"output:{project.out}"
    until = (first.finished, second.finished - TICK)
    assert names(scoped(project, output, window=until)) == ["north"]
    since = (second.finished, second.finished + HOUR)
    assert names(scoped(project, output, window=since)) == ["north", "west"]


def test_a_window_holds_its_ends_and_a_file_not_the_moment_it_went(project: Project) -> None:
    first, second = ran(project, "north"), ran(project, "south")
    output = f"output:{project.out}"
    assert names(scoped(project, output, window=(first.finished, first.finished))) == ["north"]
    assert names(scoped(project, output, window=(first.finished - HOUR, first.finished - TICK))) == []
    assert names(scoped(project, output, window=(second.finished, second.finished))) == ["south"]
    assert names(scoped(project, output, window=(second.finished - TICK, second.finished))) == ["north", "south"]


def test_a_zone_moves_no_window(project: Project) -> None:
    ran(project, "north")
    places = Places(output=project.out, keys=project.keys)
    east = datetime.now(UTC).astimezone(timezone(timedelta(hours=14)))
    open_incident(
        NewIncident("I", "A disk", (east - HOUR, None), east, [f"output:{project.out}"]), places, datetime.now(UTC)
    )
    assert scope_incident("I", places, datetime.now(UTC)).affected == ("north",)


def test_a_key_that_was_rotated_affects_whom_its_version_was_used_for(project: Project) -> None:
    ran(project, "north", day=BEFORE)
    add_key(project.keys, "device", now=AT)
    ran(project, "south")
    assert names(scoped(project, "key:device/1")) == ["north"]
    assert names(scoped(project, "key:device/2")) == ["south"]
    both = scoped(project, f"output:{project.out}", "key:device/2")
    assert {each.tenant: each.form for each in both.tenants} == {"north": "pseudonymized", "south": "identified"}


def test_a_master_key_opens_the_files_written_before_their_re_encryption(project: Project) -> None:
    project.pipeline(aggregates=None, records={"encrypt": "by_category"})
    first = ran(project, "north", "south")
    rotate_keys(Places(output=project.out, keys=project.keys), AT, outputs=[project.out])
    again = load_receipts(project.out)[-1]
    old, new = "key:encrypt.pseudonymized/1", "key:encrypt.pseudonymized/2"
    before, after = (first.finished, again.finished - TICK), (again.finished, again.finished + HOUR)
    assert names(scoped(project, old, window=before)) == names(scoped(project, new, window=after)) == ["north", "south"]
    assert names(scoped(project, old, window=after)) == names(scoped(project, new, window=before)) == []
    assert {each.form for each in scoped(project, old, window=before).tenants} == {"pseudonymized"}


def test_retracted_data_was_exposed_before_its_removal(project: Project) -> None:
    first = ran(project, "north", "south")
    project.policy({"model": None})
    (again,) = retract(project.out, keys=project.keys, yes=True).receipts
    before = scoped(project, f"output:{project.out}", "column:model", window=(first.finished, again.finished - TICK))
    assert names(before) == ["north", "south"]
    assert (
        names(scoped(project, f"output:{project.out}", "column:model", window=(again.finished, again.finished))) == []
    )


def test_an_output_affects_no_tenant_through_another_output_of_the_pipeline(project: Project) -> None:
    project.pipeline(aggregates=PER_TENANT)
    project.records([*of("north"), *(each | {"tenant_id": "tiny"} for each in RECORDS[:1])])
    project.run(date=DAY)
    assert names(scoped(project, f"output:{project.out}#records")) == ["north", "tiny"]
    groups = scoped(project, f"output:{project.out}#per_tenant")
    assert [(each.tenant, each.form, each.needs_notice) for each in groups.tenants] == [("north", "aggregated", False)]


def test_groups_of_tenants_that_were_replaced_are_remembered_as_groups(project: Project) -> None:
    project.pipeline(aggregates=PER_TENANT)
    first = ran(project, "north")
    ran(project, "south")
    found = scoped(project, f"output:{project.out}#per_tenant", window=(first.finished, first.finished))
    assert [(each.tenant, each.form, each.subjects, each.needs_notice) for each in found.tenants] == [
        ("north", "aggregated", None, False)
    ]


def test_the_folder_column_of_a_partitioned_output_alone_needs_no_notice(project: Project) -> None:
    project.pipeline(aggregates=None, records={"partition_by": ["tenant_id"]})
    ran(project, "north", "south")
    found = scoped(project, f"output:{project.out}", "column:tenant_id")
    assert [(each.tenant, each.needs_notice) for each in found.tenants] == [("north", False), ("south", False)]


def test_records_that_were_written_twice_are_at_most_so_many(project: Project) -> None:
    ran(project, "north")
    ran(project, "north")
    (north,) = scoped(project, f"output:{project.out}").to_json()["tenants"]
    assert (north["rows"], north["rows_exact"], north["subjects"]["exact"]) == (2 * len(RECORDS), False, False)


@pytest.mark.parametrize(
    "wrong",
    [
        "output:elsewhere",
        "run:nothing",
        "date:2020-01-01",
        "column:batery",
        "recipient:vendr",
        "key:device/9",
        "actor:x",
        "grant:x",
    ],
)
def test_an_exposure_that_matches_nothing_is_reported_as_such(project: Project, wrong: str) -> None:
    ran(project, "north")
    found = scoped(project, wrong)
    assert (names(found), found.to_json()["nothing_matches"]) == ([], [wrong])


@pytest.mark.parametrize(
    "texts",
    [("output:checkins",), ("date:2026-11-24", "column:battery"), ("key:device/1",), ("output:checkins#records",)],
)
def test_a_matching_exposure_is_not_listed_as_unmatched(project: Project, texts: Sequence[str]) -> None:
    ran(project, "north")
    assert scoped(project, *texts).unmatched == ()


def test_a_window_that_ends_before_it_begins_is_refused() -> None:
    with pytest.raises(ConfigurationError):
        Exposure.parse(["actor:ann@2026-11-25T00:00Z/2026-11-24T00:00Z"])


def test_a_closed_incident_stays_closed_and_another_may_name_the_same(project: Project) -> None:
    ran(project, "north")
    places, now = Places(output=project.out, keys=project.keys), datetime.now(UTC)
    case = NewIncident("I", "A disk", (now - HOUR, None), now, [f"output:{project.out}"])
    open_incident(case, places, now)
    scope_incident("I", places, now)
    close_incident("I", "security_incident", "it was found", places, now)
    with pytest.raises(ConfigurationError, match="closed"):
        scope_incident("I", places, now)
    with pytest.raises(ConfigurationError, match="closed"):
        declare_incident("I", places, now)
    open_incident(NewIncident("I-again", *(getattr(case, name) for name in NewIncident.__slots__[1:])), places, now)
    assert scope_incident("I-again", places, now).affected == ("north",)
