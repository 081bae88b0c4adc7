"""Data subject requests: the subjects they name, their states and deadlines, and the confirmations of recipients."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from minimize.access.permissions import ALL_TENANTS, TenantSet, entries_in_scope, limited_result
from minimize.datasets.lifecycle_events import EventKind, merge_linked_forms
from minimize.datasets.reader import load_receipts
from minimize.errors import ConfigurationError
from minimize.governance.evidence import checked_reference
from minimize.governance.subjects.named_subjects import DataSubject, Subjects, permitted_subjects
from minimize.identifiers import canonical_id
from minimize.keys import Keyring
from minimize.ledger import current_actor
from minimize.ledger.audit_event import EventResult
from minimize.ledger.runs import missing_receipts, output_locations
from minimize.ledger.subject_kinds import (
    LIFECYCLE_EVENT,
    SUBJECT_REQUEST,
    LifecycleEvent,
    LinkedForms,
    RequestState,
    SubjectRequestStep,
    last_lifecycle_events,
    linked_forms,
)
from minimize.ledger.subject_tokens import find_known_token, known_or_new_token, token_secrets, token_versions
from minimize.output.folder import has_runs, identity_of
from minimize.results import Line, Listing, Printable, ResultAt
from minimize.settings.erasures import RESTRICTION
from minimize.stores import parse_output_location
from minimize.text import count_noun
from minimize.times import minute_text, time_text
from minimize.workspace import Workspace

if TYPE_CHECKING:
    from minimize.ledger.ledger import Ledger


REQUEST_DEADLINE: Final = timedelta(days=30)
"""The time limit for a request of a person."""
TENANT_DEADLINE: Final = timedelta(days=180)
"""The time limit for the removal of a closed tenant's data."""
REQUEST_ID_LENGTH: Final = 12
"""The number of letters of a request's id that are shown."""


@dataclass(frozen=True, slots=True)
class RequestStatus:
    """The state of a request."""

    last: SubjectRequestStep
    requested_by: str
    """The account that made the request."""
    recipients: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Per recipient of the subject's records, the disclosures, and whether the recipient confirmed the deletion."""
    lifted_at: datetime | None = None
    """The time at which a restriction was lifted; None if it was not."""
    unconfirmed_in: tuple[str, ...] = ()
    """The outputs that lack receipts of the request, because they were restored from an older copy."""

    @property
    def is_open(self) -> bool:
        """Whether work is left to do here, or a confirmation is missing."""
        return self.last.state in ("open", "failed") or any(not each["confirmed"] for each in self.recipients.values())

    def is_overdue(self, now: datetime) -> bool:
        """Whether the deadline has passed."""
        return self.is_open and self.last.due < now

    def to_json(self, now: datetime) -> dict[str, Any]:
        """The request as `subject status --json` prints it."""
        last = self.last
        body: dict[str, Any] = {"request": last.id[:REQUEST_ID_LENGTH], "kind": last.kind, "tenant_id": last.tenant_id}
        body |= {"subject": last.subject, "asked_at": time_text(last.asked_at), "due": time_text(last.due)}
        status: dict[str, Any] = {"state": last.state, "overdue": self.is_overdue(now), "recipients": self.recipients}
        status |= {"actor": self.requested_by}
        status |= {"lifted_at": self.lifted_at and time_text(self.lifted_at)} if last.kind == "restrict" else {}
        status |= {"unconfirmed_in": list(self.unconfirmed_in)} if self.unconfirmed_in else {}
        return {**body, **status, **last.body}

    def lines(self, now: datetime) -> Iterator[Line]:
        """The request and its state in one line."""
        last = self.last
        owner = f"tenant {last.tenant_id}" if last.subject is None else f"a subject of {last.tenant_id}"
        request = f"{_REQUEST_NOUNS.get(last.kind, last.kind)} of {owner}"
        requested = f"requested on {minute_text(last.asked_at)} by {self.requested_by or 'an unknown account'}"
        yield f"{last.id[:REQUEST_ID_LENGTH]}  {request}, {requested}: {'; '.join(self._state_texts(now))}"

    def _limits_texts(self) -> list[str]:
        """The outputs that were not searched, the fields that a copy leaves out, and the reason of a refusal."""
        body, words = self.last.body, list[str]()
        if body.get("unsearchable"):
            words.append(f"not searched: {', '.join(sorted(body['unsearchable']))}")
        if body.get("redacted"):
            words.append(f"copy without {', '.join(body['redacted'])}")
        if body.get("because"):
            words.append(f"{REFUSAL_REASONS[body['because']]}, see {body['reference']}")
        elif body.get("reference"):
            words.append(f"see {body['reference']}")
        return words

    def _state_texts(self, now: datetime) -> Iterator[str]:
        """The state, the recipients without a confirmation, the deadline of an open request, and the effect of a restriction."""
        last = self.last
        waiting = [name for name, each in self.recipients.items() if not each["confirmed"]]
        yield last.state
        yield from self._limits_texts()
        if waiting:
            yield f"waiting for {', '.join(waiting)}"
        if self.is_open:
            yield f"{'OVERDUE, was' if self.is_overdue(now) else 'is'} due on {minute_text(last.due)}"
        if last.kind in _MOVED_TEXTS and last.state != "refused":
            yield f"{count_noun(last.body.get('rows', 0), 'record')} {_MOVED_TEXTS[last.kind]}"
        if self.unconfirmed_in:
            repetition = _REPETITIONS.get(last.kind, "run the command again")
            places = ", ".join(self.unconfirmed_in)
            yield f"not confirmed in {places}, which lacks its receipts: {repetition}, then {_ACCEPT_COPY}"
        elif last.kind == "restrict" and last.state == "done":
            yield "in force" if self.lifted_at is None else f"lifted on {minute_text(self.lifted_at)}"


_REQUEST_NOUNS: Final[Mapping[str, str]] = {
    "delete": "deletion",
    "restrict": "restriction",
    "lift": "lifting of the restriction",
    "correct": "correction",
}
_REPETITIONS: Final[Mapping[str, str]] = {
    "delete": "run `minimize expire OUTPUT --yes`",
    "restrict": "run `minimize expire OUTPUT --yes`",
    "lift": "restrict the subject and lift the restriction again",
    "correct": "correct the values again",
}
"""How to carry out a request again in an output that was restored from an older copy."""
_ACCEPT_COPY: Final = "`minimize runs --rebuild --output OUTPUT`"
_MOVED_TEXTS: Final[Mapping[str, str]] = {"restrict": "sealed", "lift": "published again"}


def request_deadline(tenant_wide: bool, asked_at: datetime) -> datetime:
    """The deadline of a request."""
    return asked_at + (TENANT_DEADLINE if tenant_wide else REQUEST_DEADLINE)


def show_requests(workspace: Workspace, now: datetime, *, tenant: str | None = None) -> Printable:
    """The requests that the current actor may read, with their states. The exit code is 1 if one is overdue."""
    tenants = workspace.readable_tenants("subject_request/read", tenant=tenant)
    with workspace.open_ledger() as ledger:
        statuses = with_unconfirmed_outputs(request_statuses(ledger, tenant=tenant, tenants=tenants), ledger)
    is_overdue = any(each.is_overdue(now) for each in statuses)
    requests = [ResultAt(each, now) for each in statuses]
    return limited_result(Listing("requests", requests, "no requests", exit_code=int(is_overdue)), tenants)


def request_statuses(
    ledger: Ledger, *, tenant: str | None = None, tenants: TenantSet = ALL_TENANTS
) -> list[RequestStatus]:
    """All requests in the order of their arrival; optionally of one tenant, or of tenants in scope."""
    first: dict[str, SubjectRequestStep] = {}
    last: dict[str, SubjectRequestStep] = {}
    began: dict[str, int] = {}
    ended: dict[str, int] = {}
    notified: dict[str, dict[str, dict[str, Any]]] = {}
    for place, step in enumerate(ledger.find(SUBJECT_REQUEST)):
        body = step.body
        own_steps = notified.setdefault(step.id, {})
        if step.state == "confirmed":
            own_steps.setdefault(body["recipient"], {"disclosures": [], "confirmed": None})["confirmed"] = time_text(
                step.recorded_at
            )
        else:
            last[step.id], ended[step.id] = step, place
            first.setdefault(step.id, step)
            began.setdefault(step.id, place)
            for recipient, disclosures in body.get("recalls", {}).items():
                known = own_steps.setdefault(recipient, {"disclosures": [], "confirmed": None})
                known["disclosures"] = disclosures
    lifted = {
        (each.tenant_id, each.subject): each for each in last.values() if each.kind == "lift" and each.state == "done"
    }
    statuses, tenant_id = list[RequestStatus](), canonical_id(tenant)
    for name, step in last.items():
        lift = lifted.get((step.tenant_id, step.subject)) if step.kind == "restrict" else None
        # By the order of the log: the restriction may have been recorded by a clock that was ahead.
        lifted_at = lift.recorded_at if lift is not None and began[lift.id] > ended[name] else None
        statuses.append(RequestStatus(step, first[name].actor, notified[name], lifted_at))
    tenant_statuses = [each for each in statuses if tenant_id in (None, each.last.tenant_id)]
    return entries_in_scope(tenant_statuses, tenants, lambda status: (status.last.tenant_id,))


def with_unconfirmed_outputs(statuses: Sequence[RequestStatus], ledger: Ledger) -> list[RequestStatus]:
    """The same requests, each with the reachable outputs that lack its receipts.

    An output that was restored from an older copy has the records again that the request removed, sealed or corrected.
    """
    undone: dict[str, list[str]] = {}
    named = {run_id for each in statuses for run_id in each.last.body.get("receipts", ())}
    for place in ledger.read(output_locations) if named else ():
        folder = parse_output_location(place.folder)
        if not place.is_reachable or not has_runs(folder) or identity_of(folder) != place.output:
            continue
        missing = ledger.read(partial(missing_receipts, output=place.output, chain=load_receipts(folder)))
        for run_id in missing.keys() & named:
            undone.setdefault(run_id, []).append(place.folder)
    return [
        replace(each, unconfirmed_in=tuple(dict.fromkeys(folder for name in names for folder in undone.get(name, ()))))
        for each in statuses
        for names in [each.last.body.get("receipts", ()) if each.last.state == "done" and not each.lifted_at else ()]
    ]


def open_requests(ledger: Ledger, kind: str, subjects: Iterable[DataSubject]) -> dict[DataSubject, SubjectRequestStep]:
    """The open or failed requests of these subjects, to be resumed."""
    steps = [each.last for each in request_statuses(ledger) if each.last.state in ("open", "failed")]
    return _requests_of(subjects, [each for each in steps if each.kind == kind], ledger)


def complete_requests(
    ledger: Ledger, kind: str, subjects: Iterable[DataSubject]
) -> dict[DataSubject, SubjectRequestStep]:
    """The requests of these subjects that are done and left no output unsearched."""
    steps = [each.last for each in request_statuses(ledger) if each.last.state == "done"]
    return _requests_of(
        subjects, [each for each in steps if each.kind == kind and not each.body.get("unsearchable")], ledger
    )


def _requests_of(
    subjects: Iterable[DataSubject], steps: Sequence[SubjectRequestStep], ledger: Ledger
) -> dict[DataSubject, SubjectRequestStep]:
    """The last of these requests of each subject."""
    known = {(each.tenant_id, each.subject): each for each in steps}
    requests = (
        (each, known.get((str(each.tenant), _recorded_token(each, ledger.keyring, steps))))
        for each in subjects
        if steps
    )
    return {each: request for each, request in requests if request is not None}


def restrictions_in_force(ledger: Ledger, subjects: Iterable[DataSubject]) -> dict[DataSubject, list[LifecycleEvent]]:
    """The restrictions of these subjects that were not lifted, in the order in which they were recorded.

    Takes subjects with a tenant. A restriction of a whole tenant is not one of its subjects. Raises UntrustedActError for an
    event that no known key signed.
    """
    rows = [
        row
        for row in last_lifecycle_events(ledger.find(LIFECYCLE_EVENT), ledger.now)
        if row.kind == RESTRICTION and row.state == "recorded"
    ]
    restrictions: dict[DataSubject, list[LifecycleEvent]] = {}
    for subject in subjects:
        candidates = [row for row in rows if (row.tenant_id, row.field) == (subject.tenant, subject.field)]
        token = _recorded_token(subject, ledger.keyring, candidates)
        matches = [row for row in candidates if row.subject == token]
        if matches:
            restrictions[subject] = matches
    return restrictions


def recorded_devices(
    ledger: Ledger, subjects: Iterable[DataSubject], kind: EventKind
) -> dict[DataSubject, LinkedForms]:
    """The linked devices in the recorded events of one kind of these subjects, which have a tenant."""
    rows = [row for row in ledger.find(LIFECYCLE_EVENT) if row.kind == kind and linked_forms(row)]
    devices: dict[DataSubject, LinkedForms] = {}
    for subject in subjects:
        candidates = [row for row in rows if (row.tenant_id, row.field) == (subject.tenant, subject.field)]
        token = _recorded_token(subject, ledger.keyring, candidates)
        devices[subject] = merge_linked_forms(linked_forms(row) for row in candidates if row.subject == token)
    return devices


def _recorded_token(
    subject: DataSubject, keys: Keyring, steps: Iterable[SubjectRequestStep | LifecycleEvent]
) -> str | None:
    """The token of a subject in one of these requests or events."""
    tenant = str(subject.tenant)
    tokens = {each.subject for each in steps if each.tenant_id == tenant and each.subject is not None}
    if subject.id is None:
        return None
    return (
        find_known_token(token_secrets(keys, token_versions(tokens), subject.field), tenant, subject.id, tokens) or ""
    )


def new_request(
    kind: str, subject: DataSubject, keys: Keyring, now: datetime, tokens: Collection[str | None] = (), **body: Any
) -> SubjectRequestStep:
    """The first step of a request of a subject with a tenant. `tokens` are those of earlier requests, which are used again."""
    tenant, id_ = str(subject.tenant), subject.id
    return SubjectRequestStep(
        kind=kind,
        tenant_id=tenant,
        subject=None if id_ is None else known_or_new_token(keys, tenant, id_, tokens, subject.field),
        asked_at=now,
        due=request_deadline(subject.is_tenant, now),
        state="open",
        body=body,
        recorded_at=now,
        actor=current_actor().user or "",
    )


def next_step(step: SubjectRequestStep, state: RequestState, now: datetime, **body: Any) -> SubjectRequestStep:
    """The next step of a request."""
    return replace(step, state=state, body=body, recorded_at=now, actor=current_actor().user or "")


def record_steps(ledger: Ledger, steps: Sequence[SubjectRequestStep], now: datetime) -> None:
    """Records steps of requests of one kind, with an audit event."""
    if not steps:
        return
    state = steps[0].state
    result: EventResult = "failure" if state == "failed" else "success"
    operation = f"{steps[0].kind} {state}"
    ledger.record(lambda _: SUBJECT_REQUEST.joint_decision(operation, *steps, at=now, result=result))


def find_request(ledger: Ledger, name: str) -> RequestStatus:
    """The request that is given by the start of its id. Raises ConfigurationError if none or more than one matches."""
    named = [
        each for each in request_statuses(ledger) if len(name) >= REQUEST_ID_LENGTH and each.last.id.startswith(name)
    ]
    if len(named) != 1:
        raise ConfigurationError(
            "no request id starts with this text", hint="Run `minimize subject status` to see the requests."
        )
    return named[0]


def confirm_deletion(name: str, recipient: str, workspace: Workspace, now: datetime) -> RequestStatus:
    """Records a recipient's confirmation of a deletion. Raises ConfigurationError if the recipient was not notified."""
    workspace.require("share/recall")
    with workspace.open_ledger(signs=True) as ledger:
        named = find_request(ledger, name)
        if recipient not in named.recipients:
            raise ConfigurationError(
                f"{recipient} was not notified by this request",
                hint="Run `minimize subject status` to see its recipients.",
            )
        record_steps(ledger, [next_step(named.last, "confirmed", now, recipient=recipient)], now)
        return find_request(ledger, name)


RecallsByRecipient = Mapping[str, Sequence[str]]


def request_outcome(
    step: SubjectRequestStep, receipts: Sequence[str], recalls: RecallsByRecipient = MappingProxyType({})
) -> dict[str, Any]:
    """The outcome of a request, together with the outcome before it was resumed."""
    before = step.body
    merged = merge_recalls([before.get("recalls", {}), recalls])
    return {"receipts": [*before.get("receipts", []), *receipts], "recalls": merged}


def moved_rows(step: SubjectRequestStep, rows: int) -> dict[str, int]:
    """The number of records that a request sealed or published again, together with those before it was resumed."""
    return {"rows": step.body.get("rows", 0) + rows}


def merge_recalls(recalls: Iterable[RecallsByRecipient]) -> dict[str, list[str]]:
    """The disclosures of several subjects, by recipient, without duplicates."""
    merged: dict[str, set[str]] = {}
    for recalls_of_subject in recalls:
        for recipient, disclosures in recalls_of_subject.items():
            merged.setdefault(recipient, set()).update(disclosures)
    return {name: sorted(acts) for name, acts in sorted(merged.items())}


REFUSAL_REASONS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "redacted": "only a redacted copy was given",
        "withheld": "the data was withheld",
        "unfounded": "the request was manifestly unfounded or excessive",
        "unidentified": "the person could not be identified",
        "retained": "the law requires the data to be kept",
    }
)
"""The reasons for which a request can be refused, wholly or in part, with their texts."""


def refuse_request(name: str, because: str, reference: str, workspace: Workspace, now: datetime) -> RequestStatus:
    """Refuses a recorded request, which is given by the start of its id. Records the reason and a reference to the decision.

    Raises ConfigurationError for an unknown request, reason or reference, and for a request that is done or refused.
    """
    workspace.require("subject/refuse")
    with workspace.open_ledger(signs=True) as ledger:
        request = find_request(ledger, name).last
        if request.state not in ("open", "failed"):
            raise ConfigurationError(f"the request is {request.state}", hint="Only an open request can be refused.")
        refused = next_step(request, "refused", now, **{**request.body, **_refusal(because, reference)})
        record_steps(ledger, [refused], now)
        return find_request(ledger, request.id)


def refuse_subjects(
    kind: str, subjects: Subjects, because: str, reference: str, workspace: Workspace, now: datetime
) -> list[RequestStatus]:
    """Records requests of one kind of these subjects as refused, although no command has started them.

    Takes subjects with a tenant. Raises ConfigurationError for a subject without one, and the errors of `refuse_request`.
    """
    subjects = permitted_subjects(subjects, workspace, "subject/refuse")
    if any(each.tenant is None or each.is_form for each in subjects):
        raise ConfigurationError("a refusal concerns subjects of one tenant", hint="Pass the ids and --tenant T.")
    refusal = _refusal(because, reference)
    statuses = list[RequestStatus]()
    with workspace.open_ledger(create=True, signs=True) as ledger:
        known = {each.last.subject for each in request_statuses(ledger)}
        for subject in subjects:
            request = new_request(kind, subject, ledger.keyring, now, known)
            refused = next_step(request, "refused", now, **request.body, **refusal)
            record_steps(ledger, [request], now)
            record_steps(ledger, [refused], now)
            statuses.append(find_request(ledger, request.id))
    return statuses


def _refusal(because: str, reference: str) -> dict[str, str]:
    if because not in REFUSAL_REASONS:
        raise ConfigurationError("unknown reason", hint=f"Use one of {', '.join(REFUSAL_REASONS)}.")
    return {"because": because, "reference": checked_reference(reference, "--evidence")}
