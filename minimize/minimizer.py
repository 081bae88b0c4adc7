"""`apply` and `prepare`: a policy over data in memory, the kind that comes in goes out.

There is no quarantine in memory: a record that lacks what the policy requires, or holds what must not arrive, is left out. Once
per call the log says how many rows were not returned, by reason; an `Account` has the counts.
"""

from __future__ import annotations

import logging
import os
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from os import PathLike
from types import MappingProxyType
from typing import Any, Final, Protocol

import pyarrow as pa

from minimize.consent import ConsentPeriods
from minimize.engines.base import Bound, Job, row_key
from minimize.engines.passes import passes, through, way_through
from minimize.engines.spill import spilled
from minimize.errors import ConfigurationError, KeyringError, SchemaError, each_quietly, without_values
from minimize.frames import decoded, way_back
from minimize.io.base import Source
from minimize.io.memory import Memory, MemorySource, memory
from minimize.io.prepared import as_prepared
from minimize.keys import Keyring, find_keyring
from minimize.plan import Plan, bind, request
from minimize.plan.request import needed_fields
from minimize.policy.load import load_policy
from minimize.policy.model import Policy
from minimize.policy.unapproved import check_approval
from minimize.settings import SettingsRows, load_settings
from minimize.settings.erased import Erased
from minimize.settings.ledger_erasures import LedgerErasures, find_erasures
from minimize.spill import DEFAULT, Aside, find_budget
from minimize.stage import Batch, Counts
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


GATED: Final = ("setting", "condition", "retention", "erased")
CONSENT: Final = "consent"
"""Why rows are gated, as receipts name it. Consent is asked only of what a third party sent."""


@dataclass(slots=True)
class Tally:
    """The rows of a call, counted as batches pass."""

    read: int = 0
    returned: int = 0
    deduplicated: int = 0
    gated: Counter[str] = field(default_factory=Counter)
    left_out: Counter[str] = field(default_factory=Counter)
    complete: bool = False

    def clear(self) -> None:
        """Counts from the beginning, for the pass that returns rows."""
        self.read = self.returned = self.deduplicated = 0
        self.gated.clear()
        self.left_out.clear()

    def add(self, other: Tally) -> None:
        """Takes in what was counted when the rows were spilled."""
        self.read += other.read
        self.gated.update(other.gated)
        self.left_out.update(other.left_out)

    def take(self, counts: Counts, returned: int) -> None:
        """Takes in a batch behind the stages."""
        self.deduplicated += counts.deduplicated
        self.returned += returned
        self.gated.update(counts.gated)


@dataclass(frozen=True, repr=False)
class Account:
    """What became of the rows of one call. Of a stream it is complete once the stream was read to its end.

    `read` is the sum of `returned`, `gated`, `left_out` and `deduplicated`. No values.
    """

    _tally: Tally = field(repr=False)

    @property
    def complete(self) -> bool:
        """Whether all rows are counted."""
        return self._tally.complete

    @property
    def read(self) -> int:
        """Rows that came in."""
        return self._tally.read

    @property
    def returned(self) -> int:
        """Rows that were returned."""
        return self._tally.returned

    @property
    def gated(self) -> Mapping[str, int]:
        """Rows that may not be collected, by reason: `setting`, `condition`, `retention`, `erased`; and `consent`, if any."""
        reasons = (*GATED, CONSENT) if CONSENT in self._tally.gated else GATED
        return MappingProxyType({reason: self._tally.gated.get(reason, 0) for reason in reasons})

    @property
    def left_out(self) -> Mapping[str, int]:
        """Rows that a run would quarantine, by code: `missing_field`, `forbidden_field`, `future_time` …"""
        others = {reason: rows for reason, rows in self._tally.gated.items() if reason not in (*GATED, CONSENT)}
        return MappingProxyType(dict(sorted((self._tally.left_out + Counter(others)).items())))

    @property
    def deduplicated(self) -> int:
        """Rows that were left out as duplicates."""
        return self._tally.deduplicated

    @property
    def not_returned(self) -> Mapping[str, int]:
        """Rows that were not returned, by reason or code; only those that there were."""
        reasons = {**self.gated, **self.left_out, "deduplicated": self.deduplicated}
        return MappingProxyType({reason: rows for reason, rows in reasons.items() if rows})

    def as_json(self) -> dict[str, Any]:
        """The account as a JSON object."""
        return {
            "read": self.read,
            "returned": self.returned,
            "gated": dict(self.gated),
            "left_out": dict(self.left_out),
            "deduplicated": self.deduplicated,
            "complete": self.complete,
        }

    def __repr__(self) -> str:
        reasons = "".join(f", {reason}={rows}" for reason, rows in self.not_returned.items())
        return f"Account(read={self.read}, returned={self.returned}{reasons}, complete={self.complete})"


@without_values
def apply(
    policy: PathOrPolicy,
    data: Any,
    *,
    purpose: str | None = None,
    settings: Any = None,
    keys: PathOrKeyring = None,
    at: datetime | str | None = None,
    ledger: str | PathLike[str] | None = None,
    account: bool = False,
) -> Any:
    """Data in memory as a policy lets it leave.

    Takes a policy or its path; pandas, pyarrow, Polars, DuckDB or anything with the Arrow PyCapsule interface; collection
    settings (a path, table or data frame; without them every feature is off); a keyring or its path; the time of the run (aware;
    now where nothing is said); and the ledger whose erasure list is honoured (else MINIMIZE_LEDGER, else that of the
    configuration next to the policy). Without a purpose, fields that list purposes are dropped.
    Gives the kind of `data`, columns in the policy's order, rows in the order they came; with `account` a pair of that and an
    `Account` of the rows. A stream stays lazy: nothing is read before somebody asks. A `top` must see everything first; a stream
    is then gated and spilled to disk at the first question.
    Raises PolicyError, SchemaError, KeyringError, LedgerError, RefusedError, all before the first record is read.
    """
    bound, source = bound_to(_policy(policy), data, purpose, settings, keys, ledger)
    released = bound.through(source, data, at)
    return (released, bound.last) if account else released


@without_values
def prepare(
    policy: PathOrPolicy,
    schema: Any,
    *,
    purpose: str | None = None,
    settings: Any = None,
    keys: PathOrKeyring = None,
    ledger: str | PathLike[str] | None = None,
) -> Minimizer:
    """A policy bound once, for a service that has many small batches of one schema.

    Takes what `apply` takes, and a pyarrow Schema (or data that has one). The erasure list is read again at most once a minute.
    Gives a Minimizer, safe to call from many threads; its `last` is the account of the last call in a thread.
    """
    empty = schema.empty_table() if isinstance(schema, pa.Schema) else schema
    return bound_to(_policy(policy), empty, purpose, settings, keys, ledger)[0]


class Rereadable(Source, Protocol):
    """A source that says whether it can be read more than once."""

    @property
    def again(self) -> bool:
        """Whether it can."""
        ...


@dataclass(frozen=True, slots=True, repr=False)
class Minimizer:
    """A policy bound to a schema, settings, keys and an erasure list; call it with a batch."""

    plan: Plan
    settings: SettingsRows | None
    keys: Keyring | None
    memos: Mapping[str, Memo] = field(default_factory=dict, repr=False)
    memory: int = DEFAULT
    erasures: LedgerErasures | None = field(default=None, repr=False)
    also: frozenset[str] = field(default=frozenset(), repr=False)
    bound: Prepared = field(init=False, repr=False)
    _thread: threading.local = field(init=False, repr=False, default_factory=threading.local)

    def __post_init__(self) -> None:
        object.__setattr__(self, "bound", Prepared.of(self.plan, self.keys, self.also))

    def __repr__(self) -> str:
        return f"Minimizer({self.plan!r})"

    def _repr_html_(self) -> str:
        return self.plan._repr_html_()

    @property
    def last(self) -> Account | None:
        """The account of the last call in this thread; None before the first one."""
        return getattr(self._thread, "account", None)

    @without_values
    def __call__(self, batch: Any, at: datetime | str | None = None) -> Any:
        """The batch as the policy lets it leave, in the kind it came in.

        Takes columns in any order; any kind of string stands for another, encoded or not, and a column that holds nothing
        for any type. Raises SchemaError for another schema, LedgerError if the erasure list cannot be read.
        """
        return self.through(as_prepared(self.bound.source(batch), self.plan.source), batch, at)

    def through(
        self, source: MemorySource, data: Any, at: datetime | str | None, consents: ConsentPeriods | None = None
    ) -> Any:
        """What comes of a source, in the kind of `data`. With consents, only what tenants agreed to."""
        tally, job = Tally(), self.job(moment(at, "at") or datetime.now(UTC), consents)
        self._thread.account = Account(tally)
        return way_back(data)(self.bound.schema, each_quietly(_released(job, source, self.bound, tally)))

    def job(self, when: datetime, consents: ConsentPeriods | None = None) -> Job:
        """The job of a call as of a time."""
        return Job(
            self.plan,
            when,
            self.keys,
            None if self.settings is None else self.settings.at(when),
            memos=self.memos,
            aside=Aside(self.memory),
            bound=self.bound.stages,
            erased=self._erased(when),
            consents=consents,
        )

    def _erased(self, when: datetime) -> Erased | None:
        """Whose records must not come back. Raises SchemaError if a field that names them is not read."""
        if self.erasures is None:
            return None
        unread = sorted(self.erasures.fields & self.plan.policy.fields.keys() - self.bound.also)
        if unread:
            message = f"an erasure names subjects by {', '.join(unread)}, which was not prepared"
            raise SchemaError(message, hint="prepare again")
        return self.erasures.at(when)


@dataclass(frozen=True, slots=True)
class Prepared:
    """What stays from call to call.

    source   makes data a source of the policy's request
    stages   what the stages need of the plan; None where something must be settled first, call by call
    schema   what leaves, with the versions of the keys
    also     fields that are read to know whose a record is
    """

    source: Memory
    stages: Bound | None
    schema: pa.Schema
    release: Release
    also: frozenset[str] = frozenset()

    @classmethod
    def of(cls, plan: Plan, keys: KeySource | None, also: frozenset[str] = frozenset()) -> Prepared:
        """What stays for a plan and a keyring."""
        schema = Job(plan, datetime.now(UTC), keys).records_schema
        source = Memory(request(plan.policy, plan.purpose, None, also))
        secret = row_key(keys if isinstance(keys, Keyring) else None)
        return cls(source, Bound.of(plan), schema, Release(plan, schema=schema, secret=secret), also)


def _released(job: Job, source: MemorySource, bound: Prepared, tally: Tally) -> Iterator[pa.RecordBatch]:
    for _, columns in releasing(job, source, bound, tally):
        yield columns
    tally.complete = True
    tell(Account(tally).not_returned)


def releasing(job: Job, source: Rereadable, bound: Prepared, tally: Tally) -> Iterator[tuple[Batch, pa.RecordBatch]]:
    """Each batch behind the stages, beside what of it may leave; their rows are the same. Counts all rows."""
    with _passes(job, without_future(source, job.plan.policy, job.at), bound.also, tally) as records:
        stages = way_through(job, lambda names: [map(Batch, records(names))])
        tally.clear()
        for batch in map(Batch, records(None)):
            done = through(stages, batch)
            tally.take(done.counts, done.raw.num_rows)
            yield done, decoded(bound.release.columns(done), bound.schema)


@contextmanager
def _passes(job: Job, source: Rereadable, also: frozenset[str], tally: Tally) -> Iterator[Reading]:
    """A way to read the good records as often as the job needs; data that can be read only once is gated, then spilled."""
    if source.again or passes(job.plan) == 1:
        yield lambda names: _records(source if names is None else source.only(names), tally)
        return
    seen, plan = Tally(), _without(job.plan, also)
    with spilled(_gated(job, source, plan, seen), withheld_schema(source.schema, plan)) as again:
        yield lambda _: _counted(again(), seen, tally)


def _without(plan: Plan, also: frozenset[str]) -> Plan:
    """The plan without fields that only tell whose a record is: once erased subjects are gated, nobody reads them."""
    policy, kept = plan.policy, needed_fields(plan.policy, plan.purpose)
    fields = {key: each for key, each in policy.fields.items() if key in kept or key not in also}
    return replace(plan, policy=policy.model_copy(update={"fields": fields})) if also else plan


def _gated(job: Job, source: Source, plan: Plan, seen: Tally) -> Iterator[pa.RecordBatch]:
    """The records that may be collected, for a spill."""
    gate = job.gate
    for records in _records(source, seen):
        batch = gate(Batch(records))
        seen.gated.update(batch.counts.gated)
        yield withheld(batch, plan)


def _records(source: Source, tally: Tally) -> Iterator[pa.RecordBatch]:
    for part in source.parts:
        for chunk in part.read():
            tally.read += chunk.read
            tally.left_out.update(reject.code for reject in chunk.rejects)
            yield chunk.records


def _counted(records: Iterator[pa.RecordBatch], seen: Tally, tally: Tally) -> Iterator[pa.RecordBatch]:
    """The records of a spill, with what was counted when it was written."""
    tally.add(seen)
    return records


def tell(reasons: Mapping[str, int]) -> None:
    """Logs how many records were not returned, by reason or code."""
    if reasons:
        counted = ", ".join(f"{reason} {rows}" for reason, rows in sorted(reasons.items()))
        data = dict(sorted(reasons.items()))
        log.warning("%d records left out: %s", sum(data.values()), counted, extra={"code": "W010", "data": data})


def bound_to(
    policy: Policy,
    data: Any,
    purpose: str | None,
    settings: Any,
    keys: PathOrKeyring,
    ledger: str | PathLike[str] | None,
) -> tuple[Minimizer, MemorySource]:
    """A policy bound to data, and the data as its source. Data that can be read only once is opened once."""
    folder = None if policy.path is None else policy.path.parent
    keyring = find_keyring(keys, folder)
    erasures = find_erasures(ledger, folder, keyring, policy.future)
    also = frozenset() if erasures is None else _naming(policy) | (erasures.fields & policy.fields.keys())
    source = memory(data, request(policy, purpose, None, also))
    plan = bind(policy, source.schema, purpose=purpose)
    check_approval(policy, folder)
    require_keys(plan, keyring)
    rows = None if settings is None else load_settings(settings).compared(policy.folding)
    return Minimizer(plan, rows, keyring, memos_of(plan), find_budget(folder), erasures, also), source


def _naming(policy: Policy) -> frozenset[str]:
    """The fields by which a later erasure may name a subject."""
    return frozenset(key for key, each in policy.fields.items() if each.role == "identifier" and not each.from_)


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
