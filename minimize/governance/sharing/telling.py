"""What was shared, and what would be: the log of disclosures, and why a recipient may or may not get anything."""

from __future__ import annotations

from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from minimize.consent import load_consents
from minimize.errors import ConfigurationError, PolicyError, Reason
from minimize.governance.sharing.asking import Asking
from minimize.house import is_guarded
from minimize.job.collecting import LEDGER, load_job_settings
from minimize.job.strangers import Stranger, among, as_json, tenants_of
from minimize.recipients import Recipients
from minimize.recipients.party import party, purpose_reasons
from minimize.recipients.refusals import of_tenants
from minimize.switching import House

if TYPE_CHECKING:
    from minimize.ledger.disclosures import Disclosure


@dataclass(frozen=True, slots=True)
class Why:
    """Whether a recipient may get something for a function, and every reason against it."""

    recipient: str
    function: str
    tenant: str | None
    fields: tuple[str, ...]
    consent: str | None
    reasons: tuple[Reason, ...]
    stranger: Stranger | None = None
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
            **({} if self.tenant is None else as_json(self.stranger)),
            "permitted": self.permitted,
            "fields": list(self.fields),
            "consent": self.consent,
            "reasons": [each.as_json() for each in self.reasons],
        }


def why(
    recipient: str,
    function: str,
    house: House,
    recipients: Recipients,
    now: datetime,
    *,
    tenant: str | None = None,
    existing: Collection[str] = (),
) -> Why:
    """Whether a recipient may get the records of a tenant for a function, as far as no record decides it.

    Without a tenant nobody's consent is asked; with the house's pipeline the purpose is held against its policy.
    """
    from minimize.ledger.tenants import tenants_named

    side = party(recipient, function, "outbound", recipients, house.folder, (now,))
    manifest, contract, job = side.manifest, side.recipient.contract, house.job
    against = [*side.against(existing)]
    against += [] if manifest is None or job is None else purpose_reasons(None, manifest, job.policy.purposes)
    named = () if manifest is None else tuple(manifest.shared)
    fields = tuple(key for key in named if contract is not None and contract.permits(key))
    consent, unknown = None, None
    if tenant is not None and manifest is not None:
        with house.opened() as ledger:
            unknown = _stranger(tenant, house, tenants_named(ledger))
            verdict = Asking(side.recipient, function, fields, load_consents(ledger), (now,))([tenant])[tenant]
        consent, independent = verdict.consent, side.recipient.standing == "independent"
        against += [] if verdict.why is None else [of_tenants(verdict.why, 1, None, independent=independent)]
    return Why(recipient, function, tenant, fields, consent, tuple(against), unknown)


def _stranger(tenant: str, house: House, named: frozenset[str]) -> Stranger | None:
    """The tenant, where neither the ledger nor a settings file of the house's pipeline names it."""
    rows, job = None, house.job
    with suppress(PolicyError):
        rows = None if job is None or job.settings == LEDGER else load_job_settings(None, job)
    of_file, places = frozenset() if rows is None else tenants_of(rows), ["the ledger"]
    places += [] if rows is None else [f"the settings {rows.file or ''}".rstrip()]
    told = of_file if is_guarded(house.folder) else of_file | named
    return among(tenant, of_file | named, " or ".join(places), told)


def logged(house: House, *, recipient: str | None = None, tenant: str | None = None) -> list[Disclosure]:
    """The disclosures, oldest first; those to one recipient, or of one tenant, where they are named."""
    from minimize.ledger.disclosures import disclosures

    with house.opened() as ledger:
        found = disclosures(ledger, recipient=recipient)
    return [each for each in found if tenant is None or tenant in each.body["tenants"]]


def disclosure(house: House, name: str) -> Disclosure:
    """One disclosure by its id. Raises ConfigurationError where there is none."""
    from minimize.ledger.disclosures import disclosures

    with house.opened() as ledger:
        found = disclosures(ledger, disclosure=name)
    if not found:
        raise ConfigurationError("there is no disclosure of this id", hint="minimize share log")
    return found[0]


def unsigned(house: House, found: Collection[Disclosure]) -> list[Disclosure]:
    """Those that no key of the keyring signed as they stand."""
    keys = house.keyring()
    return [each for each in found if not each.is_signed(keys)]
