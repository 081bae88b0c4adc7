"""`apply` and `prepare`: a policy over data in memory, the kind that comes in goes out.

There is no quarantine in memory: a record that lacks what the policy requires, or holds what must not arrive, is left out,
and the log says how many were, by code.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from os import PathLike
from typing import Any

import pyarrow as pa

from minimize.engines.base import Job
from minimize.engines.passes import needs_passes, through, way_through
from minimize.errors import SchemaError
from minimize.frames import way_back
from minimize.io.base import Chunk, Source
from minimize.io.memory import memory
from minimize.keys import Keyring, find_keyring
from minimize.plan import Plan, bind, request
from minimize.policy.load import load_policy
from minimize.policy.model import Policy
from minimize.settings import SettingsRows, load_settings
from minimize.stage import Batch
from minimize.stages.release import Release
from minimize.times import moment

log = logging.getLogger("minimize")
PathOrPolicy = Policy | str | PathLike[str]
PathOrKeyring = Keyring | str | PathLike[str] | None


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
    Gives the kind of `data`, columns in the policy's order, rows in the order they came. A stream stays lazy unless the
    policy has a `top`, which must see everything first: then the gated records are held in memory.
    Raises PolicyError, SchemaError, KeyringError, RefusedError, all before the first record is read.
    """
    loaded = _policy(policy)
    source = memory(data, request(loaded, purpose))
    return _bound(loaded, source.schema, purpose, settings, keys)._through(source, data, at)


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
    bound = memory(_empty(schema), request(loaded, purpose))
    return _bound(loaded, bound.schema, purpose, settings, keys)


@dataclass(frozen=True, slots=True)
class Minimizer:
    """A policy bound to a schema, settings and keys; call it with a batch."""

    plan: Plan
    settings: SettingsRows | None
    keys: Keyring | None

    def __call__(self, batch: Any, at: datetime | str | None = None) -> Any:
        """The batch as the policy lets it leave, in the kind it came in. Raises SchemaError for another schema."""
        source = memory(batch, request(self.plan.policy, self.plan.purpose))
        if source.schema != self.plan.source:
            raise SchemaError(
                "the batch has another schema than the one that was prepared", hint="prepare for this schema"
            )
        return self._through(source, batch, at)

    def _through(self, source: Source, data: Any, at: datetime | str | None) -> Any:
        when = moment(at) or datetime.now(UTC)
        settings = None if self.settings is None else self.settings.at(when)
        job = Job(self.plan, when, self.keys, settings, row_key=_row_key(self.keys))
        release = Release(self.plan, schema=job.records_schema)
        return way_back(data)(job.records_schema, _released(job, source, release))


def _released(job: Job, source: Source, release: Release) -> Iterator[pa.RecordBatch]:
    rejects: Counter[str] = Counter()
    chunks = _chunks(source, rejects)
    held = list(chunks) if needs_passes(job.plan) else None
    stages = way_through(job, lambda: (Batch(chunk.records) for chunk in held or ()))
    for chunk in chunks if held is None else held:
        yield _plain(release.columns(through(stages, Batch(chunk.records))), job.records_schema)
    if rejects:
        counted = ", ".join(f"{code} {count}" for code, count in sorted(rejects.items()))
        log.warning("%d records left out: %s", rejects.total(), counted, extra={"code": "W010"})


def _plain(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    """The batch with every dictionary decoded, as callers expect their columns."""
    columns = [column.cast(type_) for column, type_ in zip(batch.columns, schema.types, strict=True)]
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def _chunks(source: Source, rejects: Counter[str]) -> Iterator[Chunk]:
    for part in source.parts:
        for chunk in part.read():
            rejects.update(reject.code for reject in chunk.rejects)
            yield chunk


def _bound(policy: Policy, schema: pa.Schema, purpose: str | None, settings: Any, keys: PathOrKeyring) -> Minimizer:
    plan = bind(policy, schema, purpose=purpose)
    keyring = find_keyring(keys, None if policy.path is None else policy.path.parent)
    require_keys(plan, keyring)
    return Minimizer(plan, None if settings is None else load_settings(settings), keyring)


def require_keys(plan: Plan, keyring: Keyring | None) -> None:
    """Raises KeyringError, before anything is read, where a key that the plan names is not there."""
    from minimize.errors import KeyringError

    if keyring is None and plan.keys:
        names = ", ".join(sorted(plan.keys))
        raise KeyringError(
            f"no keyring, and the policy needs the key {names}", hint="give keys=FILE or set MINIMIZE_KEYS"
        )
    for name in sorted(plan.keys):
        if keyring is not None:
            keyring.bytes_of(name)


def _row_key(keyring: Keyring | None) -> bytes:
    return b"" if keyring is None else keyring.subkey("subject", "rows")


def _policy(policy: PathOrPolicy) -> Policy:
    return policy if isinstance(policy, Policy) else load_policy(str(policy))


def _empty(schema: Any) -> pa.Table:
    if isinstance(schema, pa.Schema):
        return schema.empty_table()
    return memory_schema(schema).empty_table()


def memory_schema(data: Any) -> pa.Schema:
    """The Arrow schema of data in memory."""
    from minimize.io.memory import take

    return take(data).schema
