"""The erasures of a ledger for data in memory: read when it is needed, and again at most once a minute."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Final

from minimize.errors import LedgerError
from minimize.keys import Keyring
from minimize.ledger import Address, find_ledger
from minimize.ledger.address import VARIABLE
from minimize.settings.erased import Erased, ErasedRows

log = logging.getLogger("minimize")
REFRESH_S: Final = 60.0
"""How old the list may be in a long-lived process."""


@dataclass(slots=True)
class LedgerErasures:
    """The erasures of one ledger, for many calls from many threads.

    future  how far event times may lie in the future
    clock   tells seconds that only grow
    """

    address: Address
    keys: Keyring | None = field(repr=False)
    future: timedelta
    clock: Callable[[], float] = time.monotonic
    _rows: ErasedRows = field(default_factory=ErasedRows, repr=False)
    _erased: Erased | None = field(default=None, repr=False)
    _latest: datetime | None = None
    _read_at: float | None = None
    _found: bool = False
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    @property
    def fields(self) -> frozenset[str]:
        """The fields, other than a policy's subject, by which an erased subject is named."""
        self._refresh()
        return self._rows.fields

    def at(self, when: datetime) -> Erased | None:
        """The erasures that a call as of this time honours: all that are known now; None if there are none.

        Raises LedgerError if the ledger cannot be read, and KeyringError without a key that its tokens were made with.
        """
        self._refresh()
        now = max(when, datetime.now(UTC))
        if self._latest is not None and self._latest > now:
            return self._rows.at(now, self.future)
        if self._erased is None:
            self._erased = self._rows.at(now, self.future)
        return self._erased

    def _refresh(self) -> None:
        with self._lock:
            if self._read_at is not None and self.clock() - self._read_at < REFRESH_S:
                return
            self._found = self._found or self.address.exists
            rows = _read(self.address, self.keys) if self._found else ErasedRows((), self.keys)
            if rows.rows != self._rows.rows:
                self._rows, self._erased = rows, None
                self._latest = max((max(row.recorded_at, row.at) for row in rows.rows), default=None)
            self._read_at = self.clock()


def find_erasures(
    ledger: str | os.PathLike[str] | None, folder: Path | None, keys: Keyring | None, future: timedelta
) -> LedgerErasures | None:
    """The erasures of the ledger that is given, else named by the environment or by the configuration next to the policy.

    None if nothing names a ledger. If the one that is named does not exist yet, it is looked for again at each refresh. In both
    cases the log says once per process that erasures are unknown. Raises LedgerError if the ledger that is given does not exist.
    """
    address = named_ledger(ledger, folder)
    if address is not None and address.exists:
        return LedgerErasures(address, keys, future)
    if ledger:
        raise LedgerError("there is no ledger where one was given", hint="ledger=PATH_OR_URL, or leave it out")
    why = "no ledger is named" if address is None else f"the ledger {address} does not exist"
    warn_unknown(why)
    return None if address is None else LedgerErasures(address, keys, future)


@cache  # a service that calls `apply` for each request would fill its log
def warn_unknown(why: str) -> None:
    """Logs, once per process and reason, that erasures are unknown."""
    log.warning(
        "erasures are unknown, and records of erased subjects are not recognized: %s", why, extra={"code": "W044"}
    )


def named_ledger(ledger: str | os.PathLike[str] | None, folder: Path | None) -> Address | None:
    """The ledger that is given, or named by the environment or the configuration; None if nothing names one.

    Raises LedgerError if what is named cannot be one.
    """
    if not ledger and folder is None and not os.environ.get(VARIABLE):
        return None
    try:
        return find_ledger(ledger, start=folder)
    except LedgerError as error:
        if not error.message.startswith("no ledger is named"):
            raise
    return None


def _read(address: Address, keys: Keyring | None) -> ErasedRows:
    from minimize.ledger.ledger import open_ledger

    with open_ledger(address) as book:
        return ErasedRows.of_ledger(book, keys)
