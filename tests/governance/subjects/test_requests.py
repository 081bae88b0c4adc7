"""Requests as records: how far they are, and by when they must be done."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from minimize.errors import ConfigurationError
from minimize.governance.subjects.requests import (
    confirm_deletion,
    next_step,
    record_steps,
    request_deadline,
    request_statuses,
)
from minimize.governance.workspace import Workspace as Places
from minimize.ledger import find_ledger
from minimize.ledger.ledger import open_ledger
from minimize.ledger.subject_requests import SubjectRequestStep
from tests.project import Project

NOW = datetime(2026, 11, 25, 8, tzinfo=UTC)
TOKEN = f"subject/1:{64 * '0'}"
ASKED = SubjectRequestStep("delete", "north", TOKEN, NOW, NOW + timedelta(days=30), "open", "{}", NOW, "ann")


@pytest.fixture(name="ledger")
def _ledger(tmp_path: Path) -> Path:
    with open_ledger(find_ledger(tmp_path / "organization.db"), create=True):
        return tmp_path / "organization.db"


def put_down(project: Project, ledger: Path, *steps: SubjectRequestStep) -> None:
    with open_ledger(find_ledger(ledger)) as book:
        for number, step in enumerate(steps):
            record_steps(book, Places(ledger, keys=project.keys), [step], NOW + timedelta(minutes=number))


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
    body = status.as_json(NOW)
    assert (body["state"], body["receipts"], body["overdue"]) == ("done", ["r"], False)


def test_what_is_open_past_its_day_is_overdue(project: Project, ledger: Path) -> None:
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


def test_nobody_confirms_what_he_was_not_told(project: Project, ledger: Path) -> None:
    put_down(project, ledger, ASKED)
    places = Places(ledger, keys=project.keys)
    with pytest.raises(ConfigurationError, match="was told nothing"):
        confirm_deletion(ASKED.id[:12], "vendor", places, NOW)
    with pytest.raises(ConfigurationError, match="no request"):
        confirm_deletion("0" * 12, "vendor", places, NOW)


def test_every_step_is_in_the_audit_log(project: Project, ledger: Path) -> None:
    from minimize.ledger.audit_check import find_entries
    from minimize.ledger.audit_log import EntryFilter

    put_down(project, ledger, ASKED, next_step(ASKED, "failed", NOW, error="E205"))
    with open_ledger(find_ledger(ledger)) as book:
        entries = find_entries(book, EntryFilter(activity="subject"))
    assert len(entries) == 2
    assert not any(TOKEN in entry.event for entry in entries)
