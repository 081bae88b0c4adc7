"""Functions of third parties that a tenant turns on: ask for consent, confirm prerequisites, and show what is missing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Final

import pyarrow as pa

from minimize.consent import Consents, current_terms, load_consents
from minimize.consent.terms import NO_CONSENT_REASONS, PENDING_STATES
from minimize.errors import ConfigurationError, RefusedError
from minimize.governance.consent import NewConsent, add_consent
from minimize.governance.evidence import (
    EvidenceSearch,
    TenantEvidence,
    checked_reference,
    no_evidence,
    require_evidence,
)
from minimize.governance.function_request import (
    DELIVERY_TEXTS,
    FunctionStatus,
    RequestDelivery,
    functions_page,
    send_request,
)
from minimize.identifiers import canonical_text
from minimize.ledger import PropertyChange, Resource, current_actor
from minimize.ledger.kinds import FUNCTION_ACTIVITY, PREREQUISITE, ConsentAct, PrerequisiteAct, PrerequisiteState
from minimize.pages import Section
from minimize.recipients import Function, Recipient, Recipients, load_configured_recipients
from minimize.recipients.model import ADMIN_CONSENT
from minimize.recipients.rules import Party
from minimize.results import JsonResult, json_member
from minimize.stores import PathText
from minimize.text import did_you_mean
from minimize.workspace import Workspace

_CONTRACT_TEXTS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "no_contract": "contract: the tenant has none with the recipient",
        "contract_not_in_force": "contract: not in force",
        "no_transmission": "contract: permits no transmission",
        "outside_contract": "contract: permits none of the fields",
    }
)


@dataclass(frozen=True, slots=True)
class FunctionList(JsonResult):
    """The functions of a tenant, and their page for the tenant's administrator."""

    json_names = "functions"

    functions: tuple[FunctionStatus, ...]
    document: Section

    def lines(self) -> Iterator[str]:
        """The state of each function, and what is missing."""
        if not self.functions:
            yield "no functions"
        for function in self.functions:
            yield from function.lines()


@dataclass(frozen=True, slots=True)
class EnabledFunction(JsonResult):
    """A function that was asked for: its state, and the text that the tenant's administrator must agree to."""

    status: FunctionStatus = field(metadata=json_member(merge=True))
    text: str
    text_version: int
    delivery: RequestDelivery | None = None
    """The delivery of the message to the administrator; None if there is nothing to ask."""

    @property
    def exit_code(self) -> int:
        """1 if the operator's command failed. The request is recorded."""
        return int(self.delivery == "failed")

    def lines(self) -> Iterator[str]:
        """The state, the text, and how to record the answer."""
        yield from self.status.lines()
        if self.status.state != "on":
            named = f"{self.status.tenant} {self.status.recipient} {self.status.function}"
            yield f"text {self.text_version} for the administrator of {self.status.tenant}: {self.text}"
            yield "to answer, with an API token of the administrator:"
            yield f"  `minimize consent give {named} --text-version {self.text_version}`"
            yield f"  `minimize consent refuse {named}`"
        if self.delivery is not None:
            yield DELIVERY_TEXTS[self.delivery]
            yield f"the page for the administrator: `minimize functions list {self.status.tenant} --html FILE`"


@dataclass(frozen=True, slots=True)
class ConfirmedPrerequisite(JsonResult):
    """A prerequisite of a tenant, who recorded it and when, and what shows it."""

    tenant: str
    recipient: str
    requirement: str
    state: PrerequisiteState
    reference: str
    by: str
    recorded_at: datetime
    digest: str = ""
    permissions: tuple[str, ...] = ()

    def lines(self) -> Iterator[str]:
        """The prerequisite as one line."""
        yield f"{self.tenant}  {self.recipient}  {self.requirement}  {self.state}  by {self.by}, {self.reference}"


def list_functions(
    tenant: str,
    workspace: Workspace,
    now: datetime,
    *,
    recipient: str | None = None,
    recipients: PathText | None = None,
) -> list[FunctionStatus]:
    """The functions of all recipients or of one, and for each whether the tenant uses it and what is missing.

    Raises PolicyError for an unknown or faulty recipient, LedgerError.
    """
    known = load_configured_recipients(recipients, workspace.config)
    names = known.names() if recipient is None else (recipient,)
    with workspace.open_ledger(signs=True) as ledger:
        consents = load_consents(ledger, workspace.config, tenant=canonical_text(tenant))
    return [
        _status(tenant, known, third_party, function, consents, now)
        for third_party in [known.load(name) for name in names]
        for function in third_party.functions.values()
    ]


def show_functions(
    tenant: str,
    workspace: Workspace,
    now: datetime,
    *,
    recipient: str | None = None,
    recipients: PathText | None = None,
) -> FunctionList:
    """The functions of a tenant as `list_functions` finds them, with their page. Raises like it."""
    workspace.require("function/read", tenant=tenant)
    statuses = list_functions(tenant, workspace, now, recipient=recipient, recipients=recipients)
    known = load_configured_recipients(recipients, workspace.config)
    return FunctionList(tuple(statuses), functions_page(canonical_text(tenant), statuses, known, now))


def enable_function(
    tenant: str,
    recipient: str,
    function: str,
    workspace: Workspace,
    now: datetime,
    *,
    recipients: PathText | None = None,
) -> EnabledFunction:
    """Asks the administrator of a tenant to turn on a function: records the request with the text, unless it is open or answered.

    The operator's command of `notify:` then gets a message with the page of the tenant, unless the administrator has agreed. Its
    result is recorded in the audit log.

    Data moves once the administrator agreed, the contract permits it, and all prerequisites are confirmed. Raises PolicyError for
    an unknown recipient or function or faulty contacts, ConfigurationError for a command that cannot be found, LedgerError,
    KeyringError.
    """
    workspace.require("function/enable", tenant=tenant)
    tenant = canonical_text(tenant)
    known = load_configured_recipients(recipients, workspace.config)
    third_party = known.load(recipient)
    terms, manifest = current_terms(third_party, function), third_party.functions[function]
    with workspace.open_ledger(create=True, signs=True) as ledger:
        before = load_consents(ledger, workspace.config, recipient=recipient, tenant=tenant)
    last = _last_act(before, function)
    is_open = last is not None and last.state in PENDING_STATES and last.terms == terms.text
    if not is_open and _consent_reason(before, third_party, function, tenant, now) is not None:
        add_consent("request", NewConsent(tenant, recipient, function), workspace, now, recipients=recipients)
    with workspace.open_ledger(signs=True) as ledger:
        consents = load_consents(ledger, workspace.config, recipient=recipient, tenant=tenant)
    status = _status(tenant, known, third_party, manifest, consents, now)
    delivery = _send_request(status, known, workspace, now) if status.waits_for_administrator else None
    return EnabledFunction(status, manifest.text, manifest.text_version, delivery)


def _send_request(
    status: FunctionStatus, recipients: Recipients, workspace: Workspace, now: datetime
) -> RequestDelivery:
    page = functions_page(status.tenant, [status], recipients, now)
    delivery = send_request(status.tenant, f"{status.function} of {status.recipient}", page, workspace)
    if delivery != "not_configured":
        place = f"functions/{status.tenant}/{status.recipient}/{status.function}"
        resource = Resource(status.function, "function", place, (PropertyChange("delivery", None, delivery),))
        event = FUNCTION_ACTIVITY.event("notify", current_actor(), now, resource, tenant=status.tenant)
        with workspace.open_ledger(signs=True) as ledger:
            ledger.record_event(event)
    return delivery


def confirm_prerequisite(
    tenant: str,
    recipient: str,
    requirement: str,
    workspace: Workspace,
    now: datetime,
    *,
    evidence: TenantEvidence | None = None,
    find_evidence: EvidenceSearch = no_evidence,
    permissions: Sequence[str] = (),
    revoke: bool = False,
    recipients: PathText | None = None,
) -> ConfirmedPrerequisite:
    """Records that a tenant meets a prerequisite of a recipient's functions, with the document or API token that shows it.

    permissions  what an administrator of the tenant has granted, for the prerequisite `admin_consent`
    revoke       records that the tenant no longer meets it; the reference of a ticket is then enough

    Raises ConfigurationError for an unknown prerequisite or a blank reference, RefusedError without evidence or for other
    permissions than the one that the functions use (N066), PolicyError for an unknown recipient, LedgerError, KeyringError.
    """
    workspace.require("function/enable", tenant=tenant)
    evidence = evidence or find_evidence()
    third_party = load_configured_recipients(recipients, workspace.config).load(recipient)
    known = sorted({name for function in third_party.functions.values() for name in function.requires})
    if requirement not in known:
        hint = did_you_mean(requirement, known) or f"Its prerequisites: {', '.join(known) or 'none'}."
        raise ConfigurationError(f"no function of {recipient} requires {requirement}", hint=hint)
    tenant = canonical_text(tenant)
    if evidence is not None and evidence.kind == "document":
        checked_reference(evidence.reference, "--evidence")
    if not revoke:
        evidence = require_evidence(evidence, tenant, "function/enable", workspace, current_actor())
        _require_only_permission(third_party, requirement, permissions)
    if evidence is None:
        hint = "Pass --evidence TICKET or --document FILE."
        raise RefusedError("nothing shows that the prerequisite is no longer met", code="N060", hint=hint)
    act = PrerequisiteAct(
        tenant_id=tenant,
        recipient=recipient,
        requirement=requirement,
        state="revoked" if revoke else "confirmed",
        evidence=evidence.reference,
        by=current_actor().user or "",
        recorded_at=now,
        digest=evidence.digest,
        permissions=() if revoke else tuple(permissions),
    )
    with workspace.open_ledger(create=True, signs=True) as ledger:
        ledger.add(PREREQUISITE, "confirm", act)
    return ConfirmedPrerequisite(
        tenant=act.tenant_id,
        recipient=recipient,
        requirement=requirement,
        state=act.state,
        reference=act.evidence,
        by=act.by,
        recorded_at=now,
        digest=act.digest,
        permissions=act.permissions,
    )


def _require_only_permission(recipient: Recipient, requirement: str, permissions: Sequence[str]) -> None:
    """Raises RefusedError (N066) unless the granted permissions are exactly the one that functions with this prerequisite use."""
    used = {name for each in recipient.functions.values() if requirement in each.requires for name in each.permissions}
    required = used if requirement == ADMIN_CONSENT else set()
    if sorted(permissions) != sorted(required):
        granted = ", ".join(permissions) or "no permission"
        message = f"{requirement} of {recipient.recipient} was confirmed with {granted}"
        flags = " ".join(f"--permission {name}" for name in sorted(required)) or "no --permission"
        raise RefusedError(message, code="N066", hint=f"Pass {flags}: the functions use exactly this permission.")


def _status(
    tenant: str, recipients: Recipients, recipient: Recipient, function: Function, consents: Consents, now: datetime
) -> FunctionStatus:
    reason = _consent_reason(consents, recipient, function.name, tenant, now)
    last = _last_act(consents, function.name, recipient.recipient)
    missing = tuple(_obstacles(tenant, recipients, recipient, function, consents, now, reason))
    is_requested = last is not None and last.state in PENDING_STATES
    return FunctionStatus(
        tenant=canonical_text(tenant),
        recipient=recipient.recipient,
        function=function.name,
        direction=function.direction,
        state="on" if not missing else "agreed" if reason is None else "requested" if is_requested else "off",
        missing=missing,
    )


def _obstacles(
    tenant: str,
    recipients: Recipients,
    recipient: Recipient,
    function: Function,
    consents: Consents,
    now: datetime,
    reason: str | None,
) -> Iterator[str]:
    """What is missing before data moves, in words."""
    agreements, today = consents.agreements, now.astimezone(UTC).date()
    if reason is not None:
        yield f"consent: {NO_CONSENT_REASONS[reason]}"
    contract = agreements.contract_on(recipient.recipient, tenant, today, now)
    fields = () if contract is None else tuple(key for key in function.sent if contract.permits(key))
    gap = agreements.contract_gap(recipient, function, tenant, now, (now,), fields or function.sent)
    if gap is not None:
        yield _CONTRACT_TEXTS[gap]
    for name in agreements.unconfirmed_prerequisites(recipient, function, tenant, now):
        yield f"prerequisite {name}: not confirmed"
    for objection in Party(recipients, recipient, function.name, function.direction, (today,)).objections():
        yield str(objection)


def _consent_reason(consents: Consents, recipient: Recipient, function: str, tenant: str, now: datetime) -> str | None:
    """Why the tenant does not consent to a function; None if it does."""
    names = pa.array([tenant], pa.string())
    reason: str | None = consents.effective_at(now).evaluate(recipient, function, names).reasons[0].as_py()
    return reason


def _last_act(consents: Consents, function: str, recipient: str | None = None) -> ConsentAct | None:
    acts = [act for act in consents.acts if act.function == function and recipient in (None, act.recipient)]
    return acts[-1] if acts else None
