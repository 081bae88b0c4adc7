"""Recomputation of aggregates after a removal of records: of one batch date, or of a late event day."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from functools import cached_property, partial
from typing import Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from minimize.aggregates.definition import AggregateDefinition
from minimize.aggregates.tally import AggregateResult
from minimize.arrow.dictionaries import Bools, decode_dictionary
from minimize.arrow.nested import leaf
from minimize.arrow.pointers import Pointer
from minimize.engines import local
from minimize.engines.base import BatchOutcome, DiscardingQuarantine, Job, derive_sketch_key
from minimize.governance.event_times import Moments
from minimize.governance.published_outputs import PolicyCache, WritingRun, receipts_by_path
from minimize.governance.retention.affected_subjects import AffectedSubjects, EventReach, recognize_tokens
from minimize.governance.retention.identifier_forms import AS_RECEIVED, LookupColumn
from minimize.governance.retention.lifecycle_events import RetentionEvent
from minimize.governance.retention.removal_decision import RewriteRequest
from minimize.governance.retention.removal_plan import RemovalPlan
from minimize.governance.retention.rerunnable_dates import find_source
from minimize.governance.rewrite_receipt import PlannedFile, RecomputedAggregate
from minimize.identifiers import canonical_text
from minimize.keys import Keyring
from minimize.output.folder import PIPELINE_FILE, RECORDS, batch_date_of
from minimize.plan import Plan
from minimize.plan.bind import examine
from minimize.policy.fields import treatments_of
from minimize.policy.model import Policy
from minimize.policy.pipeline import Pipeline
from minimize.receipts import Receipt, ReceiptFile, files_in_force
from minimize.runs.batch_dates import parse_batch_date
from minimize.runs.disclosure_guard import PublishedReleases, guard_aggregates
from minimize.runs.inputs import open_sources
from minimize.runs.resolve import ResolvedRun
from minimize.settings.columns import column_microseconds
from minimize.sources.base import Chunk, Source, SourcePart
from minimize.sources.files import WrappingPart
from minimize.stores import PathText
from minimize.techniques.periods import period_starts

RecordFilter = Callable[[pa.RecordBatch], Bools]
Recount = tuple[Job, AggregateResult]
"""The figures of an aggregate without the removed records, and the run that published it."""


class EventReachByDate(Protocol):
    """The last event time that an event reaches in the records of a batch date, in microseconds since 1970."""

    def __call__(self, event: RetentionEvent, on: str | None) -> int:
        """The last instant."""
        ...


@dataclass(frozen=True, slots=True)
class RemovalContext:
    """Inputs of a recomputation before an expiry.

    events        all past events
    event_reach   the last event time that an event reaches in the records of a batch date
    records_left  the number of records of a batch date that remain after the expiry
    """

    events: Sequence[RetentionEvent]
    event_reach: EventReachByDate
    records_left: Callable[[str | None], int]


def recount_date(
    written: WritingRun, resolved: ResolvedRun, on: str | None, names: Collection[str], removal: RemovalContext
) -> dict[str, Recount]:
    """The aggregates that can be recounted without the records that events remove.

    Takes the receipt that wrote the date, and a run that finds its source. Returns nothing if the pipeline or keys are
    different now, or if the remaining records differ from the output, because then an event is unknown here.
    """
    then = original_job(written, resolved, on)
    if then is None:
        return {}
    job, source = then
    wanted = [name for name in names if job.plan.aggregates[name].late is None]
    if not wanted:
        return {}
    until = partial(removal.event_reach, on=on)
    left = FilteredSource(source, remaining_filter(written.policy, removal.events, source, resolved.keys, until))
    outcome = local.run(replace(job, plan=only_aggregates(job, wanted)), left, None, DiscardingQuarantine())
    if accepted_records(outcome) != removal.records_left(on):
        return {}
    return {name: (job, outcome.aggregates[name]) for name in wanted}


def definition_of_today(plan: Plan, name: str, request: RewriteRequest) -> AggregateDefinition:
    """The definition of an aggregate, with its current retention."""
    found = plan.aggregates[name].definition
    retention = None if found.retention is None else found.retention.with_span(request.retention_of(name))
    return replace(found, retention=retention)


def accepted_records(outcome: BatchOutcome) -> int:
    """The number of records that passed the gates."""
    return outcome.read - outcome.rejects.total() - sum(outcome.counts.gated.values()) - outcome.counts.deduplicated


def original_job(written: WritingRun, resolved: ResolvedRun, on: str | None) -> tuple[Job, Source] | None:
    """The run that a receipt records, over the source of a date; None if the pipeline or keys are different now."""
    if written.receipt.files.get(PIPELINE_FILE) != resolved.pipeline.digest:
        return None
    job, source = _rebuild_job(written, resolved, on)
    used = {f"{name}/{resolved.keys.version_of(name)}" for name in job.plan.keys}
    return (job, source) if used <= set(written.receipt.keys) else None


def _rebuild_job(written: WritingRun, resolved: ResolvedRun, on: str | None) -> tuple[Job, Source]:
    """The original run over the same source, with its policy and settings."""
    day, receipt = parse_batch_date(on), written.receipt
    then = resolved.pipeline.model_copy(update={"policy": written.policy})
    found = replace(resolved.found, files={day: resolved.found.files[day]})
    source = open_sources(then, found, resolved.shown, resolved.subject_acts.erased.fields, at=receipt.at)[day]
    plan = examine(written.policy, source.schema, purpose=receipt.purpose, pipeline=then).require_sound()
    return Job(
        plan, receipt.at, resolved.keys, sketch_key=derive_sketch_key(resolved.keys), **resolved.job_inputs(receipt.at)
    ), source


def only_aggregates(job: Job, names: Collection[str]) -> Plan:
    """The plan reduced to these aggregates."""
    aggregates = {name: job.plan.aggregates[name] for name in names}
    return replace(job.plan, aggregates=aggregates, outputs={name: job.plan.outputs[name] for name in names})


@dataclass(frozen=True, slots=True)
class SourceColumn:
    """A column of a source, with ids as received.

    folded  the ids of the column by their case-folded form, if the policy folds case
    """

    folded: Mapping[str, frozenset[str]] | None = field(default=None, repr=False)

    @property
    def chain_names(self) -> frozenset[str]:
        """No technique was applied to its values."""
        return frozenset({AS_RECEIVED})

    @property
    def is_injective(self) -> bool:
        """Different values have different forms."""
        return True

    def forms(self, value: str, tenant: str) -> frozenset[str]:
        """The value itself; if the policy folds case, all values that differ from it only in case."""
        if self.folded is None:
            return frozenset({value})
        return self.folded.get(canonical_text(value, fold=True), frozenset({value}))

    def forms_of_all(self, pairs: Sequence[tuple[str, str]]) -> list[frozenset[str]]:
        """The forms of several values."""
        return [self.forms(*pair) for pair in pairs]


def remaining_filter(
    policy: Policy, events: Sequence[RetentionEvent], source: Source, keys: Keyring, until: EventReach
) -> RecordFilter:
    """A filter for the records of a source that remain after events, each with its last event time reached."""
    erasing = [event for event in events if event.kind != "became_personal"]
    names = {event.named_by for event in erasing} & {None, *policy.fields}
    by = {name: [each for each in erasing if each.named_by == name] for name in names}
    removed = [
        _affected_in_source(policy, name, field_events, source, keys, until) for name, field_events in by.items()
    ]

    def remaining_records(batch: pa.RecordBatch) -> Bools:
        oldest = _released_starts(policy, batch)
        concerned = [np.zeros(batch.num_rows, np.bool_), *(affected.affects(batch, oldest) for affected in removed)]
        return np.asarray(~np.logical_or.reduce(concerned), np.bool_)

    return remaining_records


def _affected_in_source(
    policy: Policy, by: str | None, events: Sequence[RetentionEvent], source: Source, keys: Keyring, until: EventReach
) -> AffectedSubjects:
    """The tenants and subjects of a source that events concern, identified by one field; None for the subject."""
    key = by or policy.subject
    tenant, subject = (
        None
        if name is None
        else LookupColumn(Pointer.parse(name), SourceColumn(_ids_by_folded_form(policy, name, source)))
        for name in (policy.tenant, key)
    )
    found = recognize_tokens(
        events, tenant, subject, lambda _: _source_batches(source), keys, folds=policy.folds_case(key)
    )
    return AffectedSubjects.for_file(events, tenant, subject, found, until)


def _ids_by_folded_form(policy: Policy, key: str, source: Source) -> Mapping[str, frozenset[str]] | None:
    """The ids of a field by their case-folded form; None if case matters."""
    if not policy.folds_case(key):
        return None
    found: dict[str, set[str]] = {}
    for batch in _source_batches(source):
        for value in pc.unique(decode_dictionary(leaf(batch, Pointer.parse(key)).values)).drop_null().to_pylist():
            found.setdefault(canonical_text(str(value), fold=True), set()).add(str(value))
    return {form: frozenset(values) for form, values in found.items()}


def _source_batches(source: Source) -> Iterator[pa.RecordBatch]:
    for part in source.parts:
        yield from (chunk.records for chunk in part.read())


def _released_starts(policy: Policy, batch: pa.RecordBatch) -> Moments:
    """The start of each record's released time unit, which decides whether it happened before an event."""
    key = str(policy.time)
    times = leaf(batch, Pointer.parse(key)).values
    for way in treatments_of(policy.fields[key]):
        forms = [step.time_form for step in way] if not isinstance(way, str) else []
        for form in forms:
            times = period_starts(times, form.unit, form.zone) if form is not None and form.unit is not None else times
    return column_microseconds(times)


@dataclass(frozen=True, slots=True)
class FilteredPart(WrappingPart):
    """A part of a source without the removed records."""

    keeps: RecordFilter = field(repr=False)

    def pieces(self) -> Sequence[SourcePart]:
        """The part's pieces, filtered."""
        return [FilteredPart(piece, self.keeps) for piece in self.part.pieces()]

    def read(self) -> Iterator[Chunk]:
        """The part's chunks, filtered."""
        for chunk in self.part.read():
            records = chunk.records.filter(pa.array(self.keeps(chunk.records)))
            yield replace(chunk, records=records, read=chunk.read - chunk.records.num_rows + records.num_rows)


@dataclass(frozen=True, slots=True)
class FilteredSource:
    """A source without the removed records."""

    source: Source = field(repr=False)
    keeps: RecordFilter = field(repr=False)

    @property
    def schema(self) -> pa.Schema:
        """The schema of the source."""
        return self.source.schema

    @property
    def parts(self) -> tuple[FilteredPart, ...]:
        """The source's parts, filtered."""
        return tuple(FilteredPart(part, self.keeps) for part in self.source.parts)

    def only(self, keys: Collection[str]) -> FilteredSource:
        """All fields, because every field may decide whom a record is about."""
        return self


SourcesByBatch = Mapping[date, Source]


@dataclass(frozen=True, slots=True)
class LateEventDay:
    """One event day of an aggregate: the run that published it, and the batches from which it was counted."""

    name: str
    day: date
    job: Job = field(repr=False)
    sources: SourcesByBatch = field(repr=False)

    def sources_without(
        self, events: Sequence[RetentionEvent], policy: Policy, keys: Keyring, until: EventReachByDate
    ) -> SourcesByBatch:
        """Its batches without the records that events remove."""
        return {
            when: FilteredSource(
                each, remaining_filter(policy, events, each, keys, partial(until, on=when.isoformat()))
            )
            for when, each in self.sources.items()
        }

    def recompute(self, sources: SourcesByBatch, left: Callable[[str | None], int]) -> AggregateResult | None:
        """The day over these batches; None if the records of a batch differ from those that remain in the output."""
        outcomes = dict(self._outcomes(replace(self.job, plan=only_aggregates(self.job, [self.name])), sources))
        if any(accepted_records(outcome) != left(when.isoformat()) for when, outcome in outcomes.items()):
            return None
        first, *others = (outcome.late[self.name].days[self.day] for outcome in outcomes.values())
        for other in others:
            first.merge(other)
        return first.settle()

    def _outcomes(self, job: Job, sources: SourcesByBatch) -> Iterator[tuple[date, BatchOutcome]]:
        waits = job.plan.aggregates[self.name].late
        assert waits is not None
        for when, source in sources.items():
            reach = {self.name: waits.event_days(when, frozenset({self.day}))}
            yield when, local.run(replace(job, event_days=reach), source, None, DiscardingQuarantine())


def recount_late_day(
    written: WritingRun, batches: Mapping[date, ResolvedRun], name: str, on: date, removal: RemovalContext
) -> Recount | None:
    """A late event day recounted without the records that events remove; None if impossible.

    Takes the receipt that published the day, and runs that find the sources of its batches.
    """
    then = {when: original_job(written, given, when.isoformat()) for when, given in batches.items()}
    found = {when: each for when, each in then.items() if each is not None}
    if len(found) < len(then):
        return None
    keys = next(iter(batches.values())).keys
    day = LateEventDay(name, on, next(iter(found.values()))[0], {when: source for when, (_, source) in found.items()})
    result = day.recompute(
        day.sources_without(removal.events, written.policy, keys, removal.event_reach), removal.records_left
    )
    return None if result is None else (day.job, result)


@dataclass(frozen=True)
class AggregateRecomputation:
    """The effect of a removal plan on the aggregates of its dates.

    is_allowed  whether aggregates may be recomputed; False if today's policy and not an event removes the records
    """

    request: RewriteRequest
    pipeline: Pipeline
    plan: RemovalPlan
    ledger: PathText | None = None
    is_allowed: bool = True
    chain: Sequence[Receipt] = field(default=(), repr=False)

    @property
    def at_once(self) -> bool:
        """Whether an aggregate was counted from several dates: its late event days change with all of them."""
        return bool(self.plan.late_days)

    def recompute(self, chain: Sequence[Receipt], files: Sequence[PlannedFile]) -> Iterator[RecomputedAggregate]:
        """The aggregates that can be recomputed for the dates of some files that lost records to events alone."""
        if not self.is_allowed:
            return
        current = replace(self, chain=chain)
        reclassified_dates = {each.date for each in self.plan.due if each.is_reclassified}
        dates = {each.date for each in files if each.name == RECORDS} - reclassified_dates
        for on in sorted(dates, key=str):
            yield from current._guarded(on, current._recount_date(on))
        behind = [
            (place, batches)
            for place, batches in self.plan.late_days.items()
            if batches & dates and not batches & reclassified_dates and not self._is_due(*place)
        ]
        for day in sorted({day for (_, day), _ in behind}):
            recounts = ((name, current._recount_day(name, day, batches)) for (name, on), batches in behind if on == day)
            yield from current._guarded(day, {name: found for name, found in recounts if found is not None})

    def unchanged(
        self, files: Sequence[PlannedFile], recomputed: Sequence[RecomputedAggregate]
    ) -> dict[str, tuple[str, ...]]:
        """The aggregates that keep their figures although records of these files are removed: dates by name."""
        dates = {each.date or "" for each in files if each.name == RECORDS}
        made = {(each.name, each.date or "") for each in recomputed if not each.guarded.result.deferred}
        found = {
            name: tuple(
                on for on in left if self.plan.late_days.get((name, on), {on}) & dates and (name, on) not in made
            )
            for name, left in self.plan.aggregates_left.items()
        }
        return {name: left for name, left in found.items() if left}

    def _guarded(self, on: str | None, recounted: Mapping[str, Recount]) -> Iterator[RecomputedAggregate]:
        """The recounted aggregates of one date that the disclosure guard changes, together."""
        if not recounted:
            return
        definitions = {name: definition_of_today(job.plan, name, self.request) for name, (job, _) in recounted.items()}
        results = {name: result for name, (_, result) in recounted.items()}
        for name, each in guard_aggregates(definitions, results, self._releases, on, self.request.as_of).items():
            if not each.is_unchanged:
                yield RecomputedAggregate(name, on, recounted[name][0].output_schema(name), each, self._releases)

    def _recount_date(self, on: str | None) -> Mapping[str, Recount]:
        names = [
            name
            for name, dates in self.plan.aggregates_left.items()
            if (on or "") in dates and not self._is_due(name, on) and (name, on or "") not in self.plan.late_days
        ]
        source = self._source(on) if names else None
        if source is None:
            return {}
        last, given = source
        return recount_date(self._writing_run(last), given, on, names, self._removal_context())

    def _recount_day(self, name: str, day: str, batches: frozenset[str]) -> Recount | None:
        """A late event day, from the batches from which it was counted."""
        files = self._files(name, day)
        found = {when: self._source(when) for when in sorted(batches)}
        sources = {date.fromisoformat(when): each[1] for when, each in found.items() if each is not None}
        if not files or len(sources) < len(batches):
            return None
        written = self._writing_run(receipts_by_path(self.chain)[files[0].path])
        return recount_late_day(written, sources, name, date.fromisoformat(day), self._removal_context())

    def _is_due(self, name: str, on: str | None) -> bool:
        return any((each.name, each.date) == (name, on) for each in self.plan.due)

    def _removal_context(self) -> RemovalContext:
        return RemovalContext(
            (*self.request.past_events, *self.request.earlier_events), self.request.event_reach, self._records_left
        )

    def _records_left(self, on: str | None) -> int:
        removed = sum(each.rows for each in self.plan.due if each.name == RECORDS and each.date == on)
        return sum(file.rows for file in self._files(RECORDS, on)) - removed

    @cached_property
    def _releases(self) -> PublishedReleases:
        return PublishedReleases.from_receipts(self.request.output, self.chain, self.request.keys, self.request.kms)

    def _files(self, name: str, on: str | None) -> list[ReceiptFile]:
        return [file for file in files_in_force(self.chain).get(name, ()) if batch_date_of(file.path) == on]

    def _source(self, on: str | None) -> tuple[Receipt, ResolvedRun] | None:
        request = self.request
        return find_source(self.pipeline, request.output, self.chain, on, request.as_of, request.keys, self.ledger)

    def _writing_run(self, receipt: Receipt) -> WritingRun:
        return WritingRun(self.request.output, receipt, self._policies)

    @cached_property
    def _policies(self) -> PolicyCache:
        return PolicyCache(self.pipeline.policy.purposes)
