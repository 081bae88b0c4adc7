"""Acts for tests: records are put into a ledger with one audit event."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final

from minimize.keys.cryptography import Signer
from minimize.ledger import Actor, AuditActivity, AuditEvent
from minimize.ledger.act_log import ActLog
from minimize.ledger.acts import ActKind, Decision
from minimize.ledger.audit_log import append_event
from minimize.ledger.database import Connection
from minimize.ledger.ledger import Ledger

RECORDED_AT: Final = datetime(2026, 11, 25, tzinfo=UTC)
_ACTIVITY: Final = AuditActivity("test", component="tests", category="configuration")


def record_acts(
    ledger: Ledger, signer: Signer, kind: ActKind[Any], *records: Any, event: AuditEvent | None = None
) -> None:
    """Records acts of a kind in one transaction, with this audit event or one that names nothing."""
    told = event or _ACTIVITY.event("record", Actor("user", user="ann"), RECORDED_AT)
    acts = [kind.act(each, recorded_at=RECORDED_AT, actor="ann") for each in records]
    ledger.record(lambda _: Decision(None, acts, [told]), signer)


def plant_acts(ledger: Ledger, signer: Signer, kind: ActKind[Any], *records: Any) -> None:
    """Appends acts, and an audit entry that names them, without the check that refuses another's keyring."""
    told = _ACTIVITY.event("record", Actor("user", user="eve"), RECORDED_AT)

    def work(connection: Connection) -> None:
        acts = [kind.act(each, recorded_at=RECORDED_AT, actor="eve") for each in records]
        append_event(connection, told, signer, acts=ActLog(connection).append(acts, signer))

    ledger.write(work)
