"""`run`: runs a pipeline and returns a signed receipt. Attachments of the receipt, observers, and the run itself.

Everything is checked before the first byte is read. All dates are published at once, or none.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from minimize.checkpoints import checkpoint
from minimize.datasets.erasure_list import StoredErasures
from minimize.datasets.inventory import RemovalInventory
from minimize.datasets.pipelines import is_made_by, pipeline_regions
from minimize.datasets.reader import undo_abandoned_runs
from minimize.engines import ENGINES
from minimize.engines.base import BatchOutcome
from minimize.errors import ConfigurationError, MinimizeError, RedactedErrors, redact_errors
from minimize.keys import Keyring
from minimize.ledger.runs import OtherReleases, other_releases
from minimize.linting import check_allowed_codes, check_lint_errors
from minimize.observability import Observer, observe_run
from minimize.observability.destinations import default_lineage_path, find_destinations
from minimize.observability.openlineage import RunDescription
from minimize.output.publish import OpenOutput, Staging, open_output
from minimize.plan import Plan
from minimize.plan.columns import columns_markdown
from minimize.policy.approval import check_approval
from minimize.policy.load import hierarchy_files
from minimize.policy.pipeline import Pipeline
from minimize.receipts import Receipt, ReceiptKind, new_run_id, sha256_text
from minimize.receipts.chain import READING_KINDS
from minimize.receipts.shown_counts import seal_counts
from minimize.recipients import Recipient
from minimize.records import PIPELINE_FILE, POLICY_FILE
from minimize.results import JsonResult, Line, LogMessage, json_member
from minimize.runs.batch_dates import BatchDate, DateSelection, SkippedDate, date_text, error_for, worst_exit_code
from minimize.runs.deciding_function import check_same_function, warn_of_gated_rows, warn_without_consents
from minimize.runs.execution import ProcessedDates, ProgressCallback, process_dates
from minimize.runs.first_run_check import check_erasures_known
from minimize.runs.guards import (
    check_quarantine_limit,
    check_risk,
    check_risk_of_all_dates,
    check_same_pipeline,
    check_shrink,
    dates_with_later_receipt,
    exit_code,
    later_time,
    reference_clock,
    run_log_messages,
    state_quarantine_limit,
    unfinished_parts,
)
from minimize.runs.inputs import check_acts_unchanged, first_read_times
from minimize.runs.late_aggregates import LateAggregates
from minimize.runs.overrides import require_override
from minimize.runs.receipt_builder import UNPUBLISHED_SEQUENCE, RunContext, build_receipt, empty_receipt
from minimize.runs.resolve import ResolvedRun, RunRequest, audit_created_keys, resolve_run
from minimize.runs.risk_union import DatesInForce
from minimize.runs.session import record_missed_receipts, record_published, run_session, warn_of_older_copy
from minimize.runs.settings_warnings import warn_of_unmatched_subjects
from minimize.stores import Location, LocationLike, ObjectPath, PathText
from minimize.text import count_noun
from minimize.workspace import Workspace

if TYPE_CHECKING:
    from minimize.ledger.leases import RunSession
    from minimize.runs.backfill import Backfill


def receipt_attachments(
    pipeline: Pipeline, plan: Plan, backfill: Backfill | None = None, recipient: Recipient | None = None
) -> dict[str, bytes]:
    """The files by name: `policy.yaml`, `pipeline.yaml`, `columns.md`, `backfill.yaml` if the run is part of one,
    `recipient.yaml` if consents to a third party's function decide on the records, and the hierarchies as the policy names them.

    Raises ConfigurationError if a file has changed since it was loaded.
    """
    files = {"columns.md": columns_markdown(plan).encode()}
    for name, path, digest in (
        (POLICY_FILE, pipeline.policy.path, pipeline.policy.digest),
        (PIPELINE_FILE, pipeline.path, pipeline.digest),
        (
            "recipient.yaml",
            None if recipient is None else recipient.path,
            "" if recipient is None else recipient.digest,
        ),
    ):
        if path is not None:
            files[name] = _read_unchanged(path, digest)
    files |= {} if backfill is None else {"backfill.yaml": backfill.content}
    return files | _hierarchy_files(pipeline)


def _read_unchanged(path: Path, digest: str) -> bytes:
    content = path.read_bytes()
    if sha256_text(content) != digest:
        raise ConfigurationError(f"{path.name} was changed during the run", hint="Run again.")
    return content


def _hierarchy_files(pipeline: Pipeline) -> dict[str, bytes]:
    folder = Path() if pipeline.policy.path is None else pipeline.policy.path.parent
    files: dict[str, bytes] = {}
    for path in hierarchy_files(pipeline.policy):
        inside = path.is_relative_to(folder) and ".." not in path.relative_to(folder).parts
        name = path.relative_to(folder).as_posix() if inside else path.name
        if name in files:
            raise ConfigurationError(f"two hierarchies have the name {name}", hint="Give them different names.")
        files[name] = path.read_bytes()
    return files


def create_observer(resolved: ResolvedRun, context: RunContext, run_id: str) -> Observer:
    """The observer of a resolved run."""
    dates = tuple(text for day in resolved.sources if (text := date_text(day)) is not None)
    about = _describe_run(resolved.pipeline, resolved.output, context, run_id)
    return Observer(replace(about, plan=resolved.plan, dates=dates, source=resolved.root), context.places)


@contextmanager
def observe_refusal(workspace: Workspace, context: RunContext) -> Iterator[None]:
    """Observes a run that is not resolved yet. If it is refused, it is reported as a failed run.

    If the output does not exist yet, no file is written next to it.
    """
    job, output = workspace.job, workspace.target
    try:
        yield
    except MinimizeError as error:
        early = (
            isinstance(output, Path) and context.places.lineage == default_lineage_path(output) and not output.is_dir()
        )
        places = replace(context.places, lineage=None) if early else context.places
        observer = Observer(_describe_run(job, output, context, new_run_id(context.started)), places)
        observer.record_start(context.started)
        observer.record_failure(workspace.clock(), error)
        raise


def log_figures(receipt: Receipt) -> dict[str, Any]:
    """Figures of a run for the log: counts, dates, seconds."""
    return {
        "kind": receipt.kind,
        "pipeline": receipt.pipeline,
        "dates": list(receipt.dates),
        "seconds": round((receipt.finished - receipt.started).total_seconds(), 3),
        "rows": receipt.rows.by_result,
        "quarantine_share": round(receipt.quarantine_share, 6),
        "quarantined": dict(receipt.quarantine.by_code),
        "outputs": {name: output.rows for name, output in receipt.outputs.items()},
        "undeclared": sum(receipt.undeclared.values()),
    }


def _describe_run(job: Pipeline, output: Location, context: RunContext, run_id: str) -> RunDescription:
    namespace = os.environ.get("OPENLINEAGE_NAMESPACE") or "minimize"
    return RunDescription(
        run_id=run_id, kind=context.kind, engine=context.engine, job=job, output=output, namespace=namespace
    )


log = logging.getLogger("minimize")


def no_progress(done_count: int, total: int) -> None:
    """A progress callback that does nothing."""


@dataclass(frozen=True, slots=True)
class RunResult(JsonResult):
    """Result of a run: its receipt, the dates that it skipped, its pipeline, and its output."""

    receipt: Receipt = field(metadata=json_member(merge=True))
    skipped: tuple[SkippedDate, ...] = field(metadata=json_member("failures", omit_empty=True))
    pipeline: Pipeline
    output: Location
    pending: bool = False
    """Whether only pending dates were run."""
    idle_exit_code: int = 0
    """The exit code if there was nothing to do."""
    json_names = "receipt skipped"

    @property
    def is_published(self) -> bool:
        """Whether the run published anything."""
        return self.receipt.sequence != UNPUBLISHED_SEQUENCE

    @property
    def exit_code(self) -> int:
        """The exit code of `minimize run`."""
        if not self.is_published and not unfinished_parts(self.receipt):
            return self.idle_exit_code
        return exit_code(self.receipt, self.pipeline, self.skipped, pending=self.pending)

    @property
    def log_messages(self) -> list[LogMessage]:
        """Errors about too much quarantine and unfinished parts."""
        return run_log_messages([(self.receipt, self.pipeline)])

    def lines(self) -> Iterator[Line]:
        """The summary of the receipt, and the folders of the results."""
        if not self.is_published:
            dates_text = count_noun(len(self.skipped), "date")
            yield f"nothing was published: {dates_text} skipped" if self.skipped else "nothing to do"
            return
        receipt = self.receipt
        yield receipt
        yield f"results in {self.output if isinstance(self.output, ObjectPath) else self.output.resolve()}"
        for name in (*receipt.outputs, *(["quarantine"] if receipt.quarantine.files else [])):
            yield f"  {name}/"
        yield f"  runs/{receipt.run_id}/receipt.json, columns.md"


@redact_errors
def run(
    pipeline: Pipeline | PathText,
    *,
    date: date | str | None = None,
    since: date | str | None = None,
    until: date | str | None = None,
    pending: bool = False,
    at: datetime | str | None = None,
    engine: str = "local",
    input: PathText | None = None,
    settings: Any = None,
    output: LocationLike | None = None,
    keys: Keyring | PathText | None = None,
    ledger: PathText | None = None,
    progress: ProgressCallback | None = None,
    lineage: PathText | None = None,
    metrics: PathText | None = None,
    allow_shrink: bool = False,
    region: str | None = None,
    allow: Collection[str] = (),
) -> Receipt:
    """Runs a pipeline: reads, gates, transforms, aggregates, publishes.

    Either all files of a run are published, or none. A later run of the same date replaces its files.

    Args:
        pipeline: A folder, a pipeline.yaml or a loaded Pipeline.
        date: The batch date, as text (YYYY-MM-DD) or date. The default is all dates with input.
        since: The first batch date of a span.
        until: The last batch date of a span.
        pending: Whether to run only those of the dates whose input has changed since their last receipt.
        at: The time of the run, with a time zone, as text (ISO 8601) or datetime (default: now). It decides on settings,
            retention and ages.
        engine: `local` or `spark`. The results are the same.
        input: The path of other input than the pipeline's source.
        settings: Other collection settings than the pipeline's: a path, a table or a data frame.
        output: Another output folder than the pipeline's.
        keys: A keyring or its path (default: `MINIMIZE_KEYS`, else that of the configuration).
        ledger: The path or URL of the ledger (default: `MINIMIZE_LEDGER`, else that of the configuration).
        progress: A function that is called with the number of files read and the number of all files.
        lineage: A file for OpenLineage events; `off` for none.
        metrics: A file or folder for Prometheus metrics; `off` for none.
        allow_shrink: Whether to publish a date that has far fewer rows than at its last receipt. By default, it is skipped.
        region: The region whose rows are written. Required if regions are configured.
        allow: The codes of lint errors that are accepted. The receipt names those that lint finds.

    Returns:
        The signed `Receipt`. Its `skipped` names the dates that were skipped, for example because a file cannot be read; the log
        has the reasons. If there was nothing to do, nothing is published, and the receipt has the sequence 0.

    Raises:
        PolicyError: A file has faults, or lint finds an error that `allow` does not name.
        SchemaError: The source and the policy do not fit together.
        KeyringError: The keyring is missing, or lacks a key.
        OutputError: The output folder cannot be used.
        LedgerError: The ledger cannot be used, or another run is writing to the output.
        RefusedError: The policy, a consent or a bound on disclosure risk does not permit the run.
        SourceError: Files cannot be read, and no other date is left.
        CheckFailed: All dates have far fewer rows than before.
        StoppedError: Too many records are in quarantine (`abort_above`). Nothing was published.

    Example:
        In the folder that `minimize sample demo --out demo` makes:

        >>> import minimize
        >>> receipt = minimize.run("pipelines/device_telemetry", date=day)
        >>> receipt.dates == (day,), receipt.rows.read == receipt.rows.written + receipt.rows.gated + receipt.rows.quarantined
        (True, True)
    """
    workspace = Workspace(ledger, output, pipeline, keys, region=region)
    selection = DateSelection.from_options(date, since, until, pending=pending)
    execution = Execution(engine, progress or no_progress, lineage, metrics, allow_shrink, allow)
    return run_dates(workspace, RunRequest(selection, at, input, settings), execution).receipt


@dataclass(frozen=True, slots=True)
class Execution:
    """How a run is executed."""

    engine: str = "local"
    progress: ProgressCallback = no_progress
    lineage: PathText | None = None
    """Where lineage events are written, in place of the configured destination."""
    metrics: PathText | None = None
    """Where metrics are written, in place of the configured destination."""
    allow_shrink: bool = False
    """Whether the shrink guard is off."""
    allow: Collection[str] = ()
    """The codes of the lint errors that are accepted."""

    def context(self, workspace: Workspace, kind: ReceiptKind, **details: Any) -> RunContext:
        """The circumstances of a run that begins now. Takes further ones. Raises ConfigurationError."""
        job = workspace.job
        return RunContext(
            kind=kind,
            engine=check_engine(self.engine),
            started=workspace.clock(),
            progress=self.progress,
            places=find_destinations(job.config, workspace.target, job.run_name, self.lineage, self.metrics),
            allow_shrink=self.allow_shrink,
            clock=workspace.clock,
            **details,
        )


LOCAL_EXECUTION: Final = Execution()


def run_dates(workspace: Workspace, request: RunRequest, execution: Execution) -> RunResult:
    """Runs the selected dates. Raises the errors of `run`."""
    allowed = check_allowed_codes(execution.allow)
    context = execution.context(workspace, "run")
    with observe_refusal(workspace, context):
        workspace.check_target()
        check_erasures_known(workspace)
        resolved = resolve_run(workspace, request)
        if resolved.is_empty:
            warn_of_older_copy(workspace)
        else:
            check_approval(workspace.job)
            context = replace(context, allowed=check_lint_errors(workspace.job, allowed))
    result, skipped = attempt_run(resolved, context)
    return result or _empty_result(resolved, context, skipped)


@dataclass(frozen=True, slots=True)
class RegionalRuns:
    """Results of the runs of all regions, by region, and the errors of the regions that could not be run."""

    runs: Mapping[str, RunResult]
    errors: Mapping[str, MinimizeError]
    idle_exit_code: int = 0
    """The exit code if there was nothing to do."""

    @property
    def exit_code(self) -> int:
        """The exit code of `minimize run`: the first of 2, 3, 1, 4 that applies to a region."""
        codes = [each.exit_code for each in self.runs.values()] + [each.exit_code for each in self.errors.values()]
        is_idle = not any(codes) and not any(each.is_published for each in self.runs.values())
        return self.idle_exit_code if is_idle else worst_exit_code(codes)

    @property
    def log_messages(self) -> list[LogMessage]:
        """The messages of the runs, and the errors."""
        failed = [
            LogMessage(error.code, f"region {name}: {error}", logging.ERROR) for name, error in self.errors.items()
        ]
        return [*(message for result in self.runs.values() for message in result.log_messages), *failed]

    def to_json(self) -> dict[str, Any]:
        """The result or error of each region."""
        results = {name: each.to_json() for name, each in self.runs.items()}
        return {"regions": results | {name: error.to_json() for name, error in self.errors.items()}}

    def lines(self) -> Iterator[Line]:
        """The results, region by region."""
        for name, result in self.runs.items():
            yield f"region {name}"
            yield from result.lines()
        yield from (f"region {name}: not run" for name in self.errors)


def permitted_regions(workspace: Workspace, request: RunRequest) -> Sequence[str]:
    """The regions that are run in turn for the current actor: those that are configured, unless the workspace is that of one.

    The actor needs a permission to replace the places that the pipeline names. Raises AccessDenied, and the errors of `run`.
    """
    regions = [] if workspace.region is not None else [*pipeline_regions(workspace.job)]
    is_replaced = any(each is not None for each in (request.input, request.settings, workspace.output))
    for part in [workspace.in_region(each) for each in regions] or [workspace]:
        if is_replaced or not is_made_by(part.target, part.job):
            require_override(part, request)
    return regions


def run_regions(workspace: Workspace, names: Sequence[str], request: RunRequest, execution: Execution) -> RegionalRuns:
    """Runs the selected dates for each region in turn.

    A region that cannot be run does not stop the others. Raises the errors of `run`, and the error of the first region if no
    region can be run.
    """
    if workspace.output is not None:
        raise ConfigurationError("one output cannot contain several regions", hint="Pass --region with --output.")
    runs: dict[str, RunResult] = {}
    errors: dict[str, MinimizeError] = {}
    for name in names:
        try:
            runs[name] = run_dates(workspace.in_region(name), request, execution)
        except MinimizeError as error:
            errors[name] = error
    if not runs:
        raise next(iter(errors.values()))
    return RegionalRuns(runs, errors)


def run_resolved(resolved: ResolvedRun, context: RunContext) -> Receipt:
    """Runs a resolved run. Returns and raises the same as `run`."""
    result, skipped = attempt_run(resolved, context)
    return (result or _empty_result(resolved, context, skipped)).receipt


def _empty_result(resolved: ResolvedRun, context: RunContext, skipped: tuple[SkippedDate, ...]) -> RunResult:
    """The result of a run that skipped all of its dates. Raises their error, unless pending dates may remain pending."""
    if not resolved.pending or not _may_be_pending(skipped):
        raise error_for(skipped)
    return _result(empty_receipt(replace(resolved, sources={}, skipped=skipped), context), skipped, resolved)


def _result(receipt: Receipt, skipped: tuple[SkippedDate, ...], resolved: ResolvedRun) -> RunResult:
    return RunResult(receipt, skipped, resolved.pipeline, resolved.output, resolved.pending)


def attempt_run(resolved: ResolvedRun, context: RunContext) -> tuple[RunResult | None, tuple[SkippedDate, ...]]:
    """Runs a resolved run. If no date is left, returns the skipped dates with their reasons instead of a result.

    Raises errors that concern more than single dates.
    """
    if resolved.is_empty:
        undo_abandoned_runs(resolved.output)
        receipt, observer = empty_receipt(resolved, context), create_observer(resolved, context, "")
        (observer.record_incomplete if resolved.skipped else observer.record_idle)(receipt.finished)
        return _result(receipt, resolved.skipped, resolved), ()
    all_skipped: list[SkippedDate] = []
    try:
        with (
            RedactedErrors(),
            run_session(resolved.workspace, context, fence=resolved.fence) as session,
            open_output(resolved.output, source=resolved.fence, lease=session.head) as folder,
        ):
            record_missed_receipts(session, folder.receipts())
            StoredErasures(resolved.output, resolved.keys).check(folder.receipts())
            check_same_pipeline(resolved, folder)
            check_same_function(resolved.pipeline, folder.receipts())
            resolved = _with_time_under_lease(resolved, folder.receipts(), session.ledger.now)
            resolved = _without_skipped(resolved, dates_with_later_receipt(resolved, folder.receipts()), all_skipped)
            if resolved.deciding_function is not None:
                warn_without_consents(resolved.subject_acts.consents, resolved.deciding_function)
            with (
                observe_run(create_observer(resolved, context, session.run_id), context.started) as observer,
                RedactedErrors(),
            ):
                resolved, result = _with_first_read_times(resolved, folder), None
                while result is None:
                    late = LateAggregates.from_receipts(resolved, folder.receipts())
                    with folder.begin(session.run_id) as staging:
                        others = _other_releases(resolved, session, folder.receipts())
                        processed = process_dates(
                            resolved,
                            staging,
                            ENGINES[context.engine],
                            late,
                            context.progress,
                            others,
                            is_removal=context.kind not in READING_KINDS,
                        )
                        result, unpublished = _publish_dates(resolved, processed, late, staging, context, session)
                    resolved = _without_unpublished(resolved, unpublished, all_skipped)
            audit_created_keys(session, resolved.keys, context.started)
            observer.record_published(result.receipt)
            if context.engine == "local":  # other engines look settings up in other processes
                warn_of_unmatched_subjects(resolved.settings, resolved.pipeline.policy, resolved.at)
            if resolved.deciding_function is not None:
                warn_of_gated_rows(resolved.subject_acts.consents, resolved.deciding_function, result.receipt)
            return result, ()
    except MinimizeError:
        if not all_skipped:
            raise
    return None, tuple(all_skipped)


def _with_time_under_lease(resolved: ResolvedRun, chain: Sequence[Receipt], now: datetime) -> ResolvedRun:
    """The run as of a time that is not before the receipts of its dates, if the clock gave its time."""
    if resolved.at_given:
        return resolved
    at = later_time(resolved.at, chain, [date_text(when) for when in resolved.sources], now)
    return replace(resolved, at=at, now=max(at, resolved.now))


def _may_be_pending(skipped: Sequence[SkippedDate]) -> bool:
    """Whether a pending run that skips all of its dates exits with 1 instead of raising an error."""
    codes = {each.exit_code_of(True) for each in skipped}
    return codes == {1} and not all(each.reason == "stopped" for each in skipped)


def check_engine(name: str) -> str:
    """The engine's name, if there is one. Raises ConfigurationError."""
    if name not in ENGINES:
        raise ConfigurationError(f"unknown engine {name}", hint=f"Choose {' or '.join(ENGINES)}.")
    return name


def _with_first_read_times(resolved: ResolvedRun, folder: OpenOutput) -> ResolvedRun:
    """The run with the time when each file was first read, if there are erasures."""
    return (
        replace(resolved, first_read=first_read_times(folder.receipts(), resolved.shown))
        if resolved.subject_acts.erased.events
        else resolved
    )


def _without_skipped(
    resolved: ResolvedRun, skipped: Sequence[SkippedDate], all_skipped: list[SkippedDate]
) -> ResolvedRun:
    """The run without some dates. If no other is left, adds all that are skipped to `all_skipped`, and raises their error."""
    remaining = resolved.without_dates(skipped)
    if not remaining.sources:
        all_skipped.extend(remaining.skipped)
        raise error_for(all_skipped)
    return remaining


@dataclass(frozen=True, slots=True)
class UnpublishedDates:
    """Dates that must be skipped: then nothing is published. `stopped` are those with too much in quarantine, or whose records
    miss the bound on disclosure risk."""

    skipped: Sequence[SkippedDate] = ()
    stopped: Sequence[SkippedDate] = ()


def _publish_dates(
    resolved: ResolvedRun,
    processed: ProcessedDates,
    late: LateAggregates,
    staging: Staging,
    context: RunContext,
    session: RunSession,
) -> tuple[RunResult | None, UnpublishedDates]:
    """Publishes all dates, or none if some must be skipped. These are known only after all dates were processed; then the
    others are processed again."""
    checkpoint("run.written", session)
    is_bound = context.kind in READING_KINDS  # a retraction removes data, whatever share is in quarantine
    stopped = check_quarantine_limit(resolved.pipeline, processed.outcomes) if is_bound else []
    accepted_outcomes = {
        when: outcome for when, outcome in processed.outcomes.items() if when not in {bad.day for bad in stopped}
    }
    missed = check_risk(accepted_outcomes) if is_bound else []
    skipped = [
        *processed.unreadable,
        *stopped,
        *missed,
        *_check_shrink_guard(resolved, accepted_outcomes, staging, context, session),
    ]
    if skipped:
        return None, UnpublishedDates(skipped, [*stopped, *missed])
    if is_bound:
        check_risk_of_all_dates(
            DatesInForce(resolved.plan, staging, processed.files.get("records", ()), resolved.kms).missed()
        )
    folder, manifest = (
        staging.output,
        None if resolved.deciding_function is None else resolved.deciding_function.party.recipient,
    )
    attachments = receipt_attachments(resolved.pipeline, resolved.plan, context.backfill, manifest)
    replaced = staging.current_files()
    attachments |= RemovalInventory.for_files(
        folder.folder, folder.receipts(), replaced, resolved.keys, resolved.kms
    ).attachments()
    receipt = build_receipt(resolved, staging, processed.outcomes, late, processed.files, attachments, context)
    receipt = state_quarantine_limit(receipt, resolved.pipeline)
    signed = _sign_and_publish(receipt, resolved, staging, attachments, session)
    return _result(signed, resolved.skipped, resolved), UnpublishedDates()


def _without_unpublished(resolved: ResolvedRun, dates: UnpublishedDates, all_skipped: list[SkippedDate]) -> ResolvedRun:
    """The run without dates that were not published. Raises their error if one has too much in quarantine, unless the dates are
    pending ones."""
    if dates.stopped and not resolved.pending:
        all_skipped.extend(dates.skipped)
        raise error_for(dates.skipped)
    return _without_skipped(resolved, dates.skipped, all_skipped) if dates.skipped else resolved


def _check_shrink_guard(
    resolved: ResolvedRun,
    outcomes: Mapping[BatchDate, BatchOutcome],
    staging: Staging,
    context: RunContext,
    session: RunSession,
) -> list[SkippedDate]:
    """The dates that the shrink guard skips. It applies to runs and replays."""
    if context.allow_shrink or context.kind not in READING_KINDS:
        return []
    clock = reference_clock(session.ledger, staging.output.folder, context.started)
    return check_shrink(resolved, outcomes, staging.output.receipts(), clock)


def _sign_and_publish(
    receipt: Receipt, resolved: ResolvedRun, staging: Staging, attachments: Mapping[str, bytes], session: RunSession
) -> Receipt:
    check_acts_unchanged(session.ledger, resolved.pipeline, resolved.subject_acts)
    erasures = StoredErasures(resolved.output, resolved.keys).store(
        resolved.subject_acts.erased.rows, session.ledger.now
    )
    shown, sealed = seal_counts(replace(receipt, audit=session.head(), erasures=erasures), resolved.keys)
    signed = shown.with_signature(resolved.keys)
    staging.publish(signed, {**attachments, **sealed})
    record_published(session, signed)
    data = log_figures(signed)
    log.info("published %d rows", signed.published_rows, extra={"code": "I001", "run_id": signed.run_id, "data": data})
    return signed


def _other_releases(resolved: ResolvedRun, session: RunSession, chain: Sequence[Receipt]) -> dict[str, OtherReleases]:
    """The releases of the source by other outputs, and by runs whose receipts the output lacks, by date."""
    source = next((each.definition.source for each in resolved.plan.aggregates.values()), None)
    if source is None:
        return {}
    output, pipeline, runs = session.run.output, session.run.pipeline, {each.run_id for each in chain}
    return session.ledger.read(partial(other_releases, source=source, output=output, pipeline=pipeline, runs=runs))
