"""Removal of subjects from the data roots (`subject delete`, `subject restrict`): the plan and its execution.

The request and its events are recorded first. If a deletion stops, the same command continues it: a run that starts later gates
the earlier records, and an output without due data is skipped. A restriction seals the removed records (`lift.py` lifts it).

Which records of a file are due is decided as for an expiry after an event: `removal/plan.py` finds the files, and
`affected_subjects.py` the subjects in a file.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property
from itertools import chain as joined
from typing import TYPE_CHECKING, Any, Final, TypedDict, Unpack

from minimize.datasets.erasure_list import StoredErasures
from minimize.datasets.lifecycle_events import EventKind, RetentionEvent, linked_events
from minimize.datasets.published_output import OutputFile, PublishedOutput
from minimize.datasets.reader import load_receipts
from minimize.errors import CheckFailed, ConfigurationError, MinimizeError, OutputError
from minimize.governance.events import NewEvent, add_events
from minimize.governance.known_outputs import (
    UnreachableOutput,
    find_changeable_outputs,
    find_replaced_outputs,
    tables_without_records,
)
from minimize.governance.subjects.attempts import (
    processed_rows,
    recorded_outcomes,
    reopened,
    rows_processed_before,
    with_receipts_of_attempts,
)
from minimize.governance.subjects.correct import remove_corrections
from minimize.governance.subjects.coverage import (
    NO_REASONS,
    check_reached,
    check_reasons,
    check_searched,
    find_unsearched,
    reasons_to_record,
)
from minimize.governance.subjects.disclosures import disclosures_by_recipient, disclosures_of, load_disclosures
from minimize.governance.subjects.linked import (
    LinkedIdentifiers,
    check_individuals,
    find_linked_identifiers,
)
from minimize.governance.subjects.named_subjects import DataSubject, Subjects, check_records, permitted_subjects
from minimize.governance.subjects.removal_result import REMOVAL_REASONS, RemovalKind, SubjectRemoval
from minimize.governance.subjects.requests import (
    REQUEST_ID_LENGTH,
    RecallsByRecipient,
    complete_requests,
    moved_rows,
    new_request,
    open_requests,
    record_steps,
    recorded_devices,
    request_outcome,
    restrictions_in_force,
)
from minimize.governance.subjects.search import (
    SubjectRecords,
    SubjectSearch,
    UnsearchableFile,
    check_known,
    check_tenants,
    files_with_leftovers,
    identify_form,
    record_files,
    resolve_names,
    sealed_files,
)
from minimize.identifiers import CaseFolding
from minimize.ledger.subject_kinds import LIFECYCLE_EVENT, LifecycleEvent, LinkedForms, SubjectRequestStep
from minimize.receipts import Receipt
from minimize.removal import Removal, RuledRemoval
from minimize.removal.decision import RewriteRequest
from minimize.removal.plan import RemovalPlan, find_due
from minimize.removal.rewrite import check_rewrite_time
from minimize.runs.execution import ProgressCallback
from minimize.runs.published_runs import request_time
from minimize.runs.runner import no_progress
from minimize.stores import Location, LocationLike, location_text
from minimize.workspace import Workspace

if TYPE_CHECKING:
    from minimize.ledger.ledger import Ledger

log = logging.getLogger("minimize")


def _identities(step: SubjectRequestStep, linked: LinkedIdentifiers | None) -> dict[str, Any]:
    """The identities of the subject, as the request found them first."""
    names = ("identities", "linked_identities")
    known = {name: step.body[name] for name in names if name in step.body}
    return known or ({} if linked is None else linked.identities)


_EVENTS: Final[Mapping[RemovalKind, EventKind]] = {"delete": "erasure", "restrict": "restriction"}


class RemovalOptions(TypedDict, total=False):
    """Options of a deletion or restriction."""

    named: Sequence[LocationLike]
    """Outputs in addition to those that the ledger knows."""
    yes: bool
    """Whether to execute the plan."""
    records: int | None
    """The number of records in the plan, as confirmed; another number is refused."""
    linked: bool
    """Whether records of the subjects' devices are removed, too."""
    unsearchable: Mapping[str, str]
    """Per output that cannot be searched, by pipeline or folder, the reason to leave it."""
    unseen: bool
    """Accepts a tenant that neither an output nor the ledger names."""
    allow_unreached: bool
    """Accepts that outputs of this machine cannot be reached, because they are lost."""
    allow_unknown: bool
    """Accepts subjects to restrict of which no data is held."""
    progress: ProgressCallback
    """Receives the number of files done."""
    before_change: Callable[[], object]
    """Called when the plan has passed all checks, before anything is recorded or removed."""


def delete_subjects(
    subjects: Subjects, workspace: Workspace, now: datetime, **options: Unpack[RemovalOptions]
) -> SubjectRemoval:
    """Deletes all data about these subjects in every output; without `yes` only makes the plan.

    Takes the options and raises the errors of `remove_subjects`.
    """
    subjects = permitted_subjects(subjects, workspace, "subject/delete")
    return remove_subjects("delete", subjects, workspace, now, **options)


def restrict_subjects(
    subjects: Subjects, workspace: Workspace, now: datetime, **options: Unpack[RemovalOptions]
) -> SubjectRemoval:
    """Seals all records of these subjects outside the data roots of every output; without `yes` only makes the plan.

    Later runs exclude the subjects until `lift_restriction` lifts the restriction. Published aggregates stay. Takes the options
    and raises the errors of `remove_subjects`. Source: GDPR Art. 4(3), 18.
    """
    subjects = permitted_subjects(subjects, workspace, "subject/restrict")
    return remove_subjects("restrict", subjects, workspace, now, **options)


def remove_subjects(
    kind: RemovalKind,
    subjects: Sequence[DataSubject],
    workspace: Workspace,
    now: datetime,
    **options: Unpack[RemovalOptions],
) -> SubjectRemoval:
    """Removes all records of these subjects from the data roots of every output; without `yes` only makes the plan.

    A subject without a tenant is searched for in every known tenant. For a subject named by another field than the policy's
    subject, all records with this identifier are removed; with `linked`, also those of devices that belong to it alone.

    Raises ConfigurationError for a field that no policy has, a form without a known id, an unknown tenant, or a subject to
    restrict of which no data is held. Raises RefusedError before anything is recorded if the ledger is not the one that the
    receipts of an output name. Raises CheckFailed if records remain afterwards; if a file that may hold records could not be
    searched (Q004), unless `unsearchable` gives a reason for its output; or if an output of this machine cannot be reached. The
    options accept some of these cases. Raises the errors of `expire`: then the same command continues the request, which is open.
    """
    named, yes, unseen = options.get("named", ()), options.get("yes", False), options.get("unseen", False)
    workspace.check_ledger(named)
    with workspace.open_ledger(create=yes, signs=True) as ledger:
        outputs, unreachable = find_changeable_outputs(ledger, named, workspace.configured_outputs)
        removal = SubjectRemovalRun(
            kind, workspace, ledger, now, request_time(ledger, now), options, outputs, unreachable
        )
        subjects = resolve_names(subjects, outputs)
        check_reasons(options.get("unsearchable", NO_REASONS), outputs)
        if not unseen:
            check_tenants(subjects, outputs, removal.known_tenants)
        subjects_by_tenant = tuple(
            dict.fromkeys(each for subject in subjects for each in removal.in_each_tenant(subject))
        )
        resumed = with_receipts_of_attempts(open_requests(ledger, kind, subjects_by_tenant), ledger, removal.outputs)
        removal = replace(
            removal, open_requests=resumed, linked=removal.find_linked(subjects_by_tenant)
        ).with_outputs_of_requests()
        removal = removal.with_identities_of_requests()
        check_individuals(removal.linked.values())
        expected = options.get("records")
        plan = removal.plan(subjects_by_tenant, counts=not yes or expected is not None)
        if not yes:
            return plan
        check_records(plan.rows, expected, rows_processed_before(resumed.values(), removal.outputs))
        if not unseen and not options.get("allow_unknown", False):
            check_searched(removal.unsearched(plan.unknown), options.get("unsearchable", NO_REASONS))
            check_known(plan.unknown)
        check_rewrite_time(ledger, removal.outputs, plan.plans, now)
        options.get("before_change", lambda: None)()
        return replace(removal.execute(plan), applied=True)


@contextmanager
def _kept_fault(faults: dict[Location, MinimizeError], output: Location) -> Iterator[None]:
    """Keeps an error of writing to an output, so that the other outputs are processed before it is raised."""
    try:
        yield
    except OutputError as error:
        faults[output] = error
        log.warning("%s could not be changed (%s)", location_text(output), error.code, extra={"code": "W062"})


@dataclass(frozen=True)
class SubjectRemovalRun:
    """A deletion or restriction of subjects, with its ledger, outputs and open requests."""

    kind: RemovalKind
    workspace: Workspace
    ledger: Ledger
    now: datetime
    requested_at: datetime
    """The time of a new request: later than now if the clock is behind the latest run."""
    options: RemovalOptions
    outputs: tuple[PublishedOutput, ...] = ()
    unreachable: tuple[UnreachableOutput, ...] = ()
    open_requests: Mapping[DataSubject, SubjectRequestStep] = field(default_factory=dict, repr=False)
    linked: Mapping[DataSubject, LinkedIdentifiers] = field(default_factory=dict, repr=False)

    @cached_property
    def known_tenants(self) -> frozenset[str]:
        """The tenants that the ledger named when the command began."""
        return self.ledger.tenants()

    def in_each_tenant(self, subject: DataSubject) -> Iterator[DataSubject]:
        """The subject in each tenant in which it is found."""
        if subject.is_form:
            yield from self._identify_form(subject)
            return
        if subject.tenant is not None:
            yield subject
            return
        tenant_names = self.known_tenants | self._tenants_in_files(subject)
        tenants = [
            each for each in (replace(subject, tenant=name) for name in sorted(tenant_names)) if self._holds(each)
        ]
        if not tenants:
            raise ConfigurationError(
                "a named subject was found in no output, and no tenant was given",
                hint="Pass --tenant T; then later records of the subject are excluded, too.",
            )
        yield from tenants

    def plan(self, subjects: Sequence[DataSubject], *, counts: bool) -> SubjectRemoval:
        """The removals, the recipients to notify, and the files that cannot be searched.

        Without `counts`, records are counted by their removal where the subject index shows that a file has some.
        """
        restricted: Mapping[DataSubject, Sequence[LifecycleEvent]] = {}
        if self.kind == "restrict":
            restricted = restrictions_in_force(self.ledger, subjects)
        plans = self._removal(subjects).plans(self.outputs, counts=counts)
        due = {name: plan for name, plan in plans.items() if plan.due}
        blind, resumed = tuple(self._unsearchable(subjects)), len(self.open_requests.keys() & set(subjects))
        return SubjectRemoval(
            subjects=tuple(subjects),
            plans=due,
            recalls=self._recalls(subjects),
            unsearchable=blind,
            unreachable=self.unreachable,
            resumed=resumed,
            restricted=len(restricted),
            unknown=self._unknown(subjects, due, restricted),
            shared=sum(each.shared for each in self.linked.values()),
            kind=self.kind,
            tables=tables_without_records(self.outputs),
        )

    def _unknown(
        self, subjects: Sequence[DataSubject], plans: Mapping[str, RemovalPlan], restricted: Iterable[DataSubject]
    ) -> tuple[DataSubject, ...]:
        """The subjects to restrict of which no data is held, and that are not restricted already."""
        files = [*(due.file for plan in plans.values() for due in plan.due), *sealed_files(self.outputs)]
        known_subjects = {
            *restricted,
            *self.open_requests,
            *(each for each, identifiers in self.linked.items() if identifiers.is_found),
        }
        named = [each for each in subjects if each not in known_subjects] if self.kind == "restrict" else []
        return tuple(each for each in named if not self._search(each).has_records(files))

    def execute(self, plan: SubjectRemoval) -> SubjectRemoval:
        """Executes the removal: records the request, removes data output by output, then searches again."""
        steps = [self._request(each, plan.recalls[each]) for each in plan.subjects]
        record_steps(self.ledger, steps, self.now)
        self._record_events(plan.subjects)
        by_output: dict[str, list[Receipt]] = {str(output.folder): [] for output in self.outputs}
        plans, subjects = dict(plan.plans), {step.id: each for step, each in zip(steps, plan.subjects, strict=True)}

        def body_of(step: SubjectRequestStep) -> dict[str, Any]:
            receipts = [*joined.from_iterable(by_output.values())]
            return self._outcome(plan, subjects[step.id], step, receipts)

        with recorded_outcomes(self.ledger, steps, self.now, body_of):
            self._remove(plan, plans, by_output)
            self._check(plan.subjects, [*joined.from_iterable(by_output.values())])
            if not self.options.get("allow_unreached", False):
                check_reached(self.unreachable)
            check_searched(self.unsearched(plan.subjects), self.options.get("unsearchable", NO_REASONS))
        return replace(
            plan,
            plans=plans,
            receipts=tuple(joined.from_iterable(by_output.values())),
            requests=tuple(each.id[:REQUEST_ID_LENGTH] for each in steps),
            by_output={folder: tuple(each) for folder, each in by_output.items()},
        )

    def _outcome(
        self, plan: SubjectRemoval, subject: DataSubject, step: SubjectRequestStep, receipts: Sequence[Receipt]
    ) -> dict[str, Any]:
        """What the last step of a request states."""
        reasons = reasons_to_record(plan.unsearchable, self.options.get("unsearchable", NO_REASONS))
        return {
            **request_outcome(step, [each.run_id for each in receipts], plan.recalls[subject]),
            **_identities(step, self.linked.get(subject)),
            **(moved_rows(step, sum(map(processed_rows, receipts))) if self.kind == "restrict" else {}),
            **({"unsearchable": reasons} if reasons else {}),
            **({"shared_devices": plan.shared} if plan.shared else {}),
        }

    def _remove(
        self, plan: SubjectRemoval, plans: dict[str, RemovalPlan], receipts: Mapping[str, list[Receipt]]
    ) -> None:
        """Removes the records from all outputs that can be changed; then raises the first error of the others.

        Adds the receipts by output, and to the plans the counts of the removed records.
        """
        removal, faults = self._removal(plan.subjects), self._store_lists()
        if self.kind == "delete":
            folds = any(output.pipeline_of_today().policy.folding.subject for output in self.outputs)
            reaches = {each: self._reach(each) for each in plan.subjects}
            remove_corrections(reaches, self.ledger, self.now, CaseFolding(subject=folds))
        for output in self.outputs:
            folder = str(output.folder)
            if output.folder not in faults:
                with _kept_fault(faults, output.folder):
                    planned = plans.get(folder, RemovalPlan(self.now))
                    executed, result = removal.execute(output, planned, receipts[folder].append)
                    if executed.due:
                        plans[folder] = replace(executed, due=tuple(map(result.outcome, executed.due)))
        if faults:
            raise next(iter(faults.values()))

    def _removal(self, subjects: Sequence[DataSubject]) -> Removal[RemovalPlan]:
        events = self._events(subjects)
        operation = RuledRemoval(self.kind, self.now, lambda output: self._rules(output, events))
        return Removal(self.workspace, operation, progress=self.options.get("progress", no_progress))

    def _check(self, subjects: Sequence[DataSubject], receipts: Sequence[Receipt]) -> None:
        """Raises CheckFailed if a record remains, or if a dictionary of a new file has a subject without records.

        The index of a new file was made from its records as written, so that most files are not read again.
        """
        now = tuple(replace(each, chain=load_receipts(each.folder)) for each in self.outputs)
        events = self._events(subjects)
        requests = {output.folder: self._rules(output, events) for output in now}
        due_files = (find_due(requests[file.output.folder], file) for file in self._searched_files(now))
        remaining_paths = {each.file.path for each in due_files if each is not None and each.is_due}
        new = [file.path for receipt in receipts for output in receipt.outputs.values() for file in output.files]
        remaining_paths |= set(files_with_leftovers(now, new, {event.named_by for event in events}))
        if remaining_paths:
            hint = "A run may have published at the same time. Run the same command again to continue."
            raise CheckFailed(f"{len(remaining_paths)} files still hold records of the named subjects", hint=hint)

    def _searched_files(self, outputs: Sequence[PublishedOutput]) -> list[OutputFile]:
        """The files of records in force. A deletion also searches the sealed ones."""
        return [*record_files(outputs), *(sealed_files(outputs) if self.kind == "delete" else ())]

    def _record_events(self, subjects: Sequence[DataSubject]) -> None:
        """Records the events in the ledger, so that no run publishes the subjects.

        A restriction in force is not recorded again.
        """
        restricted = restrictions_in_force(self.ledger, subjects) if self.kind == "restrict" else {}
        events = [
            NewEvent(str(each.tenant), _EVENTS[self.kind], each.id, self._reach(each), each.field, self._tokens(each))
            for each in subjects
            if each not in restricted
        ]
        add_events(events, self.workspace, self.requested_at)

    def _store_lists(self) -> dict[Location, MinimizeError]:
        """Stores the erasure list with every output. Returns the faults; the request is not done with one."""
        rows, faults = self.ledger.find(LIFECYCLE_EVENT), dict[Location, MinimizeError]()
        for output in self.outputs:
            with _kept_fault(faults, output.folder):
                StoredErasures(output.folder, self.ledger.keyring).store(rows, self.ledger.now)
        return faults

    def _request(self, subject: DataSubject, recalls: RecallsByRecipient) -> SubjectRequestStep:
        """The open request of a subject, for another attempt, or a new one."""
        if subject in self.open_requests:
            return reopened(self.open_requests[subject], self.now)
        known = self.linked[subject].identities if subject in self.linked else {}
        return new_request(self.kind, subject, self.ledger.keyring, self.requested_at, recalls=dict(recalls), **known)

    def _reach(self, subject: DataSubject) -> datetime:
        """The last event time to remove: events after the request are not part of it."""
        return self.open_requests[subject].asked_at if subject in self.open_requests else self.requested_at

    def _rules(self, output: PublishedOutput, events: Sequence[RetentionEvent]) -> RewriteRequest:
        as_of, reason = max((self.now, *(event.occurred_at for event in events))), REMOVAL_REASONS[self.kind]
        return RewriteRequest.for_output(output, as_of, events, by_age=False, removal_reason=reason)

    def find_linked(self, subjects: Sequence[DataSubject]) -> dict[DataSubject, LinkedIdentifiers]:
        """The other ids of the subjects and, if asked for, their devices, together with those of their earlier requests."""
        earlier = recorded_devices(self.ledger, subjects, _EVENTS[self.kind])
        complete = complete_requests(self.ledger, self.kind, subjects)
        devices = self.options.get("linked", False)
        identifiers_by_subject = {
            each: find_linked_identifiers(each, self.outputs, self.ledger.keyring, devices=devices) for each in subjects
        }
        return {
            subject: identifiers.with_earlier(earlier[subject], is_complete=subject in complete)
            for subject, identifiers in identifiers_by_subject.items()
        }

    def with_outputs_of_requests(self) -> SubjectRemovalRun:
        """The same run, with the outputs that were replaced since its open requests and so may return with their records."""
        if not self.open_requests:
            return self
        since = min(each.asked_at for each in self.open_requests.values())
        return replace(self, unreachable=(*self.unreachable, *find_replaced_outputs(self.ledger, since)))

    def with_identities_of_requests(self) -> SubjectRemovalRun:
        """The same, with the identities that open requests found before records were removed."""
        requests = {each: self.open_requests[each].body for each in self.linked.keys() & self.open_requests.keys()}
        linked = {
            subject: identifiers.with_request(requests.get(subject, {})) for subject, identifiers in self.linked.items()
        }
        return replace(self, linked=linked)

    def _tokens(self, subject: DataSubject) -> LinkedForms:
        return self.linked[subject].tokens if subject in self.linked else {}

    def _events(self, subjects: Sequence[DataSubject]) -> tuple[RetentionEvent, ...]:
        """The events of the subjects and of their devices."""
        subject_events = tuple(map(self._event, subjects))
        pairs = zip(subject_events, map(self._tokens, subjects), strict=True)
        return (
            *subject_events,
            *(device_event for event, tokens in pairs for device_event in linked_events(event, tokens)),
        )

    def _event(self, subject: DataSubject) -> RetentionEvent:
        return RetentionEvent(
            str(subject.tenant), _EVENTS[self.kind], self._reach(subject), subject.id, named_by=subject.field
        )

    def _recalls(self, subjects: Sequence[DataSubject]) -> dict[DataSubject, RecallsByRecipient]:
        """Per subject and recipient, the disclosures that name the subject by its original id or by a form in an output."""
        disclosures = load_disclosures(self.ledger)
        forms = self._forms(subjects) if disclosures else {}
        return {
            each: disclosures_by_recipient(
                disclosures_of(disclosures, each, (), self.ledger.keyring, forms.get(each, ()))
            )
            for each in subjects
        }

    def _forms(self, subjects: Sequence[DataSubject]) -> dict[DataSubject, frozenset[str]]:
        return {
            subject: frozenset(form for records in self._records(subject) for form in records.subjects)
            for subject in subjects
        }

    def _records(self, subject: DataSubject) -> Iterator[SubjectRecords]:
        """The records of a subject and of its devices."""
        yield from self._search(subject).find_all_records(self.outputs)
        if subject in self.linked:
            yield from self.linked[subject].records(self.outputs)
            yield from self.linked[subject].sealed_records(self.outputs)

    def _unsearchable(self, subjects: Sequence[DataSubject]) -> Iterator[UnsearchableFile]:
        """The files that cannot be searched for any of the subjects."""
        unsearchable_files = (file for files in self.unsearched(subjects).values() for file in files)
        yield from {
            (each.file.output.folder, each.file.path, each.reason): each for each in unsearchable_files
        }.values()

    def unsearched(self, subjects: Sequence[DataSubject]) -> dict[DataSubject, list[UnsearchableFile]]:
        """Per subject, the files that cannot be searched for it."""
        return find_unsearched(subjects, self._searched_files(self.outputs), self.linked)

    def _identify_form(self, subject: DataSubject) -> Iterator[DataSubject]:
        """The original subjects of a form, in each tenant. A pseudonym cannot be reversed."""
        all_records = self._search(subject).find_all_records(self.outputs)
        originals = dict.fromkeys(original for records in all_records for original in identify_form(records))
        if not originals:
            hint = "Run `subject view --form` to see the records. Delete by the original id; this excludes later records, too."
            raise ConfigurationError("the subject of a pseudonym cannot be determined", hint=hint)
        yield from originals

    def _holds(self, subject: DataSubject) -> bool:
        return any(True for _ in self._search(subject).find_all_records(self.outputs))

    def _tenants_in_files(self, subject: DataSubject) -> frozenset[str]:
        """The tenants of the subject's records, as shown by the files."""
        return frozenset(name for each in self._search(subject).find_all_records(self.outputs) for name in each.tenants)

    def _search(self, subject: DataSubject) -> SubjectSearch:
        return SubjectSearch(subject, self.known_tenants)
