"""Log of acts in the database: appending and finding acts, removal of bodies, and the check of the chain."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import fields
from datetime import datetime
from typing import Any, Final, NamedTuple, TypeVar, Unpack

from minimize.errors import Finding
from minimize.keys import Verifier
from minimize.keys.cryptography import Signer
from minimize.ledger.act_proof import VERIFY_HINT, ActProofs, ProvenActs, act_from_row, changed_acts
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
from minimize.times import Clock, utc_now

R = TypeVar("R")
PAGE_SIZE: Final = 1000
_NAMES: Final = tuple(each.name for each in fields(Act))
_WITHOUT_BODY: Final = ", ".join("NULL AS body" if name == "body" else name for name in _NAMES)


class ActLog(NamedTuple):
    """The log of acts within one transaction. Every read requires a proof of all acts (see `act_proof`).

    proofs    those of the open ledger; without them, the acts are proven at each read
    verifier  the keys that signed the ledger
    clock     gives the current time
    """

    connection: Connection
    proofs: ActProofs | None = None
    verifier: Verifier | None = None
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
        for each in new:
            act = Act.after(head, each)
            head, signed = act.head, act.signed_by(signer)
            rows.append({name: getattr(signed, name) for name in _NAMES})
        if rows:
            self.connection.insert("acts", *rows)
        return head

    def tenants(self) -> frozenset[str]:
        """The tenants that acts name."""
        return self._require_proof().tenants()

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
