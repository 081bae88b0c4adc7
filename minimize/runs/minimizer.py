"""`apply` and `prepare`: a policy applied to data in memory. The result has the type of the input.

There is no quarantine in memory. A record without a required field or with a forbidden one is dropped. The log states once per
call how many rows were not returned, by reason; `RowCounts` has the counts.
"""

from __future__ import annotations

import logging
import os
import threading
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from os import PathLike
from types import MappingProxyType
from typing import Any, Final, Protocol

import pyarrow as pa

from minimize.arrow.interchange import decode_batch, has_row_labels, native_converter
from minimize.consent import ConsentPeriods
from minimize.engines.base import BoundPlan, Job, derive_row_key
from minimize.engines.passes import count_passes, run_stages, settle_stages
from minimize.errors import ConfigurationError, KeyringError, SchemaError, iterate_redacted, redact_errors
from minimize.keys import Keyring, find_keyring
from minimize.keys.keyring import NOISE_KEY
from minimize.plan import Plan, bind, request
from minimize.plan.request import needed_fields
from minimize.policy.approval import check_approval
from minimize.policy.fields import all_fields_named, fields_named
from minimize.policy.load import load_policy, policy_from_mapping
from minimize.policy.model import Policy
from minimize.records import Batch, BatchCounts
from minimize.results import JsonResult
from minimize.settings import SettingsRows, load_settings
from minimize.settings.erasures import Erasures, LedgerErasures, find_erasures
from minimize.sources.base import Source
from minimize.sources.memory import MemorySource, MemorySourceFactory, match_prepared_schema, memory_source
from minimize.spill import DEFAULT_MEMORY, SpillSpace, find_budget
from minimize.stages.generalize import Release, empty_memos
from minimize.stages.raw_values import mask_closed_values, masked_schema, spill_records
from minimize.stages.record_limits import reject_future
from minimize.stores import PathText
from minimize.techniques.base import KeySource
from minimize.techniques.cache import TechniqueCache
from minimize.times import EPOCH, Clock, parse_time, utc_now

log = logging.getLogger("minimize")
PathOrPolicy = Policy | Mapping[str, Any] | PathText
ReadRecords = Callable[[frozenset[str] | None], Iterator[pa.RecordBatch]]
"""Reads the valid records; with only these fields if a set is passed."""
PathOrKeyring = Keyring | PathText | None


GATE_REASONS: Final = ("setting", "condition", "retention", "erased")
OPTIONAL_REASONS: Final = ("restricted", "consent")
"""Reasons that are listed only if they gated a row. Consent applies only to data that a third party sent."""


@dataclass(slots=True)
class RowTally:
    """The rows of a call, counted batch by batch."""

    read: int = 0
    returned: int = 0
    deduplicated: int = 0
    gated: Counter[str] = field(default_factory=Counter)
    left_out: Counter[str] = field(default_factory=Counter)
    complete: bool = False

    def clear(self) -> None:
        """Resets the counts before the pass that returns rows."""
        self.read = self.returned = self.deduplicated = 0
        self.gated.clear()
        self.left_out.clear()

    def add(self, tally: RowTally) -> None:
        """Adds the counts of rows that were spilled."""
        self.read += tally.read
        self.gated.update(tally.gated)
        self.left_out.update(tally.left_out)

    def take(self, counts: BatchCounts, returned: int) -> None:
        """Counts a batch that has passed the stages."""
        self.deduplicated += counts.deduplicated
        self.returned += returned
        self.gated.update(counts.gated)


@dataclass(frozen=True, repr=False)
class RowCounts(JsonResult):
    """Counts of the rows of one call: rows are not returned without a reason. It contains no values.

    `read` is the sum of `returned`, `gated`, `quarantined` and `deduplicated`. A stream is counted while it is read: the counts
    are complete after it was read to its end.

    Example:
        >>> import minimize
        >>> import pyarrow as pa
        >>> fields = {"model": {"type": "string", "do": "keep"}, "id": {"type": "string", "required": True, "do": "drop"}}
        >>> policy = {"policy": "p", "version": 1, "purposes": ["operations"], "fields": fields}
        >>> data = pa.table({"model": ["Nexus 5X", "Nexus 6"], "id": ["d-4711", None]})
        >>> released, counts = minimize.apply(policy, data, counts=True)
        >>> counts.read, counts.returned, dict(counts.quarantined)
        (2, 1, {'missing_field': 1})
    """

    _tally: RowTally = field(repr=False)
    _positions: Sequence[pa.Array] | None = field(default=None, repr=False, compare=False)
    json_names = "read returned gated quarantined deduplicated complete"

    @property
    def positions(self) -> pa.Int64Array | None:
        """For a pandas data frame, the position (int64, from 0) of each returned row, so that `frame.iloc[account.positions]` has
        the same rows. None for other data."""
        return None if self._positions is None else pa.chunked_array(self._positions, pa.int64()).combine_chunks()

    @property
    def complete(self) -> bool:
        """Whether all rows are counted."""
        return self._tally.complete

    @property
    def read(self) -> int:
        """Rows that were read."""
        return self._tally.read

    @property
    def returned(self) -> int:
        """Rows that were returned."""
        return self._tally.returned

    @property
    def gated(self) -> Mapping[str, int]:
        """Rows that may not be collected, by reason: `setting`, `condition`, `retention`, `erased`; and if there are any,
        `restricted` and `consent`."""
        reasons = (*GATE_REASONS, *(reason for reason in OPTIONAL_REASONS if reason in self._tally.gated))
        return MappingProxyType({reason: self._tally.gated.get(reason, 0) for reason in reasons})

    @property
    def quarantined(self) -> Mapping[str, int]:
        """Rows that a run would quarantine, by code: `missing_field`, `forbidden_field`, `future_time` …"""
        others = {
            reason: rows
            for reason, rows in self._tally.gated.items()
            if reason not in (*GATE_REASONS, *OPTIONAL_REASONS)
        }
        return MappingProxyType(dict(sorted((self._tally.left_out + Counter(others)).items())))

    @property
    def left_out(self) -> Mapping[str, int]:
        """The former name of `quarantined`."""
        _warn_of_former("left_out", "quarantined")
        return self.quarantined

    @property
    def deduplicated(self) -> int:
        """Rows that were dropped as duplicates."""
        return self._tally.deduplicated

    @property
    def not_returned(self) -> Mapping[str, int]:
        """Rows that were not returned, by reason or code; without zero counts."""
        reasons = {**self.gated, **self.quarantined, "deduplicated": self.deduplicated}
        return MappingProxyType({reason: rows for reason, rows in reasons.items() if rows})

    def to_json(self) -> dict[str, Any]:
        """The counts. `left_out` has those of `quarantined`, whose former name it is."""
        return {**super().to_json(), "left_out": dict(self.quarantined)}

    def __repr__(self) -> str:
        reasons = "".join(f", {reason}={rows}" for reason, rows in self.not_returned.items())
        return f"RowCounts(read={self.read}, returned={self.returned}{reasons}, complete={self.complete})"


@redact_errors
def apply(
    policy: PathOrPolicy,
    data: Any,
    *,
    purpose: str | None = None,
    settings: Any = None,
    keys: PathOrKeyring = None,
    at: datetime | str | None = None,
    ledger: PathText | None = None,
    counts: bool = False,
    account: bool | None = None,
) -> Any:
    """Applies a policy to data in memory.

    A value whose collection is off becomes null, and so does a value that its technique cannot treat. A null stays null. What can
    still be learned about a value depends on its technique: `make_plan` shows the residual of each field. Errors are raised
    before the first record is read.

    Args:
        policy: A policy, the path of its file, or a mapping with the keys of a file.
        data: pandas, pyarrow, Polars, DuckDB, or anything with the Arrow PyCapsule interface. Only the fields of the policy are
            read.
        purpose: The purpose of the call. Without one, fields that list purposes are dropped.
        settings: The collection settings: a path, a table or a data frame. Without them, every feature is off.
        keys: A keyring or its path (default: `MINIMIZE_KEYS`, else that of the configuration next to the policy).
        at: The time of the call, with a time zone, as text (ISO 8601) or datetime (default: now). It decides on settings,
            retention and ages.
        ledger: The ledger whose erasure list applies (default: `MINIMIZE_LEDGER`, else the one in the configuration next to the
            policy).
        counts: Whether to return the counts of the rows as well.
        account: The former name of `counts`.

    Returns:
        Data of the type of `data`, with columns in the policy's order and rows in their original order. With `counts`, a pair of
        the data and the `RowCounts`. A stream stays lazy: nothing is read before you read from it. A `top` needs all rows first,
        so the stream is gated and spilled to disk, encrypted, at the first read.

    Raises:
        PolicyError: The policy has faults.
        SchemaError: A field is missing in the data, or has a type that its technique does not take.
        KeyringError: A technique needs a key that the keyring does not have.
        LedgerError: The erasure list cannot be read.
        RefusedError: The configuration requires an approved policy, and this one is not approved.

    Example:
        >>> import minimize
        >>> import pyarrow as pa
        >>> fields = {
        ...     "ip": {"type": "string", "do": {"truncate_ip": {"v4": 24}}},
        ...     "model": {"type": "string", "do": "keep"},
        ...     "email": {"type": "string", "do": "drop"},
        ... }
        >>> policy = {"policy": "devices", "version": 1, "purposes": ["operations"], "fields": fields}
        >>> data = pa.table({"email": ["ann@example.com"], "ip": ["203.0.113.7"], "model": ["Nexus 5X"]})
        >>> minimize.apply(policy, data).to_pylist()
        [{'ip': '203.0.113.0', 'model': 'Nexus 5X'}]
    """
    bound, source = bind_to_data(_load_policy(policy), data, purpose, settings, keys, ledger)
    released = bound.run_source(source, data, at)
    if account is not None:
        _warn_of_former("account", "counts")
    return (released, bound.last) if counts or account else released


def _warn_of_former(former: str, current: str) -> None:
    """Warns the caller of the function, and of `redact_errors` around it."""
    warnings.warn(f"`{former}` is now `{current}`", DeprecationWarning, stacklevel=4)


@redact_errors
def prepare(
    policy: PathOrPolicy,
    schema: Any,
    *,
    purpose: str | None = None,
    settings: Any = None,
    keys: PathOrKeyring = None,
    ledger: PathText | None = None,
) -> Minimizer:
    """Binds a policy once, for a service that has many small batches of one schema.

    The files of the policy and the settings are read once. The erasure list is read again at most once a minute.

    Args:
        policy: As for `apply`.
        schema: A pyarrow Schema, or data that has one.
        purpose: As for `apply`.
        settings: As for `apply`.
        keys: As for `apply`.
        ledger: As for `apply`.

    Returns:
        A `Minimizer`: call it with each batch. It is safe to call from many threads.

    Raises:
        PolicyError: The policy has faults.
        SchemaError: A field is missing in the schema, or has a type that its technique does not take.
        KeyringError: A technique needs a key that the keyring does not have.
        LedgerError: The erasure list cannot be read.
        RefusedError: The configuration requires an approved policy, and this one is not approved.

    Example:
        >>> import minimize
        >>> import pyarrow as pa
        >>> fields = {"version": {"type": "string", "do": {"truncate_version": {"parts": 2}}}}
        >>> policy = {"policy": "devices", "version": 1, "purposes": ["operations"], "fields": fields}
        >>> minimizer = minimize.prepare(policy, pa.schema([("version", pa.string())]))
        >>> minimizer(pa.table({"version": ["10.0.19045", None]})).to_pylist()
        [{'version': '10.0'}, {'version': None}]
    """
    empty = schema.empty_table() if isinstance(schema, pa.Schema) else schema
    return bind_to_data(_load_policy(policy), empty, purpose, settings, keys, ledger)[0]


class RereadableSource(Source, Protocol):
    """A source that states whether it can be read more than once."""

    @property
    def is_rereadable(self) -> bool:
        """Whether the source can be read more than once."""
        ...


@dataclass(frozen=True, repr=False)
class Minimizer:
    """A policy bound to a schema, settings, keys and an erasure list. Make one with `prepare`, and call it with each batch.

    Example:
        >>> import minimize
        >>> import pyarrow as pa
        >>> fields = {"battery": {"type": "double", "do": {"bin": {"width": 10}}}}
        >>> policy = {"policy": "devices", "version": 1, "purposes": ["operations"], "fields": fields}
        >>> minimizer = minimize.prepare(policy, pa.schema([("battery", pa.float64())]))
        >>> minimizer(pa.table({"battery": [87.0]})).to_pylist()
        [{'battery': 80.0}]
        >>> minimizer.last.returned
        1
    """

    plan: Plan
    settings: SettingsRows | None
    keys: Keyring | None
    bound: PreparedPolicy = field(repr=False)
    memos: Mapping[str, TechniqueCache] = field(default_factory=dict, repr=False)
    memory: int = DEFAULT_MEMORY
    erasures: LedgerErasures | None = field(default=None, repr=False)
    also: frozenset[str] = field(default=frozenset(), repr=False)
    clock: Clock = field(default=utc_now, repr=False)
    _thread: threading.local = field(init=False, repr=False, default_factory=threading.local)

    def __repr__(self) -> str:
        return f"Minimizer({self.plan!r})"

    def _repr_html_(self) -> str:
        return self.plan._repr_html_()

    @property
    def last(self) -> RowCounts | None:
        """The `RowCounts` of the last call in this thread: counts of its rows. None before the first call."""
        return getattr(self._thread, "account", None)

    @redact_errors
    def __call__(self, batch: Any, at: datetime | str | None = None) -> Any:
        """Applies the policy to a batch.

        Args:
            batch: Data as for `apply`, with the columns of the bound schema in any order. Any string type is accepted for
                another, dictionary-encoded or not, and a column of nulls is accepted for any type.
            at: The time of the call, with a time zone (default: now).

        Returns:
            Data of the type of `batch`, as `apply` returns it.

        Raises:
            SchemaError: The batch has another schema.
            LedgerError: The erasure list cannot be read.
        """
        return self.run_source(match_prepared_schema(self.bound.source(batch), self.plan.source), batch, at)

    def run_source(
        self, source: MemorySource, data: Any, at: datetime | str | None, consents: ConsentPeriods | None = None
    ) -> Any:
        """The result for a source, in the type of `data`. With consents, only rows that tenants consented to."""
        tally, job = RowTally(), self.job(parse_time(at, "at") or self.clock(), consents)
        positions: list[pa.Array] | None = [] if has_row_labels(data) else None
        self._thread.account = RowCounts(tally, positions)
        batches = iterate_redacted(_released_batches(job, source, self.bound, tally, positions))
        return native_converter(data)(self.bound.schema, batches)

    def job(self, when: datetime, consents: ConsentPeriods | None = None) -> Job:
        """The job of a call as of a time."""
        return Job(
            self.plan,
            when,
            self.keys,
            None if self.settings is None else self.settings.effective_at(when),
            memos=self.memos,
            space=SpillSpace(self.memory),
            bound=self.bound.stages,
            erased=self._erased(when),
            consents=consents,
        )

    def _erased(self, when: datetime) -> Erasures | None:
        """The subjects whose records must not be returned. Raises SchemaError if a field that names them is not read."""
        if self.erasures is None:
            return None
        unread = sorted(all_fields_named(self.plan.policy, self.erasures.names) - self.bound.also)
        if unread:
            message = f"an erasure names subjects by {', '.join(unread)}, which this Minimizer does not read"
            raise SchemaError(message, hint="Call `prepare` again.")
        return self.erasures.effective_at(when)


@dataclass(frozen=True, slots=True)
class PreparedPolicy:
    """The state that does not change between calls."""

    source: MemorySourceFactory
    """Turns data into a source for the policy's request."""
    stages: BoundPlan | None
    """The stages of the plan; None if the plan has a computation that needs all rows of a call."""
    schema: pa.Schema
    """The schema of the result, with the key versions."""
    release: Release
    also: frozenset[str] = frozenset()
    """Fields that are read only to identify the subjects of records."""

    @classmethod
    def from_plan(
        cls,
        plan: Plan,
        keys: KeySource | None,
        also: frozenset[str] = frozenset(),
        *,
        counts: bool = True,
        erased_by: frozenset[str] = frozenset(),
    ) -> PreparedPolicy:
        """The state for a plan and a keyring. `counts` says whether the outcomes of each field are counted.

        Fields of `also` may be absent from data unless `erased_by` names them.
        """
        schema = Job(plan, EPOCH, keys).records_schema
        source = MemorySourceFactory(request(plan.policy, plan.purpose, None, also, erased_by=erased_by))
        secret = derive_row_key(keys if isinstance(keys, Keyring) else None)
        stages, release = BoundPlan.from_plan(plan, counts=counts), Release(plan, schema=schema, secret=secret)
        return cls(source, stages, schema, release, also)


def _released_batches(
    job: Job, source: MemorySource, bound: PreparedPolicy, tally: RowTally, positions: list[pa.Array] | None = None
) -> Iterator[pa.RecordBatch]:
    """The released batches; the positions of their rows in the data are appended to `positions`."""
    for batch, columns in release_batches(job, source, bound, tally, is_numbered=positions is not None):
        if positions is not None:
            positions.append(batch.raw.column(_POSITION))
        yield columns
    tally.complete = True
    if tally.returned < tally.read:
        log_left_out(RowCounts(tally).not_returned)


def release_batches(
    job: Job, source: RereadableSource, bound: PreparedPolicy, tally: RowTally, *, is_numbered: bool = False
) -> Iterator[tuple[Batch, pa.RecordBatch]]:
    """Each batch after the stages, with its releasable part; both have the same rows. Counts all rows.

    `is_numbered`: a raw column has the position of each row in the data, which must be rereadable.
    """
    checked = reject_future(source, job.plan.policy, job.at)
    with _record_reader(job, checked, bound.also, tally, is_numbered=is_numbered) as records:
        stages = settle_stages(job, lambda names: [map(Batch, records(names))])
        tally.clear()
        for batch in map(Batch, records(None)):
            released = run_stages(stages, batch)
            tally.take(released.counts, released.raw.num_rows)
            yield released, decode_batch(bound.release.columns(released), bound.schema)


@contextmanager
def _record_reader(
    job: Job, source: RereadableSource, also: frozenset[str], tally: RowTally, *, is_numbered: bool
) -> Iterator[ReadRecords]:
    """A function that reads the valid records as often as the job needs. Data that can be read only once is gated,
    then spilled."""
    if source.is_rereadable or count_passes(job.plan) == 1:
        yield lambda names: _good_records(
            source if names is None else source.only(names), tally, is_numbered=is_numbered
        )
        return
    gated_tally, plan = RowTally(), _without_subject_fields(job.plan, also)
    with spill_records(_gated_batches(job, source, plan, gated_tally), masked_schema(source.schema, plan)) as again:
        yield lambda _: _count_spilled(again(), gated_tally, tally)


def _without_subject_fields(plan: Plan, also: frozenset[str]) -> Plan:
    """The plan without fields that only identify subjects. They are not needed after erased subjects were gated."""
    policy, kept = plan.policy, needed_fields(plan.policy, plan.purpose)
    fields = {key: each for key, each in policy.fields.items() if key in kept or key not in also}
    return replace(plan, policy=policy.model_copy(update={"fields": fields})) if also else plan


def _gated_batches(job: Job, source: Source, plan: Plan, counts: RowTally) -> Iterator[pa.RecordBatch]:
    """The records that may be collected, to be spilled."""
    gate = job.gate
    for records in _good_records(source, counts):
        batch = gate(Batch(records))
        counts.gated.update(batch.counts.gated)
        yield mask_closed_values(batch, plan)


_POSITION: Final = ""
"""The raw column with the position of each row: no field has an empty name."""


def _good_records(source: Source, tally: RowTally, *, is_numbered: bool = False) -> Iterator[pa.RecordBatch]:
    for part in source.parts:
        for chunk in part.read():
            tally.read += chunk.read
            if chunk.rejects:
                tally.left_out.update(reject.code for reject in chunk.rejects)
            yield chunk.records.append_column(_POSITION, chunk.positions) if is_numbered else chunk.records


def _count_spilled(records: Iterator[pa.RecordBatch], counts: RowTally, tally: RowTally) -> Iterator[pa.RecordBatch]:
    """The records of a spill. Adds the counts that were made when it was written."""
    tally.add(counts)
    return records


def log_left_out(reasons: Mapping[str, int]) -> None:
    """Logs how many records were not returned, by reason or code."""
    if reasons:
        counted = ", ".join(f"{reason} {rows}" for reason, rows in sorted(reasons.items()))
        data = dict(sorted(reasons.items()))
        log.warning("%d records dropped: %s", sum(data.values()), counted, extra={"code": "W010", "data": data})


def bind_to_data(
    policy: Policy,
    data: Any,
    purpose: str | None,
    settings: Any,
    keys: PathOrKeyring,
    ledger: PathText | None,
) -> tuple[Minimizer, MemorySource]:
    """A policy bound to data, and the data as its source. Data that can be read only once is opened once."""
    config = None if policy.path is None else policy.config
    keyring = find_keyring(keys, config)
    erasures = find_erasures(ledger, config, keyring, policy.future)
    named = frozenset() if erasures is None else all_fields_named(policy, erasures.names)
    also = named if erasures is None else named | _subject_naming_fields(policy)
    rows = None if settings is None else load_settings(settings).with_folding(policy.settings_folding, policy.levels)
    also |= frozenset() if rows is None else rows.fields & policy.fields.keys()
    source = memory_source(data, request(policy, purpose, None, also, erased_by=named))
    plan = bind(policy, source.schema, purpose=purpose)
    check_approval(policy)
    require_keys(plan, keyring)
    minimizer = Minimizer(
        plan=plan,
        settings=rows,
        keys=keyring,
        bound=PreparedPolicy.from_plan(plan, keyring, also, counts=False, erased_by=named),
        memos=empty_memos(plan),
        memory=find_budget(policy.config),
        erasures=erasures,
        also=also,
    )
    return minimizer, source


def _subject_naming_fields(policy: Policy) -> frozenset[str]:
    """The fields by which a later erasure may name a subject."""
    named = {key for key, each in policy.fields.items() if each.role == "identifier" and not each.from_}
    return frozenset({*named, *fields_named(policy, None)})


def require_keys(plan: Plan, keyring: KeySource | None) -> None:
    """Raises KeyringError, before any data is read, if a key that records need is missing."""
    needed = sorted(plan.keys - {NOISE_KEY})
    if keyring is None and needed:
        raise KeyringError(
            f"no keyring found; the policy needs the key {', '.join(needed)}",
            hint="Pass keys=FILE or set MINIMIZE_KEYS.",
        )
    for name in needed:
        if keyring is not None:
            keyring.bytes_of(name)


def _load_policy(policy: PathOrPolicy) -> Policy:
    if isinstance(policy, Policy):
        return policy
    if isinstance(policy, Mapping):
        return policy_from_mapping(policy)
    if not isinstance(policy, str | PathLike):
        hint = "Pass a Policy, the path of one, or a mapping with its keys."
        raise ConfigurationError(f"a {type(policy).__name__} is not a policy", hint=hint)
    return load_policy(os.fspath(policy))
