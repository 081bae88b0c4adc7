"""Recalls: what a recipient has to delete, because consent or contract ended or its time there is over, and how far that is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

from minimize.errors import ConfigurationError
from minimize.governance.consent import Consents, load_consents
from minimize.governance.consent.states import ENDING, VALID
from minimize.governance.recipients import Recipient, Recipients
from minimize.ledger import Change, Event, Resource, actor_of
from minimize.receipt import time_text
from minimize.switching import House

if TYPE_CHECKING:
    from minimize.ledger.consents import Act
    from minimize.ledger.disclosures import Disclosure, TenantShare
    from minimize.ledger.ledger import Ledger
    from minimize.ledger.recalls import Recalled, State

Progress = Literal["due", "requested", "confirmed"]


@dataclass(frozen=True, slots=True)
class Recall:
    """What was sent of one tenant in one act, and has to go."""

    recipient: str
    function: str
    disclosure: str
    tenant: str
    cause: str
    state: Progress
    sent_at: datetime
    digest: str
    rows: int
    fields: tuple[str, ...]
    subjects: tuple[str, ...] = field(repr=False)

    def as_json(self, *, subjects: bool = True) -> dict[str, Any]:
        """The entry as a JSON object; with the tokens of its subjects, or only their number."""
        return {
            "recipient": self.recipient,
            "function": self.function,
            "disclosure": self.disclosure,
            "tenant": self.tenant,
            "cause": self.cause,
            "state": self.state,
            "sent_at": time_text(self.sent_at),
            "digest": self.digest,
            "rows": self.rows,
            "fields": list(self.fields),
            "subjects": list(self.subjects) if subjects else len(self.subjects),
        }


def recalls_of(
    house: House, recipients: Recipients, now: datetime, *, recipient: str | None = None, all_: bool = False
) -> list[Recall]:
    """The recall list: what is due or requested, oldest first; with `all_` what was confirmed, too."""
    with house.opened() as ledger:
        return _recalls(ledger, recipients, now, recipient, all_=all_)


def request_recalls(house: House, recipients: Recipients, now: datetime, *, recipient: str) -> list[Recall]:
    """Takes down that a recipient is told to delete what is due; gives the list that it is told."""
    with house.opened() as ledger:
        due = [each for each in _recalls(ledger, recipients, now, recipient, all_=False) if each.state == "due"]
        _record(ledger, house, due, "requested", now)
        return due


def confirm_recalls(
    house: House,
    recipients: Recipients,
    now: datetime,
    *,
    recipient: str,
    disclosure: str | None = None,
    tenant: str | None = None,
) -> list[Recall]:
    """Takes down that a recipient has confirmed what was requested of it: all, or of one act, or one tenant.

    Raises ConfigurationError where nothing of that was requested.
    """
    with house.opened() as ledger:
        asked = [
            each
            for each in _recalls(ledger, recipients, now, recipient, all_=False)
            if each.state == "requested" and disclosure in (None, each.disclosure) and tenant in (None, each.tenant)
        ]
        if not asked:
            raise ConfigurationError("nothing of that was requested", hint="minimize share recall list")
        _record(ledger, house, asked, "confirmed", now)
        return asked


def _record(ledger: Ledger, house: House, found: Sequence[Recall], state: State, now: datetime) -> None:
    from minimize.ledger.recalls import Recalled, record_recalls

    if not found:
        return
    actor = actor_of()
    who = actor.user or ""
    steps = [Recalled(each.disclosure, each.tenant, each.recipient, each.cause, state, now, who) for each in found]
    changes = (Change("state", None, state), Change("entries", None, len(steps)))
    resource = Resource(found[0].recipient, "recipient", f"recipients/{found[0].recipient}", changes)
    event = Event(
        component="sharing",
        category="sharing",
        activity="share",
        operation="recall",
        actor=actor,
        time=now,
        resources=(resource,),
    )
    record_recalls(ledger, steps, event, house.keyring())


def _recalls(
    ledger: Ledger, recipients: Recipients, now: datetime, recipient: str | None, *, all_: bool
) -> list[Recall]:
    from minimize.ledger.disclosures import disclosures
    from minimize.ledger.recalls import recalls

    consents = load_consents(ledger)
    looking = _Looking(ledger, recipients, consents, now, {each.id: each for each in consents.acts})
    steps = {(step.disclosure, step.tenant_id): step for step in recalls(ledger, recipient)}
    found = [each for act in disclosures(ledger, recipient=recipient) for each in looking.of(act, steps)]
    return [each for each in found if all_ or each.state != "confirmed"]


@dataclass(frozen=True, slots=True)
class _Looking:
    ledger: Ledger
    recipients: Recipients
    consents: Consents
    now: datetime
    by_id: Mapping[str, Act]
    known: dict[str, Recipient | None] = field(default_factory=dict)

    def of(self, act: Disclosure, steps: Mapping[tuple[str, str], Recalled]) -> Iterator[Recall]:
        """What of an act has to go, or was told to."""
        from minimize.ledger.disclosures import tenants_of

        whole = self._whole(act)
        ended = self._ended(act)
        for share in tenants_of(self.ledger, act.disclosure):
            step = steps.get((act.disclosure, share.tenant_id))
            cause = step.cause if step is not None else ended.get(share.tenant_id) or self._expired(share) or whole
            if cause is not None:
                yield _recall(act, share, cause, "due" if step is None else step.state)

    def _whole(self, act: Disclosure) -> str | None:
        """Why all of an act has to go."""
        recipient = self._recipient(act.recipient)
        contract = None if recipient is None else recipient.contract
        if contract is None or not contract.holds(self.now.date()):
            return "contract_ended"
        return "retention_due" if act.retention_due is not None and act.retention_due <= self.now else None

    def _ended(self, act: Disclosure) -> dict[str, str]:
        """The tenants whose consent was ended since the act, and how; that it was given again later brings nothing back."""
        about = self.consents.history(act.recipient, act.function).acts
        return {
            each.tenant_id: each.state
            for each in about
            if each.state in ENDING and act.recorded_at <= each.recorded_at and each.valid_from <= self.now
        }

    def _expired(self, share: TenantShare) -> str | None:
        """Whether the time of the consent that covered it is over, and none that came later goes on."""
        given = self.by_id.get(share.consent)
        if given is None or given.expires_at is None or given.expires_at > self.now:
            return None
        later = self.consents.history(given.recipient, given.function).acts
        on = [each for each in later if each.tenant_id == given.tenant_id and _goes_on(each, self.now)]
        return None if on else "expired"

    def _recipient(self, name: str) -> Recipient | None:
        if name not in self.known:
            self.known[name] = self.recipients.named(name) if name in self.recipients.names() else None
        return self.known[name]


def _goes_on(act: Act, now: datetime) -> bool:
    return act.state in VALID and act.valid_from <= now and (act.expires_at is None or act.expires_at > now)


def _recall(act: Disclosure, share: TenantShare, cause: str, state: Progress) -> Recall:
    return Recall(
        recipient=act.recipient,
        function=act.function,
        disclosure=act.disclosure,
        tenant=share.tenant_id,
        cause=cause,
        state=state,
        sent_at=act.recorded_at,
        digest=act.digest,
        rows=share.rows,
        fields=tuple(act.body["fields"]),
        subjects=tuple(share.listed()),
    )
