"""Releases of tables without files: what the disclosure guard publishes of rows that a test or a measurement makes up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, cast

import numpy as np
import pyarrow as pa

from minimize.aggregates import measure_from
from minimize.aggregates.definition import AggregateDefinition, BoundMeasure, GroupKey
from minimize.aggregates.difference_rule import ReleaseHistory
from minimize.aggregates.tally import AggregateTally
from minimize.arrow.batch import Batch
from minimize.arrow.pointers import Pointer
from minimize.runs.disclosure_guard import (
    FormerRelease,
    GuardedAggregate,
    PublishedReleases,
    group_hashes,
    guard_aggregates,
)
from minimize.spill import ValueHasher

AT = datetime(2026, 11, 25, tzinfo=UTC)
HASHER = ValueHasher(bytes(range(32)))
TYPES = {
    "site": pa.int64(),
    "tenant": pa.int64(),
    "version": pa.int64(),
    "model": pa.int64(),
    "x": pa.int64(),
    "w": pa.int64(),
}
MEASURES: Mapping[str, tuple[Any, ...]] = {"n": ("count",), "x": ("sum", "x"), "w": ("sum", "w")}


def definition(
    name: str, keys: Sequence[str], below: int, measures: Mapping[str, tuple[Any, ...]] = MEASURES
) -> AggregateDefinition:
    """A table by some fields, which counts the subjects in `id`."""
    made = {each: measure_from(*word) for each, word in measures.items()}
    measured = {each: BoundMeasure(measure, TYPES.get(measure.of or "")) for each, measure in made.items()}
    return AggregateDefinition(
        name, {key: GroupKey(key, TYPES[key]) for key in keys}, measured, below, Pointer.parse("id")
    )


@dataclass
class Publisher:
    """The tables of each date in force, and the releases of their rows so far. Without its guard it publishes every table."""

    definitions: Mapping[str, AggregateDefinition]
    is_guarded: bool = True
    kept: dict[tuple[str, str | None], tuple[pa.Table, bytes]] = field(default_factory=dict)

    @property
    def hasher(self) -> ValueHasher:
        """As of `PublishedReleases`."""
        return HASHER

    def former(self, definition: AggregateDefinition, name: str, date: str | None) -> FormerRelease:
        """As of `PublishedReleases`."""
        if (name, date) not in self.kept:
            return FormerRelease(None, np.empty(0, np.uint64), ReleaseHistory.empty())
        table, history = self.kept[name, date]
        return FormerRelease(table, group_hashes(definition, table, HASHER), ReleaseHistory.from_bytes(history))

    def publish(self, rows: pa.Table, date: str | None = None) -> dict[str, GuardedAggregate]:
        """Publishes all tables over some rows, in place of those of the date that are in force."""
        made = {}
        for name, each in self.definitions.items():
            tally = AggregateTally(each, hasher=HASHER)
            columns = {key: rows[key].combine_chunks() for key in TYPES if key in rows.column_names}
            tally.observe(Batch(rows.combine_chunks().to_batches()[0], released=columns))
            made[name] = tally.settle()
        if not self.is_guarded:
            return {name: GuardedAggregate(each, ReleaseHistory.empty()) for name, each in made.items()}
        found = guard_aggregates(self.definitions, made, cast("PublishedReleases", self), date, AT)
        for name, release in found.items():
            self.kept[name, date] = release.result.table, release.history.to_bytes()
        return found
