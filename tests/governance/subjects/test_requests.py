"""Whom a request is about.
Requests as records: how far they are, and by when they must be done.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from minimize.errors import ConfigurationError, PolicyError
from minimize.governance.subjects.named_subjects import DataSubject, collect_subjects, load_subjects
from minimize.governance.subjects.requests import (
    confirm_deletion,
    next_step,
    record_steps,
    request_deadline,
    request_statuses,
)
from minimize.keys import Keyring
from minimize.ledger import find_ledger
from minimize.ledger.ledger import open_ledger
from minimize.ledger.subject_kinds import SubjectRequestStep
from minimize.workspace import Workspace as Places
from tests.project import Project


def test_subjects_are_named_once_each_in_their_order() -> None:
    assert collect_subjects(["b", "a", "b"], "north") == (DataSubject("b", "north"), DataSubject("a", "north"))


@pytest.mark.parametrize("ids", [[], (), iter([])])
def test_a_tenant_without_ids_is_not_the_whole_tenant(ids: Any) -> None:
    with pytest.raises(ConfigurationError, match="no subject was given"):
        collect_subjects(ids, "north")


def test_a_row_with_a_tenant_alone_needs_the_same_confirmation(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("subject,tenant_id\n,north\n")
    with pytest.raises(ConfigurationError, match="names a whole tenant"):
        collect_subjects([], file=tmp_path / "a.csv")
    (whole,) = collect_subjects([], file=tmp_path / "a.csv", whole_tenant=True)
    assert whole.is_tenant


def test_a_whole_tenant_has_no_ids() -> None:
    with pytest.raises(ConfigurationError, match="has no ids"):
        collect_subjects(["d1"], "north", whole_tenant=True)


def test_a_tenant_alone_is_the_whole_tenant_if_this_is_stated() -> None:
    (whole,) = collect_subjects([], "north", whole_tenant=True)
    assert whole.is_tenant
    assert whole.tenant == "north"


def test_a_subject_file_without_rows_is_refused(tmp_path: Path) -> None:
    (tmp_path / "none.csv").write_text("subject,tenant_id\n")
    with pytest.raises(ConfigurationError, match="no subject was given"):
        collect_subjects([], file=tmp_path / "none.csv")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.csv", "subject,tenant_id,field\nd1,north,\n,south,\nu1,,user_id\n"),
        (
            "a.ndjson",
            '{"subject": "d1", "tenant_id": "north"}\n\n{"tenant_id": "south"}\n{"subject": "u1", "field": "user_id"}\n',
        ),
    ],
)
def test_a_file_names_devices_users_and_tenants(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    found = (DataSubject("d1", "north"), DataSubject(None, "south"), DataSubject("u1", None, "user_id"))
    assert load_subjects(tmp_path / name) == found


def test_parquet_requests_give_the_same_subjects(tmp_path: Path) -> None:
    pq.write_table(pa.table({"subject": ["d1", None], "tenant_id": ["north", "south"]}), tmp_path / "a.parquet")
    assert load_subjects(tmp_path / "a.parquet") == (DataSubject("d1", "north"), DataSubject(None, "south"))


def test_a_header_alone_selects_no_subject(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("subject\n")
    assert load_subjects(tmp_path / "a.csv") == ()


def test_values_missing_in_a_row_come_from_the_arguments(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("subject,tenant_id\nd1,\nd2,north\n")
    found = load_subjects(tmp_path / "a.csv", "north", "serial")
    assert found == (DataSubject("d1", "north", "serial"), DataSubject("d2", "north", "serial"))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.ndjson", '{"device_id": "d1"}\n'),
        ("a.ndjson", '"d1"\n'),
        ("a.csv", 'subject\n""\n'),
        ("a.csv", "tenant_id,user_id\nnorth,u1\n"),
    ],
)
def test_a_row_without_its_subject_is_not_the_whole_tenant(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(PolicyError) as failure:
        collect_subjects([], "north", file=tmp_path / name)
    assert [each.code for each in failure.value.findings] == ["Q002"]


@pytest.mark.parametrize(
    "text", ["tenant_id,Subject\nnorth,\n", "subject,Field\nd1,user_id\n", "Tenant_id,subject\nnorth,d1\n"]
)
def test_a_list_of_subjects_with_a_misspelt_column_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.csv").write_text(text)
    with pytest.raises(PolicyError, match="header") as failure:
        load_subjects(tmp_path / "a.csv")
    assert [(each.code, each.line) for each in failure.value.findings] == [("Q002", 1)]
    (tmp_path / "a.csv").write_text(text.lower())
    assert len(load_subjects(tmp_path / "a.csv")) == 1


def test_a_file_without_rows_is_not_the_whole_tenant(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("subject,tenant_id\n")
    with pytest.raises(ConfigurationError, match="no subject was given"):
        collect_subjects([], "north", file=tmp_path / "a.csv")


def test_a_row_without_subject_and_tenant_is_reported_by_its_line(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("subject,tenant_id\nd1,\n,\n")
    with pytest.raises(PolicyError) as told:
        load_subjects(tmp_path / "a.csv")
    assert [(each.code, each.line) for each in told.value.findings] == [("Q002", 3)]


@pytest.mark.parametrize("content", [b"who,when\na,b\n", b"\xff\xfe", b'subject\n"d1\n'])
def test_a_file_that_holds_no_subjects_is_refused_without_a_word_of_it(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.csv").write_bytes(content)
    with pytest.raises(PolicyError) as told:
        load_subjects(tmp_path / "a.csv")
    assert told.value.findings[0].code == "Q001"
    assert "d1" not in str(told.value)


def test_the_printed_form_hides_the_subject() -> None:
    assert "d1" not in repr(DataSubject("d1", "north"))


NOW = datetime(2026, 11, 25, 8, tzinfo=UTC)
TOKEN = f"subject/1:{64 * '0'}"
ASKED = SubjectRequestStep("delete", "north", TOKEN, NOW, NOW + timedelta(days=30), "open", {}, NOW, "ann")


@pytest.fixture(name="ledger")
def _ledger(tmp_path: Path) -> Path:
    with open_ledger(find_ledger(tmp_path / "organization.db"), create=True):
        return tmp_path / "organization.db"


def put_down(project: Project, ledger: Path, *steps: SubjectRequestStep) -> None:
    with open_ledger(find_ledger(ledger), verifier=Keyring.load(project.keys)) as book:
        for number, step in enumerate(steps):
            record_steps(book, [step], NOW + timedelta(minutes=number))


def test_a_person_waits_30_days_and_a_tenant_180() -> None:
    assert request_deadline(False, NOW) == NOW + timedelta(days=30)
    assert request_deadline(True, NOW) == NOW + timedelta(days=180)


def test_of_a_request_the_last_step_counts(project: Project, ledger: Path) -> None:
    put_down(
        project,
        ledger,
        ASKED,
        next_step(ASKED, "failed", NOW, error="E205"),
        next_step(ASKED, "done", NOW, receipts=["r"]),
    )
    with open_ledger(find_ledger(ledger)) as book:
        (status,) = request_statuses(book)
        assert request_statuses(book, tenant="south") == []
    body = status.to_json(NOW)
    assert (body["state"], body["receipts"], body["overdue"]) == ("done", ["r"], False)


def test_an_open_request_past_its_deadline_is_overdue(project: Project, ledger: Path) -> None:
    put_down(project, ledger, ASKED)
    with open_ledger(find_ledger(ledger)) as book:
        (status,) = request_statuses(book)
    assert not status.is_overdue(ASKED.due)
    assert status.is_overdue(ASKED.due + timedelta(seconds=1))


def test_it_is_open_until_every_recipient_confirmed(project: Project, ledger: Path) -> None:
    put_down(project, ledger, ASKED, next_step(ASKED, "done", NOW, recalls={"vendor": ["d-1"], "other": ["d-2"]}))
    places = Places(ledger, keys=project.keys)
    assert confirm_deletion(ASKED.id[:12], "vendor", places, NOW).is_open
    done = confirm_deletion(ASKED.id[:12], "other", places, NOW + timedelta(hours=1))
    assert not done.is_open
    assert done.recipients["other"] == {"disclosures": ["d-2"], "confirmed": "2026-11-25T09:00:00Z"}


def test_a_deletion_is_confirmed_only_by_a_notified_recipient(project: Project, ledger: Path) -> None:
    put_down(project, ledger, ASKED)
    places = Places(ledger, keys=project.keys)
    with pytest.raises(ConfigurationError, match="was not notified"):
        confirm_deletion(ASKED.id[:12], "vendor", places, NOW)
    with pytest.raises(ConfigurationError, match="no request"):
        confirm_deletion("0" * 12, "vendor", places, NOW)


def test_every_step_is_in_the_audit_log(project: Project, ledger: Path) -> None:
    from minimize.ledger.audit_check import find_entries
    from minimize.ledger.audit_event import EntryFilter

    put_down(project, ledger, ASKED, next_step(ASKED, "failed", NOW, error="E205"))
    with open_ledger(find_ledger(ledger)) as book:
        entries = find_entries(book, EntryFilter(activity="subject"))
    assert len(entries) == 2
    assert not any(TOKEN in entry.event for entry in entries)


def test_a_row_must_not_name_another_tenant_than_the_command(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("subject,tenant_id\nd1,North\nd5,south\nd6,\n")
    with pytest.raises(PolicyError) as told:
        collect_subjects([], "North", file=tmp_path / "a.csv")
    assert [(each.code, each.line) for each in told.value.findings] == [("Q002", 3)]
    assert "south" not in str(told.value)
