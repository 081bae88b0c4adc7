"""Subject correction (`subject correct`, `subject approve`): values in the form of a file, the correction, its approval.

Facts about a device are corrected where they come from: at the source, or because the data subject requested it. Each correction
cites the one or the other. If access control is on, a second person approves it before any value changes.

The corrected value goes through the policy under which the file was written. If its form cannot be computed from the file alone
(cases, values that depend on others, `top`), the old value is removed until the date is run again. Later runs use the corrected
value, and recipients are notified. Sealed records of a restricted subject are corrected inside their seal.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from minimize.access.decision import reason
from minimize.arrow.dictionaries import Bools, decode_dictionary
from minimize.arrow.nested import leaf
from minimize.arrow.pointers import Pointer
from minimize.arrow.types import arrow_type, parse_text
from minimize.datasets.affected_subjects import AffectedSubjects
from minimize.datasets.published_output import OutputFile, PublishedOutput
from minimize.errors import AccessDenied, ConfigurationError
from minimize.governance.evidence import checked_reference
from minimize.governance.known_outputs import find_changeable_outputs
from minimize.governance.subjects.disclosures import disclosures_by_recipient, disclosures_of, load_disclosures
from minimize.governance.subjects.named_subjects import DataSubject
from minimize.governance.subjects.requests import (
    REQUEST_ID_LENGTH,
    find_request,
    new_request,
    next_step,
    record_steps,
)
from minimize.governance.subjects.search import SubjectSearch, search_obstacle, subject_in_file
from minimize.identifiers import CaseFolding
from minimize.keys import Keyring
from minimize.ledger import AuditEvent, Resource, current_actor
from minimize.ledger.acts import ActKind, BodyRemoval, Decision
from minimize.ledger.audit_event import EventResult
from minimize.ledger.subject_kinds import (
    CORRECTION,
    PROPOSED_CORRECTION,
    SUBJECT_ACTIVITY,
    SUBJECT_REQUEST,
    ProposedCorrection,
    RecordedCorrection,
    SubjectRequestStep,
)
from minimize.ledger.subject_tokens import TokenIndex, token_secrets, token_versions
from minimize.policy.fields import treatments_of
from minimize.policy.model import Field, Policy
from minimize.receipts import Receipt, ReceiptKind
from minimize.records import RECORDS
from minimize.removal import Removal
from minimize.removal.plan import DueFile, RemovalPlan, counted_file, plan_removal, with_retention
from minimize.removal.rare_records import with_rare_records
from minimize.removal.rewrite import check_rewrite_time
from minimize.removal.verdict import BatchVerdict
from minimize.results import OMIT_IF_NONE, UNCHANGED, JsonResult, Line, json_member
from minimize.runs.execution import ProgressCallback
from minimize.runs.published_runs import request_time
from minimize.runs.runner import no_progress
from minimize.stages.chains import run_chain
from minimize.stages.corrections import correctable_fields, open_value, seal_value
from minimize.stores import LocationLike
from minimize.techniques import Context, Technique
from minimize.text import count_noun
from minimize.workspace import Workspace

if TYPE_CHECKING:
    from minimize.ledger.ledger import Ledger


@dataclass(frozen=True, slots=True)
class ReplacementValue:
    """The new value of a field in its released form, or None if it cannot be computed from the file alone."""

    value: pa.Scalar | None = field(repr=False)
    fills: bool
    """Whether the value also replaces a null; False if a gate may have closed the field."""


@dataclass(frozen=True, slots=True)
class CorrectionJudge:
    """Decides which values of a subject are replaced or removed in each batch of a file."""

    pointers: Mapping[str, Pointer]
    affected: AffectedSubjects
    corrected: Mapping[str, ReplacementValue] = field(repr=False)

    @classmethod
    def for_file(
        cls, file: OutputFile, subject: DataSubject, values: Mapping[str, str | None], now: datetime
    ) -> CorrectionJudge | None:
        """The judge for a file; None if it has none of the fields, or if it cannot be searched for the subject."""
        key = file.policy.subject
        if key is None or file.is_shredded or search_obstacle(file, key, knows_tenants=True):
            return None
        shown = [name for name in values if name in file.pointers]
        affected = subject_in_file(file, key, subject, [str(subject.tenant)])
        if not shown or not affected.subject_forms:
            return None
        new_values = {name: _corrected_value(file, name, values[name], subject, now) for name in shown}
        return cls(file.pointers, affected, new_values)

    @property
    def columns(self) -> list[str]:
        """The columns to read."""
        places = (self.pointers[name].top for name in self.corrected)
        deciding = (each.top for each in (self.affected.tenant, self.affected.subject) if each is not None)
        return sorted({*places, *deciding})

    def __call__(self, batch: pa.RecordBatch) -> BatchVerdict:
        """The replacements, and the removals of values whose form cannot be computed."""
        affected = self.affected.affects(batch, np.zeros(batch.num_rows, np.int64))
        instead: dict[str, pa.Array] = {}
        closed: dict[str, Bools] = {}
        for name, new_value in self.corrected.items() if affected.any() else ():
            values = decode_dictionary(leaf(batch, self.pointers[name]).values)
            present = np.asarray(values.is_valid())
            if new_value.value is None:
                closed[name] = affected & present
            else:
                mask = pa.array(affected if new_value.fills else affected & present)
                instead[name] = pc.if_else(mask, new_value.value.cast(values.type), values)
        return BatchVerdict(removed_values=closed, replacements=instead)


def _corrected_value(
    file: OutputFile, name: str, text: str | None, subject: DataSubject, now: datetime
) -> ReplacementValue:
    """The value as the policy of the file releases it."""
    policy, field_ = file.policy, file.policy.fields[name]
    steps = _single_chain(field_, policy)
    if steps is None or text is None:
        return ReplacementValue(None, fills=False)
    type_ = arrow_type(field_.type)
    values = pa.array([text if field_.type == "string" else parse_text(text, field_.type)], type_)
    columns = {} if policy.tenant is None else {policy.tenant: pa.array([subject.tenant])}
    context = Context(name, now, file.pinned_keys(name), columns)
    value = run_chain(steps, values, context).values[0]
    return ReplacementValue(value if value.is_valid else None, fills=not field_.is_gated)


def _single_chain(field_: Field, policy: Policy) -> Sequence[Technique] | None:
    """The only chain of a field, if it reads nothing but the value and the tenant; else None."""
    ways = list(treatments_of(field_))
    chain = ways[0] if len(ways) == 1 else "drop"
    if isinstance(chain, str):
        return None
    steps = [step for step in chain if isinstance(step, Technique)]
    simple = len(steps) == len(chain) and not any(step.needs_time or step.reads() - {policy.tenant} for step in chain)
    return steps if simple else None


CORRECTION_KIND: Final = "correct"
ValuesByField = Mapping[str, str | None]
"""The correct value by field, as received from the source; None to remove it."""


@dataclass(frozen=True, slots=True)
class Correction(JsonResult):
    """Plan and result of a correction: changes per output, recipients to notify, receipts, and the request."""

    plans: Mapping[str, RemovalPlan] = field(metadata=json_member("outputs"))
    notices: Mapping[str, Sequence[str]] = field(default_factory=dict)
    receipts: tuple[Receipt, ...] = field(
        default=(), metadata=json_member(convert=lambda receipts: [each.run_id for each in receipts])
    )
    request: str | None = None
    new_values: ValuesByField | None = field(default=None, repr=False, metadata=OMIT_IF_NONE)
    """The proposed values, for the person who approves them."""
    is_proposed: bool = field(default=False, metadata=json_member("proposed"))
    """Whether the correction waits for the approval of a second person."""
    json_names = "values plans notices receipts request new_values is_proposed"

    @property
    def values(self) -> int:
        """The number of values."""
        return sum(sum(each.values.values()) for plan in self.plans.values() for each in plan.due)

    def lines(self) -> Iterator[Line]:
        """The corrected values, then the recipients to notify."""
        applied = self.request is not None and not self.is_proposed
        were = "would be" if not applied else "was" if self.values == 1 else "were"
        yield f"{count_noun(self.values, 'value')} {were} corrected"
        yield from (f"  {name}: {line}" for name, plan in self.plans.items() for line in str(plan).splitlines())
        yield from (f"  notify {name}: {', '.join(acts)}" for name, acts in self.notices.items())
        yield from (f"  {name}={'' if value is None else value}" for name, value in (self.new_values or {}).items())
        if self.is_proposed:
            yield f"  request {self.request} waits for another person: minimize subject approve {self.request} --yes"
        else:
            yield f"  request {self.request}" if applied else UNCHANGED


CorrectionBasis = Literal["source_correction", "subject_request"]


@dataclass(frozen=True, slots=True)
class CorrectionEvidence:
    """Why values are corrected: a reference to the source's own correction, or to the data subject's request and its evidence."""

    basis: CorrectionBasis
    reference: str


def correct_subject(
    subject: DataSubject,
    values: ValuesByField,
    evidence: CorrectionEvidence,
    workspace: Workspace,
    now: datetime,
    *,
    named: Sequence[LocationLike] = (),
    yes: bool = False,
    progress: ProgressCallback = no_progress,
) -> Correction:
    """Corrects values of a subject in every output, in its sealed records and in later runs; without `yes` only makes the plan.

    Takes the subject with its tenant, and the values by field. They apply to events up to now; later records come from the
    corrected source. `progress` receives the number of files done. If an access file is configured, the correction is recorded
    and waits for the approval of a second person. Raises ConfigurationError for a missing tenant or reference, a field that no
    policy permits to correct, or a value of the wrong type (without the value); and the errors of a rewrite.
    """
    workspace.require("subject/correct", tenant=subject.tenant)
    if subject.id is None or subject.tenant is None or subject.field is not None:
        raise ConfigurationError(
            "a correction applies to one subject of one tenant", hint="Pass one ID and --tenant T."
        )
    evidence = replace(evidence, reference=checked_reference(evidence.reference, "--evidence"))
    workspace.check_ledger(named)
    with workspace.open_ledger(create=yes, signs=True) as ledger:
        found_outputs = find_changeable_outputs(ledger, named, workspace.configured_outputs)[0]
        run = _CorrectionRun(ledger, workspace, subject, values, now, found_outputs, progress)
        run.check()
        correction = Correction(run.plans(), run.notices())
        if not yes:
            return correction
        check_rewrite_time(ledger, run.outputs, correction.plans, now)
        request = run.new_request(evidence)
        if workspace.access is None:
            record_steps(ledger, [request], now)
            return run.execute(correction, request)
        run.propose(request)
        return replace(correction, request=request.id[:REQUEST_ID_LENGTH], is_proposed=True)


def approve_correction(
    name: str,
    workspace: Workspace,
    now: datetime,
    *,
    named: Sequence[LocationLike] = (),
    yes: bool = False,
    progress: ProgressCallback = no_progress,
) -> Correction:
    """Applies a proposed correction, which is given by the start of its request's id; without `yes` only makes the plan.

    Raises ConfigurationError if no such request waits for approval, AccessDenied for the person who proposed it, and the errors
    of `correct_subject`.
    """
    workspace.require("subject/correct")
    access = workspace.access
    workspace.check_ledger(named)
    with workspace.open_ledger(signs=True) as ledger:
        actor = current_actor()
        request = find_request(ledger, name).last
        proposal = next(iter(ledger.find(PROPOSED_CORRECTION, key=request.id)), None)
        if request.state != "open" or proposal is None:
            raise ConfigurationError(
                "the request does not wait for an approval", hint="Run `minimize subject status` to see the requests."
            )
        if yes and access is not None and not access.are_separate(actor.user or "", proposal.actor):
            ledger.record_event(_approval_event(request, now, "refused"))
            raise AccessDenied(f"{actor.user} may not approve this correction", reasons=(reason("not_separate"),))
        subject, values = _open_proposal(proposal, ledger.keyring)
        outputs = find_changeable_outputs(ledger, named, workspace.configured_outputs)[0]
        run = _CorrectionRun(ledger, workspace, subject, values, now, outputs, progress)
        run.check()
        correction = Correction(run.plans(), run.notices(), new_values=values)
        if not yes:
            return correction
        check_rewrite_time(ledger, run.outputs, correction.plans, now)
        ledger.record_event(_approval_event(request, now, "success"))
        return run.execute(correction, request)


def _approval_event(request: SubjectRequestStep, now: datetime, result: EventResult) -> AuditEvent:
    event = SUBJECT_REQUEST.event("approve correction", request, at=now, result=result, properties={})
    return replace(event, tenant=None)


_PROPOSAL: Final = "proposal"
"""Stands for the field in the encryption of a proposal, which has several."""


def _open_proposal(proposal: ProposedCorrection, keys: Keyring) -> tuple[DataSubject, ValuesByField]:
    body = json.loads(open_value(keys, proposal.subject, _PROPOSAL, proposal.sealed) or "{}")
    return DataSubject(body["id"], proposal.tenant_id), body["values"]


@dataclass(frozen=True)
class _CorrectionRun:
    ledger: Ledger
    workspace: Workspace
    subject: DataSubject
    values: ValuesByField = field(repr=False)
    now: datetime
    outputs: tuple[PublishedOutput, ...] = ()
    progress: ProgressCallback = no_progress

    def check(self) -> None:
        """Raises ConfigurationError for a field that cannot be corrected, or a value of the wrong type."""
        policies = [output.pipeline_of_today().policy for output in self.outputs]
        for name, value in self.values.items():
            types = {policy.fields[name].type for policy in policies if name in set(correctable_fields(policy))}
            if not types:
                raise ConfigurationError(
                    f"no policy has a column {name} that can be corrected", hint="Check the spelling of the column."
                )
            if value is not None and any(type_ != "string" and parse_text(value, type_) is None for type_ in types):
                raise ConfigurationError(
                    f"the value is not of type {' or '.join(sorted(types))}",
                    hint=f"Pass a value of this type for {name}.",
                )

    def plans(self) -> dict[str, RemovalPlan]:
        """The changes per output."""
        return {name: plan for name, plan in self._removal.plans(self.outputs).items() if plan.due}

    def notices(self) -> dict[str, list[str]]:
        """The recipients of the subject's records, with the disclosures: by its original id, or by a form in an output."""
        disclosures = load_disclosures(self.ledger)
        forms = SubjectSearch(self.subject).known_forms(self.outputs) if disclosures else ()
        return disclosures_by_recipient(disclosures_of(disclosures, self.subject, (), self.ledger.keyring, forms))

    def new_request(self, evidence: CorrectionEvidence) -> SubjectRequestStep:
        """The request, with the reference that it cites."""
        known = {row.subject for row in self.ledger.find(CORRECTION, tenant=self.subject.tenant)}
        return new_request(
            CORRECTION_KIND,
            self.subject,
            self.ledger.keyring,
            request_time(self.ledger, self.now),
            known,
            basis=evidence.basis,
            reference=evidence.reference,
        )

    def propose(self, request: SubjectRequestStep) -> None:
        """Records the request and, encrypted, the values, for the approval of a second person."""
        token = str(request.subject)
        content = json.dumps({"id": self.subject.id, "values": dict(self.values)})
        proposal = ProposedCorrection(
            request=request.id,
            tenant_id=request.tenant_id,
            subject=token,
            sealed=seal_value(self.ledger.keyring, token, _PROPOSAL, content),
            recorded_at=self.now,
            actor=request.actor,
        )
        event = CORRECTION.event("propose correction", *self._rows(request))
        acts = [SUBJECT_REQUEST.act(request), PROPOSED_CORRECTION.act(proposal)]
        self.ledger.record(lambda _: Decision(None, acts, [event]))

    def execute(self, correction: Correction, request: SubjectRequestStep) -> Correction:
        """Executes the correction of a recorded request. The values are recorded before any change."""
        rows = self._rows(request)
        self.ledger.record(lambda _: CORRECTION.joint_decision(CORRECTION_KIND, *rows))
        receipts: list[Receipt] = []
        for output in self.outputs:
            plan = correction.plans.get(str(output.folder), RemovalPlan(self.now))
            self._removal.execute(output, plan, receipts.append)
        body = {**request.body, "receipts": [each.run_id for each in receipts], "recalls": correction.notices}
        record_steps(self.ledger, [next_step(request, "done", self.now, **body)], self.now)
        return replace(correction, receipts=tuple(receipts), request=request.id[:REQUEST_ID_LENGTH])

    def _rows(self, request: SubjectRequestStep) -> list[RecordedCorrection]:
        """The values as acts, encrypted."""
        token, account = str(request.subject), current_actor().user or ""
        return [
            RecordedCorrection(
                tenant_id=str(self.subject.tenant),
                subject=token,
                field=name,
                sealed=seal_value(self.ledger.keyring, token, name, value),
                at=request.asked_at,
                recorded_at=self.now,
                actor=account,
            )
            for name, value in self.values.items()
        ]

    @property
    def _removal(self) -> Removal[RemovalPlan]:
        operation = _CorrectedFiles(self.subject, self.values, self.now)
        return Removal(self.workspace, operation, progress=self.progress)


@dataclass(frozen=True)
class _CorrectedFiles:
    """A correction: changes values of one subject in its records, also in sealed ones. Tables stay."""

    subject: DataSubject
    values: ValuesByField = field(repr=False)
    as_of: datetime
    kind: ReceiptKind = CORRECTION_KIND
    replans: bool = True

    def plan(self, output: PublishedOutput, *, counts: bool = True) -> RemovalPlan:
        """See `RemovalOperation.plan`. The records are always counted."""
        plan = plan_removal(self.as_of, list(self._due_files(output)))
        return replace(plan, due=with_rare_records(output, plan.due), tables_left={})

    def transfer(self, output: PublishedOutput) -> None:
        """See `RemovalOperation.transfer`. Records stay where they are."""

    def _due_files(self, output: PublishedOutput) -> Iterator[DueFile]:
        today = output.pipeline_of_today().policy
        for file in (*output.files(RECORDS), *output.restricted_files()):
            judge = CorrectionJudge.for_file(file, self.subject, self.values, self.as_of)
            if judge is not None:
                due = counted_file(file, judge, file.stored_file.batches(columns=judge.columns))
                yield with_retention(due, today, self.as_of)


def remove_corrections(
    reaches: Mapping[DataSubject, datetime], ledger: Ledger, now: datetime, folding: CaseFolding
) -> None:
    """Removes the recorded and proposed corrections of subjects, or of whole tenants, each up to a time."""
    removals: list[BodyRemoval] = []
    kinds: tuple[ActKind[Any], ...] = (CORRECTION, PROPOSED_CORRECTION)
    for kind in kinds:
        recorded: dict[str, set[str]] = {}
        for row in ledger.find(kind):
            recorded.setdefault(row.tenant_id, set()).add(row.subject)
        for subject, until in reaches.items():
            tenant = str(subject.tenant)
            tokens = _tokens_of(subject, recorded[tenant], ledger.keyring, folding) if tenant in recorded else set()
            resources = [Resource("corrections", "correction", f"subjects/{tenant}/{one}") for one in sorted(tokens)]
            if resources:
                event = SUBJECT_ACTIVITY.event("remove corrections", current_actor(), now, *resources)
                removals.append(BodyRemoval(kind, tenant, frozenset(tokens), until, event))
    if removals:
        ledger.record(lambda _: Decision(None, removals=removals))


def _tokens_of(subject: DataSubject, recorded: set[str], keys: Keyring, folding: CaseFolding) -> set[str]:
    """The tokens of a subject among the recorded ones of its tenant; all of them for a whole tenant."""
    if subject.id is None:
        return recorded
    secrets = token_secrets(keys, token_versions(recorded), subject.field)
    index = TokenIndex({str(subject.tenant): recorded}, folding)
    return {token for _, token in index.find(secrets, str(subject.tenant), subject.id)}
