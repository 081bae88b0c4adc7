"""Recomputation of aggregates after a removal of records: of one batch date, or of a late event day."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from datetime import date
from functools import cached_property, partial

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
from minimize.governance.affected_subjects import AffectedSubjects, EventReach, recognize_tokens
from minimize.governance.event_times import Moments
from minimize.governance.lifecycle_events import RetentionEvent, events_by_field
from minimize.governance.output_file import OutputFile, PublishedOutput
from minimize.governance.retention.removal_decision import RewriteRequest
from minimize.governance.retention.removal_plan import RemovalPlan
from minimize.governance.retention.rerunnable_dates import SourceFinder
from minimize.governance.retention.retention_rules import removes_records
from minimize.governance.rewrite_receipt import PlannedFile, RecomputedAggregate
from minimize.governance.writing_run import PolicyCache, WritingRun
from minimize.identifiers import canonical_text
from minimize.keys import Keyring
from minimize.output.folder import PIPELINE_FILE, RECORDS, RESTRICTED
from minimize.plan import Plan
from minimize.plan.bind import examine
from minimize.policy.fields import treatments_of
from minimize.policy.identities import fields_named
from minimize.policy.model import Policy
from minimize.policy.pipeline import Pipeline
from minimize.receipts import Receipt
from minimize.runs.batch_dates import parse_batch_date
from minimize.runs.disclosure_guard import PublishedReleases, guard_aggregates
from minimize.runs.inputs import open_sources
from minimize.runs.resolve import ResolvedRun
from minimize.settings.columns import column_microseconds
from minimize.sources.base import Chunk, Source, SourcePart
from minimize.sources.files import WrappingPart, WrappingSource
from minimize.stages.identifier_forms import AS_RECEIVED, LookupColumn
from minimize.stores import PathText
from minimize.techniques.periods import period_starts

RecordFilter = Callable[[pa.RecordBatch], Bools]
Recount = tuple[Job, AggregateResult]
"""The figures of an aggregate without the removed records, and the run that published it."""


def definition_of_today(plan: Plan, name: str, request: RewriteRequest) -> AggregateDefinition:
    """The definition of an aggregate, with its current retention."""
    found = plan.aggregates[name].definition
    retention = None if found.retention is None else found.retention.with_span(request.retention_of(name))
    return replace(found, retention=retention)


def accepted_records(outcome: BatchOutcome) -> int:
    """The number of records that passed the gates."""
    return outcome.read - outcome.rejects.total() - sum(outcome.counts.gated.values()) - outcome.counts.deduplicated


def original_job(
    written: WritingRun, resolved: ResolvedRun, on: str | None, events: Iterable[RetentionEvent]
) -> tuple[Job, Source] | None:
    """The run that a receipt records, over the source of a date; None if the pipeline or keys are different now.

    The fields by which the events name their subjects are read, too.
    """
    if written.receipt.files.get(PIPELINE_FILE) != resolved.pipeline.digest:
        return None
    job, source = _rebuild_job(written, resolved, on, {event.named_by for event in events})
    used = {f"{name}/{resolved.keys.version_of(name)}" for name in job.plan.keys}
    return (job, source) if used <= set(written.receipt.keys) else None


def _rebuild_job(
    written: WritingRun, resolved: ResolvedRun, on: str | None, names: Set[str | None]
) -> tuple[Job, Source]:
    """The original run over the same source, with its policy and settings."""
    day, receipt = parse_batch_date(on), written.receipt
    then = resolved.pipeline.model_copy(update={"policy": written.policy})
    found = replace(resolved.found, files={day: resolved.found.files[day]})
    names = names | resolved.subject_names
    source = open_sources(then, found, resolved.shown, names, at=receipt.at)[day]
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

    @property
    def shows_tenant(self) -> bool:
        """Two tenants may have the same id."""
        return False

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
    erasing = [event for event in events if removes_records(event.kind, policy)]
    removed = [
        _affected_in_source(policy, key, key_events, source, keys, until)
        for key, key_events in events_by_field(erasing, partial(fields_named, policy), policy.subject).items()
    ]

    def remaining_records(batch: pa.RecordBatch) -> Bools:
        oldest = _released_starts(policy, batch)
        concerned = [np.zeros(batch.num_rows, np.bool_), *(affected.affects(batch, oldest) for affected in removed)]
        return np.asarray(~np.logical_or.reduce(concerned), np.bool_)

    return remaining_records


def _affected_in_source(
    policy: Policy, key: str | None, events: Sequence[RetentionEvent], source: Source, keys: Keyring, until: EventReach
) -> AffectedSubjects:
    """The tenants and subjects of a source that events concern, identified by one field; None if there is no subject."""
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
class FilteredSource(WrappingSource):
    """A source without the removed records."""

    keeps: RecordFilter = field(repr=False)

    @property
    def parts(self) -> tuple[FilteredPart, ...]:
        """The source's parts, filtered."""
        return tuple(FilteredPart(part, self.keeps) for part in self.source.parts)

    def only(self, keys: Collection[str]) -> FilteredSource:
        """All fields, because every field may decide whom a record is about."""
        return self


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
        """Whether an aggregate that may be recomputed was counted from several dates, which must change together."""
        return self.is_allowed and any(place in self.plan.late_days for place in self._affected_places)

    @property
    def _affected_places(self) -> list[tuple[str, str]]:
        """The aggregates whose records are removed for another reason than their age: names and dates."""
        return [(name, on) for name, dates in self.plan.aggregates_left.items() for on in dates]

    def recompute(self, chain: Sequence[Receipt], files: Sequence[PlannedFile]) -> Iterator[RecomputedAggregate]:
        """The aggregates that can be recomputed for the dates of some files that lost records to events alone."""
        if not self.is_allowed:
            return
        current = replace(self, chain=chain)
        reclassified_dates = {each.date for each in self.plan.due if each.is_reclassified}
        dates = {each.date for each in files if each.name == RECORDS} - reclassified_dates
        for on in sorted(dates, key=str):
            yield from current._guarded(on, current._recount_date(on))
        late = {place: self.plan.late_days[place] for place in self._affected_places if place in self.plan.late_days}
        behind = [
            place
            for place, batches in late.items()
            if batches & dates and not batches & reclassified_dates and not self._is_due(*place)
        ]
        for day in sorted({day for _, day in behind}):
            recounts = ((name, current._recount_day(name, day, late[name, day])) for name, on in behind if on == day)
            yield from current._guarded(day, {name: found for name, found in recounts if found is not None})

    def unchanged(
        self, files: Sequence[PlannedFile], recomputed: Sequence[RecomputedAggregate]
    ) -> dict[str, tuple[str, ...]]:
        """The aggregates that keep their figures although records of these files are removed: dates by name."""
        dates = {each.date or "" for each in files if each.name in (RECORDS, RESTRICTED)}
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

    def _recount_date(self, on: str | None) -> dict[str, Recount]:
        """The aggregates of a date, unless its source, the pipeline or a key is different now."""
        left = [place for place in self._affected_places if place not in self.plan.late_days]
        names = [name for name, date in left if date == (on or "") and not self._is_due(name, on)]
        source = self._sources.find(on) if names else None
        if source is None:
            return {}
        written = self._output.writing_run(source[0])
        then = original_job(written, source[1], on, self._events)
        wanted = [] if then is None else [name for name in names if then[0].plan.aggregates[name].late is None]
        if then is None or not wanted:
            return {}
        job, records = then
        outcome = self._run_remaining(replace(job, plan=only_aggregates(job, wanted)), records, on, written.policy)
        return {} if outcome is None else {name: (job, outcome.aggregates[name]) for name in wanted}

    def _recount_day(self, name: str, day: str, batches: frozenset[str]) -> Recount | None:
        """A late event day, from the batches from which it was counted. None as for a date."""
        files = self._files(name, day)
        if not files:
            return None
        written, event_day = files[0].written_by, date.fromisoformat(day)
        then = {on: self._original(on, written) for on in sorted(batches)}
        found = {on: each for on, each in then.items() if each is not None}
        if len(found) < len(batches):
            return None
        job = next(iter(found.values()))[0]
        waits, reduced = job.plan.aggregates[name].late, replace(job, plan=only_aggregates(job, [name]))
        assert waits is not None
        parts = []
        for on, (_, records) in found.items():
            reach = {name: waits.event_days(date.fromisoformat(on), frozenset({event_day}))}
            outcome = self._run_remaining(replace(reduced, event_days=reach), records, on, written.policy)
            if outcome is None:
                return None
            parts.append(outcome.late[name].days[event_day])
        total, *others = parts
        for other in others:
            total.merge(other)
        return job, total.settle()

    def _original(self, on: str, written: WritingRun) -> tuple[Job, Source] | None:
        source = self._sources.find(on)
        return None if source is None else original_job(written, source[1], on, self._events)

    def _run_remaining(self, job: Job, source: Source, on: str | None, policy: Policy) -> BatchOutcome | None:
        """A run over the records of a date that events do not remove.

        Returns None if they differ from the records in the output, because then an event is unknown here.
        """
        events = self._events
        until = partial(self.request.event_reach, on=on)
        left = FilteredSource(source, remaining_filter(policy, events, source, self.request.keys, until))
        outcome = local.run(job, left, None, DiscardingQuarantine())
        return outcome if accepted_records(outcome) == self._records_left(on) else None

    @property
    def _events(self) -> tuple[RetentionEvent, ...]:
        return (*self.request.past_events, *self.request.earlier_events)

    def _is_due(self, name: str, on: str | None) -> bool:
        return any((each.name, each.date) == (name, on) for each in self.plan.due)

    def _records_left(self, on: str | None) -> int:
        removed = {each.file.path: each.rows for each in self.plan.due}
        return sum(file.entry.rows - removed.get(file.path, 0) for file in self._files(RECORDS, on))

    @cached_property
    def _releases(self) -> PublishedReleases:
        return PublishedReleases.from_receipts(self.request.output, self.chain, self.request.keys, self.request.kms)

    def _files(self, name: str, on: str | None) -> list[OutputFile]:
        return [file for file in self._output.files(name) if file.date == on]

    @cached_property
    def _sources(self) -> SourceFinder:
        request = self.request
        return SourceFinder(self.pipeline, request.output, self.chain, request.as_of, request.keys, self.ledger)

    @cached_property
    def _output(self) -> PublishedOutput:
        policies = PolicyCache(self.pipeline.policy.purposes)
        return PublishedOutput(self.request.output, tuple(self.chain), self.request.keys, self.pipeline, policies)
