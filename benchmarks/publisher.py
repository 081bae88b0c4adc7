"""Releases of tables without files: what the disclosure guard publishes of rows that a test or a measurement makes up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, cast

import numpy as np
import pyarrow as pa

from minimize.aggregates import measure_from
from minimize.aggregates.definition import Definition, GroupKey, Measured
from minimize.aggregates.release_history import ReleaseHistory
from minimize.aggregates.table import AggregateTally
from minimize.job.disclosure_guard import Guarded, guarded
from minimize.job.releases import Former, Releases, rows_of
from minimize.pointer import Pointer
from minimize.spill import Hasher
from minimize.stage import Batch

AT = datetime(2026, 11, 25, tzinfo=UTC)
HASHER = Hasher(bytes(range(32)))
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
) -> Definition:
    """A table by some fields, which counts the subjects in `id`."""
    made = {each: measure_from(*word) for each, word in measures.items()}
    measured = {each: Measured(measure, TYPES.get(measure.of or "")) for each, measure in made.items()}
    return Definition(name, {key: GroupKey(key, TYPES[key]) for key in keys}, measured, below, Pointer.parse("id"))


@dataclass
class Publisher:
    """The tables of each date in force, and the releases of their rows so far. Without its guard it publishes every table."""

    definitions: Mapping[str, Definition]
    is_guarded: bool = True
    kept: dict[tuple[str, str | None], tuple[pa.Table, bytes]] = field(default_factory=dict)

    @property
    def hasher(self) -> Hasher:
        """As of `Releases`."""
        return HASHER

    def former(self, definition: Definition, name: str, date: str | None) -> Former:
        """As of `Releases`."""
        if (name, date) not in self.kept:
            return Former(None, np.empty(0, np.uint64), ReleaseHistory.empty())
        table, history = self.kept[name, date]
        return Former(table, rows_of(definition, table, HASHER), ReleaseHistory.unpacked(history))

    def publish(self, rows: pa.Table, date: str | None = None) -> dict[str, Guarded]:
        """Publishes all tables over some rows, in place of those of the date that are in force."""
        made = {}
        for name, each in self.definitions.items():
            tally = AggregateTally(each, hasher=HASHER)
            columns = {key: rows[key].combine_chunks() for key in TYPES if key in rows.column_names}
            tally.observe(Batch(rows.combine_chunks().to_batches()[0], released=columns))
            made[name] = tally.settle()
        if not self.is_guarded:
            return {name: Guarded(each, ReleaseHistory.empty()) for name, each in made.items()}
        found = guarded(self.definitions, made, cast("Releases", self), date, AT)
        for name, release in found.items():
            self.kept[name, date] = release.result.table, release.history.packed()
        return found
