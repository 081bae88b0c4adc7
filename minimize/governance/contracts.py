"""Contracts of tenants with independent controllers: record, end and show."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

from minimize.access.permissions import ALL_TENANTS, TenantSet, entries_in_scope, limited_result
from minimize.consent import load_agreements
from minimize.errors import ConfigurationError, RefusedError
from minimize.governance.evidence import checked_reference, document_evidence
from minimize.governance.sharing import Recall, list_recalls
from minimize.governance.sharing.recalls import RECEIVED_RECORDS_HINT, find_recipient
from minimize.identifiers import canonical_id, canonical_text
from minimize.ledger import current_actor
from minimize.ledger.acts import ActReader, Decision
from minimize.ledger.kinds import CONTRACT, ContractAct
from minimize.recipients import Contract, Recipient, load_configured_recipients
from minimize.recipients.load import contract_from_terms, contract_terms
from minimize.recipients.pages import contract_text
from minimize.results import JsonResult, Listing, Printable, json_member
from minimize.stores import PathText
from minimize.text import did_you_mean
from minimize.times import time_text
from minimize.workspace import Workspace


@dataclass(frozen=True, slots=True)
class NewContract:
    """A contract of a tenant to record. None stands for the terms of the recipient's file if they are offered, else for none."""

    tenant: str
    recipient: str
    reference: str
    from_: date | None = None
    until: date | None = None
    permits_transmission: bool | None = None
    permitted_fields: Sequence[str] = ()
    retention: timedelta | None = None
    deletes_within: timedelta | None = None
    offered: bool = False
    """Whether the terms of the recipient's file apply."""
    document: PathText | None = None
    """The file of the signed contract, whose digest is recorded."""
    evidence: str | None = None
    """The name of the document; by default the reference of the contract."""

    def terms_from(self, recipient: Recipient, today: date) -> Contract:
        """The contract. Raises ConfigurationError for terms that are offered and do not exist, or a field without a function."""
        if self.offered and recipient.contract is None:
            hint = "Pass the terms as options, or add `contract:` to the recipient's file."
            raise ConfigurationError(f"the file of {self.recipient} offers no contract", hint=hint)
        base = recipient.contract if self.offered and recipient.contract is not None else None
        offered_terms = base or Contract(reference=self.reference, from_=today)
        start = self.from_ or today
        if self.until is not None and self.until <= start:
            raise ConfigurationError("the contract ends before it begins", hint="Pass a later --until.")
        _check_fields(recipient, self.permitted_fields)
        permits = offered_terms.permits_transmission if self.permits_transmission is None else self.permits_transmission
        return Contract(
            reference=self.reference,
            from_=start,
            until=self.until or offered_terms.until,
            permits_transmission=permits,
            permitted_fields=tuple(self.permitted_fields) or offered_terms.permitted_fields,
            retention=self.retention or offered_terms.retention,
            deletes_within=self.deletes_within or offered_terms.deletes_within,
        )


@dataclass(frozen=True, slots=True)
class ContractStatus:
    """A contract of a tenant on a day, and where it is recorded. A contract of the configured file has no act."""

    tenant: str
    recipient: str
    contract: Contract
    in_force: bool
    act: ContractAct | None = None

    def to_json(self) -> dict[str, Any]:
        """The contract as `contract show --json` prints it."""
        parties = {"tenant": self.tenant, "recipient": self.recipient, **contract_terms(self.contract)}
        return {**parties, "in_force": self.in_force, "recorded": None if self.act is None else _recording(self.act)}

    def lines(self) -> Iterator[str]:
        """The contract as one line."""
        state = "in force" if self.in_force else "not in force"
        source = (
            "from the file"
            if self.act is None
            else ", ".join(filter(None, (f"{self.act.state} by {self.act.by}", str(self.act.evidence or ""))))
        )
        yield f"{self.tenant}  {self.recipient}  {contract_text(self.contract)}: {state} ({source})"


@dataclass(frozen=True, slots=True)
class EndedContract(JsonResult):
    """Contracts that were ended, the data that the recipient must delete because of it, and whether data was received."""

    ended: Sequence[ContractStatus]
    recalls: Sequence[Recall]
    has_received_records: bool = field(default=False, metadata=json_member("received", omit_empty=True))

    def lines(self) -> Iterator[str]:
        """The contracts, the recalls, and what remains to do."""
        for contract in self.ended:
            yield from contract.lines()
        for recall in self.recalls:
            yield from recall.lines()
        if self.recalls:
            yield "run `minimize share recall request` to ask the recipient to delete these records"
        if self.has_received_records:
            yield RECEIVED_RECORDS_HINT


def record_contract(
    new: NewContract, workspace: Workspace, now: datetime, *, recipients: PathText | None = None
) -> ContractStatus:
    """Records the contract of a tenant with an independent controller, with its audit event.

    A contract of the same reference is replaced from now on. Raises ConfigurationError for a processor, a blank reference, terms
    that are not valid or a document that cannot be read, RefusedError (N062) without a document, PolicyError for an unknown
    recipient, LedgerError, KeyringError.
    """
    workspace.require("contract/record", tenant=new.tenant)
    tenant = canonical_text(new.tenant)
    if not tenant:
        raise ConfigurationError("a contract needs a tenant", hint="Pass the id of the tenant.")
    configured = load_configured_recipients(recipients, workspace.config).load(new.recipient)
    if configured.standing == "processor":
        hint = "Change `contract:` in the recipient's file."
        raise ConfigurationError(f"{new.recipient} is a processor: its contract is the organization's own", hint=hint)
    reference = checked_reference(new.reference, "--reference")
    evidence = reference if new.evidence is None else checked_reference(new.evidence, "--evidence")
    if new.document is None:
        hint = "Pass --document FILE with the signed contract, so that its digest is recorded."
        raise RefusedError("a reference alone does not show that the tenant has a contract", code="N062", hint=hint)
    digest = document_evidence(new.document).digest
    contract = replace(new, reference=reference).terms_from(configured, now.astimezone(UTC).date())
    act = ContractAct(
        tenant_id=tenant,
        recipient=new.recipient,
        reference=reference,
        state="recorded",
        terms=contract_terms(contract),
        evidence=evidence,
        by=current_actor().user or "",
        recorded_at=now,
        digest=digest,
    )
    with workspace.open_ledger(create=True, signs=True) as ledger:
        ledger.add(CONTRACT, "record", act)
    return _status_of_act(act, now)


def end_contract(
    tenant: str,
    recipient: str,
    workspace: Workspace,
    now: datetime,
    *,
    reference: str | None = None,
    on: date | None = None,
    evidence: str | None = None,
    recipients: PathText | None = None,
) -> EndedContract:
    """Records the end of a tenant's contracts with a recipient, or of the one with this reference.

    on        the first day on which the contract is no longer in force; by default today
    evidence  the document that shows the end

    Returns the contracts, and the recalls that are now due. Raises ConfigurationError if no such contract is recorded in the
    ledger, PolicyError for an unknown recipient, LedgerError, KeyringError.
    """
    workspace.require("contract/record", tenant=tenant)
    tenant, day, actor = canonical_text(tenant), on or now.astimezone(UTC).date(), current_actor()

    def decide(acts: ActReader) -> Decision[list[ContractAct]]:
        last = {act.reference: act for act in acts.find(CONTRACT, key=recipient, tenant=tenant)}
        ended = [
            replace(
                act,
                state="ended",
                terms={**act.terms, "until": day.isoformat()},
                evidence="" if evidence is None else checked_reference(evidence, "--evidence"),
                by=actor.user or "",
                recorded_at=now,
                digest="",
            )
            for act in last.values()
            if reference in (None, act.reference) and _lasts_until(act, day)
        ]
        return CONTRACT.decision("end", *ended)

    with workspace.open_ledger(signs=True) as ledger:
        ended = ledger.record(decide)
    if not ended:
        hint = "Run `minimize contract show`. A contract of the configured file is ended there."
        raise ConfigurationError(f"the ledger has no such contract of {tenant} with {recipient}", hint=hint)
    recalls = [each for each in list_recalls(workspace, recipients, now, recipient=recipient) if each.tenant == tenant]
    configured = find_recipient(recipient, workspace, recipients)
    has_received = configured is None or bool(configured.inbound)
    return EndedContract([_status_of_act(act, now) for act in ended], recalls, has_received)


def show_contracts(
    workspace: Workspace, now: datetime, *, tenant: str | None = None, recipient: str | None = None
) -> Printable:
    """The contracts that the current actor may read, as `list_contracts` finds them."""
    tenants = workspace.readable_tenants("contract/read", tenant=tenant)
    statuses = list_contracts(workspace, now, tenant=tenant, recipient=recipient, tenants=tenants)
    return limited_result(Listing("contracts", statuses, "no contracts of tenants"), tenants)


def list_contracts(
    workspace: Workspace,
    now: datetime,
    *,
    tenant: str | None = None,
    recipient: str | None = None,
    tenants: TenantSet = ALL_TENANTS,
) -> list[ContractStatus]:
    """The contracts of tenants with their last state, from the ledger and the configured file.

    Optionally only those of one tenant or recipient, or of tenants in scope.

    A contract of the file is left out if the ledger has contracts of its tenant and recipient, which replace it.
    """
    with workspace.open_ledger(signs=True) as ledger:
        agreements = load_agreements(ledger, workspace.config, recipient=recipient, tenant=tenant)
    only = canonical_id(tenant)
    last = {(act.tenant_id, act.recipient, act.reference): act for act in agreements.contracts}
    recorded = {(act.tenant_id, act.recipient) for act in last.values()}
    today = now.astimezone(UTC).date()
    statuses = [
        *(_status_of_act(act, now) for act in last.values()),
        *(
            ContractStatus(each.tenant, each.recipient, each, each.holds(today))
            for each in agreements.filed
            if (canonical_text(each.tenant), each.recipient) not in recorded
            and only in (None, canonical_text(each.tenant))
            and recipient in (None, each.recipient)
        ),
    ]
    return entries_in_scope(statuses, tenants, lambda status: (status.tenant,))


def _status_of_act(act: ContractAct, now: datetime) -> ContractStatus:
    contract = contract_from_terms(act.terms)
    return ContractStatus(act.tenant_id, act.recipient, contract, contract.holds(now.astimezone(UTC).date()), act)


def _recording(act: ContractAct) -> dict[str, Any]:
    recorded_at = time_text(act.recorded_at)
    document = {"digest": act.digest} if act.digest else {}
    return {"state": act.state, "evidence": act.evidence, **document, "by": act.by, "recorded_at": recorded_at}


def _lasts_until(act: ContractAct, day: date) -> bool:
    """Whether a contract would still be in force on a day."""
    until = contract_from_terms(act.terms).until
    return until is None or until > day


def _check_fields(recipient: Recipient, fields: Sequence[str]) -> None:
    known = {key for function in recipient.outbound for key in function.sent}
    for key in fields:
        if key not in known:
            hint = did_you_mean(key, known) or "Run `minimize recipient show` for the fields of its functions."
            raise ConfigurationError(f"no function of {recipient.recipient} sends the field `{key}`", hint=hint)
