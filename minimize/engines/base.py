"""What an engine is given, what it gives back, and the protocol between."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Protocol, runtime_checkable

import pyarrow as pa

from minimize.aggregates.days import DayTally, Reach
from minimize.aggregates.table import AggregateResult
from minimize.consent.periods import ConsentPeriods
from minimize.io.base import Carried, Chunk, Reject, Sink, Source, Written
from minimize.io.elsewhere import Elsewhere
from minimize.io.undeclared import added
from minimize.keys import Keyring
from minimize.plan import Plan
from minimize.plan.schema import with_key_versions
from minimize.pointer import Pointer
from minimize.settings.base import Settings
from minimize.settings.erased import Erased
from minimize.spill import Aside, Hasher
from minimize.stage import Counts
from minimize.stages.chain import is_tally
from minimize.stages.corrected import Corrections
from minimize.stages.gate import Gate
from minimize.stages.gates import Gates
from minimize.stages.generalize import Fields, bound_fields
from minimize.techniques.base import KeySource
from minimize.techniques.memo import Memo


@dataclass(frozen=True, slots=True)
class Bound:
    """What the stages of a plan without tallies need, and what does not change from call to call."""

    gates: Gates
    fields: Fields

    @classmethod
    def of(cls, plan: Plan) -> Bound | None:
        """The plan bound; None for one with a tally, whose fields are bound when it has settled."""
        tallies = any(is_tally(step) for field in plan.fields.values() for step in field.steps)
        return None if tallies else cls(Gates.of(plan), bound_fields(plan, {}, frozenset()))


@dataclass(frozen=True)
class Job:
    """A plan bound to keys, settings and a time.

    memos    per field with a key, pseudonyms that were computed before
    reach    per aggregate that waits for late rows, the event days that wait for this batch
    bound    the stages' part that depends on the plan alone, where somebody has worked it out before
    row_key  secret bytes for the last tie between rows that agree in everything else
    sketch_key  secret bytes for contribution sketches; without them none are made
    aside    the memory that tallies may take, and where they put what does not fit
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
    memos: Mapping[str, Memo] = field(default_factory=dict, repr=False)
    reach: Mapping[str, Reach] = field(default_factory=dict)
    aside: Aside = field(default_factory=Aside, repr=False)
    bound: Bound | None = field(default=None, repr=False)
    erased: Erased | None = field(default=None, repr=False)
    corrected: Corrections | None = field(default=None, repr=False)
    consents: ConsentPeriods | None = field(default=None, repr=False)

    @property
    def gate(self) -> Gate:
        """The first stage of every pass."""
        bound = None if self.bound is None else self.bound.gates
        return Gate(self.plan, self.settings, self.at, bound, self.erased, self.corrected, self.consents)

    @property
    def sketch_hasher(self) -> Hasher | None:
        """The keyed hash for contribution sketches."""
        return Hasher(self.sketch_key) if self.sketch_key else None

    @cached_property
    def records_schema(self) -> pa.Schema:
        """The schema of the records output, with the version of every key that was used."""
        return self.output_schema("records")

    def output_schema(self, name: str) -> pa.Schema:
        """The schema of an output, with the version of every key that was used."""
        names = self.plan.keys if self.keys is not None else ()
        versions = {name: self.keys.version_of(name) for name in names if self.keys is not None}
        return with_key_versions(self.plan.outputs[name].schema, versions)


class Quarantine(Protocol):
    """Takes what could not be processed."""

    def write(self, source: str, rejects: Iterable[Reject]) -> None:
        """Takes the rejects of one part."""
        ...


@dataclass(slots=True)
class Outcome:
    """What came of one batch date; outcomes of several workers add up.

    aggregates  the tables of those that are complete with the batch
    late        the tallies of those that wait for rows of other batches
    stays       those whose table in force stays as it is
    """

    read: int = 0
    written: int = 0
    rejects: Counter[str] = field(default_factory=Counter)
    undeclared: dict[Pointer, Carried] = field(default_factory=dict, repr=False)
    counts: Counts = field(default_factory=Counts)
    rows_by_part: Counter[str] = field(default_factory=Counter)
    aggregates: Mapping[str, AggregateResult] = field(default_factory=dict, repr=False)
    late: Mapping[str, DayTally] = field(default_factory=dict, repr=False)
    stays: tuple[str, ...] = ()

    def take(self, part: str, chunk: Chunk) -> None:
        """Takes note of what was read of a part."""
        self.read += chunk.read
        self.rows_by_part[part] += chunk.read
        self.rejects.update(reject.code for reject in chunk.rejects)
        self._carry(chunk.undeclared)

    def add(self, other: Outcome) -> None:
        """Takes in what came of other parts."""
        self.read += other.read
        self.written += other.written
        self.rejects.update(other.rejects)
        self._carry(other.undeclared)
        self.counts += other.counts
        self.rows_by_part.update(other.rows_by_part)

    def _carry(self, undeclared: Mapping[Pointer, Carried]) -> None:
        if undeclared:
            self.undeclared = added([self.undeclared, undeclared])


Sinks = Callable[[int], Sink]
"""Opens the sink of a share, by its number; called before any of them is written to."""


@runtime_checkable
class Abroad(Protocol):
    """Sinks, or a quarantine, to which other processes write, too."""

    def elsewhere(self) -> Elsewhere | None:
        """Where they write; None where they cannot."""
        ...

    def take(self, attempt: str, written: Iterable[Written]) -> None:
        """Takes in the files that an attempt reported."""
        ...


class Unkept:
    """A quarantine for a second look at a batch: what cannot be processed was told the first time."""

    def write(self, source: str, rejects: Iterable[Reject]) -> None:
        """Lets the rejects go."""

    def elsewhere(self) -> Elsewhere | None:
        """Nowhere."""
        return None

    def take(self, attempt: str, written: Iterable[Written]) -> None:
        """Takes nothing in: nothing was written."""


def row_key(keys: Keyring | None) -> bytes:
    """Secret bytes for the last tie between rows that agree in everything else."""
    return b"" if keys is None else keys.subkey("subject", "rows")


def sketch_key(keys: Keyring | None) -> bytes:
    """Secret bytes for contribution sketches: of the first version of the key, so that those of all nights can be compared."""
    if keys is None:
        return b""
    versions = [each.version for each in keys.listing() if each.name == "subject" and each.destroyed is None]
    return keys.subkey("subject", "contributions", min(versions, default=None))


class Engine(Protocol):
    """Moves the batches of one source through a job: records to sinks, rejects to the quarantine, tallies to tables."""

    def __call__(self, job: Job, source: Source, sinks: Sinks | None, quarantine: Quarantine) -> Outcome:
        """Runs the job over one source (one batch date). Raises nothing that carries a value."""
        ...
