"""A ledger opens, or says clearly why not; it records decisions whole, one after the other, or not at all."""

from __future__ import annotations

import multiprocessing
import os
import sqlite3
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest

from minimize.errors import KeyringError, LedgerError, NotPermitted
from minimize.keys import Keyring, PublicKeys
from minimize.keys.cryptography import Signer
from minimize.ledger import Address, AuditEvent, find_ledger
from minimize.ledger.act_log import ActLog
from minimize.ledger.acts import ActReader, Decision, NewAct
from minimize.ledger.audit_log import log_head
from minimize.ledger.database import Connection
from minimize.ledger.kinds import GRANT, GrantAct
from minimize.ledger.ledger import Ledger, open_ledger
from tests.acts import record_acts
from tests.faults.process import KILLED, kill_at
from tests.ledger.ledgers import NOW, by_hand, errors, event, opened, tells
from tests.postgres import Server

STEP = GrantAct("g1", "requested", "sam", {"columns": ["phone"]}, NOW)
REQUESTED = GRANT.act(STEP)
APPROVED = GRANT.act(replace(STEP, state="approved", by="pia"))


def pragma(connection: Connection, name: str) -> object:
    return connection.value(f"PRAGMA {name}")


def said(address: Address, **options: object) -> str:
    """What is said of a ledger that cannot be opened; the error hides nothing behind it."""
    with pytest.raises(LedgerError) as raised:
        opened(address, **options)
    assert raised.value.__context__ is None
    assert raised.value.__cause__ is None
    assert raised.value.exit_code == 2
    return str(raised.value)


def test_written_events_persist_when_the_ledger_is_opened_again(address: Address, keys: Keyring) -> None:
    with opened(address) as ledger:
        before = tells(ledger, keys, event(1))
    with opened(address, create=False) as ledger:
        assert ledger.read(log_head) == before


def test_the_keyring_with_which_a_ledger_was_opened_signs_what_is_recorded(address: Address, keys: Keyring) -> None:
    with (
        opened(address) as ledger,
        pytest.raises(KeyringError, match="no keyring found; one is needed to sign the change"),
    ):
        ledger.record_event(event(1))
    public = PublicKeys(keys.public_key_pem())
    with opened(address, verifier=public) as ledger, pytest.raises(KeyringError):
        ledger.record_event(event(1))
    with opened(address, verifier=keys) as ledger:
        assert ledger.read(log_head).sequence == 0
        ledger.record_event(event(1))
        assert ledger.read(log_head).sequence == 1
        assert ledger.keyring is keys


def test_a_file_is_its_owners_alone_from_the_start(tmp_path: Path, keys: Keyring) -> None:
    os.umask(before := os.umask(0))
    with opened(find_ledger(tmp_path / "a" / "ledger.db")) as ledger:
        tells(ledger, keys, event(1))
        modes = {path.name: path.stat().st_mode & 0o777 for path in (tmp_path / "a").iterdir()}
    assert os.umask(before) == before
    assert modes == dict.fromkeys(("ledger.db", "ledger.db-wal", "ledger.db-shm"), 0o600)
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o700


def test_a_closed_ledger_leaves_no_other_file(tmp_path: Path) -> None:
    opened(find_ledger(tmp_path / "a" / "ledger.db")).close()
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["ledger.db"]


def test_a_file_has_a_write_ahead_log_and_keeps_foreign_keys(tmp_path: Path) -> None:
    with opened(find_ledger(tmp_path / "ledger.db")) as ledger:
        found = {
            name: ledger.read(partial(pragma, name=name))
            for name in ("journal_mode", "foreign_keys", "synchronous", "busy_timeout")
        }
    assert found == {"journal_mode": "wal", "foreign_keys": 1, "synchronous": 2, "busy_timeout": 2000}


def test_a_ledger_that_is_missing_is_not_made_by_reading_it(tmp_path: Path) -> None:
    address = find_ledger(output=tmp_path, start=tmp_path)
    assert f"no ledger found at {tmp_path}/ledger.db (the default" in said(address, create=False)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", [b"no database at all, but long enough" * 100, b"SQLite format 3\0" + b"x" * 4000])
def test_a_damaged_file_is_reported(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "ledger.db"
    path.touch(0o600)
    path.write_bytes(content)
    assert "damaged" in said(find_ledger(path))
    assert path.read_bytes() == content


def test_damage_inside_the_file_is_reported_when_it_is_read(tmp_path: Path, keys: Keyring) -> None:
    path = tmp_path / "ledger.db"
    with opened(find_ledger(path)) as ledger:
        tells(ledger, keys, *map(event, range(30)))
    data = path.read_bytes()
    path.write_bytes(data[:4096] + b"\xff" * (len(data) - 4096))
    assert "damaged" in said(find_ledger(path))


def test_another_database_is_no_ledger(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    path.touch(0o600)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE recipes (name TEXT)")
    assert "is a database, but not a ledger" in said(find_ledger(path))


def test_an_empty_file_becomes_a_ledger(tmp_path: Path, keys: Keyring) -> None:
    (tmp_path / "ledger.db").touch(0o600)
    with opened(find_ledger(tmp_path / "ledger.db")) as ledger:
        assert tells(ledger, keys, event(1)).sequence == 1


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    opened(find_ledger(tmp_path / "real.db")).close()
    (tmp_path / "ledger.db").symlink_to(tmp_path / "real.db")
    assert "is a link" in said(find_ledger(tmp_path / "ledger.db"))


def test_a_link_to_nowhere_is_not_filled(tmp_path: Path) -> None:
    (tmp_path / "ledger.db").symlink_to(tmp_path / "elsewhere.db")
    assert "is a link" in said(find_ledger(tmp_path / "ledger.db"))
    assert not (tmp_path / "elsewhere.db").exists()


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    (tmp_path / "ledger.db").mkdir()
    assert "is not a regular file" in said(find_ledger(tmp_path / "ledger.db"))


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o622])
def test_a_file_that_others_can_reach_is_refused(tmp_path: Path, mode: int) -> None:
    opened(find_ledger(tmp_path / "ledger.db")).close()
    (tmp_path / "ledger.db").chmod(mode)
    assert f"chmod 600 {tmp_path}/ledger.db" in said(find_ledger(tmp_path / "ledger.db"))


def test_a_folder_that_cannot_be_created_is_reported(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert "cannot be created (ENOTDIR)" in said(find_ledger(tmp_path / "file" / "ledger.db"))


def test_a_locked_file_is_reported(tmp_path: Path, keys: Keyring) -> None:
    address = find_ledger(tmp_path / "ledger.db")
    with opened(address, patience=0.1) as ledger, closing(sqlite3.connect(tmp_path / "ledger.db")) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(LedgerError, match="is locked by another process") as raised:
            tells(ledger, keys, event(1))
        assert raised.value.__context__ is None
        other.rollback()
        assert tells(ledger, keys, event(1)).sequence == 1


def test_readers_do_not_wait_for_a_writer(tmp_path: Path) -> None:
    address = find_ledger(tmp_path / "ledger.db")
    with opened(address, patience=0.1) as ledger, closing(sqlite3.connect(tmp_path / "ledger.db")) as other:
        other.execute("BEGIN IMMEDIATE")
        assert ledger.read(log_head).sequence == 0


def test_a_read_only_database_is_reported(tmp_path: Path, keys: Keyring, monkeypatch: pytest.MonkeyPatch) -> None:
    address = find_ledger(tmp_path / "ledger.db")
    opened(address).close()
    monkeypatch.setattr("minimize.ledger.database._PRAGMAS", ("query_only = ON",))
    with opened(address) as ledger, pytest.raises(LedgerError, match="cannot be written"):
        tells(ledger, keys, event(1))


def test_a_full_disk_is_reported(tmp_path: Path, keys: Keyring, monkeypatch: pytest.MonkeyPatch) -> None:
    address = find_ledger(tmp_path / "ledger.db")
    opened(address).close()
    monkeypatch.setattr("minimize.ledger.database._PRAGMAS", ("max_page_count = 1",))
    with opened(address) as ledger:
        with pytest.raises(LedgerError, match="the disk is full"):
            tells(ledger, keys, *map(event, range(50)))
        kept = ledger.read(log_head).sequence
    monkeypatch.undo()
    with opened(address) as ledger:
        assert tells(ledger, keys, event(99)).sequence == kept + 1


def test_a_ledger_of_a_newer_version_is_left_alone(address: Address) -> None:
    opened(address).close()
    by_hand(address, "UPDATE ledger_version SET version = 9999")
    assert "written by a newer version of minimize" in said(address)


def test_an_error_carries_no_value_and_no_statement(address: Address) -> None:
    with opened(address) as ledger, pytest.raises(LedgerError) as raised:
        ledger.read(lambda connection: connection.execute("SELECT canary FROM nowhere WHERE x = :x", x="hunter2"))
    assert "canary" not in str(raised.value)
    assert "hunter2" not in str(raised.value)
    assert raised.value.__context__ is None


def test_a_ledger_opened_concurrently_is_created_once(address: Address, keys: Keyring) -> None:
    barrier = threading.Barrier(8)

    def opens(number: int) -> int:
        barrier.wait()
        with opened(address, patience=30.0) as ledger:
            return tells(ledger, keys, event(number)).sequence

    with ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(opens, range(8))) == list(range(1, 9))


def test_printing_it_shows_no_password() -> None:
    with pytest.raises(LedgerError) as raised:
        open_ledger(find_ledger("postgresql://ann:hunter2@127.0.0.1:1/house"), patience=0.1)
    assert "postgresql://ann@127.0.0.1:1/house cannot be reached" in str(raised.value)
    assert "hunter2" not in str(raised.value)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://ann:hunter2@h:port/d",
        "postgresql://ann:hunter2#1@h/d",
        "postgresql://ann:hunter2@/d?host=a&host=b",
    ],
)
def test_an_invalid_url_is_reported_without_showing_it(url: str) -> None:
    with pytest.raises(LedgerError, match="is invalid") as raised:
        open_ledger(find_ledger(url))
    assert "hunter2" not in str(raised.value)
    assert "%23" in str(raised.value)


@pytest.mark.postgres
def test_a_missing_database_is_reported(postgres: Server) -> None:
    missing = find_ledger(f"postgresql+psycopg://minimize@/nowhere?host={postgres.folder}")
    assert "refuses the login" in said(missing, patience=0.1)


@pytest.mark.postgres
def test_a_server_that_restarts_is_waited_for(postgres: Server, keys: Keyring) -> None:
    with opened(find_ledger(postgres.database()), patience=20.0) as ledger:
        tells(ledger, keys, event(1))
        postgres.restart()
        assert tells(ledger, keys, event(2)).sequence == 2
        postgres.stop()
        back = threading.Timer(1.0, postgres.start)
        back.start()
        assert tells(ledger, keys, event(3)).sequence == 3
        back.join()


@pytest.mark.postgres
def test_work_interrupted_by_the_server_is_rolled_back_and_repeated(postgres: Server, keys: Keyring) -> None:
    turns: list[int] = []

    def decide(acts: ActReader) -> Decision[int]:
        turns.append(len(acts.find(GRANT)))
        if len(turns) == 1:
            postgres.restart()
        return Decision(len(turns), [REQUESTED], [event(1)])

    with opened(find_ledger(postgres.database()), patience=20.0) as ledger:
        assert ledger.record(decide, keys) == 2
        assert turns == [0, 0]
        assert ledger.find(GRANT) == [STEP]
        assert ledger.read(log_head).sequence == 1


@pytest.mark.postgres
def test_a_server_that_stays_away_is_a_clear_error(postgres: Server, keys: Keyring) -> None:
    with opened(find_ledger(postgres.database()), patience=0.5) as ledger:
        postgres.stop()
        try:
            with pytest.raises(LedgerError, match="cannot be reached") as raised:
                tells(ledger, keys, event(1))
        finally:
            postgres.start()
        assert raised.value.__context__ is None
        assert tells(ledger, keys, event(1)).sequence == 1


@pytest.mark.postgres
def test_a_held_lock_is_reported(postgres: Server, keys: Keyring) -> None:
    import psycopg

    address = find_ledger(postgres.database())
    with opened(address, patience=0.5) as ledger, psycopg.connect(address.url or "") as other:
        other.execute("LOCK TABLE audit")
        with pytest.raises(LedgerError, match="is locked by another process"):
            tells(ledger, keys, event(1))


def decided(*acts: NewAct, events: Sequence[AuditEvent] = (event(1),)) -> Callable[[ActReader], Decision[str]]:
    return lambda _: Decision("done", acts, events)


def is_empty(ledger: Ledger) -> bool:
    """Whether neither log has an entry."""
    return ledger.find(GRANT) == [] and ledger.read(log_head).sequence == 0


def test_a_decision_is_recorded_with_its_events(ledger: Ledger, keys: Keyring) -> None:
    assert ledger.record(decided(REQUESTED, APPROVED, events=(event(1), event(2))), keys) == "done"
    assert ledger.find(GRANT, verifier=keys) == [STEP, replace(STEP, state="approved", by="pia")]
    assert ledger.read(log_head).sequence == 2
    assert errors(ledger, keys) == set()


def test_a_decision_without_acts_may_have_an_event_or_none(ledger: Ledger, keys: Keyring) -> None:
    assert ledger.record(decided(events=()), keys) == "done"
    assert is_empty(ledger)
    ledger.record_event(event(1), keys)
    assert (ledger.find(GRANT), ledger.read(log_head).sequence) == ([], 1)
    assert errors(ledger, keys) == set()


def test_acts_without_an_event_are_refused(ledger: Ledger, keys: Keyring) -> None:
    with pytest.raises(ValueError, match="with an audit event"):
        ledger.record(decided(REQUESTED, events=()), keys)
    assert is_empty(ledger)


def test_a_decision_that_raises_records_nothing(ledger: Ledger, keys: Keyring) -> None:
    def refused(acts: ActReader) -> Decision[None]:
        assert acts.find(GRANT) == []
        raise NotPermitted("no")

    with pytest.raises(NotPermitted):
        ledger.record(refused, keys)
    assert is_empty(ledger)


def test_work_that_belongs_to_a_decision_comes_before_the_commit(ledger: Ledger, keys: Keyring) -> None:
    seen = list[bool]()
    ledger.record(decided(REQUESTED), keys, before_commit=lambda: seen.append(is_empty(ledger)))
    assert seen == [True]
    assert ledger.find(GRANT) == [STEP]


def test_work_that_fails_undoes_its_decision(ledger: Ledger, keys: Keyring) -> None:
    def fails() -> None:
        raise LookupError

    with pytest.raises(LookupError):
        ledger.record(decided(REQUESTED), keys, before_commit=fails)
    assert is_empty(ledger)
    ledger.record(decided(REQUESTED), keys)
    assert errors(ledger, keys) == set()


class NoKey:
    """A signer without a key, or with one for so many signatures."""

    def __init__(self, signer: Signer, signatures: int) -> None:
        self.signer, self.signatures = signer, signatures

    def sign(self, content: bytes) -> tuple[str, bytes]:
        self.signatures -= 1
        if self.signatures < 0:
            raise LedgerError("no signing key")
        return self.signer.sign(content)

    def verify_signature(self, content: bytes, signature: bytes, key: str) -> bool:
        return self.signer.verify_signature(content, signature, key)


@pytest.mark.parametrize("signatures", [0, 1, 2])
def test_without_a_signature_for_each_act_and_event_nothing_is_recorded(
    ledger: Ledger, keys: Keyring, signatures: int
) -> None:
    with pytest.raises(LedgerError, match="no signing key"):
        ledger.record(decided(REQUESTED, APPROVED), NoKey(keys, signatures))
    assert is_empty(ledger)


def test_the_order_of_recording_counts_and_not_the_clocks(ledger: Ledger, keys: Keyring) -> None:
    earlier = replace(STEP, state="approved", recorded_at=NOW - timedelta(days=1))
    record_acts(ledger, keys, GRANT, STEP, event=event(9))
    record_acts(ledger, keys, GRANT, earlier, event=event(1))
    assert ledger.find(GRANT) == [STEP, earlier]
    assert errors(ledger, keys) == set()


def counted(acts: ActReader) -> Decision[int]:
    """Records one more grant, named by the number of those before it."""
    number = len(acts.find(GRANT))
    return Decision(number, [GRANT.act(replace(STEP, grant=f"g{number}"))], [event(number)])


def test_each_decision_of_many_threads_sees_the_acts_before_it(ledger: Ledger, keys: Keyring) -> None:
    with ThreadPoolExecutor(8) as pool:
        numbers = sorted(pool.map(lambda _: ledger.record(counted, keys), range(40)))
    assert numbers == list(range(40))
    assert [step.grant for step in ledger.find(GRANT)] == [f"g{number}" for number in numbers]
    assert errors(ledger, keys) == set()


def records_many(address: Address, keys: Keyring, count: int) -> None:
    with opened(address, patience=60.0) as ledger:
        for _ in range(count):
            ledger.record(counted, keys)


@pytest.mark.slow
def test_each_decision_of_many_processes_sees_the_acts_before_it(address: Address, keys: Keyring) -> None:
    """They make the ledger at the same time, too."""
    spawn = multiprocessing.get_context("spawn")
    writers = [spawn.Process(target=records_many, args=(address, keys, 15)) for _ in range(4)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert [writer.exitcode for writer in writers] == [0] * 4
    with opened(address) as ledger:
        assert [step.grant for step in ledger.find(GRANT)] == [f"g{number}" for number in range(60)]
        assert errors(ledger, keys) == set()


def test_of_two_approvals_of_one_grant_exactly_one_is_recorded(address: Address, ledger: Ledger, keys: Keyring) -> None:
    ledger.record(decided(REQUESTED), keys)
    barrier = threading.Barrier(6)

    def approve(acts: ActReader) -> Decision[bool]:
        if [step.state for step in acts.find(GRANT, key="g1", verifier=keys)] != ["requested"]:
            return Decision(False)
        return Decision(True, [APPROVED], [event(2)])

    def approves(_: int) -> bool:
        with opened(address, patience=30.0) as own:
            barrier.wait()
            return own.record(approve, keys)

    with ThreadPoolExecutor(6) as pool:
        assert sorted(pool.map(approves, range(6))) == [False] * 5 + [True]
    assert [step.state for step in ledger.find(GRANT)] == ["requested", "approved"]
    assert ledger.read(log_head).sequence == 2


def dies(address: Address, keys: Keyring, point: str) -> None:
    """In a process of its own: records a decision, and is killed at a point."""
    with kill_at(point), opened(address) as ledger:
        ledger.record(decided(REQUESTED, APPROVED), keys)


@pytest.mark.parametrize(("point", "recorded"), [("audit.appended", 0), ("ledger.before", 0), ("ledger.after", 2)])
def test_a_process_that_dies_has_recorded_all_or_nothing(
    ledger: Ledger, address: Address, keys: Keyring, point: str, recorded: int
) -> None:
    process = multiprocessing.get_context("spawn").Process(target=dies, args=(address, keys, point))
    process.start()
    process.join()
    assert process.exitcode == KILLED
    assert len(ledger.find(GRANT)) == recorded
    assert ledger.read(log_head).sequence == bool(recorded)
    ledger.record(decided(REQUESTED), keys)
    assert ledger.read(lambda connection: ActLog(connection).head()).sequence == recorded + 1
    assert errors(ledger, keys) == set()
