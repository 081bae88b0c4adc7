"""Resolve a run before it reads data.

Keyring, encryption of outputs, ledger, settings, sources, plan. Configuration errors are raised first, then refusals.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from minimize.checkpoints import checkpoint
from minimize.consent import ConsentPeriods
from minimize.datasets.pipelines import check_region
from minimize.errors import Finding, LedgerError, PolicyError
from minimize.keys import Keyring, Kms, find_kms
from minimize.keys.master_keys import is_master_key
from minimize.keys.parquet_encryption import CategoryEncryption
from minimize.ledger import Resource, current_actor
from minimize.ledger.audit_event import KEY_ACTIVITY
from minimize.output.folder import has_runs
from minimize.plan import Plan
from minimize.plan.model import encrypted_columns, planned_encryption
from minimize.policy.pipeline import Pipeline
from minimize.receipts import RunOrigin
from minimize.runs.batch_dates import (
    BatchDate,
    DateSelection,
    SkippedDate,
    arrivals,
    check_run_time,
    date_without_files,
    error_for,
    lost_dates,
    pending_only,
    select_dates,
)
from minimize.runs.deciding_function import NO_CONSENTS, DecidingFunction, find_deciding_function
from minimize.runs.inputs import (
    SubjectActs,
    examine_sources,
    find_input_files,
    load_subject_acts,
    missing_source,
    open_readable_sources,
    path_mask,
    record_origin,
    subject_names,
)
from minimize.runs.settings_warnings import warn_of_settings
from minimize.settings import SettingsRows
from minimize.sources.base import Source
from minimize.sources.file_discovery import NameMask, SourceFiles
from minimize.spill import find_budget
from minimize.stages.corrections import find_corrections
from minimize.stores import Location, PathText
from minimize.times import parse_time
from minimize.workspace import Workspace

if TYPE_CHECKING:
    from minimize.ledger.leases import RunSession

log = logging.getLogger("minimize")


def output_encryption(plan: Plan, name: str, kms: Kms) -> CategoryEncryption | None:
    """The encryption of an output's files; None if they are not encrypted."""
    columns = encrypted_columns(plan, name)
    if not columns:
        return None
    return CategoryEncryption.for_columns(kms, columns, planned_encryption(plan, name).per)


def check_master_keys(plan: Plan, kms: Kms) -> None:
    """Checks the master keys that do not belong to a single tenant. Raises KeyringError if one is missing or destroyed."""
    for name in plan.outputs:
        encryption = output_encryption(plan, name, kms)
        if encryption is not None:
            encryption.check()


def audit_created_keys(session: RunSession, keyring: Keyring, since: datetime) -> None:
    """Records in the audit log the master keys that the run created in the keyring for its files."""

    lines = Keyring.load(keyring.path).listing()
    created_keys = [
        f"{line.name}/{line.version}" for line in lines if is_master_key(line.name) and line.created >= since
    ]
    if not created_keys:
        return
    resources = [Resource(each, "master key", f"keys/{each}") for each in created_keys]
    event = KEY_ACTIVITY.event("make", current_actor(), since, *resources, correlation_id=session.run_id)
    try:
        session.ledger.record_event(event, keyring)
    except LedgerError as error:
        log.warning(
            "master keys were created, but the ledger could not record it: %s", error.message, extra={"code": "W016"}
        )


@dataclass(frozen=True, slots=True)
class ResolvedRun:
    """Everything that a run needs, checked before the first byte is read."""

    workspace: Workspace = field(repr=False)
    at: datetime
    at_given: bool
    now: datetime
    """The time of the request. Consents, contract and subprocessor list must also be valid at this time if `at` is earlier."""
    kms: Kms
    """The service that holds the master keys of encrypted outputs."""
    settings: SettingsRows | None
    subject_acts: SubjectActs
    """Erasures and corrections according to the ledger."""
    sources: Mapping[BatchDate, Source]
    found: SourceFiles
    """The files of every batch date, including dates that are not selected."""
    shown: NameMask
    fence: Location | None
    root: Location
    """The folder of the input."""
    plan: Plan
    deciding_function: DecidingFunction | None
    """The third party's function whose consents decide on the records; None if no consent decides."""
    origin: RunOrigin | None
    memory: int
    """Memory budget of tallies in bytes."""
    input_description: str
    """The path of the input as it was written, for messages about missing input."""
    skipped: tuple[SkippedDate, ...] = ()
    """The skipped batch dates, with reasons."""
    pending: bool = False
    """Whether the run processes all dates with new input, date by date."""
    first_read: Mapping[str, datetime] = field(default_factory=dict, repr=False)
    """The time when each file was first read, according to the receipts of the output."""

    @property
    def pipeline(self) -> Pipeline:
        """The pipeline."""
        return self.workspace.job

    @property
    def output(self) -> Location:
        """The output folder."""
        return self.workspace.target

    @property
    def keys(self) -> Keyring:
        """The keyring that signs the receipt."""
        return self.workspace.keyring()

    def job_inputs(self, when: datetime) -> dict[str, Any]:
        """Settings, erasures, corrections and consents for the job of a run at this time.

        A run as of an earlier time also leaves out who was erased since: settings are those of that time, erasures are not.
        """
        settings = None if self.settings is None else self.settings.effective_at(when)
        corrected = find_corrections(self.subject_acts.corrected, self.plan.policy, when, self.keys)
        known = max(when, self.now) if when == self.at else when
        erased = self.subject_acts.erased.effective_at(known, self.plan.policy.future, self.first_read)
        return {"settings": settings, "erased": erased, "corrected": corrected, "consents": self.consents(when)}

    @property
    def subject_names(self) -> frozenset[str | None]:
        """The names by which erasures and settings name subjects."""
        return subject_names(self.subject_acts, self.settings)

    def consents(self, when: datetime) -> ConsentPeriods | None:
        """The periods in which tenants consented to the deciding function, as known at the time of this run; None if no consent
        decides.

        Files that this run reads for the first time also need a consent that is valid now. For files that an earlier run read,
        the consents known at that time apply.
        """
        if self.deciding_function is None:
            return None
        now = self.now if when == self.at else None
        consents = self.subject_acts.consents or NO_CONSENTS
        return self.deciding_function.periods(consents, self.pipeline.policy, when, now)

    def without_dates(self, skipped: Sequence[SkippedDate]) -> ResolvedRun:
        """A copy without these dates, which are skipped."""
        skipped_days = {each.day for each in skipped}
        sources = {when: source for when, source in self.sources.items() if when not in skipped_days}
        return replace(self, sources=sources, skipped=(*self.skipped, *skipped))

    @property
    def is_empty(self) -> bool:
        """Whether there is no input for any selected date."""
        return not self.sources


ALL_DATES: Final = DateSelection()


@dataclass(frozen=True, slots=True)
class RunRequest:
    """What a run is asked to do in a workspace."""

    selection: DateSelection = ALL_DATES
    at: datetime | str | None = None
    """The time of the run; None for the current time."""
    input: PathText | None = None
    """Replaces the source of the pipeline."""
    settings: Any = None
    """Replaces its settings."""
    recipients: PathText | None = None
    """The folder of recipients."""
    rerun: bool = False
    """Whether records that were read earlier are read again; then it is not checked whether the third party may send them,
    nor whether an output without a region may still be written.
    """


PLAIN_REQUEST: Final = RunRequest()
"""All dates, now, with the source and settings of the pipeline."""


def resolve_run(workspace: Workspace, request: RunRequest, *, listed: SourceFiles | None = None) -> ResolvedRun:
    """Checks and binds everything without reading data. Raises configuration errors first, then refusals.

    Takes the files of the input if they were listed already.
    """
    checkpoint("run.resolved")
    job, selection, rerun = workspace.job, request.selection, request.rerun
    if not rerun:
        check_region(job)
    now, requested_time = workspace.clock(), parse_time(request.at, "at")
    keyring = workspace.keyring("receipt")
    deciding = find_deciding_function(job, requested_time or now, now=now, recipients=request.recipients, rerun=rerun)
    if deciding is not None and not rerun:
        deciding.check(job)
    memory = find_budget(job.config)
    target = workspace.target
    rows = workspace.load_settings(request.settings)
    warn_of_settings(rows, job.policy)
    all_files, name_mask = listed or find_input_files(job, request.input, selection.only), path_mask(job, keyring)
    selected_files = select_dates(all_files, selection)
    needs_chain = selection.pending or not any(selected_files.files.values())
    chain = workspace.load_receipts() if needs_chain and has_runs(target) else ()
    arrived = arrivals(selected_files, chain, name_mask) if selection.pending else {}
    subject_acts = load_subject_acts(workspace)
    files_to_read = pending_only(selected_files, arrived) if selection.pending else selected_files
    sources, unreadable = open_readable_sources(
        job, files_to_read, name_mask, subject_names(subject_acts, rows), at=requested_time or now
    )
    is_whole = not (selection.pending or selection.by_date)
    skipped = [*missing_source(job, request.input, all_files, chain, whole=is_whole), *unreadable]
    input_description = _describe_input(job, request.input, selection)
    if not (skipped and skipped[0].reason == "no_source"):
        skipped += [each for each in lost_dates(arrived, chain) if each.day in selection]
        skipped += date_without_files(selection, sources, input_description) if not skipped else []
    if unreadable and not sources and not selection.pending:
        raise error_for(unreadable)
    examined = examine_sources(job, sources)
    plan = examined.require_sound()
    _check_released_columns(plan)
    for name in sorted(plan.keys):
        keyring.bytes_of(name)
    examined.require_allowed()
    if deciding is not None and not rerun:
        deciding.check_permitted(workspace.address, keyring, now, workspace.actor)
    check_run_time(requested_time, now, workspace.output is not None)
    kms = find_kms(keyring, job.config, now=now)
    check_master_keys(plan, kms)
    return ResolvedRun(
        workspace=workspace,
        at=requested_time or now,
        at_given=requested_time is not None,
        now=now,
        kms=kms,
        settings=rows,
        subject_acts=subject_acts,
        sources=sources,
        found=all_files,
        shown=name_mask,
        fence=all_files.excluded_folder(target),
        root=all_files.root,
        plan=plan,
        deciding_function=deciding,
        origin=record_origin(job, request.input, request.settings, target),
        memory=memory,
        input_description=input_description,
        skipped=tuple(sorted(skipped, key=lambda skipped_date: skipped_date.date)),
        pending=selection.pending,
    )


def _describe_input(job: Pipeline, input: PathText | None, selection: DateSelection) -> str:
    path, dates = job.source.path if input is None else str(input), selection.description
    if selection.pending:
        return f"no new files since the last run in {path}{dates and f', {dates}'}"
    return f"no file {dates and f'{dates} '}matches {path}"


def _check_released_columns(plan: Plan) -> None:
    """Raises PolicyError if no column is released. A file without columns contains no data, and few engines can read it."""
    records = plan.outputs.get("records")
    if records is not None and not records.schema.names:
        or_none = ", or write `records: false`" if plan.aggregates else ""
        hint = f"Give at least one field a technique other than `drop`{or_none}."
        file = None if plan.policy.path is None else str(plan.policy.path)
        message = "every field is dropped, so no records can be written"
        finding = Finding("P116", message, hint=hint, file=file, line=plan.policy.lines.get(("fields",)))
        raise PolicyError(message, hint=hint, findings=[finding])
