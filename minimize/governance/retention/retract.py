"""Retraction (`retract`): applies today's policy, settings and consents to published output; unaffected dates first.

A date is unaffected if its receipts show that a run today would give the same; its files are not opened. Another date is run
again if its source is unchanged and the run would restore nothing that was removed since. Otherwise the output itself is
rewritten; in doubt data is removed.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from os import PathLike
from typing import Any

from minimize.consent import ConsentPeriods, Consents
from minimize.errors import Finding, KeyringError, OutputError, RefusedError, call_redacted
from minimize.governance.access.enforcement import require_permission
from minimize.governance.output_file import EventTimeBounds, PolicyCache, WritingRun, receipts_by_path
from minimize.governance.retention.execute import NO_OBSERVABILITY, PlanExecution
from minimize.governance.retention.file_instructions import RewriteRequest, lookup_columns
from minimize.governance.retention.reevaluate import (
    FileConsents,
    FileSettings,
    PolicyReevaluation,
    compare_forms,
    is_newly_shown,
)
from minimize.governance.retention.removal_plan import (
    RECORDS,
    DueFile,
    RemovalPlan,
    count_due,
    plan_removal,
    source_dates,
)
from minimize.governance.retention.retention_rules import RetentionRules, current_conditions, field_pointers
from minimize.governance.retention.sources import (
    RerunnableDate,
    UnchangedSources,
    last_reading_receipt,
    policy_or_settings_changed,
    receipts_by_date,
    rerunnable_dates,
)
from minimize.governance.retention.verdict import FileInstructions
from minimize.governance.workspace import Workspace
from minimize.keys import Keyring, find_keyring
from minimize.output.paths import output_and_date
from minimize.output.reader import load_receipts
from minimize.output.stored_file import StoredFile, open_stored_file
from minimize.policy.approval import check_approval
from minimize.policy.condition import Condition, FeatureOn, LevelAtLeast
from minimize.policy.fields import is_dropped
from minimize.policy.load import hierarchy_files
from minimize.policy.pipeline import Pipeline
from minimize.receipts import Receipt, ReceiptFile, RunOrigin, files_in_force
from minimize.runs.batch_dates import DateSelection
from minimize.runs.erasures import load_subject_acts
from minimize.runs.ledger_check import check_output_ledger
from minimize.runs.provenance import find_pipeline, load_pipeline_settings, origin_place, origin_settings
from minimize.runs.receipt_builder import RunContext
from minimize.runs.resolve import resolve_run
from minimize.runs.runner import no_progress, run_resolved
from minimize.runs.sender import check_same_sender, consent_periods, consents_changed
from minimize.settings import SettingsRows
from minimize.stores import Location, LocationLike, parse_output_location
from minimize.times import parse_time


@dataclass(frozen=True)
class UnaffectedDates:
    """What decides it: today's pipeline and settings, the time, and the receipts.

    settings  the rows of today; `given` is what they were loaded from, where the pipeline's own do not count
    consents  what is recorded about consents; None for records of our own
    """

    job: Pipeline
    folder: Location
    chain: Sequence[Receipt]
    as_of: datetime
    source: str | PathLike[str] | None
    settings_source: Any = field(repr=False)
    settings: SettingsRows | None = field(repr=False)
    consents: Consents | None = field(repr=False)
    keys: Keyring = field(repr=False)
    ledger: str | PathLike[str] | None

    def dates(self) -> frozenset[str | None]:
        """The dates. Raises what `run` raises about policy, settings and keys."""
        unchanged = UnchangedSources(self.job, self.chain, self.source, self.keys)
        plain = self._plain() if self._is_plain() else frozenset()
        groups: dict[tuple[object, ...], list[str | None]] = {}
        for on, of_date in self._receipts.items():
            last = last_reading_receipt(of_date)
            if last is not None and not self._inputs_changed(last):
                groups.setdefault(self._planned_from(last), []).append(on)
        return frozenset(on for group in groups.values() for on in self._of_group(group, unchanged, plain))

    def _inputs_changed(self, last: Receipt) -> bool:
        asked = policy_or_settings_changed(self.job.policy, self.settings, last, self.as_of)
        return asked or consents_changed(self.job, self.consents, last, self.as_of)

    def _of_group(
        self, group: Sequence[str | None], unchanged: UnchangedSources, plain: frozenset[str | None]
    ) -> Iterator[str | None]:
        """Those of some dates that were planned from the same policy, pipeline and version of the package, to the same plan."""
        for on in group:
            if unchanged.is_unchanged(on):
                if self._plan_changed(on):
                    return
                break
        yield from (on for on in group if on in plain or unchanged.is_unchanged(on))

    def _plan_changed(self, on: str | None) -> bool:
        """Whether today's plan for a date is another than its receipt's."""
        last = last_reading_receipt(self._receipts[on])
        given = resolve_run(
            self.job,
            selection=DateSelection.from_options(on),
            at=self.as_of,
            input=self.source,
            settings=self.settings_source,
            output=self.folder,
            keys=self.keys,
            ledger=self.ledger,
            rerun=True,
        )
        return last is None or given.is_empty or given.plan.digest != last.plan.digest

    def _planned_from(self, last: Receipt) -> tuple[object, ...]:
        """All that made the plan of a receipt: equal for two dates, today's plan is that of both or of neither."""
        return (last.plan.digest, tuple(sorted(last.versions.items())), *WritingRun(self.folder, last).rewrite_group)

    def _is_plain(self) -> bool:
        """Whether under today's policy everything that was collected once stays: it has no condition, and no hierarchy file."""
        policy, records = self.job.policy, self.job.records
        gates = (policy.records.feature, policy.records.level, policy.records.collect_if)
        if any(gates) or (records is not None and records.collect_if is not None) or any(hierarchy_files(policy)):
            return False
        shown = (key for key, each in policy.fields.items() if not is_dropped(each))
        return not any(True for key in shown for _ in current_conditions(key, policy))

    def _plain(self) -> frozenset[str | None]:
        """The dates of whose records all files were written under today's policy."""
        by, today = receipts_by_path(self.chain), self.job.policy.digest
        under = {
            (output_and_date(file.path)[1], by[file.path].policy.digest)
            for file in files_in_force(self.chain).get(RECORDS, ())
        }
        return frozenset(self._receipts) - {on for on, digest in under if digest != today}

    @cached_property
    def _receipts(self) -> dict[str | None, list[Receipt]]:
        return receipts_by_date(self.chain)


PathLike_ = str | PathLike[str]


@dataclass(frozen=True, slots=True)
class Retraction:
    """What a retraction would do, and did: dates that are run anew from their source, and what goes of the others."""

    plan: RemovalPlan
    rerun_dates: tuple[str, ...] = ()
    receipts: tuple[Receipt, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to do."""
        return not self.plan.due and not self.rerun_dates

    def as_json(self) -> dict[str, Any]:
        """The plan, and the receipts."""
        said = [receipt.as_json() for receipt in self.receipts]
        return {**self.plan.as_json(), "from_source": list(self.rerun_dates), "receipts": said}

    def __str__(self) -> str:
        if self.is_empty:
            return "nothing to do: everything stands as it would be collected today"
        anew = (
            [f"from their source anew: {', '.join(each or 'all' for each in self.rerun_dates)}"]
            if self.rerun_dates
            else []
        )
        plan = self.plan.outcome_text() if self.receipts else str(self.plan)
        return "\n".join([*anew, *([plan] if self.plan.due else [])])


@dataclass(frozen=True)
class ResolvedRetraction:
    """A retraction that was resolved."""

    request: RewriteRequest
    pipeline: Pipeline
    settings: SettingsRows | None
    consents: ConsentPeriods | None = field(repr=False)
    """When tenants agreed, as it is known today; None for records of our own."""
    chain: tuple[Receipt, ...] = field(repr=False)
    rerunnable: Mapping[str | None, RerunnableDate] = field(repr=False)
    at_given: bool = False
    ledger: PathLike_ | None = None
    unaffected: Collection[str | None] = frozenset()
    """The dates that today's policy and settings cannot concern: their files are not opened."""

    def plan(self) -> Retraction:
        """What is to be done. Raises RefusedError where today's policy shows more than an output that must be worked on."""
        left = {*self.rerunnable, *self.unaffected}
        files = [(written, file) for written, file in self._files() if output_and_date(file.path)[1] not in left]
        wrong = [finding for written, file in files for finding in self._finer(written, file)]
        if wrong:
            message = "the policy became finer, and what was made coarser cannot be made finer again"
            raise RefusedError(message, findings=list(dict.fromkeys(wrong)), hint="run dates anew whose source stands")
        due = [each for each in (self._due_file(written, file) for written, file in files) if each.is_due]
        touched = {each.date for each in due}
        due += [
            DueFile(file, written, FileInstructions(written.policy, RetentionRules(), self.request.as_of))
            for written, file in self._aggregates()
            if touched & source_dates(written, file)
        ]
        anew = sorted(on or "" for on, each in self.rerunnable.items() if each.is_pending)
        return Retraction(plan_removal(self.request.as_of, due), tuple(anew))

    def execute(self, found: Retraction) -> Retraction:
        """It is done: first the dates that are run anew, then what goes of the others."""
        made = [self._rerun(self.rerunnable[on or None]) for on in found.rerun_dates]
        carrying = PlanExecution(self.request, self.pipeline, self.at_given, self.ledger, kind="retract")
        return Retraction(
            found.plan, found.rerun_dates, (*made, *(carrying.execute(found.plan) if found.plan.due else ()))
        )

    def _rerun(self, each: RerunnableDate) -> Receipt:
        how = RunContext("retract", "local", datetime.now(UTC), no_progress, NO_OBSERVABILITY, ledger=self.ledger)
        return run_resolved(each.run, how)

    def _files(self) -> Iterator[tuple[WritingRun, ReceiptFile]]:
        return self._writing_runs(files_in_force(self.chain).get(RECORDS, ()))

    def _aggregates(self) -> Iterator[tuple[WritingRun, ReceiptFile]]:
        return self._writing_runs(
            file for name, files in files_in_force(self.chain).items() if name != RECORDS for file in files
        )

    def _writing_runs(self, files: Iterable[ReceiptFile]) -> Iterator[tuple[WritingRun, ReceiptFile]]:
        by, reading = receipts_by_path(self.chain), PolicyCache(self.pipeline.policy.purposes)
        yield from ((WritingRun(self.request.output, by[file.path], reading), file) for file in files)

    def _due_file(self, written: WritingRun, file: ReceiptFile) -> DueFile:
        stored = open_stored_file(self.request.output, file.path, self.request.kms)
        again = self._reevaluation(written, stored)
        counts = count_due(again, stored, None)
        values = {key: each.gated + each.changed for key, each in counts.fields.items() if each.gated + each.changed}
        whole = 0 < file.rows == sum(counts.gated.values())
        return DueFile(file, written, again, whole, counts.gated, {} if whole else values)

    def _reevaluation(self, written: WritingRun, stored: StoredFile) -> PolicyReevaluation:
        then, today, schema = written.policy, self.request.today, stored.whole
        pointers, clock = field_pointers(then, schema), EventTimeBounds.for_policy(then, schema)
        purpose = written.receipt.purpose
        types = {key: schema.field(place.top).type for key, place in pointers.items()}
        forms = {key: compare_forms(then.fields[key], today.fields.get(key), purpose, types[key]) for key in pointers}
        tenant, subject = lookup_columns(then, RetentionRules(pointers=pointers), clock, stored, self.request.keys)
        collected = FileSettings.for_file(self.settings, today, self.request.as_of, tenant, subject, clock)
        agreed = None if self.consents is None else FileConsents.for_file(self.consents, tenant, clock)
        return PolicyReevaluation(
            then, today, self.request.as_of, pointers, forms, self._records(), collected, clock, agreed
        )

    def _records(self) -> tuple[Condition, ...]:
        own, job = self.request.today.records, self.pipeline.records
        settings = [
            None if own.feature is None else FeatureOn(own.feature),
            None if own.level is None else LevelAtLeast(own.level),
        ]
        conditions = [*settings, own.collect_if, None if job is None else job.collect_if]
        return tuple(each for each in conditions if each is not None)

    def _finer(self, written: WritingRun, file: ReceiptFile) -> Iterator[Finding]:
        stored = open_stored_file(self.request.output, file.path, self.request.kms)
        again, purpose = self._reevaluation(written, stored), written.receipt.purpose
        for key, each in self.request.today.fields.items():
            shown = not is_dropped(each) and (not each.purposes or purpose in each.purposes)
            new = shown and is_newly_shown(written.policy.fields.get(key), each)
            if new or (key in again.forms and again.forms[key].verdict == "finer"):
                message = "today's policy shows more of it than the output has"
                yield Finding("R021", message, field=key, hint="bring the source back, or keep the coarser form")


@dataclass(frozen=True, slots=True)
class RetractionOptions:
    """What a retraction was given in place of what the receipts say: pipeline, source, settings; the time, keyring, ledger."""

    pipeline: PathLike_ | None = None
    at: datetime | str | None = None
    input: PathLike_ | None = None
    settings: Any = None
    keys: Keyring | PathLike_ | None = None
    ledger: PathLike_ | None = None


def retract(output: LocationLike, *, yes: bool = False, **options: Any) -> Retraction:
    """Applies today's policy, settings and consents to what stands in an output; without `yes` only the plan is made.

    Takes the output folder; what stands in for what its receipts name, the time as of which it counts (aware; now), keyring and
    ledger (see `RetractionOptions`).

    Raises what `run` raises, and RefusedError (3) if the policy became finer and the source of a date is no longer there; then
    nothing is changed.
    """
    made = call_redacted(lambda: _resolve_retraction(parse_output_location(output), RetractionOptions(**options)))
    found = call_redacted(made.plan)
    if not yes or found.is_empty:
        return found
    house = Workspace(made.ledger, str(made.request.output), made.pipeline, made.request.keys)
    require_permission("output/retract", house, datetime.now(UTC), dataset=made.pipeline.pipeline)
    if found.rerun_dates:
        check_approval(made.pipeline.policy, made.pipeline.folder)
    return call_redacted(lambda: made.execute(found))


def _resolve_retraction(folder: Location, options: RetractionOptions) -> ResolvedRetraction:
    chain = load_receipts(folder)
    if not chain:
        raise OutputError("nothing was published here yet", hint="`minimize run` does")
    job = find_pipeline(folder, chain[-1], options.pipeline)
    check_same_sender(job, chain)
    check_output_ledger(folder, job.folder, options.ledger)
    keyring = find_keyring(options.keys, job.folder)
    if keyring is None:
        raise KeyringError("no keyring, and every change signs its receipt", hint="--keys FILE or MINIMIZE_KEYS")
    now, origin = parse_time(options.at) or datetime.now(UTC), chain[-1].origin or RunOrigin()
    said = options.settings if options.settings is not None else origin_settings(folder, origin)
    rows = load_pipeline_settings(said, job, keyring, folder, options.ledger)
    source = options.input or origin_place(folder, origin.input)
    consents = load_subject_acts(job, keyring, folder, options.ledger).consents
    unaffected = UnaffectedDates(job, folder, chain, now, source, said, rows, consents, keyring, options.ledger).dates()
    standing = rerunnable_dates(job, folder, chain, now, source, said, keyring, options.ledger, without=unaffected)
    return ResolvedRetraction(
        RewriteRequest(folder, job.policy, now, keyring),
        job,
        rows,
        consent_periods(job, consents, now),
        chain,
        standing,
        options.at is not None,
        options.ledger,
        unaffected,
    )
