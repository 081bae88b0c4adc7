"""Administration of consents: record acts, mark expired consents, list consents, and explain a decision."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import Any, Final, Literal

import pyarrow as pa

from minimize.access.permissions import ALL_TENANTS, TenantSet, entries_in_scope, limited_result
from minimize.consent.evaluation import NO_ACT, ConsentHistory, Consents, EffectiveConsents, load_consents
from minimize.consent.terms import (
    DPV_STATES,
    ENDING_STATES,
    NO_CONSENT_REASONS,
    PENDING_STATES,
    VALID_STATES,
    ConsentTerms,
    current_terms,
    parse_terms,
)
from minimize.errors import PolicyError, RefusedError
from minimize.governance.evidence import (
    EvidenceSearch,
    TenantEvidence,
    checked_reference,
    document_evidence,
    no_evidence,
    require_evidence,
)
from minimize.identifiers import canonical_account, canonical_id, canonical_text
from minimize.ledger import current_actor
from minimize.ledger.acts import ActReader, Decision
from minimize.ledger.kinds import (
    CONSENT,
    ConsentAct,
    RecallStep,
    distinct_consent_acts,
    find_consents,
    recall_decision,
)
from minimize.recipients import Recipient, find_recipients, load_configured_recipients, load_recipients
from minimize.results import Listing, Printable
from minimize.stores import PathText
from minimize.times import seconds_text, time_text, time_text_or_none
from minimize.workspace import Workspace

ConsentVerb = Literal["request", "give", "refuse", "withdraw"]
_STATE_AFTER: Final = {"request": "requested", "give": "given", "refuse": "refused", "withdraw": "withdrawn"}
_NEEDS_EVIDENCE: Final = ("give", "refuse", "withdraw")
"""Decisions of a tenant. The name of the acting account alone does not show them.

A consent needs more than the reference of a document (`require_evidence`). A refusal or withdrawal does not, so that it counts
without delay.
"""
_NEEDS_RECIPIENT_FILE: Final = ("request", "give")
"""A request or consent refers to the terms in the recipient's current file. A refusal or withdrawal needs no file."""


@dataclass(frozen=True, slots=True)
class NewConsent:
    """A consent act to record: tenant, recipient and function."""

    tenant: str
    recipient: str
    function: str
    text_version: int | None = None
    """The version of the text that was read. Consent is only possible to the current version."""
    valid_from: datetime | None = None
    """By default, the current time."""
    expires_at: datetime | None = None
    """The first time at which the consent no longer holds."""
    evidence: TenantEvidence | None = None
    """Required except for a request."""


RecallPlanner = Callable[[ActReader, Sequence[ConsentAct]], Iterable[Sequence[RecallStep]]]
"""Takes the ledger and new acts, and returns the recalls that follow from them, by recipient. They are recorded in the same
transaction."""


@dataclass(frozen=True, slots=True)
class RecordedConsent:
    """A recorded consent act. `before` has the acts of the tenant, recipient and function that were recorded before it."""

    act: ConsentAct
    before: tuple[ConsentAct, ...] = ()

    @property
    def overruling_act(self) -> ConsentAct | None:
        """The refusal, withdrawal or expiry that becomes valid after the start of a new consent; None if there is none."""
        if self.act.state not in VALID_STATES:
            return None
        later = [act for act in self.before if act.state in ENDING_STATES and self.act.valid_from < act.valid_from]
        return max(later, key=lambda act: act.valid_from, default=None)

    @property
    def answers_nothing(self) -> bool:
        """Whether there is no consent that this refusal or withdrawal could end. A refusal may also answer a request."""
        open_states = PENDING_STATES if self.act.state == "refused" else {"unconfirmed"}
        answered = {*VALID_STATES, *open_states}
        return not any(each.state in answered for each in self.before)

    def to_json(self) -> dict[str, Any]:
        """The act, and under `overruled_by` the act that overrules it."""
        over = self.overruling_act
        return consent_act_json(self.act) | ({} if over is None else {"overruled_by": consent_act_json(over)})

    def lines(self) -> Iterator[str]:
        """The act, and the act that overrules it."""
        yield act_text(self.act)
        if self.act.state == "unconfirmed":
            named = f"{self.act.tenant_id} {self.act.recipient} {self.act.function}"
            yield f"no effect yet: another person must run `minimize consent confirm {named} --document FILE`"
        over = self.overruling_act
        if over is not None:
            since = seconds_text(over.valid_from)
            effect = f"no effect from {since} on, because the consent is {over.state} since then"
            yield f"{effect}. Give the consent without --since, or with a later time."


def record_consent(
    verb: ConsentVerb,
    consent: NewConsent,
    workspace: Workspace,
    now: datetime,
    *,
    recipients: PathText | None = None,
    find_evidence: EvidenceSearch = no_evidence,
) -> RecordedConsent:
    """Records a consent act of the current actor, who needs the permission for it. See `add_consent`.

    `find_evidence` finds the evidence of the tenant's decision, once the permission is certain.
    """
    workspace.require(f"consent/{verb}", tenant=consent.tenant)
    consent = replace(consent, evidence=consent.evidence or find_evidence())
    return add_consent(verb, consent, workspace, now, recipients=recipients)


def add_consent(
    verb: ConsentVerb,
    consent: NewConsent,
    workspace: Workspace,
    now: datetime,
    *,
    recipients: PathText | None = None,
    also: RecallPlanner | None = None,
) -> RecordedConsent:
    """Records a consent act of the current actor (`MINIMIZE_ACTOR`), with its audit event.

    recipients  the folder of recipients; default: the configured one
    also        plans the recalls to record in the same transaction

    Returns the act with the acts before it; a repeated consent is `renewed`. A consent by document is `unconfirmed` and has no
    effect until another person confirms it (`confirm_consent`). Raises PolicyError for an unknown recipient, function or text or
    for impossible times, RefusedError without the evidence that the decision needs, ConfigurationError for a blank reference or
    one with personal data, LedgerError, KeyringError.
    """
    consent = replace(consent, tenant=canonical_text(consent.tenant))
    _check_consent(verb, consent, now)
    if verb == "give":
        require_evidence(consent.evidence, consent.tenant, "consent/give", workspace, current_actor())
    current_text = _load_text(consent, workspace, recipients) if verb in _NEEDS_RECIPIENT_FILE else None
    with workspace.open_ledger(create=True, signs=True) as ledger:
        before = ledger.find(CONSENT, key=f"{consent.recipient}/{consent.function}", tenant=consent.tenant)
        consent_text = current_text or _recorded_text(before) or _load_text(consent, workspace, recipients)
        new = _new_act(verb, consent, consent_text, before, now)
        (act,) = ledger.record(partial(_consent_decision, verb, new=[new], before=before[-1:], also=also))
        return RecordedConsent(act, tuple(before))


def _consent_decision(
    operation: str,
    acts: ActReader,
    *,
    new: Sequence[ConsentAct],
    before: Sequence[ConsentAct],
    also: RecallPlanner | None = None,
) -> Decision[list[ConsentAct]]:
    """The decision to record acts, and the recalls that follow from them. Takes the act before each of them, if there is one."""
    distinct = distinct_consent_acts(acts, new)
    events = CONSENT.decision(operation, *new, before=before).events
    recalls = [recall_decision(acts, steps) for steps in (() if also is None else also(acts, distinct))]
    return Decision(
        distinct,
        [*map(CONSENT.act, distinct), *(act for recall in recalls for act in recall.acts)],
        [*events, *(event for recall in recalls for event in recall.events)],
    )


def mark_expired_consents(
    workspace: Workspace, now: datetime, *, also: RecallPlanner | None = None
) -> list[ConsentAct]:
    """Records the expiry of consents that have run out and have no later act. They no longer hold in either case.

    Takes a planner of the recalls to record in the same transaction. Returns the acts. Raises LedgerError, KeyringError.
    """

    def decide(acts: ActReader) -> Decision[list[ConsentAct]]:
        """Sees a consent that was renewed or marked by another process in the meantime."""
        over = [last for last in _last_acts(find_consents(acts)) if _has_expired(last, now)]
        return _consent_decision("expire", acts, new=[_expiry_act(last, now) for last in over], before=over, also=also)

    with workspace.open_ledger(signs=True) as ledger:
        return ledger.record(decide)


ConsentText = tuple[ConsentTerms, str]
"""The terms of a consent, and the text that the tenant reads."""


def _recorded_text(before: Sequence[ConsentAct]) -> ConsentText | None:
    return (parse_terms(before[-1].terms), before[-1].text) if before else None


def _load_text(consent: NewConsent, workspace: Workspace, folder: PathText | None) -> ConsentText:
    configured = load_configured_recipients(folder, workspace.config).load(consent.recipient)
    terms = current_terms(configured, consent.function)
    if consent.text_version not in (None, terms.text_version):
        hint = "Show the tenant the current text."
        message = f"text {consent.text_version} of {consent.function} is not the current version: that is {terms.text_version}"
        raise PolicyError(message, hint=hint)
    return terms, configured.functions[consent.function].text


def _check_consent(verb: ConsentVerb, consent: NewConsent, now: datetime) -> None:
    if not all((consent.tenant, consent.recipient, consent.function)):
        raise PolicyError("a consent needs a tenant, a recipient and a function", hint="Pass all three.")
    if verb in _NEEDS_EVIDENCE and verb != "give" and consent.evidence is None:
        message = "no evidence of the tenant's decision"
        hint = "Pass --document FILE or --reference DOCUMENT, or set MINIMIZE_TOKEN to an API token of the account."
        raise RefusedError(message, code="N060", hint=hint)
    if consent.evidence is not None and consent.evidence.kind == "document":
        checked_reference(consent.evidence.reference, "--reference")
    if consent.expires_at is not None and verb != "give":
        raise PolicyError("only a given consent can have an expiry", hint="Remove the expiry.")
    if consent.expires_at is not None and consent.expires_at <= (consent.valid_from or now):
        raise PolicyError("the consent would expire before it starts", hint="Pass a later expiry.")


def _new_act(
    verb: ConsentVerb,
    consent: NewConsent,
    consent_text: ConsentText,
    before: Sequence[ConsentAct],
    now: datetime,
) -> ConsentAct:
    (terms, text), proof = consent_text, consent.evidence
    state = _STATE_AFTER[verb]
    if verb == "give":
        state = "unconfirmed" if proof is not None and proof.kind == "document" else _given_state(before)
    return ConsentAct(
        tenant_id=consent.tenant,
        recipient=consent.recipient,
        function=consent.function,
        state=state,
        terms=terms.text,
        by=current_actor().user or "",
        valid_from=consent.valid_from or now,
        expires_at=consent.expires_at,
        recorded_at=now,
        text=text,
        evidence_kind="" if proof is None else proof.kind,
        evidence="" if proof is None else proof.reference,
        digest="" if proof is None else proof.digest,
    )


def _given_state(before: Sequence[ConsentAct]) -> str:
    return "renewed" if any(each.state in VALID_STATES for each in before) else "given"


def confirm_consent(
    tenant: str, recipient: str, function: str, workspace: Workspace, now: datetime, *, document: PathText
) -> RecordedConsent:
    """Confirms the consent of a tenant that another person recorded with its document. It is valid from its own start on.

    document  the file of the same document, which the confirming person has read

    Raises RefusedError if no consent waits for a confirmation or the document is another one (N064), and for the person who
    recorded it (N065); LedgerError, KeyringError.
    """
    workspace.require("consent/confirm", tenant=tenant)
    digest = document_evidence(document).digest
    tenant, confirming, access = canonical_text(tenant), current_actor().user or "", workspace.access

    def decide(acts: ActReader) -> Decision[RecordedConsent]:
        before = acts.find(CONSENT, key=f"{recipient}/{function}", tenant=tenant)
        waiting = next((each for each in reversed(before) if each.state != "requested"), None)
        if waiting is None or waiting.state != "unconfirmed" or waiting.digest != digest:
            message = f"no consent of {tenant} to {function} of {recipient} with this document waits for a confirmation"
            raise RefusedError(message, code="N064", hint=f"Run `minimize consent show --tenant {tenant} --history`.")
        recorded_by = canonical_account(waiting.by)
        if confirming == recorded_by or (access is not None and not access.are_separate(confirming, recorded_by)):
            message = "a consent by document needs a second person"
            hint = "Ask another person, in other groups than the one who recorded it, to run this command."
            raise RefusedError(message, code="N065", hint=hint)
        confirmed = replace(waiting, state=_given_state(before), confirmed_by=confirming, recorded_at=now)
        recorded = _consent_decision("confirm", acts, new=[confirmed], before=before[-1:])
        return Decision(RecordedConsent(recorded.result[0], tuple(before)), recorded.acts, recorded.events)

    with workspace.open_ledger(signs=True) as ledger:
        return ledger.record(decide)


def _last_acts(acts: Sequence[ConsentAct]) -> Sequence[ConsentAct]:
    last = {(each.tenant_id, each.recipient, each.function): each for each in acts if each.state not in PENDING_STATES}
    return list(last.values())


def _has_expired(last: ConsentAct, now: datetime) -> bool:
    return last.state in VALID_STATES and last.expires_at is not None and last.expires_at <= now


def _expiry_act(last: ConsentAct, now: datetime) -> ConsentAct:
    expired = replace(last, state="expired", by=current_actor().user or "", recorded_at=now)
    expired = replace(expired, valid_from=last.expires_at or now, expires_at=None)
    return replace(expired, evidence_kind="", evidence="", digest="", confirmed_by="")


@dataclass(frozen=True, slots=True)
class ConsentStatus:
    """One act. The act that decides also has the reason why the consent holds or not."""

    act: ConsentAct
    holds: bool | None = None
    reason: str | None = None

    def to_json(self) -> dict[str, Any]:
        """The act as `consent show --json` prints it."""
        content = consent_act_json(self.act)
        return content if self.holds is None else {**content, "valid": self.holds, "why": self.reason}

    def lines(self) -> Iterator[str]:
        """The act, and whether the consent holds or when it was recorded."""
        if self.holds is None:
            yield f"{act_text(self.act)}, recorded {seconds_text(self.act.recorded_at)}"
        else:
            word = "valid" if self.reason is None else f"no consent: {NO_CONSENT_REASONS[self.reason]}"
            yield f"{act_text(self.act)}: {word}"


@dataclass(frozen=True, slots=True)
class ConsentExplanation:
    """Whether a tenant's consent permits sharing, the stable reason if not, and the acts that decide at each time."""

    tenant: str
    recipient: str
    function: str
    reason: str | None
    deciding: tuple[tuple[datetime, ConsentAct | None], ...]
    recorded_later: tuple[ConsentAct, ...] = ()
    """Acts recorded after the time of sharing that decide at these times for later runs."""

    @property
    def valid(self) -> bool:
        """Whether the consent permits sharing."""
        return self.reason is None

    @property
    def reason_text(self) -> str:
        """The reason in words."""
        return "valid" if self.reason is None else NO_CONSENT_REASONS[self.reason]

    def to_json(self) -> dict[str, Any]:
        """The answer as `consent why --json` prints it."""
        moments = [
            {"time": time_text(when), "act": None if act is None else consent_act_json(act)}
            for when, act in self.deciding
        ]
        parties = {"tenant": self.tenant, "recipient": self.recipient, "function": self.function}
        later = (
            {"recorded_later": [consent_act_json(act) for act in self.recorded_later]} if self.recorded_later else {}
        )
        return {**parties, "valid": self.valid, "why": self.reason, "moments": moments, **later}

    def lines(self) -> Iterator[str]:
        """The answer, the act that decides at each time, and acts that were recorded later."""
        word = "consent" if self.valid else "no consent"
        yield f"{self.recipient} {self.function} for {self.tenant}: {word} ({self.reason_text})"
        for when, act in self.deciding:
            yield f"at {seconds_text(when)}: {'nothing' if act is None else act_text(act)}"
        for act in self.recorded_later:
            recorded = seconds_text(act.recorded_at)
            yield (
                f"{act.state} by {act.by}, valid from {seconds_text(act.valid_from)}, but recorded only at {recorded}. "
                f"Runs before {recorded} ignore it"
            )


def show_consents(
    workspace: Workspace,
    now: datetime,
    *,
    tenant: str | None = None,
    recipient: str | None = None,
    function: str | None = None,
    history: bool = False,
    recipients: PathText | None = None,
) -> Printable:
    """The consents that the current actor may read, as `list_consents` finds them."""
    tenants = workspace.readable_tenants("consent/read", tenant=tenant)
    statuses = list_consents(
        workspace,
        now,
        tenant=tenant,
        recipient=recipient,
        function=function,
        history=history,
        recipients=recipients,
        tenants=tenants,
    )
    return limited_result(Listing("consents", statuses, "no consents"), tenants)


def list_consents(
    workspace: Workspace,
    now: datetime,
    *,
    tenant: str | None = None,
    recipient: str | None = None,
    function: str | None = None,
    history: bool = False,
    recipients: PathText | None = None,
    tenants: TenantSet = ALL_TENANTS,
) -> list[ConsentStatus]:
    """The act that decides for each tenant and function, and whether a consent holds now; with `history` every act.

    Optionally only for one tenant, recipient or function, or for tenants in scope. A recipient with a missing or faulty file has
    no consent.
    """
    recorded = _load_consents(workspace, tenant, recipient, function)
    consents = Consents(tuple(entries_in_scope(recorded.acts, tenants, lambda act: (act.tenant_id,))))
    if history:
        return [ConsentStatus(act) for act in consents.acts]
    folder, effective = find_recipients(recipients, start=workspace.config), consents.effective_at(now)
    pairs = dict.fromkeys((act.recipient, act.function) for act in consents.acts)
    known = {name: _load_recipient(folder, name) for name in dict.fromkeys(name for name, _ in pairs)}
    return [each for name, of in pairs for each in _consent_statuses(effective, known[name], name, of)]


def explain_consent(
    tenant: str,
    recipient: str,
    function: str,
    workspace: Workspace,
    *,
    run: datetime,
    event: datetime | None = None,
    recipients: PathText | None = None,
) -> ConsentExplanation:
    """Explains whether sharing by this function is permitted for a tenant's rows at a time, and at an event time if given.

    Raises PolicyError for an unknown recipient. An unknown function is not an error: it has no consent.
    """
    workspace.require("consent/read", tenant=tenant)
    configured = load_configured_recipients(recipients, workspace.config).load(recipient)
    effective = _load_consents(workspace, tenant, recipient, function).effective_at(run, event)
    reason = effective.evaluate(configured, function, pa.array([tenant], pa.string())).reasons[0].as_py()
    return ConsentExplanation(
        tenant=tenant,
        recipient=recipient,
        function=function,
        reason=reason,
        deciding=tuple((when, _deciding_act_at(effective, recipient, function, when)) for when in effective.times),
        recorded_later=tuple(_acts_recorded_later(effective, recipient, function)),
    )


def consent_act_json(act: ConsentAct) -> dict[str, Any]:
    """An act as JSON, with the dpv: term for its state."""
    terms = parse_terms(act.terms)
    return {
        "id": act.id,
        "tenant": act.tenant_id,
        "recipient": act.recipient,
        "function": act.function,
        "state": act.state,
        "dpv": DPV_STATES[act.state],
        "text_version": terms.text_version,
        "purpose": terms.purpose,
        "fields": sorted(terms.forms),
        "terms": terms.digest,
        "text": act.text,
        "by": act.by,
        "evidence": _evidence_json(act) if act.evidence_kind else None,
        "valid_from": time_text(act.valid_from),
        "expires_at": time_text_or_none(act.expires_at),
        "recorded_at": time_text(act.recorded_at),
    }


def _evidence_json(act: ConsentAct) -> dict[str, Any]:
    document = {"digest": act.digest, "confirmed_by": act.confirmed_by or None} if act.digest else {}
    return {"kind": act.evidence_kind, "reference": act.evidence, **document}


def act_text(act: ConsentAct) -> str:
    """An act as one line of text."""
    until = f" until {seconds_text(act.expires_at)}" if act.expires_at else ""
    concerns = f"{act.tenant_id}  {act.recipient}  {act.function}"
    proof = f", {act.evidence_kind} {act.evidence}" if act.evidence_kind else ""
    proof += f", confirmed by {act.confirmed_by}" if act.confirmed_by else ""
    return f"{concerns}  {act.state}  by {act.by}{proof}, from {seconds_text(act.valid_from)}{until}"


def _load_consents(workspace: Workspace, tenant: str | None, recipient: str | None, function: str | None) -> Consents:
    with workspace.open_ledger() as ledger:
        consents = load_consents(ledger, workspace.config, recipient=recipient, tenant=canonical_id(tenant))
    return replace(consents, acts=tuple(act for act in consents.acts if function in (None, act.function)))


def _load_recipient(folder: os.PathLike[str], name: str) -> Recipient | None:
    try:
        return load_recipients(folder).load(name)
    except PolicyError:
        return None


def _consent_statuses(
    consents: EffectiveConsents, recipient: Recipient | None, name: str, function: str
) -> list[ConsentStatus]:
    """The deciding act for each tenant, or the request if there is no other act."""
    history = consents.consents.history(name, function)
    tenants = pa.array(history.tenant_names, pa.string())
    reasons = (
        ["no_function"] * len(tenants)
        if recipient is None
        else consents.evaluate(recipient, function, tenants).reasons.to_pylist()
    )
    deciding = history.deciding(consents.run, consents.run).tolist()
    requested, ahead = (
        history.requested(consents.run, consents.run).tolist(),
        history.upcoming(consents.run, consents.run).tolist(),
    )
    places = [
        next((place for place in each if place != NO_ACT), NO_ACT)
        for each in zip(deciding, ahead, requested, strict=True)
    ]
    return [
        ConsentStatus(history.acts[place], reason is None, reason)
        for place, reason in zip(places, reasons, strict=True)
        if place != NO_ACT
    ]


def _deciding_act_at(consents: EffectiveConsents, recipient: str, function: str, when: datetime) -> ConsentAct | None:
    return _deciding_act(consents.consents.history(recipient, function), when, consents.run)


def _acts_recorded_later(consents: EffectiveConsents, recipient: str, function: str) -> Iterator[ConsentAct]:
    """The acts recorded after the time of the run that decide with today's knowledge."""
    history = consents.consents.history(recipient, function)
    today = max((act.recorded_at for act in history.acts), default=consents.run)
    acts = [_deciding_act(history, when, today) for when in consents.times]
    for act in {act.id: act for act in acts if act is not None}.values():
        if act.recorded_at > consents.run:
            yield act


def _deciding_act(history: ConsentHistory, when: datetime, run: datetime) -> ConsentAct | None:
    """The act that decides for the only tenant of a history."""
    deciding = history.deciding(when, run)
    return None if not len(deciding) or deciding[0] == NO_ACT else history.acts[int(deciding[0])]
