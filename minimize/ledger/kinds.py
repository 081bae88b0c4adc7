"""Kinds of acts in the ledger: the record of each kind, and the key by which it is found.

sharing     disclosures with the share of each tenant, recalls, consents, contracts and prerequisites of tenants
access      adoptions of an access file or of a ledger, just-in-time grants, and API tokens
incidents   one act for each step
settings    one act for each row of collection settings
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any, Final, Literal

from minimize.keys import Verifier
from minimize.keys.cryptography import Signer, is_signed, sign_as_text
from minimize.ledger.acts import ActKind, ActReader, AuditForm, Decision, without_empty
from minimize.ledger.audit_event import (
    SHARE_ACTIVITY,
    AuditActivity,
    PlainValue,
    utc_text,
)
from minimize.receipts import canonical_json, sha256_text
from minimize.times import time_text, time_text_or_none

TOKEN_BYTES: Final = 16
"""Bytes of the token of a subject."""


@dataclass(frozen=True, slots=True)
class TenantShare:
    """The share of one tenant in a disclosure: rows, the consent that covers them, and their subjects as keyed tokens.

    tokens         16 bytes each, ascending
    key_version    the version of the key of the tokens; None if there are no tokens
    contract       the reference of the contract that governs the data; empty in disclosures without contracts of tenants
    retention_due  the time by which that contract requires the deletion
    """

    disclosure: str
    tenant_id: str
    rows: int
    consent: str
    key_version: int | None = None
    tokens: bytes = field(default=b"", repr=False)
    contract: str = ""
    retention_due: datetime | None = None

    @property
    def subjects(self) -> int:
        """The number of subjects."""
        return len(self.tokens) // TOKEN_BYTES

    def token_texts(self) -> list[str]:
        """The tokens as text."""
        pieces = (self.tokens[at : at + TOKEN_BYTES] for at in range(0, len(self.tokens), TOKEN_BYTES))
        return [disclosure_token_text(self.key_version or 0, piece) for piece in pieces]


TENANT_SHARE: Final = ActKind("share", TenantShare, key="{0.disclosure}", tenant="tenant_id")


@dataclass(frozen=True, slots=True)
class Disclosure:
    """One recorded disclosure: its body, its signature, and the time by which the recipient must delete the data.

    The other fields repeat parts of the body, which is authoritative and signed.
    """

    disclosure: str
    recorded_at: datetime
    recipient: str
    function: str
    rows: int
    digest: str
    retention_due: datetime | None
    body: Mapping[str, Any]
    key: str = ""
    signature: str = ""

    def signed_by(self, signer: Signer) -> Disclosure:
        """The disclosure with a signature. Raises KeyringError without a signing key."""
        key, signature = sign_as_text(canonical_json(dict(self.body)), signer)
        return replace(self, key=key, signature=signature)

    def is_signed(self, verifier: Verifier) -> bool:
        """Whether a known key signed the stored body."""
        return is_signed(canonical_json(dict(self.body)), self.signature, self.key, verifier)

    def to_json(self) -> dict[str, Any]:
        """The disclosure as the JSON object that `share log --json` prints. A part of a disclosure has no signature."""
        signature = {"algorithm": "ed25519", "key": self.key, "value": self.signature} if self.signature else None
        return {**self.body, "signature": signature}


DISCLOSURE: Final = ActKind(
    "disclosure",
    Disclosure,
    key="{0.recipient}/{0.disclosure}",
    audit=AuditForm(
        SHARE_ACTIVITY,
        type="disclosure",
        id="{0.disclosure}",
        name="{0.recipient}",
        properties=lambda act: {
            "recipient": act.recipient,
            "function": act.function,
            "rows": act.rows,
            "digest": act.digest,
        },
    ),
)


def disclosure_token_text(version: int, token: bytes) -> str:
    """The token of a subject as text, with the version of its key.

    >>> disclosure_token_text(1, bytes(16))
    'disclosed/1:00000000000000000000000000000000'
    """
    return f"disclosed/{version}:{token.hex()}"


def find_disclosures(acts: ActReader, recipient: str | None = None) -> list[Disclosure]:
    """The disclosures, oldest first; optionally those to one recipient."""
    return acts.find(DISCLOSURE, key_start=None if recipient is None else f"{recipient}/")


RecallState = Literal["requested", "confirmed"]


@dataclass(frozen=True, slots=True)
class RecallStep:
    """One step of a recall: the disclosure and tenant, the reason for the deletion, and its state."""

    disclosure: str
    tenant_id: str
    recipient: str
    cause: str
    state: RecallState
    recorded_at: datetime
    actor: str


RECALL: Final = ActKind(
    "recall",
    RecallStep,
    key="{0.recipient}/{0.disclosure}",
    tenant="tenant_id",
    actor="actor",
    audit=AuditForm(
        SHARE_ACTIVITY,
        type="recipient",
        id="recipients/{0.recipient}",
        name="{0.recipient}",
        properties=lambda step: {"state": step.state},
    ),
)


def find_recall_steps(acts: ActReader, recipient: str | None = None) -> list[RecallStep]:
    """The steps of recalls, in the order of recording; optionally those of one recipient."""
    return acts.find(RECALL, key_start=None if recipient is None else f"{recipient}/")


def new_recall_steps(acts: ActReader, steps: Sequence[RecallStep]) -> list[RecallStep]:
    """The steps that are not recorded yet. Each state is recorded once for each disclosure and tenant."""
    recorded = {
        (step.disclosure, step.tenant_id, step.state)
        for recipient in {step.recipient for step in steps}
        for step in find_recall_steps(acts, recipient)
    }
    return [step for step in steps if (step.disclosure, step.tenant_id, step.state) not in recorded]


def recall_decision(acts: ActReader, steps: Sequence[RecallStep]) -> Decision[list[RecallStep]]:
    """The decision to record the steps at one recipient that are not recorded yet, with one audit event. Takes at least one."""
    new = new_recall_steps(acts, steps)
    return RECALL.joint_decision("recall", *new, properties={"state": steps[0].state, "entries": len(new)})


@dataclass(frozen=True)
class ConsentAct:
    """One act about a consent: tenant, recipient and function, new state, account, validity and time of recording.

    state          requested, unconfirmed, given, renewed, refused, withdrawn or expired
    terms          what was asked or agreed to, as JSON
    text           the text that the tenant was asked to agree to
    evidence_kind  `token` or `document`; empty for a request, an expiry, and acts of versions without evidence
    evidence       the name of the API token of the account, or the reference of the document
    digest         `sha256:` of the document; empty for a token
    confirmed_by   the second person who confirmed a consent by document
    """

    tenant_id: str
    recipient: str
    function: str
    state: str
    terms: str
    by: str
    valid_from: datetime
    expires_at: datetime | None
    recorded_at: datetime
    text: str = ""
    evidence_kind: str = ""
    evidence: str = ""
    digest: str = ""
    confirmed_by: str = ""

    @cached_property
    def id(self) -> str:
        """The id of the act: a digest of its content."""
        ends = "" if self.expires_at is None else utc_text(self.expires_at)
        times = (utc_text(self.valid_from), ends, utc_text(self.recorded_at))
        words = [self.tenant_id, self.recipient, self.function, self.state, self.terms, self.by, *times]
        proof = [self.text, self.evidence_kind, self.evidence]
        words += proof if any(proof) else []
        document = [self.digest, self.confirmed_by]
        words += document if any(document) else []
        return hashlib.sha256(json.dumps(words).encode()).hexdigest()


def _consent_properties(act: ConsentAct) -> dict[str, PlainValue]:
    return {
        "state": act.state,
        "text_version": json.loads(act.terms)["text_version"],
        "terms": sha256_text(act.terms.encode()),
        "valid_from": time_text(act.valid_from),
        "expires_at": time_text_or_none(act.expires_at),
        "evidence": act.evidence_kind or None,
        **without_empty(document=act.digest),
    }


CONSENT: Final = ActKind(
    "consent",
    ConsentAct,
    key="{0.recipient}/{0.function}",
    tenant="tenant_id",
    valid_from="valid_from",
    actor="by",
    audit=AuditForm(
        AuditActivity("consent", component="consent", category="consent"),
        type="consent",
        id="consents/{0.tenant_id}/{0.recipient}/{0.function}",
        name="{0.function}",
        properties=_consent_properties,
        compared=("state",),
    ),
)
_MICROSECOND: Final = timedelta(microseconds=1)


def find_consents(acts: ActReader, *, tenant: str | None = None, recipient: str | None = None) -> list[ConsentAct]:
    """The acts about consents, in the order of recording; optionally those of one tenant or recipient.

    The order in the ledger decides which act came first, not the clocks.
    """
    return acts.find(CONSENT, tenant=tenant, key_start=None if recipient is None else f"{recipient}/")


def distinct_consent_acts(acts: ActReader, new: Iterable[ConsentAct]) -> list[ConsentAct]:
    """New acts with ids that are unique: an act that is repeated in the same microsecond gets a later time."""
    distinct = list[ConsentAct]()
    for act in new:
        ids = {each.id for each in find_consents(acts, tenant=act.tenant_id, recipient=act.recipient)}
        ids |= {each.id for each in distinct}
        while act.id in ids:
            act = replace(act, recorded_at=act.recorded_at + _MICROSECOND)
        distinct.append(act)
    return distinct


ContractState = Literal["recorded", "ended"]


@dataclass(frozen=True, slots=True)
class ContractAct:
    """One act about the contract of a tenant with a recipient. The last act of a reference decides.

    terms     the contract, in the keys of a recipient's file; after its end with the day as `until`
    evidence  the document that shows the contract or its end, such as the number of the signed copy
    digest    `sha256:` of the document that shows the contract
    """

    tenant_id: str
    recipient: str
    reference: str
    state: ContractState
    terms: Mapping[str, Any]
    evidence: str
    by: str
    recorded_at: datetime
    digest: str = ""


def _contract_properties(act: ContractAct) -> dict[str, PlainValue]:
    terms = {name: act.terms[name] for name in ("from", "until", "permits_transmission")}
    return {"reference": act.reference, "state": act.state, **terms, **without_empty(document=act.digest)}


CONTRACT: Final = ActKind(
    "contract",
    ContractAct,
    key="{0.recipient}",
    tenant="tenant_id",
    actor="by",
    audit=AuditForm(
        AuditActivity("contract", component="contract", category="consent"),
        type="contract",
        id="contracts/{0.tenant_id}/{0.recipient}",
        name="{0.reference}",
        properties=_contract_properties,
    ),
)

PrerequisiteState = Literal["confirmed", "revoked"]


@dataclass(frozen=True, slots=True)
class PrerequisiteAct:
    """The confirmation that a tenant meets a prerequisite of a recipient's functions, or that it no longer does.

    evidence     the document or ticket that shows it, or the name of the API token of the tenant's administrator
    digest       `sha256:` of the document
    permissions  what an administrator of the tenant has granted, for the prerequisite `admin_consent`
    """

    tenant_id: str
    recipient: str
    requirement: str
    state: PrerequisiteState
    evidence: str
    by: str
    recorded_at: datetime
    digest: str = ""
    permissions: tuple[str, ...] = ()


FUNCTION_ACTIVITY: Final = AuditActivity("function", component="functions", category="consent")
PREREQUISITE: Final = ActKind(
    "prerequisite",
    PrerequisiteAct,
    key="{0.recipient}",
    tenant="tenant_id",
    actor="by",
    audit=AuditForm(
        FUNCTION_ACTIVITY,
        type="prerequisite",
        id="prerequisites/{0.tenant_id}/{0.recipient}",
        name="{0.requirement}",
        properties=lambda act: {
            "requirement": act.requirement,
            "state": act.state,
            **without_empty(permissions=", ".join(act.permissions), document=act.digest),
        },
    ),
)


@dataclass(frozen=True, slots=True)
class AccessAdoption:
    """An adopted access file: its content, the account that adopted it, and the time. The last adoption is in force."""

    content: str
    by: str
    recorded_at: datetime

    @property
    def digest(self) -> str:
        """The digest of the file."""
        return sha256_text(self.content.encode())


ACCESS_ADOPTION: Final = ActKind("access_file", AccessAdoption, key="access", actor="by")


@dataclass(frozen=True, slots=True)
class AdoptedOutput:
    """An output that continues with this ledger: the output, the reason, the ledger it had (None: none), and the receipt."""

    output: str
    reason: str
    ledger_before: str | None
    receipt: str
    recorded_at: datetime
    actor: str


LEDGER_ADOPTION: Final = ActKind("ledger_adoption", AdoptedOutput, key="{0.output}", actor="actor")


@dataclass(frozen=True, slots=True)
class GrantAct:
    """One step of a grant: the grant, its new state, the account, the details and the time of recording.

    state  requested, broke_glass, approved, denied, revoked, expired or reviewed
    """

    grant: str
    state: str
    by: str
    body: Mapping[str, Any]
    recorded_at: datetime


GRANT: Final = ActKind(
    "grant",
    GrantAct,
    key="{0.grant}",
    actor="by",
    audit=AuditForm(
        AuditActivity("grant", component="access", category="access"),
        type="grant",
        id="grants/{0.grant}",
        name="{0.grant}",
        correlation="{0.grant}",
        properties=lambda _: {},
    ),
)

TokenState = Literal["requested", "issued", "spent", "revoked"]


@dataclass(frozen=True, slots=True)
class ApiToken:
    """An API token as the ledger stores it: name, account, digest of the secret, validity. The secret is not stored.

    token   its name, which grants no access
    once    it is valid for a single call
    digest  `signing/1:` and hexadecimal digits: a keyed digest of the secret and of the fields above and the times; empty for a
            request
    state   the new state; each state is recorded once. A token that was requested has no effect until another person has
            confirmed it, which issues it.
    by      the account that recorded the state
    """

    token: str
    user: str
    once: bool
    digest: str
    issued_at: datetime
    expires_at: datetime
    state: TokenState = "issued"
    by: str = ""


API_TOKEN: Final = ActKind(
    "api_token",
    ApiToken,
    key="{0.token}",
    actor="by",
    audit=AuditForm(
        AuditActivity("token", component="door", category="access"),
        type="token",
        id="tokens/{0.token}",
        name="{0.token}",
        properties=lambda token: {
            "user": token.user,
            "once": token.once,
            "expires_at": utc_text(token.expires_at),
        },
    ),
)


@dataclass(frozen=True, slots=True)
class IncidentStep:
    """One step of an incident: its kind, the account, the details and the time of recording.

    body       names, counts and texts; no value of a record
    tenant_id  the tenant of a step that concerns one tenant, such as the delivery of its notice
    """

    incident: str
    step: str
    by: str
    body: Mapping[str, Any]
    recorded_at: datetime
    tenant_id: str | None = None

    @property
    def body_text(self) -> str:
        """The details as canonical text, whose digest the audit log shows."""
        return json.dumps(self.body, sort_keys=True, ensure_ascii=False)


INCIDENT: Final = ActKind(
    "incident",
    IncidentStep,
    key="{0.incident}",
    tenant="tenant_id",
    actor="by",
    audit=AuditForm(
        AuditActivity("incident", component="incidents", category="incidents"),
        type="incident",
        id="incidents/{0.incident}",
        name="{0.incident}",
        correlation="{0.incident}",
        properties=lambda step: {
            "said": sha256_text(step.body_text.encode()),
            **without_empty(tenants=step.tenant_id),
        },
    ),
)


@dataclass(frozen=True, slots=True)
class RecordedSetting:
    """One recorded setting. `subject` is a token; None for a whole tenant.

    reference  the holder's own record of the choice; the same choice with another reference is not a new setting
    field      the field of the subject's id; None for the subject of the policy
    """

    tenant_id: str
    subject: str | None
    setting: str
    value: str
    holder: str
    valid_from: datetime
    recorded_at: datetime
    reference: str = dataclasses.field(default="", compare=False)
    field: str | None = None

    @property
    def path(self) -> str:
        """The tenant and the setting; of a subject also its token."""
        return "/".join([self.tenant_id, self.setting, *([self.subject] if self.subject else [])])


SETTINGS_ACTIVITY: Final = AuditActivity("settings", component="settings", category="configuration")
SETTING: Final = ActKind(
    "setting",
    RecordedSetting,
    key="{0.setting}",
    tenant="tenant_id",
    subject="subject",
    valid_from="valid_from",
    audit=AuditForm(
        SETTINGS_ACTIVITY,
        type="setting",
        id="settings/{0.path}",
        name="{0.setting}",
        properties=lambda row: {
            row.holder: row.value,
            "valid_from": time_text(row.valid_from),
            **without_empty(field=row.field, reference=row.reference),
        },
        compared=("{0.holder}",),
    ),
)


def new_settings(acts: ActReader, rows: Iterable[RecordedSetting]) -> list[RecordedSetting]:
    """The rows that are not recorded yet, each once."""
    distinct = list(dict.fromkeys(rows))
    tenants = {row.tenant_id for row in distinct}
    known = {row for tenant in tenants for row in acts.find(SETTING, tenant=tenant)}
    return [row for row in distinct if row not in known]
