"""Open ledger: acts found and recorded, each piece of work in one transaction, errors of the database as LedgerError.

The SQLite file of a ledger: its creation, its permissions, and whether it was replaced while open.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import sqlite3
import stat
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import datetime
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self, TypeVar, Unpack

from minimize.checkpoints import checkpoint
from minimize.errors import KeyringError, LedgerError, describe_os_error, errno_name
from minimize.keys import Keyring, Verifier
from minimize.keys.cryptography import Signer
from minimize.keys.keyring import folder_lock
from minimize.ledger.act_log import ActLog, ActProofs, check_head
from minimize.ledger.acts import ActFilter, ActKind, ActReader, Decision
from minimize.ledger.audit_event import Actor, AuditEvent, PermissionLookup, current_actor
from minimize.ledger.audit_log import append_event
from minimize.ledger.clock import check_recording_time
from minimize.ledger.database import Address, Connection, Database, database_error, is_connection_lost, ledger_database
from minimize.ledger.schema import check_migration, count_rows, is_current, schema_version, upgrade_schema
from minimize.stores import file_operations
from minimize.stores.file_operations import sync, sync_folder
from minimize.times import Clock, utc_now

_WAL_SUFFIXES: Final = ("-wal", "-shm")
FileIdentity = tuple[int, int]
"""Device and inode of a file."""


def enable_wal(path: Path) -> None:
    """Switches a new SQLite file to WAL mode: readers and a writer can use it at the same time."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")


def create_file(path: Path, fill: Callable[[Path], None]) -> None:
    """Creates the file of a ledger under a temporary name, fills it and renames it. Does nothing if it exists by then.

    Raises LedgerError if it cannot be created.
    """
    half = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    trouble: LedgerError | None = None
    try:
        _create_folder(path.parent)
        file_operations.create(half, private=True).close()
        enable_wal(half)
        fill(half)
        _link_into_place(half, path)
    except OSError as error:
        trouble = LedgerError(
            f"the ledger {path} cannot be created ({errno_name(error)})", hint=describe_os_error(error)[1]
        )
    except sqlite3.Error as error:
        trouble = database_error(error, path)
    finally:
        for leftover in (half, *(half.with_name(half.name + end) for end in _WAL_SUFFIXES)):
            with contextlib.suppress(OSError):
                file_operations.remove(leftover)
    if trouble is not None:
        raise trouble


def check_file(address: Address) -> None:
    """Raises LedgerError if the file is missing, a link, not a regular file, or accessible to group or others."""
    assert address.path is not None
    path = address.path
    try:
        mode = os.lstat(path).st_mode
    except OSError:
        mode = None
    if mode is None:
        hint = "Create it with `minimize settings import` or `settings set`, or pass --ledger or set MINIMIZE_LEDGER."
        raise LedgerError(f"no ledger found at {path} ({address.named_by})", hint=hint)
    if stat.S_ISLNK(mode) or not stat.S_ISREG(mode):
        what = "a link" if stat.S_ISLNK(mode) else "not a regular file"
        raise LedgerError(f"the ledger {path} is {what}", hint="Pass the path of the file itself.")
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise LedgerError(f"the ledger {path} is accessible to group or others", hint=f"Run: chmod 600 {path}")


def file_identity(address: Address) -> FileIdentity | None:
    """Identity of the file at the path of a ledger; None if there is none, or if the ledger is a server."""
    try:
        status = None if address.path is None else os.lstat(address.path)
    except OSError:
        status = None
    return None if status is None else (status.st_dev, status.st_ino)


def check_same_file(address: Address, before: FileIdentity | None) -> None:
    """Raises LedgerError if the file was removed or replaced since it was opened. Writes to the open file would be lost."""
    if file_identity(address) != before:
        hint = "Put the file back, or run `minimize runs --rebuild` to add the receipts to a new ledger."
        raise LedgerError(f"the ledger {address} was removed or replaced while it was open", hint=hint)


def _create_folder(folder: Path) -> None:
    """Creates the folder with access for its owner only."""
    if not folder.exists():
        file_operations.make_folders(folder.parent)
        file_operations.make_folder(folder, private=True)


def _link_into_place(half: Path, path: Path) -> None:
    """Renames the new file, unless a ledger exists by then.

    Journals of a deleted ledger are removed first: SQLite would apply them to the new one.
    """
    with half.open("rb") as file:
        sync(file.fileno(), "ledger")
    with folder_lock(path.parent):
        if os.path.lexists(path):
            return
        for end in _WAL_SUFFIXES:
            file_operations.remove(path.with_name(path.name + end), missing=True)
        try:
            file_operations.link(half, path)
        except OSError:  # a file system without links
            file_operations.rename(half, path)
        sync_folder(path.parent)


T = TypeVar("T")
R = TypeVar("R")
PATIENCE_S: Final = 15.0
"""Time to wait for a locked file or a server that restarts."""
PAUSE_S: Final = 0.25


class Ledger:
    """An open ledger. `work` gets a connection in a transaction, which is committed if it returns and undone if it raises."""

    def __init__(
        self,
        address: Address,
        database: Database,
        patience: float,
        verifier: Verifier | None = None,
        clock: Clock = utc_now,
    ) -> None:
        self.address = address
        self.permissions_of: PermissionLookup = lambda _: ()
        """The permissions of accounts, which audit events record."""
        self._clock = clock
        self._proofs = ActProofs(verifier)
        self.file: FileIdentity | None = file_identity(address)
        """The file that was opened; None for a server."""
        self._database = database
        self._patience = patience

    @property
    def now(self) -> datetime:
        """The current time, by the clock of the command."""
        return self._clock()

    @property
    def verifier(self) -> Verifier | None:
        """The keys that verify what is read, if the ledger was opened with any."""
        return self._proofs.verifier

    @property
    def keyring_or_none(self) -> Keyring | None:
        """The keyring with which the ledger was opened; None if it was opened without one, or with public keys."""
        return self.verifier if isinstance(self.verifier, Keyring) else None

    @property
    def keyring(self) -> Keyring:
        """The keyring with which the ledger was opened: it signs changes and makes subject tokens. Raises KeyringError."""
        keyring = self.keyring_or_none
        if keyring is None:
            message = "no keyring found; one is needed to sign the change"
            raise KeyringError(message, hint="Pass --keys FILE or set MINIMIZE_KEYS.")
        return keyring

    def actor(self) -> Actor:
        """The actor of this process, with the permissions of its account."""
        actor = current_actor()
        return replace(actor, permissions=self.permissions_of(actor.user or ""))

    def record(
        self,
        decide: Callable[[ActReader], Decision[T]],
        signer: Signer | None = None,
        *,
        before_commit: Callable[[], None] | None = None,
    ) -> T:
        """Decides, appends the acts, removes bodies and writes the audit events, in one transaction that locks out other writers.

        `decide` reads the acts that concern it. If it raises, nothing is recorded. It may run again if the server closed the
        connection. `before_commit` runs before the commit; if it raises, nothing is recorded either. The files of SQLite do not
        keep a removed body, unless another process is reading them (see `Database.empty_journal`). Events of the process's actor
        get the permissions of its account. Returns the result of the decision. The default signer is the keyring of the ledger.
        Raises KeyringError without a signing key, LedgerError, and RefusedError (E304) if acts would get an implausible time.
        """
        signer = self.keyring if signer is None else signer
        checkpoint("ledger.record")
        plain, actor = current_actor(), self.actor()  # before the transaction: the access rules may be in the ledger

        def work(connection: Connection) -> Decision[T]:
            connection.lock()
            head = check_head(connection, signer)
            acts = ActLog(connection, self._proofs, signer, self._clock)
            decision = decide(acts)
            if decision.acts and not decision.events:
                raise ValueError("acts are recorded with an audit event")
            if decision.acts:
                check_recording_time(connection, self.now)
            head = acts.append(decision.acts, signer, after=head)
            removed = [each for each in decision.removals if acts.remove_bodies(each, signer)]
            head = acts.head() if removed else head
            of_removals = [replace(each.event, tenant=each.tenant) for each in removed]
            for event in (*decision.events_by_tenant(), *of_removals):
                recorded = replace(event, actor=actor) if event.actor == plain else event
                append_event(connection, recorded, signer, acts=head)
            if before_commit is not None:
                before_commit()
            return decision

        decision = self.write(work)
        if decision.removals:
            self.empty_journal()
        return decision.result

    def check_time(self) -> None:
        """Raises RefusedError (E304) if the clock of this machine is implausible; `record` checks it, too."""
        self.read(partial(check_recording_time, now=self.now))

    def add(self, kind: ActKind[R], operation: str, *records: R, at: datetime | None = None) -> None:
        """Records acts, each with its audit event. Takes the time if the records have no field for it."""
        self.record(lambda _: kind.decision(operation, *records, at=at))

    def record_event(self, event: AuditEvent, signer: Signer | None = None) -> None:
        """Writes an audit event that belongs to no act. The default signer is the keyring of the ledger."""
        self.record(lambda _: Decision(None, events=[event]), signer)

    def find(self, kind: ActKind[R], **conditions: Unpack[ActFilter]) -> list[R]:
        """See `ActReader.find`."""
        return self.read(lambda connection: ActLog(connection, self._proofs).find(kind, **conditions))

    def last_id(self, kind: ActKind[Any]) -> int:
        """The id of the last act of a kind, which grows with each of them; 0 if there is none."""
        return self.read(lambda connection: ActLog(connection, self._proofs).last_id(kind))

    def tenants(self) -> frozenset[str]:
        """The tenants that acts name."""
        return self.read(lambda connection: ActLog(connection, self._proofs).tenants())

    def read(self, work: Callable[[Connection], T]) -> T:
        """Returns the result of the work. Raises LedgerError for errors of the database, and the errors of the work."""
        return self._run_with_retries(work, writes=False)

    def write(self, work: Callable[[Connection], T]) -> T:
        """Returns the result of the work after its changes are committed.

        The work may run again if the server closed the connection before the commit, so it must change nothing but the ledger.
        Raises LedgerError for errors of the database, and the errors of the work.
        """
        return self._run_with_retries(work, writes=True)

    def empty_journal(self) -> None:
        """See `Database.empty_journal`."""
        self._database.empty_journal()

    def close(self) -> None:
        """Closes all connections."""
        self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Ledger({str(self.address)!r})"

    def _run_with_retries(self, work: Callable[[Connection], T], *, writes: bool) -> T:
        until = time.monotonic() + self._patience
        while True:
            results, trouble, again = self._tried(work, writes)
            if trouble is None:
                return results[0]
            if not again or time.monotonic() > until:
                raise trouble
            time.sleep(PAUSE_S)

    def _tried(self, work: Callable[[Connection], T], writes: bool) -> tuple[list[T], LedgerError | None, bool]:
        """The result of one attempt, or its error and whether a retry can help."""
        kept = [True]
        try:
            with self._database.transaction(writes=writes) as connection:
                result = work(connection)
                if writes:
                    check_same_file(self.address, self.file)
                    checkpoint("ledger.before")
                kept.clear()
                connection.execute("COMMIT")
                if writes:
                    checkpoint("ledger.after")
            return [result], None, False
        except self._database.error as error:
            return [], database_error(error, self.address), bool(kept) and is_connection_lost(error)


def open_ledger(
    address: Address,
    *,
    create: bool = False,
    patience: float | None = None,
    verifier: Verifier | None = None,
    clock: Clock = utc_now,
) -> Ledger:
    """Opens a ledger and upgrades it to the newest version.

    Takes its address, whether a missing file is created, the time in seconds to wait for a lock or a server, the keys that
    signed it, and the clock. Acts that are read are proven by a signature of one of these keys. A keyring also
    signs what is recorded.
    Raises LedgerError: missing, damaged, locked, read-only, unreachable, accessible to others, or too new.
    """
    patience = PATIENCE_S if patience is None else patience
    if address.path is not None:
        if create and not os.path.lexists(address.path):
            create_file(address.path, lambda path: _create_tables(Address(path), patience))
        check_file(address)
    ledger = Ledger(address, ledger_database(address, patience), patience, verifier, clock)
    try:
        _migrate(ledger)
    except BaseException:
        ledger.close()
        raise
    return ledger


class OpenLedgers:
    """The open ledgers of a command: each is opened once, and closed when its last user ends. Threads may share it.

    In a `with` statement, they stay open until its end.
    """

    def __init__(self) -> None:
        self.permissions_of: PermissionLookup | None = None
        """The permissions of accounts, which audit events in these ledgers record."""
        self._ledgers = list[Ledger]()
        self._users = Counter[Ledger | None]()
        self._lock = threading.RLock()

    @contextmanager
    def use(
        self, address: Address, *, create: bool = False, verifier: Verifier | None = None, clock: Clock = utc_now
    ) -> Iterator[Ledger]:
        """The ledger, open. Takes what `open_ledger` takes, and raises its errors."""
        with self._lock:
            ledger = self._find_open(address, verifier) or self._open(address, create, verifier, clock)
            self._users[ledger] += 1
        try:
            yield ledger
        finally:
            self._end_use(ledger)

    def __enter__(self) -> Self:
        with self._lock:
            self._users[None] += 1
        return self

    def __exit__(self, *_: object) -> None:
        self._end_use(None)

    def _find_open(self, address: Address, verifier: Verifier | None) -> Ledger | None:
        """The same ledger, opened before; None if there is none, or its file was replaced since."""
        for ledger in self._ledgers:
            if ledger.verifier is verifier and ledger.address.is_same(address):
                if ledger.file != file_identity(address):
                    return None
                if address.path is not None:
                    check_file(address)
                return ledger
        return None

    def _open(self, address: Address, create: bool, verifier: Verifier | None, clock: Clock) -> Ledger:
        ledger = open_ledger(address, create=create, verifier=verifier, clock=clock)
        ledger.permissions_of = self._permissions
        self._ledgers.insert(0, ledger)
        return ledger

    def _permissions(self, user: str) -> tuple[str, ...]:
        return () if self.permissions_of is None else self.permissions_of(user)

    def _end_use(self, ledger: Ledger | None) -> None:
        with self._lock:
            self._users[ledger] -= 1
            if not self._users[None]:
                unused = [each for each in self._ledgers if not self._users[each]]
                self._ledgers = [each for each in self._ledgers if self._users[each]]
                for ledger_without_user in unused:
                    ledger_without_user.close()


def _create_tables(address: Address, patience: float) -> None:
    with Ledger(address, ledger_database(address, patience), patience) as ledger:
        _migrate(ledger)


def _migrate(ledger: Ledger) -> None:
    place = str(ledger.address)
    if not is_current(ledger.read(schema_version), place):
        ledger.write(partial(_upgrade_once, address=ledger.address))


def _upgrade_once(connection: Connection, address: Address) -> None:
    """Checks the version again under the lock: another process may have upgraded the ledger."""
    connection.lock()
    if not is_current(schema_version(connection), str(address)):
        before = count_rows(connection)
        upgrade_schema(connection)
        check_migration(connection, before, address)
