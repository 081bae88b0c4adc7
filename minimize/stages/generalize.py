"""Generalize: every released value through its techniques, and nothing that the gate closed."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime

import pyarrow as pa

from minimize.errors import ConfigurationError
from minimize.plan.model import FieldPlan, Plan
from minimize.stage import Batch, Counts, FieldCounts
from minimize.stages.chain import is_tally
from minimize.stages.field import BoundField, all_steps
from minimize.techniques import Technique
from minimize.techniques.base import KeySource
from minimize.techniques.memo import Memo

Fields = Mapping[str, BoundField]


@dataclass(frozen=True, slots=True)
class Generalize:
    """Takes a gated batch; gives it with `released`, `measured`, `ranks` and the counts of each field.

    A value that is gated, that the deciding case drops, or that a technique cannot treat is null in `released`.

    keys         the keyring, where a technique names a key
    at           the run's time, aware UTC
    settled      per field with a step that is a tally: the technique that it settled into
    ranks        the fields of which a quantile is wanted
    memos        per field what was computed before; see `memos_of`
    until_tally  pass one: only fields with a tally, and of their chains only what stands before it
    bound        the fields bound to their chains; worked out here where nobody has done it before

    Raises ConfigurationError where a tally has not settled.
    """

    plan: Plan
    keys: KeySource | None
    at: datetime
    settled: Mapping[str, Technique] = field(default_factory=dict)
    ranks: Collection[str] = frozenset()
    until_tally: bool = False
    memos: Mapping[str, Memo] = field(default_factory=dict, repr=False)
    bound: Fields | None = field(default=None, repr=False)
    fields: Fields = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if self.bound is None:
            found = _until_tally(self.plan) if self.until_tally else bound_fields(self.plan, self.settled, self.ranks)
            object.__setattr__(self, "fields", found)
        else:
            object.__setattr__(self, "fields", self.bound)

    def __call__(self, batch: Batch) -> Batch:
        """The batch with what may leave it."""
        released: dict[str, pa.Array] = {}
        measured: dict[str, pa.Array] = {}
        ranks: dict[str, pa.Array] = {}
        counts: dict[str, FieldCounts] = {}
        for key, bound in self.fields.items():
            made = bound(batch, self.at, self.keys, self.memos)
            counts[key] = made.counts
            for part, values in ((released, made.released), (measured, made.measured), (ranks, made.ranks)):
                if values is not None:
                    part[key] = values
        added = Counts() if self.until_tally else Counts(fields=counts)
        return batch.with_(released=released, measured=measured, ranks=ranks, counts=batch.counts + added)


def bound_fields(plan: Plan, settled: Mapping[str, Technique], ranks: Collection[str]) -> Fields:
    """Every field of which something leaves, bound. Raises ConfigurationError where a tally has not settled."""
    if not {key for key, each in plan.fields.items() if _has_tally(each)} <= set(settled):
        raise ConfigurationError("a step that must see everything first has not settled")
    return {
        key: BoundField.of(each, settled.get(key), plan.policy.time, ranks)
        for key, each in plan.fields.items()
        if each.gives is not None or each.measured is not None
    }


def _until_tally(plan: Plan) -> Fields:
    time = plan.policy.time
    return {key: BoundField.until_tally(each, time) for key, each in plan.fields.items() if _has_tally(each)}


def _has_tally(plan: FieldPlan) -> bool:
    return any(is_tally(step) for step in plan.steps)


def memos_of(plan: Plan) -> dict[str, Memo]:
    """An empty memory for each field with a technique, for as long as plan and keyring stay."""
    return {key: Memo() for key, field in plan.fields.items() if all_steps(field)}
