"""Why what was sent has to go: the consent, the contract or its time at the recipient has ended."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from minimize.consent import Consents, load_consents
from minimize.consent.states import ENDING, VALID
from minimize.governance.sharing.recall import Recall, recall_of
from minimize.recipients import Contract, Recipients

if TYPE_CHECKING:
    from minimize.ledger.consents import Act
    from minimize.ledger.disclosures import Disclosure, TenantShare
    from minimize.ledger.ledger import Ledger
    from minimize.ledger.recalls import Recalled

Place = tuple[str, str]
"""An act of sharing, and a tenant of it."""


def found(
    ledger: Ledger, recipients: Recipients, now: datetime, recipient: str | None, *, all_: bool = False
) -> list[Recall]:
    """What has to go, or was told to, oldest first; with `all_` what was confirmed, too."""
    from minimize.ledger.disclosures import disclosures

    consents, steps = load_consents(ledger), _steps(ledger, recipient)
    looking = _Looking(ledger, recipients, consents, now, {each.id: each for each in consents.acts})
    each = [one for act in disclosures(ledger, recipient=recipient) for one in looking.of(act, steps)]
    return [one for one in each if all_ or one.state != "confirmed"]


def _steps(ledger: Ledger, recipient: str | None) -> dict[Place, list[Recalled]]:
    from minimize.ledger.recalls import recalls

    steps: dict[Place, list[Recalled]] = {}
    for step in recalls(ledger, recipient):
        steps.setdefault((step.disclosure, step.tenant_id), []).append(step)
    return steps


@dataclass(frozen=True, slots=True)
class _Looking:
    ledger: Ledger
    recipients: Recipients
    consents: Consents
    now: datetime
    by_id: Mapping[str, Act]
    known: dict[str, Contract | None] = field(default_factory=dict)

    def of(self, act: Disclosure, steps: Mapping[Place, list[Recalled]]) -> Iterator[Recall]:
        """What of an act has to go, or was told to."""
        from minimize.ledger.disclosures import tenants_of

        contract = self._contract(act.recipient)
        whole, ended = self._whole(act, contract), self._ended(act)
        for share in tenants_of(self.ledger, act.disclosure):
            taken = steps.get((act.disclosure, share.tenant_id), [])
            cause = taken[0].cause if taken else ended.get(share.tenant_id) or self._expired(share) or whole
            if cause is not None:
                state = taken[-1].state if taken else "due"
                told = taken[0].recorded_at if taken else None
                yield recall_of(act, share, cause, state, requested_at=told, contract=contract, now=self.now)

    def _whole(self, act: Disclosure, contract: Contract | None) -> str | None:
        """Why all of an act has to go."""
        if contract is None or not contract.holds(self.now.date()):
            return "contract_ended"
        return "retention_due" if act.retention_due is not None and act.retention_due <= self.now else None

    def _ended(self, act: Disclosure) -> dict[str, str]:
        """The tenants whose consent was ended since the act, and how; that it was given again later brings nothing back."""
        about = self.consents.history(act.recipient, act.function).acts
        return {each.tenant_id: each.state for each in about if calls_back(each, act, self.now)}

    def _expired(self, share: TenantShare) -> str | None:
        """Whether the time of the consent that covered it is over, and none that came later goes on."""
        given = self.by_id.get(share.consent)
        if given is None or given.expires_at is None or given.expires_at > self.now:
            return None
        later = self.consents.history(given.recipient, given.function).acts
        on = [each for each in later if each.tenant_id == given.tenant_id and _goes_on(each, self.now)]
        return None if on else "expired"

    def _contract(self, name: str) -> Contract | None:
        """The recipient's; a recipient that nobody knows any more has none."""
        if name not in self.known:
            self.known[name] = self.recipients.named(name).contract if name in self.recipients.names() else None
        return self.known[name]


def calls_back(ending: Act, act: Disclosure, now: datetime) -> bool:
    """Whether an act about a consent ends what an act of sharing stood on."""
    return ending.state in ENDING and act.recorded_at <= ending.recorded_at and ending.valid_from <= now


def _goes_on(act: Act, now: datetime) -> bool:
    return act.state in VALID and act.valid_from <= now and (act.expires_at is None or act.expires_at > now)
