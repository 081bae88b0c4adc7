"""Proof of the acts: they are exactly those of which the last signed entry of the audit log names the head.

Each act carries the digest of the act before it, so the head of the log of acts represents all of them, their order and their
number. The last audit entry names this head and is signed. One signature and one pass over the acts therefore prove every act:
an act that was changed, removed, inserted, or moved to another tenant or place gives another head. The pass covers the digest of
a body. The body is compared with it when its act is read. An act without a body needs a tombstone.

An older copy of the whole ledger is consistent. The receipts of outputs name later audit entries, so it is refused there (E303).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from typing import Any, Final

from minimize.keys import Verifier
from minimize.ledger.acts import TOMBSTONE, Act, UntrustedActError, act_digest
from minimize.ledger.audit_event import (
    EMPTY_LOG,
    LogEntry,
    LogHead,
    entry_digest,
    entry_event,
    is_entry_signed,
)
from minimize.ledger.database import Connection

VERIFY_HINT: Final = "Run `minimize audit verify`. Restore a backup."
_KEYRING_HINT: Final = f"Check that the keyring (--keys, MINIMIZE_KEYS) is the one of this ledger. {VERIFY_HINT}"
_PAGE: Final = 10_000
REUSE_S: Final = 1.0
"""The time in seconds for which an open ledger relies on a proof while the audit log has no new entry."""
_CHAIN_QUERY: Final = (
    "SELECT id, kind, key, tenant_id, subject, valid_from, recorded_at, actor, body_digest, body IS NULL FROM acts"
    " WHERE id >= :start ORDER BY id LIMIT :count"
)
_LAST_ENTRY_QUERY: Final = (
    "SELECT sequence, previous, event, acts, acts_digest, digest, key, signature FROM audit"
    " ORDER BY sequence DESC LIMIT 1"
)
_LAST_ACT_QUERY: Final = "SELECT * FROM acts ORDER BY id DESC LIMIT 1"


class ActProofs:
    """The last proof of the acts of an open ledger. Threads may share it."""

    def __init__(self, verifier: Verifier | None = None) -> None:
        self.verifier = verifier
        self._proven: tuple[LogHead, float] | None = None
        self._accepted = list[Verifier]()
        """The verifiers that know the signature of the last proof."""
        self._digests = list[str]()
        self._lock = threading.Lock()

    def require(self, connection: Connection, verifier: Verifier | None) -> None:
        """Raises UntrustedActError if the acts are not those of the last audit entry, or no known key signed that entry.

        Without a verifier, the signature is not checked.
        """
        with self._lock:
            self._require(connection, verifier or self.verifier)

    def _require(self, connection: Connection, verifier: Verifier | None) -> None:
        end = connection.tuples("SELECT sequence, digest FROM audit ORDER BY sequence DESC LIMIT 1")
        newest = LogHead(*end[0]) if end else EMPTY_LOG
        if self._proven is None or self._proven[0] != newest or time.monotonic() - self._proven[1] > REUSE_S:
            self._proven, self._accepted = None, []
            self._digests = check_acts(connection, verifier)
            self._proven = newest, time.monotonic()
        elif verifier is None or any(verifier is each for each in self._accepted):
            return
        else:
            _recorded_head(connection, verifier)
        if verifier is not None:
            self._accepted.append(verifier)

    def require_act(self, act: Act) -> None:
        """Raises UntrustedActError if an act is not the one that was proven: it may have been inserted or changed since then."""
        if not 0 < act.id <= len(self._digests) or act.digest != self._digests[act.id - 1]:
            raise _changed_acts()


def check_acts(connection: Connection, verifier: Verifier | None) -> list[str]:
    """The digests of all acts, oldest first.

    Raises UntrustedActError if they are not those of the last audit entry, or no known key signed that entry.
    """
    recorded = _recorded_head(connection, verifier)
    digest, start = None, -(2**63)
    digests = list[str]()
    removed, tombstones = set[str](), set[str]()
    try:
        while page := connection.tuples(_CHAIN_QUERY, start=start, count=_PAGE):
            for id_, kind, key, tenant, subject, valid_from, recorded_at, actor, body_digest, is_removed in page:
                digest = act_digest(
                    id_, kind, key, tenant, subject, valid_from, recorded_at, actor, body_digest, previous=digest
                )
                digests.append(digest)
                if is_removed:
                    removed.add(str(id_))
                if kind == TOMBSTONE.name:
                    tombstones.add(key)
            start = page[-1][0] + 1
    except TypeError:  # bytes, which SQLite permits in a column of texts
        digests.clear()
    head = LogHead(len(digests), digests[-1]) if digests else EMPTY_LOG
    if head != recorded or removed != tombstones:
        raise _changed_acts()
    return digests


def check_head(connection: Connection, verifier: Verifier) -> LogHead:
    """The head of the acts. Raises UntrustedActError if the last audit entry names another, or no known key signed that entry.

    Required before anything is appended: a new entry would otherwise be the proof of acts that were changed.
    """
    recorded = _recorded_head(connection, verifier)
    row = connection.row(_LAST_ACT_QUERY)
    if (EMPTY_LOG if row is None else act_from_row(row).head) != recorded:
        raise _changed_acts()
    return recorded


def act_from_row(row: Mapping[str, Any]) -> Act:
    """The act of a row. Raises UntrustedActError for bytes, which SQLite permits in a column of texts."""
    if bytes in map(type, row.values()):
        raise UntrustedActError("the ledger contains an act that cannot be read", hint="Restore a backup.")
    return Act(**row)


def _recorded_head(connection: Connection, verifier: Verifier | None) -> LogHead:
    """The head of the acts that the last audit entry names."""
    row = connection.row(_LAST_ENTRY_QUERY)
    if row is None:
        return EMPTY_LOG
    entry = LogEntry.from_row(row)
    if not _is_intact(entry):
        raise UntrustedActError("the last entry of the audit log was changed in the database", hint=VERIFY_HINT)
    if verifier is not None and not is_entry_signed(entry, verifier):
        message = "the last entry of the audit log, which proves the acts of the ledger, is not signed by a known key"
        raise UntrustedActError(message, code="E316", hint=_KEYRING_HINT)
    return entry.acts


def _is_intact(entry: LogEntry) -> bool:
    try:
        event = entry_event(entry)
        return entry_digest(LogHead(entry.sequence - 1, entry.previous), event, entry.acts) == entry.digest
    except (ValueError, TypeError, RecursionError):
        return False


def _changed_acts() -> UntrustedActError:
    message = "the acts of the ledger differ from those that its audit log proves: one was changed, removed, moved or inserted"
    return UntrustedActError(message, hint=VERIFY_HINT)
