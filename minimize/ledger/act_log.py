"""Log of acts in the database: appending and finding acts, removal of bodies, and the check of the chain.

The proof of the acts: they are exactly those of which the last signed entry of the audit log names the head.

Each act carries the digest of the act before it, so the head of the log of acts represents all of them, their order and their
number. The last audit entry names this head and is signed. One signature and one pass over the acts therefore prove every act:
an act that was changed, removed, inserted, or moved to another tenant or place gives another head. The pass covers the digest
of a body. The body is compared with it when its act is read. An act without a body needs a tombstone.

The pass also decides which acts match a filter. The database finds acts by their id only: an attacker could leave an act out of
an index while it remains in the table, so a query that uses the index would not find it.

An older copy of the whole ledger is consistent. The receipts of outputs name later audit entries, so it is refused there
(E303).
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import fields
from datetime import datetime
from typing import Any, Final, NamedTuple, TypeVar, Unpack

from minimize.checkpoints import checkpoint
from minimize.errors import Finding
from minimize.keys import Verifier
from minimize.keys.cryptography import Signer
from minimize.ledger.acts import (
    TOMBSTONE,
    Act,
    ActFilter,
    ActKind,
    ActTombstone,
    BodyRemoval,
    NewAct,
    UntrustedActError,
    act_digest,
    pages,
)
from minimize.ledger.audit_event import (
    EMPTY_LOG,
    LogEntry,
    LogHead,
    audit_finding,
    entry_digest,
    entry_event,
    is_entry_signed,
)
from minimize.ledger.database import Connection, Row
from minimize.ledger.schema import schema_differences
from minimize.text import count_noun
from minimize.times import Clock, utc_now

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


_ActEntry = tuple[int, str, str | None]
"""The id, the key and the tenant of an act."""
_LAST_CHARACTER: Final = "\U0010ffff"


class ProvenActs:
    """What one pass over the acts found: their digests, oldest first, and what reads filter them by."""

    def __init__(self) -> None:
        self.digests = list[str]()
        self._entries = dict[str, list[_ActEntry]]()
        self._groups = dict[tuple[str, bool], dict[str | None, list[_ActEntry]]]()
        self._removed = set[int]()
        self._names = dict[str | None, str | None]()

    @property
    def head(self) -> LogHead:
        """The head of the acts."""
        return LogHead(len(self.digests), self.digests[-1]) if self.digests else EMPTY_LOG

    @property
    def are_removals_recorded(self) -> bool:
        """Whether the acts without a body are those for which there is a tombstone."""
        return {str(each) for each in self._removed} == {key for _, key, _ in self._entries.get(TOMBSTONE.name, ())}

    def add(self, digest: str, kind: str, entry: _ActEntry, *, is_removed: bool) -> None:
        """Adds the next act."""
        id_, key, tenant = entry
        self.digests.append(digest)
        self._entries.setdefault(kind, []).append(
            (id_, self._names.setdefault(key, key) or key, self._names.setdefault(tenant, tenant))
        )
        if is_removed:
            self._removed.add(id_)

    def ids(self, kind: ActKind[Any], conditions: ActFilter) -> list[int]:
        """The ids of the acts that match a filter, oldest first. Leaves out removed bodies of a removable kind."""
        key, tenant, tenants = conditions.get("key"), conditions.get("tenant"), conditions.get("tenants")
        start, end = conditions.get("key_start") or "", conditions.get("key_end") or ""
        after, until = conditions.get("after"), conditions.get("until")
        last, removed = start + _LAST_CHARACTER, self._removed if kind.removable else ()
        return [
            id_
            for id_, its_key, its_tenant in self._candidates(kind.name, key, tenant)
            if (after is None or id_ > after)
            and (until is None or id_ <= until)
            and (not start or start <= its_key <= last)
            and its_key.endswith(end)
            and (tenant is None or its_tenant == tenant)
            and (tenants is None or its_tenant in tenants)
            and id_ not in removed
        ]

    def last_id(self, kind: ActKind[Any]) -> int:
        """The id of the last act of a kind; 0 if there is none."""
        entries = self._entries.get(kind.name)
        return entries[-1][0] if entries else 0

    def tenants(self) -> frozenset[str]:
        """The tenants that acts name."""
        return frozenset(tenant for entries in self._entries.values() for *_, tenant in entries if tenant is not None)

    def require_act(self, act: Act) -> None:
        """Raises UntrustedActError if an act is not the one that was proven: it may have been inserted or changed since then."""
        if not 0 < act.id <= len(self.digests) or act.digest != self.digests[act.id - 1]:
            raise changed_acts()

    def _candidates(self, kind: str, key: str | None, tenant: str | None) -> list[_ActEntry]:
        """The acts of a kind with a key, or else of a tenant."""
        if key is not None:
            return self._grouped(kind, by_key=True).get(key, [])
        return self._entries.get(kind, []) if tenant is None else self._grouped(kind, by_key=False).get(tenant, [])

    def _grouped(self, kind: str, *, by_key: bool) -> dict[str | None, list[_ActEntry]]:
        """The acts of a kind by key or by tenant. Made once: commands read the acts of one key after those of another."""
        groups = self._groups.get((kind, by_key))
        if groups is None:
            groups = {}
            for id_, key, tenant in self._entries.get(kind, ()):
                groups.setdefault(key if by_key else tenant, []).append((id_, key, tenant))
            self._groups[kind, by_key] = groups
        return groups


class ActProofs:
    """The last proof of the acts of an open ledger. Threads may share it."""

    def __init__(self, verifier: Verifier | None = None) -> None:
        self.verifier = verifier
        self._proven: tuple[LogHead, float, ProvenActs] | None = None
        self._accepted = list[Verifier]()
        """The verifiers that know the signature of the last proof."""
        self._lock = threading.Lock()

    def require(self, connection: Connection, verifier: Verifier | None) -> ProvenActs:
        """The acts in the state that the connection sees.

        Raises UntrustedActError if they are not those of the last audit entry, or no known key signed that entry. Without a
        verifier, the signature is not checked.
        """
        with self._lock:
            return self._require(connection, verifier or self.verifier)

    def _require(self, connection: Connection, verifier: Verifier | None) -> ProvenActs:
        end = connection.tuples("SELECT sequence, digest FROM audit ORDER BY sequence DESC LIMIT 1")
        newest = LogHead(*end[0]) if end else EMPTY_LOG
        if self._proven is None or self._proven[0] != newest or time.monotonic() - self._proven[1] > REUSE_S:
            self._proven, self._accepted = None, []
            acts = check_acts(connection, verifier)
            self._proven = newest, time.monotonic(), acts
        else:
            acts = self._proven[2]
            if verifier is None or any(verifier is each for each in self._accepted):
                return acts
            _recorded_head(connection, verifier)
        if verifier is not None:
            self._accepted.append(verifier)
        return acts


def check_acts(connection: Connection, verifier: Verifier | None) -> ProvenActs:
    """All acts, proven.

    Raises UntrustedActError if they are not those of the last audit entry, or no known key signed that entry.
    """
    checkpoint("acts.proven")
    recorded = _recorded_head(connection, verifier)
    digest, start = None, -(2**63)
    acts = ProvenActs()
    try:
        while page := connection.tuples(_CHAIN_QUERY, start=start, count=_PAGE):
            for id_, kind, key, tenant, subject, valid_from, recorded_at, actor, body_digest, is_removed in page:
                digest = act_digest(
                    id_, kind, key, tenant, subject, valid_from, recorded_at, actor, body_digest, previous=digest
                )
                acts.add(digest, kind, (id_, key, tenant), is_removed=bool(is_removed))
            start = page[-1][0] + 1
    except TypeError:  # bytes, which SQLite permits in a column of texts
        raise changed_acts() from None
    if acts.head != recorded or not acts.are_removals_recorded:
        raise changed_acts()
    return acts


def check_head(connection: Connection, verifier: Verifier) -> LogHead:
    """The head of the acts. Raises UntrustedActError if the last audit entry names another, or no known key signed that entry.

    Required before anything is appended: a new entry would otherwise be the proof of acts that were changed.
    """
    recorded = _recorded_head(connection, verifier)
    row = connection.row(_LAST_ACT_QUERY)
    if (EMPTY_LOG if row is None else act_from_row(row).head) != recorded:
        raise changed_acts()
    return recorded


def act_from_row(row: Mapping[str, Any]) -> Act:
    """The act of a row. Raises UntrustedActError for bytes, which SQLite permits in a column of texts."""
    if bytes in map(type, row.values()):
        raise UntrustedActError("the ledger contains an act that cannot be read", hint="Restore a backup.")
    return Act(**row)


def _recorded_head(connection: Connection, verifier: Verifier | None) -> LogHead:
    """The head of the acts that the last audit entry names.

    Raises UntrustedActError also if tables or triggers were changed: a trigger could discard what a command records.
    """
    if differences := schema_differences(connection):
        raise UntrustedActError(
            f"the database of the ledger was changed: {differences[0]}", code="E317", hint=VERIFY_HINT
        )
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


def changed_acts() -> UntrustedActError:
    """The error for acts that are not those of the last audit entry."""
    message = "the acts of the ledger differ from those that its audit log proves: one was changed, removed, moved or inserted"
    return UntrustedActError(message, hint=VERIFY_HINT)


R = TypeVar("R")
PAGE_SIZE: Final = 1000
_NAMES: Final = tuple(each.name for each in fields(Act))
_WITHOUT_BODY: Final = ", ".join("NULL AS body" if name == "body" else name for name in _NAMES)


class ActLog(NamedTuple):
    """The log of acts within one transaction. Every read requires a proof of all acts (see `act_proof`)."""

    connection: Connection
    proofs: ActProofs | None = None
    """The proofs of the open ledger; without them, the acts are proven at each read."""
    verifier: Verifier | None = None
    """The keys that signed the ledger."""
    clock: Clock = utc_now

    @property
    def now(self) -> datetime:
        """See `ActReader.now`."""
        return self.clock()

    def find(self, kind: ActKind[R], **conditions: Unpack[ActFilter]) -> list[R]:
        """See `ActReader.find`."""
        proven = self._require_proof(conditions.get("verifier"))
        return [_record_of_act(kind, act, proven) for act in self._acts(proven.ids(kind, conditions))]

    def last_id(self, kind: ActKind[Any]) -> int:
        """The id of the last act of a kind; 0 if there is none."""
        return self._require_proof().last_id(kind)

    def head(self) -> LogHead:
        """The head of the log; `EMPTY_LOG` if it has no acts."""
        row = self.connection.row(f"SELECT {_WITHOUT_BODY} FROM acts ORDER BY id DESC LIMIT 1")  # noqa: S608
        return EMPTY_LOG if row is None else act_from_row(row).head

    def append(self, new: Sequence[NewAct], signer: Signer, *, after: LogHead | None = None) -> LogHead:
        """Signs and appends acts, under the lock of the ledger. Takes the head if the caller has it. Returns the new one."""
        head, rows = after or self.head(), list[Row]()
        for new_act in new:
            act = Act.after(head, new_act)
            head, signed = act.head, act.signed_by(signer)
            rows.append({name: getattr(signed, name) for name in _NAMES})
        if rows:
            self.connection.insert("acts", *rows)
            checkpoint("acts.appended")
        return head

    def tenants(self) -> frozenset[str]:
        """The tenants that acts name."""
        return self._require_proof().tenants()

    def remove_bodies(self, removal: BodyRemoval, signer: Signer) -> bool:
        """Removes bodies and records a tombstone for each act. Returns whether there were any."""
        if not removal.kind.removable:
            raise ValueError(f"the bodies of acts of the kind {removal.kind.name} cannot be removed")
        subjects = pages(sorted(removal.subjects), PAGE_SIZE)
        sequences = sorted(sequence for page in subjects for sequence in self._acts_with_body(removal, page))
        if sequences:
            event, account = removal.event, removal.event.actor.user or ""
            self.append([TOMBSTONE.act(ActTombstone(each, event.time, account)) for each in sequences], signer)
            for page in pages(sequences, PAGE_SIZE):
                self.connection.execute("UPDATE acts SET body = NULL WHERE id IN :ids", ids=page)
        return bool(sequences)

    def check(self, entries: Iterable[LogEntry], verifier: Verifier) -> Iterator[Finding]:
        """H017 to H020: every act against the act before it, its signature and its body; then against the audit log.

        Takes the entries of the audit log, oldest first. Each of them names the head of the acts at its time.
        """
        query = "SELECT key FROM acts WHERE kind || '' = :kind"  # reads the table, and not an index
        tombstones = set(self.connection.column(query, kind=TOMBSTONE.name))
        acts, head = self._all_acts(), EMPTY_LOG
        for entry in entries:
            while head.sequence < entry.acts.sequence and (act := next(acts, None)) is not None:
                yield from _check_act(act, head, tombstones, verifier)
                head = act.head
            if head != entry.acts:
                yield audit_finding("H017", f"entry {entry.sequence} of the audit log names other acts", file="acts")
                return
        unrecorded = 0
        for act in acts:
            yield from _check_act(act, head, tombstones, verifier)
            head, unrecorded = act.head, unrecorded + 1
        if unrecorded:
            message = f"the audit log does not record {count_noun(unrecorded, 'act')}"
            yield audit_finding("H017", message, file="acts")

    def _require_proof(self, verifier: Verifier | None = None) -> ProvenActs:
        return (self.proofs or ActProofs()).require(self.connection, verifier or self.verifier)

    def _acts(self, ids: Sequence[int]) -> Iterator[Act]:
        """The acts of these ids, in this order. Raises UntrustedActError if one of them is missing."""
        for page in pages(ids, PAGE_SIZE):
            rows = self.connection.rows("SELECT * FROM acts WHERE id IN :ids ORDER BY id", ids=page)
            if [row["id"] for row in rows] != page:
                raise changed_acts()
            yield from map(act_from_row, rows)

    def _all_acts(self) -> Iterator[Act]:
        after, query = 0, "SELECT * FROM acts WHERE id > :after ORDER BY id LIMIT :count"
        while page := self.connection.rows(query, after=after, count=PAGE_SIZE):
            yield from map(act_from_row, page)
            after = page[-1]["id"]

    def _acts_with_body(self, removal: BodyRemoval, subjects: Sequence[str]) -> list[int]:
        # an expression of a column in place of the column: an act that was left out of an index is found in the table
        return self.connection.column(
            "SELECT id FROM acts WHERE kind || '' = :kind AND tenant_id || '' = :tenant AND recorded_at <= :until"
            " AND body IS NOT NULL AND subject IN :subjects",
            kind=removal.kind.name,
            tenant=removal.tenant,
            until=removal.until,
            subjects=subjects,
        )


def _record_of_act(kind: ActKind[R], act: Act, proven: ProvenActs) -> R:
    """The record of a proven act. Raises UntrustedActError if its body was changed or removed, or cannot be read."""
    proven.require_act(act)
    if act.body is None or not act.has_own_body:
        message = "the content of a record of the {} was changed or removed"
    else:
        message = "a record of the {} cannot be read"
        with contextlib.suppress(ValueError, TypeError, LookupError, AttributeError):
            return kind.read(act)
    raise UntrustedActError(message.format(f"{kind.name.replace('_', ' ')} {act.key}"), hint=VERIFY_HINT)


def _check_act(act: Act, before: LogHead, tombstones: set[str], verifier: Verifier) -> Iterator[Finding]:
    place = f"acts/{act.id}"
    if act.id != before.sequence + 1 or act.previous != before.digest:
        yield audit_finding("H018", "does not follow the act before it", file=place)
    if not act.has_own_body or (act.body is None) != (str(act.id) in tombstones):
        yield audit_finding("H020", "has another body than the one that was recorded", file=place)
    elif not act.is_signed(verifier):
        yield audit_finding("H019", "is not signed by a known key", file=place)
