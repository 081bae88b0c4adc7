"""Deduplicate: pass one (a tally) finds the records that stay, pass two (the stage it settles into) lets them through.

The records may come in any order and in any batches, and in each pass in another.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from minimize.plan.model import Plan
from minimize.stage import Batch, Counts
from minimize.stages.duplicates import Rule, best, words
from minimize.stages.places import kept_rows


@dataclass(slots=True)
class DeduplicateTally:
    """Finds, among the records of one batch date, those that stay. It holds digests, event times and record ids."""

    plan: Plan
    rule: Rule
    found: list[pa.Table] = field(default_factory=list, repr=False)
    compacted: int = 0

    @classmethod
    def of(cls, plan: Plan, key: bytes) -> DeduplicateTally:
        """An empty tally. Takes secret bytes for the keyed digests. Raises ConfigurationError (see `Rule.of`)."""
        return cls(plan, Rule.of(plan, key))

    def observe(self, batch: Batch) -> None:
        """Takes in the records of a batch that the gate let through."""
        if batch.raw.num_rows:
            self.found.append(self.rule.candidates(batch.raw))
            self._compact()

    def merge(self, other: DeduplicateTally) -> None:
        """Takes in what another tally has found."""
        self.found.extend(other.found)
        self._compact()

    def settle(self) -> Deduplicate:
        """The stage that lets through, of all the records seen, those that stay."""
        if not self.found:
            return Deduplicate(self.plan, self.rule, np.empty(0, "S16"), np.empty(0, np.int64))
        winners = best(pa.concat_tables(self.found))
        rows = words(winners["row"])
        order = np.argsort(rows)
        return Deduplicate(self.plan, self.rule, rows[order], winners["count"].to_numpy()[order])

    def _compact(self) -> None:
        """Keeps one row per group once there are twice as many as there were: memory follows the groups, not the records."""
        if sum(table.num_rows for table in self.found) > 2 * self.compacted:
            self.found = [best(pa.concat_tables(self.found))]
            self.compacted = self.found[0].num_rows


@dataclass(slots=True)
class Deduplicate:
    """Lets a record through if it is the one that stays.

    Of records that are equal in everything one stays: the first of each `counts` that come, so that any number of whole passes
    over the same records gives the same. Threads may share the stage; processes must each see all copies of a record.
    """

    plan: Plan
    rule: Rule
    winners: npt.NDArray[Any] = field(repr=False)
    counts: npt.NDArray[np.int64] = field(repr=False)
    seen: npt.NDArray[np.int64] = field(init=False, repr=False)
    lock: threading.Lock = field(default_factory=threading.Lock, init=False, repr=False)

    def __post_init__(self) -> None:
        self.seen = np.zeros_like(self.counts)

    def __call__(self, batch: Batch) -> Batch:
        """The batch with its duplicates gone and counted."""
        rows = batch.raw.num_rows
        if not rows:
            return batch
        keep = np.zeros(rows, np.bool_)
        keep[self._staying(self.rule.candidates(batch.raw))] = True
        counts = batch.counts + Counts(deduplicated=rows - int(keep.sum()))
        return kept_rows(batch, keep, self.plan).with_(counts=counts)

    def _staying(self, candidates: pa.Table) -> npt.NDArray[np.int64]:
        """Where the candidates that stay stand in their batch."""
        rows = words(candidates["row"])
        places = np.searchsorted(self.winners, rows)
        found = places < self.winners.size
        found[found] = self.winners[places[found]] == rows[found]
        places, equal = places[found], candidates["count"].to_numpy()[found]
        with self.lock:
            due = -self.seen[places] % self.counts[places] < equal
            self.seen[places] += equal
        at: npt.NDArray[np.int64] = candidates["at"].to_numpy()[found][due]
        return at
