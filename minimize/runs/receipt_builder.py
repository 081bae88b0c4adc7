"""Build the receipt of a run from the resolved run, the staged files and the counts of the engine."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Final

from minimize.engines.base import BatchOutcome
from minimize.keys.keyring import SUBJECT_KEY
from minimize.observability.destinations import Destinations
from minimize.output.publish import Staging
from minimize.output.sink import index_files, master_keys_of, output_files
from minimize.plan import Plan
from minimize.plan.model import FieldPlan
from minimize.plan.request import count_undeclared, field_releases
from minimize.policy.approval import policy_reference
from minimize.policy.pipeline import Pipeline
from minimize.receipts import (
    DecidingFunctionReceipt,
    DigestRef,
    FieldReceipt,
    GatedRows,
    InputFile,
    QuarantineEntry,
    Receipt,
    ReceiptKind,
    ReceiptRowCounts,
    RegionRef,
    RiskEntry,
    WrittenOutput,
    files_in_force,
    new_run_id,
    sha256_text,
)
from minimize.records import BatchCounts, FieldCounts, FileRef, WrittenFile, merge_undeclared
from minimize.runs.batch_dates import BatchDate, date_text, last_inputs
from minimize.runs.execution import ProgressCallback
from minimize.runs.late_aggregates import LateAggregates
from minimize.runs.releases import noise_entry, of_dates, older_tables
from minimize.runs.resolve import ResolvedRun
from minimize.stages.risk_bound import RiskFigures
from minimize.text import count_noun, installed_version
from minimize.times import Clock, utc_now

if TYPE_CHECKING:
    from minimize.runs.backfill import Backfill

VERSIONED_PACKAGES = ("minimize", "pyarrow", "numpy")


def row_counts(plan: Plan, outcomes: Iterable[BatchOutcome], late: LateAggregates) -> ReceiptRowCounts:
    """Counts of the rows read, by result. They follow the records output; without one, the first aggregate.

    If that aggregate is late, a row counts as written if it belongs to an event day of the aggregate, published or not.
    """
    batch_outcomes = list(outcomes)
    counts = total_counts(batch_outcomes)
    read = sum(outcome.read for outcome in batch_outcomes)
    quarantined = sum(outcome.rejects.total() for outcome in batch_outcomes)
    gated = sum(counts.gated.values())
    reached = read - quarantined - gated - counts.deduplicated
    if "records" in plan.outputs:
        written, suppressed = sum(outcome.written for outcome in batch_outcomes), counts.suppressed
    else:
        suppressed = _suppressed_by_first_aggregate(plan, batch_outcomes, late)
        written = reached - suppressed
    return ReceiptRowCounts(
        read=read,
        written=written,
        gated=gated,
        quarantined=quarantined,
        suppressed=suppressed,
        deduplicated=counts.deduplicated,
    )


def risk_entry(figures_by_date: Mapping[str, RiskFigures]) -> RiskEntry | None:
    """The measured risk of the records, from that of each batch date; None if the pipeline does not bound it."""
    by_date = {on: _entry_of_date(figures) for on, figures in figures_by_date.items()}
    if len(by_date) < 2:
        return next(iter(by_date.values()), None)
    entries = list(by_date.values())
    return RiskEntry(
        k=min((entry.k for entry in entries if entry.k is not None), default=None),
        l=min((entry.l for entry in entries if entry.l is not None), default=None),
        t=max((entry.t for entry in entries if entry.t is not None), default=None),
        suppressed=sum(entry.suppressed for entry in entries),
        loss=max((entry.loss for entry in entries if entry.loss is not None), default=None),
        proven=None if all(entry.proven is None for entry in entries) else all(entry.proven for entry in entries),
        dates=by_date,
    )


def _entry_of_date(figures: RiskFigures) -> RiskEntry:
    measures = dict(figures.measures)
    k, l_, t = (measures.pop(name, None) for name in ("k", "l", "t"))
    return RiskEntry(
        k=None if k is None else int(k),
        l=l_,
        t=t,
        measures={name: value for name, value in measures.items() if value is not None} or None,
        suppressed=figures.suppressed,
        levels=figures.levels,
        loss=figures.loss,
        lower_bound=figures.lower_bound,
        proven=figures.proven,
    )


def total_counts(outcomes: Iterable[BatchOutcome]) -> BatchCounts:
    """The counts of all stages over all batch dates."""
    return sum((outcome.counts for outcome in outcomes), BatchCounts())


def gate_counts(counts: BatchCounts) -> GatedRows:
    """Counts of gated rows, by reason."""
    return GatedRows.from_counts(counts.gated)


def field_receipts(plan: Plan, counts: BatchCounts) -> dict[str, FieldReceipt]:
    """The treatment of each field of the policy, with counts."""
    declared = {key: field for key, field in plan.fields.items() if key in plan.policy.fields}
    released = field_releases(plan)
    return {
        key: _field_receipt(field, counts.fields.get(key), released[key].outputs) for key, field in declared.items()
    }


def input_receipts(resolved: ResolvedRun, outcomes: Mapping[BatchDate, BatchOutcome]) -> tuple[InputFile, ...]:
    """The files that were read."""
    several = len(resolved.sources) > 1
    return tuple(
        InputFile(part.name, part.digest, outcomes[day].rows_by_part[part.name], date_text(day) if several else None)
        for day, source in resolved.sources.items()
        for part in source.parts
    )


def undeclared_paths(plan: Plan, outcomes: Iterable[BatchOutcome]) -> dict[str, int]:
    """Undeclared paths, counted. Names are shown only if they cannot be values."""
    merged = merge_undeclared(outcome.undeclared for outcome in outcomes)
    return count_undeclared(merged, [field.pointer for field in plan.fields.values()])


def output_receipts(
    plan: Plan, outcomes: Mapping[BatchDate, BatchOutcome], files: Mapping[str, Sequence[WrittenFile]]
) -> dict[str, WrittenOutput]:
    """The written files by output name."""
    return {name: _output_receipt(plan, name, outcomes, files.get(name, ())) for name in plan.outputs}


def quarantine_receipt(outcomes: Iterable[BatchOutcome], files: Iterable[WrittenFile]) -> QuarantineEntry:
    """The quarantined records, by code."""
    by_code: Counter[str] = Counter()
    for outcome in outcomes:
        by_code.update(outcome.rejects)
    return QuarantineEntry(by_code.total(), dict(sorted(by_code.items())), output_files(files))


def key_ids(resolved: ResolvedRun, files: Mapping[str, Sequence[WrittenFile]]) -> tuple[str, ...]:
    """The keys of the run, as `name/version`: those of techniques, then those that files are encrypted under."""
    techniques = (f"{name}/{resolved.keys.version_of(name)}" for name in sorted(resolved.plan.keys))
    return (*techniques, *sorted(master_keys_of(file for written in files.values() for file in written)))


def key_checks(resolved: ResolvedRun) -> dict[str, str]:
    """The check values of the keys of techniques, and of the key of subjects."""
    keys = resolved.keys
    versions = [(name, keys.version_of(name)) for name in sorted({*resolved.plan.keys, SUBJECT_KEY})]
    return {f"{name}/{version}": keys.check_value(name, version) for name, version in versions}


def software_versions() -> dict[str, str]:
    """The versions of the software that determines the bytes of the output."""
    return {name: installed_version(name) for name in VERSIONED_PACKAGES}


def _field_receipt(field: FieldPlan, counts: FieldCounts | None, outputs: tuple[str, ...]) -> FieldReceipt:
    did = field.technique[0] if len(field.technique) == 1 else field.technique
    if field.gives is None and field.measured is None:
        return FieldReceipt(did, None, outputs=outputs)
    counts = counts or FieldCounts()
    return FieldReceipt(
        did=did,
        values=counts.values,
        changed=counts.changed,
        gated=counts.gated,
        unparsable=counts.unparsable,
        dropped=counts.dropped,
        outputs=outputs,
    )


def _output_receipt(
    plan: Plan, name: str, outcomes: Mapping[BatchDate, BatchOutcome], files: Sequence[WrittenFile]
) -> WrittenOutput:
    written = output_files(files)
    count = sum(file.rows for file in written)
    if name == "records":
        return WrittenOutput(plan.outputs[name].category, count, files=written, index=index_files(files))
    results = [outcome.aggregates[name] for outcome in outcomes.values() if name in outcome.aggregates]
    definition = plan.aggregates[name].definition
    releases = {date_text(day) or "": each.releases[name] for day, each in outcomes.items() if name in each.releases}
    return WrittenOutput(
        plan.outputs[name].category,
        count,
        groups_suppressed=sum(result.groups_suppressed for result in results),
        rows_suppressed=sum(result.rows_suppressed for result in results),
        groups_past=sum(result.groups_past for result in results) or None,
        rows_past=sum(result.rows_past for result in results) or None,
        noise=noise_entry(definition),
        exact_of=definition.source if definition.noise is None else None,
        releases=releases or None,
        too_late=0,
        files=written,
    )


def _suppressed_by_first_aggregate(plan: Plan, outcomes: Sequence[BatchOutcome], late: LateAggregates) -> int:
    first = next(iter(plan.aggregates), None)
    if first is not None and plan.aggregates[first].late is not None:
        return late.outside(first)
    return 0 if first is None else sum(outcome.aggregates[first].records_lost for outcome in outcomes)


log = logging.getLogger("minimize")
UNPUBLISHED_SEQUENCE: Final = 0
"""The sequence of a receipt that was not published because there was no input."""


@dataclass(frozen=True, slots=True)
class RunContext:
    """Circumstances of a run: its kind, engine and start, the progress callback, the destinations of lineage and metrics, its
    backfill, whether the shrink guard is off, the codes of the lint errors that were allowed, and its clock."""

    kind: ReceiptKind
    engine: str
    started: datetime
    progress: ProgressCallback
    places: Destinations
    backfill: Backfill | None = None
    allow_shrink: bool = False
    allowed: tuple[str, ...] = ()
    clock: Clock = utc_now


def build_receipt(
    resolved: ResolvedRun,
    staging: Staging,
    outcomes: Mapping[BatchDate, BatchOutcome],
    late: LateAggregates,
    files: Mapping[str, Sequence[WrittenFile]],
    attachments: Mapping[str, bytes],
    context: RunContext,
) -> Receipt:
    """The unsigned receipt of the staged files."""
    chain = staging.output.receipts()
    plan, batch_outcomes = resolved.plan, list(outcomes.values())
    counts = total_counts(batch_outcomes)
    inputs = input_receipts(resolved, outcomes)
    _log_lost_files(resolved, chain, inputs, outcomes)
    receipt = replace(
        _receipt_head(resolved, context, staging.run_id, chain[-1].sequence + 1 if chain else 1),
        previous=chain[-1].digest if chain else None,
        dates=tuple(day.isoformat() for day in outcomes if day is not None),
        settings=None if resolved.settings is None else DigestRef(resolved.settings.digest),
        keys=key_ids(resolved, files),
        key_checks=key_checks(resolved),
        versions=software_versions(),
        inputs=inputs,
        rows=row_counts(plan, batch_outcomes, late),
        gated_by=gate_counts(counts),
        fields=field_receipts(plan, counts),
        undeclared=undeclared_paths(plan, batch_outcomes),
        outputs=late.account(output_receipts(plan, outcomes, files)),
        replaces=_replaced_files(chain, staging),
        quarantine=quarantine_receipt(batch_outcomes, files.get("quarantine", ())),
        risk=risk_entry(
            {date_text(day) or "": each.risk.figures for day, each in outcomes.items() if each.risk is not None}
        ),
        stays=_unchanged_tables(plan, outcomes, files_in_force(chain)),
        backfill=None if context.backfill is None else context.backfill.ref,
        origin=resolved.origin,
        received=_deciding_function(resolved, sends=True),
        only_for=_deciding_function(resolved, sends=False),
        region=_region_of(resolved.pipeline),
        files={name: sha256_text(content) for name, content in attachments.items()},
    )
    _log_older_tables(resolved, [*chain, receipt])
    return receipt


def _deciding_function(resolved: ResolvedRun, *, sends: bool) -> DecidingFunctionReceipt | None:
    periods, deciding = resolved.consents(resolved.at), resolved.deciding_function
    return None if deciding is None or periods is None or deciding.sends != sends else deciding.receipt(periods)


def _region_of(job: Pipeline) -> RegionRef | None:
    return None if job.region is None else RegionRef(job.region.name, job.region.digest)


def empty_receipt(resolved: ResolvedRun, context: RunContext) -> Receipt:
    """The receipt of a run without input; it is not published."""
    if not resolved.skipped:
        log.warning("%s", resolved.input_description, extra={"code": "I002"})
    return _receipt_head(resolved, context, new_run_id(context.started), UNPUBLISHED_SEQUENCE)


def _receipt_head(resolved: ResolvedRun, context: RunContext, run_id: str, sequence: int) -> Receipt:
    """The parts of the receipt that are known before any data is read."""
    return Receipt(
        kind=context.kind,
        run_id=run_id,
        sequence=sequence,
        pipeline=resolved.pipeline.pipeline,
        purpose=resolved.pipeline.purpose,
        engine=context.engine,
        at=resolved.at,
        at_given=resolved.at_given,
        started=context.started,
        finished=max(context.started, context.clock()),  # a clock may be set back
        policy=policy_reference(resolved.pipeline),
        allowed=context.allowed or None,
        plan=DigestRef(resolved.plan.digest),
        skipped=_log_skipped_dates(resolved),
        from_="source" if context.kind == "retract" else None,
    )


def _log_skipped_dates(resolved: ResolvedRun) -> dict[str, str] | None:
    """Logs the skipped dates, and returns them by reason."""
    for skipped_date in resolved.skipped:
        skipped_date.log_message(logging.WARNING).log()
    return {each.date: each.reason for each in resolved.skipped} or None


def _log_lost_files(
    resolved: ResolvedRun,
    chain: Sequence[Receipt],
    inputs: Sequence[InputFile],
    outcomes: Mapping[BatchDate, BatchOutcome],
) -> None:
    """Logs which of these dates were earlier read from files that are now missing."""
    before, read = last_inputs(chain, resolved.shown), {each.path for each in inputs}
    for when in outcomes:
        lost = len(before.get(when, {}).keys() - read)
        if lost:
            files = f"{count_noun(lost, 'file')} of its last run {'is' if lost == 1 else 'are'} missing"
            log.warning("%s: %s", date_text(when) or "the batch", files, extra={"code": "W013"})


def _log_older_tables(resolved: ResolvedRun, chain: Sequence[Receipt]) -> None:
    """Logs the exact tables that this run could not publish again although it read other files. Those with noise are logged
    with their releases."""
    kept = chain[-1].stays or {}
    for name, dates in older_tables(chain).items():
        those = [date for date in dates if date in kept.get(name, ())]
        if those and resolved.plan.aggregates[name].definition.noise is None:
            message = "%s%s: exact statistics were published once, and newer data are not in them; `late:` waits for late rows"
            log.warning(message, name, of_dates(those), extra={"code": "W033"})


def _unchanged_tables(
    plan: Plan, outcomes: Mapping[BatchDate, BatchOutcome], in_force: Mapping[str, object]
) -> dict[str, tuple[str, ...]] | None:
    """Per aggregate, the dates whose table in force does not change. Roll-ups stay with their table."""
    bases = {name: each.definition.rolls_up or name for name, each in plan.aggregates.items()}
    kept = {name for outcome in outcomes.values() for name in outcome.unchanged}
    names = sorted(name for name, base in bases.items() if base in kept and (base == name or in_force.get(name)))
    dates = {
        name: [str(date_text(day)) for day, outcome in outcomes.items() if bases[name] in outcome.unchanged]
        for name in names
    }
    return {name: tuple(sorted(days)) for name, days in dates.items()} or None


def _replaced_files(chain: Sequence[Receipt], staging: Staging) -> tuple[FileRef, ...]:
    """The files in the partitions of this run, with their digests according to the receipts."""
    known = {path: digest for receipt in chain for path, digest in _receipt_files(receipt)}
    return tuple(FileRef(path, known[path]) for path in staging.current_files())


def _receipt_files(receipt: Receipt) -> Iterator[tuple[str, str]]:
    for output in receipt.outputs.values():
        yield from ((file.path, file.digest) for file in output.files)
    yield from ((file.path, file.digest) for file in receipt.quarantine.files)
