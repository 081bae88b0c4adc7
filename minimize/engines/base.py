"""The interface of an engine: the job that it runs, the outcome that it returns, and the protocols of its outputs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Protocol, runtime_checkable

import pyarrow as pa

from minimize.aggregates.definition import EventDays
from minimize.aggregates.noise import NoiseKey
from minimize.aggregates.tally import AggregateResult, EventDayTally
from minimize.arrow.pointers import Pointer
from minimize.consent.evaluation import ConsentPeriods
from minimize.keys import Keyring
from minimize.output.sink import WorkerFiles
from minimize.plan import Plan
from minimize.plan.columns import add_key_versions
from minimize.receipts import ReleaseEntry
from minimize.records import BatchCounts, Chunk, Reject, Sink, UndeclaredCount, WrittenFile, merge_undeclared
from minimize.settings.erasures import Erasures
from minimize.settings.evaluation import Settings
from minimize.sources.base import Source
from minimize.spill import SpillSpace, ValueHasher
from minimize.stages.chains import is_tally_step
from minimize.stages.corrections import Corrections
from minimize.stages.gate import Gate, GateRules
from minimize.stages.generalize import BoundFields, bind_fields
from minimize.stages.risk_bound import RiskDecision
from minimize.techniques.base import KeySource
from minimize.techniques.cache import TechniqueCache


@dataclass(frozen=True, slots=True)
class BoundPlan:
    """The parts of a plan without tallies that the stages need and that do not change between calls."""

    gates: GateRules
    fields: BoundFields

    @classmethod
    def from_plan(cls, plan: Plan, *, counts: bool = True) -> BoundPlan | None:
        """The bound plan; None for a plan with a tally, whose fields are bound after the tally has settled.

        `counts` says whether the outcomes of each field are counted.
        """
        tallies = any(is_tally_step(step) for field in plan.fields.values() for step in field.steps)
        return None if tallies else cls(GateRules.from_plan(plan), bind_fields(plan, {}, frozenset(), counts=counts))


@dataclass(frozen=True)
class Job:
    """A plan bound to keys, settings and a time."""

    plan: Plan
    at: datetime
    keys: KeySource | None = None
    settings: Settings | None = None
    row_key: bytes = b""
    """Secret bytes that order rows which are equal in everything else."""
    noise: NoiseKey | None = field(default=None, repr=False)
    """The key of statistics with noise; None if there are none."""
    date: str | None = None
    """The batch date; None for a source without dates."""
    memos: Mapping[str, TechniqueCache] = field(default_factory=dict, repr=False)
    """The pseudonyms that are already computed, for each field with a key."""
    event_days: Mapping[str, EventDays] = field(default_factory=dict)
    """The event days for which this batch has rows, for each aggregate with a late window."""
    space: SpillSpace = field(default_factory=SpillSpace, repr=False)
    """The memory budget of the tallies, and their spill file."""
    bound: BoundPlan | None = field(default=None, repr=False)
    """The part of the stages that depends on the plan alone, if it was computed before."""
    erased: Erasures | None = field(default=None, repr=False)
    """The erasure list; None if it is empty."""
    corrected: Corrections | None = field(default=None, repr=False)
    """The corrections of data subjects; None if there are none."""
    consents: ConsentPeriods | None = field(default=None, repr=False)
    """The tenants' consent periods, for data of a third party; None for other data, or without consents."""

    @property
    def gate(self) -> Gate:
        """The first stage of every pass."""
        bound = None if self.bound is None else self.bound.gates
        return Gate(
            plan=self.plan,
            settings=self.settings,
            at=self.at,
            bound=bound,
            erased=self.erased,
            corrected=self.corrected,
            consents=self.consents,
        )

    @property
    def noise_hasher(self) -> ValueHasher | None:
        """The keyed hash of subjects for statistics with noise, equal in all runs."""
        return None if self.noise is None else self.noise.hasher

    @cached_property
    def records_schema(self) -> pa.Schema:
        """The schema of the records output, with the version of every key in use."""
        return self.output_schema("records")

    def output_schema(self, name: str) -> pa.Schema:
        """The schema of an output, with the version of every key in use."""
        names = self.plan.keys if self.keys is not None else ()
        versions = {name: self.keys.version_of(name) for name in names if self.keys is not None}
        return add_key_versions(self.plan.outputs[name].schema, versions)


class QuarantineSink(Protocol):
    """Takes the rejects of a run."""

    def write(self, source: str, rejects: Iterable[Reject]) -> None:
        """Write the rejects of one part."""
        ...


@dataclass(slots=True)
class BatchOutcome:
    """The results of one batch date. Outcomes of several workers can be added."""

    read: int = 0
    written: int = 0
    rejects: Counter[str] = field(default_factory=Counter)
    undeclared: dict[Pointer, UndeclaredCount] = field(default_factory=dict, repr=False)
    counts: BatchCounts = field(default_factory=BatchCounts)
    rows_by_part: Counter[str] = field(default_factory=Counter)
    aggregates: Mapping[str, AggregateResult] = field(default_factory=dict, repr=False)
    """The tables of aggregates that are complete with this batch."""
    late: Mapping[str, EventDayTally] = field(default_factory=dict, repr=False)
    """The tallies of aggregates that wait for rows of other batches."""
    unchanged: tuple[str, ...] = ()
    """The aggregates whose current table does not change."""
    releases: Mapping[str, ReleaseEntry] = field(default_factory=dict, repr=False)
    """The release of each published aggregate with noise."""
    risk: RiskDecision | None = field(default=None, repr=False)
    """The measured disclosure risk of the records, for a pipeline that bounds it."""

    def take(self, part: str, chunk: Chunk) -> None:
        """Count the records of a chunk."""
        self.read += chunk.read
        self.rows_by_part[part] += chunk.read
        self.rejects.update(reject.code for reject in chunk.rejects)
        self._carry(chunk.undeclared)

    def add(self, outcome: BatchOutcome) -> None:
        """Add the outcome of other parts."""
        self.read += outcome.read
        self.written += outcome.written
        self.rejects.update(outcome.rejects)
        self._carry(outcome.undeclared)
        self.counts += outcome.counts
        self.rows_by_part.update(outcome.rows_by_part)

    def _carry(self, undeclared: Mapping[Pointer, UndeclaredCount]) -> None:
        if undeclared:
            self.undeclared = merge_undeclared([self.undeclared, undeclared])


SinkFactory = Callable[[int], Sink]
"""Opens the sink of a share, by its number. Called for all shares before any sink is written to."""


@runtime_checkable
class WorkerOutputs(Protocol):
    """Sinks or a quarantine to which other processes also write."""

    def worker_files(self) -> WorkerFiles | None:
        """The location that workers write to; None if they cannot."""
        ...

    def take(self, attempt: str, written: Iterable[WrittenFile]) -> None:
        """Add the files that an attempt reported."""
        ...


class DiscardingQuarantine:
    """A quarantine for a second pass over a batch, whose rejects were recorded in the first."""

    def write(self, source: str, rejects: Iterable[Reject]) -> None:
        """Discard the rejects."""

    def worker_files(self) -> WorkerFiles | None:
        """None: workers write nothing."""
        return None

    def take(self, attempt: str, written: Iterable[WrittenFile]) -> None:
        """Do nothing, because nothing was written."""


def derive_row_key(keys: Keyring | None) -> bytes:
    """Secret bytes that order rows which are equal in everything else."""
    return b"" if keys is None else keys.subkey("subject", "rows")


def derive_noise_key(keys: Keyring | None, plan: Plan) -> NoiseKey | None:
    """The key of statistics with noise; None for a plan without such statistics. Raises KeyringError if the keyring has none."""
    has_noise = any(each.definition.noise is not None for each in plan.aggregates.values())
    return NoiseKey.from_keys(keys) if has_noise and keys is not None else None


class Engine(Protocol):
    """Moves the batches of one source through a job: records to sinks, rejects to the quarantine, tallies to tables."""

    def __call__(self, job: Job, source: Source, sinks: SinkFactory | None, quarantine: QuarantineSink) -> BatchOutcome:
        """Run the job over one source (one batch date). No error contains a value."""
        ...
