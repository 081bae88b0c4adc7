"""Evidence of what a tenant decided or has: an API token of its administrator, or a document whose digest is recorded.

References: names of records elsewhere, such as a case or a client's consent record, that acts in the ledger cite.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from minimize.access.model import account_of_actor
from minimize.errors import ConfigurationError, RefusedError
from minimize.ledger import Actor
from minimize.receipts.parts import sha256_text
from minimize.stores import PathText
from minimize.techniques.redact import has_hit
from minimize.workspace import Workspace

LONGEST_REFERENCE: Final = 200
"""Maximum length of a reference, in characters."""
_PERSONAL: Final = ("email", "phone", "ip", "mac", "imei", "card", "iban")


def checked_reference(text: str, option: str) -> str:
    """The reference without spaces around it.

    Raises ConfigurationError for a blank or long one, and for one that contains an address or a number of a person, because the
    ledger keeps references.
    """
    reference = text.strip()
    if not reference or len(reference) > LONGEST_REFERENCE or not reference.isprintable():
        raise ConfigurationError(
            f"{option} is not a reference",
            hint=f"Pass the name of the record, of at most {LONGEST_REFERENCE} characters.",
        )
    if has_hit(reference, _PERSONAL):
        raise ConfigurationError(
            f"{option} contains personal data",
            hint="Pass the number of a case or record, without an address or phone number.",
        )
    return reference


@dataclass(frozen=True, slots=True)
class TenantEvidence:
    """What shows the decision of a tenant: the API token of the acting account, by its name, or a document."""

    kind: Literal["token", "document"]
    reference: str
    """The name of the token, or the reference of the document."""
    digest: str = ""
    """`sha256:` of the document's bytes; empty if only its reference is known."""


EvidenceSearch = Callable[[], TenantEvidence | None]
"""Finds the evidence of a decision. It is called once the permission to record the decision is certain."""


def no_evidence() -> TenantEvidence | None:
    """No evidence."""
    return None


def document_evidence(file: PathText, reference: str | None = None) -> TenantEvidence:
    """The evidence of a document, with its digest. Its reference is the digest if none is given.

    Raises ConfigurationError for a file that is empty or cannot be read.
    """
    content = b""
    with suppress(OSError):
        content = Path(file).read_bytes()
    if not content:
        problem = "is empty or cannot be read" if Path(file).exists() else "does not exist"
        message = f"{file}: the document {problem}"
        raise ConfigurationError(message, hint="Pass the file of the signed form, contract or confirmation.")
    digest = sha256_text(content)
    return TenantEvidence(
        "document", digest if reference is None else checked_reference(reference, "--reference"), digest
    )


def require_evidence(
    evidence: TenantEvidence | None, tenant: str, permission: str, workspace: Workspace, actor: Actor
) -> TenantEvidence:
    """The evidence, if it is an API token of an administrator of the tenant, or a document with its digest.

    `permission` is what a role of the tenant's administrator allows. Without an access file, no roles are known, and the token of
    any account counts. Raises RefusedError without evidence (N060), for a reference alone (N062), and for a token of another
    account (N063).
    """
    if evidence is None:
        message = "no evidence of the tenant's decision"
        hint = "Pass --document FILE, or set MINIMIZE_TOKEN to an API token of an administrator of the tenant."
        raise RefusedError(message, code="N060", hint=hint)
    if evidence.kind == "document" and not evidence.digest:
        message = "a reference alone does not show what the tenant decided"
        raise RefusedError(message, code="N062", hint="Pass --document FILE, so that its digest is recorded.")
    if evidence.kind == "token" and not _is_administrator_of(tenant, permission, workspace, actor):
        message = f"{actor.user} is not an administrator of the tenant"
        hint = "Pass --document FILE, or use an account with the role tenant_administrator for this tenant."
        raise RefusedError(message, code="N063", hint=hint)
    return evidence


def _is_administrator_of(tenant: str, permission: str, workspace: Workspace, actor: Actor) -> bool:
    access = workspace.access
    return access is None or any(
        role.is_of_tenant and role.has(permission) and tenant in assignment.scope.tenants
        for assignment, role in access.assignments_of(account_of_actor(actor))
    )
