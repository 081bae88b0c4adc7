"""The record of an act: a signed body, the tenants with their subjects as tokens, and what the audit log is told."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from minimize.errors import Reason
from minimize.governance.sharing.asked import Asked
from minimize.governance.sharing.composing import Composed
from minimize.governance.sharing.consented import Verdict
from minimize.governance.sharing.keyed import RecipientKeys
from minimize.governance.sharing.payload import Made
from minimize.ledger import Change, Event, Resource, actor_of
from minimize.ledger.tokens import KEY
from minimize.receipt import time_text
from minimize.recipients import Function

if TYPE_CHECKING:
    from minimize.ledger.disclosures import Disclosure, TenantShare

COMPONENT = "sharing"


def tenant_shares(made: Made, verdicts: Mapping[str, Verdict], asked: Asked) -> list[TenantShare]:
    """What was made of each tenant's records."""
    from minimize.ledger.disclosures import TenantShare

    tokens = made.owners.digests(asked.keys) if asked.policy.subject is not None else {}
    version = asked.keys.version_of(KEY) if tokens else None
    return [
        TenantShare(
            name, rows, verdicts[name].consent or "", version if name in tokens else None, tokens.get(name, b"")
        )
        for name, rows in sorted(made.tenants.items())
    ]


def disclosure_of(
    asked: Asked,
    function: Function,
    composed: Composed,
    made: Made,
    shares: list[TenantShare],
    *,
    category: str,
    keys: Collection[str],
    file: Mapping[str, Any] | None,
    now: datetime,
) -> Disclosure:
    """The act, as it is signed. Takes the names of the keys that its pseudonyms were made with."""
    from minimize.ledger.disclosures import Disclosure

    contract = asked.recipient.contract
    kept = None if contract is None else contract.retention
    due = None if kept is None else now + kept
    body = {
        "disclosure": str(uuid4()),
        "at": time_text(asked.at),
        "recorded_at": time_text(now),
        "recipient": asked.recipient.recipient,
        "standing": asked.recipient.standing,
        "function": function.name,
        "purpose": function.purpose,
        "text_version": function.text_version,
        "manifest": asked.recipient.digest,
        "contract": None if contract is None else contract.reference,
        "policy": {"name": asked.policy.policy, "version": asked.policy.version, "digest": asked.policy.digest},
        "fields": {key: composed.fates[key].form for key in composed.sent},
        "keys": [f"{name}/{RecipientKeys(asked.keys).version_of(name)}" for name in sorted(keys)],
        "category": category,
        "rows": made.rows,
        "tenants": {share.tenant_id: _told(share) for share in shares},
        "digest": made.fingerprint.digest,
        "file": None if file is None else dict(file),
        "retention_due": None if due is None else time_text(due),
        "subject_form": "as the data had it" if any(share.tokens for share in shares) else None,
    }
    return Disclosure(
        disclosure=str(body["disclosure"]),
        recorded_at=now,
        recipient=asked.recipient.recipient,
        function=function.name,
        rows=made.rows,
        digest=made.fingerprint.digest,
        retention_due=due,
        body=body,
    )


def event_of_sharing(act: Disclosure, now: datetime) -> Event:
    """What the audit log is told of an act."""
    changes = (
        Change("recipient", None, act.recipient),
        Change("function", None, act.function),
        Change("rows", None, act.rows),
        Change("digest", None, act.digest),
    )
    resource = Resource(act.recipient, "disclosure", act.disclosure, changes)
    return _event("disclose", (resource,), now)


def event_of_refusal(recipient: str, function: str, reasons: tuple[Reason, ...], now: datetime) -> Event:
    """What the audit log is told of an act that was refused."""
    rules = ", ".join(dict.fromkeys(each.code for each in reasons))
    resource = Resource(recipient, "recipient", f"recipients/{recipient}/{function}", (Change("rules", None, rules),))
    return _event("disclose", (resource,), now, refused=True)


def _event(operation: str, resources: tuple[Resource, ...], now: datetime, *, refused: bool = False) -> Event:
    return Event(
        component=COMPONENT,
        category="sharing",
        activity="share",
        operation=operation,
        actor=actor_of(),
        time=now,
        result="refused" if refused else "success",
        resources=resources,
    )


def _told(share: TenantShare) -> dict[str, Any]:
    """What the body says of a tenant; its tokens stand beside it, under this digest."""
    digest = hashlib.sha256(share.tokens).hexdigest()
    return {"rows": share.rows, "consent": share.consent, "subjects": share.subjects, "tokens": f"sha256:{digest}"}
