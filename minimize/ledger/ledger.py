"""A ledger that is open: every piece of work is one transaction, and no error of the database comes through."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from types import TracebackType
from typing import Final, Self, TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError

from minimize.errors import LedgerError
from minimize.failpoints import fail_point
from minimize.ledger.address import Address
from minimize.ledger.backup import migrating, recover
from minimize.ledger.engine import WRITES, engine_of, exclusive
from minimize.ledger.failures import failure, is_lost
from minimize.ledger.file import Seen, check_file, make_file, same_file, seen
from minimize.ledger.migrations import NONE, is_current, upgrade, version_of

T = TypeVar("T")
PATIENCE_S: Final = 15.0
"""How long a locked file, or a server that restarts, is waited for."""
PAUSE_S: Final = 0.25


class Ledger:
    """One ledger. `work` gets a connection in a transaction: it is kept where the work returns, undone where it raises."""

    def __init__(self, address: Address, engine: Engine, patience: float) -> None:
        self.address = address
        self._seen: Seen | None = seen(address)
        self._engine = engine
        self._patience = patience

    def read(self, work: Callable[[Connection], T]) -> T:
        """What the work finds. Raises LedgerError in place of the database's errors, and what the work raises."""
        return self._done(work, writes=False)

    def write(self, work: Callable[[Connection], T]) -> T:
        """What the work gives, once its changes are kept.

        Work may be done again where the server went away before it was kept, so it changes nothing but the ledger.
        Raises LedgerError in place of the database's errors, and what the work raises.
        """
        return self._done(work, writes=True)

    def close(self) -> None:
        """Lets go of all connections."""
        self._engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Ledger({str(self.address)!r})"

    def _done(self, work: Callable[[Connection], T], *, writes: bool) -> T:
        until = time.monotonic() + self._patience
        while True:
            given, trouble, again = self._tried(work, writes)
            if trouble is None:
                return given[0]
            if not again or time.monotonic() > until:
                raise trouble
            time.sleep(PAUSE_S)

    def _tried(self, work: Callable[[Connection], T], writes: bool) -> tuple[list[T], LedgerError | None, bool]:
        """What one try gave, or what went wrong and whether another try can help."""
        kept = [True]
        try:
            with self._engine.connect().execution_options(**{WRITES: writes}) as connection:
                with connection.begin() as transaction:
                    given = work(connection)
                    if writes:
                        same_file(self.address, self._seen)
                        fail_point("ledger.before")
                    kept.clear()
                    transaction.commit()
                    if writes:
                        fail_point("ledger.after")
                return [given], None, False
        except DBAPIError as error:
            return [], failure(error, self.address), bool(kept) and is_lost(error)


def open_ledger(address: Address, *, create: bool = False, patience: float = PATIENCE_S) -> Ledger:
    """Opens a ledger, and brings it to the newest version.

    Takes its address, whether one is made where there is none, and how many seconds a lock or a server is waited for.
    Raises LedgerError: missing, damaged, locked, read-only, out of reach, open to others, or too new.
    """
    if address.path is not None:
        recover(address.path)
        if create and not os.path.lexists(address.path):
            make_file(address.path, lambda path: _made(Address(path), patience))
        check_file(address)
    ledger = Ledger(address, engine_of(address, patience), patience)
    try:
        _bring_up(ledger)
    except BaseException:
        ledger.close()
        raise
    return ledger


def _made(address: Address, patience: float) -> None:
    with Ledger(address, engine_of(address, patience), patience) as ledger:
        _bring_up(ledger)


def _bring_up(ledger: Ledger) -> None:
    place, path = str(ledger.address), ledger.address.path
    version = ledger.read(version_of)
    if is_current(version, place):
        return
    if path is None or version == NONE:
        ledger.write(lambda connection: _stepped(connection, place, lambda _, work: work()))
        return
    with migrating(path) as migrate:
        try:
            ledger.write(lambda connection: _stepped(connection, place, migrate))
        finally:
            ledger.close()


def _stepped(connection: Connection, place: str, migrate: Callable[[Connection, Callable[[], None]], None]) -> None:
    """Another process may have been faster: what is to be done is seen once others are kept out."""
    exclusive(connection)
    if not is_current(version_of(connection), place):
        migrate(connection, lambda: upgrade(connection))
