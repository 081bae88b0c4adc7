"""Disclosures about a subject: those whose tokens name the subject, and their recipients."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from minimize.governance.sharing.payload import disclosure_token
from minimize.governance.subjects.named_subjects import DataSubject
from minimize.identifiers import exact_and_folded
from minimize.keys import Keyring
from minimize.ledger.kinds import TENANT_SHARE, TOKEN_BYTES, Disclosure, TenantShare, find_disclosures
from minimize.results import JsonResult, json_member

if TYPE_CHECKING:
    from minimize.ledger.ledger import Ledger


@dataclass(frozen=True, slots=True)
class SubjectDisclosure(JsonResult):
    """One disclosure that contained a subject's records."""

    disclosure: str
    tenant: str = field(metadata=json_member("tenant_id"))
    recipient: str
    function: str
    purpose: str
    fields: tuple[str, ...]
    shared_at: datetime = field(metadata=json_member("at"))
    until: datetime | None


DisclosedShares = Sequence[tuple[Disclosure, TenantShare]]
"""All disclosures with the data sent about each tenant, oldest first."""


def load_disclosures(ledger: Ledger) -> DisclosedShares:
    """All disclosures in the ledger."""
    return [(act, share) for act in find_disclosures(ledger) for share in ledger.find(TENANT_SHARE, key=act.disclosure)]


def disclosures_of(
    shares: DisclosedShares, subject: DataSubject, tenants: Iterable[str], keys: Keyring, forms: Collection[str] = ()
) -> Iterator[SubjectDisclosure]:
    """The disclosures that name the subject, oldest first; for a whole tenant all of its disclosures.

    Takes the known tenants, and the subject's forms in outputs, because a disclosure from an output is recorded with these forms.
    Disclosures name the policy's subjects. A subject named by another field is found by the forms of the subjects in its records.
    """
    names = frozenset(tenants) if subject.tenant is None else frozenset({subject.tenant})
    itself = exact_and_folded(subject.id) if subject.id is not None and subject.field is None else ()
    for act, share in shares:
        if share.tenant_id in names and (
            subject.is_tenant or any(_names_subject(share, each, keys) for each in (*itself, *forms))
        ):
            yield _subject_disclosure(act, share)


def disclosures_by_recipient(sent: Iterable[SubjectDisclosure]) -> dict[str, list[str]]:
    """The recipients of these disclosures, each with the disclosures."""
    by_recipient: dict[str, list[str]] = {}
    for act in sent:
        by_recipient.setdefault(act.recipient, []).append(act.disclosure)
    return by_recipient


def _names_subject(share: TenantShare, id_: str, keys: Keyring) -> bool:
    if share.key_version is None:
        return False
    token = bytes.fromhex(disclosure_token(keys, share.tenant_id, id_, share.key_version).rpartition(":")[2])
    at = share.tokens.find(token)
    while at >= 0 and at % TOKEN_BYTES:
        at = share.tokens.find(token, at + 1)
    return at >= 0


def _subject_disclosure(act: Disclosure, share: TenantShare) -> SubjectDisclosure:
    purpose, fields = str(act.body.get("purpose") or ""), tuple(act.body["fields"])
    return SubjectDisclosure(
        disclosure=act.disclosure,
        tenant=share.tenant_id,
        recipient=act.recipient,
        function=act.function,
        purpose=purpose,
        fields=fields,
        shared_at=act.recorded_at,
        until=act.retention_due,
    )
