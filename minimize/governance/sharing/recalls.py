"""Recalls: data that a recipient must delete, with the cause; requests, list files, confirmations; end of consents."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from io import TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from minimize.access.permissions import ALL_TENANTS, TenantSet, entries_in_scope, limited_result
from minimize.config import Config
from minimize.consent.evaluation import consent_end, load_agreements
from minimize.consent.terms import TenantAgreements, parse_terms
from minimize.errors import ConfigurationError, PolicyError
from minimize.governance.consent import (
    NewConsent,
    RecordedConsent,
    act_text,
    add_consent,
    consent_act_json,
    mark_expired_consents,
)
from minimize.governance.evidence import EvidenceSearch, no_evidence
from minimize.ledger import current_actor
from minimize.ledger.acts import ActReader
from minimize.ledger.kinds import (
    CONSENT,
    TENANT_SHARE,
    ConsentAct,
    Disclosure,
    RecallState,
    RecallStep,
    TenantShare,
    find_consents,
    find_disclosures,
    find_recall_steps,
    recall_decision,
)
from minimize.recipients import Contract, Recipient, Recipients, load_configured_recipients
from minimize.results import Listing, LogMessage, Printable, json_object
from minimize.stores import PathText, file_operations
from minimize.stores.durable_files import create_private_file
from minimize.text import count_noun
from minimize.workspace import Workspace

if TYPE_CHECKING:
    from minimize.ledger.ledger import Ledger

RecallProgress = Literal["due", "requested", "confirmed"]
DEFAULT_DELETION_PERIOD: Final = timedelta(days=30)
"""Time for a recipient to confirm the deletion, if its contract sets none."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Recall:
    """Data of one tenant in one disclosure, which the recipient must delete."""

    recipient: str
    function: str
    disclosure: str
    tenant: str
    cause: str
    state: RecallProgress
    """The recipient was not asked yet (`due`), was asked (`requested`), or has confirmed the deletion (`confirmed`)."""
    sent_at: datetime
    requested_at: datetime | None = None
    confirm_by: datetime | None = None
    """Deadline for the confirmation."""
    overdue: bool = False
    """Whether the deadline has passed without a confirmation."""
    digest: str
    rows: int
    fields: tuple[str, ...]
    subjects: tuple[str, ...] = field(repr=False)

    @property
    def is_late(self) -> bool:
        """Whether action is required: the recipient was not asked, or has not confirmed in time."""
        return self.state == "due" or self.overdue

    def step(self, state: RecallState, now: datetime) -> RecallStep:
        """A new step of the recall."""
        return RecallStep(
            disclosure=self.disclosure,
            tenant_id=self.tenant,
            recipient=self.recipient,
            cause=self.cause,
            state=state,
            recorded_at=now,
            actor=current_actor().user or "",
        )

    def to_json(self, *, subjects: bool = True) -> dict[str, Any]:
        """The entry as a JSON object, with the tokens of its subjects or only their number."""
        return json_object(self) | ({} if subjects else {"subjects": len(self.subjects)})

    def lines(self) -> Iterator[str]:
        """The entry as one line."""
        late = "  OVERDUE" if self.overdue else ""
        counts = f"{count_noun(self.rows, 'row')}, {count_noun(len(self.subjects), 'subject')}"
        yield f"{self.recipient}  {self.tenant}  {self.cause}  {self.state}  {counts}  {self.disclosure}{late}"


def build_recall(
    act: Disclosure,
    share: TenantShare,
    cause: str,
    state: RecallProgress,
    *,
    requested_at: datetime | None,
    contract: Contract | None,
    now: datetime,
) -> Recall:
    """Builds the entry for the data of a tenant in a disclosure."""
    confirm_by = None if requested_at is None else requested_at + _deletion_period(contract)
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
        subjects=tuple(share.token_texts()),
        requested_at=requested_at,
        confirm_by=confirm_by,
        overdue=state == "requested" and confirm_by is not None and confirm_by <= now,
    )


def recall_list(recipient: str, recalls: Sequence[Recall]) -> dict[str, Any]:
    """The list of data that a recipient is asked to delete, as a JSON object."""
    return {"recipient": recipient, "delete": [each.to_json() for each in recalls]}


def _deletion_period(contract: Contract | None) -> timedelta:
    return (None if contract is None else contract.deletes_within) or DEFAULT_DELETION_PERIOD


DisclosureTenant = tuple[str, str]
"""The id of a disclosure, and a tenant whose data it contained."""
ConsentParties = tuple[str, str, str]
"""The recipient, the function and the tenant of a consent."""


def find_recalls(
    ledger: Ledger,
    recipients: Recipients,
    config: Config,
    now: datetime,
    recipient: str | None,
    *,
    with_confirmed: bool = False,
) -> list[Recall]:
    """The recalls that are due or requested, oldest first. `with_confirmed` includes confirmed ones.

    The file of contracts is that of the configuration.
    """
    acts: dict[ConsentParties, list[ConsentAct]] = {}
    for act in find_consents(ledger, recipient=recipient):
        acts.setdefault((act.recipient, act.function, act.tenant_id), []).append(act)
    agreements = load_agreements(ledger, config, recipient=recipient)
    search, steps = _RecallSearch(ledger, recipients, acts, agreements, now), _recorded_steps(ledger, recipient)
    sent = find_disclosures(ledger, recipient)
    recalls = [recall for disclosure in sent for recall in search.recalls_of_disclosure(disclosure, steps)]
    return [recall for recall in recalls if with_confirmed or recall.state != "confirmed"]


def _recorded_steps(ledger: Ledger, recipient: str | None) -> dict[DisclosureTenant, list[RecallStep]]:
    steps: dict[DisclosureTenant, list[RecallStep]] = {}
    for step in find_recall_steps(ledger, recipient):
        steps.setdefault((step.disclosure, step.tenant_id), []).append(step)
    return steps


@dataclass(frozen=True, slots=True)
class _RecallSearch:
    ledger: Ledger
    recipients: Recipients
    acts: Mapping[ConsentParties, Sequence[ConsentAct]]
    agreements: TenantAgreements
    now: datetime
    loaded: dict[str, Recipient | None] = field(default_factory=dict)

    def recalls_of_disclosure(
        self, act: Disclosure, steps: Mapping[DisclosureTenant, list[RecallStep]]
    ) -> Iterator[Recall]:
        """Yields the recalls of one disclosure."""
        for share in self.ledger.find(TENANT_SHARE, key=act.disclosure):
            recorded = steps.get((act.disclosure, share.tenant_id), [])
            acts = self.acts.get((act.recipient, act.function, share.tenant_id), ())
            contract = recall_contract(self._recipient(act.recipient), share, self.agreements, self.now)
            cause = recorded[0].cause if recorded else self._cause(act, share, acts)
            if cause is not None:
                state = recorded[-1].state if recorded else "due"
                requested = recorded[0].recorded_at if recorded else None
                yield build_recall(act, share, cause, state, requested_at=requested, contract=contract, now=self.now)

    def _cause(self, act: Disclosure, share: TenantShare, acts: Sequence[ConsentAct]) -> str | None:
        """The cause for which the data of a tenant must be deleted; None if there is none."""
        ended = consent_end(acts, share.consent, self.now)
        if ended is not None:
            return ended
        if self._has_contract_ended(act, share.tenant_id):
            return "contract_ended"
        due = share.retention_due if share.contract else act.retention_due
        return "retention_due" if due is not None and due <= self.now else None

    def _has_contract_ended(self, act: Disclosure, tenant: str) -> bool:
        """Whether the contract that governs the data is no longer in force.

        A tenant that never had a contract with an independent controller has none that could end. A recipient that is no longer
        configured has no contract.
        """
        recipient, today = self._recipient(act.recipient), self.now.astimezone(UTC).date()
        if recipient is None:
            return True
        if recipient.standing == "processor":
            return recipient.contract is None or not recipient.contract.holds(today)
        known = self.agreements.contracts_of(recipient.recipient, tenant, self.now)
        return any(each.from_ <= today for each in known) and not any(each.holds(today) for each in known)

    def _recipient(self, name: str) -> Recipient | None:
        """The recipient; None if it is no longer configured."""
        if name not in self.loaded:
            self.loaded[name] = self.recipients.load(name) if name in self.recipients.names() else None
        return self.loaded[name]


def recall_contract(
    recipient: Recipient | None, share: TenantShare, agreements: TenantAgreements, now: datetime
) -> Contract | None:
    """The contract that sets the time limit of a deletion: of the organization with a processor, else the tenant's own."""
    if recipient is None or recipient.standing == "processor":
        return None if recipient is None else recipient.contract
    known = agreements.contracts_of(recipient.recipient, share.tenant_id, now)
    return next((each for each in known if each.reference == share.contract), known[-1] if known else None)


def show_recalls(
    workspace: Workspace,
    recipients: Recipients | PathText | None,
    now: datetime,
    *,
    recipient: str | None = None,
    with_confirmed: bool = False,
    overdue: bool = False,
) -> Printable:
    """The recall list that the current actor may read, as `list_recalls` finds it. Exit code 1 if a recall needs action."""
    tenants = workspace.readable_tenants("share/read")
    recalls = list_recalls(
        workspace, recipients, now, recipient=recipient, with_confirmed=with_confirmed, overdue=overdue, tenants=tenants
    )
    is_late = any(each.is_late for each in recalls)
    return limited_result(Listing("recalls", recalls, "no recalls", exit_code=int(is_late)), tenants)


def list_recalls(
    workspace: Workspace,
    recipients: Recipients | PathText | None,
    now: datetime,
    *,
    recipient: str | None = None,
    with_confirmed: bool = False,
    overdue: bool = False,
    tenants: TenantSet = ALL_TENANTS,
) -> list[Recall]:
    """The recall list: due and requested recalls, oldest first.

    recipients  the recipients or their folder; default: the configured folder
    with_confirmed  includes confirmed recalls
    overdue     only recalls that need action
    tenants     tenants in scope
    """
    known = load_configured_recipients(recipients, workspace.config)
    with workspace.open_ledger() as ledger:
        recalls = find_recalls(ledger, known, workspace.config, now, recipient, with_confirmed=with_confirmed)
    visible = entries_in_scope(recalls, tenants, lambda recall: (recall.tenant,))
    return [recall for recall in visible if recall.is_late or not overdue]


def request_recalls(
    workspace: Workspace,
    recipients: Recipients | PathText | None,
    now: datetime,
    *,
    recipient: str | None = None,
    to: str | None = None,
) -> list[Recall]:
    """Records the request to one or all recipients to delete the data that is due. Returns the requested recalls.

    `to` is a new file for the recall list. If nothing was ever shared, no recipients need to be configured.
    """
    workspace.require("share/recall_request")
    with workspace.open_ledger() as ledger, open_recall_list(to, recipient) as save_list:
        due: list[Recall] = []
        if recipient is not None or recipients is not None or find_disclosures(ledger):
            known = load_configured_recipients(recipients, workspace.config)
            due = [
                each for each in find_recalls(ledger, known, workspace.config, now, recipient) if each.state == "due"
            ]
        _record_steps(ledger, workspace, due, "requested", now)
        requested = [replace(each, state="requested", requested_at=now) for each in due]
        save_list(requested)
    return requested


def confirm_recalls(
    workspace: Workspace,
    recipients: Recipients | PathText | None,
    now: datetime,
    *,
    recipient: str,
    disclosure: str | None = None,
    tenant: str | None = None,
) -> list[Recall]:
    """Records that a recipient confirmed requested recalls: all, or those of one disclosure or one tenant.

    Raises ConfigurationError if there is no such request.
    """
    workspace.require("share/recall", tenant=tenant)
    known = load_configured_recipients(recipients, workspace.config)
    with workspace.open_ledger() as ledger:
        requested = [
            each
            for each in find_recalls(ledger, known, workspace.config, now, recipient)
            if each.state == "requested" and disclosure in (None, each.disclosure) and tenant in (None, each.tenant)
        ]
        if not requested:
            raise ConfigurationError("no matching recall was requested", hint="Run `minimize share recall list`.")
        _record_steps(ledger, workspace, requested, "confirmed", now)
        return [replace(each, state="confirmed", overdue=False) for each in requested]


def _record_steps(
    ledger: Ledger, workspace: Workspace, recalls: Iterable[Recall], state: RecallState, now: datetime
) -> None:
    """Records a step of these recalls, with an audit event for each recipient."""
    for steps in _steps_by_recipient(recalls, state, now):
        ledger.record(partial(recall_decision, steps=steps), workspace.keyring())


def _steps_by_recipient(recalls: Iterable[Recall], state: RecallState, now: datetime) -> Iterable[list[RecallStep]]:
    steps: dict[str, list[RecallStep]] = {}
    for recall in recalls:
        steps.setdefault(recall.recipient, []).append(recall.step(state, now))
    return steps.values()


RECEIVED_RECORDS_HINT: Final = (
    "records received under it are still stored. The nightly job removes them; to remove them earlier, run `minimize retract "
    "OUTPUT --received --yes` for each output of this data."
)


@dataclass(frozen=True, slots=True)
class EndedConsent:
    """A recorded refusal or withdrawal, its recalls, and the steps that the manifest lists for the end of a consent."""

    recorded: RecordedConsent
    recalls: Sequence[Recall]
    ending: str = ""

    @property
    def log_messages(self) -> Sequence[LogMessage]:
        """A warning (W047) if there was no consent to end."""
        act = self.recorded.act
        about = f"no consent of this tenant to {act.function} of {act.recipient} is recorded"
        message = LogMessage("W047", f"{about}. Check the spelling of the tenant.")
        return [message] if self.recorded.answers_nothing else []

    def to_json(self) -> dict[str, Any]:
        """The act, its recalls, and the steps to do by hand."""
        act = self.recorded.act
        body = {**consent_act_json(act), "recalls": [each.to_json() for each in self.recalls], "ending": self.ending}
        return body | ({"received": True} if _covers_received_records(act) else {})

    def lines(self) -> Iterator[str]:
        """The act, its recalls, and what remains to do."""
        yield act_text(self.recorded.act)
        for recall in self.recalls:
            yield from recall.lines()
        if _covers_received_records(self.recorded.act):
            yield RECEIVED_RECORDS_HINT
        if self.ending:
            yield f"to do by hand: {self.ending}"


@dataclass(frozen=True, slots=True)
class ExpiredConsents:
    """Consents that were marked as expired, and their recalls."""

    acts: Sequence[ConsentAct]
    recalls: Sequence[Recall]

    def to_json(self) -> dict[str, Any]:
        """The acts, and their recalls if there are any."""
        recalls = {"recalls": [each.to_json() for each in self.recalls]} if self.recalls else {}
        return {"expired": [consent_act_json(act) for act in self.acts], **recalls}

    def lines(self) -> Iterator[str]:
        """The number of consents, their recalls, and what remains to do."""
        yield f"{count_noun(len(self.acts), 'consent')} marked as expired"
        for recall in self.recalls:
            yield from recall.lines()
        if any(map(_covers_received_records, self.acts)):
            yield RECEIVED_RECORDS_HINT


def _covers_received_records(act: ConsentAct) -> bool:
    """Whether a consent covered received data. That data remains stored until `retract` removes it."""
    return parse_terms(act.terms).direction == "inbound"


def end_consent(
    verb: Literal["withdraw", "refuse"],
    consent: NewConsent,
    workspace: Workspace,
    now: datetime,
    *,
    recipients: PathText | None = None,
    find_evidence: EvidenceSearch = no_evidence,
    to: str | None = None,
) -> EndedConsent:
    """Ends a tenant's consent, and records the request to the recipient to delete the data received under it.

    A withdrawal with a future effective time causes a recall at that time. `to` is a new file for the recall list. Raises the
    exceptions of `add_consent`, and OutputError if the file exists; then nothing is recorded.
    """
    workspace.require(f"consent/{verb}", tenant=consent.tenant)
    consent = replace(consent, evidence=consent.evidence or find_evidence())
    known = find_recipient(consent.recipient, workspace, recipients)
    recall_on_end = _RecallOnEnd(now, workspace.config, known)
    with open_recall_list(to, consent.recipient) as save_list:
        recorded = add_consent(verb, consent, workspace, now, recipients=recipients, also=recall_on_end)
        save_list(recall_on_end.recalls)
    return EndedConsent(recorded, recall_on_end.recalls, "" if known is None else known.ending)


def expire_consents(workspace: Workspace, now: datetime) -> ExpiredConsents:
    """Marks consents as expired, and records the request to their recipients to delete the data received under them."""
    workspace.require("consent/expire")
    recall_on_end = _RecallOnEnd(now, workspace.config, None)
    return ExpiredConsents(mark_expired_consents(workspace, now, also=recall_on_end), recall_on_end.recalls)


@dataclass(frozen=True, slots=True)
class _RecallOnEnd:
    """Callback that adds recalls to the transaction that records ended consents, and collects them."""

    now: datetime
    config: Config
    recipient: Recipient | None
    recalls: list[Recall] = field(default_factory=list)

    def __call__(self, ledger: ActReader, acts: Sequence[ConsentAct]) -> Iterable[Sequence[RecallStep]]:
        """The recall requests, by recipient."""
        recorded = {(step.disclosure, step.tenant_id) for step in find_recall_steps(ledger)}
        self.recalls[:] = [
            each
            for act in acts
            for each in self._recalls_of_act(ledger, act)
            if (each.disclosure, each.tenant) not in recorded
        ]
        return _steps_by_recipient(self.recalls, "requested", self.now)

    def _recalls_of_act(self, ledger: ActReader, ending: ConsentAct) -> Iterator[Recall]:
        """Yields the recalls of the tenant and function of an act that is not recorded yet."""
        parties = f"{ending.recipient}/{ending.function}"
        acts = [*ledger.find(CONSENT, key=parties, tenant=ending.tenant_id), ending]
        sent = find_disclosures(ledger, ending.recipient)
        agreements = load_agreements(ledger, self.config, recipient=ending.recipient)
        for act in (each for each in sent if each.function == ending.function):
            for share in ledger.find(TENANT_SHARE, key=act.disclosure, tenant=ending.tenant_id):
                cause = consent_end(acts, share.consent, self.now)
                if cause is not None:
                    yield build_recall(
                        act,
                        share,
                        cause,
                        "requested",
                        requested_at=self.now,
                        contract=recall_contract(self.recipient, share, agreements, self.now),
                        now=self.now,
                    )


def find_recipient(name: str, workspace: Workspace, recipients: PathText | None) -> Recipient | None:
    """The configured recipient. None without a file, which the end of a consent or contract does not need."""
    try:
        return load_configured_recipients(recipients, workspace.config).load(name)
    except PolicyError:
        return None


RecallListWriter = Callable[[Sequence["Recall"]], object]


@contextmanager
def open_recall_list(path: str | None, recipient: str | None) -> Iterator[RecallListWriter]:
    """Yields a writer for the recall list. Creates the file before anything is recorded; if this fails, nothing is recorded."""
    if path is None:
        yield lambda _: None
        return
    file, is_recorded = TextIOWrapper(create_private_file(Path(path)), encoding="utf-8"), False
    try:
        with file:
            yield lambda recalls: file.write(_recall_list_text(recipient, recalls))
            is_recorded = True
    finally:
        if not is_recorded:
            file_operations.remove(Path(path), missing=True)


def _recall_list_text(recipient: str | None, recalls: Sequence[Recall]) -> str:
    names = [recipient] if recipient is not None else list(dict.fromkeys(each.recipient for each in recalls))
    lists = [recall_list(name, [each for each in recalls if each.recipient == name]) for name in names]
    return json.dumps(lists[0] if recipient is not None else lists, indent=2)
