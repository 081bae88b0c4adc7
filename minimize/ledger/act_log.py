"""Log of acts in the database: appending and finding acts, removal of bodies, and the check of the chain."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import fields
from operator import itemgetter
from typing import Any, Final, NamedTuple, TypeVar, Unpack

from sqlalchemy import Connection, Select, func, insert, null, select, update

from minimize.errors import Finding, LedgerError
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
)
from minimize.ledger.audit_event import EMPTY_LOG, LogEntry, LogHead, audit_finding
from minimize.ledger.schema import ACTS
from minimize.text import count_noun

R = TypeVar("R")
PAGE_SIZE: Final = 1000
_NAMES: Final = tuple(each.name for each in fields(Act))
_COLUMNS: Final = tuple(ACTS.c[name] for name in _NAMES)
_WITHOUT_BODY: Final = tuple(null().label("body") if column.name == "body" else column for column in _COLUMNS)
VERIFY_HINT: Final = "Run `minimize audit verify`. Restore a backup."
_KEYRING_HINT: Final = f"Check that the keyring (--keys, MINIMIZE_KEYS) is the one of this ledger. {VERIFY_HINT}"
_LAST_CHARACTER: Final = "\U0010ffff"


class ActLog(NamedTuple):
    """The log of acts within one transaction."""

    connection: Connection

    def find(self, kind: ActKind[R], **conditions: Unpack[ActFilter]) -> list[R]:
        """See `ActReader.find`."""
        verifier = conditions.get("verifier")
        # sorted here: SQLite would read all acts of a kind to return those of a tenant in order
        rows = sorted(self.connection.execute(_query(kind, conditions)), key=itemgetter(0))
        return [_record_of_act(kind, _act_from_row(row), verifier) for row in rows]

    def last_id(self, kind: ActKind[Any]) -> int:
        """The id of the last act of a kind; 0 if there is none."""
        newest = select(func.max(ACTS.c.id)).where(ACTS.c.kind == kind.name)
        return self.connection.execute(newest).scalar() or 0

    def head(self) -> LogHead:
        """The head of the log; `EMPTY_LOG` if it has no acts."""
        row = self.connection.execute(select(*_WITHOUT_BODY).order_by(ACTS.c.id.desc()).limit(1)).one_or_none()
        return EMPTY_LOG if row is None else _act_from_row(row).head

    def append(self, new: Sequence[NewAct], signer: Signer) -> LogHead:
        """Signs and appends acts, under the lock of the ledger. Returns the new head."""
        head, rows = self.head(), list[dict[str, Any]]()
        for each in new:
            act = Act.after(head, each)
            head, signed = act.head, act.signed_by(signer)
            rows.append({name: getattr(signed, name) for name in _NAMES})
        if rows:
            self.connection.execute(insert(ACTS), rows)
        return head

    def tenants(self) -> frozenset[str]:
        """The tenants that acts name."""
        return frozenset(
            self.connection.scalars(select(ACTS.c.tenant_id).distinct().where(ACTS.c.tenant_id.is_not(None)))
        )

    def remove_bodies(self, removal: BodyRemoval, signer: Signer) -> bool:
        """Removes bodies and records a tombstone for each act. Returns whether there were any."""
        if not removal.kind.removable:
            raise ValueError(f"the bodies of acts of the kind {removal.kind.name} cannot be removed")
        query = select(ACTS.c.id).where(
            (ACTS.c.kind == removal.kind.name)
            & (ACTS.c.tenant_id == removal.tenant)
            & (ACTS.c.recorded_at <= removal.until)
            & ACTS.c.body.is_not(None)
        )
        distinct = sorted(removal.subjects)
        parts = (distinct[start : start + PAGE_SIZE] for start in range(0, len(distinct), PAGE_SIZE))
        found = sorted(
            each for part in parts for each in self.connection.scalars(query.where(ACTS.c.subject.in_(part)))
        )
        if found:
            event, account = removal.event, removal.event.actor.user or ""
            self.append([TOMBSTONE.act(ActTombstone(each, event.time, account)) for each in found], signer)
            for start in range(0, len(found), PAGE_SIZE):
                page = ACTS.c.id.in_(found[start : start + PAGE_SIZE])
                self.connection.execute(update(ACTS).where(page).values(body=None))
        return bool(found)

    def check(self, entries: Iterable[LogEntry], verifier: Verifier) -> Iterator[Finding]:
        """H017 to H020: every act against the act before it, its signature and its body; then against the audit log.

        Takes the entries of the audit log, oldest first. Each of them names the head of the acts at its time.
        """
        tombstones = set(self.connection.scalars(select(ACTS.c.key).where(ACTS.c.kind == TOMBSTONE.name)))
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

    def _all_acts(self) -> Iterator[Act]:
        after = 0
        query = select(*_COLUMNS).order_by(ACTS.c.id).limit(PAGE_SIZE)
        while page := self.connection.execute(query.where(ACTS.c.id > after)).all():
            yield from map(_act_from_row, page)
            after = page[-1].id


def _act_from_row(row: Sequence[Any]) -> Act:
    """The act of a row. Raises LedgerError for bytes, which SQLite permits in a column of texts; it converts other values."""
    if bytes in map(type, row):
        raise LedgerError("the ledger contains an act that cannot be read", hint="Restore a backup.")
    return Act(*row)


def _record_of_act(kind: ActKind[R], act: Act, verifier: Verifier | None) -> R:
    """The record of an act. Raises UntrustedActError if its body was changed or removed, or it is not signed by a known key."""
    hint = VERIFY_HINT
    if act.body is None or not act.has_own_body:
        message = "the content of a record of the {} was changed or removed"
    elif verifier is not None and not act.is_signed(verifier):
        message, hint = "a record of the {} is not signed by a known key", _KEYRING_HINT
    else:
        message = "a record of the {} cannot be read"
        with contextlib.suppress(ValueError, TypeError, LookupError, AttributeError):
            return kind.read(act)
    raise UntrustedActError(message.format(f"{kind.name.replace('_', ' ')} {act.key}"), hint=hint)


def _query(kind: ActKind[Any], conditions: ActFilter) -> Select[Any]:
    """The acts of a filter. Only bodies of a removable kind may be absent."""
    found = select(*_COLUMNS).where(ACTS.c.kind == kind.name)
    if kind.removable:
        found = found.where(ACTS.c.body.is_not(None))
    if (key := conditions.get("key")) is not None:
        found = found.where(ACTS.c.key == key)
    if (start := conditions.get("key_start")) is not None:
        found = found.where((ACTS.c.key >= start) & (ACTS.c.key <= start + _LAST_CHARACTER))
    if (end := conditions.get("key_end")) is not None:
        found = found.where(func.substr(ACTS.c.key, func.length(ACTS.c.key) - len(end) + 1) == end)
    if (tenant := conditions.get("tenant")) is not None:
        found = found.where(ACTS.c.tenant_id == tenant)
    if (after := conditions.get("after")) is not None:
        found = found.where(ACTS.c.id > after)
    if (until := conditions.get("until")) is not None:
        found = found.where(ACTS.c.id <= until)
    return found


def _check_act(act: Act, before: LogHead, tombstones: set[str], verifier: Verifier) -> Iterator[Finding]:
    place = f"acts/{act.id}"
    if act.id != before.sequence + 1 or act.previous != before.digest:
        yield audit_finding("H018", "does not follow the act before it", file=place)
    if not act.has_own_body or (act.body is None) != (str(act.id) in tombstones):
        yield audit_finding("H020", "has another body than the one that was recorded", file=place)
    elif not act.is_signed(verifier):
        yield audit_finding("H019", "is not signed by a known key", file=place)
