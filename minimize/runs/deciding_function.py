"""The third party's function that decides on the records of a pipeline: its permission, the consents of tenants, and refusals.

It is the function by which a third party sends the records (`source.recipient`), or the only one that they are collected for
(`source.only_for`). The manifest is checked before a run reads anything; consent, contract and prerequisites of each tenant are
checked for each row. A command that reads the records again (a retraction, a deletion) checks the rows only.
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
from minimize.keys import Keyring
from minimize.ledger import Actor, Address, AuditEvent
from minimize.ledger.audit_event import received_event
from minimize.ledger.ledger import open_ledger
from minimize.policy.model import Policy
from minimize.policy.pipeline import Pipeline
from minimize.receipts import DecidingFunctionReceipt, Receipt
from minimize.recipients import Recipient, Recipients, inbound
from minimize.recipients.model import Direction
from minimize.recipients.rules import Party, find_party
from minimize.recipients.rules import refusal_error as refusal
from minimize.stores import PathText
from minimize.text import count_noun

if TYPE_CHECKING:
    from minimize.ledger.ledger import Ledger

log = logging.getLogger("minimize")
NO_CONSENTS: Final = Consents(())


@dataclass(frozen=True, slots=True)
class DecidingFunction:
    """A third party and its function whose consents decide on each record."""

    party: Party

    @property
    def name(self) -> str:
        """The third party's name."""
        return self.party.recipient.recipient

    @property
    def sends(self) -> bool:
        """Whether the third party sends the records. Otherwise the organization collects them for the function."""
        return self.party.direction == "inbound"

    def check(self, job: Pipeline) -> None:
        """Raises PolicyError if no consent can decide on the records, or if the policy keeps more than the sender may send."""
        findings = [] if self.party.manifest is None else inbound.check_policy(job.policy, self.party.manifest, job)
        if findings:
            message = (
                f"the policy contradicts the fields that {self.name} may send by {self.party.function}"
                if self.sends
                else f"no consent to {self.party.function} of {self.name} can decide on the records"
            )
            raise PolicyError(message, findings=findings, hint="Run `minimize lint` to check the policy again.")

    def check_permitted(self, ledger: Address, keys: Keyring, now: datetime, actor: Actor) -> None:
        """Raises NotPermitted with every reason why no tenant can have turned the function on. The refusal is recorded in the
        audit log first."""
        reasons = tuple(self.party.objections())
        if not reasons:
            return
        raise refusal_error(self.name, self.party.function, reasons, ledger, keys, now, actor, self.party.direction)

    def periods(
        self, consents: Consents, policy: Policy, when: datetime, now: datetime | None = None
    ) -> ConsentPeriods:
        """The periods in which tenants consented, as known at the time of a run; for a run as of an earlier time, also as known
        `now`."""
        fold, side = policy.folding.tenant, self.party
        periods = consents.permitted_periods(side.recipient, side.function, when, fold=fold)
        if now is None or now <= when:
            return periods
        return periods.intersect(consents.permitted_periods(side.recipient, side.function, now, fold=fold))

    def receipt(self, periods: ConsentPeriods) -> DecidingFunctionReceipt:
        """The entry in a receipt."""
        recipient = self.party.recipient
        processor_contract = recipient.contract if recipient.standing == "processor" else None
        contract = None if processor_contract is None else processor_contract.reference
        return DecidingFunctionReceipt(self.name, self.party.function, recipient.digest, contract, periods.digest)


def find_deciding_function(
    job: Pipeline,
    at: datetime,
    *,
    now: datetime | None = None,
    recipients: Recipients | PathText | None = None,
    rerun: bool = False,
) -> DecidingFunction | None:
    """The function that decides on a pipeline's records; None if no consent decides.

    Takes the time of the run, and the current time, at which a processor's contract and the list of subprocessors must also be
    valid; and the folder of recipients. Raises PolicyError for an unknown third party. With `rerun`, a third party whose file is
    missing has no function instead.
    """
    if job.source.deciding_function is None:
        return None
    name, function = job.source.deciding_function
    direction: Direction = "inbound" if job.source.is_received else "outbound"
    whens = (at,) if now is None else (at, now)
    try:
        return DecidingFunction(find_party(name, function, direction, recipients, job.config, whens))
    except PolicyError:
        if not rerun:
            raise
    return DecidingFunction(Party(Recipients.empty(), absent_recipient(name), function, direction, ()))


def check_same_function(job: Pipeline, chain: Sequence[Receipt]) -> None:
    """Raises RefusedError (R013) if consents to another function than the pipeline's decided on the records of an output."""
    last = next((each for each in reversed(chain) if each.deciding_function is not None), None)
    source, deciding = job.source, None if last is None else last.deciding_function
    if last is None or deciding is None:
        return
    names, sent = (deciding.recipient, deciding.function), last.received is not None
    if (names, sent) == (source.deciding_function, source.is_received):
        return
    file = None if job.path is None else str(job.path)
    now = "no function" if source.deciding_function is None else "{1} of {0}".format(*source.deciding_function)
    origin = f"{names[0]} sent by {names[1]}" if sent else f"is collected for {names[1]} of {names[0]} only"
    message = f"the output contains data that {origin}, but the pipeline's source names {now}"
    keys = f"recipient: {names[0]}, function: {names[1]}" if sent else f"only_for: {'.'.join(names)}"
    hint = f"Write `source: {{{keys}}}`, or choose another output folder."
    finding = Finding("R013", message, hint=hint, file=file, line=job.line_of("source"))
    what = "received" if sent else "collected"
    raise RefusedError(f"the consents to the {what} data would not be evaluated", findings=[finding], hint=hint)


def refusal_error(
    recipient: str,
    function: str,
    reasons: Sequence[RefusalReason],
    ledger: Address,
    keys: Keyring | None,
    now: datetime,
    actor: Actor,
    direction: Direction = "inbound",
) -> NotPermitted:
    """The error with every reason why no data is received, or collected to be sent. A refusal to receive is recorded in the audit
    log; if that fails, it is logged."""
    if direction == "inbound" and ledger.exists and keys is not None:
        rules = ", ".join(dict.fromkeys(each.code for each in reasons))
        event = received_event(recipient, function, {"rules": rules}, actor=actor, now=now, result="refused")
        record_refusal(ledger, keys, event)
    return refusal(recipient, function, reasons, direction)


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
    with open_ledger(address, verifier=keys) as ledger:
        ledger.record_event(event)


def load_consents(job: Pipeline, ledger: Ledger) -> Consents | None:
    """The consents and contracts in an open ledger that decide on a pipeline's records; None if no consent decides.

    Raises LedgerError if the ledger was opened with keys and a consent is not signed by one of them.
    """
    if job.source.deciding_function is None:
        return None
    recipient, function = job.source.deciding_function
    consents = load_tenant_consents(ledger, job.config, recipient=recipient)
    return replace(consents, acts=tuple(act for act in consents.acts if act.function == function))


def consent_periods(
    job: Pipeline, consents: Consents | None, at: datetime, now: datetime | None = None
) -> ConsentPeriods | None:
    """The periods in which tenants consented to the function that decides on a pipeline's records, for reading these records;
    None if no consent decides."""
    deciding = find_deciding_function(job, at, rerun=True)
    return None if deciding is None else deciding.periods(consents or NO_CONSENTS, job.policy, at, now)


def consents_changed(job: Pipeline, consents: Consents | None, last: Receipt, at: datetime, now: datetime) -> bool:
    """Whether the consents at a time, and now, differ from those in a receipt, or one of them has begun or ended since."""
    periods, recorded = consent_periods(job, consents, at, now), last.deciding_function
    if periods is None or job.source.deciding_function is None:
        return recorded is not None
    if recorded is None or recorded.consents != periods.digest:
        return True
    known = consents or NO_CONSENTS
    times = [time for act in known.acts for time in (act.valid_from, act.expires_at)]
    times += known.agreements.change_times(job.source.deciding_function[0])
    return any(time is not None and last.at < time <= max(at, now) for time in times)


@dataclass(frozen=True, slots=True)
class ConsentChange:
    """How the consents changed since a run."""

    unchanged: ConsentPeriods = field(repr=False)
    """Today's periods of the tenants whose consents are as the run knew them."""
    has_ended: bool
    """Whether a tenant's consent is no longer as the run knew it, or the recipient's file changed."""


def consent_change(job: Pipeline, consents: Consents | None, last: Receipt, at: datetime) -> ConsentChange | None:
    """The change of the consents from a receipt to a time; None if no consent decides on the records.

    Both sides are evaluated for the terms of today's file.
    """
    deciding, recorded = find_deciding_function(job, at, rerun=True), last.deciding_function
    if deciding is None:
        return None
    earlier, now = (deciding.periods(consents or NO_CONSENTS, job.policy, when) for when in (last.at, at))
    unchanged = now.unchanged_since(earlier, last.at)
    has_same_file = recorded is not None and recorded.manifest == deciding.party.recipient.digest
    return ConsentChange(unchanged, not has_same_file or set(unchanged.tenants) != set(earlier.tenants))


def warn_without_consents(consents: Consents | None, deciding: DecidingFunction) -> None:
    """Logs that no tenant has a consent, so that every record is gated."""
    if consents is None or not consents.acts:
        message = "the ledger has no consent to %s of %s: every record is gated. Run `minimize consent give`."
        log.warning(message, deciding.party.function, deciding.name, extra={"code": "W045"})


def warn_of_gated_rows(consents: Consents | None, deciding: DecidingFunction, receipt: Receipt) -> None:
    """Logs how many rows a run gated by consent, and the rule; nothing if `warn_without_consents` has logged."""
    gated = receipt.gated_by.consent
    if not gated or consents is None or not consents.acts:
        return
    records, time = (
        ("messages that arrived", "a time of arrival") if deciding.sends else ("events", "the time of an event")
    )
    message = (
        f"no consent and contract cover %s. They apply only to {records} after they became valid. Run "
        f"`minimize functions list TENANT`, or `minimize consent why TENANT %s %s --event TIME` for {time}."
    )
    data = {"gated": gated}
    log.warning(
        message,
        count_noun(gated, "row"),
        deciding.name,
        deciding.party.function,
        extra={"code": "W046", "run_id": receipt.run_id, "data": data},
    )


def absent_recipient(name: str) -> Recipient:
    """A third party whose file is missing: it has no function any more."""
    return Recipient(recipient=name, standing="independent_controller", functions={})
