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
from minimize.spill import Aside
from minimize.stage import Batch, Counts
from minimize.stages.candidates import Candidates
from minimize.stages.duplicates import Rule, words
from minimize.stages.places import kept_rows


@dataclass(slots=True)
class DeduplicateTally:
    """Finds, among the records of one batch date, those that stay. It holds digests, event times and record ids."""

    plan: Plan
    rule: Rule
    found: Candidates = field(repr=False)

    @classmethod
    def of(cls, plan: Plan, key: bytes, aside: Aside | None = None) -> DeduplicateTally:
        """An empty tally. Takes secret bytes for the keyed digests, and the run's space beside memory (no limit to that).

        Raises ConfigurationError (see `Rule.of`).
        """
        return cls(plan, Rule.of(plan, key), Candidates(Aside(None) if aside is None else aside))

    def observe(self, batch: Batch) -> None:
        """Takes in the records of a batch that the gate let through."""
        if batch.raw.num_rows:
            self.found.add([self.rule.candidates(batch.raw)])

    def merge(self, other: DeduplicateTally) -> None:
        """Takes in what another tally has found."""
        self.found.merge(other.found)

    def settle(self) -> Deduplicate:
        """The stage that lets through, of all the records seen, those that stay."""
        winners = [(words(part["row"]), part["count"].to_numpy()) for part in self.found.best()]
        rows = np.concatenate([np.empty(0, "S16"), *(rows for rows, _ in winners)])
        counts = np.concatenate([np.empty(0, np.int64), *(counts for _, counts in winners)])
        order = np.argsort(rows)
        return Deduplicate(self.plan, self.rule, rows[order], counts[order])


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
