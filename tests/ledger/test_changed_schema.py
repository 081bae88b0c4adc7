"""Changes of the database itself are found and stop commands: of its tables, indexes and triggers, and of its file."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from io import StringIO

import pytest

from minimize.keys import Keyring
from minimize.ledger import Address
from minimize.ledger.acts import UntrustedActError
from minimize.ledger.audit_check import check_whole_log, export_entries, find_entries
from minimize.ledger.audit_event import EntryFilter
from minimize.ledger.audit_log import entries_of_run
from minimize.ledger.kinds import API_TOKEN, ApiToken
from minimize.ledger.ledger import Ledger, open_ledger
from minimize.ledger.schema import BASELINE_VERSION
from tests.acts import record_acts
from tests.ledger.ledgers import NOW, by_hand, errors, event, leave_out_of_indexes, opened, tells

SCHEMA = {("H021", "schema")}
DATABASE = {("H022", "database")}
OLDER = ("DROP INDEX ix_audit_tenant", "ALTER TABLE audit DROP COLUMN tenant", "DROP TABLE releases")
SWALLOW = "CREATE TRIGGER quiet BEFORE INSERT ON acts BEGIN SELECT RAISE(IGNORE); END"
SQLITE_CHANGES = {
    "trigger dropped": ("DROP TRIGGER acts_no_update",),
    "trigger replaced": (
        "DROP TRIGGER acts_no_delete",
        "CREATE TRIGGER acts_no_delete BEFORE DELETE ON acts BEGIN SELECT 1; END",
    ),
    "trigger added": (SWALLOW,),
    "index dropped": ("DROP INDEX ix_acts_key",),
    "index replaced": ("DROP INDEX ix_acts_key", "CREATE INDEX ix_acts_key ON acts (key)"),
    "index added": ("CREATE UNIQUE INDEX ix_kinds ON acts (kind, key)",),
    "column added": ("ALTER TABLE acts ADD COLUMN more TEXT",),
    "table added": ("CREATE TABLE notes (id INTEGER)",),
    "view added": ("CREATE VIEW noted AS SELECT 1",),
}
POSTGRES_CHANGES = {
    "trigger dropped": ("DROP TRIGGER acts_no_update ON acts",),
    "trigger disabled": ("ALTER TABLE acts DISABLE TRIGGER acts_no_update",),
    "truncate permitted": ("DROP TRIGGER audit_no_truncate ON audit",),
    "function replaced": (
        "CREATE OR REPLACE FUNCTION acts_no_delete() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN OLD; END $$",
    ),
    "rule added": ("CREATE RULE quiet AS ON INSERT TO acts DO INSTEAD NOTHING",),
}


@pytest.fixture(name="recorded")
def _recorded(ledger: Ledger, keys: Keyring) -> Ledger:
    """A ledger with two acts and their entries."""
    for number in (1, 2):
        record(ledger, keys, number)
    return ledger


def record(ledger: Ledger, keys: Keyring, number: int) -> None:
    record_acts(ledger, keys, API_TOKEN, ApiToken(f"t{number}", "ann", False, "", NOW, NOW), event=event(number))


def is_found(ledger: Ledger, keys: Keyring) -> bool:
    """Whether a check finds the change, and nothing can be read or recorded. Otherwise both work."""
    found = errors(ledger, keys)
    if not found:
        record(ledger, keys, 3)
        assert len(ledger.find(API_TOKEN)) == 3
        return False
    assert found == SCHEMA
    before = len(find_entries(ledger, EntryFilter()))
    with open_ledger(ledger.address) as other:
        for work in (lambda: other.find(API_TOKEN), lambda: record(other, keys, 3)):
            with pytest.raises(UntrustedActError) as caught:
                work()
            assert caught.value.code == "E317"
    assert len(find_entries(ledger, EntryFilter())) == before
    return True


def test_a_ledger_as_minimize_created_it_has_no_change(recorded: Ledger, keys: Keyring) -> None:
    assert not is_found(recorded, keys)


def test_an_upgraded_ledger_has_no_change(recorded: Ledger, address: Address, keys: Keyring) -> None:
    recorded.close()
    by_hand(address, *OLDER, f"UPDATE ledger_version SET version = {BASELINE_VERSION}")
    with opened(address) as ledger:
        assert not is_found(ledger, keys)


def test_statistics_of_the_database_are_no_change(recorded: Ledger, address: Address, keys: Keyring) -> None:
    by_hand(address, "ANALYZE")
    assert not is_found(recorded, keys)


@pytest.mark.parametrize("change", SQLITE_CHANGES)
@pytest.mark.parametrize("address", ["sqlite"], indirect=True)
def test_a_change_of_the_file_is_found(recorded: Ledger, address: Address, keys: Keyring, change: str) -> None:
    by_hand(address, *SQLITE_CHANGES[change])
    assert is_found(recorded, keys)


@pytest.mark.postgres
@pytest.mark.parametrize("change", POSTGRES_CHANGES)
@pytest.mark.parametrize("address", ["postgres"], indirect=True)
def test_a_change_on_the_server_is_found(recorded: Ledger, address: Address, keys: Keyring, change: str) -> None:
    by_hand(address, *POSTGRES_CHANGES[change])
    assert is_found(recorded, keys)


@pytest.mark.parametrize("address", ["sqlite"], indirect=True)
def test_a_change_that_is_undone_is_no_change(recorded: Ledger, address: Address, keys: Keyring) -> None:
    by_hand(address, SWALLOW, "DROP TRIGGER quiet", *index_again(address))
    assert not is_found(recorded, keys)


def index_again(address: Address) -> Sequence[str]:
    ((statement,),) = by_hand(address, "SELECT sql FROM sqlite_master WHERE name = 'ix_acts_key'")
    return ("DROP INDEX ix_acts_key", str(statement))


@pytest.mark.parametrize("address", ["sqlite"], indirect=True)
@pytest.mark.parametrize("statement", ["DROP TABLE checkpoints", "ALTER TABLE audit RENAME COLUMN acts TO others"])
def test_a_table_that_cannot_be_read_is_a_finding(
    recorded: Ledger, address: Address, keys: Keyring, statement: str
) -> None:
    by_hand(address, statement)
    assert errors(recorded, keys) == SCHEMA


@pytest.mark.parametrize("address", ["sqlite"], indirect=True)
def test_an_index_without_some_of_its_rows_is_damage(recorded: Ledger, address: Address, keys: Keyring) -> None:
    leave_out_of_indexes(address, 2)
    assert errors(recorded, keys) == DATABASE
    by_hand(address, "REINDEX")
    assert errors(recorded, keys) == set()


@pytest.mark.parametrize("address", ["sqlite"], indirect=True)
def test_a_damaged_page_is_found(recorded: Ledger, address: Address, keys: Keyring) -> None:
    recorded.close()
    assert address.path is not None
    by_hand(address, "PRAGMA wal_checkpoint(TRUNCATE)")
    ((page,),) = by_hand(address, "SELECT rootpage FROM sqlite_master WHERE name = 'ix_runs_finished'")
    ((size,),) = by_hand(address, "PRAGMA page_size")
    with address.path.open("r+b") as file:
        file.seek((page - 1) * size)
        file.write(b"\xff" * 64)
    with open_ledger(address) as ledger:
        found = [each for each in check_whole_log(ledger, keys).findings if each.severity == "error"]
    assert {(each.code, each.file) for each in found} == DATABASE
    assert "integrity_check" in found[0].hint


FILTERS = (
    (EntryFilter(tenant="north"), 3),
    (EntryFilter(tenants=["north"]), 3),
    (EntryFilter(other_tenants=["south"]), 3),
    (EntryFilter(since=NOW), 3),
    (EntryFilter(until=NOW + timedelta(days=1)), 3),
    (EntryFilter(activity="settings"), 3),
    (EntryFilter(correlation="run 2"), 1),
)


@pytest.mark.parametrize("address", ["sqlite"], indirect=True)
def test_an_entry_that_was_left_out_of_indexes_is_still_found(ledger: Ledger, address: Address, keys: Keyring) -> None:
    tells(ledger, keys, *(event(number, tenant="north", correlation_id=f"run {number}") for number in range(1, 4)))
    leave_out_of_indexes(address, 2, "audit")
    with open_ledger(address) as other:
        assert not other.read(lambda connection: entries_of_run(connection, "run 2")), "the index lacks the entry"
        for filter_, count in FILTERS:
            assert len(find_entries(other, filter_)) == count
            assert 2 in [entry.sequence for entry in find_entries(other, filter_, 2)]
        assert export_entries(other, EntryFilter(tenant="north"), StringIO()) == 3
        assert errors(other, keys) == DATABASE
