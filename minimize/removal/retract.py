"""Retraction (`retract`).

How today's policy changes the form of each field, the verdict on one batch, then the plan for an output and its execution.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from minimize.arrow.dictionaries import Bools, decode_dictionary
from minimize.arrow.nested import leaf
from minimize.arrow.pointers import Pointer
from minimize.consent import ConsentPeriods
from minimize.datasets.ledger_check import check_earlier_receipts
from minimize.datasets.pipelines import origin_place, origin_settings
from minimize.datasets.published_output import OutputFile, PublishedOutput
from minimize.datasets.reader import load_receipts
from minimize.datasets.record_age import age_limit
from minimize.errors import Finding, RefusedError, call_redacted
from minimize.keys import Keyring
from minimize.observability.destinations import NO_OBSERVABILITY
from minimize.policy.approval import check_approval
from minimize.policy.condition import Atom, Condition, FeatureOn, LevelAtLeast
from minimize.policy.fields import compare_coarseness, gate_condition, is_dropped
from minimize.policy.model import Field, Policy
from minimize.policy.treatments import DROP, Treatment
from minimize.receipts import Receipt, RunOrigin
from minimize.records import RECORDS
from minimize.removal import Removal, RuledRemoval
from minimize.removal.decision import WHOLE_RECORD, FileInstructions, RewriteRequest
from minimize.removal.file_consents import FileConsents, FileSettings
from minimize.removal.plan import DueFile, RemovalPlan, counted_file, plan_removal, whole_table, with_retention
from minimize.removal.rare_records import with_rare_records
from minimize.removal.rerun import DatesWithSource, RerunnableDate
from minimize.removal.retention_rules import RetentionRules, StoredFacts, current_conditions
from minimize.removal.verdict import BatchVerdict
from minimize.results import UNCHANGED, JsonResult, Line, json_member
from minimize.runs.deciding_function import check_same_function, consent_periods
from minimize.runs.execution import ProgressCallback
from minimize.runs.guards import ALLOW_REMOVAL_HINT, check_change_time
from minimize.runs.inputs import load_subject_acts
from minimize.runs.overrides import require_output_override
from minimize.runs.receipt_builder import RunContext
from minimize.runs.resolve import ResolvedRun, RunRequest
from minimize.runs.runner import no_progress, run_resolved
from minimize.runs.session import warn_of_older_copy
from minimize.settings import SettingsRows
from minimize.stages.chains import run_chain
from minimize.stores import LocationLike, PathText
from minimize.techniques import Context, Technique, TechniqueStep, UnsupportedType
from minimize.times import parse_time
from minimize.workspace import Workspace

FormVerdict = Literal["same", "coarser", "finer", "gone"]


@dataclass(frozen=True, slots=True)
class FormChange:
    """Effect of today's policy on a released field. If it became coarser, `steps` converts its values."""

    verdict: FormVerdict
    steps: tuple[Technique, ...] = ()


def compare_forms(released: Field, today: Field | None, purpose: str, type_: pa.DataType) -> FormChange:
    """Compares a field's released form with today's form.

    `gone`: today's policy drops it, or its form cannot be made from the released one.
    """
    if today is None or is_dropped(today) or (today.purposes and purpose not in today.purposes):
        return FormChange("gone")
    if (released.cases, released.otherwise, released.do, released.from_) == (
        today.cases,
        today.otherwise,
        today.do,
        today.from_,
    ):
        return FormChange("same")
    if released.cases or today.cases or released.from_ != today.from_:
        return FormChange("gone")
    return _compare_chains(_steps_of(released.do), _steps_of(today.do), type_)


def _compare_chains(
    released: Sequence[TechniqueStep], today: Sequence[TechniqueStep], type_: pa.DataType
) -> FormChange:
    if _is_keep(today):
        return FormChange("finer")
    if _is_keep(released) and _can_follow(today, type_):
        return FormChange("coarser", tuple(step for step in today if isinstance(step, Technique)))
    if len(released) == len(today) == 1:
        coarseness = compare_coarseness(released[0], today[0])
        if coarseness == "coarser" and isinstance(today[0], Technique):
            return FormChange("coarser", (today[0],))
        if coarseness is not None:
            return FormChange(coarseness)
    return FormChange("gone")


def compare_table_forms(released: Field, today: Field | None, purpose: str) -> FormVerdict:
    """Compares the form of a field in tables with today's form. A table cannot be converted: it is removed or stays."""
    if today is None or (is_dropped(today) and not today.in_aggregates):
        return "gone"
    if today.purposes and purpose not in today.purposes:
        return "gone"
    if not released.in_aggregates and not today.in_aggregates:
        return compare_forms(released, today, purpose, pa.string()).verdict
    released_steps, current_steps = (field.in_aggregates or _steps_of(field.do) for field in (released, today))
    return (
        "same"
        if released_steps == current_steps
        else _compare_chains(released_steps, current_steps, pa.string()).verdict
    )


def is_newly_shown(released: Field | None, today: Field) -> bool:
    """Whether today's policy shows a field that the file does not have."""
    return released is None or is_dropped(released)


def _steps_of(treatment: Treatment) -> tuple[TechniqueStep, ...]:
    return () if treatment == DROP or isinstance(treatment, str) else treatment


def _is_keep(steps: Sequence[TechniqueStep]) -> bool:
    return bool(steps) and all(step.changes_nothing for step in steps)


def _can_follow(steps: Sequence[TechniqueStep], type_: pa.DataType) -> bool:
    """Whether a chain needs only the value, and returns values of the same type."""
    current_type = type_
    try:
        for step in steps:
            if not isinstance(step, Technique) or step.reads() | step.key_names or step.needs_time:
                return False
            current_type = step.output_type(current_type)
    except UnsupportedType:
        return False
    return bool(current_type == type_)


@dataclass(frozen=True, slots=True)
class PolicyReevaluation:
    """Reevaluation of one file under today's policy."""

    file: OutputFile
    """The file, with the policy under which it was written."""
    today: Policy
    """Today's policy."""
    as_of: datetime
    forms: Mapping[str, FormChange]
    """Effect of today's policy on each field of the file."""
    records: tuple[Condition, ...]
    """Today's conditions on whole records."""
    settings: FileSettings = field(repr=False)
    consents: FileConsents | None = field(default=None, repr=False)
    """Today's consents, if a third party sent the records."""

    @property
    def pointers(self) -> Mapping[str, Pointer]:
        """The pointers of the file's fields, by key."""
        return self.file.pointers

    def __call__(self, batch: pa.RecordBatch) -> BatchVerdict:
        """The verdict on one batch."""
        closed = dict(self._removed_values(batch))
        everything = np.ones(batch.num_rows, np.bool_)
        return BatchVerdict(
            self._removed_records(batch), closed, dict(self._replacements(batch)), dict.fromkeys(closed, everything)
        )

    def _removed_records(self, batch: pa.RecordBatch) -> dict[str, Bools]:
        stays, removed = np.ones(batch.num_rows, np.bool_), dict[str, Bools]()
        if self.consents is not None:
            stays = self.consents(batch)
            removed["consent"] = ~stays
        for condition in self.records:
            holds = self._facts(batch, WHOLE_RECORD).holds(condition)
            reason = "setting" if isinstance(condition, FeatureOn | LevelAtLeast) else "condition"
            removed[reason] = removed.get(reason, np.zeros(batch.num_rows, np.bool_)) | (stays & ~holds)
            stays &= holds
        return removed

    def _removed_values(self, batch: pa.RecordBatch) -> Iterator[tuple[str, Bools]]:
        for key, form in self.forms.items():
            if form.verdict == "gone":
                yield key, np.ones(len(leaf(batch, self.pointers[key]).values), np.bool_)
                continue
            facts = self._facts(batch, self.pointers[key])
            holding = [facts.holds(each) for each in current_conditions(key, self.today)]
            if holding and not np.logical_and.reduce(holding).all():
                yield key, ~np.logical_and.reduce(holding)

    def _replacements(self, batch: pa.RecordBatch) -> Iterator[tuple[str, pa.Array]]:
        for key, form in self.forms.items():
            if form.verdict == "coarser":
                values = leaf(batch, self.pointers[key]).values
                converted = run_chain(form.steps, values, Context(key, self.as_of)).values
                yield key, pc.cast(decode_dictionary(converted), values.type)

    def _facts(self, batch: pa.RecordBatch, place: Pointer) -> StoredFacts:
        return StoredFacts(
            batch, self.file.policy, dict(self.pointers), place, lambda atom: self._holds_now(atom, batch)
        )

    def _holds_now(self, atom: Atom, batch: pa.RecordBatch) -> Bools | None:
        if not isinstance(atom, FeatureOn | LevelAtLeast):
            return None
        on = self.settings.is_on(atom, batch)
        feature = self.today.features.get(atom.name) if isinstance(atom, FeatureOn) else None
        if feature is None or feature.retention is None:
            return on
        if self.file.times is None:
            return np.zeros(batch.num_rows, np.bool_)
        return np.asarray(on & (self.file.times.oldest(batch) > age_limit(self.as_of, feature.retention)), np.bool_)


@dataclass(frozen=True, slots=True)
class Retraction(JsonResult):
    """Plan and result of a retraction: dates to run again from their source, and removals from the other dates."""

    plan: RemovalPlan = field(metadata=json_member(merge=True))
    rerun_dates: tuple[str, ...] = field(default=(), metadata=json_member("from_source"))
    receipts: tuple[Receipt, ...] = ()
    is_received_only: bool = field(default=False, metadata=json_member("received_only", omit_empty=True))

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to do."""
        return not self.plan.due and not self.rerun_dates

    def lines(self) -> Iterator[Line]:
        """The plan or its outcome, then the receipts."""
        yield from str(self).split("\n")
        yield from self.receipts
        if not self.is_empty and not self.receipts:
            yield UNCHANGED

    def __str__(self) -> str:
        if self.is_empty:
            rules = "consents and contracts" if self.is_received_only else "policy, settings and consents"
            return f"nothing to do: the output matches today's {rules}"
        rerun = (
            [f"run again from source: {', '.join(each or 'all' for each in self.rerun_dates)}"]
            if self.rerun_dates
            else []
        )
        plan = self.plan.outcome_text() if self.receipts else str(self.plan)
        return "\n".join([*rerun, *([plan] if self.plan.due else [])])


@dataclass(frozen=True)
class ResolvedRetraction:
    """A resolved retraction. If it is limited to received data, only consents and contracts decide."""

    request: RewriteRequest
    workspace: Workspace = field(repr=False)
    settings: SettingsRows | None
    consents: ConsentPeriods | None = field(repr=False)
    """The tenants' consent periods as known today; None for the organization's own records."""
    output: PublishedOutput
    dates: DatesWithSource = field(repr=False)
    rerunnable: Mapping[str | None, RerunnableDate] = field(repr=False)
    at_given: bool = False
    progress: ProgressCallback = no_progress
    unaffected: Collection[str | None] = frozenset()
    """Dates that today's policy and settings cannot change. Their files are not opened."""
    is_received_only: bool = False
    allow_shrink: bool = False

    def plan(self) -> Retraction:
        """The plan. Raises RefusedError if today's policy shows more than an output that would have to be rewritten."""
        if self.is_received_only:
            return self._plan_of_received_data()
        dates_without_rewrite = {*self.rerunnable, *self.unaffected}
        reevaluations = [
            self._reevaluation(file) for file in self.output.files(RECORDS) if file.date not in dates_without_rewrite
        ]
        wrong = [finding for reevaluation in reevaluations for finding in self._finer(reevaluation)]
        if wrong:
            message = "today's policy is finer than the output, and coarser values cannot be made finer"
            raise RefusedError(
                message, findings=list(dict.fromkeys(wrong)), hint="Run the dates again that still have a source."
            )
        return self._make_plan(_due_files(reevaluations, self.request), self.rerunnable)

    def _plan_of_received_data(self) -> Retraction:
        """The plan of a retraction of received data. A date runs again only if nothing but its consents changed."""
        if self.consents is None:
            return self._make_plan((), {})
        files = [file for file in self.output.files(RECORDS) if file.date not in self.unaffected]
        due = _due_files(map(self._reevaluation, files), self.request)
        rerunnable = self.dates.rerunnable_for_consents({each.date for each in due})
        return self._make_plan([each for each in due if each.date not in rerunnable], rerunnable)

    def _make_plan(self, due: Sequence[DueFile], rerunnable: Mapping[str | None, RerunnableDate]) -> Retraction:
        """The plan from the due files of records, with the aggregates of their dates and the sealed records.

        No run replaces the sealed records of restricted subjects, so all of them are evaluated. They keep a coarser form.
        """
        dates_without_rewrite = {*rerunnable, *self.unaffected}
        due = [*due, *self._outdated_tables(self.output, lambda dates: not dates <= dates_without_rewrite)]
        whole = {each.file.path for each in due if each.is_whole}
        sealed = {file.path: file.is_shredded for file in self.output.restricted_files()}
        also = [self._reevaluation(file) for file in self.output.restricted_files() if not sealed[file.path]]
        due = [*due, *_due_files(also, self.request)]
        touched = {each.date for each in due}
        due += [
            DueFile(file, FileInstructions(file, RetentionRules(), self.request.as_of))
            for file in self.output.files()
            if file.name != RECORDS and touched & file.batch_dates and file.path not in whole
        ]
        rerun = sorted(on or "" for on, each in rerunnable.items() if each.is_pending)
        unreadable = tuple(path for path, is_shredded in sealed.items() if is_shredded)
        due = with_rare_records(self.output, due)
        plan = replace(plan_removal(self.request.as_of, due), unreadable=unreadable)
        return Retraction(plan, tuple(rerun), is_received_only=self.is_received_only)

    def execute(self, retraction: Retraction) -> Retraction:
        """Executes the plan: first runs dates again, then removes data from the others.

        Nothing is changed unless every date can be run.
        """
        self._check_time()
        runs = [replace(self.dates.resolve(on or None), at_given=self.at_given) for on in retraction.rerun_dates]
        receipts = [self._rerun(each) for each in runs]
        stayed = self._tables_that_stayed({on or None for on in retraction.rerun_dates})
        plan = replace(retraction.plan, due=(*retraction.plan.due, *stayed))
        operation = RuledRemoval("retract", self.request.as_of, lambda _: self.request, replans=False)
        removal = Removal(self.workspace, operation, self.at_given, self.allow_shrink, self.progress)
        removal.execute(self.output, plan, receipts.append)
        return replace(retraction, receipts=tuple(receipts))

    def _tables_that_stayed(self, rerun_dates: Collection[str | None]) -> Sequence[DueFile]:
        """The outdated tables of dates that were run again: no further release of them was permitted."""
        if not rerun_dates:
            return ()
        dates_without_rewrite = {*self.rerunnable, *self.unaffected}
        published = replace(self.output, chain=load_receipts(self.request.output))
        return tuple(
            self._outdated_tables(
                published, lambda dates: dates <= dates_without_rewrite and bool(dates & set(rerun_dates))
            )
        )

    def _outdated_tables(
        self, output: PublishedOutput, is_affected: Callable[[frozenset[str | None]], bool]
    ) -> Iterator[DueFile]:
        """The tables of affected batch dates that show fields in a form that today's policy does not permit."""
        for file in output.files() if not self.is_received_only else ():
            if not file.has_records and is_affected(file.batch_dates) and self._is_outdated(file):
                yield whole_table(self.request, file, "condition")

    def _is_outdated(self, table: OutputFile) -> bool:
        written, today = table.written_by, self.request.today
        keys = (key for key in written.receipt.fields if table.name in written.receipt.outputs_of(key))
        forms = ((written.policy.fields[key], today.fields.get(key)) for key in keys if key in written.policy.fields)
        return any(compare_table_forms(*pair, written.receipt.purpose) in ("coarser", "gone") for pair in forms)

    def _check_time(self) -> None:
        """Raises RefusedError (E304) if the time is implausible. Dates that run again have no other check of it."""
        with self.workspace.open_ledger(create=True) as ledger:
            check_change_time(
                ledger,
                self.request.output,
                self.output.chain,
                self.request.as_of,
                is_given=self.at_given,
                is_allowed=self.allow_shrink,
                hint=ALLOW_REMOVAL_HINT,
            )

    def _rerun(self, run: ResolvedRun) -> Receipt:
        context = RunContext(
            "retract", "local", self.workspace.clock(), self.progress, NO_OBSERVABILITY, clock=self.workspace.clock
        )
        return run_resolved(run, context)

    def _reevaluation(self, file: OutputFile) -> PolicyReevaluation:
        policy, today = file.policy, self.request.today
        tenant, subject = file.column(policy.tenant), file.column(policy.subject)
        collected = FileSettings.for_file(
            self.settings, today, self.request.as_of, tenant, subject, file.times, file.column
        )
        limited = self.is_received_only
        change = self.dates.consent_change(file.date) if limited else None
        return PolicyReevaluation(
            file=file,
            today=today,
            as_of=self.request.as_of,
            forms={} if limited else {key: self._form_change(file, key) for key in file.pointers},
            records=() if limited else self._records(),
            settings=collected,
            consents=None
            if self.consents is None
            else FileConsents.for_file(self.consents, tenant, file.times, change),
        )

    def _form_change(self, file: OutputFile, key: str) -> FormChange:
        type_ = file.schema.field(file.pointers[key].top).type
        return compare_forms(
            file.policy.fields[key], self.request.today.fields.get(key), file.written_by.receipt.purpose, type_
        )

    def _records(self) -> tuple[Condition, ...]:
        job = self.workspace.job.records
        of_pipeline = () if job is None or job.collect_if is None else (job.collect_if,)
        return (*gate_condition(self.request.today.records).parts, *of_pipeline)

    def _finer(self, reevaluation: PolicyReevaluation) -> Iterator[Finding]:
        written = reevaluation.file.written_by
        for key, policy_field in self.request.today.fields.items():
            shown = not is_dropped(policy_field) and (
                not policy_field.purposes or written.receipt.purpose in policy_field.purposes
            )
            new = shown and is_newly_shown(written.policy.fields.get(key), policy_field)
            if new or (key in reevaluation.forms and reevaluation.forms[key].verdict == "finer"):
                message = "today's policy releases more of this field than the output has"
                yield Finding("R021", message, field=key, hint="Restore the source, or keep the coarser form.")


def _due_files(reevaluations: Iterable[PolicyReevaluation], request: RewriteRequest) -> list[DueFile]:
    due_files = (counted_file(each.file, each, each.file.stored_file.batches()) for each in reevaluations)
    return [with_retention(each, request.today, request.as_of) for each in due_files if each.is_due]


def retract(
    output: LocationLike,
    *,
    at: datetime | str | None = None,
    pipeline: PathText | None = None,
    input: PathText | None = None,
    settings: Any = None,
    keys: Keyring | PathText | None = None,
    ledger: PathText | None = None,
    received: bool = False,
    yes: bool = False,
    allow_shrink: bool = False,
    progress: ProgressCallback = no_progress,
) -> Retraction:
    """Applies today's policy, settings and consents to a published output; without `yes` only makes the plan.

    Takes the output folder, the reference time (timezone-aware, default: now), what replaces the pipeline, source and settings in
    its receipts, and the keyring and ledger. With `received`, changed settings and policies are not applied: only received
    records that consents and contracts no longer cover are removed, and an output of the organization's own records is left as it
    is. `allow_shrink` accepts a time that is far from that of the last receipt.

    Raises the errors of `run`, and RefusedError (3) if the policy became finer and the source of a date no longer exists, or if
    the time is implausible. Nothing is changed then.
    """
    with Workspace(ledger, output, pipeline, keys) as named:
        request = RunRequest(at=at, input=input, settings=settings)
        resolved = call_redacted(lambda: _resolve_retraction(named, request, is_received_only=received))
        resolved = replace(resolved, allow_shrink=allow_shrink, progress=progress)
        workspace = resolved.workspace
        permission = "output/retract_received" if received else "output/retract"
        ruling = workspace.showing(workspace.target)
        ruling.require(permission, dataset=workspace.job.pipeline)
        retraction = call_redacted(resolved.plan)
        if not yes or retraction.is_empty:
            warn_of_older_copy(workspace)
            return retraction
        require_output_override(named, request)
        if retraction.rerun_dates:
            check_approval(workspace.job)
        return call_redacted(lambda: resolved.execute(retraction))


def _resolve_retraction(named: Workspace, request: RunRequest, *, is_received_only: bool) -> ResolvedRetraction:
    workspace, output = named.open_output()
    folder, job = workspace.target, workspace.job
    check_earlier_receipts(workspace.keyring(), output.chain)
    check_same_function(job, output.chain)
    now, origin = workspace.now, output.chain[-1].origin or RunOrigin()
    as_of = parse_time(request.at) or now
    settings = request.settings if request.settings is not None else origin_settings(folder, origin)
    rows = workspace.load_settings(settings)
    source = request.input or origin_place(folder, origin.input)
    consents = load_subject_acts(workspace).consents
    dates = DatesWithSource(
        workspace=workspace,
        output=output,
        as_of=as_of,
        now=now,
        source=source,
        settings_source=settings,
        settings=rows,
        consents=consents,
    )
    unaffected = dates.with_same_consents() if is_received_only else dates.unaffected()
    return ResolvedRetraction(
        request=RewriteRequest.for_output(output, as_of),
        workspace=workspace,
        settings=rows,
        consents=consent_periods(job, consents, as_of, now),
        output=output,
        dates=dates,
        rerunnable={} if is_received_only else dates.rerunnable(unaffected),
        at_given=request.at is not None,
        unaffected=unaffected,
        is_received_only=is_received_only,
    )
