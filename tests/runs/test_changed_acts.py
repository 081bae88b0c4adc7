"""A run whose settings are acts that were changed past the ledger: it is refused (3), and nothing is published."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import pytest
import time_machine

from minimize.datasets.reader import load_receipts
from minimize.keys import new_keyring
from minimize.ledger import Address, find_ledger
from tests.commands import Result, command
from tests.ledger.ledgers import by_hand, leave_out_of_indexes, unguarded
from tests.project import AT, DAY, POLICY, Project, events
from tests.world import access_file, assignment

COLUMNS: Final = (
    "kind, key, tenant_id, subject, valid_from, recorded_at, actor, body, body_digest, previous, signing_key"
)
ATTACKS: Final[Mapping[str, str]] = {
    "the_opt_out_is_deleted": "DELETE FROM acts WHERE id = 2",
    "the_opt_out_is_moved_to_another_tenant": "UPDATE acts SET tenant_id = 'west' WHERE id = 2",
    "an_agreement_is_copied": f"INSERT INTO acts (id, {COLUMNS}, signature)"
    f" SELECT 3, {COLUMNS}, signature FROM acts WHERE id = 1",
    "both_are_swapped": "UPDATE acts SET id = 13 - id",
}
DATABASES: Final = ("sqlite", pytest.param("postgres", marks=pytest.mark.postgres))


@pytest.fixture(autouse=True, name="clock")
def _clock() -> Iterator[time_machine.Traveller]:
    with time_machine.travel(AT, tick=False) as clock:
        yield clock


@pytest.fixture(name="address", params=DATABASES)
def _address(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    project: Project,
    monkeypatch: pytest.MonkeyPatch,
) -> Address:
    """A ledger in which a tenant agreed and then opted out."""
    place = str(tmp_path / "own.db") if request.param == "sqlite" else request.getfixturevalue("postgres").database()
    monkeypatch.setenv("MINIMIZE_LEDGER", place)
    monkeypatch.setenv("MINIMIZE_KEYS", str(project.keys))
    monkeypatch.setenv("MINIMIZE_ALLOW_TIME", "1")  # the clock of the database is not stopped
    project.write("policy", POLICY, features={"location": {"per_subject": True, "retention": "24h"}})
    project.pipeline(aggregates=None, settings="ledger")
    project.records(events(20), DAY)
    for value, since in (("on", "2026-11-01T00:00:00Z"), ("off", "2026-11-02T00:00:00Z")):
        done = command("settings", "set", "north", "location", value, "--since", since)
        assert done.code == 0, done.err
    return find_ledger(place)


def run(project: Project) -> int:
    return command("run", project.folder, "--date", DAY, "--output", project.out).code


def test_untouched_settings_are_followed(project: Project, address: Address) -> None:
    assert run(project) == 0
    assert list(project.out.rglob("*.parquet"))


@pytest.mark.parametrize("attack", ATTACKS)
def test_changed_settings_stop_the_run(project: Project, address: Address, attack: str) -> None:
    unguarded(address, ATTACKS[attack])
    assert run(project) == 3
    assert not list(project.out.rglob("*.parquet"))


def test_an_opt_out_that_is_left_out_of_the_indexes_counts(project: Project, address: Address) -> None:
    leave_out_of_indexes(address, 2)
    assert run(project) == 0
    receipt = project.exact(load_receipts(project.out)[-1])
    assert sum(each.gated or 0 for each in receipt.fields.values()) > 0


DAMAGES: Final[Mapping[str, str]] = {
    "H017": "DELETE FROM acts WHERE id = 2",
    "H018": "UPDATE acts SET previous = body_digest WHERE id = 2",
    "H019": "UPDATE acts SET signature = 'x' || signature WHERE id = 2",
    "H020": "UPDATE acts SET body = NULL WHERE id = 2",
}


@pytest.mark.parametrize("code", DAMAGES)
@pytest.mark.parametrize("access", ["off", "access.yaml"])
def test_audit_verify_shows_what_was_changed(
    project: Project, address: Address, code: str, access: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    control = allow(project, access, monkeypatch)
    assert control.code == 0, control.err
    unguarded(address, DAMAGES[code])
    found = verify(project)
    assert found.code == 1, found.err
    assert code in found.out + found.err


def test_audit_verify_on_a_changed_ledger_needs_the_permission(
    project: Project, address: Address, monkeypatch: pytest.MonkeyPatch
) -> None:
    allow(project, "access.yaml", monkeypatch)
    unguarded(address, DAMAGES["H017"])
    monkeypatch.setenv("MINIMIZE_ACTOR", "eve")
    assert "eve lacks the permission" in verify(project).err


def test_audit_verify_runs_with_another_keyring(project: Project, address: Address, tmp_path: Path) -> None:
    other = new_keyring(tmp_path / "other.keys", now=datetime(2026, 11, 25, tzinfo=UTC))
    found = command("audit", "verify", "--keys", other.path)
    assert found.code == 1, found.err
    assert "H004" in found.out + found.err


def allow(project: Project, access: str, monkeypatch: pytest.MonkeyPatch) -> Result:
    """Configures the access rules. Returns the result of a check of the ledger before it is changed."""
    folder = project.folder
    (folder / "minimize.yaml").write_text(f"access: {access}\n")
    (folder / "access.yaml").write_text(json.dumps(access_file(assignment("auditor", "olga"))))
    monkeypatch.setenv("MINIMIZE_ACTOR", "olga")
    monkeypatch.chdir(folder)
    return verify(project)


def verify(project: Project) -> Result:
    return command("audit", "verify", "--keys", project.keys)


@pytest.mark.parametrize(
    ("statement", "code"),
    [("DROP TRIGGER acts_no_update", 3), ("CREATE INDEX ix_kinds ON acts (kind)", 3), ("ANALYZE", 0)],
)
@pytest.mark.parametrize("address", ["sqlite"], indirect=True)
def test_a_changed_schema_stops_the_run_and_audit_verify_names_it(
    project: Project, address: Address, statement: str, code: int
) -> None:
    by_hand(address, statement)
    assert run(project) == code
    assert bool(list(project.out.rglob("*.parquet"))) == (code == 0)
    found = verify(project)
    assert (found.code, "H021" in found.out + found.err) == (int(code == 3), code == 3)
