"""Open ledger: each piece of work is one transaction, and errors of the database become LedgerError."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from types import TracebackType
from typing import Final, Self, TypeVar

from sqlalchemy import Connection, Engine, select
from sqlalchemy.exc import DBAPIError

from minimize.errors import LedgerError
from minimize.failpoints import fail_point
from minimize.ledger.address import Address
from minimize.ledger.database import (
    WRITES,
    FileIdentity,
    check_file,
    check_same_file,
    create_file,
    database_error,
    file_identity,
    is_connection_lost,
    ledger_engine,
    lock_ledger,
    migration_backup,
    recover_migration,
)
from minimize.ledger.migrations import EMPTY_VERSION, is_current, schema_version, upgrade_schema
from minimize.ledger.tables import CONSENTS, DISCLOSED, LIFECYCLE_EVENTS, SETTINGS

T = TypeVar("T")
PATIENCE_S: Final = 15.0
"""Time to wait for a locked file or a server that restarts."""
PAUSE_S: Final = 0.25


class Ledger:
    """An open ledger. `work` gets a connection in a transaction, which is committed if it returns and undone if it raises."""

    def __init__(self, address: Address, engine: Engine, patience: float) -> None:
        self.address = address
        self._seen: FileIdentity | None = file_identity(address)
        self._engine = engine
        self._patience = patience

    def read(self, work: Callable[[Connection], T]) -> T:
        """Returns the result of the work. Raises LedgerError for errors of the database, and the errors of the work."""
        return self._run_with_retries(work, writes=False)

    def write(self, work: Callable[[Connection], T]) -> T:
        """Returns the result of the work after its changes are committed.

        The work may run again if the server closed the connection before the commit, so it must change nothing but the ledger.
        Raises LedgerError for errors of the database, and the errors of the work.
        """
        return self._run_with_retries(work, writes=True)

    def close(self) -> None:
        """Closes all connections."""
        self._engine.dispose()

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
            given, trouble, again = self._tried(work, writes)
            if trouble is None:
                return given[0]
            if not again or time.monotonic() > until:
                raise trouble
            time.sleep(PAUSE_S)

    def _tried(self, work: Callable[[Connection], T], writes: bool) -> tuple[list[T], LedgerError | None, bool]:
        """The result of one attempt, or its error and whether a retry can help."""
        kept = [True]
        try:
            with self._engine.connect().execution_options(**{WRITES: writes}) as connection:
                with connection.begin() as transaction:
                    given = work(connection)
                    if writes:
                        check_same_file(self.address, self._seen)
                        fail_point("ledger.before")
                    kept.clear()
                    transaction.commit()
                    if writes:
                        fail_point("ledger.after")
                return [given], None, False
        except DBAPIError as error:
            return [], database_error(error, self.address), bool(kept) and is_connection_lost(error)


def open_ledger(address: Address, *, create: bool = False, patience: float = PATIENCE_S) -> Ledger:
    """Opens a ledger and upgrades it to the newest version.

    Takes its address, whether a missing file is created, and the time in seconds to wait for a lock or a server.
    Raises LedgerError: missing, damaged, locked, read-only, unreachable, accessible to others, or too new.
    """
    if address.path is not None:
        recover_migration(address.path)
        if create and not os.path.lexists(address.path):
            create_file(address.path, lambda path: _create_tables(Address(path), patience))
        check_file(address)
    ledger = Ledger(address, ledger_engine(address, patience), patience)
    try:
        _migrate(ledger)
    except BaseException:
        ledger.close()
        raise
    return ledger


def _create_tables(address: Address, patience: float) -> None:
    with Ledger(address, ledger_engine(address, patience), patience) as ledger:
        _migrate(ledger)


def _migrate(ledger: Ledger) -> None:
    place, path = str(ledger.address), ledger.address.path
    version = ledger.read(schema_version)
    if is_current(version, place):
        return
    if path is None or version == EMPTY_VERSION:
        ledger.write(lambda connection: _upgrade_once(connection, place, lambda _, work: work()))
        return
    with migration_backup(path) as migrate:
        try:
            ledger.write(lambda connection: _upgrade_once(connection, place, migrate))
        finally:
            ledger.close()


def _upgrade_once(
    connection: Connection, place: str, migrate: Callable[[Connection, Callable[[], None]], None]
) -> None:
    """Checks the version again under the lock: another process may have upgraded the ledger."""
    lock_ledger(connection)
    if not is_current(schema_version(connection), place):
        migrate(connection, lambda: upgrade_schema(connection))


def tenants_named(ledger: Ledger | None) -> frozenset[str]:
    """The tenants that settings, consents, disclosures and events name; none without a ledger. Raises LedgerError."""
    return frozenset() if ledger is None else ledger.read(_distinct_tenants)


def _distinct_tenants(connection: Connection) -> frozenset[str]:
    rows = (
        connection.execute(select(each.c.tenant_id).distinct())
        for each in (SETTINGS, CONSENTS, DISCLOSED, LIFECYCLE_EVENTS)
    )
    return frozenset(row.tenant_id for found in rows for row in found)
