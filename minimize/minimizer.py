"""`apply` and `prepare`: a policy over data in memory, the kind that comes in goes out.

There is no quarantine in memory: a record that lacks what the policy requires, or holds what must not arrive, is left out,
and the log says how many were, by code.
"""

from __future__ import annotations

import logging
import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from os import PathLike
from typing import Any, Protocol

import pyarrow as pa

from minimize.engines.base import Bound, Job, row_key
from minimize.engines.passes import passes, through, way_through
from minimize.engines.spill import spilled
from minimize.errors import ConfigurationError, KeyringError, each_quietly, without_values
from minimize.frames import decoded, way_back
from minimize.io.base import Source
from minimize.io.memory import Memory, MemorySource, memory
from minimize.io.prepared import as_prepared
from minimize.keys import Keyring, find_keyring
from minimize.plan import Plan, bind, request
from minimize.policy.load import load_policy
from minimize.policy.model import Policy
from minimize.policy.unapproved import check_approval
from minimize.settings import SettingsRows, load_settings
from minimize.spill import DEFAULT, Aside, find_budget
from minimize.stage import Batch
from minimize.stages.future import without_future
from minimize.stages.generalize import memos_of
from minimize.stages.release import Release
from minimize.stages.withheld import withheld, withheld_schema
from minimize.techniques.base import KeySource
from minimize.techniques.memo import Memo
from minimize.times import moment

log = logging.getLogger("minimize")
PathOrPolicy = Policy | str | PathLike[str]
Reading = Callable[[frozenset[str] | None], Iterator[pa.RecordBatch]]
"""Reads the good records, with no more than these fields where some are named."""
PathOrKeyring = Keyring | str | PathLike[str] | None


@without_values
def apply(
    policy: PathOrPolicy,
    data: Any,
    *,
    purpose: str | None = None,
    settings: Any = None,
    keys: PathOrKeyring = None,
    at: datetime | str | None = None,
) -> Any:
    """Data in memory as a policy lets it leave.

    Takes a policy or its path; pandas, pyarrow, Polars, DuckDB or anything with the Arrow PyCapsule interface; collection
    settings (a path, table or data frame; without them every feature is off); a keyring or its path; and the time of the run
    (aware; now where nothing is said). Without a purpose, fields that list purposes are dropped.
    Gives the kind of `data`, columns in the policy's order, rows in the order they came. A stream stays lazy: nothing is read
    before somebody asks. A `top` must see everything first; a stream is then gated and spilled to disk at the first question.
    Raises PolicyError, SchemaError, KeyringError, RefusedError, all before the first record is read.
    """
    loaded = _policy(policy)
    source = memory(data, request(loaded, purpose))
    return _bound(loaded, source.schema, purpose, settings, keys).through(source, data, at)


@without_values
def prepare(
    policy: PathOrPolicy,
    schema: Any,
    *,
    purpose: str | None = None,
    settings: Any = None,
    keys: PathOrKeyring = None,
) -> Minimizer:
    """A policy bound once, for a service that has many small batches of one schema.

    Takes what `apply` takes, and a pyarrow Schema (or data that has one). Gives a Minimizer, safe to call from many threads.
    """
    loaded = _policy(policy)
    bound = memory(schema.empty_table() if isinstance(schema, pa.Schema) else schema, request(loaded, purpose))
    return _bound(loaded, bound.schema, purpose, settings, keys)


class Rereadable(Source, Protocol):
    """A source that says whether it can be read more than once."""

    @property
    def again(self) -> bool:
        """Whether it can."""
        ...


@dataclass(frozen=True, slots=True, repr=False)
class Minimizer:
    """A policy bound to a schema, settings and keys; call it with a batch."""

    plan: Plan
    settings: SettingsRows | None
    keys: Keyring | None
    memos: Mapping[str, Memo] = field(default_factory=dict, repr=False)
    memory: int = DEFAULT
    bound: Prepared = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "bound", Prepared.of(self.plan, self.keys))

    def __repr__(self) -> str:
        return f"Minimizer({self.plan!r})"

    def _repr_html_(self) -> str:
        return self.plan._repr_html_()

    @without_values
    def __call__(self, batch: Any, at: datetime | str | None = None) -> Any:
        """The batch as the policy lets it leave, in the kind it came in.

        Takes columns in any order; any kind of string stands for another, encoded or not, and a column that holds nothing
        for any type. Raises SchemaError for another schema.
        """
        return self.through(as_prepared(self.bound.source(batch), self.plan.source), batch, at)

    def through(self, source: MemorySource, data: Any, at: datetime | str | None) -> Any:
        """What comes of a source, in the kind of `data`."""
        when = moment(at, "at") or datetime.now(UTC)
        settings = None if self.settings is None else self.settings.at(when)
        aside = Aside(self.memory)
        job = Job(self.plan, when, self.keys, settings, memos=self.memos, aside=aside, bound=self.bound.stages)
        return way_back(data)(self.bound.schema, each_quietly(_released(job, source, self.bound)))


@dataclass(frozen=True, slots=True)
class Prepared:
    """What stays from call to call.

    source   makes data a source of the policy's request
    stages   what the stages need of the plan; None where something must be settled first, call by call
    schema   what leaves, with the versions of the keys
    """

    source: Memory
    stages: Bound | None
    schema: pa.Schema
    release: Release

    @classmethod
    def of(cls, plan: Plan, keys: KeySource | None) -> Prepared:
        """What stays for a plan and a keyring."""
        schema = Job(plan, datetime.now(UTC), keys).records_schema
        source = Memory(request(plan.policy, plan.purpose))
        secret = row_key(keys if isinstance(keys, Keyring) else None)
        return cls(source, Bound.of(plan), schema, Release(plan, schema=schema, secret=secret))


def _released(job: Job, source: MemorySource, bound: Prepared) -> Iterator[pa.RecordBatch]:
    rejects: Counter[str] = Counter()
    for _, columns in releasing(job, source, bound, rejects):
        yield columns
    tell(rejects)


def releasing(
    job: Job, source: Rereadable, bound: Prepared, rejects: Counter[str]
) -> Iterator[tuple[Batch, pa.RecordBatch]]:
    """Each batch behind the stages, beside what of it may leave; their rows are the same. Counts what was left out."""
    with _passes(job, without_future(source, job.plan.policy, job.at), rejects) as records:
        stages = way_through(job, lambda names: [map(Batch, records(names))])
        rejects.clear()
        for batch in map(Batch, records(None)):
            done = through(stages, batch)
            yield done, decoded(bound.release.columns(done), bound.schema)


@contextmanager
def _passes(job: Job, source: Rereadable, rejects: Counter[str]) -> Iterator[Reading]:
    """A way to read the good records as often as the job needs; data that can be read only once is gated, then spilled."""
    if source.again or passes(job.plan) == 1:
        yield lambda names: _records(source if names is None else source.only(names), rejects)
        return
    gate = job.gate
    seen: Counter[str] = Counter()
    gated = (withheld(gate(Batch(records)), job.plan) for records in _records(source, seen))
    with spilled(gated, withheld_schema(source.schema, job.plan)) as again:
        yield lambda _: _counted(again(), seen, rejects)


def _records(source: Source, rejects: Counter[str]) -> Iterator[pa.RecordBatch]:
    for part in source.parts:
        for chunk in part.read():
            rejects.update(reject.code for reject in chunk.rejects)
            yield chunk.records


def _counted(records: Iterator[pa.RecordBatch], seen: Counter[str], rejects: Counter[str]) -> Iterator[pa.RecordBatch]:
    """The records of a spill, with what was left out when it was written."""
    rejects.update(seen)
    return records


def tell(rejects: Counter[str]) -> None:
    """Logs how many records were left out, by code."""
    if rejects:
        counted = ", ".join(f"{code} {count}" for code, count in sorted(rejects.items()))
        data = dict(sorted(rejects.items()))
        log.warning("%d records left out: %s", rejects.total(), counted, extra={"code": "W010", "data": data})


def _bound(policy: Policy, schema: pa.Schema, purpose: str | None, settings: Any, keys: PathOrKeyring) -> Minimizer:
    plan = bind(policy, schema, purpose=purpose)
    folder = None if policy.path is None else policy.path.parent
    check_approval(policy, folder)
    keyring = find_keyring(keys, folder)
    require_keys(plan, keyring)
    rows = None if settings is None else load_settings(settings).compared(policy.folding)
    return Minimizer(plan, rows, keyring, memos_of(plan), find_budget(folder))


def require_keys(plan: Plan, keyring: KeySource | None) -> None:
    """Raises KeyringError, before anything is read, where a key that the plan names is not there."""
    if keyring is None and plan.keys:
        names = ", ".join(sorted(plan.keys))
        raise KeyringError(
            f"no keyring, and the policy needs the key {names}", hint="give keys=FILE or set MINIMIZE_KEYS"
        )
    for name in sorted(plan.keys):
        if keyring is not None:
            keyring.bytes_of(name)


def _policy(policy: PathOrPolicy) -> Policy:
    if isinstance(policy, Policy):
        return policy
    if not isinstance(policy, str | PathLike):
        raise ConfigurationError(f"a {type(policy).__name__} is no policy", hint="give a policy or the path of one")
    return load_policy(os.fspath(policy))
