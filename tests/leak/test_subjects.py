"""Of requests nothing that was planted is found but what somebody asked by; and below compression nobody who was deleted."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path

import pytest

import minimize
from minimize.governance.subjects import (
    DataSubject,
    delete_subjects,
    lift_restriction,
    restrict_subjects,
    view_subjects,
    write_exports,
)
from minimize.governance.subjects.subject_page import view_page
from minimize.keys import new_keyring
from minimize.workspace import Workspace
from tests.leak.canary import Canary
from tests.leak.planted import ALL, AT, VALUE, build
from tests.leak.sweep import found

NOW = datetime.fromisoformat(AT)
DEVICE = DataSubject(str(VALUE["pseudonymized"]), "acme")
TICKET = DataSubject(str(VALUE["tokenized"]), "acme", "ticket")


@pytest.fixture(name="organization")
def _organization(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    folder = build(tmp_path)
    monkeypatch.chdir(folder)  # for its configuration, without access rules
    keys = new_keyring(folder / "keys", ["device", "ticket"], now=NOW)
    minimize.run(folder, at=AT, output=folder / "out", keys=keys, ledger=folder / "ledger" / "ledger.db")
    return Workspace(folder / "ledger" / "ledger.db", keys=keys)


def test_views_pages_and_exports_reveal_no_more_than_the_outputs(organization: Workspace, tmp_path: Path) -> None:
    seen = view_subjects([DEVICE], organization, NOW)
    assert seen[0].rows == 1
    write_exports(seen, tmp_path / "export", organization)
    assert found(ALL, tmp_path / "export") == {"pseudonymized"}  # he was asked for by it
    assert found(ALL, view_page(seen).encode()) == {"pseudonymized"}
    assert found(ALL, repr(seen).encode()) == set()


@pytest.mark.parametrize("subject", [DEVICE, TICKET])
def test_nothing_of_who_was_deleted_is_in_outputs_the_ledger_or_the_answer(
    organization: Workspace, tmp_path: Path, subject: DataSubject
) -> None:
    held = view_subjects([subject], organization, NOW)[0].records[0]
    forms = [Canary(str(form), form) for form in (*held.forms, *held.subjects)]
    assert found(forms, tmp_path / "out" / "records") == {each.place for each in forms}
    done = delete_subjects([subject], organization, NOW, yes=True)
    assert done.rows == 1
    assert found([*ALL, *forms], tmp_path / "out") == set()
    assert found([*ALL, *forms], tmp_path / "ledger") == set()
    assert found([*ALL, *forms], json.dumps(done.to_json()).encode()) == set()
    assert found([*ALL, *forms], repr(done).encode()) == set()


@pytest.mark.parametrize("subject", [DEVICE, TICKET])
def test_no_file_and_no_answer_has_a_form_of_a_restricted_subject(
    organization: Workspace, tmp_path: Path, subject: DataSubject
) -> None:
    held = view_subjects([subject], organization, NOW)[0].records[0]
    forms = [Canary(str(form), form) for form in (*held.forms, *held.subjects)]
    done = restrict_subjects([subject], organization, NOW, yes=True)
    assert done.rows == 1
    assert found([*ALL, *forms], tmp_path / "out") == set()
    assert found([*ALL, *forms], tmp_path / "ledger") == set()
    assert found([*ALL, *forms], json.dumps(done.to_json()).encode()) == set()
    seen = view_subjects([subject], organization, NOW)
    assert found(forms, json.dumps(seen[0].to_json(3)).encode()) == set()
    back = lift_restriction([subject], organization, NOW, yes=True)
    assert found(forms, tmp_path / "out" / "records") == {each.place for each in forms}
    assert found([*ALL, *forms], json.dumps(back.to_json()).encode()) == set()
    assert found([*ALL, *forms], repr((done, back, seen)).encode()) == set()
