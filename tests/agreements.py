"""Contracts of tenants and confirmed prerequisites, for tests that share data."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

from minimize.keys.cryptography import Signer
from minimize.ledger.kinds import CONTRACT, PREREQUISITE, ContractAct, PrerequisiteAct
from minimize.ledger.ledger import Ledger
from minimize.recipients import Recipient
from minimize.recipients.load import contract_terms
from tests.acts import record_acts
from tests.commands import command


def contract_act(tenant: str, recipient: Recipient, at: datetime) -> ContractAct:
    """The contract that the file of a recipient offers, recorded for a tenant."""
    assert recipient.contract is not None
    return ContractAct(
        tenant_id=tenant,
        recipient=recipient.recipient,
        reference=recipient.contract.reference,
        state="recorded",
        terms=contract_terms(recipient.contract),
        evidence="signed copy",
        by="admin",
        recorded_at=at,
    )


def prerequisite_act(
    tenant: str, recipient: str, requirement: str, at: datetime, permissions: tuple[str, ...] = ()
) -> PrerequisiteAct:
    """A confirmed prerequisite of a tenant."""
    return PrerequisiteAct(
        tenant, recipient, requirement, "confirmed", "TICKET-1", "admin", at, permissions=permissions
    )


def write_token(user: str, file: Path) -> None:
    """Issues an API token of an account in the ledger of the current folder, and writes it to a file."""
    file.write_text(command("access", "token", "--user", user, "--json").json["secret"])


def record_agreements(
    ledger: Ledger, signer: Signer, recipient: Recipient, tenants: Iterable[str], at: datetime
) -> None:
    """Records the offered contract for each tenant, if there is one, and all prerequisites as confirmed."""
    required = sorted({name for function in recipient.functions.values() for name in function.requires})
    granted = tuple(sorted({name for function in recipient.functions.values() for name in function.permissions}))
    for tenant in tenants:
        if recipient.contract is not None and recipient.standing == "independent_controller":
            record_acts(ledger, signer, CONTRACT, contract_act(tenant, recipient, at))
        for name in required:
            record_acts(ledger, signer, PREREQUISITE, prerequisite_act(tenant, recipient.recipient, name, at, granted))
