"""Lifting of restrictions (`subject lift`). A restriction itself is a removal (`delete.py`) that seals the removed records.

Lifting publishes the sealed records again, and then withdraws the restriction in the ledger. If it stops, the same command
continues it. Runs exclude the subject until the restriction is withdrawn, so that no record is published twice. A subject whose
records would miss a bound on disclosure risk stays restricted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, Final

from minimize.datasets.lifecycle_events import RetentionEvent, effective_events, ledger_events, linked_events
from minimize.datasets.published_output import PublishedOutput
from minimize.errors import ConfigurationError, RefusedError
from minimize.governance.events import withdraw_events
from minimize.governance.known_outputs import UnreachableOutput, find_changeable_outputs
from minimize.governance.subjects.attempts import (
    processed_rows,
    recorded_outcomes,
    reopened,
    rows_processed_before,
    with_receipts_of_attempts,
)
from minimize.governance.subjects.named_subjects import (
    DataSubject,
    Subjects,
    check_records,
    permitted_subjects,
    subject_findings,
)
from minimize.governance.subjects.requests import (
    REQUEST_ID_LENGTH,
    moved_rows,
    new_request,
    open_requests,
    record_steps,
    recorded_devices,
    request_outcome,
    request_statuses,
    restrictions_in_force,
)
from minimize.ledger.subject_kinds import LIFECYCLE_EVENT, LifecycleEvent, SubjectRequestStep
from minimize.receipts import Receipt, ReceiptKind
from minimize.removal import Removal, TransferFactory
from minimize.removal.decision import RewriteRequest
from minimize.removal.lift_bound import risk_after_lift, subjects_below_bound
from minimize.removal.plan import DueFile
from minimize.removal.rewrite import check_rewrite_time
from minimize.removal.sealing import LiftRequest, RestrictedRecordsRestorer
from minimize.results import UNCHANGED, Line, json_object
from minimize.settings.erasures import RESTRICTION
from minimize.stores import LocationLike
from minimize.text import count_noun
from minimize.workspace import Workspace

if TYPE_CHECKING:
    from minimize.ledger.ledger import Ledger


@dataclass(frozen=True, slots=True)
class LiftedFiles:
    """The sealed files of one output that have records to publish again."""

    due: tuple[DueFile, ...] = field(default=(), repr=False)
    rows: int = 0
    """Records that leave the seal, including those that are not published again."""
    removed: Mapping[str, int] = field(default_factory=dict)
    """Records that are not published again, by reason."""
    closed: tuple[str, ...] = ()
    """Sealed files whose keys were destroyed."""
    stays_sealed: int = 0
    """Records that stay sealed, because with them a combination would miss the bound on disclosure risk."""
    tables_left: ClassVar[Mapping[tuple[str, str], Collection[str]]] = MappingProxyType({})
    """Tables do not change when a restriction ends."""

    def to_json(self) -> dict[str, Any]:
        """The files of one output as `subject lift --json` prints them."""
        rows = self.rows - sum(self.removed.values())
        body = {"rows": rows, "removed": self.removed, "unreadable_files": self.closed, "closed": self.closed}
        return json_object({**body, **({"stays_sealed": self.stays_sealed} if self.stays_sealed else {})})


@dataclass(frozen=True, slots=True)
class RestrictionLift:
    """Plan and result of lifting restrictions."""

    subjects: tuple[DataSubject, ...] = field(repr=False)
    """Each subject with its tenant whose restriction is lifted."""
    files: Mapping[str, LiftedFiles]
    """The sealed files, by output."""
    unreachable: tuple[UnreachableOutput, ...] = ()
    """Outputs that cannot be reached from here."""
    receipts: tuple[Receipt, ...] = ()
    """Receipts of the publications."""
    requests: tuple[str, ...] = ()
    """Ids of the requests."""
    applied: bool = False
    stays_restricted: tuple[DataSubject, ...] = field(default=(), repr=False)
    """Subjects whose records would miss a bound on disclosure risk: all of their records stay sealed."""

    @property
    def rows(self) -> int:
        """The number of records that are published again."""
        return sum(each.rows for each in self.files.values()) - sum(self.removal_counts.values())

    @property
    def removal_counts(self) -> Counter[str]:
        """The number of records that are not published again, by reason."""
        return sum((Counter(each.removed) for each in self.files.values()), Counter[str]())

    @property
    def stays_sealed(self) -> int:
        """The number of records that stay sealed, because of a bound on disclosure risk."""
        return sum(each.stays_sealed for each in self.files.values())

    def to_json(self) -> dict[str, Any]:
        """The result as `subject lift --json` prints it."""
        body = {
            "subjects": len(self.subjects),
            "rows": self.rows,
            "removed": dict(self.removal_counts),
            "outputs": self.files,
            "not_reached": [{"output": each.folder, "why": each.reason} for each in self.unreachable],
            "receipts": [each.run_id for each in self.receipts],
            "requests": self.requests,
        }
        if self.stays_restricted:
            body |= {"stays_sealed": self.stays_sealed, "stays_restricted": len(self.stays_restricted)}
        return json_object(body)

    def lines(self) -> Iterator[Line]:
        """The records that are published again, then what is left to do."""
        outcome = "published again" if self.applied else "would be published again"
        if self.subjects:
            yield f"{count_noun(self.rows, 'record')} of {_subjects_text(self.subjects)} {outcome}"
        for reason, rows in self.removal_counts.items():
            why = {"retention": "past their retention", "erased": "of tenants or subjects that were deleted"}[reason]
            yield f"  {count_noun(rows, 'record')} removed: {why}"
        if self.stays_restricted:
            yield (
                f"  {count_noun(self.stays_sealed, 'record')} of {_subjects_text(self.stays_restricted)} " + _STAY_TEXT
            )
        for name, files in self.files.items():
            if files.closed:
                yield f"  {name}: {count_noun(len(files.closed), 'sealed file')} cannot be read: their keys were destroyed"
        yield from (f"  not reached: {each.folder}: {each.reason}" for each in self.unreachable)
        yield from (f"  request {name}" for name in self.requests)
        if not self.applied:
            yield UNCHANGED


_STAY_TEXT: Final = "stay sealed: published again, they would be in combinations that miss the bound on disclosure risk"


def _subjects_text(subjects: Sequence[DataSubject]) -> str:
    tenants = sum(each.is_tenant for each in subjects)
    numbers = ((len(subjects) - tenants, "restricted subject"), (tenants, "restricted tenant"))
    return " and ".join(count_noun(count, word) for count, word in numbers if count)


def lift_restriction(
    subjects: Subjects,
    workspace: Workspace,
    now: datetime,
    *,
    named: Sequence[LocationLike] = (),
    yes: bool = False,
    records: int | None = None,
) -> RestrictionLift:
    """Publishes the sealed records of restricted subjects again and lifts the restriction; without `yes` only makes the plan.

    The records return to their partitions as they were, under the policy of that time. Records past their retention, and those
    of subjects that were deleted in the meantime, are removed instead. A subject without a tenant is restricted in every tenant
    that has a restriction of it. A subject stays restricted, and all of its records stay sealed, if one of them would miss the
    bound on disclosure risk of its date, or make others miss it.

    Raises ConfigurationError for a subject without a restriction in force, and the errors of `expire`: then the request stays
    open, and the same command continues it. Raises RefusedError if the plan does not have the number of `records` that was
    confirmed.
    """
    subjects = permitted_subjects(subjects, workspace, "subject/restrict")
    workspace.check_ledger(named)
    with workspace.open_ledger(signs=True) as ledger:
        outputs, unreachable = find_changeable_outputs(ledger, named, workspace.configured_outputs)
        run = _LiftRun.resolve(subjects, workspace, ledger, now, outputs, unreachable)
        plan = run.plan()
        if not yes:
            return plan
        check_records(plan.rows, records, rows_processed_before(run.requests.values(), run.outputs))
        return run.execute(plan)


@dataclass(frozen=True)
class _LiftRun:
    """Restrictions to lift; those of an interrupted request may be withdrawn already."""

    workspace: Workspace
    ledger: Ledger
    now: datetime
    outputs: tuple[PublishedOutput, ...]
    unreachable: tuple[UnreachableOutput, ...]
    subjects: tuple[DataSubject, ...] = field(repr=False)
    restrictions: Mapping[DataSubject, Sequence[LifecycleEvent]] = field(repr=False)
    requests: Mapping[DataSubject, SubjectRequestStep] = field(repr=False)

    @classmethod
    def resolve(
        cls,
        subjects: Sequence[DataSubject],
        workspace: Workspace,
        ledger: Ledger,
        now: datetime,
        outputs: tuple[PublishedOutput, ...],
        unreachable: tuple[UnreachableOutput, ...],
    ) -> _LiftRun:
        """The restrictions of these subjects."""
        if any(each.is_form for each in subjects):
            raise ConfigurationError("a restriction is lifted by the original id", hint="Leave out --form.")
        events = ledger.find(LIFECYCLE_EVENT)
        tenants = sorted({row.tenant_id for row in events if row.kind == RESTRICTION})
        tenant_subjects = [
            tenant_subject
            for subject in subjects
            for tenant_subject in (
                [subject] if subject.tenant is not None else [replace(subject, tenant=name) for name in tenants]
            )
        ]
        restrictions, requests = (
            restrictions_in_force(ledger, tenant_subjects),
            open_requests(ledger, "lift", tenant_subjects),
        )
        requests = with_receipts_of_attempts(requests, ledger, outputs)
        restricted_subjects = tuple(
            dict.fromkeys(each for each in tenant_subjects if each in restrictions or each in requests)
        )
        missing = [
            each
            for each in subjects
            if not any(_is_same(each, restricted_subject) for restricted_subject in restricted_subjects)
        ]
        if missing:
            raise ConfigurationError(
                f"no restriction is in force for {count_noun(len(missing), 'named subject')}; none was lifted",
                hint="A restriction that was lifted before needs nothing more; `minimize subject status` shows when. Otherwise "
                "check the ids and the tenant: `minimize subject view ID --tenant T` shows whether a subject is restricted.",
                findings=subject_findings("Q011", "no restriction of this subject is in force", missing),
            )
        return cls(workspace, ledger, now, outputs, unreachable, restricted_subjects, restrictions, requests)

    def plan(self) -> RestrictionLift:
        """The records to publish again, by output."""
        lifted = self._subjects_within_bound()
        files, stays = (
            self._removal(lifted).plans(self.outputs),
            tuple(each for each in self.subjects if each not in lifted),
        )
        if stays:
            everything = self._removal(self.subjects).plans(self.outputs)
            files = {
                name: replace(each, stays_sealed=everything[name].rows - each.rows) for name, each in files.items()
            }
        files_by_output = {name: each for name, each in files.items() if each.due or each.closed or each.stays_sealed}
        return RestrictionLift(lifted, files_by_output, self.unreachable, stays_restricted=stays)

    def _subjects_within_bound(self) -> tuple[DataSubject, ...]:
        """The subjects whose records can be published together. Without those of one, others may be too few."""
        subjects = self.subjects
        while subjects:
            lift = self._lift(subjects)
            missed = {subject for output in self.outputs for subject in lift.subjects_below_bound(output)}
            if not missed:
                break
            subjects = tuple(each for each in subjects if each not in missed)
        return subjects

    def execute(self, plan: RestrictionLift) -> RestrictionLift:
        """Records the requests, publishes the records output by output, and withdraws the restrictions."""
        if not plan.subjects:
            return plan
        check_rewrite_time(self.ledger, self.outputs, plan.files, self.now)
        tokens = {each.last.subject for each in request_statuses(self.ledger) if each.last.kind == "restrict"}
        steps = [
            reopened(self.requests[each], self.now)
            if each in self.requests
            else new_request("lift", each, self.ledger.keyring, self.now, tokens)
            for each in plan.subjects
        ]
        record_steps(self.ledger, steps, self.now)
        receipts: list[Receipt] = []

        def body_of(step: SubjectRequestStep) -> dict[str, Any]:
            rows = sum(map(processed_rows, receipts))
            return {**request_outcome(step, [each.run_id for each in receipts]), **moved_rows(step, rows)}

        with recorded_outcomes(self.ledger, steps, self.now, body_of):
            for output in self.outputs:
                self._removal(plan.subjects).execute(
                    output, plan.files.get(str(output.folder), LiftedFiles()), receipts.append
                )
            events = [row for each in plan.subjects for row in self.restrictions.get(each, ())]
            withdraw_events(events, self.workspace, self.now)
        names = tuple(each.id[:REQUEST_ID_LENGTH] for each in steps)
        return replace(plan, receipts=tuple(receipts), requests=names, applied=True)

    def _removal(self, subjects: Sequence[DataSubject]) -> Removal[LiftedFiles]:
        return Removal(self.workspace, self._lift(subjects))

    def _lift(self, subjects: Sequence[DataSubject]) -> _Lift:
        devices = recorded_devices(self.ledger, subjects, RESTRICTION)
        events = {each: (self._event(each), *linked_events(self._event(each), devices[each])) for each in subjects}
        ids = frozenset(row.id for each in subjects for row in self.restrictions.get(each, ()))
        return _Lift(self.ledger, self.now, events, ids)

    def _event(self, subject: DataSubject) -> RetentionEvent:
        return RetentionEvent(str(subject.tenant), RESTRICTION, self.now, subject.id, named_by=subject.field)


@dataclass(frozen=True)
class _Lift:
    """The end of restrictions: publishes the sealed records of these events again."""

    ledger: Ledger
    as_of: datetime
    events: Mapping[DataSubject, tuple[RetentionEvent, ...]] = field(repr=False)
    """The restrictions of each subject and of its devices."""
    restriction_ids: frozenset[str]
    """The ids of the restrictions to lift, which no longer decide."""
    kind: ReceiptKind = "lift"
    replans: bool = True

    def plan(self, output: PublishedOutput, *, counts: bool = True) -> LiftedFiles:
        """See `RemovalOperation.plan`. Sealed files are always read.

        Raises RefusedError if the output has changed since the plan was made, so that records would miss a bound.
        """
        if not counts and self.subjects_below_bound(output):
            raise RefusedError(
                "another command changed the output, so that records would miss the bound on disclosure risk",
                hint="Repeat the command: it makes a new plan.",
            )
        request = self._request(output)
        checked_files = [(file, request.find_due(file)) for file in output.restricted_files()]
        due = [each for _, each in checked_files if each is not None and each[1]]
        risk = risk_after_lift(output, request) if due else {}
        return LiftedFiles(
            due=tuple(replace(each, risk=risk.get(each.date)) for each, _ in due),
            rows=sum(rows for _, rows in due),
            removed=sum((Counter(each.gated) for each, _ in due), Counter[str]()),
            closed=tuple(file.path for file, each in checked_files if each is None),
        )

    def transfer(self, output: PublishedOutput) -> TransferFactory:
        """See `RemovalOperation.transfer`."""
        return partial(RestrictedRecordsRestorer, self._request(output).due)

    def subjects_below_bound(self, output: PublishedOutput) -> set[DataSubject]:
        """The subjects whose records in an output would miss a bound on disclosure risk, or make others miss it."""
        request = self._request(output)
        requests = {
            subject: replace(request, lifted=replace(request.lifted, events=events))
            for subject, events in self.events.items()
        }
        return subjects_below_bound(output, requests)

    def _request(self, output: PublishedOutput) -> LiftRequest:
        keys, acts = self.ledger.keyring, self.ledger.find(LIFECYCLE_EVENT)
        others = [row for row in acts if row.id not in self.restriction_ids]
        due = RewriteRequest.for_output(output, self.as_of, ledger_events(self.ledger, keys))
        by_events = replace(due, by_age=False, removal_reason="restricted")
        return LiftRequest(
            lifted=replace(by_events, events=tuple(event for events in self.events.values() for event in events)),
            restricted=replace(by_events, events=tuple(effective_events(others, self.ledger.now, (RESTRICTION,)))),
            due=due,
        )


def _is_same(subject: DataSubject, tenant_subject: DataSubject) -> bool:
    """Whether a subject with a tenant is the one that was asked for, in its tenant or in any."""
    return replace(subject, tenant=tenant_subject.tenant) == tenant_subject and subject.tenant in (
        None,
        tenant_subject.tenant,
    )
