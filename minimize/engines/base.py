"""The contract of an engine: the job that it is given, the outcome that it returns, and the protocols of its outputs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Protocol, runtime_checkable

import pyarrow as pa

from minimize.aggregates.definition import EventDays
from minimize.aggregates.tally import AggregateResult, EventDayTally
from minimize.arrow.batch import BatchCounts
from minimize.arrow.pointers import Pointer
from minimize.consent.evaluation import ConsentPeriods
from minimize.keys import Keyring
from minimize.output.sink import WorkerFiles
from minimize.plan import Plan
from minimize.plan.columns import add_key_versions
from minimize.settings.erasures import Erasures
from minimize.settings.evaluation import Settings
from minimize.sources.base import Chunk, Reject, Sink, Source, UndeclaredCount, WrittenFile, merge_undeclared
from minimize.spill import SpillSpace, ValueHasher
from minimize.stages.chains import is_tally_step
from minimize.stages.corrections import Corrections
from minimize.stages.gate import Gate, GateRules
from minimize.stages.generalize import BoundFields, bind_fields
from minimize.techniques.base import KeySource
from minimize.techniques.cache import TechniqueCache


@dataclass(frozen=True, slots=True)
class BoundPlan:
    """What the stages of a plan without tallies need, and what does not change from call to call."""

    gates: GateRules
    fields: BoundFields

    @classmethod
    def from_plan(cls, plan: Plan) -> BoundPlan | None:
        """The plan bound; None for one with a tally, whose fields are bound when it has settled."""
        tallies = any(is_tally_step(step) for field in plan.fields.values() for step in field.steps)
        return None if tallies else cls(GateRules.from_plan(plan), bind_fields(plan, {}, frozenset()))


@dataclass(frozen=True)
class Job:
    """A plan bound to keys, settings and a time.

    memos    per field with a key, pseudonyms that were computed before
    event_days    per aggregate that waits for late rows, the event days that wait for this batch
    bound    the stages' part that depends on the plan alone, where somebody has worked it out before
    row_key  secret bytes for the last tie between rows that agree in everything else
    sketch_key  secret bytes for contribution sketches; without them none are made
    space    the memory that tallies may take, and where they put what does not fit
    erased   whose records must not come back; None for nobody's
    corrected  values that people put right; None for none
    consents  when tenants agreed to what a third party sends; None for records of our own, or where nobody agreed
    """

    plan: Plan
    at: datetime
    keys: KeySource | None = None
    settings: Settings | None = None
    row_key: bytes = b""
    sketch_key: bytes = field(default=b"", repr=False)
    memos: Mapping[str, TechniqueCache] = field(default_factory=dict, repr=False)
    event_days: Mapping[str, EventDays] = field(default_factory=dict)
    space: SpillSpace = field(default_factory=SpillSpace, repr=False)
    bound: BoundPlan | None = field(default=None, repr=False)
    erased: Erasures | None = field(default=None, repr=False)
    corrected: Corrections | None = field(default=None, repr=False)
    consents: ConsentPeriods | None = field(default=None, repr=False)

    @property
    def gate(self) -> Gate:
        """The first stage of every pass."""
        bound = None if self.bound is None else self.bound.gates
        return Gate(self.plan, self.settings, self.at, bound, self.erased, self.corrected, self.consents)

    @property
    def sketch_hasher(self) -> ValueHasher | None:
        """The keyed hash for contribution sketches."""
        return ValueHasher(self.sketch_key) if self.sketch_key else None

    @cached_property
    def records_schema(self) -> pa.Schema:
        """The schema of the records output, with the version of every key that was used."""
        return self.output_schema("records")

    def output_schema(self, name: str) -> pa.Schema:
        """The schema of an output, with the version of every key that was used."""
        names = self.plan.keys if self.keys is not None else ()
        versions = {name: self.keys.version_of(name) for name in names if self.keys is not None}
        return add_key_versions(self.plan.outputs[name].schema, versions)


class QuarantineSink(Protocol):
    """Takes what could not be processed."""

    def write(self, source: str, rejects: Iterable[Reject]) -> None:
        """Takes the rejects of one part."""
        ...


@dataclass(slots=True)
class BatchOutcome:
    """What came of one batch date; outcomes of several workers add up.

    aggregates  the tables of those that are complete with the batch
    late        the tallies of those that wait for rows of other batches
    unchanged       those whose table in force stays as it is
    """

    read: int = 0
    written: int = 0
    rejects: Counter[str] = field(default_factory=Counter)
    undeclared: dict[Pointer, UndeclaredCount] = field(default_factory=dict, repr=False)
    counts: BatchCounts = field(default_factory=BatchCounts)
    rows_by_part: Counter[str] = field(default_factory=Counter)
    aggregates: Mapping[str, AggregateResult] = field(default_factory=dict, repr=False)
    late: Mapping[str, EventDayTally] = field(default_factory=dict, repr=False)
    unchanged: tuple[str, ...] = ()

    def take(self, part: str, chunk: Chunk) -> None:
        """Takes note of what was read of a part."""
        self.read += chunk.read
        self.rows_by_part[part] += chunk.read
        self.rejects.update(reject.code for reject in chunk.rejects)
        self._carry(chunk.undeclared)

    def add(self, other: BatchOutcome) -> None:
        """Takes in what came of other parts."""
        self.read += other.read
        self.written += other.written
        self.rejects.update(other.rejects)
        self._carry(other.undeclared)
        self.counts += other.counts
        self.rows_by_part.update(other.rows_by_part)

    def _carry(self, undeclared: Mapping[Pointer, UndeclaredCount]) -> None:
        if undeclared:
            self.undeclared = merge_undeclared([self.undeclared, undeclared])


SinkFactory = Callable[[int], Sink]
"""Opens the sink of a share, by its number; called before any of them is written to."""


@runtime_checkable
class WorkerOutputs(Protocol):
    """Sinks, or a quarantine, to which other processes write, too."""

    def worker_files(self) -> WorkerFiles | None:
        """Where they write; None where they cannot."""
        ...

    def take(self, attempt: str, written: Iterable[WrittenFile]) -> None:
        """Takes in the files that an attempt reported."""
        ...


class DiscardingQuarantine:
    """A quarantine for a second look at a batch: what cannot be processed was told the first time."""

    def write(self, source: str, rejects: Iterable[Reject]) -> None:
        """Lets the rejects go."""

    def worker_files(self) -> WorkerFiles | None:
        """Nowhere."""
        return None

    def take(self, attempt: str, written: Iterable[WrittenFile]) -> None:
        """Takes nothing in: nothing was written."""


def derive_row_key(keys: Keyring | None) -> bytes:
    """Secret bytes for the last tie between rows that agree in everything else."""
    return b"" if keys is None else keys.subkey("subject", "rows")


def derive_sketch_key(keys: Keyring | None) -> bytes:
    """Secret bytes for contribution sketches: of the first version of the key, so that those of all nights can be compared."""
    if keys is None:
        return b""
    versions = [each.version for each in keys.listing() if each.name == "subject" and each.destroyed is None]
    return keys.subkey("subject", "contributions", min(versions, default=None))


class Engine(Protocol):
    """Moves the batches of one source through a job: records to sinks, rejects to the quarantine, tallies to tables."""

    def __call__(self, job: Job, source: Source, sinks: SinkFactory | None, quarantine: QuarantineSink) -> BatchOutcome:
        """Runs the job over one source (one batch date). Raises nothing that carries a value."""
        ...
