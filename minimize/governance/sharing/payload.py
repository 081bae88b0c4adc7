"""What leaves, made batch by batch: counted by tenant, fingerprinted, and held against what was declared."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from minimize.errors import each_quietly
from minimize.governance.sharing.connecting import beside
from minimize.governance.sharing.consented import Coded
from minimize.governance.sharing.digests import Fingerprint
from minimize.governance.sharing.making import Making
from minimize.governance.sharing.owners import Owners, Seen
from minimize.minimizer import Tally, releasing
from minimize.nested import leaf
from minimize.plan import Plan
from minimize.pointer import Pointer
from minimize.recipients.refusals import differing
from minimize.stage import Batch
from minimize.techniques.pseudonymize import Pseudonymize

Mask = npt.NDArray[np.bool_]


class Taker(Protocol):
    """Takes the payload in."""

    def take(self, batch: pa.RecordBatch) -> None:
        """Takes its next rows."""
        ...


@dataclass(slots=True)
class Made:
    """What was made: rows by tenant, what was held back and why, whose it is, and its fingerprint."""

    schema: pa.Schema
    fingerprint: Fingerprint
    rows: int = 0
    tenants: Counter[str] = field(default_factory=Counter)
    gated: Counter[str] = field(default_factory=Counter)
    closed: Counter[str] = field(default_factory=Counter)
    unparsable: Counter[str] = field(default_factory=Counter)
    emptied: int = 0
    rejected: Counter[str] = field(default_factory=Counter)
    owners: Owners = field(default_factory=Owners)
    seen: Seen = field(default_factory=Seen)

    @classmethod
    def of(cls, schema: pa.Schema) -> Made:
        """Nothing yet, of this schema."""
        return cls(schema, Fingerprint(schema))


def make(way: Making, taker: Taker) -> Made:
    """Makes the payload, and gives it to a taker. Raises NotPermitted where a batch is not what was declared."""
    made, plan = Made.of(way.schema), way.job.plan
    for batch, columns in each_quietly(releasing(way.job, way.source, way.bound, Tally(left_out=made.rejected))):
        made.gated.update(batch.counts.gated)
        closed, unparsable = _nulls(batch, way)
        made.closed.update(closed)
        made.unparsable.update(unparsable)
        kept = _filled(columns, plan)
        made.emptied += 0 if kept is None else int(len(kept) - kept.sum())
        whole = columns if kept is None else columns.filter(pa.array(kept))
        if not _is_declared(whole, way.bound.schema):
            raise differing("its columns are not those of the plan")
        _count(made, batch, plan, kept)
        made.rows += whole.num_rows
        left = whole
        if way.passing is not None:
            way.passing.take(whole)
            left = beside(whole, way.schema)
        misshapen = way.forms.misshapen(left, _encoded(batch))
        if misshapen:
            raise differing(f"{', '.join(misshapen)} does not have the form that was declared")
        made.fingerprint.take(left)
        taker.take(left)
    return made


def _nulls(batch: Batch, way: Making) -> tuple[dict[str, int], dict[str, int]]:
    """By field the values that gates hold back, and those that no step could treat; of secrets not even that."""
    secrets = frozenset() if way.passing is None else way.passing.keys
    counts = {key: each for key, each in batch.counts.fields.items() if key not in secrets}
    gated = {key: each.gated for key, each in counts.items() if each.gated}
    return gated, {key: each.unparsable for key, each in counts.items() if each.unparsable}


def _encoded(batch: Batch) -> Mapping[str, pa.Array]:
    """Columns as they were before they were decoded: what is in a dictionary is judged once."""
    return batch.released


def leaf_of(batch: pa.RecordBatch, key: str) -> pa.Array:
    """The values of a field that stands once in a record."""
    return leaf(batch, Pointer.parse(key)).values


def _count(made: Made, batch: Batch, plan: Plan, kept: Mask | None) -> None:
    tenant, subject = plan.policy.tenant, plan.policy.subject
    if tenant is None:
        return
    tenants = _only(leaf_of(batch.raw, tenant), kept)
    made.tenants.update(Coded.of(tenants).counts())
    if subject is None:
        return
    subjects, rows = (
        _only(leaf_of(batch.raw, subject), kept),
        _telling(batch, plan, made.seen) if kept is None else None,
    )
    if rows is not None:
        tenants, subjects = tenants.take(rows), subjects.take(rows)
    made.owners.take(Coded.of(tenants), subjects)


def _telling(batch: Batch, plan: Plan, seen: Seen) -> pa.Array | None:
    """The rows whose subjects are all that are new, where its released pseudonyms tell: they are one for each, and tenant."""
    policy = plan.policy
    released, steps = batch.released.get(policy.subject or ""), plan.fields[policy.subject or ""].branches[0].steps
    first = steps[0] if steps else None
    tells = isinstance(first, Pseudonymize) and first.per == policy.tenant and not first.fold
    tells = tells and all(isinstance(step, Pseudonymize) for step in steps or ())
    if not tells or len(plan.fields[policy.subject or ""].branches) > 1 or released is None:
        return None
    return pa.array(seen.new(released)) if pa.types.is_dictionary(released.type) else None


def _only(values: pa.Array, kept: Mask | None) -> pa.Array:
    return values if kept is None else values.filter(pa.array(kept))


def _filled(columns: pa.RecordBatch, plan: Plan) -> Mask | None:
    """Which rows hold anything beside their tenant; None where all do."""
    told = [name for name in columns.schema.names if name != plan.policy.tenant] or columns.schema.names
    empty = np.ones(columns.num_rows, bool)
    for name in told:
        column = columns.column(name)
        if not column.null_count:
            return None
        empty &= column.is_null().to_numpy(zero_copy_only=False)
    return ~empty if empty.any() else None


def _is_declared(batch: pa.RecordBatch, schema: pa.Schema) -> bool:
    return bool(batch.schema.equals(schema))


@dataclass(slots=True)
class InMemory:
    """Keeps the payload for the caller, who does not see it before it is recorded."""

    batches: list[pa.RecordBatch] = field(default_factory=list, repr=False)

    def take(self, batch: pa.RecordBatch) -> None:
        """Takes its next rows."""
        self.batches.append(batch)

    def all(self) -> Iterator[pa.RecordBatch]:
        """Every batch, in order."""
        return iter(self.batches)


@dataclass(frozen=True, slots=True)
class Nothing:
    """Lets the payload go: a dry run counts alone."""

    def take(self, batch: pa.RecordBatch) -> None:
        """Takes its next rows, and lets them go."""
