"""A person is followed to the devices that belong to them alone, and a request is done only if every output was searched."""

from __future__ import annotations

import shutil
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

import minimize
from minimize.errors import CheckFailed, ConfigurationError, RefusedError
from minimize.governance.subjects import (
    DataSubject,
    SubjectRemoval,
    delete_subjects,
    export_then_delete,
    lift_restriction,
    request_statuses,
    restrict_subjects,
    view_subjects,
    write_exports,
)
from minimize.ledger import find_ledger
from minimize.ledger.ledger import open_ledger
from minimize.ledger.subject_kinds import LIFECYCLE_EVENT
from tests.governance.outputs import places, run
from tests.project import DAY, Builds, Project, events

USER = {"type": "string", "role": "identifier", "do": {"pseudonymize": {"key": "user", "per": "tenant_id"}}}
DROPPED = {"type": "string", "role": "identifier", "do": "drop"}
OWNERS = {"d0": ["u1"], "d1": ["u1", "u2"], "d2": ["u2"], "d3": ["u3"]}
"""The users of each device: u1 and u2 share d1."""
U1 = DataSubject("u1", "north", "user")


def checkins() -> list[dict[str, Any]]:
    """Two check-ins of each user on each device."""
    pairs = [(device, user) for device, owners in OWNERS.items() for user in owners for _ in range(2)]
    return [
        {**record, "tenant_id": "north", "device_id": device, "user": user}
        for record, (device, user) in zip(events(len(pairs)), pairs, strict=True)
    ]


def add_output(project: Project, name: str, user: dict[str, Any] | None, **options: Any) -> Project:
    """Publishes another output from the same records, with another treatment of the user."""
    other = replace(project, folder=project.folder / name, keyring=project.keys)
    shutil.copytree(project.folder / "data", other.folder / "data")
    shutil.copy(project.folder / "settings.csv", other.folder)
    other.policy({"user": user} if user else {}, policy=name)
    other.pipeline(pipeline=name, aggregates=None)
    run(other, **{"ledger": project.folder / "organization.db", **options})
    return other


def rows_of(device: str | None = None, user: str | None = None) -> int:
    return sum(device in (None, each["device_id"]) and user in (None, each["user"]) for each in checkins())


def fill(project: Project) -> None:
    project.policy({"user": USER})
    project.pipeline(aggregates=None)
    project.records(checkins())
    run(project)
    add_output(project, "support", DROPPED)
    add_output(project, "apps", None)


@pytest.fixture(name="filled")
def _filled(builds: Builds, project: Project) -> Project:
    return builds.fill(project, fill)


def output(project: Project, name: str) -> Project:
    return replace(project, folder=project.folder / name, keyring=project.keys)


def deleted(project: Project, **options: Any) -> SubjectRemoval:
    return delete_subjects([U1], places(project), datetime.now(UTC), yes=True, **options)


def last_request(project: Project) -> Any:
    with open_ledger(find_ledger(project.folder / "organization.db")) as ledger:
        return request_statuses(ledger)[-1]


def test_a_request_stays_open_while_an_output_that_may_hold_the_person_was_not_searched(filled: Project) -> None:
    with pytest.raises(CheckFailed) as failure:
        deleted(filled)
    assert failure.value.code == "Q004"
    assert {each.message for each in failure.value.findings} == {
        "support was not searched: user was dropped",
        "apps was not searched: its policy has no field user",
    }
    assert "--linked" in failure.value.hint
    status = last_request(filled)
    assert (status.last.state, status.is_open, status.last.body["error"]) == ("failed", True, "Q004")


def test_a_copy_is_complete_only_if_every_output_was_searched(filled: Project) -> None:
    def exported(name: str, *, linked: bool) -> dict[str, str]:
        found = view_subjects([U1], places(filled), datetime.now(UTC), linked=linked)
        (made,) = write_exports(found, filled.folder / name, places(filled))
        return dict(made.unsearched)

    reasons = {"support": "user was dropped", "apps": "its policy has no field user"}
    assert exported("first", linked=False) == reasons
    first = last_request(filled)
    assert (first.last.kind, first.last.state, first.is_open) == ("export", "open", True)
    assert exported("second", linked=True) == {}
    second = last_request(filled)
    assert (second.last.id, second.last.state) == (first.last.id, "done")


def test_a_person_whom_no_output_shows_is_not_restricted_without_a_word(project: Project) -> None:
    project.policy({"user": DROPPED})
    project.pipeline(aggregates=None)
    project.records(checkins())
    run(project)
    with pytest.raises(CheckFailed) as failure:
        restrict_subjects([U1], places(project), datetime.now(UTC), yes=True)
    assert failure.value.code == "Q004"


def test_a_person_whom_no_output_shows_is_not_deleted_without_a_word(project: Project) -> None:
    project.policy({"user": DROPPED})
    project.pipeline(aggregates=None)
    project.records(checkins())
    run(project)
    for linked in (False, True):
        with pytest.raises(CheckFailed, match="could not be searched"):
            deleted(project, linked=linked)
    assert len(project.rows()) == len(checkins())


def test_records_of_devices_of_the_person_alone_are_removed_from_every_output(filled: Project) -> None:
    done = deleted(filled, linked=True)
    assert len(filled.rows()) == len(checkins()) - rows_of(user="u1")
    for name in ("support", "apps"):
        assert len(output(filled, name).rows()) == len(checkins()) - rows_of("d0")
        minimize.verify(output(filled, name).out, keys=filled.keys)
    assert (done.shared, done.unsearchable) == (1, ())
    assert last_request(filled).last.state == "done"


def test_devices_of_several_persons_are_counted_and_stay(filled: Project) -> None:
    done = deleted(filled, linked=True)
    assert done.to_json()["shared_devices"] == last_request(filled).last.body["shared_devices"] == 1
    assert any("1 device used by other persons" in str(line) for line in done.lines())


def test_view_and_export_select_the_same_records(filled: Project, tmp_path: Path) -> None:
    (found,) = view_subjects([U1], places(filled), datetime.now(UTC), linked=True)
    planned = delete_subjects([U1], places(filled), datetime.now(UTC), linked=True)
    assert found.rows == planned.rows == rows_of(user="u1") + 2 * rows_of("d0")
    (made,) = write_exports([found], tmp_path / "export", places(filled))
    assert made.rows == found.rows
    assert (found.unsearchable, found.shared_devices) == ((), 1)
    assert deleted(filled, linked=True).rows == planned.rows


def test_a_reason_for_an_output_that_cannot_be_searched_is_recorded(filled: Project) -> None:
    reasons = {"support": "erased by hand", "apps": "holds no persons"}
    deleted(filled, unsearchable=reasons)
    status = last_request(filled)
    assert status.last.state == "done"
    assert status.last.body["unsearchable"] == reasons
    assert "not searched: apps, support" in "".join(map(str, status.lines(datetime.now(UTC))))


def test_a_reason_names_a_known_output(filled: Project) -> None:
    with pytest.raises(ConfigurationError, match="no output of this name"):
        deleted(filled, unsearchable={"suport": "erased by hand"})
    with pytest.raises(ConfigurationError, match="no reason was given"):
        deleted(filled, unsearchable={"support": " "})


def test_a_request_is_continued_after_the_linking_records_are_gone(filled: Project) -> None:
    later = filled.folder / "support" / "out"
    later.rename(filled.folder / "elsewhere")
    with pytest.raises(CheckFailed, match="could not be reached"):
        deleted(filled, linked=True)
    assert rows_of(user="u1") == len(checkins()) - len(filled.rows())
    (filled.folder / "elsewhere").rename(later)
    done = deleted(filled, linked=True)
    assert len(output(filled, "support").rows()) == len(checkins()) - rows_of("d0")
    assert (done.resumed, last_request(filled).last.state) == (1, "done")


def test_a_request_stays_open_if_a_deletion_without_links_removed_the_linking_records(filled: Project) -> None:
    shutil.rmtree(output(filled, "support").out)
    for linked in (False, True):
        with pytest.raises(CheckFailed) as failure:
            deleted(filled, linked=linked, allow_unreached=True)
        assert failure.value.code == "Q004"
    assert "no device of the subject is known" in failure.value.findings[0].message
    assert last_request(filled).is_open
    deleted(filled, linked=True, allow_unreached=True, unsearchable={"apps": "no records of the device d0 are left"})
    assert last_request(filled).last.state == "done"


def test_a_complete_deletion_can_be_repeated(filled: Project) -> None:
    deleted(filled, linked=True)
    assert (deleted(filled, linked=True).rows, last_request(filled).last.state) == (0, "done")


def test_a_rerun_does_not_publish_the_records_of_the_devices_again(filled: Project) -> None:
    deleted(filled, linked=True)
    apps = output(filled, "apps")
    receipt = run(apps, date=DAY, ledger=filled.folder / "organization.db")
    assert (len(apps.rows()), receipt.gated_by.reasons.get("erased")) == (
        len(checkins()) - rows_of("d0"),
        rows_of("d0"),
    )


def test_a_restriction_seals_the_same_records_and_lifting_it_publishes_them_again(filled: Project) -> None:
    restrict_subjects([U1], places(filled), datetime.now(UTC), yes=True, linked=True)
    assert len(output(filled, "apps").rows()) == len(checkins()) - rows_of("d0")
    lift_restriction([U1], places(filled), datetime.now(UTC), yes=True)
    assert len(output(filled, "apps").rows()) == len(filled.rows()) == len(checkins())


def test_a_deletion_reaches_sealed_records_of_the_devices_of_a_restricted_person(filled: Project) -> None:
    restrict_subjects([U1], places(filled), datetime.now(UTC), yes=True, linked=True)
    (found,) = view_subjects([U1], places(filled), datetime.now(UTC), linked=True)
    assert found.sealed_rows == rows_of(user="u1") + 2 * rows_of("d0")
    assert deleted(filled, linked=True).rows == found.sealed_rows
    (left,) = view_subjects([U1], places(filled), datetime.now(UTC), linked=True)
    assert left.sealed_rows == 0
    lift_restriction([U1], places(filled), datetime.now(UTC), yes=True)
    assert len(output(filled, "apps").rows()) == len(checkins()) - rows_of("d0")
    minimize.verify(output(filled, "apps").out, keys=filled.keys)


def test_sealed_records_of_devices_are_not_deleted_without_their_export(filled: Project, tmp_path: Path) -> None:
    restrict_subjects([U1], places(filled), datetime.now(UTC), yes=True, linked=True)
    with pytest.raises(RefusedError, match="of restricted subjects cannot be exported"):
        export_then_delete([U1], tmp_path / "export", places(filled), datetime.now(UTC), linked=True, yes=True)


def test_sealed_files_that_cannot_be_searched_keep_a_deletion_open(filled: Project) -> None:
    restrict_subjects([DataSubject(None, "north")], places(filled), datetime.now(UTC), yes=True)
    with pytest.raises(CheckFailed) as failure:
        deleted(filled)
    assert failure.value.code == "Q004"
    assert {each.message.partition(" ")[0] for each in failure.value.findings} == {"support", "apps"}


def test_the_ledger_has_no_form_of_a_device(filled: Project) -> None:
    before = {row["device_id"] for row in filled.rows()}
    deleted(filled, linked=True)
    (device,) = before - {row["device_id"] for row in filled.rows()}
    with open_ledger(find_ledger(filled.folder / "organization.db")) as ledger:
        (event,) = ledger.find(LIFECYCLE_EVENT)
    assert event.linked != "{}"
    assert device not in event.linked


def test_pseudonyms_of_another_key_version_are_not_compared(filled: Project) -> None:
    apps = output(filled, "apps")
    apps.policy({"device_id": {"type": "string", "role": "identifier", "do": {"pseudonymize": {"key": "user"}}}})
    run(apps, date=DAY, ledger=filled.folder / "organization.db")
    with pytest.raises(CheckFailed) as failure:
        deleted(filled, linked=True)
    (finding,) = failure.value.findings
    assert "values of device_id cannot be compared" in finding.message
