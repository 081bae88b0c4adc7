"""The third party that sends the records of a pipeline: its permission, the consents of tenants, and refusals.

Manifest, contract and prerequisites are checked before a run reads anything; consent is checked for each row. A command that
reads received records again (a retraction, a deletion) checks consent only: without consent no row passes.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING, Final

from minimize.consent import ConsentPeriods, Consents
from minimize.consent import load_consents as load_tenant_consents
from minimize.errors import Finding, LedgerError, NotPermitted, PolicyError, RefusalReason, RefusedError
from minimize.keys import Keyring, Verifier
from minimize.ledger import Address, AuditEvent, current_actor
from minimize.ledger.audit_event import received_event
from minimize.ledger.ledger import open_ledger
from minimize.policy.model import Policy
from minimize.policy.pipeline import Pipeline
from minimize.receipts import Receipt, ReceivedFrom
from minimize.recipients import Recipient, Recipients, inbound
from minimize.recipients.rules import Party, find_party
from minimize.recipients.rules import refusal_error as refusal
from minimize.stores import PathText
from minimize.text import count_noun

if TYPE_CHECKING:
    from minimize.ledger.ledger import Ledger

log = logging.getLogger("minimize")
NO_CONSENTS: Final = Consents(())


@dataclass(frozen=True, slots=True)
class Sender:
    """A third party, and the function by which it sends."""

    party: Party

    @property
    def name(self) -> str:
        """The third party's name."""
        return self.party.recipient.recipient

    def check(self, job: Pipeline) -> None:
        """Raises PolicyError if the policy keeps more than the manifest of the function permits."""
        found = [] if self.party.manifest is None else inbound.check_policy(job.policy, self.party.manifest, job)
        if found:
            message = f"the policy contradicts the fields that {self.name} may send by {self.party.function}"
            raise PolicyError(message, findings=found, hint="Run `minimize lint` to check the policy again.")

    def check_permitted(self, ledger: Address, keys: Keyring, now: datetime) -> None:
        """Raises NotPermitted with every reason why the third party may not send. The refusal is recorded in the
        audit log first."""
        reasons = tuple(self.party.objections())
        if not reasons:
            return
        raise refusal_error(self.name, self.party.function, reasons, ledger, keys, now)

    def periods(
        self, consents: Consents, policy: Policy, when: datetime, now: datetime | None = None
    ) -> ConsentPeriods:
        """The periods in which tenants consented, as known at the time of a run; for a run as of an earlier time, also as known
        `now`."""
        fold, side = policy.folding.tenant, self.party
        found = consents.permitted_periods(side.recipient, side.function, when, fold=fold)
        if now is None or now <= when:
            return found
        return found.intersect(consents.permitted_periods(side.recipient, side.function, now, fold=fold))

    def received(self, periods: ConsentPeriods) -> ReceivedFrom:
        """The entry in a receipt."""
        recipient = self.party.recipient
        own = recipient.contract if recipient.standing == "agent" else None
        contract = None if own is None else own.reference
        return ReceivedFrom(self.name, self.party.function, recipient.digest, contract, periods.digest)


def find_sender(
    job: Pipeline,
    at: datetime,
    *,
    now: datetime | None = None,
    recipients: Recipients | PathText | None = None,
    rerun: bool = False,
) -> Sender | None:
    """The sender of a pipeline's records; None for the organization's own records.

    Takes the time of the run, and the current time, at which an agent's contract and the list of subprocessors must also be
    valid; and the folder of recipients. Raises PolicyError for an unknown third party. With `rerun`, a third party whose file is
    missing has no function instead.
    """
    name, function = job.source.recipient, job.source.function
    if name is None or function is None:
        return None
    whens = (at,) if now is None else (at, now)
    try:
        return Sender(find_party(name, function, "inbound", recipients, job.folder, whens))
    except PolicyError:
        if not rerun:
            raise
    return Sender(Party(Recipients.empty(), absent_recipient(name), function, "inbound", ()))


def check_same_sender(job: Pipeline, chain: Sequence[Receipt]) -> None:
    """Raises RefusedError (R013) if an output's receipts name another sender than the pipeline, or if the pipeline names none."""
    last = next((each.received for each in reversed(chain) if each.received is not None), None)
    source = job.source
    if last is None or (last.recipient, last.function) == (source.recipient, source.function):
        return
    file = None if job.path is None else str(job.path)
    sent = f"{source.function} of {source.recipient}" if source.is_received else "no sender"
    message = f"the output contains data that {last.recipient} sent by {last.function}, but the pipeline's source names {sent}"
    hint = (
        f"Write `source: {{recipient: {last.recipient}, function: {last.function}}}`, or choose another output folder."
    )
    finding = Finding("R013", message, hint=hint, file=file, line=job.line_of("source"))
    raise RefusedError("the consents to the received data would not be evaluated", findings=[finding], hint=hint)


def refusal_error(
    recipient: str,
    function: str,
    reasons: Sequence[RefusalReason],
    ledger: Address,
    keys: Keyring | None,
    now: datetime,
) -> NotPermitted:
    """The error with every reason why no data is received. The refusal is recorded in the audit log; if that fails,
    it is logged."""
    rules = ", ".join(dict.fromkeys(each.code for each in reasons))
    event = received_event(recipient, function, {"rules": rules}, actor=current_actor(), now=now, result="refused")
    if ledger.exists and keys is not None:
        record_refusal(ledger, keys, event)
    return refusal(recipient, function, reasons, "inbound")


def record_refusal(address: Address, keys: Keyring, event: AuditEvent) -> None:
    """Appends a refusal to the audit log. If that fails, it is logged, and the refusal remains in effect."""
    try:
        _append_event(address, keys, event)
    except LedgerError:
        log.warning("the refusal could not be recorded in the ledger", extra={"code": "W015"})


def record_event(address: Address, keys: Keyring | None, event: AuditEvent) -> None:
    """Records an event in the audit log, if there is a ledger and a signing key. Raises LedgerError."""
    if address.exists and keys is not None:
        _append_event(address, keys, event)


def _append_event(address: Address, keys: Keyring, event: AuditEvent) -> None:
    with open_ledger(address) as ledger:
        ledger.record_event(event, keys)


def load_consents(job: Pipeline, ledger: Ledger, verifier: Verifier | None) -> Consents | None:
    """The consents and contracts in an open ledger that concern a pipeline; None for the organization's own records.

    Raises LedgerError if there is a verifier and a consent is not signed by a known key.
    """
    if not job.source.is_received:
        return None
    found = load_tenant_consents(ledger, verifier, job.folder, recipient=job.source.recipient)
    return replace(found, acts=tuple(act for act in found.acts if act.function == job.source.function))


def consent_periods(
    job: Pipeline, consents: Consents | None, at: datetime, now: datetime | None = None
) -> ConsentPeriods | None:
    """The periods in which tenants consented to the data that a pipeline receives, for reading its records; None for the
    organization's own records."""
    sender = find_sender(job, at, rerun=True)
    return None if sender is None else sender.periods(consents or NO_CONSENTS, job.policy, at, now)


def consents_changed(job: Pipeline, consents: Consents | None, last: Receipt, at: datetime, now: datetime) -> bool:
    """Whether the consents at a time, and now, differ from those in a receipt, or one of them has begun or ended since."""
    periods = consent_periods(job, consents, at, now)
    if periods is None:
        return last.received is not None
    if last.received is None or last.received.consents != periods.digest:
        return True
    known = consents or NO_CONSENTS
    times = [time for act in known.acts for time in (act.valid_from, act.expires_at)]
    times += known.agreements.change_times(job.source.recipient or "")
    return any(time is not None and last.at < time <= max(at, now) for time in times)


@dataclass(frozen=True, slots=True)
class ConsentChange:
    """How the consents changed since a run.

    unchanged  today's periods of the tenants whose consents are as the run knew them
    has_ended  whether a tenant's consent is no longer as the run knew it, or the recipient's file changed
    """

    unchanged: ConsentPeriods = field(repr=False)
    has_ended: bool


def consent_change(job: Pipeline, consents: Consents | None, last: Receipt, at: datetime) -> ConsentChange | None:
    """The change of the consents from a receipt to a time; None for the organization's own records.

    Both sides are evaluated for the terms of today's file.
    """
    sender = find_sender(job, at, rerun=True)
    if sender is None:
        return None
    then, now = (sender.periods(consents or NO_CONSENTS, job.policy, when) for when in (last.at, at))
    unchanged = now.unchanged_since(then, last.at)
    has_same_file = last.received is not None and last.received.manifest == sender.party.recipient.digest
    return ConsentChange(unchanged, not has_same_file or set(unchanged.tenants) != set(then.tenants))


def warn_without_consents(consents: Consents | None, sender: Sender) -> None:
    """Logs that no tenant has a consent, so that every record is gated."""
    if consents is None or not consents.acts:
        message = "the ledger has no consent to %s of %s: every record is gated. Run `minimize consent give`."
        log.warning(message, sender.party.function, sender.name, extra={"code": "W045"})


def warn_of_gated_rows(consents: Consents | None, sender: Sender, receipt: Receipt) -> None:
    """Logs how many rows a run gated by consent, and the rule; nothing if `warn_without_consents` has logged."""
    gated = receipt.gated_by.consent
    if not gated or consents is None or not consents.acts:
        return
    message = (
        "no consent and contract cover %s. They apply only to messages that arrived after they became valid. Run "
        "`minimize functions list TENANT`, or `minimize consent why TENANT %s %s --event TIME` for a time of arrival."
    )
    data = {"gated": gated}
    log.warning(
        message,
        count_noun(gated, "row"),
        sender.name,
        sender.party.function,
        extra={"code": "W046", "run_id": receipt.run_id, "data": data},
    )


def absent_recipient(name: str) -> Recipient:
    """A third party whose file is missing: it has no function any more."""
    return Recipient(recipient=name, standing="independent", functions={})
