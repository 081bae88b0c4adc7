"""The decision about one request, by the access file and the grants of this moment; each is looked at again when it changed."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Literal

from minimize.door.facts import Facts
from minimize.door.refusing import no_column
from minimize.governance.access import Access, Account, Decision, Grants, Wanted, decide, load_access
from minimize.governance.access.asking import in_force, load_grants
from minimize.io.published import DATE
from minimize.keys import Keyring

if TYPE_CHECKING:
    from minimize.ledger.ledger import Ledger

Clock = Callable[[], datetime]
"""What time it is, aware UTC."""


@dataclass(frozen=True, slots=True)
class Request:
    """What is decided about: who, which dataset, which columns (None: all), for what."""

    account: Account
    dataset: str
    columns: tuple[str, ...] | None
    purpose: str | None
    incident: str | None
    operation: Literal["read", "reidentify"] = "read"


class Rules:
    """The access file and the grants. Threads share it."""

    def __init__(self, access: Path, ledger: Ledger, keys: Keyring) -> None:
        self._path, self._ledger, self._keys, self._lock = access, ledger, keys, Lock()
        self._access: tuple[tuple[int, ...], Access] | None = None
        self._grants: tuple[int, Grants] | None = None

    def access(self) -> Access:
        """What the file says now; once one was adopted, what was adopted last.

        Raises PolicyError where it has faults or is gone, LedgerError: then nobody may anything.
        """
        from minimize.ledger.adoptions import count

        stamp = (*_stamp(self._path), count(self._ledger))
        with self._lock:
            if self._access is None or self._access[0] != stamp:
                self._access = (stamp, in_force(load_access(self._path), self._ledger, self._keys))
            return self._access[1]

    def grants(self) -> Grants:
        """What the ledger has of grants now. Raises LedgerError."""
        from minimize.ledger.grants import last

        newest = last(self._ledger)
        with self._lock:
            if self._grants is None or self._grants[0] != newest:
                self._grants = (newest, load_grants(self._ledger, self._keys))
            return self._grants[1]

    def decide(self, request: Request, facts: Facts, now: datetime) -> Decision:
        """The decision. Raises RefusedError (B004) where a column is not there."""
        named = _named(request, facts)
        wanted = Wanted(
            request.dataset,
            facts.columns(named),
            request.purpose,
            request.incident,
            request.operation,
            whole=request.columns is None,
            purposes=facts.allowed,
            by_tenant=facts.tenant is not None,
        )
        return decide(self.access(), self.grants(), request.account, wanted, now)


def _named(request: Request, facts: Facts) -> list[str]:
    """The columns that are decided about; the batch date is nobody's, and stands in the name of a folder."""
    if request.columns is None:
        return list(facts.schema.names)
    named = [name for name in request.columns if name != DATE or not facts.by_date]
    if not {*named} <= {*facts.schema.names}:
        raise no_column("a column that is not there, or not open")
    return named


def _stamp(path: Path) -> tuple[int, ...]:
    try:
        found = os.stat(path)
    except OSError:
        return ()
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns
