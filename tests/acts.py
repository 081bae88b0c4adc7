"""Acts for tests: records are put into a ledger with one audit event."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final

from minimize.keys.cryptography import Signer
from minimize.ledger import Actor, AuditActivity, AuditEvent
from minimize.ledger.acts import ActKind, Decision
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
