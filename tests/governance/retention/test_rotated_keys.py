"""Subjects of the ledger's events are found after a key rotation, through the source that still stands."""

from __future__ import annotations

import shutil
from datetime import date, timedelta
from typing import Any

import pytest

from minimize.governance.events import NewEvent, add_event
from minimize.keys.keyring import add_key
from minimize.runs import runner
from minimize.settings.erasures import RecordedErasures
from minimize.workspace import Workspace
from tests.calls import open_items
from tests.governance.retention.daily import START, Daily, rows

FIRST, DAY = date(2026, 1, 1), timedelta(days=1)
RAN = START + DAY


def of_d1(project: Daily) -> int:
    return sum("east-d1" in row["note"] for row in project.rows())


@pytest.fixture(name="back")
def _back(project: Daily, monkeypatch: pytest.MonkeyPatch) -> Daily:
    """A device was erased, its key and that of tokens were rotated, and a run that knew nothing brought its records back."""
    project.collect(rows(FIRST), FIRST)
    project.run(FIRST, RAN)
    places = Workspace(project.out / "ledger.db", pipeline=project.folder, keys=project.keys)
    add_event(NewEvent("east", "erasure", "d1", RAN), places, RAN)
    project.expire(RAN)
    assert of_d1(project) == 0
    for name in ("device", "subject"):
        add_key(project.keys, name, now=RAN)
    with monkeypatch.context() as patch:
        patch.setattr(RecordedErasures, "effective_at", lambda *given: None)
        patch.setattr(runner, "check_acts_unchanged", lambda *given: None)
        project.run(FIRST, RAN)
    assert of_d1(project) > 0
    return project


def test_records_that_came_back_under_a_newer_key_are_found(back: Daily) -> None:
    count = of_d1(back)
    done = back.expire(RAN)
    assert done.plan.uncertain == {}
    assert [receipt.gated_by.erased for receipt in done.receipts] == [count]
    assert of_d1(back) == 0


def test_a_due_item_is_listed_as_certain(back: Daily) -> None:
    (item,) = [each for each in open_items(back.out, at=RAN, keys=back.keys) if each.kind == "erasure"]
    assert (item.files, item.uncertain) == (1, 0)


def test_without_the_source_it_stays_open(back: Daily) -> None:
    shutil.rmtree(back.folder / "data")
    done = back.expire(RAN)
    assert list(done.plan.uncertain.values()) == [1]
    assert of_d1(back) > 0


def test_of_a_user_who_is_named_by_another_field(project: Daily, monkeypatch: pytest.MonkeyPatch) -> None:
    user: dict[str, Any] = {
        "type": "string",
        "role": "identifier",
        "do": {"pseudonymize": {"key": "device", "per": "tenant_id"}},
    }
    project.policy({"phone": user})
    project.collect(rows(FIRST), FIRST)
    project.run(FIRST, RAN)
    number = next(row for row in rows(FIRST) if (row.tenant, row.device) == ("east", "d1")).number
    places = Workspace(project.out / "ledger.db", pipeline=project.folder, keys=project.keys)
    add_event(NewEvent("east", "erasure", number, RAN, "phone"), places, RAN)
    add_key(project.keys, "device", now=RAN)
    with monkeypatch.context() as patch:
        patch.setattr(RecordedErasures, "effective_at", lambda *given: None)
        project.run(FIRST, RAN)
    before = len(project.rows())
    project.expire(RAN)
    assert len(project.rows()) == before - 1
