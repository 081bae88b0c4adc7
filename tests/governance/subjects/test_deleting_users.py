"""People who are named by another field than the policy's subject: what holds their identifier goes, and does not come back."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow.parquet as pq
import pytest

import minimize
from minimize.errors import ConfigurationError
from minimize.governance.subjects import DataSubject, SubjectRemoval, delete_subjects, view_subjects
from minimize.ledger import find_ledger
from minimize.ledger.ledger import open_ledger
from minimize.ledger.subject_kinds import LIFECYCLE_EVENT
from tests.governance.outputs import places, run, two_days
from tests.project import AT, BEFORE, DAY, Builds, Project, events

USER = {"type": "string", "role": "identifier", "do": {"pseudonymize": {"key": "user", "per": "tenant_id"}}}
RECORDS = [{**each, "user": f"u{number % 7}"} for number, each in enumerate(events(120))]
U2 = DataSubject("u2", "north", "user")
COUNTS = {
    "daily": {
        "group_by": {"tenant": "tenant_id"},
        "measures": {"events": "count"},
        "suppress": {"below": 2},
        "exact": {"because": "a test"},
    }
}


def of(records: Iterable[dict[str, Any]], user: str = "u2", tenant: str | None = "north") -> int:
    return sum(each["user"] == user and tenant in (None, each["tenant_id"]) for each in records)


def deleted(project: Project, *subjects: DataSubject, **options: Any) -> SubjectRemoval:
    return delete_subjects(subjects, places(project), datetime.now(UTC), yes=True, **options)


def held(project: Project, subject: DataSubject) -> int:
    return view_subjects([subject], places(project), datetime.now(UTC))[0].rows


def filled_content(project: Project) -> None:
    project.policy({"user": USER})
    two_days(project, RECORDS)


@pytest.fixture(name="filled")
def _filled(builds: Builds, project: Project) -> Project:
    return builds.fill(project, filled_content)


def test_the_records_that_hold_a_users_identifier_go_and_no_others(filled: Project) -> None:
    done = deleted(filled, U2)
    assert done.rows == 2 * of(RECORDS) > 0
    assert len(filled.rows()) == 2 * (len(RECORDS) - of(RECORDS))
    assert held(filled, U2) == 0
    minimize.verify(filled.out, keys=filled.keys)


def test_a_user_without_a_tenant_is_removed_from_each_tenant_that_has_them(filled: Project) -> None:
    done = deleted(filled, DataSubject("u2", field="user"))
    assert {each.tenant for each in done.subjects} == {"north", "south"}
    assert done.rows == 2 * of(RECORDS, tenant=None)


def test_a_device_and_a_user_of_one_name_are_two(project: Project) -> None:
    project.policy({"user": USER})
    project.pipeline(aggregates=None)
    project.records(
        [{**each, "user": "d3"} if each["device_id"] == "d4" else {**each, "user": "x"} for each in RECORDS]
    )
    run(project)
    deleted(project, DataSubject("d3", "north", "user"))
    gone = sum(each["device_id"] == "d4" and each["tenant_id"] == "north" for each in RECORDS)
    assert len(project.rows()) == len(RECORDS) - gone
    assert held(project, DataSubject("d3", "north")) > 0
    run(project)
    assert len(project.rows()) == len(RECORDS) - gone


def test_he_does_not_come_back_by_a_rerun_or_a_late_file(filled: Project) -> None:
    deleted(filled, U2)
    filled.records(RECORDS, name="late")
    receipt = run(filled, date=DAY)
    assert receipt.gated_by.erased == 2 * of(RECORDS)
    assert held(filled, U2) == 0


def test_he_does_not_come_back_by_an_aggregate_that_is_read_in_a_pass_of_its_own(project: Project) -> None:
    project.policy({"user": USER, "model": {"type": "string", "do": {"top": {"keep": 2, "other": "o", "at_least": 3}}}})
    project.pipeline(aggregates=COUNTS)
    project.records(RECORDS)
    run(project)
    deleted(project, U2)
    project.records(RECORDS, BEFORE)
    run(project, date=BEFORE)
    south = sum(each["tenant_id"] == "south" for each in RECORDS)
    north = len(RECORDS) - south - of(RECORDS)
    assert {row["tenant"]: row["events"] for row in project.rows("daily", dates=BEFORE)} == {
        "north": north,
        "south": south,
    }


def test_where_his_field_is_dropped_a_run_still_keeps_him_out(filled: Project) -> None:
    deleted(filled, U2)
    filled.policy({"user": {"type": "string", "role": "identifier", "do": "drop"}})
    receipt = run(filled, date=DAY)
    assert receipt.gated_by.erased == of(RECORDS)
    assert "user" not in filled.rows(dates=[DAY])[0]


def test_a_columnar_source_is_read_for_a_dropped_field_only_while_an_erasure_needs_it(project: Project) -> None:
    project.policy({"user": {"type": "string", "role": "identifier", "do": "drop"}, "latitude": None})
    project.source("csv", aggregates=None)
    path = project.folder / "data" / DAY / "a.csv"
    path.parent.mkdir(parents=True)
    names = ["event_id", "tenant_id", "device_id", "event_time", "model", "battery", "storage", "user"]
    lines = [",".join(names), *(",".join(str(each[name]) for name in names) for each in RECORDS)]
    path.write_text("\n".join(lines) + "\n")
    run(project)
    deleted(project, U2, unsearchable={"checkins": "the date is run again"})
    assert run(project).gated_by.erased == of(RECORDS)


def test_later_data_of_a_deleted_user_is_collected_again(filled: Project) -> None:
    deleted(filled, U2)
    later = datetime.now(UTC) + timedelta(hours=25)
    anew = [{**RECORDS[0], "user": "u2", "tenant_id": "north", "event_time": f"{later:%Y-%m-%dT%H:%M:%SZ}"}]
    filled.records(anew, "2027-01-01")
    run(filled, date="2027-01-01", at=later, output=filled.out)
    assert held(filled, U2) == 1


def test_where_his_field_was_dropped_the_files_are_named(project: Project) -> None:
    project.policy({"user": {"type": "string", "role": "identifier", "do": "drop"}})
    project.pipeline(aggregates=None)
    project.records(RECORDS)
    run(project)
    done = deleted(project, U2, unsearchable={"checkins": "the date is run again"})
    assert [each.reason for each in done.unsearchable] == ["user was dropped"]
    assert run(project).gated_by.erased == of(RECORDS)


def test_no_dictionary_of_a_file_knows_him(filled: Project) -> None:
    before = {row["user"] for row in filled.rows()}
    deleted(filled, U2)
    (gone,) = before - {row["user"] for row in filled.rows()}
    for path in filled.out.rglob("records/**/*.parquet"):
        assert gone.encode() not in path.read_bytes()
        table = pq.read_table(path, columns=["user"], read_dictionary=["user"], partitioning=None)
        assert gone not in table["user"].combine_chunks().dictionary.to_pylist()


def test_the_ledger_has_the_field_and_a_token_and_not_his_name(filled: Project) -> None:
    deleted(filled, DataSubject("canary-user-7714", "north", "user"))
    with open_ledger(find_ledger(filled.folder / "organization.db")) as book:
        (row,) = book.find(LIFECYCLE_EVENT)
    assert (row.field, row.kind) == ("user", "erasure")
    assert str(row.subject).startswith("subject/1:")
    assert b"canary-user" not in (filled.folder / "organization.db").read_bytes()


def test_many_devices_users_and_tenants_go_in_one_pass(filled: Project) -> None:
    done = deleted(filled, U2, DataSubject("d3", "north"), DataSubject(None, "south"))
    gone = [
        each for each in RECORDS if each["tenant_id"] == "south" or each["user"] == "u2" or each["device_id"] == "d3"
    ]
    assert done.rows == 2 * len(gone)
    assert len(done.receipts) == 1


def test_a_token_that_the_keyring_opens_is_deleted_as_the_id_behind_it(project: Project) -> None:
    project.policy({"user": {**USER, "do": {"tokenize": {"key": "user", "per": "tenant_id"}}}})
    project.pipeline(aggregates=None, records={})
    project.records(RECORDS)
    run(project)
    found = view_subjects([U2], places(project), AT)[0].records[0]
    (form,) = found.forms
    done = deleted(project, DataSubject(form, field="user", is_form=True))
    assert done.subjects == (U2,)
    assert held(project, U2) == 0


def test_a_user_given_by_a_pseudonym_cannot_be_deleted(filled: Project) -> None:
    (form,) = view_subjects([U2], places(filled), AT)[0].records[0].forms
    with pytest.raises(ConfigurationError, match="subject of a pseudonym"):
        deleted(filled, DataSubject(form, field="user", is_form=True))
