"""Where people stand, and whether a rule finds them there."""

from __future__ import annotations

from typing import Any

import pytest

from minimize.governance.subjects import Coverage, find_coverage
from minimize.keys import Keyring
from minimize.ledger import find_ledger
from minimize.ledger.kinds import DISCLOSURE, TENANT_SHARE, Disclosure, TenantShare
from minimize.ledger.ledger import open_ledger
from minimize.workspace import Workspace as Places
from tests.acts import RECORDED_AT, record_acts
from tests.project import DAY, Project, events

USER = {"type": "string", "role": "identifier", "do": {"pseudonymize": {"key": "user"}}}
PEOPLE = [{**each, "user": f"u{number % 5}"} for number, each in enumerate(events(60))]
BY_USER = {
    "per_user": {
        "group_by": {"who": "user"},
        "measures": {"events": "count"},
        "suppress": {"below": 2},
        "exact": {"because": "a test"},
    },
}


def found(project: Project) -> Coverage:
    return find_coverage(Places(project.out / "ledger.db", keys=project.keys))


def columns(each: Coverage) -> set[tuple[str, str, str | None]]:
    return {(target.name, target.column, target.rule) for target in each.targets}


def ran(project: Project, **fields: Any) -> Project:
    project.policy({"user": USER, **fields})
    project.records(PEOPLE)
    project.run()
    return project


def test_every_identifier_of_a_person_is_found_by_the_subject_of_its_rows(project: Project) -> None:
    every = found(ran(project))
    assert columns(every) == {
        ("records", "device_id", "subject"),
        ("records", "user", "rows of device_id; --id-field user"),
    }
    assert every.uncovered == ()


def test_a_key_in_records_that_dropped_their_subject_is_out_of_reach(project: Project) -> None:
    ran(project, device_id={"type": "string", "role": "identifier", "do": "drop"})
    (target,) = found(project).uncovered
    assert (target.name, target.column) == ("records", "user")
    assert "but not device_id" in target.reason
    assert (target.finding.code, target.finding.severity, target.finding.field) == ("Q003", "error", "user")


def test_a_pseudonym_is_an_identifier_under_any_role_of_its_field(project: Project) -> None:
    fields = {"user": {**USER, "role": "plain"}, "device_id": {"type": "string", "role": "identifier", "do": "drop"}}
    assert [each.column for each in found(ran(project, **fields)).uncovered] == ["user"]


def test_an_aggregate_group_that_identifies_persons_is_not_covered(project: Project) -> None:
    project.pipeline(aggregates=BY_USER)
    (target,) = found(ran(project)).uncovered
    assert (target.name, target.column) == ("per_user", "who")


def test_coverage_follows_the_written_files_and_not_the_current_policy(project: Project) -> None:
    ran(project, device_id={"type": "string", "role": "identifier", "do": "drop"})
    project.policy({"user": USER})
    assert [each.column for each in found(project).uncovered] == ["user"]
    project.run(date=DAY)
    assert found(project).uncovered == ()


def test_only_a_pipeline_that_is_named_is_looked_at(project: Project) -> None:
    ran(project)
    assert find_coverage(Places(project.out / "ledger.db"), pipeline="another").targets == ()


@pytest.mark.parametrize("version", [1, None])
def test_shared_data_is_found_by_its_stored_tokens(project: Project, version: int | None) -> None:
    ran(project)
    body = {"policy": {"name": "checkins"}, "fields": {"user": "pseudonymize", "model": "keep"}}
    act = Disclosure("an-act", RECORDED_AT, "vendor", "sync", 1, "sha256:0", None, body)
    keys, share = Keyring.load(project.keys), TenantShare("an-act", "north", 1, "a-consent", version)
    with open_ledger(find_ledger(project.out / "ledger.db")) as ledger:
        record_acts(ledger, keys, DISCLOSURE, act)
        record_acts(ledger, keys, TENANT_SHARE, share)
    (target,) = [each for each in found(project).targets if each.name == "vendor"]
    assert (target.location, target.column, target.rule) == ("an-act", "user", "recall" if version else None)
