"""Log of acts in the database: appending and finding acts, removal of bodies, and the check of the chain."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import fields
from operator import itemgetter
from typing import Any, Final, NamedTuple, TypeVar, Unpack

from minimize.errors import Finding
from minimize.keys import Verifier
from minimize.keys.cryptography import Signer
from minimize.ledger.act_proof import VERIFY_HINT, ActProofs, act_from_row
from minimize.ledger.acts import (
    TOMBSTONE,
    Act,
    ActFilter,
    ActKind,
    ActTombstone,
    BodyRemoval,
    NewAct,
    UntrustedActError,
    pages,
)
from minimize.ledger.audit_event import EMPTY_LOG, LogEntry, LogHead, audit_finding
from minimize.ledger.database import Connection, Row
from minimize.text import count_noun

R = TypeVar("R")
PAGE_SIZE: Final = 1000
_NAMES: Final = tuple(each.name for each in fields(Act))
_WITHOUT_BODY: Final = ", ".join("NULL AS body" if name == "body" else name for name in _NAMES)
_CONDITIONS: Final[Mapping[str, str]] = {
    "key": "key = :key",
    "key_start": "key >= :key_start AND key <= :key_last",
    "key_end": "substr(key, length(key) - :key_end_length + 1) = :key_end",
    "tenant": "tenant_id = :tenant",
    "tenants": "tenant_id IN :tenants",
    "after": "id > :after",
    "until": "id <= :until",
}
"""The condition of each member of `ActFilter` that the database checks."""
_LAST_CHARACTER: Final = "\U0010ffff"


class ActLog(NamedTuple):
    """The log of acts within one transaction. Every read requires a proof of all acts (see `act_proof`).

    proofs    those of the open ledger; without them, the acts are proven at each read
    verifier  the keys that signed the ledger
    """

    connection: Connection
    proofs: ActProofs | None = None
    verifier: Verifier | None = None

    def find(self, kind: ActKind[R], **conditions: Unpack[ActFilter]) -> list[R]:
        """See `ActReader.find`."""
        proofs = self._require_proof(conditions.get("verifier"))
        query, values = _query(kind, conditions)
        # sorted here: SQLite would read all acts of a kind to return those of a tenant in order
        rows = sorted(self.connection.rows(query, **values), key=itemgetter("id"))
        return [_record_of_act(kind, act_from_row(row), proofs) for row in rows]

    def last_id(self, kind: ActKind[Any]) -> int:
        """The id of the last act of a kind; 0 if there is none."""
        self._require_proof()
        return self.connection.value("SELECT max(id) FROM acts WHERE kind = :kind", kind=kind.name) or 0

    def head(self) -> LogHead:
        """The head of the log; `EMPTY_LOG` if it has no acts."""
        row = self.connection.row(f"SELECT {_WITHOUT_BODY} FROM acts ORDER BY id DESC LIMIT 1")  # noqa: S608
        return EMPTY_LOG if row is None else act_from_row(row).head

    def append(self, new: Sequence[NewAct], signer: Signer, *, after: LogHead | None = None) -> LogHead:
        """Signs and appends acts, under the lock of the ledger. Takes the head if the caller has it. Returns the new one."""
        head, rows = after or self.head(), list[Row]()
        for each in new:
            act = Act.after(head, each)
            head, signed = act.head, act.signed_by(signer)
            rows.append({name: getattr(signed, name) for name in _NAMES})
        if rows:
            self.connection.insert("acts", *rows)
        return head

    def tenants(self) -> frozenset[str]:
        """The tenants that acts name."""
        self._require_proof()
        return frozenset(self.connection.column("SELECT DISTINCT tenant_id FROM acts WHERE tenant_id IS NOT NULL"))

    def remove_bodies(self, removal: BodyRemoval, signer: Signer) -> bool:
        """Removes bodies and records a tombstone for each act. Returns whether there were any."""
        if not removal.kind.removable:
            raise ValueError(f"the bodies of acts of the kind {removal.kind.name} cannot be removed")
        subjects = pages(sorted(removal.subjects), PAGE_SIZE)
        found = sorted(each for page in subjects for each in self._acts_with_body(removal, page))
        if found:
            event, account = removal.event, removal.event.actor.user or ""
            self.append([TOMBSTONE.act(ActTombstone(each, event.time, account)) for each in found], signer)
            for page in pages(found, PAGE_SIZE):
                self.connection.execute("UPDATE acts SET body = NULL WHERE id IN :ids", ids=page)
        return bool(found)

    def check(self, entries: Iterable[LogEntry], verifier: Verifier) -> Iterator[Finding]:
        """H017 to H020: every act against the act before it, its signature and its body; then against the audit log.

        Takes the entries of the audit log, oldest first. Each of them names the head of the acts at its time.
        """
        tombstones = set(self.connection.column("SELECT key FROM acts WHERE kind = :kind", kind=TOMBSTONE.name))
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

    def _require_proof(self, verifier: Verifier | None = None) -> ActProofs:
        proofs = self.proofs or ActProofs()
        proofs.require(self.connection, verifier or self.verifier)
        return proofs

    def _all_acts(self) -> Iterator[Act]:
        after, query = 0, "SELECT * FROM acts WHERE id > :after ORDER BY id LIMIT :count"
        while page := self.connection.rows(query, after=after, count=PAGE_SIZE):
            yield from map(act_from_row, page)
            after = page[-1]["id"]

    def _acts_with_body(self, removal: BodyRemoval, subjects: Sequence[str]) -> list[int]:
        return self.connection.column(
            "SELECT id FROM acts WHERE kind = :kind AND tenant_id = :tenant AND recorded_at <= :until"
            " AND body IS NOT NULL AND subject IN :subjects",
            kind=removal.kind.name,
            tenant=removal.tenant,
            until=removal.until,
            subjects=subjects,
        )


def _record_of_act(kind: ActKind[R], act: Act, proofs: ActProofs) -> R:
    """The record of a proven act. Raises UntrustedActError if its body was changed or removed, or cannot be read."""
    proofs.require_act(act)
    if act.body is None or not act.has_own_body:
        message = "the content of a record of the {} was changed or removed"
    else:
        message = "a record of the {} cannot be read"
        with contextlib.suppress(ValueError, TypeError, LookupError, AttributeError):
            return kind.read(act)
    raise UntrustedActError(message.format(f"{kind.name.replace('_', ' ')} {act.key}"), hint=VERIFY_HINT)


def _query(kind: ActKind[Any], conditions: ActFilter) -> tuple[str, Row]:
    """The query for the acts of a filter, and its values. Only bodies of a removable kind may be absent."""
    values: Row = {name: value for name, value in conditions.items() if name in _CONDITIONS and value is not None}
    where = ["kind = :kind", *(["body IS NOT NULL"] if kind.removable else []), *map(_CONDITIONS.__getitem__, values)]
    bounds = {
        "key_last": f"{values.get('key_start', '')}{_LAST_CHARACTER}",
        "key_end_length": len(values.get("key_end", "")),
    }
    return f"SELECT * FROM acts WHERE {' AND '.join(where)}", {"kind": kind.name, **bounds, **values}  # noqa: S608


def _check_act(act: Act, before: LogHead, tombstones: set[str], verifier: Verifier) -> Iterator[Finding]:
    place = f"acts/{act.id}"
    if act.id != before.sequence + 1 or act.previous != before.digest:
        yield audit_finding("H018", "does not follow the act before it", file=place)
    if not act.has_own_body or (act.body is None) != (str(act.id) in tombstones):
        yield audit_finding("H020", "has another body than the one that was recorded", file=place)
    elif not act.is_signed(verifier):
        yield audit_finding("H019", "is not signed by a known key", file=place)
