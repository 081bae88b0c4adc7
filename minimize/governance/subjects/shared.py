"""What of a subject was shared, with whom: the disclosures whose tokens name him."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from minimize.canonical import both_forms
from minimize.governance.sharing.owners import token_of
from minimize.governance.subjects.asked import Subject
from minimize.keys import Keyring
from minimize.ledger.disclosures import WIDTH, Disclosure, TenantShare, disclosures, tenants_of
from minimize.ledger.ledger import Ledger
from minimize.receipt import time_text


@dataclass(frozen=True, slots=True)
class Shared:
    """One act of sharing that a subject's records were part of."""

    disclosure: str
    tenant: str
    recipient: str
    function: str
    purpose: str
    fields: tuple[str, ...]
    at: datetime
    until: datetime | None

    def as_json(self) -> dict[str, Any]:
        """The act as a view gives it."""
        until = None if self.until is None else time_text(self.until)
        return {
            "disclosure": self.disclosure,
            "tenant_id": self.tenant,
            "recipient": self.recipient,
            "function": self.function,
            "purpose": self.purpose,
            "fields": list(self.fields),
            "at": time_text(self.at),
            "until": until,
        }


Acts = Sequence[tuple[Disclosure, TenantShare]]
"""Every act of sharing with what was sent of each tenant, oldest first."""


def acts(ledger: Ledger) -> Acts:
    """Every act of the ledger."""
    return [(act, share) for act in disclosures(ledger) for share in tenants_of(ledger, act.disclosure)]


def shared(
    told: Acts, subject: Subject, tenants: Iterable[str], keys: Keyring, forms: Collection[str] = ()
) -> Iterator[Shared]:
    """The acts of sharing that name the subject, oldest first; of a whole tenant all of its own.

    Takes the tenants that are known, and the forms in which outputs have him: what was shared from an output was told by those.
    Disclosures name the policy's subjects: who is named by another field is told by the forms of those beside him.
    """
    names = frozenset(tenants) if subject.tenant is None else frozenset({subject.tenant})
    itself = both_forms(subject.id) if subject.id is not None and subject.field is None else ()
    for act, share in told:
        if share.tenant_id in names and (
            subject.is_tenant or any(_names(share, each, keys) for each in (*itself, *forms))
        ):
            yield _shared(act, share)


def by_recipient(sent: Iterable[Shared]) -> dict[str, list[str]]:
    """The recipients of these acts, each with the disclosures."""
    told: dict[str, list[str]] = {}
    for act in sent:
        told.setdefault(act.recipient, []).append(act.disclosure)
    return told


def _names(share: TenantShare, id_: str, keys: Keyring) -> bool:
    if share.key_version is None:
        return False
    token = bytes.fromhex(token_of(keys, share.tenant_id, id_, share.key_version).rpartition(":")[2])
    at = share.tokens.find(token)
    while at >= 0 and at % WIDTH:
        at = share.tokens.find(token, at + 1)
    return at >= 0


def _shared(act: Disclosure, share: TenantShare) -> Shared:
    purpose, fields = str(act.body.get("purpose") or ""), tuple(act.body["fields"])
    return Shared(
        act.disclosure,
        share.tenant_id,
        act.recipient,
        act.function,
        purpose,
        fields,
        act.recorded_at,
        act.retention_due,
    )
