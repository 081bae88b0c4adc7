"""Aggregates of a date made anew after records of it were removed."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from minimize.aggregates.definition import Definition
from minimize.canonical import canonical_text
from minimize.engines import local
from minimize.engines.base import Job, Outcome, Unkept, sketch_key
from minimize.governance.retention.clock import Bools, Moments
from minimize.governance.retention.events import Event
from minimize.governance.retention.forms import AS_IT_CAME
from minimize.governance.retention.ordered import Asked
from minimize.governance.retention.tokens import recognized
from minimize.governance.retention.whose import Named, Until, Whose
from minimize.governance.retention.written import PIPELINE, Written
from minimize.io.base import Chunk, Part, Source
from minimize.io.base import Written as File
from minimize.io.part import Around
from minimize.io.publish import Staging
from minimize.job.disclosure_guard import Guarded, guarded
from minimize.job.given import Given, day_of, open_sources
from minimize.job.releases import Releases
from minimize.keys import Keyring
from minimize.nested import leaf
from minimize.plan import Plan
from minimize.plan.bind import examine
from minimize.pointer import Pointer
from minimize.policy.fields import ways_of
from minimize.policy.model import Policy
from minimize.settings.columns import moments
from minimize.techniques.distinct import decoded
from minimize.techniques.periods import starts
from minimize.techniques.truncate_time import TruncateTime

Keeps = Callable[[pa.RecordBatch], Bools]


class UntilOn(Protocol):
    """Up to which event time an event reaches in the records of a batch date, in microseconds since 1970."""

    def __call__(self, event: Event, on: str | None) -> int:
        """The last instant."""
        ...


@dataclass(frozen=True, slots=True)
class Recomputed:
    """One aggregate of one date, made anew, as the disclosure guard leaves it."""

    name: str
    date: str | None
    schema: pa.Schema
    guarded: Guarded = field(repr=False)
    releases: Releases = field(repr=False)

    def put(self, staging: Staging) -> tuple[list[str], list[File]]:
        """Stages it in place of what is in force: the paths that it replaces, and the new files."""
        place = f"{staging.place(self.name, self.date)}/"
        gone = [path for path in staging.standing() if path.startswith(place)]
        return gone, list(self.guarded.write(staging, self.releases, self.name, self.date, self.schema))


@dataclass(frozen=True, slots=True)
class Before:
    """What is known of a date before an expiry.

    events  all that happened
    until   up to which event time an event reaches in the records of a batch date
    left    how many records of a batch date are left after the expiry
    """

    events: Sequence[Event]
    until: UntilOn
    left: Callable[[str | None], int]


def recomputed(
    written: Written,
    given: Given,
    on: str | None,
    names: Collection[str],
    known: Before,
    releases: Releases,
    asked: Asked,
) -> Iterator[Recomputed]:
    """Those of these aggregates that can be made anew without the records that events took.

    Takes the receipt that wrote the date, and a run that finds its source. Nothing if pipeline or keys are others now, if no row
    changes, or if other records are left than in the output: then there were events that are not known here.
    """
    then = as_then(written, given, on)
    if then is None:
        return
    before, source = then
    left = Without(source, keeping(written.policy, known.events, source, given.keys, partial(known.until, on=on)))
    wanted = [name for name in names if before.plan.aggregates[name].late is None]
    if wanted:
        outcome = local.run(replace(before, plan=only(before, wanted)), left, None, Unkept())
        if reached(outcome) != known.left(on):
            return
        definitions = {name: kept_today(before.plan, name, asked) for name in wanted}
        found = guarded(definitions, outcome.aggregates, releases, on, asked.at)
        for name, each in found.items():
            if not each.is_unchanged:
                yield Recomputed(name, on, before.output_schema(name), each, releases)


def kept_today(plan: Plan, name: str, asked: Asked) -> Definition:
    """The definition of an aggregate, with its retention of today."""
    found = plan.aggregates[name].definition
    retention = None if found.retention is None else found.retention.spanning(asked.retention_of(name))
    return replace(found, retention=retention)


def reached(outcome: Outcome) -> int:
    """How many records came through the gates."""
    return outcome.read - outcome.rejects.total() - sum(outcome.counts.gated.values()) - outcome.counts.deduplicated


def as_then(written: Written, given: Given, on: str | None) -> tuple[Job, Source] | None:
    """The job that a receipt tells of, over the source of a date; None where pipeline or keys are others now."""
    if written.receipt.files.get(PIPELINE) != given.pipeline.digest:
        return None
    job, source = _job_of(written, given, on)
    used = {f"{name}/{given.keys.version_of(name)}" for name in job.plan.keys}
    return (job, source) if used <= set(written.receipt.keys) else None


def _job_of(written: Written, given: Given, on: str | None) -> tuple[Job, Source]:
    """The job that a receipt tells of, over the same source: policy and settings of then."""
    day, receipt = day_of(on), written.receipt
    then = given.pipeline.model_copy(update={"policy": written.policy})
    found = replace(given.found, files={day: given.found.files[day]})
    source = open_sources(then, found, given.shown, given.people.erased.fields, at=receipt.at)[day]
    plan = examine(written.policy, source.schema, purpose=receipt.purpose, pipeline=then).sound()
    return Job(plan, receipt.at, given.keys, sketch_key=sketch_key(given.keys), **given.told(receipt.at)), source


def only(job: Job, names: Collection[str]) -> Plan:
    """The plan with nothing but some aggregates."""
    aggregates = {name: job.plan.aggregates[name] for name in names}
    return replace(job.plan, aggregates=aggregates, outputs={name: job.plan.outputs[name] for name in names})


@dataclass(frozen=True, slots=True)
class AsItComes:
    """A column of a source: ids are in it as they came in.

    folded  the ids of the column by their folded form, where the policy compares them so
    """

    folded: Mapping[str, frozenset[str]] | None = field(default=None, repr=False)

    @property
    def names(self) -> frozenset[str]:
        """Nothing was done to its values."""
        return frozenset({AS_IT_CAME})

    @property
    def is_injective(self) -> bool:
        """Different values are different forms."""
        return True

    def forms(self, value: str, tenant: str) -> frozenset[str]:
        """The value itself, and those that are the same without regard to case."""
        if self.folded is None:
            return frozenset({value})
        return self.folded.get(canonical_text(value, fold=True), frozenset({value}))

    def several(self, pairs: Sequence[tuple[str, str]]) -> list[frozenset[str]]:
        """The same of several values."""
        return [self.forms(*pair) for pair in pairs]


def keeping(policy: Policy, events: Sequence[Event], source: Source, keys: Keyring, until: Until) -> Keeps:
    """Which records of a source are left after events, each of which reaches up to some event time."""
    erasing = [event for event in events if event.kind != "became_personal"]
    names = {event.named_by for event in erasing} & {None, *policy.fields}
    by = {name: [each for each in erasing if each.named_by == name] for name in names}
    going = [_going(policy, name, mine, source, keys, until) for name, mine in by.items()]

    def left(batch: pa.RecordBatch) -> Bools:
        oldest = _oldest(policy, batch)
        concerned = [np.zeros(batch.num_rows, np.bool_), *(whose.concerns(batch, oldest) for whose in going)]
        return np.asarray(~np.logical_or.reduce(concerned), np.bool_)

    return left


def _going(
    policy: Policy, by: str | None, events: Sequence[Event], source: Source, keys: Keyring, until: Until
) -> Whose:
    """Whose records of a source go, of those who are named by one field; None for the subject."""
    key = by or policy.subject
    tenant, subject = (
        None if name is None else Named(Pointer.parse(name), AsItComes(_folded(policy, name, source)))
        for name in (policy.tenant, key)
    )
    found = recognized(events, tenant, subject, lambda _: _batches(source), keys, folds=policy.folds(key))
    return Whose.of(events, tenant, subject, found, until)


def _folded(policy: Policy, key: str, source: Source) -> Mapping[str, frozenset[str]] | None:
    """The ids of a field by their folded form; None where case counts."""
    if not policy.folds(key):
        return None
    found: dict[str, set[str]] = {}
    for batch in _batches(source):
        for value in pc.unique(decoded(leaf(batch, Pointer.parse(key)).values)).drop_null().to_pylist():
            found.setdefault(canonical_text(str(value), fold=True), set()).add(str(value))
    return {form: frozenset(values) for form, values in found.items()}


def _batches(source: Source) -> Iterator[pa.RecordBatch]:
    for part in source.parts:
        yield from (chunk.records for chunk in part.read())


def _oldest(policy: Policy, batch: pa.RecordBatch) -> Moments:
    """The instants by which the records of the output are told to be before an event: the starts of the released units."""
    key = str(policy.time)
    times = leaf(batch, Pointer.parse(key)).values
    for way in ways_of(policy.fields[key]):
        for step in () if isinstance(way, str) else way:
            times = starts(times, step.to, step.zone) if isinstance(step, TruncateTime) else times
    return moments(times)


@dataclass(frozen=True, slots=True)
class WithoutPart(Around):
    """A part without the records that went."""

    keeps: Keeps = field(repr=False)

    def pieces(self) -> Sequence[Part]:
        """The part's pieces, without them."""
        return [WithoutPart(piece, self.keeps) for piece in self.part.pieces()]

    def read(self) -> Iterator[Chunk]:
        """The part's chunks, without them."""
        for chunk in self.part.read():
            records = chunk.records.filter(pa.array(self.keeps(chunk.records)))
            yield replace(chunk, records=records, read=chunk.read - chunk.records.num_rows + records.num_rows)


@dataclass(frozen=True, slots=True)
class Without:
    """A source without the records that went."""

    source: Source = field(repr=False)
    keeps: Keeps = field(repr=False)

    @property
    def schema(self) -> pa.Schema:
        """As the source has it."""
        return self.source.schema

    @property
    def parts(self) -> tuple[WithoutPart, ...]:
        """The source's parts, without them."""
        return tuple(WithoutPart(part, self.keeps) for part in self.source.parts)

    def only(self, keys: Collection[str]) -> Without:
        """All fields: whose a record is, is asked of every one."""
        return self
