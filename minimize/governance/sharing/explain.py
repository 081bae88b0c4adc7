"""Explain sharing: why a recipient may receive data or not, and the log of disclosures."""

from __future__ import annotations

from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from minimize.config import load_config
from minimize.consent import load_consents
from minimize.errors import ConfigurationError, PolicyError, RefusalReason
from minimize.governance.sharing.consent_filter import ConsentCheck
from minimize.governance.workspace import Workspace
from minimize.ledger.disclosures import read_disclosures
from minimize.ledger.ledger import tenants_named
from minimize.recipients import Recipients
from minimize.recipients.rules import find_party, purpose_reasons, tenant_reason
from minimize.runs.provenance import LEDGER_SETTINGS, load_pipeline_settings
from minimize.settings.unknown_tenant import UnknownTenant, settings_tenants, unknown_among, unknown_tenant_json

if TYPE_CHECKING:
    from minimize.ledger.disclosures import Disclosure


@dataclass(frozen=True, slots=True)
class ShareExplanation:
    """Whether a recipient may get something for a function, and every reason against it."""

    recipient: str
    function: str
    tenant: str | None
    fields: tuple[str, ...]
    consent: str | None
    reasons: tuple[RefusalReason, ...]
    unknown_tenant: UnknownTenant | None = None
    """The tenant, where neither the ledger nor the pipeline's settings name it."""

    @property
    def permitted(self) -> bool:
        """Whether it may."""
        return not self.reasons

    def as_json(self) -> dict[str, Any]:
        """The answer as `share why --json` prints it."""
        return {
            "recipient": self.recipient,
            "function": self.function,
            "tenant": self.tenant,
            **({} if self.tenant is None else unknown_tenant_json(self.unknown_tenant)),
            "permitted": self.permitted,
            "fields": list(self.fields),
            "consent": self.consent,
            "reasons": [each.as_json() for each in self.reasons],
        }


def explain_share(
    recipient: str,
    function: str,
    workspace: Workspace,
    recipients: Recipients,
    now: datetime,
    *,
    tenant: str | None = None,
    existing: Collection[str] = (),
) -> ShareExplanation:
    """Whether a recipient may get the records of a tenant for a function, as far as no record decides it.

    Without a tenant nobody's consent is asked; with the house's pipeline the purpose is held against its policy.
    """
    side = find_party(recipient, function, "outbound", recipients, workspace.folder, (now,))
    manifest, contract, job = side.manifest, side.recipient.contract, workspace.loaded_pipeline
    against = [*side.objections(existing)]
    against += [] if manifest is None or job is None else purpose_reasons(None, manifest, job.policy.purposes)
    named = () if manifest is None else tuple(manifest.shared)
    fields = tuple(key for key in named if contract is not None and contract.permits(key))
    consent, unknown = None, None
    if tenant is not None and manifest is not None:
        with workspace.open_ledger() as ledger:
            unknown = _unknown_tenant(tenant, workspace, tenants_named(ledger))
            verdict = ConsentCheck(side.recipient, function, fields, load_consents(ledger), (now,))([tenant])[tenant]
        consent, independent = verdict.consent, side.recipient.standing == "independent"
        against += [] if verdict.refusal is None else [tenant_reason(verdict.refusal, 1, None, independent=independent)]
    return ShareExplanation(recipient, function, tenant, fields, consent, tuple(against), unknown)


def _unknown_tenant(tenant: str, workspace: Workspace, named: frozenset[str]) -> UnknownTenant | None:
    """The tenant, where neither the ledger nor a settings file of the house's pipeline names it."""
    rows, job = None, workspace.loaded_pipeline
    with suppress(PolicyError):
        rows = None if job is None or job.settings == LEDGER_SETTINGS else load_pipeline_settings(None, job)
    of_file, places = frozenset() if rows is None else settings_tenants(rows), ["the ledger"]
    places += [] if rows is None else [f"the settings {rows.file or ''}".rstrip()]
    told = of_file if load_config(workspace.folder).has_access_file else of_file | named
    return unknown_among(tenant, of_file | named, " or ".join(places), told)


def list_disclosures(
    workspace: Workspace, *, recipient: str | None = None, tenant: str | None = None
) -> list[Disclosure]:
    """The disclosures, oldest first; those to one recipient, or of one tenant, where they are named."""
    with workspace.open_ledger() as ledger:
        found = read_disclosures(ledger, recipient=recipient)
    return [each for each in found if tenant is None or tenant in each.body["tenants"]]


def find_disclosure(workspace: Workspace, name: str) -> Disclosure:
    """One disclosure by its id. Raises ConfigurationError where there is none."""
    with workspace.open_ledger() as ledger:
        found = read_disclosures(ledger, disclosure=name)
    if not found:
        raise ConfigurationError("there is no disclosure of this id", hint="minimize share log")
    return found[0]


def unsigned_disclosures(workspace: Workspace, found: Collection[Disclosure]) -> list[Disclosure]:
    """Those that no key of the keyring signed as they stand."""
    keys = workspace.keyring()
    return [each for each in found if not each.is_signed(keys)]
