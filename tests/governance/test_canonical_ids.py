"""The ledger's acts about a subject are found by every spelling that is the same id: padded, decomposed, and folded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from minimize.identifiers import CaseFolding
from minimize.keys import Keyring
from minimize.ledger.subject_tokens import TokenIndex, find_known_token, make_token, subject_token, token_secrets
from tests.commands import command
from tests.project import FIELDS, Project, event, new_project

FOLDED = {
    "device_id": {**FIELDS["device_id"], "do": {"pseudonymize": {"key": "device", "per": "tenant_id", "fold": True}}}
}
PADDED = "\u00a0B-1\u200b"
WHEN = ("--since", "2026-01-01T00:00:00Z")


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.setenv("MINIMIZE_LEDGER", str(tmp_path / "ledger.db"))
    new = new_project(tmp_path, lasting=True)
    new.pipeline(aggregates=None, settings="ledger")
    switched(new, "north", "on")
    return new


def of(*devices: str, **changes: Any) -> list[dict[str, Any]]:
    return [
        event(number, **{"tenant_id": "north", "device_id": device, "latitude": 48.0, "model": "A"} | changes)
        for number, device in enumerate(devices)
    ]


def done(project: Project, *words: str) -> Any:
    result = command(*words, "--pipeline", project.folder, "--output", project.out, "--keys", project.keys, "--json")
    assert result.code == 0, result.err
    return result.json


def switched(project: Project, tenant: str, value: str, subject: str | None = None) -> None:
    whose = () if subject is None else ("--subject", subject, "--holder", "user")
    done(project, "settings", "set", tenant, "location", value, *whose, *WHEN)


def latitudes(project: Project) -> list[float | None]:
    project.run(at=None)
    return [row["latitude"] for row in project.rows()]


@pytest.mark.parametrize("recorded", ["B-1", PADDED, "B-1 "])
def test_a_recorded_setting_is_found_under_any_padding(project: Project, recorded: str) -> None:
    project.records(of("B-1", "B-1 ", PADDED))
    switched(project, " north", "off", recorded)
    assert latitudes(project) == [None, None, None]


@pytest.mark.parametrize("recorded", ["B-1", "b-1"])
def test_a_recorded_setting_is_found_in_any_case_if_the_policy_folds(project: Project, recorded: str) -> None:
    project.policy(FOLDED)
    project.records(of("B-1", "b-1"))
    switched(project, "north", "off", recorded)
    assert latitudes(project) == [None, None]


def test_the_same_setting_is_of_one_spelling_where_the_policy_does_not_fold(project: Project) -> None:
    project.records(of("B-1", "b-1"))
    switched(project, "north", "off", "B-1")
    assert sorted(latitudes(project), key=str) == [48.0, None]


@pytest.mark.parametrize("padded", ["B-1 ", PADDED])
def test_a_deleted_subject_does_not_come_back_under_a_padded_id(project: Project, padded: str) -> None:
    project.records(of("B-1", padded, "B-2"))
    project.run(at=None)
    deleted = command("subject", "delete", padded, "--tenant", "north ", *places(project), "--yes", "--json")
    assert deleted.code == 0, deleted.err
    assert len(project.rows()) == 1
    project.run(at=None)
    assert len(project.rows()) == 1


def test_a_deleted_subject_does_not_come_back_in_another_case_where_the_policy_folds(project: Project) -> None:
    project.policy(FOLDED)
    project.records(of("B-1", "B-2"))
    project.run(at=None)
    assert command("subject", "delete", "B-1", "--tenant", "north", *places(project), "--yes").code == 0
    project.records(of("b-1", "B-1", "B-2"))
    project.run(at=None)
    assert len(project.rows()) == 1


def places(project: Project) -> tuple[object, ...]:
    return ("--pipeline", project.folder, "--output", project.out, "--keys", project.keys)


@pytest.mark.parametrize("asked", ["B-1", "B-1 ", PADDED])
def test_a_view_finds_every_spelling(project: Project, asked: str) -> None:
    project.records(of("B-1", "\u2003B-1", "B-2"))
    project.run(at=None)
    found = command("subject", "view", asked, "--tenant", "\u00a0north", *places(project), "--json")
    assert found.code == 0, found.err
    (answer,) = found.json["subjects"]
    assert answer["rows"] == 2


@pytest.mark.parametrize("blank", ["", " ", "\u200b"])
def test_a_blank_id_is_never_the_whole_tenant(project: Project, blank: str) -> None:
    project.records(of("B-1"))
    project.run(at=None)
    refused = command("subject", "delete", blank, "--tenant", "north", *places(project), "--yes")
    assert refused.code == 2
    (project.folder / "whom.csv").write_text("tenant_id,subject\nnorth,\u00a0\n", encoding="utf-8")
    refused = command("subject", "delete", "--file", project.folder / "whom.csv", *places(project), "--yes")
    assert refused.code == 2
    assert "Q002" in refused.err
    assert command("events", "add", "north", "erasure", "--subject", blank, *places(project)).code == 2
    assert command("settings", "set", "north", "location", "off", "--subject", blank, *places(project)).code == 2
    assert len(project.rows()) == 1


def test_a_token_holds_both_forms_of_an_id(project: Project) -> None:
    keys = Keyring.load(project.keys)
    secrets = token_secrets(keys, {1})
    upper, lower = (subject_token(keys, "north", each) for each in ("B-1", "b-1"))
    assert upper != lower
    assert upper[:-32] == lower[:-32]
    assert subject_token(keys, "north ", "\u200bB-1") == upper
    index = {fold: TokenIndex({"north": {upper}}, CaseFolding(subject=fold)) for fold in (False, True)}
    assert list(index[False].find(secrets, "north", "b-1")) == []
    assert list(index[False].find(secrets, "north", "B-1 ")) == [("north", upper)]
    assert list(index[True].find(secrets, "north", "b-1")) == [("north", upper)]


def test_a_token_that_was_made_before_is_found_by_the_exact_id(project: Project) -> None:
    keys = Keyring.load(project.keys)
    secrets = token_secrets(keys, {1})
    old = "subject/1:" + _plain(secrets[1], "north", "B-1")
    assert find_known_token(secrets, "north", "B-1", {old}) == old
    for fold in (False, True):
        assert list(TokenIndex({"north": {old}}, CaseFolding(subject=fold)).find(secrets, "north", "B-1")) == [
            ("north", old)
        ]
    assert make_token(secrets[1], 1, "north", "b-1") == "subject/1:" + _plain(secrets[1], "north", "b-1")


def _plain(secret: bytes, tenant: str, subject: str) -> str:
    import hashlib
    import hmac

    return hmac.new(secret, f'["{tenant}","{subject}"]'.encode(), hashlib.sha256).hexdigest()


@pytest.mark.parametrize("fold", [False, True])
def test_records_of_every_spelling_of_a_deleted_id_are_removed_and_tables_stay(project: Project, fold: bool) -> None:
    measures = {"events": "count", "devices": {"count_distinct": "device_id"}}
    suppress = {"below": 2, "counting": "device_id"}
    group = {"group_by": {"tenant_id": "tenant_id"}, "measures": measures, "suppress": suppress}
    group["exact"] = {"because": "a test"}
    project.pipeline(aggregates={"per_tenant": group}, settings="ledger")
    project.policy(FOLDED if fold else {})
    project.records(of("B-1", "b-1" if fold else "B-1 ", "B-2", *(f"d{number}" for number in range(6))))
    project.run(at=None)
    before = {(row["events"], row["devices"]) for row in project.rows("per_tenant")}
    assert command("subject", "delete", "B-1", "B-2", "--tenant", "north", *places(project), "--yes").code == 0
    after = {(row["events"], row["devices"]) for row in project.rows("per_tenant")}
    assert before == after == {(9, 8)}
    assert len(project.rows()) == 6
